"""What keeps the house in order: layers, sentences in both languages, relative imports, one version."""

import ast
import re
import string
import tomllib
from pathlib import Path

import pytest

from app.messages import LANGUAGES, catalogue
from app.version import VERSION

ROOT = Path(__file__).parents[1]
APP = sorted((ROOT / "app").rglob("*.py"))
PLACEHOLDER = re.compile(r"\{(\w+)")


def test_layers() -> None:
    """The contracts of pyproject.toml, as `lint-imports` checks them."""
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize("code", sorted(catalogue()))
def test_sentences_exist_in_every_language_with_the_same_values(code: str) -> None:
    texts = catalogue()[code]
    assert set(texts) == set(LANGUAGES)
    values = {language: {name for _, name, _, _ in string.Formatter().parse(texts[language]) if name}
              for language in LANGUAGES}  # fmt: skip
    assert len({frozenset(names) for names in values.values()}) == 1, values
    assert all(texts.values())


def _codes_used() -> set[str]:
    """Codes that are written out in the code, as the first argument of whatever makes a message."""
    found = set()
    for path in APP:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Message" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def test_every_code_has_a_sentence() -> None:
    assert _codes_used() <= set(catalogue())


@pytest.mark.parametrize("path", APP, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_inside_the_package_are_relative(path: Path) -> None:
    """In the wheel the package has another name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "app" for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] != "app"


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
