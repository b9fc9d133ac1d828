"""The Python interface: the same answers as HTTP, typed, and pleasant in a notebook."""

from pathlib import Path
from typing import Any

import pytest

import app as package
import llm_estimate
from app import (
    Device,
    DomainError,
    PerformanceEstimator,
    Result,
    compare,
    create_accelerator,
    estimate,
    inspect,
    list_accelerators,
    list_models,
    memory_inference,
    memory_training,
    performance_inference,
    performance_training,
    recommend,
    sweep,
    validate_log,
)
from app.api.schemas.base import StrictSchema
from app.api.schemas.inference import InferenceSchema
from app.api.schemas.performance import PerformanceSchema
from app.api.schemas.training import TrainingSchema
from app.api.schemas.training_speed import TrainingSpeedSchema
from app.errors import InvalidRequest, UnknownName
from app.estimator import fields
from app.estimator.local import Local
from app.settings import read_settings

from .registry.gguf_writer import gguf, llama


def test_the_example_of_the_documentation() -> None:
    result = PerformanceEstimator().estimate(
        model_name="qwen3-8b",
        hardware_config={"accelerator": "rtx-4090"},
        model_config={"batch_size": 1, "precision": "fp16"},
    )
    assert result["memory_usage_gb"] == result["memory_bytes"]["inference_memory"] / 1e9
    assert 16.4 < result["memory_usage_gb"] < 24
    assert result["throughput_tokens_per_sec"] > result["output_tokens_per_sec"] > 0
    assert result["ttft_ms"] > result["tpot_ms"] > 16.4 / 1.008
    assert result["bottleneck"] == "memory_bandwidth"
    assert (result["parameters"]["input_length"], result["parameters"]["output_length"]) == (1024, 256)


def test_an_accelerator_has_its_dense_figures() -> None:
    device = create_accelerator("rtx-4090")
    assert device.compute_capability_tflops == 165.2
    assert device.memory_bandwidth_gb_s == 1008
    assert create_accelerator("RTX4090", memory_gb=48).memory_bytes_usable == 48 * 2**30


def test_an_accelerator_of_ones_own() -> None:
    device = create_accelerator(memory_gb=80, memory_bandwidth_gb_s=2000, tflops={"bfloat16": 500})
    assert device.compute_capability_tflops == 500
    named = memory_inference("Qwen3-0.6B", gpu=device.request())
    assert memory_inference("Qwen3-0.6B", gpu=device)["fit"] == named["fit"]
    assert named["fit"]["usable_bytes"] == 80 * 2**30
    assert create_accelerator(memory_gb=8).compute_capability_tflops is None


def test_a_device_answers_as_its_name_does() -> None:
    asked: dict[str, Any] = {"input_length": 128, "output_length": 16}
    by_device = performance_inference("Qwen3-0.6B", gpu=create_accelerator("h100-sxm-80gb"), **asked)
    by_name = performance_inference("Qwen3-0.6B", gpu="h100-sxm-80gb", **asked)
    assert by_device["ttft_ms"] == by_name["ttft_ms"]
    assert by_device["fit"] == by_name["fit"]


@pytest.mark.parametrize("wrong", [{}, {"tflops": {"bf16": 1}}, {"name": "rtx-4091"}, {"memory_gb": -1}])
def test_a_wrong_accelerator_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DomainError) as caught:
        create_accelerator(**wrong)
    assert str(caught.value)


def test_a_model_is_given_in_three_forms() -> None:
    assert memory_inference(7, precision="float16")["memory_bytes"]["model_weights"] == 14 * 10**9
    config = {"model_type": "llama", "num_hidden_layers": 2, "dtype": "bfloat16"}
    assert memory_inference(config)["model"]["model_type"] == "llama"
    assert memory_inference("qwen3-8b") == memory_inference(model_name="qwen3-8b")


def test_every_function_answers() -> None:
    assert memory_training("Qwen3-0.6B", method="lora", lora={"target_modules": ("q_proj",)})["timeline"]
    speed = performance_training("Qwen3-0.6B", gpu="h100-sxm-80gb", tokens=10**9)
    assert speed["tokens_per_sec"] > 0
    assert speed["days"] > 0
    assert recommend("qwen3-8b", gpus=["rtx-4090"], max_gpus=1)["options"]
    for task in ("inference", "training"):
        whole = estimate("qwen3-0.6b", task=task, gpu="rtx-4090", gpus=["l4"], max_gpus=2)
        assert whole["memory"]["memory_bytes"] == whole["memory_bytes"]
        assert {"performance", "recommendation"} <= set(whole)
    both = compare("inference", [{"model_name": "Qwen3-0.6B"}, {"model_name": "none"}])
    assert both["results"][1]["status"] == 404
    assert inspect("Qwen/Qwen3-0.6B")["parameters"]["total"] == 596049920
    assert inspect({"model_type": "llama"}, tensors=True)["tensors_total"] > 100
    assert list_models(search="qwen3", limit=2)["models"]
    assert {each["device_type"] for each in list_accelerators(type="tpu")["gpus"]} == {"tpu"}
    grid = sweep("memory_inference", {"batch_size": range(1, 4), "gpu": ["l4"]}, {"model_name": "qwen3-0.6b"})
    assert len(grid) == len(list(grid)) == 3
    log = "Model loading took 15.27 GiB memory and 3 seconds\n"
    assert validate_log(log, model_name="Qwen3-8B", gpu="H100-80GB")["terms"]


def test_sentences_come_in_the_language_asked_for() -> None:
    asked: dict[str, Any] = {"model_size": 7}
    assert memory_inference(**asked)["warnings"] != memory_inference(language="zh", **asked)["warnings"]


def test_wrong_input_names_every_problem() -> None:
    with pytest.raises(InvalidRequest) as caught:
        memory_inference("qwen3-8b", batch_size=0, tensor_parallel="2")  # type: ignore[arg-type]
    assert {problem.field for problem in caught.value.problems} == {"batch_size", "tensor_parallel"}
    with pytest.raises(UnknownName) as unknown:
        memory_inference("qwen3-8")
    assert "Qwen3-8B" in unknown.value.closest
    with pytest.raises(InvalidRequest):
        memory_inference("qwen3-8b", gpu=object())  # type: ignore[arg-type]


def test_a_file_of_this_machine_is_inspected(tmp_path: Path) -> None:
    path = tmp_path / "Tiny-Q4_K.gguf"
    path.write_bytes(gguf(*llama()))
    found = inspect(str(path), tensors=True)
    assert (found["name"], found["tensors_total"]) == ("Tiny-Q4_K", 21)
    assert (
        memory_inference(found["config"], backend="pytorch")["memory_bytes"]["model_weights"]
        == (found["checkpoint_bytes"])
    )


def test_paths_that_are_not_there_are_said() -> None:
    local = Local(read_settings({}))
    for ask in (local.get, lambda path: local.post(path, {})):
        with pytest.raises(UnknownName):
            ask("/api/nothing")


@pytest.mark.parametrize(
    ("typed", "schema"),
    [
        (fields.InferenceFields, InferenceSchema()),
        (fields.TrainingFields, TrainingSchema()),
        (fields.PerformanceFields, PerformanceSchema()),
        (fields.TrainingSpeedFields, TrainingSpeedSchema()),
    ],
)
def test_types_name_the_fields_of_the_schemas(typed: type, schema: StrictSchema) -> None:
    assert set(typed.__annotations__) == set(schema.load_fields)


def test_a_notebook_shows_tables_and_nothing_runs() -> None:
    shown = memory_inference(
        {"model_type": "llama", "_name_or_path": "<script>"}, gpu="rtx-4090"
    )._repr_html_()
    assert "<script>" not in shown
    assert "inference_memory" in shown
    assert "fits" in shown
    assert "1008" in create_accelerator("rtx-4090")._repr_html_()
    assert "total" in Result(list_models(limit=1))._repr_html_()


def test_names_are_exported_and_the_shim_is_the_package() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert getattr(llm_estimate, name) is not None
    assert isinstance(llm_estimate.create_accelerator("l4"), Device) is False, "a checkout has two names"
    assert llm_estimate.create_accelerator("l4").name == "l4"
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError):
        package.nothing  # noqa: B018
