"""How models that see or listen are published: the wrappers' order of modules, and their towers' names.

Source: transformers 5.23 `conversion_mapping.py`, as in `naming.py`. Each table is applied from the top,
every line to what the one before left.
"""

from typing import Final

Renames = tuple[tuple[str, str], ...]


def outside(*modules: str) -> Renames:
    """Modules that stand beside the language model, not with it inside `model`."""
    return ((rf"^model\.({'|'.join(modules)})(?=\.|$)", r"\1"),)


def leaves(names: dict[str, str], *, inside: str = "") -> Renames:
    """Names of modules by those they are published under; `inside`: only below that module."""
    start = rf"^((?:.*\.)?{inside}\..*?)\b" if inside else r"()\b"
    return tuple((start + own.replace(".", r"\.") + r"\b", rf"\1{other}") for own, other in names.items())


# The language model as a whole model, with its own head, beside its towers.
LANGUAGE_MODEL: Final[Renames] = (
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.language_model\.", "language_model.model."),
)
PLAIN: Final[Renames] = ((r"^model\.language_model\.", "model."),)

SPEECH: Final[Renames] = (*LANGUAGE_MODEL, *outside("audio_tower", "multi_modal_projector"))
GRANITE_SPEECH: Final[Renames] = (*LANGUAGE_MODEL, *outside("encoder", "projector"))
VIBEVOICE: Final[Renames] = (
    *LANGUAGE_MODEL,
    *outside("acoustic_tokenizer_encoder", "semantic_tokenizer_encoder", "multi_modal_projector"),
)
OMNI_THINKER: Final[Renames] = (*PLAIN, *outside("visual", "audio_tower"))
OMNI: Final[Renames] = (
    (r"^thinker\.model\.language_model\.", "thinker.model."),
    (r"^thinker\.model\.(visual|audio_tower)\.", r"thinker.\1."),
)

VIDEO_LLAVA: Final[Renames] = (
    *LANGUAGE_MODEL,
    *outside("image_tower", "video_tower", "multi_modal_projector"),
)
LLAVA_VIDEO: Final[Renames] = (
    *LANGUAGE_MODEL,
    *outside("vision_tower", "multi_modal_projector", "image_newline"),
)
PADDLE_OCR: Final[Renames] = (
    *PLAIN,
    *outside("visual"),
    (r"^model\.projector\.", "mlp_AR."),
)
HYPERCLOVAX: Final[Renames] = (
    (r"^lm_head\.", "model.language_model.lm_head."),
    (r"^model\.projector\.", "model.vision_projector."),
)
SHIELDGEMMA: Final[Renames] = ((r"^model\.language_model\.", "model.language_model.model."),)

HUNYUAN_VL: Final[Renames] = (
    *leaves({"fc1": "dense_h_to_4h", "fc2": "dense_4h_to_h"}, inside="vision_tower"),
    *leaves(
        {"layer_norm1": "input_layernorm", "layer_norm2": "post_attention_layernorm"}, inside="vision_tower"
    ),
    (r"\.patch_merger\.proj_conv\.", ".patch_merger.proj.0."),
    (r"\.patch_merger\.proj_out\.", ".patch_merger.proj.2."),
    (r"\.patch_merger\.", ".perceive."),
    (r"^model\.vision_tower\.", "vit."),
    *PLAIN,
)
COSMOS_EDGE: Final[Renames] = (
    (r"\.self_attn\.([qkv])_proj\.", r".self_attn.to_\1."),
    (r"\.self_attn\.o_proj\.", ".self_attn.to_out."),
    (r"\.mlp\.fc1\.", ".mlp.up_proj."),
    (r"\.mlp\.fc2\.", ".mlp.down_proj."),
    (r"^model\.language_model\.", ""),
)
COSMOS_OMNI: Final[Renames] = (
    (r"\.self_attn\.([qkv])_proj\.", r".self_attn.to_\1."),
    (r"\.self_attn\.o_proj\.", ".self_attn.to_out."),
    (r"\.self_attn\.([qk])_norm\.", r".self_attn.norm_\1."),
    (r"^model\.(language_model|visual)\.", ""),
)
LFM3_VL: Final[Renames] = (
    (r"(\.vision_tower\..*\.[qk])_norm\.", r"\1_layernorm."),
    (r"\.vision_tower\.(.*)\bpatch_embed\.", r".vision_tower.\1patchifier."),
    (r"\.self_attn\.g_proj\.", ".self_attn.gate_proj."),
)
MINIMAX_M3_VL: Final[Renames] = (
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.vision_tower\.embeddings\.proj\.", "vision_tower.vision_model.embeddings.patch_embedding."),
    (r"^model\.vision_tower\.layers\.", "vision_tower.vision_model.encoder.layers."),
    (r"^model\.vision_tower\.pre_layrnorm\.", "vision_tower.vision_model.pre_layrnorm."),
    (r"^model\.multi_modal_projector\.merge_", "patch_merge_mlp."),
    (r"^model\.multi_modal_projector\.", "multi_modal_projector."),
    (r"\.mlp\.gate\.e_score_correction_bias$", ".block_sparse_moe.e_score_correction_bias"),
    (r"\.mlp\.(experts|gate|shared_experts)\.", r".block_sparse_moe.\1."),
    (r"\.self_attn\.indexer\.([qk]_(?:proj|norm))\.", r".self_attn.index_\1."),
)
NEMOTRON_OMNI: Final[Renames] = (
    (r"^language_model\.model\.", "language_model.backbone."),
    (r"^(vision_model)\.(summary_idxs|input_conditioner)", r"\1.radio_model.\2"),
    (r"^(vision_model\..*)attention\.o_proj\.", r"\1attn.proj."),
    (r"^vision_model\.encoder\.layer\.", "vision_model.radio_model.model.blocks."),
    (r"^vision_model\.embeddings\.cls_register_token", "vision_model.embeddings.cls_token.token"),
    (r"^vision_model\.embeddings\.position_embedding", "vision_model.embeddings.pos_embed"),
    (r"^vision_model\.embeddings\.patch_projection", "vision_model.embeddings.embedder"),
    (r"^vision_model\.embeddings\.video_patch_projection", "vision_model.embeddings.video_embedder"),
    (r"^vision_model\.embeddings\.", "vision_model.radio_model.model.patch_generator."),
    (r"^embed_audio\.linear_([12])\.", r"sound_projection.linear\1."),
    (r"^embed_audio\.layer_norm\.", "sound_projection.norm."),
    (r"^audio_tower\.", "sound_encoder.encoder."),
    (r"^multi_modal_projector\.layer_norm\.", "mlp1.0."),
    (r"^multi_modal_projector\.linear_1\.", "mlp1.1."),
    (r"^multi_modal_projector\.linear_2\.", "mlp1.3."),
)
PI0: Final[Renames] = (
    (r"\bembed_action_time\.(action_time_mlp_out|action_time_mlp_in|action_in_proj|state_proj)\.", r"\1."),
    (r"^model\.vlm\.language_model\.embed_tokens\.", "paligemma_with_expert.paligemma.lm_head."),
    (r"^model\.dit\.embed_tokens\.", "paligemma_with_expert.gemma_expert.lm_head."),
    (r"^model\.dit\.", "paligemma_with_expert.gemma_expert.model."),
    (r"^model\.vlm\.", "paligemma_with_expert.paligemma.model."),
)
QIANFAN: Final[Renames] = (
    *LANGUAGE_MODEL,
    (r"^model\.vision_tower\.", "vision_model."),
    (r"\bvision_model\.layers\.", "vision_model.encoder.layers."),
    (r"\.lambda_([12])$", r".ls\1"),
    (r"(layers\.\d+)\.attention\.projection_layer\.", r"\1.attn.proj."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.embeddings\.cls_token", ".embeddings.class_embedding"),
    (r"\.embeddings\.position_embeddings", ".embeddings.position_embedding"),
    (r"\.embeddings\.patch_embeddings\.projection\.", ".embeddings.patch_embedding."),
    (r"^model\.multi_modal_projector\.layer_norm\.", "mlp1.0."),
    (r"^model\.multi_modal_projector\.linear_1\.", "mlp1.1."),
    (r"^model\.multi_modal_projector\.linear_2\.", "mlp1.3."),
)
STEP_VL: Final[Renames] = (
    *PLAIN,
    (r"^model\.vision_model\.", "vision_model."),
    (r"^model\.multi_modal_projector\.", "vit_large_projector."),
    (r"\.mlp\.gate\.weight$", ".moe.gate.weight"),
    (r"\.mlp\.gate\.e_score_correction_bias$", ".moe.router_bias"),
    (r"\.mlp\.experts\.(gate|up|down)_proj$", r".moe.\1_proj.weight"),
    (r"\.mlp\.shared_experts\.", ".share_expert."),
    (r"^vision_model\.embeddings\.patch_embedding\.weight$", "vision_model.conv1.weight"),
    (r"^vision_model\.embeddings\.position_embedding\.weight$", "vision_model.positional_embedding"),
    (r"^vision_model\.layers\.", "vision_model.transformer.resblocks."),
    (r"^vision_model\.pre_layernorm\.", "vision_model.ln_pre."),
    (r"^vision_model\.downsampler([12])\.", r"vision_model.vit_downsampler\1."),
    (r"^(vision_model\..*)\.lambda_([12])$", r"\1.ls_\2.gamma"),
    (r"^(vision_model\..*)\.mlp\.fc1\.", r"\1.mlp.c_fc."),
    (r"^(vision_model\..*)\.mlp\.fc2\.", r"\1.mlp.c_proj."),
    (r"^(vision_model\..*)\.self_attn\.", r"\1.attn."),
    (r"^(vision_model\..*)\.layernorm_before\.", r"\1.ln_1."),
    (r"^(vision_model\..*)\.layernorm_after\.", r"\1.ln_2."),
)
T5GEMMA2: Final[Renames] = ((r"^model\.encoder\.text_model\.", "model.encoder."),)
UNLIMITED_OCR: Final[Renames] = (
    (r"\bvision_tower\.sam_encoder\.", "sam_model."),
    (r"\bvision_tower\.vision_encoder\.", "vision_model."),
    (r"\bview_separator$", "view_seperator"),
    (r"\bmulti_modal_projector\.(weight|bias)$", r"projector.layers.\1"),
    *PLAIN,
    (r"\bsam_model\.layers\.(\d+)\.layer_norm([12])\.", r"sam_model.blocks.\1.norm\2."),
    (r"\bsam_model\.layers\.", "sam_model.blocks."),
    (r"\bsam_model\.patch_embed\.projection\.", "sam_model.patch_embed.proj."),
    (r"\bsam_model\.neck\.conv1\.", "sam_model.neck.0."),
    (r"\bsam_model\.neck\.layer_norm1\.", "sam_model.neck.1."),
    (r"\bsam_model\.neck\.conv2\.", "sam_model.neck.2."),
    (r"\bsam_model\.neck\.layer_norm2\.", "sam_model.neck.3."),
    (r"\bsam_model\.proj\.conv1\.", "sam_model.net_2."),
    (r"\bsam_model\.proj\.conv2\.", "sam_model.net_3."),
    (r"\bvision_model\.encoder\.", "vision_model.transformer."),
)
VIT_ENCODER: Final[Renames] = (
    (r"^encoder\.layers\.", "encoder.encoder.layer."),
    (r"^(encoder\..*)attention\.q_proj\.", r"\1attention.attention.query."),
    (r"^(encoder\..*)attention\.k_proj\.", r"\1attention.attention.key."),
    (r"^(encoder\..*)attention\.v_proj\.", r"\1attention.attention.value."),
    (r"^(encoder\..*)attention\.o_proj\.", r"\1attention.output.dense."),
    (r"^(encoder\..*)mlp\.fc1\.", r"\1intermediate.dense."),
    (r"^(encoder\..*)mlp\.fc2\.", r"\1output.dense."),
)
GTE: Final[Renames] = (
    (r"\.layers\.", ".encoder.layer."),
    (r"\.self_attn\.o_proj\.", ".attention.o_proj."),
    (r"\.post_attention_layernorm\.", ".attn_ln."),
    (r"\.post_mlp_layernorm\.", ".mlp_ln."),
    (r"\blm_head\.layer_norm\.", "lm_head.norm."),
)
JINA: Final[Renames] = (
    (r"\.layers\.", ".encoder.layers."),
    (r"\.self_attn\.o_proj\.", ".mixer.out_proj."),
    (r"\.post_attention_layernorm\.", ".norm1."),
    (r"\.post_mlp_layernorm\.", ".norm2."),
    (r"\.embeddings\.LayerNorm\.", ".emb_ln."),
)
