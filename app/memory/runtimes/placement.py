"""A model laid over the ranks of a runtime, and the prediction layers that stand beside it."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from ...architecture.operations import Attention, Experts
from ...architecture.sections import Section
from ...errors import invalid
from ...parallelism import Deal, Layout, Stage, balanced, check_layout, stages
from ..weights import StoredModel


class Place(Struct, frozen=True, eq=False):
    """A model laid over ranks: distinct stages, one tensor-parallel rank of each standing for all."""

    stored: StoredModel
    layout: Layout
    stages: tuple[Stage, ...]


@lru_cache(maxsize=1024)
def place(stored: StoredModel, layout: Layout, deal: Deal = balanced) -> Place:
    """Lay a model over ranks; raises `InvalidLayout`."""
    check_layout(stored.architecture, layout)
    return Place(stored, layout, stages(stored.sections, layout.pipeline, deal))


@lru_cache(maxsize=256)
def prediction(stored: StoredModel, layout: Layout) -> Place:
    """Multi-token-prediction layers: each a copy of the last layer with attention, with its own cache.

    DeepSeek-V3 (arXiv 2412.19437) and Qwen3-Next: embedding and head are the model's own. Raises
    `InvalidRequest` where the configuration has none.
    """
    count = prediction_layers(stored.architecture.config)
    attending = [s for s in stored.sections if s.component == "decoder" and _attends(s)]
    if not count or not attending:
        raise invalid("speculative.draft", "no_prediction_layers", model=stored.architecture.model_type)
    return Place(stored, layout, (Stage("prediction", ((attending[-1], count),), 1, True, True),))


def prediction_layers(config: Mapping[str, Any]) -> int:
    """How many prediction layers a configuration names."""
    text = config.get("text_config")
    for fields_ in (config, text if isinstance(text, Mapping) else {}):
        for name in ("num_nextn_predict_layers", "mtp_num_hidden_layers"):
            value = fields_.get(name)
            if isinstance(value, int) and value > 0:
                return value
    return 0


def _attends(section: Section) -> bool:
    return any(isinstance(op, Attention) and op.cache for op in section.block.operations)


@lru_cache(maxsize=1024)
def has_experts(stored: StoredModel) -> bool:
    """Whether any layer routes tokens to experts."""
    return any(isinstance(op, Experts) for section in stored.sections for op in section.block.operations)
