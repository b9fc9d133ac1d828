"""What a request for a sweep may say, and how it is refused."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from app.errors import InvalidRequest
from app.sweeps import sizes

from .questions import VARY, grid


def test_values_are_those_that_the_service_uses() -> None:
    found = grid(
        {"backend": ["VLLM", "llama-cpp"], "gpu": ["h100", {"memory_gb": 30}]}, {"model_name": "QWEN3_0.6B"}
    )
    assert found.fixed == {"model_name": "Qwen3-0.6B"}
    assert found.axes[0].places == ["vllm", "llama.cpp"]
    assert found.axes[1].places[0] == "h100-sxm-80gb"


def test_a_range_stays_a_range_and_powers_are_listed() -> None:
    by_name = {axis.name: axis for axis in grid().axes}
    assert by_name["sequence_length"].places == range(100, 301, 100)
    assert by_name["batch_size"].places == [1, 2, 4, 8]
    assert by_name["model"].places == [{"model_name": "Qwen3-0.6B"}, {"model_size": 7}]


@pytest.mark.parametrize(
    ("vary", "field", "code"),
    [
        ({}, "vary", "is_missing"),
        ({"batch_size": []}, "vary.batch_size", "sweep_not_an_axis"),
        ({"batch_size": 3}, "vary.batch_size", "sweep_not_an_axis"),
        ({"batch_size": [1, 0]}, "vary.batch_size[1]", "out_of_range"),
        ({"batch_size": {"from": 2, "to": 1}}, "vary.batch_size", "sweep_not_a_range"),
        ({"batch_size": {"from": 1, "to": 2, "by": 1}}, "vary.batch_size", "sweep_not_a_range"),
        ({"batch_size": {"from": 1, "to": 2, "step": 0}}, "vary.batch_size", "sweep_not_a_range"),
        ({"batch_size": {"from": 1, "to": 2, "step": 1, "times": 2}}, "vary.batch_size", "sweep_not_a_range"),
        ({"batch_size": {"from": 0, "to": 2, "times": 2}}, "vary.batch_size", "sweep_not_a_range"),
        ({"batch_size": {"from": 1, "to": 2**21}}, "vary.batch_size[2097151]", "out_of_range"),
        ({"backend": ["vllm", "vlm"]}, "vary.backend[1]", "not_a_choice"),
        ({"bach_size": [1]}, "bach_size", "unknown_field_closest"),
        ({"layout": [2]}, "vary.layout[0]", "not_object"),
        ({"layout": [{}]}, "vary.layout[0]", "not_object"),
        ({"batch_size": [1], "variant": [{"batch_size": 2}]}, "vary.variant", "sweep_field_twice"),
        ({"gpu": ["L4"]}, "vary.gpu", "sweep_field_twice"),
        ({"solve_for": ["max_batch_size"]}, "solve_for", "sweep_idle_field"),
        ({"sequence_length": [1], "input_length": [2]}, "sequence_length", "two_lengths"),
        ({"batch_size": [1] * 10_001}, "vary", "sweep_too_many_values"),
    ],
)
def test_wrong_axes_are_named(vary: Mapping[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        grid(vary, {"model_name": "Qwen3-0.6B", "gpu": "L4"})
    problem = refused.value.problems[0]
    assert (problem.field, problem.message.code) == (field, code)


@pytest.mark.parametrize(
    ("more", "calculation", "most"),
    [
        ({}, "performance_inference", 5_000_000),
        ({"request_rate": 2}, "performance_inference", 100_000),
        ({"request_rate": 2, "mode": "simulate"}, "performance_inference", 1000),
        ({}, "memory_training", 100_000),
    ],
)
def test_limits_by_how_points_are_read(more: Mapping[str, Any], calculation: str, most: int) -> None:
    found = grid({"batch_size": [1, 2]}, {"model_name": "Qwen3-0.6B", "gpu": "L4", **more}, calculation)
    assert sizes.most_points(found, 5_000_000) == most


def test_too_many_points_are_refused_with_the_limit() -> None:
    with pytest.raises(InvalidRequest, match="48 points; at most 47"):
        sizes.check_size(grid(), 47)
    sizes.check_size(grid(), 48)


def test_parts_cover_every_point_once() -> None:
    found = grid({**VARY, "sequence_length": {"from": 1, "to": 5000}})
    covered = [sizes.bounds(found, index) for index in range(sizes.parts(found))]
    assert covered[0][0] == 0
    assert covered[-1][1] == found.total
    assert all(before[1] == after[0] for before, after in pairwise(covered))
