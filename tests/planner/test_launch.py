"""Launch commands: every value quoted, sizes those of the option, files that parse."""

import json
import shlex
import unicodedata
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.planner.launch import kubernetes, printable, serving_launch
from app.planner.launch_training import training_launch
from app.planner.requests import Layout
from tests.planner.questions import planned, serving, trained, training

HOSTILE = "a/b; rm -rf $HOME `id` 'x'"


def words(command: str) -> list[str]:
    return shlex.split(command, comments=True)


def value(command: str, flag: str) -> str:
    found = words(command)
    return found[found.index(flag) + 1]


def launched(**fields: Any) -> tuple[Any, dict[str, Any]]:
    request = serving(**fields)
    option = planned(**fields).options[0]
    return option, serving_launch(option, request)


def test_vllm_has_the_sizes_of_the_option() -> None:
    option, launch = launched(tensor_parallel=2, gpus=["h100-sxm-80gb"], backend="vllm")
    assert set(launch) == {"vllm", "kubernetes"}
    command = launch["vllm"][0]
    assert words(command)[:3] == ["vllm", "serve", "Qwen/Qwen3-8B"]
    assert value(command, "--tensor-parallel-size") == "2"
    assert value(command, "--max-num-seqs") == str(option.batch)
    assert value(command, "--max-model-len") == "1280"


def test_runtimes_that_run_there_are_all_given() -> None:
    _, nvidia = launched(gpus=["h100-sxm-80gb"])
    assert set(nvidia) == {"vllm", "sglang", "tensorrt-llm", "kubernetes"}
    _, amd = launched(gpus=["mi300x-192gb"])
    assert set(amd) == {"vllm", "sglang", "kubernetes"} and "amd.com/gpu" in amd["kubernetes"]
    _, apple = launched(gpus=["m3-max-128gb"])
    assert value(apple["llama.cpp"][0], "--model") == "Qwen3-8B-Q8_0.gguf"


NAMES = st.text(st.characters(), min_size=1, max_size=40) | st.text(
    "-;|&$`'\"\\\n\r\t #*?<>()~!\x1b\u202e", min_size=1
)


@pytest.mark.parametrize("made", ["none", "awq"])
@given(NAMES)
@example("--config=/etc/passwd")
@example("-x\x15rm -rf ~\n")
@settings(max_examples=100, deadline=None)
def test_any_name_stays_one_word_that_no_program_takes_for_an_option(made: str, name: str) -> None:
    option, asked = _planned()
    option = replace(option, quantization=made)
    for runtime, commands in serving_launch(option, replace(asked, checkpoint=name)).items():
        for command in commands if isinstance(commands, list) else ():
            _check(command, {"vllm": 2, "sglang": 4, "tensorrt-llm": 1, "llama.cpp": 2}[runtime], name)


@given(NAMES)
@settings(max_examples=100, deadline=None)
def test_any_name_stays_one_word_of_a_training_command(name: str) -> None:
    option, asked = _trained()
    launch = training_launch(option, replace(asked, checkpoint=name))
    plain = training_launch(option, replace(asked, checkpoint="plain"))
    for tool in ("accelerate", "deepspeed", "torchrun"):
        for command in launch[tool]["commands"]:
            _check(command, words(command).index("--model_name_or_path") + 1, name)
        assert launch[tool].get("files") == plain[tool].get("files")


def _check(command: str, place: int, name: str) -> None:
    """The command is the same as for a plain name, but for that one word."""
    found = shlex.split(command)
    assert shlex.join(found) == command
    assert not [each for each in command if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp", "Cs")]
    assert not found[place].startswith("-")
    last = printable(name.rpartition("/")[2])
    assert last in found[place]


@cache
def _planned() -> tuple[Any, Any]:
    return planned(gpus=["h100-sxm-80gb"]).options[0], serving(gpus=["h100-sxm-80gb"])


@cache
def _trained() -> tuple[Any, Any]:
    options = trained(gpus=["h100-sxm-80gb"]).options
    return next(each for each in options if each.layout.gpus > 1), training(gpus=["h100-sxm-80gb"])


@pytest.mark.parametrize("name", ["vllm", "sglang", "tensorrt-llm"])
def test_hostile_names_stay_one_word(name: str) -> None:
    request = replace(serving(gpus=["h100-sxm-80gb"]), checkpoint=HOSTILE)
    option = replace(planned(gpus=["h100-sxm-80gb"]).options[0], quantization="none")
    for command in serving_launch(option, request)[name]:
        assert HOSTILE in words(command)


def test_formats_made_beforehand_are_other_folders() -> None:
    option, launch = launched(quantizations=["awq"], gpus=["h100-sxm-80gb"])
    assert option.quantization == "awq"
    assert words(launch["vllm"][0])[2] == "Qwen3-8B-awq"
    assert "--quantization" not in words(launch["vllm"][0])


def test_machines_are_joined() -> None:
    request = serving(gpus=["h100-sxm-80gb"])
    option = replace(planned(gpus=["h100-sxm-80gb"]).options[0], layout=Layout(8, 2))
    launch = serving_launch(option, request)
    assert launch["vllm"][0].startswith("ray start --head")
    assert value(launch["vllm"][-1], "--distributed-executor-backend") == "ray"
    assert [value(line, "--node-rank") for line in launch["sglang"]] == ["0", "1"]
    assert '"nvidia.com/gpu": 8' in kubernetes(option, 8)


def training_launched(**fields: Any) -> tuple[Any, dict[str, Any]]:
    request = training(**fields)
    option = next(o for o in trained(**fields).options if o.layout.data > 1 or o.layout.replica > 1)
    return option, training_launch(option, request)


def test_training_files_parse_and_agree_with_the_option() -> None:
    option, launch = training_launched(gpus=["h100-sxm-80gb"])
    deepspeed = json.loads(launch["deepspeed"]["files"]["deepspeed.json"])
    assert deepspeed["train_micro_batch_size_per_gpu"] == option.batch
    assert deepspeed["zero_optimization"]["stage"] == 3 and deepspeed["bf16"] == {"enabled": True}
    lines = dict(
        line.strip().split(": ", 1)
        for line in launch["accelerate"]["files"]["fsdp.yaml"].splitlines()
        if ": " in line
    )
    assert json.loads(lines["num_processes"]) == option.layout.gpus
    assert json.loads(lines["mixed_precision"]) == "bf16" and json.loads(lines["fsdp_version"]) == 2
    command = launch["torchrun"]["commands"][0]
    assert value(command, "--model_name_or_path") == "Qwen/Qwen3-8B"
    assert value(command, "--per_device_train_batch_size") == str(option.batch)


def test_layouts_that_cut_layers_start_megatron() -> None:
    option, launch = training_launched(framework="megatron", tensor_parallel=2, gpus=["h100-sxm-80gb"])
    command = launch["megatron"]["commands"][0]
    assert value(command, "--tensor-model-parallel-size") == "2"
    assert value(command, "--global-batch-size") == str(option.batch * option.layout.data)


def test_hostile_checkpoints_in_training_stay_one_word() -> None:
    request = replace(training(gpus=["h100-sxm-80gb"]), checkpoint=HOSTILE)
    for option in trained(gpus=["h100-sxm-80gb"]).options:
        for tool in training_launch(option, request).values():
            for command in tool["commands"] if isinstance(tool, dict) else ():
                assert HOSTILE in words(command)


def test_megatron_is_told_of_experts_and_cut_sequences() -> None:
    request = training("Qwen3-30B-A3B", framework="megatron", gpus=["a100-sxm-80gb"], max_gpus=16)
    option = trained("Qwen3-30B-A3B", framework="megatron", gpus=["a100-sxm-80gb"], max_gpus=16).options[0]
    for layout, flag, size in (
        (Layout(1, 1, 8, 4), "--expert-model-parallel-size", "4"),
        (Layout(1, 1, 4, 1, 2), "--context-parallel-size", "2"),
    ):
        launch = training_launch(replace(option, layout=layout), request)
        assert value(launch["megatron"]["commands"][0], flag) == size
