"""The array form says of every lane what the calculation says of that point alone."""

from collections.abc import Mapping
from functools import cache
from math import isclose
from typing import Any

import numpy as np
import pytest

from app.errors import DomainError
from app.memory.runtimes.choices import BACKENDS
from app.service.lookup import Lookup
from app.sweeps import CALCULATIONS, forms
from app.sweeps.forms import FORMS
from app.sweeps.tasks import builtin

MODELS = (
    "Qwen3-8B",
    "Qwen3-30B-A3B",
    "DeepSeek-V3",
    "gemma-3-27b-it",
    "Falcon-H1-7B-Instruct",
    "gpt-oss-20b",
    "Llama-4-Scout-17B-16E-Instruct",
)
LAYOUTS: tuple[Mapping[str, int], ...] = (
    {},
    {"tensor_parallel": 2},
    {"pipeline_parallel": 3},
    {"tensor_parallel": 2, "pipeline_parallel": 2, "data_parallel": 3},
)
LENGTHS = {
    "batch_size": [1, 2, 3, 64, 200, 1024, 5000, 7, 33, 256],
    "input_length": [1, 17, 500, 1023, 2048, 8192, 40_000, 100_000, 131_072, 3],
    "output_length": [1, 0, 2, 100, 511, 1024, 8000, 1, 0, 30_000],
}
EXACT = (
    "num_gpus",
    "max_in_flight",
    "free_bytes",
    "inference_memory",
    *forms.FORMS["memory_inference"].kinds,
)


def _lanes(some: slice = slice(None)) -> dict[str, Any]:
    return {name: np.array(values[some]) for name, values in LENGTHS.items()}


@cache
def _lookup() -> Lookup:
    return builtin()


def _same(calculation: str, values: Mapping[str, Any], some: slice = slice(None)) -> int:
    """Compare both forms at the points of some lanes; how many were compared."""
    lanes = _lanes(some)
    try:
        found = FORMS[calculation].lanes(values, lanes, _lookup())  # type: ignore[misc]
    except DomainError as error:
        for lane in range(len(lanes["batch_size"])):
            with pytest.raises(type(error)) as alone:
                FORMS[calculation].point({**values, **_point(lanes, lane)}, _lookup())
            assert alone.value.message == error.message
        return 0
    assert found is not None, values
    count = len(lanes["batch_size"])
    columns = {name: _each(column, count) for name, column in found.items()}
    for lane in range(count):
        point = FORMS[calculation].point({**values, **_point(lanes, lane)}, _lookup())
        for name, alone in point.items():
            together = columns[name][lane]
            assert _equal(name, together, alone), (values, _point(lanes, lane), name, together, alone)
    return count


def _each(column: Any, count: int) -> list[Any]:
    if isinstance(column, list):
        return column
    if isinstance(column, np.ndarray) and column.ndim:
        return column.tolist()
    return [column] * count


def _point(lanes: Mapping[str, Any], lane: int) -> dict[str, int]:
    return {name: int(values[lane]) for name, values in lanes.items()}


def _equal(name: str, together: Any, alone: Any) -> bool:
    if name in EXACT or not isinstance(alone, float):
        return bool(together == alone)
    return isclose(together, alone, rel_tol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS[2:4])
def test_memory_of_every_backend(model: str, backend: str) -> None:
    assert _same(
        "memory_inference", {"model_name": model, "backend": backend, "gpu": "H100"}, slice(0, 10, 4)
    )


@pytest.mark.parametrize("backend", ("vllm", "sglang", "llama.cpp"))
@pytest.mark.parametrize("model", MODELS[2:4])
def test_speed(model: str, backend: str) -> None:
    assert _same(
        "performance_inference", {"model_name": model, "backend": backend, "gpu": "H100"}, slice(0, 10, 4)
    )


@pytest.mark.parametrize(
    "load",
    (
        {"request_rate": 0.02},
        {"request_rate": 0.02, "length_cv": 1.0, "data_parallel": 2},
        {"concurrency": 12},
        {"concurrency": 500, "num_requests": 600, "gpu": "L4"},
        {"length_cv": 0.5},
        {"request_rate": 0.01, "disaggregated": True},
        {"request_rate": 0.01, "speculative": {"draft": "Qwen3-0.6B", "num_tokens": 3}},
        {"concurrency": 4, "backend": "llama.cpp"},
    ),
    ids=str,
)
def test_speed_under_load(load: Mapping[str, Any]) -> None:
    assert _same("performance_inference", {"model_name": "Qwen3-8B", "gpu": "H100", **load}, slice(0, 10, 3))


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("calculation", ("memory_inference", "performance_inference"))
def test_every_layout(calculation: str, model: str, backend: str) -> None:
    base = {"model_name": model, "backend": backend, "gpu": "H100"}
    compared = [_same(calculation, {**base, **layout}) for layout in LAYOUTS]
    assert sum(compared) >= len(LENGTHS["batch_size"])


@pytest.mark.parametrize(
    "more",
    (
        {"gpu": "L4", "precision": "int4"},
        {"gpu": "B200", "quantization": "fp8"},
        {"backend_version": "0.11"},
        {"backend_version": "0.17", "max_num_seqs": 16},
        {"backend_version": "0.19", "max_num_batched_tokens": 40, "gpu": "A100"},
        {"max_num_seqs": 1, "kv_cache_dtype": "fp8"},
        {"enforce_eager": True, "max_loras": 2},
        {"block_size": 64, "gpu_memory_utilization": 0.2},
        {"backend": "sglang", "block_size": 16},
        {"backend": "tgi", "block_size": 16},
        {"backend": "transformers", "attention": "eager"},
        {"backend": "llama.cpp", "attention": "eager", "quantization": "q4_k_m"},
        {"prefix_hit_rate": 0.9, "expert_skew": 0.7},
        {"speculative": {"draft": "Qwen3-0.6B", "num_tokens": 3}, "tpot_definition": "all_tokens"},
    ),
    ids=str,
)
@pytest.mark.parametrize("model", [MODELS[0], pytest.param(MODELS[1], marks=pytest.mark.slow)])
def test_settings_that_change_the_formulas(model: str, more: Mapping[str, Any]) -> None:
    values = {"model_name": model, "gpu": "H100", **more}
    some = slice(0, 4) if more.get("attention") == "eager" else slice(0, 10, 2)  # less than 2^53 bytes
    assert _same("performance_inference", values, some)
    of_memory = {
        name: value
        for name, value in values.items()
        if name not in ("prefix_hit_rate", "expert_skew", "tpot_definition")
    }
    assert _same("memory_inference", of_memory, some)


@pytest.mark.parametrize("backend", ("vllm", "tgi", "transformers"))
@pytest.mark.parametrize(
    "more",
    ({"shared_prefix_length": 100}, {"images": {"count": 2, "width": 640, "height": 480}}),
    ids=("prefix", "images"),
)
def test_fields_that_need_some_length(more: Mapping[str, Any], backend: str) -> None:
    values = {"model_name": "gemma-3-27b-it", "gpu": "H100", "backend": backend, **more}
    long = {"batch_size": np.array([1, 64, 3, 9]), "sequence_length": np.array([600, 4096, 100_000, 700])}
    found = FORMS["memory_inference"].lanes(values, long, _lookup())  # type: ignore[misc]
    assert found is not None
    for lane in range(4):
        point = FORMS["memory_inference"].point({**values, **_point(long, lane)}, _lookup())
        assert {name: _each(column, 4)[lane] for name, column in found.items()} == pytest.approx(
            point, rel=1e-12
        )
    short = {**long, "sequence_length": np.array([600, 20, 100_000, 700])}
    assert FORMS["memory_inference"].lanes(values, short, _lookup()) is None  # type: ignore[misc]


def test_without_a_device_nothing_is_said_of_fitting() -> None:
    found = FORMS["memory_inference"].lanes({"model_name": "Qwen3-8B"}, _lanes(), _lookup())  # type: ignore[misc]
    assert found is not None
    assert "fits" not in found


def test_an_encoder_has_no_cache() -> None:
    config = {"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
    assert _same("memory_inference", {"config": config, "gpu": "L4"})


def test_integers_that_would_not_be_exact_are_left_to_the_other_form() -> None:
    values = {"model_name": "Qwen3-8B", "backend": "transformers", "attention": "eager"}
    lanes = {"batch_size": np.array([1, 2**20]), "sequence_length": np.array([2**27, 2**27])}
    assert FORMS["memory_inference"].lanes(values, lanes, _lookup()) is None  # type: ignore[misc]


@pytest.mark.parametrize("calculation", CALCULATIONS)
def test_every_figure_has_a_column(calculation: str) -> None:
    values = {"model_name": "Qwen3-0.6B", "gpu": "H100"}
    point = FORMS[calculation].point(values, _lookup())
    assert set(point) <= set(FORMS[calculation].kinds)
    loaded = {"saturation", "ttft_ms_p99", "tpot_ms_p99", "e2e_latency_ms_p99"}
    unknown = {"days", "gpu_hours", "cost_usd"}  # without a number of tokens
    assert set(FORMS[calculation].kinds) - set(point) <= loaded | unknown


def test_forms_are_those_that_may_be_asked() -> None:
    assert tuple(FORMS) == CALCULATIONS
