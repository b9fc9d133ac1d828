"""Feed-forward blocks: gated, fused gated and plain, and mixtures of experts."""

from collections.abc import Callable, Sequence

from ..operations import Part, Role, Split, Tensor
from ..trace import Trace, column, columns, row


def gated(
    t: Trace,
    x: Tensor,
    inner: int,
    *,
    module: str = "mlp",
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
    activation: str = "silu",
    bias: bool = False,
    out_bias: bool | None = None,
    width: int | None = None,
    norm: str | None = None,
    style: str = "rms",
    scaled: bool = False,
) -> Tensor:
    """down(act(gate(x)) * up(x)) (arXiv 2002.05202); `norm` names a norm before the last
    projection, `scaled` puts constant factors on gate and output."""
    ends = bias if out_bias is None else out_bias
    with t.scope(module):
        gate = t.linear(names[0], x, inner, bias=bias, split=column(inner))
        gate = t.elementwise("scale", gate) if scaled else gate
        up = t.linear(names[1], x, inner, bias=bias, split=column(inner))
        product = t.multiply(t.elementwise(activation, gate), up)
        if norm:
            product = t.norm(norm, product, style=style)
        out = t.linear(names[2], product, width or x.width, bias=ends, split=row(inner))
        return t.elementwise("scale", out) if scaled else out


def fused_gated(
    t: Trace,
    x: Tensor,
    inner: int,
    *,
    module: str = "mlp",
    names: tuple[str, str] = ("gate_up_proj", "down_proj"),
    activation: str = "silu",
    bias: bool = False,
    width: int | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """The gated block with one matrix for gate and up (Phi-3, GLM); dropout before the last projection."""
    with t.scope(module):
        halves = columns(Part(inner, inner), Part(inner, inner))
        both = t.linear(names[0], x, 2 * inner, bias=bias, split=halves)
        gate, up = t.split(both, inner, inner, kind="chunk")
        product = t.multiply(up, t.elementwise(activation, gate))
        if dropout:
            product = t.elementwise("dropout", product, dropout=dropout)
        return t.linear(names[1], product, width or x.width, bias=bias, split=row(inner))


def plain(
    t: Trace,
    x: Tensor,
    inner: int,
    *,
    module: str = "mlp",
    names: tuple[str, str] = ("up_proj", "down_proj"),
    activation: str = "gelu",
    bias: bool = True,
    transposed: bool = False,
    dropout: float = 0.0,
    inner_dropout: float = 0.0,
) -> Tensor:
    """down(act(up(x))), with dropout behind the activation and at the end; `module` may be empty."""
    with t.scope(module):
        up = t.linear(names[0], x, inner, bias=bias, split=column(inner), transposed=transposed)
        hidden = t.elementwise(activation, up)
        if inner_dropout:
            hidden = t.elementwise("dropout", hidden, dropout=inner_dropout)
        down = t.linear(names[1], hidden, x.width, bias=bias, split=row(inner), transposed=transposed)
        return t.elementwise("dropout", down, dropout=dropout) if dropout else down


def fused_experts(
    t: Trace,
    x: Tensor,
    weights: Tensor,
    *,
    count: int,
    top_k: int,
    inner: int,
    module: str = "experts",
    names: tuple[str, str] = ("gate_up_proj", "down_proj"),
    gated: bool = True,
    activation: str = "silu",
    bias: bool = False,
    transposed: bool = False,
    every: bool = False,
) -> Tensor:
    """Experts stacked in two tensors: [experts, 2 x inner, width] and [experts, width, inner]."""
    wide = 2 * inner if gated else inner
    up_shape = (count, x.width, wide) if transposed else (count, wide, x.width)
    down_shape = (count, inner, x.width) if transposed else (count, x.width, inner)
    up_dim, down_dim = (2, 1) if transposed else (1, 2)
    parts = (Part(inner, inner),) * (2 if gated else 1)
    with t.scope(module):
        stacked = [
            t.parameter(
                names[0],
                up_shape,
                Role.EXPERT,
                split=Split(up_dim, parts),
                experts=count,
                transposed=transposed,
            ),
            t.parameter(
                names[1],
                down_shape,
                Role.EXPERT,
                split=Split(down_dim, (Part(0, inner),)),
                experts=count,
                transposed=transposed,
            ),
        ]
        if bias:
            stacked.insert(
                1,
                t.parameter(
                    f"{names[0]}_bias", (count, wide), Role.BIAS, split=Split(1, parts), experts=count
                ),
            )
            stacked.append(t.parameter(f"{names[1]}_bias", (count, x.width), Role.BIAS, experts=count))
        return t.experts(
            x,
            weights,
            stacked,
            count=count,
            top_k=top_k,
            width=inner,
            gated=gated,
            activation=activation,
            biased=bias,
            every=every,
        )


def router(
    t: Trace,
    x: Tensor,
    count: int,
    top_k: int,
    *,
    name: str = "gate",
    correction: str | None = None,
    correction_shape: tuple[int, ...] | None = None,
    correction_buffer: bool = True,
    scoring: str = "softmax",
    module: bool = False,
    bias: bool = False,
    extra: Sequence[tuple[str, tuple[int, ...]]] = (),
) -> Tensor:
    """Scores of all experts and the choice of `top_k`; `correction` names a load-balancing buffer
    (a parameter that is not trained where `correction_buffer` is False)."""
    if module:
        scores = t.linear(name, x, count, bias=bias, role=Role.ROUTER)
    else:
        with t.scope(name):
            scores = t.linear("weight", x, count, role=Role.ROUTER, module=False)
            if bias:
                t.hold(t.parameter("bias", (count,), Role.BIAS))
    shape = correction_shape or (count,)
    held = (
        (t.parameter(correction, shape, Role.ROUTER, buffer=correction_buffer, dtype="float32"),)
        if correction
        else ()
    )
    return t.route(scores, count, top_k, *held, scoring=scoring)


def sparse(
    t: Trace,
    x: Tensor,
    *,
    count: int,
    top_k: int,
    inner: int,
    module: str = "mlp",
    shared_inner: int = 0,
    shared_name: str = "shared_experts",
    shared_gate: str | None = None,
    gate: str = "gate",
    correction: str | None = None,
    correction_shape: tuple[int, ...] | None = None,
    correction_buffer: bool = True,
    scoring: str = "softmax",
    activation: str = "silu",
    router_bias: bool = False,
    router_module: bool = False,
    bias: bool = False,
    transposed: bool = False,
    shared_bias: bool = False,
    shared: Callable[[Trace, Tensor], Tensor] | None = None,
    every: bool = False,
) -> Tensor:
    """A mixture of experts, with shared experts beside the routed ones where `shared_inner` is set.

    `shared` writes them down where they are no gated block; `router_module`: the router is a linear
    module, which an adapter can name; `every`: all experts run on every token.
    """
    with t.scope(module):
        weights = router(
            t,
            x,
            count,
            top_k,
            name=gate,
            correction=correction,
            correction_shape=correction_shape,
            correction_buffer=correction_buffer,
            scoring=scoring,
            bias=router_bias,
            module=router_module,
        )
        out = fused_experts(
            t,
            x,
            weights,
            count=count,
            top_k=top_k,
            inner=inner,
            activation=activation,
            bias=bias,
            transposed=transposed,
            every=every,
        )
        if shared_inner:
            beside = gated(t, x, shared_inner, module=shared_name, activation=activation, bias=shared_bias)
            if shared_gate:
                score = t.elementwise("sigmoid", t.linear(shared_gate, x, 1, role=Role.ROUTER))
                beside = t.multiply(score, beside)
            out = t.add(out, beside)
        return t.add(out, shared(t, x)) if shared else out
