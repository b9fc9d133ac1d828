"""Pages that quote figures say what the service says today."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent


def script(name: str) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_why_our_numbers_differ_is_what_the_service_answers() -> None:
    module = script("why_numbers_differ")
    assert module.PAGE.read_text(encoding="utf-8") == module.page()


def test_our_figures_beat_every_formula_that_circulates() -> None:
    page = (ROOT / "docs" / "why-our-numbers-differ.md").read_text(encoding="utf-8")
    theirs = [abs(float(off)) for off in re.findall(r"\| the formula: .* ([+-]?[\d.]+) % \|", page)]
    ours = [abs(float(off)) for off in re.findall(r"\| ours .* ([+-]?[\d.]+) % \|", page)]
    assert len(theirs) == len(ours) == 6
    assert min(theirs) > 20 > 1 >= max(ours)
