"""Predicted beside measured: one row for each figure of each run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..architecture import Architecture
from ..errors import DomainError
from ..memory.estimate import Estimate
from ..memory.inference import estimate_inference, predicted_figures
from ..memory.requests import InferenceRequest
from .runs import Run

GIB: Final = 2**30
OVERHEAD_PARTS: Final = ("activation_peak_gib", "cuda_graph_gib", "non_torch_gib", "init_non_torch_gib")

# Groups whose rows were in view when a term's rule was set; every other group is left out of it. Weights,
# cache per token and GGUF sizes follow from formats and shapes alone: nothing was set by any row.
IN_VIEW: Final[Mapping[str, frozenset[str]]] = {
    "activation_peak_gib": frozenset({"llmd-planner-v0.19-h100"}),
    "cuda_graph_gib": frozenset({"llmd-planner-v0.19-h100", "llmd-planner-v0.11-h100"}),
    "cuda_graph_estimate_gib": frozenset({"llmd-planner-v0.19-h100"}),
    "non_torch_gib": frozenset(
        {"llmd-planner-v0.19-h100", "llmd-planner-v0.11-h100", "llmd-planner-version-sweep"}
    ),
    "init_non_torch_gib": frozenset({"llmd-planner-v0.19-h100"}),
    "overhead_gib": frozenset({"llmd-planner-v0.19-h100"}),
    "kv_gib": frozenset({"llmd-planner-v0.19-h100"}),
    "kv_tokens": frozenset({"llmd-planner-v0.19-h100"}),
    "max_concurrency": frozenset({"llmd-planner-v0.19-h100"}),
    "compute_buffer_gib": frozenset({"llamacpp-logs"}),
}

Ask = Callable[[Mapping[str, object]], InferenceRequest]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: `error` is predicted over measured less one; `within` tells whether the band holds it."""

    run: str
    group: str
    model: str
    runtime: str
    version: str
    kind: str
    term: str
    measured: float
    predicted: float
    in_view: bool
    within: bool | None
    source: str

    @property
    def error(self) -> float:
        """Signed relative error."""
        return self.predicted / self.measured - 1 if self.measured else 0.0


def evaluate(runs: Iterable[Run], ask: Ask) -> tuple[list[Row], list[tuple[Run, str]]]:
    """Every comparable figure, and the runs that could not be asked, each with the reason."""
    rows: list[Row] = []
    left: list[tuple[Run, str]] = []
    for run in runs:
        if run.request is None or not run.measured:
            left.append((run, "conditions are not stated, or the rules do not cover them"))
            continue
        try:
            rows.extend(_rows(run, ask(run.request)))
        except DomainError as error:
            left.append((run, error.text()))
    return rows, left


def _rows(run: Run, request: InferenceRequest) -> Iterator[Row]:
    predicted = with_overhead(predicted_figures(request))
    bands = _bands(estimate_inference(request))
    kind = architecture_kind(request.model.architecture)
    for term, value in with_overhead(run.measured).items():
        found = predicted.get(term)
        if found is None:
            continue
        band = bands.get(term)
        yield Row(
            run.id,
            run.group,
            run.model,
            request.backend,
            request.backend_version or "",
            kind,
            term,
            value,
            found,
            run.group in IN_VIEW.get(term, frozenset()),
            None if band is None else band[0] <= value * GIB <= band[1],
            run.source,
        )


def with_overhead(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures and, where all its parts are there, activation peak, graphs, non-torch and context together."""
    found = dict(figures)
    if all(part in figures for part in OVERHEAD_PARTS):
        found["overhead_gib"] = sum(figures[part] for part in OVERHEAD_PARTS)
    return found


def _bands(estimate: Estimate) -> dict[str, tuple[float, float]]:
    """The bands of those figures that are terms of the answer [bytes]; print rounding of 0.005 GiB added."""
    sums: dict[str, list[float]] = {}
    for term in estimate.ranks[0].terms:
        low = term.bytes if term.low is None else term.low
        high = term.bytes if term.high is None else term.high
        for name in (
            term.name,
            "overhead" if term.name in ("activation_memory", "framework_overhead") else "",
        ):
            pair = sums.setdefault(name, [0.0, 0.0])
            pair[0], pair[1] = pair[0] + low, pair[1] + high
    names = {
        "model_weights": "weights_gib",
        "activation_memory": "activation_peak_gib",
        "overhead": "overhead_gib",
    }
    rounding = 0.005 * GIB
    return {names[n]: (low - rounding, high + rounding) for n, (low, high) in sums.items() if n in names}


def architecture_kind(architecture: Architecture) -> str:
    """Dense, mixture of experts, latent attention, hybrid, windowed or image-text: the first that applies."""
    caches = architecture.cache_layers
    if any(layer.states for layer in caches):
        return "hybrid"
    if any(layer.keys_values and layer.keys_values.latent for layer in caches):
        return "latent"
    if architecture.parameters.active < architecture.parameters.total:
        return "mixture of experts"
    if any(architecture.of("vision")):
        return "image-text"
    windowed = any(
        layer.keys_values and (layer.keys_values.window or layer.keys_values.chunk) for layer in caches
    )
    return "windowed" if windowed else "dense"
