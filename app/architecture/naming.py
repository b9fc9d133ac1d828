"""How lineages are published: one line each, read by `checkpoint.py`.

Source: transformers `conversion_mapping.py`, which renames and fuses what it loads; this is the way back. A
few lines follow the published files themselves where that way back is not exact (Kimi's dense layers and
vision tower, DeepSeek V4's names without a prefix).
"""

import re
from functools import lru_cache
from typing import Final

from msgspec import Struct

from . import naming_towers as towers

Names = tuple[str, str, str]  # gate, up, down

GATE_UP_DOWN: Final[Names] = ("gate_proj", "up_proj", "down_proj")
W1_W3_W2: Final[Names] = ("w1", "w3", "w2")


class Naming(Struct, frozen=True):
    """How a lineage is published: what single experts are called (None: stacked) and what is renamed.

    `renames` are regular expressions over whole names, each put to what the one before left.
    `transposed` swaps the last two extents of stacked experts. `divided`: a fused tensor by the end of its
    name, and what its parts are called, in order. `joined`: parts by the ends of their names, and the tensor
    that they are together.
    """

    experts: Names | None = None
    renames: tuple[tuple[str, str], ...] = ()
    transposed: bool = False
    divided: tuple[tuple[str, tuple[str, ...]], ...] = ()
    joined: tuple[tuple[tuple[str, ...], str], ...] = ()
    joined_in: str = ""  # the only component whose parts are joined; all of them if empty

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
    (
        r"^model\.(vision_tower|vision_model|vision_embed_tokens|multi_modal_projector|image_newline|audio_tower)",
        r"\1",
    ),
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

_CONVOLUTIONS: Final = (("conv1d.weight", ("q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight")),)
_FORGET_GATE: Final = ((r"\.self_attn\.forget_gate\.", ".self_attn."),)
_KIMI_VL: Final = (
    *_WRAPPED[:2],
    (
        r"^model\.vision_tower\.patch_embed\.pos_emb\.position_embeddings$",
        "vision_tower.patch_embed.pos_emb.weight",
    ),
    (r"^model\.vision_tower\.layers\.(\d+)\.norm1\.", r"vision_tower.encoder.blocks.\1.norm0."),
    (r"^model\.vision_tower\.layers\.(\d+)\.norm2\.", r"vision_tower.encoder.blocks.\1.norm1."),
    (r"^model\.vision_tower\.layers\.(\d+)\.mlp\.fc1\.", r"vision_tower.encoder.blocks.\1.mlp.fc0."),
    (r"^model\.vision_tower\.layers\.(\d+)\.mlp\.fc2\.", r"vision_tower.encoder.blocks.\1.mlp.fc1."),
    (r"^model\.vision_tower\.layers\.(\d+)\.attn\.proj\.", r"vision_tower.encoder.blocks.\1.wo."),
    (r"^model\.vision_tower\.layers\.(\d+)\.attn\.wqkv\.", r"vision_tower.encoder.blocks.\1.wqkv."),
    (r"^model\.vision_tower\.final_layernorm\.", "vision_tower.encoder.final_layernorm."),
    (r"^model\.vision_tower\.", "vision_tower."),
    (r"^model\.mm_projector\.in_proj\.", "mm_projector.proj.0."),
    (r"^model\.mm_projector\.out_proj\.", "mm_projector.proj.2."),
    (r"^model\.mm_projector\.", "mm_projector."),
)
_QKV: Final = tuple(
    (tuple(f"attn.{part}_proj.{end}" for part in "qkv"), f"attn.wqkv.{end}") for end in ("weight", "bias")
)
_TOWER_QKV: Final = tuple(
    (tuple(f"attention.{part}_proj.{end}" for part in "qkv"), f"attn.qkv.{end}") for end in ("weight", "bias")
)
_QKV_WEIGHT: Final = tuple(f"self_attn.{part}_proj.weight" for part in "qkv")
_QKV_BIAS: Final = tuple(f"self_attn.{part}_proj.bias" for part in "qkv")
_GATED_QKV: Final = tuple(f"self_attn.{part}_proj.weight" for part in ("gate", "q", "k", "v"))
_ARIA: Final = ((r"experts\.down_proj$", "experts.fc2.weight"),)
_HYPER: Final = (
    (r"^model\.hc_head\.hc_", "model.hc_pre.hc_head.hc_head_"),
    (r"\.attn_hc\.(fn|base|scale)$", r".hc_pre.hc_attn_layer.hc_\1"),
    (r"\.ffn_hc\.(fn|base|scale)$", r".hc_pre.hc_mlp_layer.hc_\1"),
    (r"\.sinks$", ".learnable_sink_param"),
    (r"\.gate_proj\.", ".linear_gate."),
)
_BAILING: Final = (
    *_FORGET_GATE,
    (r"^model\.embed_tokens\.", "model.word_embeddings."),
    (r"\.self_attn\.o_proj\.", ".self_attn.dense."),
    (r"\.self_attn\.", ".attention."),
    (r"\.mlp\.gate\.e_score_correction_bias$", ".mlp.gate.expert_bias"),
)
_HY_V3: Final = (
    (r"\.mlp\.gate\.weight$", ".mlp.router.gate.weight"),
    (r"\.mlp\.e_score_correction_bias$", ".mlp.expert_bias"),
    (r"\.mlp\.shared_experts\.", ".mlp.shared_mlp."),
)
_AXK2: Final = (
    (r"\.mlp\.fc1\.", ".W_down."),
    (r"\.mlp\.fc2\.", ".W_up."),
    (r"\.self_attn\.q_gate_proj\.", ".self_attn.q_b_proj."),
)
_KOLIBRI: Final = (
    (r"\.mlp\.gate\.e_score_correction_bias$", ".moe.router.expert_bias"),
    (r"\.post_self_attn_layernorm\.", ".post_attn_norm."),
    (r"\.post_mlp_layernorm\.", ".post_ffn_norm."),
)
_LAGUNA: Final = (
    (r"\.mlp\.gate\.e_score_correction_bias$", ".mlp.experts.e_score_correction_bias"),
    (r"\.mlp\.shared_experts\.", ".mlp.shared_expert."),
)
_OLMO: Final = (
    (r"\.post_attention_layernorm\.", ".feedforward_layer_norm."),
    (r"\.input_layernorm\.", ".attention_layer_norm."),
)
_NOMIC: Final = (
    (r"\.layers\.", ".encoder.layers."),
    (r"\.embeddings\.LayerNorm\.", ".emb_ln."),
    (r"\.self_attn\.o_proj\.", ".attn.out_proj."),
    (r"\.self_attn\.Wqkv\.", ".attn.Wqkv."),
    (r"\.up_proj\.", ".fc11."),
    (r"\.gate_proj\.", ".fc12."),
    (r"\.down_proj\.", ".fc2."),
    (r"\.post_attention_layernorm\.", ".norm1."),
    (r"\.post_mlp_layernorm\.", ".norm2."),
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
            *("glm4v_moe", "jamba", "qwen3_omni_moe_text", "beam", "qwen4_exp_text"),
            *("kimi_k2", "deepseek", "hunyuan"),
        ),
        _EXPERTS,
    ),
    **dict.fromkeys(("mixtral", "minimax", "minimax_m2", "minimax_text_01", "minimax_m1"), _SPARSE_MOE),
    **dict.fromkeys(
        (
            *(
                "llava",
                "gemma3",
                "mistral3",
                "internvl",
                "got_ocr2",
                "fuyu",
                "paligemma",
                "aya_vision",
                "vipllava",
            ),
            *("llava_next", "llava_onevision", "mllama"),
        ),
        Naming(renames=_WRAPPED),
    ),
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl"), Naming(renames=_QWEN_VL)),
    **dict.fromkeys(("granitemoe", "granitemoeshared", "granitemoehybrid"), Naming(renames=_GRANITE)),
    "ernie4_5_moe": Naming(GATE_UP_DOWN, ((r"\.gate\.moe_statics\.", ".moe_statics."),)),
    "phimoe": Naming(W1_W3_W2, ((r"\.mlp\.router\.", ".mlp.gate."), (r"\.mlp\.", ".block_sparse_moe."))),
    **dict.fromkeys(("lfm2_moe", "arctic"), Naming(W1_W3_W2)),
    "nemotron_h": Naming(GATE_UP_DOWN, ((r"^model\.", "backbone."),)),
    "exaone_moe": Naming(
        GATE_UP_DOWN, ((r"\.mlp\.gate\.e_score_correction_bias$", ".mlp.e_score_correction_bias"),)
    ),
    "qwen3_vl_moe": Naming(transposed=True),
    "aria": Naming(renames=(*_WRAPPED, (r"experts\.gate_up_proj$", "experts.fc1.weight"), *_ARIA)),
    "aria_text": Naming(
        renames=((r"gate_up_proj$", "fc1.weight"), (r"experts\.down_proj$", "experts.fc2.weight"))
    ),
    "axk1": Naming(GATE_UP_DOWN, ((r"\.mlp\.post_mlp_layernorm\.", ".post_mlp_layernorm."),)),
    "axk2": Naming(GATE_UP_DOWN, _AXK2),
    "bailing_hybrid": Naming(GATE_UP_DOWN, _BAILING, divided=_CONVOLUTIONS),
    "dots3_note_text": _EXPERTS,
    "flint": Naming(GATE_UP_DOWN, ((r"\.sinks$", ".softmax_offset"),)),
    "mimo_v2_flash": Naming(GATE_UP_DOWN, ((r"\.sinks$", ".attention_sink_bias"),)),
    "hrm_text": Naming(
        renames=((r"\.self_attn\.(o_proj|gqkv_proj)\.", r".attn.\1."),),
        joined=(
            (
                tuple(f"self_attn.{part}_proj.weight" for part in ("gate", "q", "k", "v")),
                "self_attn.gqkv_proj.weight",
            ),
            (("mlp.gate_proj.weight", "mlp.up_proj.weight"), "mlp.gate_up_proj.weight"),
        ),
    ),
    "hy_v3": Naming(GATE_UP_DOWN, _HY_V3),
    "hy_v4": Naming(renames=_HYPER),
    "kimi_linear": Naming(
        W1_W3_W2,
        ((r"\.mlp\.(gate|experts|shared_experts)\.", r".block_sparse_moe.\1."), *_FORGET_GATE),
        divided=_CONVOLUTIONS,
    ),
    "kimi_k25": Naming(GATE_UP_DOWN, _KIMI_VL, joined=_QKV),
    "kolibri1": Naming(GATE_UP_DOWN, _KOLIBRI),
    "laguna": Naming(GATE_UP_DOWN, _LAGUNA),
    "lfm3": Naming(renames=((r"\.self_attn\.g_proj\.", ".self_attn.gate_proj."),)),
    "nomic_bert": Naming(
        renames=_NOMIC,
        joined=((tuple(f"self_attn.{part}_proj.weight" for part in "qkv"), "self_attn.Wqkv.weight"),),
    ),
    **dict.fromkeys(
        (*("audioflamingo3", "glmasr", "musicflamingo", "qwen2_audio", "voxtral", "voxtral_realtime"),),
        Naming(renames=towers.SPEECH),
    ),
    **dict.fromkeys(("granite_speech", "granite_speech_plus"), Naming(renames=towers.GRANITE_SPEECH)),
    **dict.fromkeys(("llava_next_video", "pp_chart2table"), Naming(renames=towers.LLAVA_VIDEO)),
    "vibevoice_asr": Naming(renames=towers.VIBEVOICE),
    "qwen2_5_omni": Naming(renames=towers.OMNI),
    "qwen2_5_omni_thinker": Naming(renames=towers.OMNI_THINKER),
    "qwen3_omni_moe": Naming(GATE_UP_DOWN, towers.OMNI),
    "qwen3_omni_moe_thinker": Naming(GATE_UP_DOWN, towers.OMNI_THINKER),
    "video_llava": Naming(renames=towers.VIDEO_LLAVA),
    "paddleocr_vl": Naming(renames=towers.PADDLE_OCR),
    "hyperclovax_vision_v2": Naming(renames=towers.HYPERCLOVAX),
    "shieldgemma2": Naming(renames=towers.SHIELDGEMMA),
    "hunyuan_vl": Naming(renames=towers.HUNYUAN_VL),
    "cosmos3_edge": Naming(renames=towers.COSMOS_EDGE),
    "cosmos3_omni": Naming(renames=towers.COSMOS_OMNI),
    "lfm3_vl": Naming(renames=towers.LFM3_VL),
    "minimax_m3_vl": Naming(
        W1_W3_W2,
        towers.MINIMAX_M3_VL,
        divided=(("gate_up_proj.weight", ("gate_proj.weight", "up_proj.weight")),),
    ),
    "nemotron_h_omni": Naming(
        GATE_UP_DOWN,
        towers.NEMOTRON_OMNI,
        joined=_TOWER_QKV,
    ),
    "pi0": Naming(renames=towers.PI0),
    "qianfan_ocr": Naming(
        renames=towers.QIANFAN,
        joined=_TOWER_QKV,
    ),
    "step3p7": Naming(
        renames=towers.STEP_VL,
        divided=(("experts.gate_up_proj", ("experts.gate_proj", "experts.up_proj")),),
        joined=((_QKV_WEIGHT, "self_attn.in_proj_weight"), (_QKV_BIAS, "self_attn.in_proj_bias")),
        joined_in="vision",
    ),
    "t5gemma2": Naming(renames=towers.T5GEMMA2),
    "unlimited_ocr": Naming(
        GATE_UP_DOWN,
        towers.UNLIMITED_OCR,
        joined=(
            (_QKV_WEIGHT, "self_attn.qkv_proj.weight"),
            (_QKV_BIAS, "self_attn.qkv_proj.bias"),
        ),
        joined_in="vision",
    ),
    "qwen4_exp": _EXPERTS,
    "ultrabert": Naming(renames=((r"^model\.", "ultrabert."), (r"^head\.decoder\.", "cls."))),
    "vision-encoder-decoder": Naming(renames=towers.VIT_ENCODER),
    "gte": Naming(
        renames=towers.GTE,
        joined=(
            (_QKV_WEIGHT, "attention.qkv_proj.weight"),
            (_QKV_BIAS, "attention.qkv_proj.bias"),
            (("mlp.up_proj.weight", "mlp.gate_proj.weight"), "mlp.up_gate_proj.weight"),
        ),
    ),
    "jina_embeddings_v3": Naming(
        renames=towers.JINA,
        joined=((_QKV_WEIGHT, "mixer.Wqkv.weight"), (_QKV_BIAS, "mixer.Wqkv.bias")),
    ),
    "olmo_hybrid": Naming(renames=_OLMO, divided=_CONVOLUTIONS),
    "gpt_neox": Naming(renames=((r"^lm_head\.", "embed_out."),)),
    "deepseek_v4": Naming(W1_W3_W2, _DEEPSEEK_V4),
    "glm5_next": Naming(
        GATE_UP_DOWN,
        (*_FORGET_GATE, (r"\.(attn|ffn)_hc\.(fn|base|scale)$", r".hc_\1_\2")),
        divided=_CONVOLUTIONS,
    ),
    "kyutai_speech_to_text": Naming(
        renames=(
            (r"\.(encoder|decoder)\.\1_seanet\.", r".\1."),
            (r"\.(encoder|decoder)\.\1_transformer\.", r".\1_transformer."),
            (r"\.(?:encoder|decoder)\.(downsample|upsample)\.", r".\1."),
        )
    ),
    "ultravbert": Naming(
        renames=((r"^projection_head\.", "head."), (r"^lm_head\.", "head.decoder.")),
    ),
}


def naming(model_type: str) -> Naming:
    """How a model type is published."""
    return NAMINGS.get(model_type, Naming())
