"""Which coefficients apply, and what is said where none were measured."""

import pytest

from app.errors import InvalidRequest
from app.performance.coefficients import coefficients, device_class, runtime_row
from app.performance.inference import estimate_performance
from tests.performance.questions import ask, lookup


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (None, "tensorrt-llm 1.0"),
        ("0.17", "tensorrt-llm 0.14"),
        ("0.9.0", "tensorrt-llm 0.8"),
        ("0.1", "tensorrt-llm 0.5"),
    ],
)
def test_a_version_takes_the_newest_row_that_is_not_newer(version: str | None, name: str) -> None:
    assert runtime_row("tensorrt-llm", version, "cuda")["name"] == name


def test_platforms_have_rows_of_their_own() -> None:
    assert runtime_row("vllm", None, "rocm")["platform"] == "rocm"
    assert runtime_row("sglang", None, "rocm")["name"] == "sglang 0.5"


def test_every_row_is_dated_and_measured_ones_name_their_sources() -> None:
    data = coefficients()
    rows = [*data["runtimes"], *data["servers"].values(), *data["llama_cpp"].values()]
    assert all(row["date"] for row in rows)
    for row in (*rows, *data["devices"].values()):
        assert not row.get("rows") or row["sources"]


def test_an_old_version_is_timed_with_its_own_row() -> None:
    old, new = (estimate_performance(ask(backend_version=v, batch_size=32)) for v in ("0.5", "0.19"))
    assert old.figures["tpot_ms"] > new.figures["tpot_ms"]
    assert old.parameters["backend_version"] == "0.5"
    assert "speed_memory_rules" in {message.code for message in old.warnings}


@pytest.mark.parametrize(
    ("gpu", "code"), [("gaudi2-96gb", "speed_device_prior"), ("rtx-3090", "speed_device_prior")]
)
def test_a_class_that_nobody_measured_is_said_and_wider(gpu: str, code: str) -> None:
    known, unknown = estimate_performance(ask()), estimate_performance(ask(gpu=gpu))
    assert code in {message.code for message in unknown.warnings}

    def width(found: object) -> float:
        low, high = found.ranges["tpot_ms"]  # type: ignore[attr-defined]
        return float(high / low)

    assert width(unknown) > width(known)


def test_a_runtime_that_nobody_measured_is_said() -> None:
    found = estimate_performance(ask(backend="transformers"))
    assert "speed_runtime_prior" in {message.code for message in found.warnings}


def test_every_accelerator_has_a_class() -> None:
    rows = {*coefficients()["devices"], "ampere_gddr", "blackwell_gddr"}
    assert {device_class(gpu) for gpu in lookup().gpus.list(None, None, None)} <= rows


@pytest.mark.parametrize("missing", ["memory_bandwidth_gb_s", "tflops"])
def test_a_device_of_unknown_speed_is_refused_by_field(missing: str) -> None:
    gpu = {"memory_gb": 80, "memory_bandwidth_gb_s": 2000, "tflops": {"bf16": 300}}
    with pytest.raises(InvalidRequest) as refused:
        estimate_performance(ask(gpu={k: v for k, v in gpu.items() if k != missing}))
    assert refused.value.problems[0].field == f"gpu.{missing}"
