"""Corrections: what they do to rates, that physics holds, and that a fit finds again what was put in."""

from collections.abc import Callable
from functools import cache
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from app.performance.calibration import LEAST, MECHANISMS, MOST, NONE, OF_TRAINING, Calibration, Factors
from app.performance.calibration_figures import (
    NOISE_ELSE,
    SERVING,
    TIMES,
    TRAINING,
    best_of_serving,
    best_of_training,
    of_serving,
    of_training,
)
from app.performance.calibration_fit import (
    SPREAD,
    TRAINING_SPREAD,
    Figure,
    Fit,
    Predict,
    fit,
    inverse,
    solve,
    without,
)
from app.performance.corrections import corrected
from app.performance.inference import estimate_performance
from app.performance.roofline import Step
from app.performance.setup import set_up
from app.performance.step import floor
from app.performance.training_requests import TrainingSpeedRequest
from app.service.training_speed_question import training_speed_question
from tests.performance.questions import ask, lookup, setup

FACTOR = st.floats(LEAST, MOST)
FACTORS = st.builds(Factors, **dict.fromkeys(MECHANISMS, FACTOR))
# Requests that tell every mechanism: long and short prompts, small and large batches, one and two GPUs.
TELLING = (
    {"model": "Llama-3.1-8B", "batch_size": 1, "input_length": 64},
    {"model": "Llama-3.1-8B", "batch_size": 256, "input_length": 128},
    {"model": "Llama-3.1-8B", "batch_size": 4, "input_length": 8192},
    {"model": "Qwen3-0.6B", "batch_size": 1},
    {"model": "Qwen3-0.6B", "batch_size": 64},
    {"model": "Llama-3.1-70B", "batch_size": 1, "tensor_parallel": 4},
    {"model": "Llama-3.1-70B", "batch_size": 32, "tensor_parallel": 8, "input_length": 2048},
)


@cache
def telling(place: int) -> Callable[[str], Predict]:
    """Predictions of one of them, set up once."""
    return of_serving(ask(**TELLING[place]))  # type: ignore[arg-type]


def trained(**values: object) -> TrainingSpeedRequest:
    asked = {"model_name": "Qwen3-8B", "gpu": "h100-sxm-80gb", "mixed_precision": "bf16", **values}
    return training_speed_question(asked, lookup()).request


def measured(true: Factors, names: tuple[str, ...] = ("ttft_ms", "tpot_ms")) -> list[Figure]:
    """Figures of a machine that has these factors."""
    found = []
    for place in range(len(TELLING)):
        predict = telling(place)
        found += [Figure(n, place, predict(n)(true), NOISE_ELSE, predict(n)) for n in names]
    return found


def errors(found: Fit, figures: list[Figure]) -> list[float]:
    return [abs(after / figure.measured - 1) for after, figure in zip(found.after, figures, strict=True)]


def test_no_factor_changes_nothing() -> None:
    rates = setup().engine.rates
    assert corrected(rates, NONE) is rates
    answers = of_serving(ask())
    assert answers("tpot_ms")(NONE) == estimate_performance(ask()).figures["tpot_ms"]


@pytest.mark.parametrize(("name", "slower"), [(name, name.endswith("overhead")) for name in MECHANISMS])
def test_each_factor_has_its_direction(name: str, slower: bool) -> None:
    """More of a rate never takes longer, more of an overhead never less; each moves something."""
    moved = set()
    for place in range(len(TELLING)):
        predict = telling(place)
        for figure in ("ttft_ms", "tpot_ms"):
            less, more = (predict(figure)(replace(NONE, **{name: by})) for by in (0.8, 1.25))
            moved.add(more > 1.001 * less)
            assert (more > 0.9999 * less) if slower else (more < 1.0001 * less)
    assert slower in moved


@settings(max_examples=25, deadline=None)
@given(
    factors=FACTORS,
    model=st.sampled_from(["Llama-3.1-8B", "Qwen3-30B-A3B", "gpt-oss-20b"]),
    gpu=st.sampled_from(["h100-sxm-80gb", "l40s", "mi300x-192gb", "rtx-4090"]),
    backend=st.sampled_from(["vllm", "tensorrt-llm", "llama.cpp"]),
    batch=st.integers(1, 256),
    read=st.integers(1, 8192),
)
def test_no_correction_beats_physics(
    factors: Factors, model: str, gpu: str, backend: str, batch: int, read: int
) -> None:
    """However wrong the measurements, no answer lies under the roofline's floor."""
    calibration = Calibration(factors, (gpu,), (backend,))
    asked = ask(model, gpu, backend=backend, batch_size=batch, input_length=read)
    request = replace(asked, calibration=calibration)
    made, found = set_up(request), estimate_performance(request)
    works, rates = made.engine.stages[0].works, made.engine.rates
    held = min(batch, made.room)
    assert found.figures["tpot_ms"] > 1e3 * floor(works, Step(decoding=held, context=made.context), rates)
    assert found.figures["ttft_ms"] > 1e3 * floor(works, Step(prompts=held, length=read), rates)
    best = best_of_serving(asked)
    for name in SERVING:
        value = found.figures[name]
        assert value >= best(name) if name in TIMES else value <= best(name)


def test_corrections_count_where_they_were_measured() -> None:
    factors = Factors(**dict.fromkeys(MECHANISMS, 2.0))
    made = Calibration(factors, ("h100-sxm-80gb",), ("vllm",))
    assert made.on("h100-sxm-80gb", "vllm") == factors
    assert made.on("l40s", "vllm").changed == ("step_overhead", "token_overhead", "request_overhead")
    assert made.on("h100-sxm-80gb", "sglang").changed == ("memory_bandwidth", "compute", "network")
    assert made.on("l40s", "sglang") == NONE
    assert made.idle("l40s", "sglang") == MECHANISMS


@pytest.mark.parametrize(
    "true",
    [
        Factors(memory_bandwidth=0.8),
        Factors(compute=0.7),
        Factors(step_overhead=2.5),
        Factors(request_overhead=6.0),
        Factors(memory_bandwidth=0.85, compute=0.75, network=0.6, step_overhead=1.8, request_overhead=3.0),
        Factors(memory_bandwidth=1.03, compute=1.1, network=1.1, step_overhead=0.6, token_overhead=0.7),
    ],
    ids=lambda factors: "+".join(factors.changed),
)
def test_what_was_put_in_is_found_again(true: Factors) -> None:
    figures = measured(true)
    exact = [replace(figure, noise=0.002) for figure in figures]  # nothing but the factors differs
    found = fit(exact)
    assert max(errors(found, exact)) < 0.01
    for name in MECHANISMS:
        assert abs(log(getattr(found.factors, name) / getattr(true, name))) < 0.08, name


def test_with_scatter_corrections_stay_between_one_and_what_was_put_in() -> None:
    true = Factors(memory_bandwidth=0.8, compute=0.7, step_overhead=2.0, request_overhead=3.0)
    figures = measured(true)
    found = fit(figures)
    assert sum(errors(found, figures)) < 0.2 * sum(
        abs(before / figure.measured - 1) for before, figure in zip(found.before, figures, strict=True)
    )
    for name in true.changed:
        assert 0 < log(getattr(found.factors, name)) / log(getattr(true, name)) < 1.3
    for each in found.mechanisms:
        assert each.low <= each.factor <= each.high


def test_one_outlier_does_not_carry_the_rest_away() -> None:
    figures = measured(Factors(compute=0.8))
    spoiled = [replace(figures[0], measured=8 * figures[0].measured), *figures[1:]]
    found = fit(spoiled)
    assert found.factors.compute == pytest.approx(0.8, abs=0.1)
    assert sorted(errors(found, spoiled))[len(spoiled) // 2] < 0.1


def test_what_figures_do_not_tell_is_said() -> None:
    predict = of_serving(ask(batch_size=1))
    one = Figure("tpot_ms", 0, 1.2 * predict("tpot_ms")(NONE), NOISE_ELSE, predict("tpot_ms"))
    found = {each.name: each for each in fit([one]).mechanisms}
    assert found["network"].felt == found["request_overhead"].felt == 0
    assert found["network"].factor == 1 and not found["network"].corrected
    assert found["memory_bandwidth"].felt == found["step_overhead"].felt == 1
    assert not found["memory_bandwidth"].identified
    assert found["memory_bandwidth"].twin == "step_overhead"
    assert found["memory_bandwidth"].further >= 1


def test_each_measurement_is_predicted_by_the_others() -> None:
    figures = measured(Factors(memory_bandwidth=0.8, step_overhead=1.6))
    found = fit(figures)
    blind = without(figures, found)
    off = [abs(value / figure.measured - 1) for value, figure in zip(blind, figures, strict=True)]
    assert sum(off) >= sum(errors(found, figures))
    before = [abs(b / figure.measured - 1) for b, figure in zip(found.before, figures, strict=True)]
    assert sum(off) < 0.6 * sum(before)
    refit = fit([figure for figure in figures if figure.measurement != 0])
    again = figures[1].predict(refit.factors)
    assert blind[1] == pytest.approx(again, rel=0.03)


def test_training_is_found_again() -> None:
    true = Factors(memory_bandwidth=0.7, compute=0.8, step_overhead=1.5)
    runs = [
        trained(batch_size=1, sequence_length=512),
        trained(batch_size=8, sequence_length=4096),
        trained(model_name="Qwen3-0.6B", batch_size=1, sequence_length=256),
        trained(model_name="Qwen3-0.6B", batch_size=16, sequence_length=2048),
        trained(batch_size=2, sequence_length=2048, gradient_checkpointing="full"),
    ]
    figures = []
    for place, run in enumerate(runs):
        predict = of_training(run)("step_ms")
        figures.append(Figure("step_ms", place, predict(true), 0.002, predict))
    found = fit(figures, TRAINING_SPREAD)
    assert max(errors(found, figures)) < 0.01
    for name in ("memory_bandwidth", "compute", "step_overhead"):
        assert getattr(found.factors, name) == pytest.approx(getattr(true, name), rel=0.1)


def test_no_training_run_beats_the_peak() -> None:
    run = trained(batch_size=8, sequence_length=4096)
    fastest = Factors(**dict.fromkeys(OF_TRAINING, 50.0)).of(("memory_bandwidth", "compute", "network"))
    quick = replace(fastest, step_overhead=LEAST)
    best = best_of_training(run)
    for name in TRAINING:
        value = of_training(run)(name)(quick)
        assert value > best(name) if name in TIMES else value < best(name)


def test_small_systems_are_solved() -> None:
    matrix = [[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]]
    found = solve(matrix, [1.0, 2.0, 3.0])
    again = [sum(a * x for a, x in zip(row, found, strict=True)) for row in matrix]
    assert again == pytest.approx([1.0, 2.0, 3.0])
    product = [
        [sum(a * b for a, b in zip(row, c, strict=True)) for c in zip(*inverse(matrix), strict=True)]
        for row in matrix
    ]
    assert product[0] == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)
    assert product[1] == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)


def test_mechanisms_are_the_factors() -> None:
    assert set(Factors.__struct_fields__) == set(MECHANISMS) == set(SPREAD)
    assert set(TRAINING_SPREAD) == set(OF_TRAINING)
    assert asdict(NONE) == dict.fromkeys(MECHANISMS, 1.0)
