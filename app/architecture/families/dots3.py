"""dots3 Note, text: sparse latent attention, latent windows of other ranks, experts."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from ..blocks.latent import Indexer, Latent, latent
from ..builder import ModelBuilder
from ..config import Config
from .mixtures import Half, dense, experts, kinds, layers
from .registry import decoder

# Ranks and widths of window layers where the file says nothing (`Dots3NoteTextConfig.__post_init__`).
LOCAL: Final = {
    "num_attention_heads": 64,
    "num_key_value_heads": 64,
    "q_lora_rank": 1024,
    "kv_lora_rank": 1024,
    "head_dim": 256,
    "qk_nope_head_dim": 192,
    "v_head_dim": 128,
}


def attention_kinds(c: Config) -> list[str]:
    """The kind of each layer; older files call layers with an indexer `full_attention`."""
    switch = c.get("use_dsa", None if c.stated("per_layer_config") else True)
    whole = "full_attention" if switch is False else "indexed_attention"
    local = c.flag("use_sliding_window", True)
    usual = [whole if not local or i < 2 or i % 4 == 1 else "sliding_attention" for i in range(c.layers)]
    types = kinds(c, "layer_types", usual, ("full_attention", "indexed_attention", "sliding_attention"))
    if switch is None:
        return types
    old, new = ("full_attention", "indexed_attention") if switch else ("indexed_attention", "full_attention")
    return [new if kind == old else kind for kind in types]


def local_view(c: Config, place: int) -> Config:
    """The configuration of a window layer: `per_layer_config`, else fields that begin with `swa_`."""
    stated = c.mapping("per_layer_config")
    if stated:
        own = stated.get(str(place), {})
        return Config({**c.data, **(own if isinstance(own, Mapping) else {})}, c.model_type, c.path)
    own = {name: c.get(f"swa_{name}", usual) for name, usual in LOCAL.items()}
    view = Config({**c.data, **own}, c.model_type, c.path)
    turned = c.maybe("swa_qk_rope_head_dim") or view.size("head_dim") - view.size("qk_nope_head_dim")
    return Config({**view.data, "qk_rope_head_dim": turned}, c.model_type, c.path)


@decoder("dots3_note_text")
def dots3_note_text(c: Config, m: ModelBuilder) -> None:
    """dots3 Note's text model."""
    types = attention_kinds(c)
    window = c.maybe("sliding_window") or c.size("sliding_window_size", 512)
    shared = c.size("n_shared_experts") * (
        c.maybe("moe_shared_expert_intermediate_size") or c.size("shared_experts_intermediate_size")
    )
    first, steps = c.size("first_k_dense_replace", 1, least=0), c.get("moe_layer_freq", 1)

    def regular(i: int) -> bool:
        if isinstance(steps, list):
            return i < len(steps) and bool(steps[i])
        return not i % c.size("moe_layer_freq", 1)

    feeds = kinds(
        c, "mlp_layer_types", ["sparse" if i >= first and regular(i) else "dense" for i in range(c.layers)]
    )

    def attention(kind: str) -> Half:
        view = local_view(c, types.index(kind)) if kind == "sliding_attention" else c
        shape = Latent.of(view, window=window if kind == "sliding_attention" else None)
        if shape.query_rank is None:
            raise c.wrong("q_lora_rank", "config_missing", model_type=c.model_type)
        return partial(
            latent,
            shape=shape,
            bias=c.flag("attention_bias"),
            gate="g_proj",
            scaled=True,
            key_norm="k_rope_only_layernorm",
            indexer=Indexer.of(c, "float32") if kind == "indexed_attention" else None,
        )

    layers(
        c,
        m,
        attention,
        lambda kind: (
            experts(
                c,
                "n_routed_experts",
                shared_inner=shared,
                correction="gate.e_score_correction_bias",
                scoring="sigmoid",
            )
            if kind == "sparse"
            else dense(c)
        ),
        mixers=types,
        feeds=feeds,
    )
