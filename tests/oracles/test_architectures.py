"""Names, shapes, caches, FLOPs and adapter sizes against the real models, built and run now.

ORACLE_PART=1/2 takes every second type (two processes share the work); ORACLE_SEED draws other configs.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from app.architecture import read_config
from app.architecture.families import FAMILIES
from tests.golden import gaps

from .compare import CHECKS, differences, shown
from .dump import cases_of

VARIATIONS = 5
SEED = int(os.environ.get("ORACLE_SEED", "1"))
PART, PARTS = map(int, os.environ.get("ORACLE_PART", "1/1").split("/"))
TYPES = sorted(FAMILIES.keys() & CONFIG_MAPPING_NAMES.keys())[PART - 1 :: PARTS]


@pytest.fixture(autouse=True)
def give_memory_back() -> Iterator[None]:
    yield
    gc.collect()


def unexpected(model_type: str, found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Differences without those listed as known gaps."""
    known = gaps().get(model_type, {})
    return {check: lines[:5] for check, lines in found.items() if check not in known}


@pytest.mark.parametrize("model_type", TYPES)
def test_reading_equals_the_real_model(model_type: str) -> None:
    cases: list[dict[str, Any]] = json.loads(json.dumps(cases_of(model_type, VARIATIONS, SEED)))
    assert len(cases) >= VARIATIONS
    for case in cases:
        assert not unexpected(model_type, differences(case, read_config)), shown(case["config"])


def test_gaps_are_known_checks() -> None:
    assert all(found.keys() <= CHECKS.keys() for found in gaps().values())
