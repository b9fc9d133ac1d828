"""Our reading of a config against what the real models gave (tests/golden), for every type we describe.

A failure names the type and the check; for the names and shapes that differ run
`python -m tests.oracles.compare TYPE --live` (needs tests/oracles/requirements.txt).
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.architecture.families import FAMILIES
from tests.golden import architectures, digest, gaps
from tests.oracles.compare import source_length

Case = dict[str, Any]
DEFAULTS = Path(__file__).parents[2] / "app" / "architecture" / "defaults.json"  # the types the library knows
# The library builds none of these, or too few, from fields drawn at random: each needs values that only its
# published files state (word lists of pictures' tokens, layers that feed each other, other models' sizes).
NOT_MEASURED = {
    "chameleon", "deepseek_ocr2", "emu3", "emu3_text_model", "gemma4_assistant", "gemma4_unified_assistant",
    "granite4_vision", "moonshine_streaming",
}  # fmt: skip
TYPES = architectures()["types"]
DESCRIBED = sorted(TYPES.keys() & FAMILIES.keys())


@lru_cache(maxsize=64)
def read(model_type: str, index: int) -> Architecture:
    """Read once for all checks."""
    case = TYPES[model_type][index]
    return read_config(case["config"] | {"architectures": [case["class"]]})


def tensors(case: Case, architecture: Architecture) -> None:
    owner = case["tied"]  # second name of a tied tensor → the name that the library lists it under
    found = [(owner.get(t.name, t.name), tuple(t.shape), t.is_parameter) for t in architecture.tensors()]
    assert architecture.parameters.total == case["parameters"]
    assert len(found) == case["tensors"]
    assert digest(found) == case["digest"]


def cache(case: Case, architecture: Architecture) -> None:
    for batch, length, expected in case["cache"]:
        source = source_length(architecture, length)
        assert architecture.cache_bytes(batch, length, source=source) == expected, f"{batch} x {length}"


def flops(case: Case, architecture: Architecture) -> None:
    if case["flops"]:
        batch, length, expected = case["flops"]
        source = source_length(architecture, length)
        assert architecture.forward_flops(batch, length, source=source) == expected


def lora(case: Case, architecture: Architecture) -> None:
    for rank, targets, expected in case["lora"]:
        assert architecture.lora_parameters(rank, targets) == expected, f"rank {rank} on {targets}"


CHECKS = {"tensors": tensors, "cache": cache, "flops": flops, "lora": lora}


def judged() -> list[Any]:
    """(type, check), the known gaps marked: one that is closed fails until it leaves gaps.json."""
    return [
        pytest.param(name, check, marks=[pytest.mark.xfail(strict=True, reason=gaps()[name][check])])
        if check in gaps().get(name, {})
        else (name, check)
        for name in DESCRIBED
        for check in CHECKS
    ]


@pytest.mark.parametrize(("model_type", "check"), judged())
def test_reading_equals_the_real_model(model_type: str, check: str) -> None:
    for index, case in enumerate(TYPES[model_type]):
        CHECKS[check](case, read(model_type, index))


def test_every_described_type_was_measured() -> None:
    """No description goes untested: golden results of several configs, where the library knows the type."""
    known = json.loads(DEFAULTS.read_text()).keys() & FAMILIES.keys()
    assert {name for name in known if len(TYPES.get(name, [])) < 5} == NOT_MEASURED


def test_gaps_name_described_types_and_checks() -> None:
    assert gaps().keys() <= FAMILIES.keys()
    assert all(found.keys() <= CHECKS.keys() for found in gaps().values())
