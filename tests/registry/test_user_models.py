"""Users' models beside the built-in ones: names that are taken, names that could harm."""

from pathlib import Path

import pytest

from app.errors import BuiltinModel, DomainError, InvalidRequest, NameTaken, UnknownName
from app.registry.catalogue import Catalogue
from app.registry.models import ModelEntry, models
from app.registry.user_models import check_name, content_of, entry_of, is_name, place_of
from app.store import Store

CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def entry(name: str = "mine", repo_id: str | None = None) -> ModelEntry:
    return ModelEntry(name, repo_id, CONFIG, builtin=False, source="test")


HARMFUL = [
    "",
    ".",
    "..",
    "../x",
    "a/../b",
    "/a",
    "a/",
    "a//b",
    "a/b/c",
    ".a",
    "-a",
    "a/.b",
    "a b",
    "a\n",
    "a\0",
]
FOREIGN = ["é", "a%2fb", "a\\b", "a" * 129, f"{'a' * 120}/{'b' * 120}"]


@pytest.mark.parametrize("name", [*HARMFUL, *FOREIGN, "inspect"])
def test_names_that_could_harm_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        check_name(name)
    assert error.value.problems[0].field == "name"
    assert error.value.text("zh")


@pytest.mark.parametrize(
    "name", ["a", "Qwen3-mine", "a/b", "me/inspect", "a..b", "1", f"{'a' * 100}/{'b' * 99}"]
)
def test_names_that_are_taken(name: str) -> None:
    check_name(name)
    assert is_name(name) and not is_name(None)


def test_spellings_have_one_place() -> None:
    assert {place_of(name) for name in ("My_Model", "my-model", "MY.MODEL", "my--model")} == {"my-model"}
    assert place_of("me/a") != place_of("me-a")


def test_what_is_kept_comes_back() -> None:
    kept = ModelEntry("a", "me/a", CONFIG, {"notes": "x"}, source="hub", builtin=False)
    back = entry_of(content_of(kept))
    assert (back.name, back.repo_id, back.config, back.source) == ("a", "me/a", CONFIG, "hub")
    assert back.meta["notes"] == "x" and not back.builtin


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(models(), Store(None, tmp_path).models)


@pytest.mark.parametrize(
    "name",
    [
        "Qwen3-0.6B",
        "qwen3_0_6b",
        "Qwen/Qwen3-0.6B",
        "meta-llama/Llama-3.1-8B-Instruct",
        "Llama-3.1-8B-Instruct",
    ],
)
def test_no_one_shadows_a_builtin_model(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(NameTaken) as error:
        catalogue.add(entry(name))
    assert error.value.code == "name_taken" and name in error.value.text("zh")
    with pytest.raises(NameTaken):
        catalogue.add(entry("fresh", repo_id=name))
    assert catalogue.store.list() == []


def test_a_users_model_is_found_beside_the_builtin_ones(catalogue: Catalogue) -> None:
    real = models().get("Qwen3-0.6B").config
    catalogue.add(ModelEntry("mine", "me/repo", real))
    assert catalogue.get("MINE").architecture is not None
    assert catalogue.get("Qwen3-0.6B").builtin
    assert len(catalogue.all()) == len(models()) + 1
    with pytest.raises(NameTaken):
        catalogue.add(ModelEntry("other", "ME/repo", real))
    changed = catalogue.change("Mine", ModelEntry("ignored", None, {**real, "num_hidden_layers": 1}))
    assert changed.name == "mine"
    assert catalogue.get("mine").config["num_hidden_layers"] == 1
    catalogue.delete("MINE")
    for action in (catalogue.get, catalogue.delete, lambda name: catalogue.change(name, entry())):
        with pytest.raises(UnknownName):
            action("mine")


def test_a_config_that_does_not_read_stays_out(catalogue: Catalogue) -> None:
    with pytest.raises(DomainError):
        catalogue.add(ModelEntry("mine", None, {"model_type": "no-such-thing"}))
    assert catalogue.store.list() == []


def test_builtin_models_do_not_change(catalogue: Catalogue) -> None:
    for action in (catalogue.delete, lambda name: catalogue.change(name, entry())):
        with pytest.raises(BuiltinModel) as error:
            action("qwen3-0.6b")
        assert error.value.code == "builtin_model" and error.value.text("zh")


def test_an_unknown_name_offers_users_models_too(catalogue: Catalogue) -> None:
    catalogue.store.put(entry("zzzz-own-thing"))
    with pytest.raises(UnknownName) as error:
        catalogue.get("zzzz-own-thin")
    assert error.value.closest[0] == "zzzz-own-thing"
