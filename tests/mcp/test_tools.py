"""Tools take what the schemas take and answer as HTTP answers."""

import pytest
from jsonschema import Draft202012Validator

from app import memory_inference
from app.estimator.local import Local
from app.mcp.tools import TOOLS, Tool, call
from app.settings import read_settings


@pytest.fixture(scope="module")
def local() -> Local:
    return Local(read_settings({}))


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_every_tool_says_what_it_takes(tool: Tool) -> None:
    Draft202012Validator.check_schema(tool.input_schema)
    assert tool.description.endswith(".")
    if tool.schema is not None:
        assert set(tool.input_schema["properties"]) == set(tool.schema.load_fields)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("memory_inference", {"model_name": "qwen3-8b", "gpu": "rtx-4090"}),
        ("memory_training", {"model_name": "qwen3-0.6b", "method": "lora", "lora": {"rank": 8}}),
        ("memory_compare", {"calculation_type": "inference", "configurations": [{"model_size": 7}]}),
        ("performance_inference", {"model_name": "qwen3-8b", "gpu": "rtx-4090", "input_length": 64}),
        ("performance_training", {"model_name": "qwen3-0.6b", "gpu": "h100-sxm-80gb"}),
        ("recommend", {"task": "inference", "model_name": "qwen3-8b", "gpus": ["rtx-4090"]}),
        ("inspect_config", {"config": {"model_type": "llama"}}),
        ("list_models", {"search": "qwen3", "limit": 2}),
        ("list_accelerators", {"type": "tpu"}),
        ("model", {"name": "Qwen/Qwen3-0.6B"}),
        ("accelerator", {"name": "rtx-4090"}),
    ],
)
def test_what_the_schema_allows_is_answered(local: Local, name: str, given: dict[str, object]) -> None:
    Draft202012Validator(TOOLS[name].input_schema).validate(given)
    answer, failed = call(local, name, given)
    assert not failed, answer
    assert answer


def test_the_answer_is_that_of_the_interface(local: Local) -> None:
    answer, _ = call(local, "memory_inference", {"model_name": "qwen3-8b"})
    assert answer == memory_inference("qwen3-8b")


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("memory_inference", {"model_name": "qwen3-8"}, "not_found"),
        ("memory_inference", {"batch_siz": 1}, "invalid_request"),
        ("model", {}, "invalid_request"),
        ("nothing", {}, "not_found"),
    ],
)
def test_what_is_wrong_is_said_in_the_one_shape(
    local: Local, name: str, given: dict[str, object], code: str
) -> None:
    body, failed = call(local, name, given)
    assert failed
    assert body["code"] == code
    assert body["error"]
