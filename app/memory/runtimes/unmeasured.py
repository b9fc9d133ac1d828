"""Terms of paged runtimes whose overhead nobody published: rules from their sources, with wide ranges."""

from ...messages import Message
from ...parallelism import Stage
from ..estimate import Term
from .base import Deployment


def warning(runtime: str) -> Message:
    """What a reader of such an estimate must know."""
    return Message("runtime_unmeasured", {"backend": runtime})


def paged_terms(
    deployment: Deployment,
    stage: Stage,
    *,
    cache: int,
    block: int,
    source: str,
    tokens: int,
    peak: int,
    overhead: int,
) -> tuple[Term, ...]:
    """Weights, blocks of the asked batch (`cache` [bytes]), the `peak` of `tokens` and everything else."""
    d = deployment
    values = {"sequences": d.batch, "length": d.length, "block_size": block}
    gpus = {"gpus": d.layout.tensor}
    return (
        *d.weight_terms(stage),
        d.term("kv_cache", cache, "formula_pages", values, source),
        d.term(
            "activation_memory",
            peak,
            "formula_chunk",
            {"tokens": tokens},
            "the forward description",
            (0.5, 2.0),
        ),
        d.term("framework_overhead", overhead, "formula_context", gpus, "no measured runs", (0.4, 2.5)),
    )
