"""Beam: gated attention, norms on both sides, global layers without positions, experts."""

from collections.abc import Hashable, Mapping
from functools import partial

from ..blocks.attention import grouped
from ..blocks.residual import sandwich
from ..builder import ModelBuilder
from ..config import Config
from .llama import every
from .mixtures import Half, dense, experts, heads_of, kinds, layers, sparse_after
from .registry import decoder

STYLE = "rms_wide"


def turned(c: Config, kind: Hashable) -> bool:
    """Whether layers of this kind have rotary positions: by `rope_parameters`, else the local ones."""
    stated: Mapping[str, object] = c.mapping("rope_parameters")
    return stated.get(str(kind)) is not None if stated else kind == "sliding_attention"


@decoder("beam")
def beam(c: Config, m: ModelBuilder) -> None:
    """Beam; branches join the residual by factors of their depth."""
    usual = every(6, c.layers)
    usual[-1] = "full_attention"

    def attention(kind: Hashable) -> Half:
        still = not turned(c, kind)
        shape = heads_of(c, kind, rotary_dim=0) if still else heads_of(c, kind)
        return partial(
            grouped,
            shape=shape,
            bias=c.flag("attention_bias"),
            qk_norm="head",
            qk_style=STYLE,
            gate="gate_proj",
            head_bias="gate_bias",
            query_scale=still,
        )

    mixture = experts(c, correction="gate.e_score_correction_bias", scoring="sigmoid")
    layers(
        c,
        m,
        attention,
        lambda sparse: mixture if sparse else dense(c),
        mixers=kinds(c, "layer_types", usual),
        feeds=sparse_after(c, 3),
        wrap=partial(sandwich, scale=True),
        style=STYLE,
    )
