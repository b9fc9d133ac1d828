"""Vision towers: patches, layers that attend both ways, pooling, and what merges patches into tokens."""

from collections.abc import Sequence

from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .attention import Heads, attend, fused, grouped
from .feed_forward import gated, plain


def both_ways(
    heads: int,
    width: int,
    *,
    kv_heads: int | None = None,
    turned: bool = False,
    dropout: float = 0.0,
    window: int | None = None,
) -> Heads:
    """Heads of an encoder: no mask, no cache; positions are rotary where `turned`."""
    return Heads(
        heads,
        kv_heads or heads,
        width // heads,
        rotary_dim=None if turned else 0,
        window=window,
        causal=False,
        cached=False,
        dropout=dropout,
    )


def held(t: Trace, name: str, *shape: int) -> None:
    """A learned tensor of its own: a class token, latents, a gate."""
    t.hold(t.parameter(name, shape))


def patches(
    t: Trace, name: str, channels: int, width: int, kernel: Sequence[int], *, bias: bool = True
) -> Tensor:
    """Pixels to patches: a convolution whose stride is its kernel; one row per patch."""
    return t.convolution(name, t.input(channels, Axis.PATCHES), width, kernel=kernel, bias=bias)


def positions(t: Trace, x: Tensor, name: str, rows: int, *, module: bool = True) -> Tensor:
    """A learned vector for each place of the grid, added."""
    return t.add(x, t.embedding(name, rows, x.width, axis=x.axis, module=module, role=Role.OTHER))


def scaled(t: Trace, x: Tensor, name: str | None, shape: tuple[int, ...] | None = None) -> Tensor:
    """A branch times a learned factor for each channel (or one for all), where it has a name."""
    if not name:
        return x
    held(t, name, *(shape or (x.width,)))
    return t.elementwise("scale", x)


def vision_layer(
    t: Trace,
    x: Tensor,
    *,
    heads: Heads,
    inner: int,
    act: str,
    module: str = "self_attn",
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "out_proj"),
    qkv: tuple[str, str] | None = None,
    bias: bool = True,
    key_bias: bool | None = None,
    out_bias: bool | None = None,
    qk_norm: str | None = None,
    qk_style: str = "rms",
    norms: tuple[str, str] = ("layer_norm1", "layer_norm2"),
    style: str = "layer",
    norm_bias: bool | None = None,
    mlp: str = "mlp",
    mlp_names: tuple[str, ...] = ("fc1", "fc2"),
    mlp_bias: bool = True,
    scales: tuple[str, str] | None = None,
    scale_shape: tuple[int, ...] | None = None,
) -> Tensor:
    """x + attention(norm(x)), then x + mlp(norm(x)); three `mlp_names` make it gated, `qkv` fused.

    `scales` names learned factors of both branches (layer scale, gates).
    """
    attention_scale, mlp_scale = scales or (None, None)
    normed = t.norm(norms[0], x, style=style, bias=norm_bias)
    if qkv:
        mixed = fused(
            t,
            normed,
            heads,
            module=module,
            names=qkv,
            bias=bias,
            out_bias=out_bias,
            qk_norm=qk_norm,
            qk_style=qk_style,
        )
    else:
        mixed = grouped(
            t,
            normed,
            heads,
            module=module,
            names=names,
            bias=bias,
            key_bias=key_bias,
            out_bias=out_bias,
            qk_norm=qk_norm,
            qk_style=qk_style,
        )
    x = t.add(x, scaled(t, mixed, attention_scale, scale_shape))
    normed = t.norm(norms[1], x, style=style, bias=norm_bias)
    if len(mlp_names) == 3:
        a, b, c = mlp_names
        fed = gated(t, normed, inner, module=mlp, names=(a, b, c), activation=act, bias=mlp_bias)
    else:
        a, b = mlp_names
        fed = plain(t, normed, inner, module=mlp, names=(a, b), activation=act, bias=mlp_bias)
    return t.add(x, scaled(t, fed, mlp_scale, scale_shape))


def packed_attention(
    t: Trace, query: Tensor, source: Tensor, heads: int, *, module: str = "attention"
) -> Tensor:
    """torch's MultiheadAttention: three projections in one bare matrix, the queries' input apart."""
    width = query.width
    stored = (3 * width, width)
    shape = both_ways(heads, width)
    with t.scope(module):
        q = t.linear("in_proj_weight", query, width, module=False, stored=stored)
        both = t.linear("in_proj_weight", source, 2 * width, module=False, stored=stored)
        t.hold(t.parameter("in_proj_bias", (3 * width,), Role.BIAS))
        k, v = t.split(both, width, width)
        return t.linear("out_proj", attend(t, q, k, v, shape), width, bias=True)


def pooling_head(t: Trace, x: Tensor, heads: int, inner: int, act: str) -> Tensor:
    """SigLIP's: one learned query attends to all patches, then a feed-forward block."""
    held(t, "probe", 1, 1, x.width)
    probe = t.input(x.width, Axis.IMAGES)
    pooled = packed_attention(t, probe, x, heads)
    fed = plain(t, t.norm("layernorm", pooled, style="layer"), inner, names=("fc1", "fc2"), activation=act)
    return t.add(pooled, fed)


def merged(t: Trace, x: Tensor, factor: int) -> Tensor:
    """`factor` neighbouring patches side by side: one row per token for the language model."""
    return t.view(x, x.width * factor, Axis.IMAGE_TOKENS)


def two_layers(
    t: Trace, x: Tensor, names: tuple[str, str], inner: int, out: int, act: str, *, bias: bool = True
) -> Tensor:
    """out(act(in(x))): the usual projector."""
    hidden = t.elementwise(act, t.linear(names[0], x, inner, bias=bias))
    return t.linear(names[1], hidden, out, bias=bias)
