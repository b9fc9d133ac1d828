"""More models of a tower and a language model: Aya, Command A, Idefics, SmolVLM, Ovis, LFM2, OCR models."""

from ..blocks.attention import Heads
from ..blocks.cross import cross_attention
from ..blocks.feed_forward import gated
from ..blocks.vision import both_ways, held, merged, packed_attention, patches, positions, two_layers
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, project, see, tower
from .granite import granite
from .llama import activation, ernie4_5, hunyuan_dense
from .llava import LINEARS, projector
from .registry import body, family, scaled
from .towers import idefics, norm, places, plain_layers

LLAVA = "model.multi_modal_projector"

body("paddleocr_vl_text")(ernie4_5)
body("granite_docling_text")(granite)
body("hunyuan_vl_text")(hunyuan_dense)


@family("vipllava")
def vipllava(c: Config, m: ModelBuilder) -> None:
    """ViP-LLaVA (arXiv 2312.00784): several of the tower's layers side by side, normalised."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    taken = c.get("vision_feature_layers", c.get("vision_feature_layer"))
    width = vision.hidden * (len(taken) if isinstance(taken, list | tuple) else 1)

    def write(t: Trace) -> Tensor:
        x = t.norm("projector_layernorm", t.input(width, Axis.IMAGE_TOKENS), style="layer")
        return two_layers(t, x, LINEARS, text.hidden, text.hidden, c.text("projector_hidden_act", "gelu"))

    project(m, LLAVA, write)
    logits(c, m, text)


@family("video_llava")
def video_llava(c: Config, m: ModelBuilder) -> None:
    """Video-LLaVA (arXiv 2311.10122): a tower for pictures and one for films."""
    see(c, m, "model.video_tower")
    vision = see(c, m, "model.image_tower")
    text = language(c, m)
    projector(c, m, vision, text)
    logits(c, m, text)


@family("qianfan_ocr")
def qianfan(c: Config, m: ModelBuilder) -> None:
    """Qianfan-OCR: InternVL's layout with its own tower."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    factor = int(1 / c.number("downsample_ratio", 0.5))
    projector(c, m, vision, text, norm="layer_norm", factor=factor * factor)
    logits(c, m, text)


@family("lighton_ocr")
def lighton_ocr(c: Config, m: ModelBuilder) -> None:
    """LightOnOCR: Pixtral's patches merged as in Mistral 3."""
    vision = see(c, m, "model.vision_encoder")
    text = language(c, m)
    side = c.size("spatial_merge_size", 2)

    def write(t: Trace) -> Tensor:
        x = t.norm("norm", t.input(vision.hidden, Axis.PATCHES))
        x = t.linear("patch_merger.merging_layer", merged(t, x, side * side), vision.hidden)
        return two_layers(t, x, LINEARS, text.hidden, text.hidden, "gelu", bias=False)

    project(m, "model.vision_projection", write)
    logits(c, m, text)


def swiglu_projector(m: ModelBuilder, width: int, inner: int, out: int, norm_name: str | None) -> None:
    """Half of the first layer's output gates the other half."""

    def write(t: Trace) -> Tensor:
        x = t.input(width, Axis.IMAGE_TOKENS)
        if norm_name:
            x = t.norm(norm_name, x, style="layer")
        value, gate = t.split(t.linear("linear_1", x, inner, bias=True), inner // 2, inner // 2, kind="chunk")
        return t.linear("linear_2", t.multiply(t.elementwise("silu", gate), value), out, bias=True)

    project(m, LLAVA, write)


@family("aya_vision", "cohere2_vision")
def cohere_vision(c: Config, m: ModelBuilder) -> None:
    """Aya Vision and Command A Vision: squares of patches, a gated projector."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    width = vision.hidden * c.size("downsample_factor") ** 2
    if c.model_type == "aya_vision":
        swiglu_projector(
            m, width, c.size("alignment_intermediate_size", text.hidden), text.hidden, "layernorm"
        )
    else:
        swiglu_projector(m, width, c.size("alignment_intermediate_size"), text.hidden, None)
    logits(c, m, text, after=scaled(text))


@family("idefics3", "smolvlm")
def idefics3(c: Config, m: ModelBuilder) -> None:
    """Idefics 3 (arXiv 2408.12637) and SmolVLM: squares of patches through one linear layer."""
    vision = see(c, m, "model.vision_model")
    text = language(c, m, "model.text_model")
    width = vision.hidden * c.size("scale_factor") ** 2
    project(
        m,
        "model.connector.modality_projection",
        lambda t: t.linear("proj", t.input(width, Axis.IMAGE_TOKENS), text.hidden),
    )
    logits(c, m, text)


@family("idefics2")
def idefics2(c: Config, m: ModelBuilder) -> None:
    """Idefics 2 (arXiv 2405.02246): learned latents attend to the patches, three times."""
    vision = see(c, m, "model.vision_model")
    text = language(c, m, "model.text_model")
    p, width = c.sub("perceiver_config"), text.hidden
    heads, kv = p.size("resampler_n_heads"), p.size("num_key_value_heads")
    if heads % kv:
        raise p.wrong("num_key_value_heads", "config_not_divisible", value=kv, of=heads)
    shape = Heads(heads, kv, p.size("resampler_head_dim"), rotary_dim=0, causal=False, cached=False)
    names = ("q_proj", "k_proj", "v_proj", "o_proj")

    def layer(t: Trace, x: Tensor) -> Tensor:
        latents = t.norm("input_latents_norm", x)
        t.norm("input_context_norm", t.input(width, Axis.PATCHES))
        x = t.add(x, cross_attention(t, latents, shape, module="self_attn", names=names, axis=Axis.PATCHES))
        fed = gated(
            t, t.norm("post_attention_layernorm", x), 4 * width, activation=p.text("hidden_act", "silu")
        )
        return t.add(x, fed)

    with m.component("projector"), m.prefix("model.connector"):
        m.single(
            "projector",
            lambda t: gated(
                t,
                t.input(vision.hidden, Axis.PATCHES),
                text.inner,
                width=width,
                module="modality_projection",
                activation=activation(text),
            ),
        )
        with m.prefix("perceiver_resampler"):
            m.single("projector", lambda t: held(t, "latents", p.size("resampler_n_latents"), width))
            m.stack(p.count("resampler_depth"), layer, width=width, axis=Axis.IMAGE_TOKENS)
            m.single("projector", lambda t: t.norm("norm", t.input(width, Axis.IMAGE_TOKENS)))
    m.notes["image"] |= {"tokens": p.size("resampler_n_latents")}
    logits(c, m, text)


@family("aria")
def aria(c: Config, m: ModelBuilder) -> None:
    """Aria (arXiv 2410.05993): queries attend to the patches, then a small feed-forward block."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    width = vision.hidden
    sizes = c.mapping("projector_patch_to_query_dict") or {"1225": 128, "4900": 256}
    queries = max((n for n in sizes.values() if type(n) is int), default=256)

    def write(t: Trace) -> Tensor:
        held(t, "query", queries, width)
        query, seen = t.input(width, Axis.IMAGE_TOKENS), t.input(width, Axis.PATCHES)
        with t.scope("cross_attn"):
            q = t.linear("q_proj", t.norm("layer_norm", query, style="layer"), width)
            k = t.linear("k_proj", t.norm("layer_norm_kv", seen, style="layer"), width)
            t.linear("v_proj", seen, width)
            x = t.linear(
                "linear", packed_attention(t, q, k, vision.heads, module="multihead_attn"), width, bias=True
            )
        x = t.norm("layer_norm", x, style="layer")
        x = t.elementwise("gelu_new", t.linear("feed_forward.linear_in", x, text.hidden))
        return t.linear("feed_forward.linear_out", x, text.hidden)

    project(m, LLAVA, write)
    m.notes["image"] |= {"tokens": queries}
    logits(c, m, text)


@family("lfm2_vl")
def lfm2_vl(c: Config, m: ModelBuilder) -> None:
    """LFM2-VL: SigLIP 2's patches in squares, two linear layers."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    width = vision.hidden * c.size("downsample_factor") ** 2
    inner, bias = c.size("projector_hidden_size"), c.flag("projector_bias", True)

    def write(t: Trace) -> Tensor:
        x = t.input(width, Axis.IMAGE_TOKENS)
        if c.flag("projector_use_layernorm", True):
            x = t.norm("layer_norm", x, style="layer")
        return two_layers(
            t, x, LINEARS, inner, text.hidden, c.text("projector_hidden_act", "gelu"), bias=bias
        )

    project(m, LLAVA, write)
    logits(c, m, text, tied=c.flag("tie_embedding", c.tied))


@tower("ovis2_vision")
def ovis2_vision(c: Config, m: ModelBuilder) -> None:
    """Ovis 2's tower (arXiv 2405.20797): its patches become a distribution over visual words."""
    words = c.size("vocab_size") - c.size("num_visual_indicator_tokens", 5)
    if words < 1:
        raise c.wrong("vocab_size", "config_not_whole", value=words)
    wide = c.hidden * c.size("hidden_stride", 1) ** 2

    def embed(t: Trace) -> Tensor:
        x = patches(t, "patch_embedding", c.size("num_channels"), c.hidden, c.pair("patch_size"))
        return positions(t, t.norm("rms_norm", x), "position_embedding", places(c))

    with m.prefix("transformer"):
        m.single("vision", embed, name="embeddings")
        plain_layers(
            c,
            m,
            module="attention",
            bias=c.flag("qkv_bias"),
            norms=("rms_norm1", "rms_norm2"),
            style="rms",
            mlp="ffn",
            mlp_names=("gate_proj", "up_proj", "down_proj"),
            mlp_bias=c.flag("mlp_bias"),
        )
        norm(m, "rms_norm", c.hidden, "rms")
    m.single(
        "vision",
        lambda t: t.norm(
            "head_norm", t.linear("head_linear", t.input(wide, Axis.IMAGE_TOKENS), words), style="layer"
        ),
    )
    picture(
        m, size=c.pair("image_size"), patches=places(c), tokens=places(c) // c.size("hidden_stride", 1) ** 2
    )


@family("ovis2")
def ovis2(c: Config, m: ModelBuilder) -> None:
    """Ovis 2: a table of visual words beside the language model's embedding."""
    vision = see(c, m, "model.vision_tower")
    text = language(c, m)
    m.single(
        "projector",
        lambda t: t.embedding(
            "model.visual_embeddings_table",
            vision.size("vocab_size"),
            c.size("hidden_size"),
            axis=Axis.IMAGE_TOKENS,
        ),
    )
    width, rows = (text.hidden, text.vocab) if c.tied else (c.hidden, c.vocab)
    m.head("lm_head", width, rows, tied=c.tied)


@tower("video_llama_3_vision")
def video_llama_3_vision(c: Config, m: ModelBuilder) -> None:
    """VideoLLaMA 3's SigLIP (arXiv 2501.13106): rotary positions instead of learned ones."""
    m.single(
        "vision",
        lambda t: patches(
            t, "embeddings.patch_embedding", c.size("num_channels"), c.hidden, c.pair("patch_size")
        ),
    )
    plain_layers(c, m, heads=both_ways(c.heads, c.hidden, turned=True))
    norm(m, "post_layernorm", c.hidden)
    picture(m, patch=c.size("patch_size"), merge=1)


@family("video_llama_3")
def video_llama_3(c: Config, m: ModelBuilder) -> None:
    """VideoLLaMA 3."""
    vision = see(c, m, "model.vision_model")
    text = language(c, m)
    project(
        m,
        "model.projector.readout",
        lambda t: two_layers(
            t, t.input(vision.hidden, Axis.IMAGE_TOKENS), ("0", "2"), text.hidden, text.hidden, "gelu"
        ),
    )
    logits(c, m, text, tied=c.tied or text.flag("tie_word_embeddings"))


@tower("paddleocr_vl_vision")
def paddleocr_vision(c: Config, m: ModelBuilder) -> None:
    """PaddleOCR-VL's SigLIP (arXiv 2510.14528)."""
    with m.prefix("vision_model"):
        idefics(c, m)


@family("paddleocr_vl")
def paddleocr(c: Config, m: ModelBuilder) -> None:
    """PaddleOCR-VL: patches normalised, put together in squares, two linear layers."""
    vision = see(c, m, "model.visual")
    text = language(c, m)

    def write(t: Trace) -> Tensor:
        x = t.norm("pre_norm", t.input(vision.hidden, Axis.PATCHES), style="layer")
        x = merged(t, x, vision.size("spatial_merge_size") ** 2)
        return two_layers(t, x, LINEARS, x.width, text.hidden, "gelu")

    project(m, "model.projector", write)
    logits(c, m, text, tied=c.tied or text.flag("tie_word_embeddings"))


@family("hyperclovax_vision_v2")
def hyperclovax(c: Config, m: ModelBuilder) -> None:
    """HyperCLOVA X SEED Think with pictures: Qwen2.5-VL's tower, one linear layer."""
    vision = see(c, m, "model.vision_model")
    text = language(c, m)
    m.single(
        "projector",
        lambda t: t.linear(
            "model.projector",
            t.input(vision.size("out_hidden_size"), Axis.IMAGE_TOKENS),
            text.hidden,
            bias=True,
        ),
    )
    logits(c, m, text, after=scaled(text))


@family("fuyu")
def fuyu(c: Config, m: ModelBuilder) -> None:
    """Fuyu: no tower, patches of pixels through one linear layer."""
    text = language(c, m)
    size = c.size("patch_size")
    m.single(
        "projector",
        lambda t: t.linear(
            "model.vision_embed_tokens",
            t.input(size * size * c.size("num_channels"), Axis.IMAGE_TOKENS),
            text.hidden,
            bias=True,
        ),
    )
    picture(m, patch=size, merge=1)
    logits(c, m, text)
