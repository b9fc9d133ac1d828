"""A setting's points as columns: all lanes at once where formulas hold for arrays, else one by one.

Both forms read the same functions of memory and speed; a test holds them together. Byte counts are exact in
the array form because a setting whose largest point reaches 2^53 bytes is read one by one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from ..errors import DomainError
from ..lanes import choose, most
from ..memory.estimate import Estimate, Rank
from ..memory.inference import TOTAL, estimate_inference, ranks_of
from ..memory.requests import InferenceRequest, TrainingRequest
from ..memory.runtimes import deploy
from ..memory.runtimes.base import Deployment
from ..service.lookup import Lookup
from ..service.questions import inference_question, tokens_of, training_question

if TYPE_CHECKING:
    from ..performance.setup import Setup

Values = Mapping[str, Any]
T = TypeVar("T")
Columns = dict[str, Any]  # by name: one value for all points, or a list or array with one for each
Kind = Literal["integer", "number", "text", "boolean"]

EXACT: Final = 2**53  # up to here integers are exact in both kinds of arrays

_FIT: Final[Mapping[str, Kind]] = {"fits": "boolean", "free_bytes": "integer", "utilization": "number"}
_MEMORY: Final[Mapping[str, Kind]] = {
    "num_gpus": "integer",
    "model_weights": "integer",
    "kv_cache": "integer",
    "activation_memory": "integer",
    "framework_overhead": "integer",
    "inference_memory": "integer",
    **_FIT,
}
_SPEED: Final[Mapping[str, Kind]] = {
    "num_gpus": "integer",
    "ttft_ms": "number",
    "tpot_ms": "number",
    "e2e_latency_ms": "number",
    "throughput_tokens_per_sec": "number",
    "output_tokens_per_sec": "number",
    "requests_per_sec": "number",
    "cost_per_million_tokens": "number",
    "bottleneck": "text",
    "max_in_flight": "integer",
    "inference_memory": "integer",
    **_FIT,
}
_LOAD: Final[Mapping[str, Kind]] = {
    "saturation": "number",
    "ttft_ms_p99": "number",
    "tpot_ms_p99": "number",
    "e2e_latency_ms_p99": "number",
}
_TRAINING: Final[Mapping[str, Kind]] = {
    "num_gpus": "integer",
    "model_weights": "integer",
    "gradients": "integer",
    "optimizer_states": "integer",
    "activation_memory": "integer",
    "temporary_buffers": "integer",
    "framework_overhead": "integer",
    "training_memory": "integer",
    **_FIT,
}
_TRAINING_SPEED: Final[Mapping[str, Kind]] = {
    "num_gpus": "integer",
    "step_ms": "number",
    "tokens_per_sec": "number",
    "tokens_per_sec_per_gpu": "number",
    "mfu": "number",
    "days": "number",
    "gpu_hours": "number",
    "cost_usd": "number",
    "bottleneck": "text",
    "training_memory": "integer",
    **_FIT,
}


class Form(Struct, frozen=True):
    """How points of one calculation are read: the columns, one point, and many lanes of one setting."""

    kinds: Mapping[str, Kind]
    point: Callable[[Values, Lookup], Columns]
    lanes: Callable[[Values, Values, Lookup], Columns | None] | None = None


def memory_point(values: Values, lookup: Lookup) -> Columns:
    """Memory of serving at one point; raises `DomainError`."""
    request = cast(InferenceRequest, inference_question(values, lookup).request)
    gpus = request.tensor_parallel * request.pipeline_parallel * request.data_parallel
    return {"num_gpus": gpus, **_of_estimate(estimate_inference(request))}


def memory_lanes(values: Values, lanes: Values, lookup: Lookup) -> Columns | None:
    """The same of many lanes; None where they have to be read one by one."""
    deployment = _of_all(values, lanes, lambda point: _deployed(point, lookup))
    if deployment is None:
        return None
    asked = {**values, **lanes}
    columns = _held(deployment, asked.get("batch_size", 1), tokens_of(asked))
    return columns and {"num_gpus": deployment.layout.gpus, **columns}


def speed_point(values: Values, lookup: Lookup) -> Columns:
    """Speed of serving at one point; raises `DomainError`."""
    from ..performance.inference import estimate_performance
    from ..service.speed_questions import speed_question

    request = replace(speed_question(values, lookup).request, top_ops=0)
    found = estimate_performance(request)
    memory = _of_estimate(found.memory)
    return {
        "num_gpus": found.parameters["num_gpus"],
        **{name: found.figures[name] for name in _SPEED if name in found.figures},
        "cost_per_million_tokens": found.cost_per_million_tokens,
        "bottleneck": found.bottleneck,
        "max_in_flight": found.extra["max_in_flight"],
        **{name: memory[name] for name in (TOTAL, *_FIT) if name in memory},
        **_of_load(found.saturation, found.percentiles),
    }


def speed_lanes(values: Values, lanes: Values, lookup: Lookup) -> Columns | None:
    """The same of many lanes; None where it has to be read one by one.

    Requests that start together are read all at once; under a load each lane settles by itself, on replicas
    that are set up once.
    """
    from ..performance.breakdown import tally
    from ..performance.cost import per_million
    from ..performance.inference import figures_of, price_of
    from ..performance.setup import at, set_up
    from ..performance.static import together
    from ..service.speed_questions import lengths_of, speed_question

    first = _of_all(values, lanes, lambda point: set_up(speed_question(point, lookup).request))
    if first is None:
        return None
    asked = {**values, **lanes}
    read, written = lengths_of(asked)
    batch = asked.get("batch_size", 1)
    memory = _held(first.deployment, batch, read + written)
    if memory is None:
        return None
    if any(values.get(name) for name in ("request_rate", "concurrency", "length_cv")):
        settled = _settled(first, _broadcast(batch, read, written))
        return settled and {**settled, **{name: memory[name] for name in (TOTAL, *_FIT) if name in memory}}
    setup = at(first, batch, read, written)
    flow = together(setup)
    figures = figures_of(flow, setup.request)
    cost = per_million(price_of(first.request), setup.gpus, figures["throughput_tokens_per_sec"])
    return {
        "num_gpus": setup.gpus,
        **{name: figures[name] for name in _SPEED if name in figures},
        "cost_per_million_tokens": cost,
        "bottleneck": _largest_of(tally(setup, most(flow.in_flight, 1.0)).times),
        "max_in_flight": choose(setup.fits, setup.room * setup.replicas, 0),
        **{name: memory[name] for name in (TOTAL, *_FIT) if name in memory},
    }


def _settled(first: "Setup", lanes: Sequence[Any]) -> Columns | None:
    """Figures of lanes (batch, read, written) that each settle by itself; None where they differ in kind."""
    found = [_at_lane(first, *lane) for lane in zip(*lanes, strict=True)]
    if any(row.keys() != found[0].keys() for row in found):
        return None
    columns = {name: [row[name] for row in found] for name in found[0]}
    unknown = [name for name, each in columns.items() if None in each]
    if any(columns[name].count(None) != len(found) for name in unknown):
        return None
    return {**columns, **dict.fromkeys(unknown)}


def _at_lane(first: "Setup", batch: int, read: int, written: int) -> Columns:
    from ..performance.breakdown import tally
    from ..performance.cost import per_million
    from ..performance.inference import figures_of, flow_of, in_milliseconds, price_of
    from ..performance.setup import at

    setup = at(first, batch, read, written)
    flow = flow_of(setup, setup.request)
    figures = figures_of(flow, setup.request)
    return {
        "num_gpus": setup.gpus,
        **{name: figures[name] for name in _SPEED if name in figures},
        "cost_per_million_tokens": per_million(
            price_of(setup.request), setup.gpus, figures["throughput_tokens_per_sec"]
        ),
        "bottleneck": tally(setup, max(flow.in_flight, 1.0)).bottleneck,
        "max_in_flight": setup.room * setup.replicas if setup.fits else 0,
        **_of_load(flow.saturation, in_milliseconds(flow)),
    }


def training_point(values: Values, lookup: Lookup) -> Columns:
    """Memory of training at one point; raises `DomainError`."""
    from ..memory.training.estimate import estimate_training

    request = cast(TrainingRequest, training_question(values, lookup).request)
    return {"num_gpus": _gpus(request), **_of_estimate(estimate_training(request))}


def training_speed_point(values: Values, lookup: Lookup) -> Columns:
    """Speed of training at one point; raises `DomainError`."""
    from ..memory.training.estimate import estimate_training
    from ..performance.training import estimate_training_performance
    from ..service.training_speed_answer import figures_of
    from ..service.training_speed_question import training_speed_question

    request = training_speed_question(values, lookup).request
    found = estimate_training_performance(request)
    memory = _of_estimate(estimate_training(request.training))
    figures = figures_of(found)
    return {
        "num_gpus": found.gpus,
        **{name: figures[name] for name in _TRAINING_SPEED if name in figures},
        "bottleneck": found.bottleneck,
        **{name: memory[name] for name in ("training_memory", *_FIT) if name in memory},
    }


FORMS: Final[Mapping[str, Form]] = {
    "memory_inference": Form(_MEMORY, memory_point, memory_lanes),
    "performance_inference": Form({**_SPEED, **_LOAD}, speed_point, speed_lanes),
    "memory_training": Form(_TRAINING, training_point),
    "performance_training": Form(_TRAINING_SPEED, training_speed_point),
}


def _gpus(request: TrainingRequest) -> int:
    r = request
    return r.data_parallel * r.tensor_parallel * r.pipeline_parallel * r.context_parallel


def _of_estimate(estimate: Estimate) -> Columns:
    """The fullest rank's terms, their sum, and whether they fit."""
    fullest, fit = estimate.fullest, estimate.fit
    found = {**fullest.sizes, estimate.total_name: fullest.total}
    return found if fit is None else {**found, **{name: getattr(fit, name) for name in _FIT}}


def _of_load(saturation: float | None, percentiles: Mapping[str, Mapping[str, float]] | None) -> Columns:
    if percentiles is None:
        return {}
    tails = {f"{name}_p99": found["p99"] for name, found in percentiles.items()}
    return {"saturation": saturation, **{name: tails[name] for name in _LOAD if name in tails}}


def _deployed(point: Values, lookup: Lookup) -> Deployment:
    deployment = deploy(cast(InferenceRequest, inference_question(point, lookup).request))
    deployment.check()
    return deployment


def _of_all(values: Values, lanes: Values, ask: Callable[[Values], T]) -> T | None:
    """What is set up for every lane: that of the shortest, which has what any of them could be refused for.

    None where some lanes are refused and others not, or not in the same words; else raises `DomainError`.
    """
    import numpy as np

    length = np.broadcast_to(tokens_of({**values, **lanes}), next(iter(lanes.values())).shape)
    try:
        return ask({**values, **_lane(lanes, int(np.argmin(length)))})
    except DomainError as error:
        try:
            ask({**values, **_lane(lanes, int(np.argmax(length)))})
        except DomainError as other:
            if other.message == error.message:
                raise
        return None


def _lane(lanes: Values, place: int) -> dict[str, int]:
    return {name: int(array[place]) for name, array in lanes.items()}


def _held(deployment: Deployment, batch: Any, length: Any) -> Columns | None:
    """What `_of_estimate` says of an estimate, of every lane; None above what is exact."""
    import numpy as np

    largest = deployment.at(int(np.max(batch)), int(np.max(length)))
    if max(rank.total for rank in ranks_of(largest).values()) >= EXACT:
        return None
    here = deployment.at(batch, length)
    ranks = list(ranks_of(here).values())
    fullest = np.argmax(_stacked([rank.total for rank in ranks]), axis=0)
    found = {name: _picked([rank.sizes[name] for rank in ranks], fullest) for name in ranks[0].sizes}
    found[TOTAL] = _picked([rank.total for rank in ranks], fullest)
    if deployment.request.gpu is None:
        return found
    return {**found, **_fit(here, ranks)}


def _fit(here: Deployment, ranks: Sequence[Rank]) -> Columns:
    """As for an estimate: judged on the rank with the least left."""
    import numpy as np

    left = [
        here.room(s, here.batch, here.length) - here.cache_bytes(s, here.batch, here.length)
        for s in here.stages
    ]
    tightest = np.argmin(_stacked(left), axis=0)
    need = _picked([rank.total for rank in ranks], tightest)
    budget = _picked([here.budget(stage) for stage in here.stages], tightest)
    fits = need <= np.minimum(budget, here.device.total)
    return {"fits": fits, "free_bytes": budget - need, "utilization": need / here.device.usable}


def _largest_of(times: Mapping[str, Any]) -> Any:
    """For each lane the name whose time is the longest."""
    import numpy as np

    names = np.array(list(times), dtype=object)
    found = names[np.argmax(_stacked(list(times.values())), axis=0)]
    return found.tolist() if isinstance(found, np.ndarray) else found


def _broadcast(*each: Any) -> Sequence[Any]:
    import numpy as np

    return [array.tolist() for array in np.broadcast_arrays(*each)]


def _stacked(found: Sequence[Any]) -> Any:
    import numpy as np

    return np.stack(np.broadcast_arrays(*found))


def _picked(found: Sequence[Any], places: Any) -> Any:
    """Of several arrays, at each lane the one at its place."""
    import numpy as np

    if len(found) == 1:
        return found[0]
    here, *each = np.broadcast_arrays(places, *found)
    return np.take_along_axis(np.stack(each), here[None], axis=0)[0]
