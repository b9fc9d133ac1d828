"""Orchestration: names resolved, requests echoed, comparisons put together; no HTTP in it."""

from pathlib import Path
from typing import Any

import pytest

from app.errors import DomainError, UnknownName
from app.service import Service
from app.settings import read_settings

TINY = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(read_settings({}, data_folder=tmp_path_factory.mktemp("data"), hub_offline=True))


def codes(answer: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in answer["warnings"]]


@pytest.mark.parametrize("name", ["Qwen3-0.6B", "qwen3_0.6b", "Qwen/Qwen3-0.6B"])
def test_names_are_echoed_canonically(service: Service, name: str) -> None:
    found = service.memory("inference", {"model_name": name})
    assert found["parameters"]["model_name"] == found["model"]["name"] == "Qwen3-0.6B"


def test_a_stated_size_is_exact_whatever_the_dimensions_say(service: Service) -> None:
    found = service.memory("inference", {"model_size": 7, "precision": "float16"})
    assert found["memory_bytes"]["model_weights"] == 14 * 10**9
    assert found["memory_requirements"]["model_weights"] == "14.00 GB"
    assert "dimensions_lent" in codes(found)


def test_a_size_far_from_the_dimensions_is_said(service: Service) -> None:
    odd = {"model_size": 7, "num_hidden_layers": 2}
    assert "size_disagrees" in codes(service.memory("inference", odd))
    assert "size_disagrees" not in codes(service.memory("inference", {"model_size": 8.19}))


def test_lengths_in_two_ways_are_one(service: Service) -> None:
    apart = service.memory(
        "inference", {"model_name": "Qwen3-0.6B", "input_length": 1500, "output_length": 500}
    )
    whole = service.memory("inference", {"model_name": "Qwen3-0.6B", "sequence_length": 2000})
    assert apart["memory_bytes"] == whole["memory_bytes"]
    assert apart["parameters"]["sequence_length"] == 2000


def test_longer_than_the_context_is_answered_and_said(service: Service) -> None:
    found = service.memory("inference", {"model_name": "Qwen3-0.6B", "sequence_length": 10**6})
    assert "longer_than_context" in codes(found)


def test_gpus_stand_for_replicas(service: Service) -> None:
    asked = {"model_name": "Qwen3-0.6B", "num_gpus": 8, "tensor_parallel": 2}
    parameters = service.memory("training", asked)["parameters"]
    assert (parameters["data_parallel"], parameters["num_gpus"]) == (4, 8)


def test_defaults_are_echoed(service: Service) -> None:
    found = service.memory("training", {"config": TINY})["parameters"]
    assert found["optimizer"] == "AdamW"
    assert found["batch_size"] == 1
    assert found["offload"] == {"optimizer": "none", "parameters": "none", "activations": "none"}


def test_unknown_names(service: Service) -> None:
    with pytest.raises(UnknownName):
        service.memory("inference", {"model_name": "Qwen3-7B"})
    with pytest.raises(UnknownName):
        service.memory("inference", {"config": TINY, "gpu": "no-such"})


def test_comparing_keeps_order_and_puts_errors_in_place(service: Service) -> None:
    def check(values: Any) -> Any:
        if "bad" in values:
            raise DomainError(found_message)
        return values

    from app.messages import Message

    found_message = Message("empty_body")
    asked = [{"config": TINY}, {"bad": 1}, {"config": TINY, "batch_size": 9}]
    found = service.compare("inference", asked, check, lambda error: {"code": error.code})
    assert found["results"][1] == {"code": "invalid_request"}
    assert (
        found["results"][2]["memory_bytes"]["kv_cache"] == 9 * found["results"][0]["memory_bytes"]["kv_cache"]
    )
    assert "explanation" not in found["results"][0]
    assert (found["summary"]["smallest"], found["summary"]["largest"]) == (0, 2)
    assert [each["field"] for each in found["summary"]["differences"]] == ["batch_size"]


def test_a_users_model_is_found_by_calculations(tmp_path: Path) -> None:
    service = Service(read_settings({}, data_folder=tmp_path))
    service.register({"name": "own", "config": TINY})
    assert service.memory("inference", {"model_name": "own"})["model"]["name"] == "own"
    service.delete("own")
    with pytest.raises(UnknownName):
        service.memory("inference", {"model_name": "own"})


def test_readiness(service: Service, tmp_path: Path) -> None:
    assert service.failures() == []
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert Service(read_settings({}, data_folder=blocked)).failures()
