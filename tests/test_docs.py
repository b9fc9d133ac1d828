"""Pages that quote figures say what the service says today."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_why_our_numbers_differ_is_what_the_service_answers() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "why_numbers_differ.py", "--check"], check=False)
    assert done.returncode == 0, "run scripts/why_numbers_differ.py"


def test_our_figures_beat_every_formula_that_circulates() -> None:
    page = (ROOT / "docs" / "why-our-numbers-differ.md").read_text(encoding="utf-8")
    theirs = [abs(float(off)) for off in re.findall(r"\| the formula: .* ([+-]?[\d.]+) % \|", page)]
    ours = [abs(float(off)) for off in re.findall(r"\| ours .* ([+-]?[\d.]+) % \|", page)]
    assert len(theirs) == len(ours) == 6
    assert min(theirs) > 20 > 1 >= max(ours)
