"""Seeded random configs of a model type, small enough to build at once and varied in every dimension it has.

A config is drawn field by field from the fields its class declares; what the class, the modules or a forward
pass refuse is drawn again, more cautiously each time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeVar

from transformers import PreTrainedConfig
from transformers.integrations.heterogeneity.configuration_utils import AmbiguousGlobalPerLayerAttributeError
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

Config = dict[str, Any]
ConfigClass = type[PreTrainedConfig]
Taken = TypeVar("Taken")

NEVER_FLIPPED = {
    "is_decoder", "add_cross_attention", "is_encoder_decoder", "use_cache", "return_dict", "is_causal",
    "output_hidden_states", "use_mamba_kernels", "use_mambapy", "use_associative_scan", "use_timm_backbone",
    "use_bidirectional_attention", "use_pretrained_backbone", "add_adapter", "is_training",
    "position_biased_input", "output_router_logits", "output_attentions",
}  # fmt: skip
PER_LAYER = ("layer_types", "mlp_layer_types", "layers_block_type", "indexer_types", "ffn_layer_types")
EXTRA_KINDS = {"layer_types": ("full_attention",)}  # where the default config has layers of one kind only
LAYER_COUNTS = {
    "num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers", "depth",
    "num_decoder_layers", "num_encoder_layers", "num_blocks", "attention_layers_count",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Sizes:
    """One draw of mutually agreeing dimensions."""

    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    experts: int
    groups: int
    layers: int
    text_hidden: int
    boldness: float  # probability of each change
    reshaped: bool  # whether width and heads are changed


def draw_sizes(rng: Random, boldness: float, text_hidden: int | None) -> Sizes:
    heads = rng.choice((2, 4, 6, 8))
    head_dim = rng.choice((8, 16, 24, 32))
    groups = rng.choice((1, 2, 4))
    hidden = heads * head_dim
    return Sizes(
        heads=heads,
        kv_heads=rng.choice([n for n in (1, 2, 3, 4, 6, 8) if heads % n == 0]),
        head_dim=head_dim,
        hidden=hidden,
        experts=groups * rng.choice((2, 4)) * 2,
        groups=groups,
        layers=rng.randint(2, 6),
        text_hidden=text_hidden or hidden,
        boldness=boldness,
        reshaped=rng.random() < boldness,
    )


def choice(*values: Any) -> Callable[[Random, Sizes], Any]:
    return lambda rng, sizes: rng.choice(values)


WIDTHS = choice(48, 64, 96, 112, 160, 208)
SAMPLED: list[tuple[str, Callable[[Random, Sizes], Any]]] = [
    ("hidden_size d_model n_embd embed_dim emb_dim hidden_dim dim", lambda r, s: s.hidden),
    ("num_attention_heads n_head num_heads n_heads attention_heads", lambda r, s: s.heads),
    ("encoder_attention_heads decoder_attention_heads", lambda r, s: s.heads),
    ("num_key_value_heads multi_query_group_num num_kv_heads", lambda r, s: s.kv_heads),
    ("head_dim attention_head_dim kv_channels d_kv dim_head", lambda r, s: r.choice((s.head_dim, 16, 32))),
    ("intermediate_size ffn_dim d_ff n_inner encoder_ffn_dim decoder_ffn_dim ffn_hidden_size", WIDTHS),
    ("moe_intermediate_size shared_expert_intermediate_size intermediate_size_mlp block_ff_dim", WIDTHS),
    ("dense_intermediate_size moe_shared_expert_intermediate_size shared_intermediate_size", WIDTHS),
    ("expert_ffn_hidden_size prefix_dense_intermediate_size", WIDTHS),
    ("vocab_size", choice(320, 512, 1000, 1003)),
    ("max_position_embeddings n_positions seq_length n_ctx", choice(256, 512, 640)),
    ("num_experts num_local_experts n_routed_experts moe_num_experts", lambda r, s: s.experts),
    ("num_experts_per_tok moe_topk top_k_experts moe_k num_experts_per_token", choice(1, 2)),
    ("n_group", lambda r, s: s.groups),
    ("topk_group", lambda r, s: 1 if s.groups == 1 else r.choice((1, 2))),
    ("n_shared_experts num_shared_experts moe_num_shared_experts", choice(1, 2)),
    ("first_k_dense_replace num_dense_layers first_dense_layers", lambda r, s: r.randint(0, s.layers)),
    ("decoder_sparse_step encoder_sparse_step interleave_moe_layer_step", choice(1, 2)),
    ("mlp_only_layers", lambda r, s: sorted(r.sample(range(s.layers), r.randint(0, s.layers - 1)))),
    ("attn_layer_indices", lambda r, s: sorted(r.sample(range(s.layers), r.randint(1, s.layers)))),
    ("sliding_window attention_window_size local_attention attention_chunk_size", choice(8, 12, 20)),
    ("max_window_layers", lambda r, s: r.randint(0, s.layers)),
    ("sliding_window_pattern full_attn_every_n_layers full_attention_interval", choice(2, 3)),
    ("q_lora_rank", choice(None, 24, 40)),
    ("kv_lora_rank", choice(16, 32, 48)),
    ("qk_rope_head_dim", choice(8, 16)),
    ("qk_nope_head_dim v_head_dim", choice(16, 24, 32)),
    ("state_size mamba_d_state ssm_state_size", choice(8, 16, 32)),
    ("mamba_d_conv conv_kernel linear_conv_kernel_dim conv_L_cache", choice(3, 4)),
    ("mamba_expand expand", choice(2)),
    ("mamba_d_head mamba_head_dim mamba_headdim", lambda r, s: s.head_dim),
    ("mamba_n_heads mamba_num_heads n_mamba_heads", lambda r, s: 2 * s.heads),
    ("mamba_n_groups mamba_ngroups n_groups", choice(1, 2)),
    ("linear_num_key_heads", lambda r, s: s.kv_heads),
    ("linear_num_value_heads", lambda r, s: s.heads),
    ("linear_key_head_dim linear_value_head_dim", choice(8, 16, 32)),
    ("index_head_dim", choice(16, 32)),
    ("index_n_heads index_topk", choice(2, 4)),
    ("out_hidden_size text_hidden_size projector_output_dim", lambda r, s: s.text_hidden),
    ("embedding_size lru_width", lambda r, s: r.choice((None, s.hidden))),
    ("type_vocab_size", choice(1, 2, 3)),
    ("num_kv_shared_layers", lambda r, s: r.randint(0, s.layers - 2)),
    ("chunk_size mamba_chunk_size", choice(16)),
    ("hidden_size_per_layer_input", choice(0, 16)),
    (" ".join(LAYER_COUNTS), lambda r, s: s.layers),
]
TOGETHER = {name for names, _ in SAMPLED[:4] for name in names.split()}  # width and heads must fit each other
SAMPLERS = {name: sampler for names, sampler in SAMPLED for name in names.split()}


def declared(config_class: ConfigClass) -> Config:
    """Field → default as the class declares it, the fields common to all classes left out."""
    common = {field.name for field in dataclasses.fields(PreTrainedConfig)}
    found: Config = {}
    for field in dataclasses.fields(config_class):
        if field.name in common and field.name != "tie_word_embeddings":
            continue
        has_factory = field.default_factory is not dataclasses.MISSING
        found[field.name] = field.default_factory() if has_factory else field.default
    return found


def per_layer_list(
    name: str, default: Any, base: PreTrainedConfig, sizes: Sizes, rng: Random
) -> list[Any] | None:
    """One entry a layer, out of those of the default config; None if the field is no such list."""
    full = default if isinstance(default, list | tuple) else getattr(base, name, None)
    count = getattr(base, "num_hidden_layers", None)
    if not isinstance(full, list | tuple) or not full or len(full) != count:
        return None
    if isinstance(full[0], dict | list):
        return None
    kinds = sorted({*full, *EXTRA_KINDS.get(name, ())} if len(set(full)) == 1 else set(full), key=str)
    return [rng.choice(kinds) for _ in range(sizes.layers)]


def draw_field(name: str, default: Any, base: PreTrainedConfig, sizes: Sizes, rng: Random) -> Any:
    """A new value of one field; the default itself where it is left alone."""
    boldness = sizes.boldness
    aliases = type(base).attribute_map.items()
    canonical = next((alias for alias, own in aliases if own == name and alias in SAMPLERS), name)
    if canonical in LAYER_COUNTS:
        return sizes.layers
    if name == "attention_types":  # gpt_neo: kinds and how often they repeat, together one a layer
        split = rng.randint(0, sizes.layers)
        return [[["global"], split], [["local"], sizes.layers - split]]
    if name in PER_LAYER or isinstance(default, list | tuple):
        is_bound = isinstance(default, list | tuple)  # the declared list fits only the declared layer count
        drawn = is_bound or rng.random() < boldness / 2
        return (per_layer_list(name, default, base, sizes, rng) if drawn else None) or default
    if isinstance(default, bool):
        often = 0.5 if "bias" in name or "tie" in name else 0.25
        return default ^ (name not in NEVER_FLIPPED and rng.random() < often * boldness)
    if canonical in TOGETHER and default is not None:
        return SAMPLERS[canonical](rng, sizes) if sizes.reshaped else default
    is_set = default is not None or rng.random() < 0.5
    if canonical in SAMPLERS and is_set and rng.random() < boldness:
        return SAMPLERS[canonical](rng, sizes)
    return default


def rope_by_axis(drawn: Config, base: PreTrainedConfig) -> Config:
    """glm4v: half of a head is rotated, split over time, height and width."""
    hidden, heads = (drawn.get(name, getattr(base, name)) for name in ("hidden_size", "num_attention_heads"))
    quarter = hidden // heads // 4
    sections = [quarter - 2 * (quarter // 3), quarter // 3, quarter // 3]
    rope = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}
    return {"rope_parameters": rope | {"mrope_section": sections}}


def alternating(drawn: Config, *kinds: str) -> list[str]:
    return [kinds[index % len(kinds)] for index in range(drawn["num_hidden_layers"])]


ROPE = {"rope_type": "default", "rope_theta": 10000.0}
PERCEPTION = {
    "architecture": "vit_pe_core_large_patch14_336",
    "model_args": {
        "embed_dim": 64,
        "img_size": [56, 56],
        "depth": 2,
        "global_pool": "",
        "use_post_transformer_norm": False,
        "init_values": 0.1,
        "ref_feat_shape": [4, 4],
    },
}
# What published configs state and the library's own default lacks.
STATED: dict[str, Callable[[Config, PreTrainedConfig], Config]] = {
    "glm4v_text": rope_by_axis,
    "lfm2_moe": lambda drawn, base: {"layer_types": alternating(drawn, "conv", "full_attention")},
    "qwen4_exp_text": lambda drawn, base: {
        "layer_types": alternating(drawn, "linear_attention", "full_attention"),
        "indexer_n_heads": 4,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 16,
        "indexer_budget": 8,
        "indexer_compress_ratio": 4,
    },
    "dbrx": lambda drawn, base: {
        "attn_config": {"rope_theta": 10000.0, "clip_qkv": 8.0, "kv_n_heads": 2},
        "ffn_config": {"ffn_hidden_size": 96, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "perception_lm": lambda drawn, base: {"vision_config": {"model_type": "timm_wrapper"} | PERCEPTION},
    "qwen3_omni_moe": lambda drawn, base: {"talker_config": {"spatial_merge_size": 2}},
    "qwen3_omni_moe_talker_text": lambda drawn, base: {"shared_expert_intermediate_size": 48},
    "molmo2_adapter": lambda drawn, base: {"vision_feature_layer": [1, 0]},
    "cohere_compass_text": lambda drawn, base: {
        "rope_parameters": {"full_attention": ROPE, "sliding_attention": ROPE}
    },
}


FITTING = (  # what must divide or not exceed which other field: the library builds models that cannot run
    ("num_key_value_heads", ("num_attention_heads",), lambda part, whole: whole % part == 0),
    ("num_experts_per_tok", ("n_routed_experts", "num_experts", "num_local_experts"), int.__le__),
)


FITTING_OF = {  # a head of one element cannot be turned: the library's keys come out two wide
    "olmo_hybrid": [("hidden_size", ("num_attention_heads",), lambda width, heads: width >= 2 * heads)],
}


def stated(base: PreTrainedConfig, name: str) -> Any:
    """A field of a config; None where it has none, or where it differs from layer to layer."""
    try:
        return getattr(base, name, None)
    except AmbiguousGlobalPerLayerAttributeError:
        return None


def keep_possible(drawn: Config, base: PreTrainedConfig) -> None:
    """Take back drawn fields that don't fit those they depend on."""
    for name, wholes, fits in (*FITTING, *FITTING_OF.get(base.model_type, ())):
        part = drawn.get(name, stated(base, name))
        for whole_name in wholes:
            whole = drawn.get(whole_name, stated(base, whole_name))
            if type(part) is int and part and type(whole) is int and not fits(part, whole):
                drawn.pop(name, None)
                drawn.pop(whole_name, None)


def draw_fields(config_class: ConfigClass, rng: Random, boldness: float, text_hidden: int | None) -> Config:
    """Overrides for one config class, sub-configs aside; `boldness` is the probability of each change."""
    sizes = draw_sizes(rng, boldness, text_hidden)
    base = config_class()
    fields = declared(config_class)
    values = {name: draw_field(name, fields[name], base, sizes, rng) for name in fields}
    drawn = {name: value for name, value in values.items() if value != fields[name]}
    pad, vocab = getattr(base, "pad_token_id", None), drawn.get("vocab_size")
    if isinstance(pad, int) and vocab and pad >= vocab:
        drawn["pad_token_id"] = 0
    keep_possible(drawn, base)
    state = STATED.get(base.model_type)
    return drawn | (state(drawn, base) if state else {})


def draw(config_class: ConfigClass, rng: Random, boldness: float, text_hidden: int | None = None) -> Config:
    """Overrides for a config class and, nested, for its sub-configs."""
    drawn = draw_fields(config_class, rng, boldness, text_hidden)
    specs = config_class.sub_configs_defaults
    for key in sorted(specs, key=lambda name: "text" not in name):
        sub_config = getattr(config_class(), key, None)
        if sub_config is None:
            continue
        sub = draw(type(sub_config), rng, boldness, text_hidden)
        if "text" in key:
            text_hidden = sub.get("hidden_size", getattr(sub_config, "hidden_size", None))
        if sub:
            own = {"model_type": sub_config.model_type} | drawn.get(key, {})
            drawn[key] = dict(specs[key].init_kwargs) | own | sub
    return drawn


BOLDNESS = (0.9, 0.7, 0.5, 0.35, 0.2, 0.1)
DRAWS_OF_EACH = 10


def attempt(model_type: str, seed: int, number: int) -> Config:
    """One random config."""
    rng = Random(f"{model_type}/{seed}/{number}")
    return {"model_type": model_type} | draw(
        CONFIG_MAPPING[model_type], rng, BOLDNESS[number // DRAWS_OF_EACH]
    )


def samples(model_type: str, seed: int = 0) -> Iterator[Config]:
    """Two random configs of each boldness, bold ones first."""
    starts = range(0, len(BOLDNESS) * DRAWS_OF_EACH, DRAWS_OF_EACH // 2)
    return (attempt(model_type, seed, number) for number in starts)


def variations(
    model_type: str, count: int, accept: Callable[[Config], Taken | None], seed: int = 0
) -> list[Taken]:
    """What `accept` makes of the first `count` distinct random configs it takes, bold ones first; fewer if
    all draws hold fewer."""
    seen: list[Config] = []
    found: list[Taken] = []
    for number in range(len(BOLDNESS) * DRAWS_OF_EACH):
        if len(found) == count:
            break
        if (config := attempt(model_type, seed, number)) in seen:
            continue
        if (made := accept(config)) is not None:
            seen.append(config)
            found.append(made)
    return found
