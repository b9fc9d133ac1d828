"""What the real models gave, kept so that plain tests need no torch; `scripts/make_golden.py` renews it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

ARCHITECTURES = Path(__file__).parent / "architectures.json.gz"
PUBLISHED = Path(__file__).parent / "published.json"
GAPS = Path(__file__).parent / "gaps.json"


@cache
def architectures() -> dict[str, Any]:
    """`source`: the library's version; `types`: model type → its cases."""
    found: dict[str, Any] = json.loads(gzip.decompress(ARCHITECTURES.read_bytes()))
    return found


@cache
def published() -> dict[str, list[str | None]]:
    """Model type → for each of its cases, a digest of its checkpoint's names and shapes."""
    found: dict[str, list[str | None]] = json.loads(PUBLISHED.read_text())
    return found


@cache
def gaps() -> dict[str, dict[str, str]]:
    """Model type → check → why our reading is known to differ there from the real model."""
    found: dict[str, dict[str, str]] = json.loads(GAPS.read_text())
    return found


def digest(tensors: Iterable[tuple[str, tuple[int, ...], bool]]) -> str:
    """One short text for all names, shapes and kinds (parameter or buffer), whatever their order."""
    lines = sorted(f"{name} {list(shape)} {'p' if own else 'b'}" for name, shape, own in tensors)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
