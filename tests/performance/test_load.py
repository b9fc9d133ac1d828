"""Load in closed form, held against the simulation, and the way latencies move with it."""

from itertools import pairwise

import pytest
from msgspec.structs import replace

from app.performance.estimate import Flow
from app.performance.inference import estimate_performance
from app.performance.load import closed, poisson
from app.performance.replica import service_of
from app.performance.simulate import Random, simulate
from tests.performance.questions import ask, setup

FIGURES = ("ttft", "itl", "e2e")
# Runs that are averaged and their requests: queues near saturation settle slowly.
SEEDS = {0.2: 1, 0.5: 1, 0.8: 3}
REQUESTS = {0.2: 2000, 0.5: 2000, 0.8: 4000}
CASES = (
    ("Llama-3.1-8B", "h100-sxm-80gb", 512, 200, {}),
    ("Llama-3.1-8B", "h100-sxm-80gb", 4000, 100, {}),
    ("Llama-3.1-70B", "h200-sxm-141gb", 467, 256, {"tensor_parallel": 4}),
    ("Qwen3-30B-A3B", "h200-sxm-141gb", 1024, 256, {}),
)


def near(a: Flow, b: Flow, within: float) -> None:
    for name in FIGURES:
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=within), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}")
@pytest.mark.parametrize("load", [0.2, 0.5, 0.8])
def test_a_stream_is_as_simulated(case: tuple[str, str, int, int, dict[str, object]], load: float) -> None:
    model, gpu, read, written, more = case
    values = {"input_length": read, "output_length": written, "num_requests": REQUESTS[load], **more}
    rate = load * service_of(setup(model, gpu, request_rate=1.0, **values)).sustainable()
    found = setup(model, gpu, request_rate=rate, **values)
    runs = [
        simulate(replace(found, request=replace(found.request, seed=seed))) for seed in range(SEEDS[load])
    ]
    exact = poisson(found, rate)
    for name in FIGURES:
        simulated = sum(getattr(run, name) for run in runs) / len(runs)
        assert getattr(exact, name) == pytest.approx(simulated, rel=0.05), name


@pytest.mark.parametrize("concurrency", [8, 64])
def test_a_closed_loop_is_as_simulated(concurrency: int) -> None:
    found = setup(concurrency=concurrency, length_cv=0.5, num_requests=1500)
    exact, simulated = closed(found, concurrency), simulate(found)
    near(exact, simulated, 0.05)
    assert exact.requests_per_s == pytest.approx(simulated.requests_per_s, rel=0.08)


@pytest.mark.parametrize(("read", "concurrency", "within"), [(5000, 25, 0.2), (2048, 16, 0.3)])
def test_answers_of_one_length_keep_a_loop_in_step(read: int, concurrency: int, within: float) -> None:
    """Requests that began in one step end in one step: their prompts come in bunches of a whole step."""
    values = {"input_length": read, "output_length": 300, "num_requests": 600}
    fixed, mixed = (setup(concurrency=concurrency, length_cv=cv, **values) for cv in (0.0, 0.5))
    exact, simulated = closed(fixed, concurrency), simulate(fixed)
    assert exact.ttft == pytest.approx(simulated.ttft, rel=within)
    assert exact.ttft > 1.2 * closed(mixed, concurrency).ttft


def test_requests_that_all_come_at_once_wait_for_each_others_prompts() -> None:
    values = {"input_length": 1024, "output_length": 256, "num_requests": 300}
    found = setup(gpu="h200-sxm-141gb", concurrency=300, **values)
    exact, simulated = closed(found, 300), simulate(found)
    assert exact.ttft == pytest.approx(simulated.ttft, rel=0.25)  # a simulation leaves its first fifth out
    assert exact.tpot == pytest.approx(simulated.tpot, rel=0.15)
    assert exact.e2e == pytest.approx(simulated.e2e, rel=0.05)
    settled = closed(setup(gpu="h200-sxm-141gb", concurrency=300, **{**values, "num_requests": 10**6}), 300)
    assert exact.ttft > 5 * settled.ttft
    mixed = closed(setup(gpu="h200-sxm-141gb", concurrency=300, length_cv=1.0, **values), 300)
    assert mixed.tpot > exact.tpot  # short answers are written while prompts are read


def test_latencies_rise_with_load_and_throughput_ends_at_the_most() -> None:
    most = service_of(setup(request_rate=1.0)).sustainable()
    flows = [poisson(setup(request_rate=share * most), share * most) for share in (0.1, 0.4, 0.7, 0.95, 1.5)]
    for low, high in pairwise(flows):
        assert low.itl < high.itl
        assert low.ttft < high.ttft
    assert [flow.saturation for flow in flows] == pytest.approx([0.1, 0.4, 0.7, 0.95, 1.5])
    assert flows[-1].requests_per_s == pytest.approx(most)


def test_percentiles_are_in_order_and_around_the_mean() -> None:
    found = estimate_performance(ask(request_rate=8.0, length_cv=1.0))
    assert found.percentiles is not None
    for name, spread in found.percentiles.items():
        assert spread["p50"] <= spread["p90"] <= spread["p99"], name
        assert spread["p50"] < 1.5 * found.figures[name]
        assert spread["p99"] > found.figures[name] * 0.99


@pytest.mark.parametrize("name", ["itl_ms", "e2e_latency_ms"])
def test_percentiles_are_near_the_simulation(name: str) -> None:
    values = {"request_rate": 10.0, "length_cv": 1.0, "num_requests": 4000}
    exact = estimate_performance(ask(**values)).percentiles
    simulated = estimate_performance(ask(**values, mode="simulate")).percentiles
    assert exact is not None and simulated is not None
    for share in ("p50", "p90", "p99"):
        assert exact[name][share] == pytest.approx(simulated[name][share], rel=0.2), share


def test_a_simulation_is_told_by_its_seed() -> None:
    def run(seed: int) -> float:
        values = {"request_rate": 10.0, "mode": "simulate", "num_requests": 300, "seed": seed}
        return estimate_performance(ask(**values)).figures["ttft_ms"]

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize("cv", [0.3, 1.0, 2.0])
def test_simulated_lengths_have_the_spread_asked_for(cv: float) -> None:
    random = Random(7)
    values = [random.gamma(cv) for _ in range(20_000)]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    assert mean == pytest.approx(1.0, rel=0.05)
    assert variance**0.5 == pytest.approx(cv, rel=0.08)


def test_near_saturation_is_said_loudly_and_has_no_upper_bound() -> None:
    most = service_of(setup(request_rate=1.0)).sustainable()
    for load, code in ((0.95, "speed_near_saturation"), (1.3, "speed_overloaded")):
        found = estimate_performance(ask(request_rate=load * most))
        assert code in {message.code for message in found.warnings}
        low, high = found.ranges["ttft_ms"]
        assert high / low > 10


def test_what_is_answered_is_never_more_than_comes() -> None:
    found = estimate_performance(ask(request_rate=2.0))
    low, high = found.ranges["requests_per_sec"]
    assert low <= high == pytest.approx(2.0)


def test_prompts_alone() -> None:
    found = estimate_performance(ask(request_rate=3.0, output_length=1))
    assert found.figures["tpot_ms"] == 0
    assert found.figures["e2e_latency_ms"] == pytest.approx(found.figures["ttft_ms"])


def test_prompts_on_gpus_of_their_own_stretch_no_gap() -> None:
    values = {"request_rate": 6.0, "input_length": 4000}
    together = estimate_performance(ask(**values))
    apart = estimate_performance(ask(**values, disaggregated=True))
    assert apart.figures["itl_ms"] < together.figures["itl_ms"] / 1.3
    assert apart.parameters["num_gpus"] == 2 * together.parameters["num_gpus"]
    assert apart.percentiles is not None
    assert apart.percentiles["itl_ms"]["p99"] == pytest.approx(apart.figures["itl_ms"])
