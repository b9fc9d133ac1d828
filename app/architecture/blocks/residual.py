"""How a layer wraps its mixer and its feed-forward block: where the norms stand, where residuals join."""

from collections.abc import Callable

from ..operations import Tensor
from ..trace import Trace

Part = Callable[[Trace, Tensor], Tensor]


def branch(t: Trace, x: Tensor, dropout: float = 0.0, scale: bool = False) -> Tensor:
    """What becomes of a branch before it joins the residual: dropout, a constant factor."""
    if dropout:
        x = t.elementwise("dropout", x, dropout=dropout)
    return t.elementwise("scale", x) if scale else x


def pre_norm(
    t: Trace,
    x: Tensor,
    mixer: Part,
    feed_forward: Part | None,
    *,
    names: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm"),
    style: str = "rms",
    bias: bool | None = None,
    dropout: float = 0.0,
    scale: bool = False,
    wide: bool = False,
) -> Tensor:
    """x + mixer(norm(x)), then x + feed_forward(norm(x)): Llama and most others.

    `wide`: the residual stream is float32, the first norm reads it in the weights' type.
    """
    normed = t.norm(names[0], t.elementwise("narrow", x) if wide else x, style=style, bias=bias)
    x = t.elementwise("widen", x) if wide else x
    x = t.add(x, branch(t, mixer(t, normed), dropout, scale))
    if feed_forward is None:
        return x
    normed = t.norm(names[1], x, style=style, bias=bias)
    return t.add(x, branch(t, feed_forward(t, normed), dropout, scale))


def post_norm(
    t: Trace,
    x: Tensor,
    mixer: Part,
    feed_forward: Part,
    *,
    names: tuple[str, ...] = ("post_attention_layernorm", "post_feedforward_layernorm"),
    style: str = "rms",
) -> Tensor:
    """x + norm(mixer(x)), then x + norm(feed_forward(x)): OLMo 2 and EXAONE 4."""
    x = t.add(x, t.norm(names[0], mixer(t, x), style=style))
    return t.add(x, t.norm(names[1], feed_forward(t, x), style=style))


def outer_norm(
    t: Trace,
    x: Tensor,
    mixer: Part,
    feed_forward: Part,
    *,
    names: tuple[str, ...] = ("ln_1", "ln_2"),
    style: str = "layer",
    dropout: float = 0.0,
) -> Tensor:
    """norm(x + mixer(x)), then norm(x + feed_forward(x)): the first transformers, BERT, GPT."""
    x = t.norm(names[0], t.add(x, branch(t, mixer(t, x), dropout)), style=style)
    return t.norm(names[1], t.add(x, branch(t, feed_forward(t, x), dropout)), style=style)


def sandwich(
    t: Trace,
    x: Tensor,
    mixer: Part,
    feed_forward: Part,
    *,
    names: tuple[str, ...] = (
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ),
    style: str = "rms",
    scale: bool = False,
) -> Tensor:
    """A norm before and after each half, inside the residual: Gemma 2 and 3, GLM-4."""
    mixed = t.norm(names[1], mixer(t, t.norm(names[0], x, style=style)), style=style)
    x = t.add(x, branch(t, mixed, scale=scale))
    fed = t.norm(names[3], feed_forward(t, t.norm(names[2], x, style=style)), style=style)
    return t.add(x, branch(t, fed, scale=scale))


def parallel(
    t: Trace,
    x: Tensor,
    mixer: Part,
    feed_forward: Part,
    *,
    names: tuple[str, ...] = ("input_layernorm",),
    style: str = "layer",
    bias: bool | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """x + mixer(norm(x)) + feed_forward(norm'(x)); one name means that both halves share the norm."""
    normed = t.norm(names[0], x, style=style, bias=bias)
    mixed = branch(t, mixer(t, normed), dropout)
    second = t.norm(names[1], x, style=style, bias=bias) if len(names) > 1 else normed
    return t.add(t.add(branch(t, feed_forward(t, second), dropout), mixed), x)
