"""Tensors as published checkpoints name them: single experts, older module names, wrappers in other order.

Implementations rename and fuse what they load (transformers `conversion_mapping.py`); this is the way back,
one line a lineage. Sizes do not change but for quantized tensors, which become several.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .operations import Parameter

if TYPE_CHECKING:
    from ..precision.scheme import Scheme
    from .architecture import Architecture

Names = tuple[str, str, str]  # gate, up, down

GATE_UP_DOWN: Final[Names] = ("gate_proj", "up_proj", "down_proj")
W1_W3_W2: Final[Names] = ("w1", "w3", "w2")


@dataclass(frozen=True, slots=True)
class CheckpointTensor:
    """A tensor of a checkpoint; `dtype` is a name of `precision.dtypes` or a GGUF type, `bytes` exact."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Naming:
    """How a lineage is published: what single experts are called (None: stacked) and what is renamed.

    `renames` are regular expressions over whole names, each put to what the one before left.
    `transposed` swaps the last two extents of stacked experts.
    """

    experts: Names | None = None
    renames: tuple[tuple[str, str], ...] = ()
    transposed: bool = False

    def name(self, name: str) -> str:
        """The published name of a tensor."""
        for pattern, replacement in self.renames:
            name = _compiled(pattern).sub(replacement, name)
        return name


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_EXPERTS: Final = Naming(GATE_UP_DOWN)
_SPARSE_MOE: Final = Naming(W1_W3_W2, ((r"\.mlp\.", ".block_sparse_moe."),))
_WRAPPED: Final = (
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.(vision_tower|vision_model|multi_modal_projector|image_newline|audio_tower)", r"\1"),
)
_QWEN_VL: Final = ((r"^model\.language_model\.", "model."), (r"^model\.visual\.", "visual."))
_GRANITE: Final = (
    (r"experts\.gate_up_proj$", "input_linear.weight"),
    (r"experts\.down_proj$", "output_linear.weight"),
    (r"block_sparse_moe\.router\.weight", "block_sparse_moe.router.layer.weight"),
)
_DEEPSEEK_V4: Final = (
    (r"^model\.", ""),
    (r"^embed_tokens\.", "embed."),
    (r"^lm_head\.", "head."),
    (r"^hc_head\.hc_", "hc_head_"),
    (r"\.input_layernorm\.", ".attn_norm."),
    (r"\.post_attention_layernorm\.", ".ffn_norm."),
    (r"\.(attn|ffn)_hc\.(fn|base|scale)$", r".hc_\1_\2"),
    (r"\.self_attn\.", ".attn."),
    (r"\.mlp\.", ".ffn."),
    (r"\.compressor\.indexer\.scorer\.weights_proj\.", ".indexer.weights_proj."),
    (r"\.compressor\.indexer\.q_b_proj\.", ".indexer.wq_b."),
    (r"\.compressor\.indexer\.", ".indexer.compressor."),
    (r"\.sinks$", ".attn_sink"),
    (r"\.position_bias$", ".ape"),
    (r"\.kv_norm\.", ".norm."),
    (r"\.q_a_norm\.", ".q_norm."),
    (r"\.q_a_proj\.", ".wq_a."),
    (r"\.q_b_proj\.", ".wq_b."),
    (r"\.kv_proj\.", ".wkv."),
    (r"\.o_([ab])_proj\.", r".wo_\1."),
    (r"\.gate\.e_score_correction_bias$", ".gate.bias"),
    (r"\.shared_experts\.gate_proj\.", ".shared_experts.w1."),
    (r"\.shared_experts\.down_proj\.", ".shared_experts.w2."),
    (r"\.shared_experts\.up_proj\.", ".shared_experts.w3."),
    (r"\.(attn\.(?:indexer\.)?compressor)\.gate_proj\.", r".\1.wgate."),
)

# Types published as their modules are named need no line.
NAMINGS: Final[dict[str, Naming]] = {
    **dict.fromkeys(
        (
            *(
                "qwen2_moe",
                "qwen3_moe",
                "qwen3_next",
                "qwen3_5_moe",
                "qwen3_5_moe_text",
                "olmoe",
                "flex_olmo",
            ),
            *(
                "deepseek_v2",
                "deepseek_v3",
                "deepseek_v32",
                "dots1",
                "glm4_moe",
                "glm4_moe_lite",
                "glm_moe_dsa",
            ),
            *(
                "afmoe",
                "solar_open",
                "mellum",
                "hunyuan_v1_moe",
                "exaone_moe",
                "cohere2_moe",
                "longcat_flash",
            ),
            *("glm4v_moe", "jamba", "qwen3_omni_moe", "qwen3_omni_moe_text", "beam"),
            *("kimi_k2", "deepseek", "hunyuan"),
        ),
        _EXPERTS,
    ),
    **dict.fromkeys(("mixtral", "minimax", "minimax_m2", "minimax_text_01", "minimax_m1"), _SPARSE_MOE),
    **dict.fromkeys(
        (
            *("llava", "gemma3", "mistral3", "internvl", "aria", "paligemma", "aya_vision", "vipllava"),
            *("llava_next", "llava_onevision", "mllama", "video_llava"),
        ),
        Naming(renames=_WRAPPED),
    ),
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl"), Naming(renames=_QWEN_VL)),
    **dict.fromkeys(("granitemoe", "granitemoeshared", "granitemoehybrid"), Naming(renames=_GRANITE)),
    "ernie4_5_moe": Naming(GATE_UP_DOWN, ((r"\.gate\.moe_statics\.", ".moe_statics."),)),
    "phimoe": Naming(W1_W3_W2, ((r"\.mlp\.router\.", ".mlp.gate."), (r"\.mlp\.", ".block_sparse_moe."))),
    **dict.fromkeys(("lfm2_moe", "arctic"), Naming(W1_W3_W2)),
    "nemotron_h": Naming(GATE_UP_DOWN, ((r"^model\.", "backbone."),)),
    "qwen3_vl_moe": Naming(transposed=True),
    "gpt_neox": Naming(renames=((r"^lm_head\.", "embed_out."),)),
    "deepseek_v4": Naming(W1_W3_W2, _DEEPSEEK_V4),
}


def naming(model_type: str) -> Naming:
    """How a model type is published."""
    return NAMINGS.get(model_type, Naming())


def checkpoint_tensors(architecture: "Architecture", scheme: "Scheme") -> Iterator[CheckpointTensor]:
    """Every tensor of the published checkpoint in a scheme, scales and the like included; tied copies once.

    GGUF files keep experts stacked and have names of their own; those come in module naming.
    """
    bound = scheme.on(architecture)
    published = naming(architecture.model_type)
    for section in bound.sections(architecture):
        owned = [
            (part, tensor)
            for op, parameter in section.quantities()
            for part in ((parameter,) if bound.stacked else parts(parameter, published))
            for tensor in bound.stored(section, op, part, part.shape)
        ]
        for prefix in section.prefixes():
            for part, tensor in owned:
                name = published.name(tensor.name(prefix + part.name))
                yield CheckpointTensor(name, tensor.shape, tensor.dtype, tensor.bytes)


def parts(parameter: Parameter, published: Naming) -> Iterator[Parameter]:
    """The parameters that one of the implementation's is published as."""
    if parameter.checkpoint:
        for name, rows in parameter.checkpoint:
            yield replace(parameter, name=name, shape=(rows, *parameter.shape[1:]), split=None, checkpoint=())
    elif parameter.experts and published.experts is not None and len(parameter.shape) == 3:
        yield from _single_experts(parameter, published.experts)
    elif parameter.experts and published.transposed and len(parameter.shape) == 3:
        count, rows, columns = parameter.shape
        yield replace(parameter, shape=(count, columns, rows), transposed=not parameter.transposed)
    else:
        yield parameter


def _single_experts(parameter: Parameter, names: Names) -> Iterator[Parameter]:
    base, _, last = parameter.name.rpartition(".")
    count, rows, columns = parameter.shape
    gate, up, down = names
    own = {"gate_up_proj": (gate, up), "up_proj": (up,), "down_proj": (down,)}.get(last, (last,))
    shape = (rows // len(own), columns)
    for index in range(count):
        for name in own:
            yield replace(
                parameter,
                name=f"{base}.{index}.{name}.weight",
                shape=shape,
                split=None,
                experts=0,
                transposed=False,
            )
