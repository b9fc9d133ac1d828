"""Published measurements: a line of `validation/memory.jsonl` is one run, with conditions and source."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured in one run. `request` asks us the same question; None where it cannot be asked.

    `measured`: figures by name (`weights_gib`, `kv_tokens`, ...); sizes in GiB. `beyond`: figures of the same
    run that the rules do not cover (a version before them, a condition that is not stated).
    """

    id: str
    group: str
    model: str
    request: Mapping[str, Any] | None
    measured: Mapping[str, float]
    beyond: Mapping[str, float]
    conditions: Mapping[str, Any]
    confidence: str
    source: str


def read_runs(path: Path) -> Iterator[Run]:
    """The runs of a file, in order."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield Run(**json.loads(line))
