"""The worked examples of docs/adding-*.md, followed to the letter."""

import json
import re
from pathlib import Path

import pytest

from app.architecture import read_config
from app.architecture.families import BODIES, FAMILIES
from app.architecture.families.registry import HEADED
from app.memory.inference import estimate_inference
from app.memory.requests import InferenceRequest, Model
from app.registry.gpus import GpuRegistry
from app.registry.models import ModelRegistry

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def stated(page: str, what: str) -> int:
    found = re.search(rf"([\d,]+) {what}", (DOCS / page).read_text(encoding="utf-8"))
    assert found
    return int(found[1].replace(",", ""))


def test_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "Example-Tiny"
    folder.mkdir()
    config, meta = blocks("adding-a-model.md", "json")
    (folder / "config.json").write_text(config)
    (folder / "meta.json").write_text(meta)
    registry = ModelRegistry(tmp_path)
    assert not registry.problems
    for name in ("Example-Tiny", "example/Tiny", "tiny-example"):
        match = registry.find(name)
        assert match.entry.architecture.parameters.total == json.loads(meta)["parameters_total"]


def test_an_accelerator(tmp_path: Path) -> None:
    device, aliases = blocks("adding-an-accelerator.md", "json")
    (tmp_path / "example-48gb.json").write_text(device)
    (tmp_path / "aliases.json").write_text(aliases)
    registry = GpuRegistry(tmp_path)
    assert not registry.problems
    assert registry.get("Example") is registry.get("example-48gb")
    model = Model(read_config(json.loads(blocks("adding-a-model.md", "json")[0])), "tiny")
    answer = estimate_inference(InferenceRequest(model, gpu=registry.get("Example 48 GB")))
    assert answer.fit is not None
    assert answer.fit.usable_bytes == 46068 * 2**20


def test_an_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (BODIES, FAMILIES, HEADED):
        monkeypatch.setitem(table, "example", None)  # type: ignore[arg-type]  # forgotten when the test ends
    (family,) = blocks("adding-an-architecture.md", "python")
    exec(compile(family, "example.py", "exec"), {"__package__": "app.architecture.families"})
    (config,) = blocks("adding-an-architecture.md", "json")
    architecture = read_config(json.loads(config))
    assert architecture.parameters.total == stated("adding-an-architecture.md", "parameters")
    held = architecture.cache_bytes(1, 100)
    assert held == 100 * stated("adding-an-architecture.md", "bytes of cache")
    assert {tensor.name for tensor in architecture.tensors()} >= {
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.1.input_layernorm.bias",
    }
