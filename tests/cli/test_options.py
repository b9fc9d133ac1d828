"""Options are the fields of the schemas; a value means what its JSON would mean."""

import click
import pytest
from click.shell_completion import ShellComplete

from app.api.schemas.base import StrictSchema
from app.api.schemas.inference import InferenceSchema
from app.api.schemas.performance import PerformanceSchema
from app.api.schemas.training import TrainingSchema
from app.api.schemas.training_speed import TrainingSpeedSchema
from app.cli.estimate import estimate
from app.cli.estimate_training import estimate_training
from app.cli.main import program
from app.cli.memory import inference, training
from app.cli.options import body_of, fields_by_name, read

from .conftest import Run


@pytest.mark.parametrize(
    ("command", "schema"),
    [
        (inference, InferenceSchema()),
        (training, TrainingSchema()),
        (estimate, PerformanceSchema()),
        (estimate_training, TrainingSpeedSchema()),
    ],
    ids=["inference", "training", "estimate", "estimate-training"],
)
def test_every_field_is_an_option(command: click.Command, schema: StrictSchema) -> None:
    targets = {option.name: option for option in command.params}
    for path, field in fields_by_name(schema).items():
        option = targets[path.replace(".", "__")]
        assert isinstance(option, click.Option)
        assert field.metadata["description"] in (option.help or "")


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("batch_size", "4", 4),
        ("batch_size", "4.5", 4.5),
        ("batch_size", "many", "many"),
        ("trainable_parameters", "12.5", 12.5),
        ("trainable_parameters", "nan", "nan"),
        ("gradient_checkpointing", "true", True),
        ("gradient_checkpointing", "selective", "selective"),
        ("lora.target_modules", "all-linear", "all-linear"),
        ("lora.target_modules", "q_proj, v_proj", ["q_proj", "v_proj"]),
        ("gpu", "rtx-4090", "rtx-4090"),
        ("gpu", '{"memory_gb": 24}', {"memory_gb": 24}),
        ("config", '{"model_type": "llama"}', {"model_type": "llama"}),
    ],
)
def test_text_becomes_the_json_value(path: str, text: str, value: object) -> None:
    assert read(fields_by_name(TrainingSchema())[path], text, path) == value


def test_options_of_an_inner_object_come_together() -> None:
    assert body_of({"lora__rank": 8, "lora__alpha": None, "batch_size": 1, "unit": None}) == {
        "lora": {"rank": 8},
        "batch_size": 1,
    }


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ([], "mem", "memory"),
        (["memory", "inference", "--model"], "qwen3-0", "Qwen3-0.6B"),
        (["estimate", "--accelerator"], "rtx-40", "rtx-4090"),
        (["memory", "inference", "--backend"], "sg", "sglang"),
    ],
)
def test_completion_knows_names(words: list[str], incomplete: str, expected: str) -> None:
    found = ShellComplete(program, {}, "llm-estimate", "_X").get_completions(words, incomplete)
    assert expected in [each.value for each in found]


def test_the_script_for_a_shell_is_printed(run: Run) -> None:
    assert "_LLM_ESTIMATE_COMPLETE=bash_complete" in run("completion", "bash").stdout
