"""Pages that quote figures say what the service says today."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_why_our_numbers_differ_is_what_the_service_answers() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "why_numbers_differ.py", "--check"], check=False
    )
    assert done.returncode == 0, "run scripts/why_numbers_differ.py"


def test_the_page_of_architectures_is_what_was_proven() -> None:
    script = ROOT / "scripts" / "write_architectures.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False)
    assert done.returncode == 0, "run scripts/write_architectures.py"


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_readme_quotes_the_page(readme: str) -> None:
    page = (ROOT / "docs" / "why-our-numbers-differ.md").read_text(encoding="utf-8")
    text = (ROOT / readme).read_text(encoding="utf-8")
    figure = r"([\d,.]+ (?:bytes|GiB|parameters))"
    quoted = re.findall(rf"\| {figure} \| {figure} \| {figure} \|$", text, re.MULTILINE)
    said, ours, true = (
        re.findall(rf"\| {what}[^|]* \| {figure} \|", page) for what in ("the formula", "ours", "true")
    )
    assert len(quoted) == 6
    assert quoted == list(zip(said, ours, true, strict=True))


def test_our_figures_beat_every_formula_that_circulates() -> None:
    page = (ROOT / "docs" / "why-our-numbers-differ.md").read_text(encoding="utf-8")
    theirs = [abs(float(off)) for off in re.findall(r"\| the formula: .* ([+-]?[\d.]+) % \|", page)]
    ours = [abs(float(off)) for off in re.findall(r"\| ours .* ([+-]?[\d.]+) % \|", page)]
    assert len(theirs) == len(ours) == 6
    assert min(theirs) > 20 > 1 >= max(ours)
