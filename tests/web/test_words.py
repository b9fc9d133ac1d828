"""The catalogues: the same keys in both languages, none missing, none left over, Chinese that is Chinese."""

import re
from functools import cache

import pytest

from app.web import files
from app.web.first import presets

# Keys put together from a fixed part and a name that the API or a list gives.
BUILT = (
    "about", "bound", "compare.by_", "curve.by_", "curve.caption_", "curve.cross_", "export", "field",
    "fix.cost", "group",
    "gpus", "key", "latency", "meter", "mode", "model.size_", "model.tab_", "part", "phase", "preset",
    "room",
    "sharding", "solved", "speed.load_", "speed.no_", "state", "tool", "view",
)  # fmt: skip


@cache
def sources() -> str:
    """Everything that may name a key."""
    folder = files.FOLDER.parent
    paths = [*folder.rglob("*.js"), *folder.rglob("*.html"), *folder.glob("*.py")]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def test_both_languages_say_the_same_things() -> None:
    assert files.words("en").keys() == files.words("zh").keys()


def test_no_key_is_missing() -> None:
    called = re.findall(r"\bt\(\s*\"([\w.-]+)\"", sources())
    named = {*called, *re.findall(r"words\['([\w.-]+)'\]", sources())}
    assert named - files.words("en").keys() == set()


def test_every_preset_has_its_question() -> None:
    assert {f"preset.{each['id']}" for each in presets()} <= files.words("en").keys()


def test_no_key_is_left_over() -> None:
    loose = [key for key in files.words("en") if f'"{key}"' not in sources() and f"'{key}'" not in sources()]
    assert [key for key in loose if not key.startswith(BUILT)] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_values_belong_into_both(language: str) -> None:
    for key, sentence in files.words(language).items():
        assert sentence.strip(), key
        names = set(re.findall(r"\{(\w+)\}", sentence))
        assert names == set(re.findall(r"\{(\w+)\}", files.words("en")[key])), key


def test_chinese_has_full_width_punctuation_and_no_polite_you() -> None:
    for key, sentence in files.words("zh").items():
        assert "您" not in sentence, key
        assert not re.search(r"[\u4e00-\u9fff][,;:!?]", sentence), key
