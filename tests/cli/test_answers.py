"""`--format json` is exactly the interface's answer, without a server and against one."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from .conftest import Run

LOG = "Model loading took 15.27 GiB memory and 3 seconds\nGPU KV cache size: 418,688 tokens\n"
LENGTHS = {"input_length": 1024, "output_length": 256}

# Arguments, path, and the body that is posted; None is a GET.
ASKED: list[tuple[str, str, Any]] = [
    (
        "memory inference --model qwen3-8b --accelerator rtx-4090 --batch-size 4 --no-enforce-eager",
        "/api/memory/inference",
        {"model_name": "qwen3-8b", "gpu": "rtx-4090", "batch_size": 4, "enforce_eager": False},
    ),
    (
        "memory inference --model-size 7 --precision fp16 --unit GiB --no-explain",
        "/api/memory/inference",
        {"model_size": 7, "precision": "fp16", "unit": "GiB", "explain": False},
    ),
    (
        "memory training -m qwen3-0.6b --method lora --lora-rank 8 --lora-target-modules q_proj,v_proj "
        "--gradient-checkpointing true --offload-optimizer none",
        "/api/memory/training",
        {
            "model_name": "qwen3-0.6b",
            "method": "lora",
            "lora": {"rank": 8, "target_modules": ["q_proj", "v_proj"]},
            "gradient_checkpointing": True,
            "offload": {"optimizer": "none"},
        },
    ),
    (
        "memory compare -m qwen3-0.6b -m nobody --vary batch_size=1,8",
        "/api/memory/compare",
        {
            "calculation_type": "inference",
            "configurations": [
                {"model_name": name, "batch_size": size}
                for name in ("qwen3-0.6b", "nobody")
                for size in (1, 8)
            ],
        },
    ),
    (
        "estimate --model qwen3-8b --accelerator rtx-4090 --top-ops 20",
        "/api/performance/inference",
        {"model_name": "qwen3-8b", "gpu": "rtx-4090", "top_ops": 20, **LENGTHS},
    ),
    (
        "estimate-training -m qwen3-0.6b -g h100-sxm-80gb --tokens 1000000",
        "/api/performance/training",
        {"model_name": "qwen3-0.6b", "gpu": "h100-sxm-80gb", "tokens": 1_000_000},
    ),
    (
        "benchmark -m qwen3-0.6b -g rtx-4090 --input-lengths 512,1024 --output-lengths 128",
        "/api/performance/compare",
        {
            "calculation_type": "inference",
            "configurations": [
                {
                    "model_name": "qwen3-0.6b",
                    "gpu": "rtx-4090",
                    "input_length": length,
                    "output_length": 128,
                    "batch_size": 1,
                }
                for length in (512, 1024)
            ],
        },
    ),
    (
        "list-models --search qwen3 --sort -parameters --limit 3",
        "/api/models?search=qwen3&sort=-parameters&limit=3",
        None,
    ),
    (
        "recommend -m qwen3-8b --gpus rtx-4090,l4 --max-gpus 2 --tpot-ms 50 --options 2",
        "/api/recommend",
        {
            "task": "inference",
            "model_name": "qwen3-8b",
            "gpus": ["rtx-4090", "l4"],
            "max_gpus": 2,
            "targets": {"tpot_ms": 50},
            "options": 2,
        },
    ),
    ("list-accelerators --type tpu", "/api/gpus?type=tpu", None),
    ("inspect Qwen/Qwen3-0.6B --tensors --limit 2", "/api/models/Qwen/Qwen3-0.6B?tensors=true&limit=2", None),
    ("accuracy", "/api/accuracy", None),
]  # fmt: skip


def asked(client: FlaskClient, path: str, body: Any, language: str = "en") -> Any:
    """The interface's answer."""
    headers = {"Accept-Language": language}
    reply = (
        client.get(path, headers=headers) if body is None else client.post(path, json=body, headers=headers)
    )
    assert reply.status_code == 200
    return json.loads(reply.get_data())


@pytest.mark.parametrize(("arguments", "path", "body"), ASKED, ids=lambda value: str(value)[:30])
def test_json_is_the_answer_of_the_interface(
    run: Run, client: FlaskClient, arguments: str, path: str, body: Any
) -> None:
    done = run(*arguments.split(), "--format", "json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == asked(client, path, body)


@pytest.mark.parametrize(("arguments", "path", "body"), [ASKED[0], ASKED[3], ASKED[6], ASKED[8]])
def test_a_server_is_asked_the_same(
    run: Run, client: FlaskClient, server: str, arguments: str, path: str, body: Any
) -> None:
    done = run("--server", server, *arguments.split(), "--format", "json", "--language", "zh")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout) == asked(client, path, body, "zh")


def test_a_configuration_is_inspected_from_file_folder_and_stdin(
    run: Run, client: FlaskClient, config: Path
) -> None:
    text = config.read_text()
    expected = asked(client, "/api/models/inspect", {"config": json.loads(text)})
    for word, stdin in ((str(config), None), (str(config.parent), None), (text, None), ("-", text)):
        done = run("inspect", word, "--format", "json", stdin=stdin)
        assert json.loads(done.stdout) == expected


def test_a_log_is_validated(run: Run, client: FlaskClient, tmp_path: Path) -> None:
    path = tmp_path / "vllm.log"
    path.write_text(LOG)
    given = {"log": LOG, "model_name": "Qwen3-8B", "gpu": "H100-80GB"}
    for word, stdin in ((str(path), None), ("-", LOG)):
        done = run("validate-log", word, "-m", "Qwen3-8B", "-g", "H100-80GB", "--format", "json", stdin=stdin)
        assert json.loads(done.stdout) == asked(client, "/api/validate/log", given)


def test_a_compare_is_read_from_a_file(run: Run, client: FlaskClient, tmp_path: Path) -> None:
    configurations = [{"model_name": "Qwen3-0.6B", "batch_size": size} for size in (1, 2)]
    body = {"calculation_type": "training", "configurations": configurations}
    path = tmp_path / "compare.json"
    path.write_text(json.dumps(body))
    done = run("memory", "compare", str(path), "--format", "json")
    assert json.loads(done.stdout) == asked(client, "/api/memory/compare", body)
