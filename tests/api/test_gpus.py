"""Accelerators over HTTP."""

import pytest
from flask.testing import FlaskClient


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("RTX-4090", "rtx-4090"),
        ("RTX4090", "rtx-4090"),
        ("nvidia geforce rtx 4090", "rtx-4090"),
        ("H100-80GB", "h100-sxm-80gb"),
    ],
)
def test_by_the_names_that_people_type(client: FlaskClient, typed: str, name: str) -> None:
    assert client.get(f"/api/gpus/{typed}").get_json()["name"] == name


def test_an_alias_of_several_says_which_was_taken(client: FlaskClient) -> None:
    found = client.get("/api/gpus/V100").get_json()
    assert "gpu_alias_usual" in [warning["code"] for warning in found["warnings"]]


def test_filters(client: FlaskClient) -> None:
    every = client.get("/api/gpus").get_json()
    assert every["total"] == len(every["gpus"]) >= 100
    found = client.get("/api/gpus?type=GPU&vendor=nvidia&min_memory_gb=100").get_json()["gpus"]
    assert found
    assert all(each["vendor"] == "NVIDIA" and each["memory_gb"] >= 100 for each in found)


def test_an_object_overrides(client: FlaskClient) -> None:
    def usable(gpu: object) -> int:
        body = {"model_name": "Qwen3-0.6B", "gpu": gpu}
        return int(client.post("/api/memory/inference", json=body).get_json()["fit"]["usable_bytes"])

    assert usable({"memory_gb": 10}) == usable({"name": "H100-80GB", "memory_gb": 10})
    assert usable({"name": "H100-80GB"}) == usable("H100-80GB") > usable({"memory_gb": 10})
