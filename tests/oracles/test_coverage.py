"""Every language model type that the library knows is described, or not_described.json says why it is not."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from transformers.models.auto import modeling_auto as auto

from app.architecture.families import FAMILIES

# Reason → the types that it holds for.
REASONS: dict[str, list[str]] = json.loads((Path(__file__).parent / "not_described.json").read_text())
EXCUSED = Counter(model_type for types in REASONS.values() for model_type in types)
MAPPINGS = (
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
)


def known_types() -> set[str]:
    return {model_type for name in MAPPINGS for model_type in getattr(auto, name)}


def test_every_type_is_described_or_has_a_reason() -> None:
    assert sorted(known_types() - FAMILIES.keys() - EXCUSED.keys()) == []


def test_no_reason_is_stale() -> None:
    assert sorted(EXCUSED.keys() & FAMILIES.keys()) == []
    assert sorted(EXCUSED.keys() - known_types()) == []


def test_every_type_has_one_reason() -> None:
    assert [model_type for model_type, count in EXCUSED.items() if count > 1] == []
