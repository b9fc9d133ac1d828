"""Tables as wide as the terminal, CSV that cannot run, words in both languages."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from app.cli.main import COMMANDS
from app.cli.output import cell
from app.messages import catalogue

from .conftest import Run

SHOWN = [
    "estimate -m qwen3-8b -g rtx-4090 --show-ops --detailed --verbose",
    "estimate -m qwen3-8b -g rtx-4090 --request-rate 0.5 --detailed",
    "memory inference -m qwen3-8b -g h100-80gb --tensor-parallel 2 --verbose",
    "memory training -m qwen3-0.6b",
    "estimate-training -m qwen3-0.6b -g rtx-4090 --detailed",
    "sweep --what training-performance -m qwen3-0.6b -g h100-sxm-80gb --vary batch_size=1,4",
    "memory compare -m qwen3-0.6b -m nobody --vary batch_size=1,8",
    "benchmark -m qwen3-0.6b -g rtx-4090",
    "recommend -m qwen3-8b --gpus rtx-4090,l4 --verbose",
    "recommend --task training -m qwen3-0.6b --gpus rtx-4090,l4 --max-gpus 2 --days 3 --tokens 1000000000",
    "recommend -m qwen3-8b --gpus rtx-4090 --max-gpus 1 --quantization none --tpot-ms 1",
    "inspect qwen3-8b",
    "inspect qwen3-8b --tensors --limit 3",
    "list-models --search qwen3",
    "list-accelerators --type npu",
    "accuracy",
]


@pytest.mark.parametrize("columns", [50, 100])
@pytest.mark.parametrize("arguments", SHOWN)
def test_tables_fit_the_terminal(run: Run, arguments: str, columns: int) -> None:
    done = run(*arguments.split(), columns=columns)
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.splitlines()) > 5
    assert max(map(cell_len, done.stdout.splitlines())) <= columns


def test_an_estimate_shows_metrics_and_utilisation(run: Run) -> None:
    shown = run("estimate", "-m", "qwen3-8b", "-g", "rtx-4090").stdout
    for word in (
        "throughput_tokens_per_sec",
        "ttft_ms",
        "tpot_ms",
        "bottleneck",
        "compute",
        "memory_capacity",
    ):
        assert word in shown
    assert "1024 tokens in, 256 out" in shown
    assert "decoder.mlp" not in shown
    assert "decoder.mlp" in run("estimate", "-m", "qwen3-8b", "-g", "rtx-4090", "--show-ops").stdout


def test_sentences_in_chinese(run: Run) -> None:
    for arguments in (
        ("--language", "zh", "memory", "inference"),
        ("memory", "inference", "--language", "zh"),
    ):
        shown = run(*arguments, "-m", "qwen3-8b", "-g", "rtx-4090").stdout
        assert "放得下" in shown
        assert "model_weights" in shown
    assert "推理所需的显存" in run("--language", "zh", "memory", "inference", "--help").stdout
    assert "显存" in run("--language", "zh", "--help").stdout


def test_every_command_has_its_sentence_and_every_word_is_known() -> None:
    for name in COMMANDS:
        assert f"cli_help_{name.replace('-', '_')}" in catalogue()
    for path in Path(__file__).parents[2].joinpath("app", "cli").glob("*.py"):
        for word in re.findall(r"\bsay\(\s*\"(\w+)\"", path.read_text(encoding="utf-8")):
            assert f"cli_{word}" in catalogue(), (path.name, word)


def test_csv_has_a_row_for_each_part_and_its_bytes(run: Run) -> None:
    done = run("memory", "inference", "-m", "qwen3-8b", "-g", "rtx-4090", "--format", "csv")
    rows = {row["part"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    answer = json.loads(
        run("memory", "inference", "-m", "qwen3-8b", "-g", "rtx-4090", "--format", "json").stdout
    )
    assert {name: int(row["bytes"]) for name, row in rows.items()} == answer["memory_bytes"]
    assert answer["warnings"][0]["message"] in done.stderr


def test_csv_of_a_sweep_has_a_row_for_each_point(run: Run) -> None:
    done = run(
        "sweep", "--what", "performance", "-m", "qwen3-0.6b", "-g", "rtx-4090", "-g", "l4",
        "--vary", "batch_size=1,2,4", "-s", "input_length=128", "-s", "output_length=16", "--format", "csv",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["gpu"], row["batch_size"]) for row in rows] == [
        (gpu, size) for gpu in ("rtx-4090", "l4") for size in ("1", "2", "4")
    ]
    assert all(float(row["tpot_ms"]) > 0 for row in rows)


def test_cells_cannot_run() -> None:
    assert [cell(value) for value in ("=1", "+1", "-1", "@x", "\t=", "ok", -1, 0.5, None, True)] == [
        "'=1", "'+1", "'-1", "'@x", "'\t=", "ok", -1, 0.5, "", "true",
    ]  # fmt: skip


def test_a_name_that_would_run_is_defused(run: Run) -> None:
    done = run("memory", "compare", "-m", "=cmd()", "-m", "qwen3-0.6b", "--format", "csv")
    assert {row["model_name"] for row in csv.DictReader(io.StringIO(done.stdout))} == {
        "'=cmd()",
        "qwen3-0.6b",
    }


def test_a_recommendation_gives_commands_to_paste(run: Run) -> None:
    done = run("recommend", "-m", "qwen3-8b", "--gpus", "rtx-4090", "--launch", "1")
    assert "vllm serve Qwen/Qwen3-8B" in done.stdout
    training = run("recommend", "--task", "training", "-m", "qwen3-0.6b", "--gpus", "l4", "--launch", "1")
    assert "train.py --model_name_or_path Qwen/Qwen3-0.6B" in training.stdout


def test_a_configuration_s_name_cannot_control_the_terminal(run: Run, tmp_path: Path) -> None:
    """Nor can markup of the library that draws tables, or a formula for a spreadsheet."""
    name = "\x1b]0;owned\x07\x9b2J[red]x[/red]\u202e=1+1"
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": "llama", "_name_or_path": name}), encoding="utf-8")
    for words in (["inspect", str(file)], ["memory", "inference", "--config", f"@{file}"]):
        shown = run(*words)
        assert shown.exit_code == 0, shown.stderr
        assert not set("\x1b\x07\x9b\u202e") & set(shown.stdout + shown.stderr)
    assert "[red]x[/red]" in run("inspect", str(file)).stdout
    refused = run("memory", "inference", "-m", name)
    assert refused.exit_code != 0
    assert not set("\x1b\x07\x9b\u202e") & set(refused.stdout + refused.stderr)


@given(
    st.text(min_size=1)
    | st.sampled_from(["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "\uff1d1+1", " =1"])
)
@example('=HYPERLINK("http://evil.example")')
@settings(max_examples=200, deadline=None)
def test_no_text_runs_in_a_spreadsheet_and_cells_stay_cells(name: str) -> None:
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerow([cell(name), cell("after")])
    first, after = next(csv.reader(io.StringIO(made.getvalue(), newline="")))
    assert after == "after"
    assert not first.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert first.removeprefix("'") in (" ".join(name.splitlines()), " ".join(name.splitlines())[1:])
