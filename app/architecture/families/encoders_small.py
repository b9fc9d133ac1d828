"""Small encoders of 2020: ConvBERT, MobileBERT, SqueezeBERT, and I-BERT in whole numbers."""

from functools import partial

from ..blocks.attention import Heads, attend
from ..blocks.residual import branch
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace, column, row
from .bert import BEHIND, electra_head, pool
from .encoders import embeddings, encoder_heads, lm_head, predictions, sign_up

MOST_BLOCKS = 2**8  # feed-forward blocks in one of MobileBERT's layers


def in_groups(t: Trace, name: str, x: Tensor, out: int, groups: int) -> Tensor:
    """A linear module, or ConvBERT's bare block-diagonal one."""
    if groups == 1:
        return t.linear(name, x, out, bias=True)
    stored = (groups, x.width // groups, out // groups)
    t.hold(t.parameter(f"{name}.bias", (out,), Role.BIAS))
    return t.linear(f"{name}.weight", x, out, module=False, stored=stored, groups=groups)


def conv_attention(t: Trace, x: Tensor, c: Config, shape: Heads) -> Tensor:
    """Half of the heads attend, the other half convolve with kernels made for each token."""
    kernel, width, split = c.size("conv_kernel_size"), shape.query_width, column(shape.heads)
    with t.scope("attention"):
        with t.scope("self"):
            q, k, v = (t.linear(name, x, width, bias=True, split=split) for name in ("query", "key", "value"))
            with t.scope("key_conv_attn_layer"):
                mixed = t.convolution("depthwise", x, x.width, kernel=(kernel,), groups=x.width, bias=False)
                mixed = t.convolution("pointwise", mixed, width, kernel=(1,), bias=False)
                t.hold(t.parameter("bias", (width, 1), Role.BIAS))
            kernels = t.linear("conv_kernel_layer", t.multiply(mixed, q), shape.heads * kernel, bias=True)
            values = t.linear("conv_out_layer", x, width, bias=True)
            convolved = t.product(values, t.elementwise("softmax", kernels), width, kernel)
            out = t.concat(attend(t, q, k, v, shape), convolved)
        return t.linear("output.dense", out, x.width, bias=True, split=row(shape.heads))


def convbert_body(c: Config, m: ModelBuilder) -> None:
    """ConvBERT (arXiv 2008.02496): `head_ratio` times fewer heads, each half as wide."""
    heads, drop = max(1, c.heads // c.size("head_ratio")), c.number("hidden_dropout_prob", 0.0)
    width, groups = c.size("embedding_size"), c.size("num_groups")
    if c.hidden % heads or c.hidden < 2 * heads:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=heads, of=c.hidden)
    shape = Heads(heads, heads, c.hidden // heads // 2, rotary_dim=0, causal=False, cached=False,
                  float32_softmax=False, dropout=c.number("attention_probs_dropout_prob", 0.0))  # fmt: skip

    def layer(t: Trace, x: Tensor) -> Tensor:
        mixed = branch(t, conv_attention(t, x, c, shape), drop)
        x = t.norm(BEHIND[0], t.add(x, mixed), style="layer")
        inner = in_groups(t, "intermediate.dense", x, c.inner, groups)
        fed = in_groups(
            t, "output.dense", t.elementwise(c.text("hidden_act", "gelu"), inner), c.hidden, groups
        )
        return t.norm(BEHIND[1], t.add(x, branch(t, fed, drop)), style="layer")

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", lambda t: embeddings(c, t, width=width))
    if width != c.hidden:
        m.single("embedding", lambda t: t.linear("embeddings_project", t.input(width), c.hidden, bias=True))
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}")


sign_up("convbert", "convbert", convbert_body, lambda c, m: electra_head(c, m, c.size("embedding_size")))


def mobile_norm(c: Config, t: Trace, name: str, x: Tensor) -> Tensor:
    """A LayerNorm or, as published, a mere scale and shift of every channel."""
    if c.text("normalization_type") == "layer_norm":
        return t.norm(name, x, style="layer")
    t.hold(
        t.parameter(f"{name}.weight", (x.width,), Role.NORM),
        t.parameter(f"{name}.bias", (x.width,), Role.NORM),
    )
    return t.elementwise("scale", x)


def mobile_attention(t: Trace, x: Tensor, c: Config, shape: Heads, narrow: int) -> tuple[Tensor, Tensor]:
    """The narrowed input and attention over it, its queries and keys made from their own narrowing."""
    low = shared = x
    everywhere = c.flag("use_bottleneck") and c.flag("use_bottleneck_attention")
    if c.flag("use_bottleneck"):
        with t.scope("bottleneck"):
            low = mobile_norm(c, t, "input.LayerNorm", t.linear("input.dense", x, narrow, bias=True))
            if c.flag("key_query_shared_bottleneck"):
                if everywhere:
                    t.unused_linear("attention.dense", x.width, narrow, bias=True)
                else:
                    shared = t.linear("attention.dense", x, narrow, bias=True)
                shared = mobile_norm(c, t, "attention.LayerNorm", low if everywhere else shared)
    source = low if everywhere else shared
    wide = shape.query_width
    with t.scope("attention"):
        q, k = (t.linear(f"self.{name}", source, wide, bias=True, fan_in=narrow) for name in ("query", "key"))
        v = t.linear("self.value", low if everywhere else x, wide, bias=True)
        out = t.linear("output.dense", attend(t, q, k, v, shape), narrow, bias=True)
        return low, mobile_norm(c, t, "output.LayerNorm", t.add(out, low))


def mobile_block(t: Trace, x: Tensor, c: Config) -> Tensor:
    """A feed-forward block."""
    inner = t.elementwise(c.text("hidden_act"), t.linear("intermediate.dense", x, c.inner, bias=True))
    out = t.linear("output.dense", inner, x.width, bias=True)
    return mobile_norm(c, t, "output.LayerNorm", t.add(out, x))


def mobilebert_body(c: Config, m: ModelBuilder) -> None:
    """MobileBERT (arXiv 2004.02984): narrow layers between wide residuals, several blocks a layer."""
    bottled = c.flag("use_bottleneck")
    narrow = c.size("intra_bottleneck_size") if bottled else c.hidden
    width, blocks = c.size("embedding_size"), c.count("num_feedforward_networks")
    if c.heads > narrow:
        raise c.wrong("num_attention_heads", "config_not_divisible", value=c.heads, of=narrow)
    if blocks > MOST_BLOCKS:
        raise c.wrong(
            "num_feedforward_networks", "config_out_of_range", value=blocks, least=1, most=MOST_BLOCKS
        )
    shape = Heads(c.heads, c.heads, narrow // c.heads, rotary_dim=0, causal=False, cached=False,
                  float32_softmax=False, dropout=c.number("attention_probs_dropout_prob", 0.0))  # fmt: skip
    gathered = width * (3 if c.flag("trigram_input") else 1)

    def embed(t: Trace) -> Tensor:
        words = t.embedding("word_embeddings", c.vocab, width)
        x = t.concat(*[words] * (gathered // width)) if gathered > width else words
        if gathered == width == c.hidden:  # built, but passed by
            t.unused_linear("embedding_transformation", width, c.hidden, bias=True)
        else:
            x = t.linear("embedding_transformation", x, c.hidden, bias=True)
        rows = c.size("max_position_embeddings")
        x = t.add(x, t.embedding("position_embeddings", rows, c.hidden, axis=Axis.SEQUENCE))
        x = t.add(x, t.embedding("token_type_embeddings", c.size("type_vocab_size"), c.hidden))
        return branch(t, mobile_norm(c, t, "LayerNorm", x), c.number("hidden_dropout_prob", 0.0))

    def layer(t: Trace, x: Tensor) -> Tensor:
        _, y = mobile_attention(t, x, c, shape, narrow)
        for i in range(blocks - 1):
            with t.scope(f"ffn.{i}"):
                y = mobile_block(t, y, c)
        y = mobile_block(t, y, c)
        if not bottled:
            return y
        with t.scope("output.bottleneck"):
            out = t.linear("dense", y, c.hidden, bias=True)
            return mobile_norm(c, t, "LayerNorm", t.add(out, x))

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", embed, name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}")


def mobilebert_head(c: Config, m: ModelBuilder) -> None:
    """The tied narrow embedding, and a matrix of its own for the rest of the width."""
    width, rest = c.size("embedding_size"), c.hidden - c.size("embedding_size")
    if rest < 0:
        raise c.wrong("embedding_size", "config_out_of_range", value=width, least=1, most=c.hidden)

    def transform(t: Trace) -> Tensor:
        x = t.linear("transform.dense", t.input(c.hidden), c.hidden, bias=True, role=Role.OTHER)
        x = t.norm("transform.LayerNorm", t.elementwise(c.text("hidden_act"), x), style="layer")
        near, far = t.split(x, width, rest)
        t.linear("dense", far, c.vocab, stored=(rest, c.vocab), role=Role.OTHER)
        return near

    with m.prefix("cls.predictions"):
        m.head("decoder", width, c.vocab, tied=c.tied, bias=not c.tied, before=transform, beside="bias")


sign_up("mobilebert", "mobilebert", mobilebert_body, mobilebert_head)


def squeezebert_body(c: Config, m: ModelBuilder) -> None:
    """SqueezeBERT (arXiv 2006.11316): grouped pointwise convolutions for linear layers."""
    shape, drop = encoder_heads(c), c.number("hidden_dropout_prob", 0.0)

    def point(t: Trace, name: str, x: Tensor, out: int, groups: str) -> Tensor:
        count = c.size(groups)
        if x.width % count or out % count:
            raise c.wrong(groups, "config_not_divisible", value=count, of=x.width)
        return t.convolution(name, x, out, kernel=(1,), groups=count)

    def layer(t: Trace, x: Tensor) -> Tensor:
        with t.scope("attention"):
            q, k, v = (point(t, name, x, c.hidden, f"{name[0]}_groups") for name in ("query", "key", "value"))
            mixed = attend(t, q, k, v, shape)
        mixed = point(t, "post_attention.conv1d", mixed, c.hidden, "post_attention_groups")
        x = t.norm("post_attention.layernorm", t.add(x, branch(t, mixed, drop)), style="layer")
        inner = point(t, "intermediate.conv1d", x, c.inner, "intermediate_groups")
        inner = t.elementwise(c.text("hidden_act", "gelu"), inner)
        fed = point(t, "output.conv1d", inner, c.hidden, "output_groups")
        return t.norm("output.layernorm", t.add(x, branch(t, fed, drop)), style="layer")

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", lambda t: embeddings(c, t))
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layers.{}")
    m.single("pooler", partial(pool, name="pooler.dense", width=c.hidden))


sign_up("squeezebert", "transformer", squeezebert_body, predictions)


def observed(t: Trace, name: str) -> None:
    """The range of an activation and its scale."""
    kept = ("x_min", "x_max", "act_scaling_factor")
    t.hold(*(t.parameter(f"{name}.{part}", (1,), buffer=True) for part in kept))


def whole_linear(t: Trace, name: str, x: Tensor, out: int) -> Tensor:
    """A linear layer of I-BERT's own module with its copy in whole numbers."""
    t.hold(
        t.parameter(f"{name}.bias", (out,), Role.BIAS),
        t.parameter(f"{name}.weight_integer", (out, x.width), buffer=True),
        t.parameter(f"{name}.fc_scaling_factor", (out,), buffer=True),
        t.parameter(f"{name}.bias_integer", (out,), buffer=True),
    )
    return t.linear(f"{name}.weight", x, out, module=False)


def whole_norm(t: Trace, name: str, x: Tensor) -> Tensor:
    """A LayerNorm with its shift and its output's range."""
    t.hold(t.parameter(f"{name}.shift", (1,), buffer=True))
    observed(t, f"{name}.activation")
    return t.norm(name, x, style="layer")


def whole_embeddings(c: Config, t: Trace) -> Tensor:
    """Words, positions and types, each with a copy in whole numbers."""
    rows = {
        "word_embeddings": c.vocab,
        "token_type_embeddings": c.size("type_vocab_size"),
        "position_embeddings": c.size("max_position_embeddings"),
    }
    found = []
    for name, count in rows.items():
        found.append(t.embedding(name, count, c.hidden))
        t.hold(
            t.parameter(f"{name}.weight_scaling_factor", (1,), buffer=True),
            t.parameter(f"{name}.weight_integer", (count, c.hidden), buffer=True),
        )
    for name in ("embeddings_act1", "embeddings_act2", "output_activation"):
        observed(t, name)
    return whole_norm(t, "LayerNorm", t.add(t.add(found[0], found[1]), found[2]))


def ibert_body(c: Config, m: ModelBuilder) -> None:
    """I-BERT (arXiv 2101.01321): RoBERTa's layers with what quantisation to whole numbers needs."""
    shape = encoder_heads(c)

    def attention(t: Trace, x: Tensor) -> Tensor:
        with t.scope("self"):
            q, k, v = (whole_linear(t, name, x, c.hidden) for name in ("query", "key", "value"))
            kept = (
                "query_activation",
                "key_activation",
                "value_activation",
                "output_activation",
                "softmax.act",
            )
            for name in kept:
                observed(t, name)
            mixed = attend(t, q, k, v, shape)
        return out_half(t, mixed, x)

    def out_half(t: Trace, x: Tensor, residual: Tensor) -> Tensor:
        with t.scope("output"):
            out = whole_linear(t, "dense", x, c.hidden)
            for name in ("ln_input_act", "output_activation"):
                observed(t, name)
            return whole_norm(t, "LayerNorm", t.add(out, residual))

    def layer(t: Trace, x: Tensor) -> Tensor:
        with t.scope("attention"):
            x = attention(t, x)
        with t.scope("intermediate"):
            inner = t.elementwise(c.text("hidden_act", "gelu"), whole_linear(t, "dense", x, c.inner))
            observed(t, "output_activation")
        for name in ("pre_intermediate_act", "pre_output_act"):
            observed(t, name)
        return out_half(t, inner, x)

    m.hidden_size, m.vocab_size = c.hidden, c.vocab
    m.single("embedding", partial(whole_embeddings, c), name="embeddings")
    m.stack(c.layers, layer, width=c.hidden, name="encoder.layer.{}")


sign_up("ibert", "ibert", ibert_body, lm_head)
