"""How a layer wraps its mixer and its feed-forward block: where the norms stand, where residuals join."""

from collections.abc import Callable

from ..operations import Tensor
from ..trace import Trace

Part = Callable[[Trace, Tensor], Tensor]


def pre_norm(
    t: Trace,
    x: Tensor,
    mixer: Part,
    feed_forward: Part | None,
    *,
    names: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm"),
    style: str = "rms",
    bias: bool | None = None,
) -> Tensor:
    """x + mixer(norm(x)), then x + feed_forward(norm(x)): Llama and most others."""
    x = t.add(x, mixer(t, t.norm(names[0], x, style=style, bias=bias)))
    if feed_forward is None:
        return x
    return t.add(x, feed_forward(t, t.norm(names[1], x, style=style, bias=bias)))


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
) -> Tensor:
    """A norm before and after each half, inside the residual: Gemma 2 and 3, GLM-4."""
    x = t.add(x, t.norm(names[1], mixer(t, t.norm(names[0], x, style=style)), style=style))
    return t.add(x, t.norm(names[3], feed_forward(t, t.norm(names[2], x, style=style)), style=style))


def parallel(
    t: Trace,
    x: Tensor,
    mixer: Part,
    feed_forward: Part,
    *,
    names: tuple[str, ...] = ("input_layernorm",),
    style: str = "layer",
    bias: bool | None = None,
) -> Tensor:
    """x + mixer(norm(x)) + feed_forward(norm'(x)); one name means that both halves share the norm."""
    normed = t.norm(names[0], x, style=style, bias=bias)
    mixed = mixer(t, normed)
    second = t.norm(names[1], x, style=style, bias=bias) if len(names) > 1 else normed
    return t.add(t.add(feed_forward(t, second), mixed), x)
