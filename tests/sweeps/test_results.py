"""Rows as JSON lines and as Parquet."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sweeps import forms, part
from app.sweeps.forms import Form
from app.sweeps.part import evaluate, pack, rows, significant, unpack
from app.sweeps.results import columns, ndjson, parquet
from app.sweeps.tasks import builtin

from .questions import grid


def _payloads(step: int = 20) -> list[bytes]:
    found = grid()
    return [
        pack(evaluate(found, start, min(found.total, start + step), builtin()))
        for start in range(0, found.total, step)
    ]


def test_json_lines_have_every_point() -> None:
    lines = b"".join(ndjson(grid(), _payloads())).splitlines()
    found = [orjson.loads(line) for line in lines]
    assert len(found) == grid().total
    assert (
        len(
            {
                (row["model"], row["tensor_parallel"], row["batch_size"], row["sequence_length"])
                for row in found
            }
        )
        == 48
    )
    assert {row["model"] for row in found} == {"Qwen3-0.6B", "7B"}
    assert list(found[0])[:4] == ["model", "tensor_parallel", "batch_size", "sequence_length"]


def test_a_point_that_cannot_be_answered_says_why() -> None:
    found = [orjson.loads(line) for line in b"".join(ndjson(grid(), _payloads())).splitlines()]
    refused = [row for row in found if "error" in row]
    assert refused == [row for row in found if row["tensor_parallel"] == 3]
    assert refused[0]["error"] == "invalid_layout"
    assert "tensor_parallel 3" in refused[0]["error_message"]
    assert "inference_memory" not in refused[0]


def test_a_fault_of_ours_ends_no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    def point(values: Mapping[str, Any], _lookup: object) -> dict[str, Any]:
        if values["batch_size"] == 2:
            raise ZeroDivisionError("by zero")
        return {"num_gpus": 1}

    def lanes(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(forms.FORMS, "memory_inference", Form({"num_gpus": "integer"}, point, lanes))
    found = [orjson.loads(line) for line in b"".join(ndjson(grid(), _payloads())).splitlines()]
    assert len(found) == 48
    assert {row["batch_size"] for row in found if row.get("error") == "internal_error"} == {2}
    assert {row.get("error_message") for row in found} == {None, "ZeroDivisionError: by zero"}


def test_parquet_has_the_same_rows() -> None:
    table = pq.read_table(io.BytesIO(b"".join(parquet(grid(), _payloads()))))
    lines = [orjson.loads(line) for line in b"".join(ndjson(grid(), _payloads())).splitlines()]
    kept = [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
    assert kept == lines
    assert table.schema.names == list(columns(grid()))
    assert str(table.schema.field("inference_memory").type) == "int64"


def test_both_forms_write_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    found = grid()
    together = list(rows(unpack(pack(evaluate(found, 0, 48, builtin()))), columns(found)))
    monkeypatch.setattr(part, "has_arrays", lambda: False)
    assert list(rows(unpack(pack(evaluate(found, 0, 48, builtin()))), columns(found))) == together


def test_kinds_of_what_varies() -> None:
    vary = {
        "gpu_memory_utilization": [1, 0.5],
        "enforce_eager": [True, None],
        "speculative": [{"draft": "Qwen3-0.6B", "num_tokens": 2}],
    }
    found = columns(grid(vary, {"model_name": "Qwen3-0.6B"}))
    assert (found["gpu_memory_utilization"], found["enforce_eager"], found["speculative"]) == (
        "number",
        "boolean",
        "text",
    )


@given(st.floats(1e-12, 1e15))
def test_an_array_is_rounded_as_one_number_is(value: float) -> None:
    together = significant(np.array([value, -value, 0.0]))
    assert together.tolist() == pytest.approx([significant(value), significant(-value), 0.0], rel=1e-15)
    assert len(repr(float(together[0]))) <= max(len(repr(significant(value))), 18)
