"""`/api/sweeps`: small grids at once, larger ones queued, their state, their result, and the end of them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

from app.settings import read_settings
from app.store import Store
from app.sweeps import runner
from app.sweeps.runner import Runner
from app.sweeps.workers import Computed

from ..sweeps.test_runner import Here
from .conftest import AppMaker

SMALL: dict[str, Any] = {
    "calculation": "performance_inference",
    "fixed": {"model_name": "qwen3-0.6b", "output_length": 10},
    "vary": {
        "gpu": ["l4", "h100"],
        "batch_size": [1, 8],
        "input_length": {"from": 100, "to": 300, "step": 100},
    },
}
LARGE: dict[str, Any] = {**SMALL, "vary": {**SMALL["vary"], "batch_size": {"from": 1, "to": 200}}}
LOCAL = {"base_url": "http://127.0.0.1"}


@pytest.fixture
def waiting(make_app: AppMaker, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A client of a service beside which no runner lives."""
    monkeypatch.setattr(runner, "start_runner", lambda _settings: None)
    return make_app().test_client()


def _run(tmp_path: Path) -> None:
    """Work off what is queued."""
    store = Store.from_settings(read_settings({}, data_folder=tmp_path / "data"))
    Runner(store.sweeps, Here, lambda: True).run(0.0)


def test_a_small_grid_is_answered_at_once(client: FlaskClient) -> None:
    reply = client.post("/api/sweeps", json=SMALL, **LOCAL)
    assert reply.status_code == 200, reply.json
    answer = reply.json
    assert (answer["state"], answer["total"], answer["done"], len(answer["rows"])) == ("done", 12, 12, 12)
    for row in (answer["rows"][0], answer["rows"][-1]):
        lone = {**SMALL["fixed"], **{name: row[name] for name in ("gpu", "batch_size", "input_length")}}
        single = client.post("/api/performance/inference", json=lone).json
        for name in ("ttft_ms", "tpot_ms", "requests_per_sec", "cost_per_million_tokens", "bottleneck"):
            assert row[name] == single[name]
        assert row["inference_memory"] == single["memory_bytes"]["inference_memory"]
        assert row["fits"] == single["fit"]["fits"]


def test_a_large_grid_is_queued_computed_and_fetched(waiting: FlaskClient, tmp_path: Path) -> None:
    reply = waiting.post("/api/sweeps", json=LARGE, **LOCAL)
    assert reply.status_code == 202, reply.json
    path = reply.headers["Location"]
    assert path == f"/api/sweeps/{reply.json['id']}"
    assert len(reply.json["id"]) >= 22
    assert (reply.json["state"], reply.json["total"], reply.json["done"]) == ("queued", 1200, 0)
    early = waiting.get(f"{path}/result")
    assert (early.status_code, early.json["code"]) == (409, "sweep_not_done")
    _run(tmp_path)
    state = waiting.get(path).json
    assert (state["state"], state["done"]) == ("done", 1200)
    lines = waiting.get(f"{path}/result")
    assert lines.content_type == "application/x-ndjson"
    rows = [json.loads(line) for line in lines.data.splitlines()]
    assert len({(row["gpu"], row["batch_size"], row["input_length"]) for row in rows}) == len(rows) == 1200
    table = waiting.get(f"{path}/result?format=parquet")
    assert table.content_type == "application/vnd.apache.parquet"
    assert pq.read_table(io.BytesIO(table.data)).num_rows == 1200
    assert waiting.delete(path, **LOCAL).status_code == 204
    assert waiting.get(path).status_code == waiting.delete(path, **LOCAL).status_code == 404


def test_a_users_model_goes_with_the_sweep(waiting: FlaskClient, tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 2,
        "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 1000, "torch_dtype": "bfloat16",
    }  # fmt: skip
    assert waiting.post("/api/models", json={"name": "mine", "config": config}, **LOCAL).status_code == 201
    body = {
        "calculation": "memory_inference",
        "vary": {"model": ["mine", "qwen3-0.6b", "nobody"], "batch_size": {"from": 1, "to": 500}},
    }
    path = waiting.post("/api/sweeps", json=body, **LOCAL).headers["Location"]
    assert waiting.delete("/api/models/mine", **LOCAL).status_code == 204
    _run(tmp_path)
    rows = [json.loads(line) for line in waiting.get(f"{path}/result").data.splitlines()]
    assert [row["model"] for row in rows[::500]] == ["mine", "Qwen3-0.6B", "nobody"]
    assert [row.get("error") for row in rows[::500]] == [None, None, "not_found"]


class _Cancelled(Here):
    """Workers that cancel what they compute."""

    def __init__(self, client: FlaskClient, path: str) -> None:
        super().__init__()
        self._client, self._path = client, path

    def compute(self, document: bytes, indices: Any) -> Iterator[Computed | None]:
        for part in super().compute(document, indices):
            yield part
            if part is not None:
                self._client.delete(self._path, **LOCAL)


def test_a_running_sweep_can_be_cancelled(waiting: FlaskClient, tmp_path: Path) -> None:
    slow = {**LARGE, "fixed": {**LARGE["fixed"], "request_rate": 0.1}}
    path = waiting.post("/api/sweeps", json=slow, **LOCAL).headers["Location"]
    store = Store.from_settings(read_settings({}, data_folder=tmp_path / "data"))
    workers = _Cancelled(waiting, path)
    Runner(store.sweeps, lambda: workers, lambda: True).run(0.0)
    assert sum(workers.asked.values()) == 2  # the one after it was on its way
    assert waiting.get(path).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"calculation": "memory"}, "calculation"),
        ({"vary": {}}, "vary"),
        ({"vary": {"batch_size": [0]}}, "batch_size"),
        ({"fixed": 3}, "fixed"),
        ({"rows": 1}, "rows"),
    ],
)
def test_wrong_requests(client: FlaskClient, change: dict[str, Any], field: str) -> None:
    reply = client.post("/api/sweeps", json={**SMALL, **change}, **LOCAL)
    assert reply.status_code == 400
    assert field in [each["field"] for each in reply.json["details"]]


def test_sweeps_are_writes_and_looking_makes_no_store(make_app: AppMaker, tmp_path: Path) -> None:
    client = make_app(host="0.0.0.0").test_client()
    assert client.post("/api/sweeps", json=SMALL).status_code == 403
    assert client.delete("/api/sweeps/x").status_code == 403
    for path in ("/api/sweeps/x", "/api/sweeps/x/result"):
        reply = client.get(path)
        assert (reply.status_code, reply.json["code"]) == (404, "not_found")
    assert not (tmp_path / "data").exists()


def test_parquet_without_its_library(
    waiting: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = waiting.post("/api/sweeps", json=LARGE, **LOCAL).headers["Location"]
    _run(tmp_path)
    monkeypatch.setattr("app.sweeps.results.find_spec", lambda _name: None)
    reply = waiting.get(f"{path}/result?format=parquet")
    assert (reply.status_code, reply.json["code"]) == (400, "not_supported_yet")
    assert "llm-estimate[sweeps]" in reply.json["error"]
