"""Rules about fields that cannot matter."""

from app.architecture import read_config
from app.memory.requests import Model, TrainingRequest
from app.service.neutral import neutral_fields

MODEL = Model(read_config({"model_type": "llama", "num_hidden_layers": 1}), "tiny")


def fields(request: TrainingRequest, given: dict[str, object]) -> list[object]:
    return [message.params["field"] for message in neutral_fields(request, given)]


def test_only_given_fields_are_spoken_of() -> None:
    assert fields(TrainingRequest(MODEL), {}) == []
    assert fields(TrainingRequest(MODEL), {"momentum": 0.5}) == ["momentum"]


def test_a_field_that_matters_is_not_spoken_of() -> None:
    assert fields(TrainingRequest(MODEL, optimizer="SGD"), {"momentum": 0.5}) == []
    assert fields(TrainingRequest(MODEL, method="lora"), {"lora": {"rank": 1}}) == []
    assert fields(TrainingRequest(MODEL, zero_stage=1, data_parallel=2), {"zero_stage": 1}) == []
    assert fields(TrainingRequest(MODEL, zero_stage=1), {"zero_stage": 1}) == ["zero_stage"]
