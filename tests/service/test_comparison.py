"""Why answers differ, by field and component."""

from collections.abc import Mapping
from typing import Any

from app.service.comparison import Comparison


def sizes(values: Mapping[str, Any]) -> dict[str, int]:
    """A model of memory simple enough to check by hand."""
    weights = 100 // values.get("tensor_parallel", 1)
    cache = 10 * values.get("batch_size", 1)
    return {"model_weights": weights, "kv_cache": cache, "total": weights + cache}


def compare(*configurations: dict[str, Any] | None) -> dict[str, Any]:
    found = [None if each is None else sizes(each) for each in configurations]
    return Comparison(configurations, found, sizes).summary("total")


def test_smallest_and_largest_by_position() -> None:
    found = compare({"batch_size": 2}, {"batch_size": 1}, {"batch_size": 5})
    assert (found["by"], found["smallest"], found["largest"]) == ("total", 1, 2)


def test_one_field_varies() -> None:
    (difference,) = compare({"batch_size": 2}, {"batch_size": 5})["differences"]
    assert difference["field"] == "batch_size"
    assert difference["values"] == [2, 5]
    assert difference["bytes"] == {"kv_cache": [0, 30], "total": [0, 30]}


def test_each_field_is_charged_for_itself() -> None:
    """Two fields at once: each difference is that of changing this field alone."""
    found = compare({"batch_size": 1}, {"batch_size": 3, "tensor_parallel": 2})["differences"]
    charged = {each["field"]: each["bytes"] for each in found}
    assert charged["batch_size"] == {"kv_cache": [0, 20], "total": [0, 20]}
    assert charged["tensor_parallel"] == {"model_weights": [0, -50], "total": [0, -50]}


def test_failures_are_passed_by() -> None:
    found = compare(None, {"batch_size": 2}, None, {"batch_size": 3})
    assert (found["smallest"], found["largest"]) == (1, 3)
    assert found["differences"][0]["values"] == [None, 2, None, 3]
    assert found["differences"][0]["bytes"]["total"] == [None, 0, None, 10]


def test_nothing_but_failures() -> None:
    assert compare(None, None) == {"by": "total", "smallest": None, "largest": None, "differences": []}


def test_equal_configurations_do_not_differ() -> None:
    assert compare({"batch_size": 2, "unit": "GB"}, {"batch_size": 2, "unit": "GiB"})["differences"] == []


def test_what_belongs_together_varies_as_one() -> None:
    found = compare({"sequence_length": 9}, {"input_length": 4, "output_length": 5})["differences"]
    assert [each["field"] for each in found] == ["sequence_length"]
    assert found[0]["values"] == [9, {"input_length": 4, "output_length": 5}]
