"""Built-in models: all folders, the names people type, broken files, listings."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import UnknownName
from app.registry.models import ModelEntry, ModelRegistry, models, select

REGISTRY = models()
ENTRIES = list(REGISTRY)


def test_all_folders_load() -> None:
    assert REGISTRY.problems == []
    assert len(REGISTRY) == len(list(REGISTRY.folder.iterdir())) == 515


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_model_is_found(entry: ModelEntry) -> None:
    assert entry.repo_id is not None
    names = (entry.name, entry.repo_id, entry.repo_id.split("/")[-1], entry.name.upper().replace("-", "_"))
    for name in (*names, entry.name.replace(".", "-"), entry.repo_id.lower()):
        assert REGISTRY.get(name) is entry
    for alias in entry.aliases:
        assert REGISTRY.get(alias) is entry
    assert json.dumps(entry.config, allow_nan=False)
    for warning in entry.warnings():
        assert entry.name in warning.text() and entry.name in warning.text("zh")


def test_counts_are_exact_or_itemised() -> None:
    for entry in ENTRIES:
        meta = entry.meta
        if meta.get("parameters_published_match"):
            assert meta["parameters_published"] - meta["parameters_total"] == meta.get(
                "parameters_published_difference", 0
            )
            assert "parameters_published_difference" not in meta or meta["notes"]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Qwen3-0.6B", "Qwen3-0.6B"),
        ("qwen3_0.6b", "Qwen3-0.6B"),
        ("Qwen/Qwen3-0.6B", "Qwen3-0.6B"),
        ("deepseek r1", "DeepSeek-R1"),
        ("opt-13b", "opt-13b"),
        ("opt-1.3b", "opt-1.3b"),
        ("facebook/opt-1.3b", "opt-1.3b"),
        ("01-ai/Yi-9B", "Yi-9B"),
        ("Llama-2-7B", "Llama-2-7b-hf"),
    ],
)
def test_names_of_a_model_itself(asked: str, name: str) -> None:
    found = REGISTRY.find(asked)
    assert found.entry.name == name
    assert "model_alias" not in [warning.code for warning in found.warnings]


@pytest.mark.parametrize("asked", ["meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"])
def test_another_repository_of_the_same_shape_is_said(asked: str) -> None:
    found = REGISTRY.find(asked)
    assert found.entry.name == "Llama-3.1-8B"
    assert "model_alias" in [warning.code for warning in found.warnings]


@pytest.mark.parametrize(
    "asked", ["Qwen3-7B", "Qwen3-0.6", "someone/Qwen3-0.6B", "Qwen3", "", "../Qwen3-0.6B"]
)
def test_likeness_is_no_match(asked: str) -> None:
    with pytest.raises(UnknownName):
        REGISTRY.get(asked)
    assert asked not in REGISTRY


def test_the_closest_names_are_offered() -> None:
    with pytest.raises(UnknownName) as error:
        REGISTRY.get("Qwen3-7B")
    assert error.value.closest[0] == "Qwen3-8B"
    assert "Qwen3-8B" in error.value.text("zh")


def codes(name: str) -> list[str]:
    return [warning.code for warning in REGISTRY.get(name).warnings()]


def test_what_was_not_read_from_a_copy_is_said() -> None:
    assert codes("DeepSeek-R1") == []
    assert codes("Yi-34B") == ["model_dtype_unconfirmed", "model_context_unconfirmed"]
    assert codes("c4ai-command-r-v01") == ["model_dtype_unconfirmed", "model_context_missing"]
    assert "model_layer_order_unconfirmed" in codes("granite-4.0-h-tiny")
    assert codes("Qwen3-30B-A3B-FP8") == ["model_list_left_out"]


def test_selection() -> None:
    qwen = select(ENTRIES, search="qwen3", family="Qwen", min_params=1e9, max_params=1e10, sort="-parameters")
    sizes = [entry.parameters_total or 0 for entry in qwen]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] >= 1e9 and sizes[0] <= 1e10
    assert all("qwen" in (entry.model_type or "") for entry in qwen)
    assert "Llama-3.1-8B" in [entry.name for entry in select(ENTRIES, search="llama-3.1-8b-INSTRUCT")]
    names = [entry.name.casefold() for entry in select(ENTRIES, sort="name")]
    assert names == sorted(names)
    nameless = ModelEntry("mine", None, {})
    assert select([nameless], min_params=0) == select([nameless], max_params=1e12) == []


def test_architectures_read_or_say_why() -> None:
    covered, uncovered = REGISTRY.covered(), REGISTRY.uncovered()
    assert "Qwen3-0.6B" in covered
    assert len(covered) + len(uncovered) == len(REGISTRY)
    for name, reason in uncovered.items():
        assert reason.text() and reason.text("zh"), name
    entry = REGISTRY.get("Qwen3-0.6B")
    assert entry.architecture is entry.architecture


META = {"name": "good", "repo_id": "me/good", "config_how": "copy", "source": "test"}


def write(folder: Path, name: str, config: str, meta: dict[str, Any] | str) -> None:
    (folder / name).mkdir()
    (folder / name / "config.json").write_text(config)
    text = meta if isinstance(meta, str) else json.dumps(meta, indent=1)
    (folder / name / "meta.json").write_text(text)


@pytest.mark.parametrize(
    ("config", "meta", "file", "line"),
    [
        ('{\n\n"a": }', META, "config.json", 3),
        ("[]", META, "config.json", 1),
        ('{"a": Infinity}', META, "config.json", None),
        ("{}", "{\n", "meta.json", 2),
        ("{}", {**META, "name": "other"}, "meta.json", 2),
        ("{}", {**META, "config_how": "guessed"}, "meta.json", 4),
        ("{}", {**META, "parameters_total": "7B"}, "meta.json", 6),
        ("{}", {"name": "bad"}, "meta.json", None),
    ],
)
def test_a_broken_file_is_named_and_the_rest_is_served(
    tmp_path: Path, config: str, meta: dict[str, Any] | str, file: str, line: int | None
) -> None:
    write(tmp_path, "good", "{}", META)
    own = {**meta, "name": "bad"} if isinstance(meta, dict) and meta.get("name") == "good" else meta
    write(tmp_path, "bad", config, own)
    registry = ModelRegistry(tmp_path)
    assert [entry.name for entry in registry] == ["good"]
    (problem,) = registry.problems
    assert (problem.path, problem.line) == (tmp_path / "bad" / file, line)


def test_a_folder_without_meta_is_named(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "config.json").write_text("{}")
    assert [problem.path.name for problem in ModelRegistry(tmp_path).problems] == ["meta.json"]


def test_a_row_keeps_its_name_against_an_alias(tmp_path: Path) -> None:
    write(tmp_path, "a", "{}", {**META, "name": "a", "repo_id": "me/a", "aliases": ["me/b", "b"]})
    write(tmp_path, "b", "{}", {**META, "name": "b", "repo_id": "me/b"})
    registry = ModelRegistry(tmp_path)
    assert registry.get("b").name == registry.get("me/b").name == "b"
