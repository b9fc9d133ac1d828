"""The terms of vLLM's answer, and how sure each is: bands of logs measured on H100, wide where none was."""

from typing import TYPE_CHECKING

from msgspec import Struct

from ...parallelism import Stage
from ..estimate import Term
from .base import Spread
from .vllm_settings import MEASURED

if TYPE_CHECKING:
    from .vllm import VllmDeployment

LOGS = "start-up logs on H100"
HOPPER = (9, 0)


class Bands(Struct, frozen=True):
    """The 90% band of each measured term, as multiples of it."""

    activation: Spread
    outside: Spread
    graphs: Spread


UNMEASURED = Bands((0.7, 1.5), (0.5, 1.6), (0.3, 1.7))
OTHER_CARDS = Bands((0.95, 1.1), (0.5, 1.6), (0.5, 1.6))


def bands(minor: int, tensor: int, capability: tuple[int, int]) -> Bands:
    """By version, tensor ranks and card: sharp only where runs were measured."""
    if minor not in MEASURED:
        return UNMEASURED
    if capability != HOPPER:
        return OTHER_CARDS
    outside = (0.94, 1.06) if tensor in (1, 2, 4) else (0.7, 1.5)
    return Bands((0.99, 1.01), outside, (0.93, 1.07) if minor in (18, 19) else (0.45, 2.3))


def terms(d: "VllmDeployment", stage: Stage) -> tuple[Term, ...]:
    """What one rank of this stage holds."""
    band = bands(d.minor, d.layout.tensor, d.device.capability)
    ranks = {"gpus": d.layout.tensor}
    return (
        *d.weight_terms(stage),
        _cache(d, stage),
        _activation(d, stage, band.activation),
        d.term("framework_overhead", d.context(stage), "formula_context", ranks, LOGS, band.outside),
        d.term("framework_overhead", d.non_torch(stage), "formula_non_torch", ranks, LOGS, band.outside),
        d.term(
            "framework_overhead",
            d.graphs(stage),
            "formula_graphs",
            {"layers": stage.layers},
            f"vLLM compilation, {LOGS}",
            band.graphs,
        ),
        *_penalties(d, stage),
    )


def _cache(d: "VllmDeployment", stage: Stage) -> Term:
    per_request, block = d.per_request, d.block_bytes(stage)
    values = {
        "sequences": d.batch,
        "blocks_per_sequence": per_request,
        "block_bytes": block,
        "block_size": d.groups.smallest_block,
        "groups": d.groups.count,
    }
    if shared := d.shared_blocks:
        values["shared_blocks"] = shared
    size = d.blocks_for(d.batch, d.length) * block
    return d.term("kv_cache", size, "formula_blocks", values, "vLLM kv_cache_interface, kv_cache_utils")


def _activation(d: "VllmDeployment", stage: Stage, band: Spread) -> Term:
    found, s = d.profile(stage), d.settings
    values = {
        "tokens": s.tokens,
        "sequences": s.sequences,
        "forward": found.forward,
        "sampler": found.sampler,
        "experts": found.experts,
        "multimodal": found.multimodal,
        "workspace": found.workspace,
    }
    source = "vLLM gpu_model_runner.profile_run"
    return d.term("activation_memory", found.total, "formula_vllm_profile", values, source, band)


def _penalties(d: "VllmDeployment", stage: Stage) -> tuple[Term, ...]:
    size = d.penalties(stage)
    values = {"sequences": d.settings.sequences, "vocabulary": d.widths(stage).vocabulary}
    source = "vLLM v1/worker/gpu PenaltiesState"
    return (d.term("framework_overhead", size, "formula_penalties", values, source),) if size else ()
