"""Writing a block down: every call records one operation and hands back the tensor it makes.

    trace = Trace()
    x = trace.input(hidden)
    with trace.scope("self_attn"):
        q = trace.linear("q_proj", x, heads * head_dim, split=column(heads))

Names are paths inside the block; `scope` prefixes them as modules nest.
"""

from collections.abc import Sequence

from .modules import Modules
from .operations import (
    Attention,
    Axis,
    Compressed,
    Concat,
    Elementwise,
    Experts,
    Index,
    KeyValueCache,
    Parameter,
    Part,
    Product,
    Rotary,
    Route,
    Scan,
    Split,
    State,
    Tensor,
    View,
)
from .spans import Pattern


def column(units: int, size: int | None = None, *, replicate: bool = False) -> Split:
    """Cut the output dimension in `units` pieces; `size` when only part of the rows is meant."""
    return Split(0, (Part(size or 0, units, replicate),))


def columns(*parts: Part) -> Split:
    """Cut a fused output dimension part by part (query, key, value; gate, up)."""
    return Split(0, parts)


def row(units: int) -> Split:
    """Cut the input dimension in `units` pieces."""
    return Split(1, (Part(0, units),))


class Trace(Modules):
    """The record of one block's forward pass: modules, and the steps between them."""

    def elementwise(
        self, kind: str, *inputs: Tensor, width: int | None = None, dropout: float = 0.0
    ) -> Tensor:
        """A function of every element of the inputs, as wide as the widest."""
        widest = max(inputs, key=lambda tensor: (tensor.axis is Axis.TOKENS, tensor.width))
        out = self.tensor(width or widest.width, widest.axis)
        return self._add(Elementwise("", inputs, (out,), (), kind, dropout))

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """a + b."""
        return self.elementwise("add", a, b)

    def multiply(self, a: Tensor, b: Tensor) -> Tensor:
        """a * b, a narrower operand broadcast."""
        return self.elementwise("multiply", a, b)

    def product(self, a: Tensor, b: Tensor, width: int, terms: int, axis: Axis | None = None) -> Tensor:
        """The matrix product of two activations, `width` elements per row of `terms` products each."""
        return self._add(Product("", (a, b), (self.tensor(width, axis or a.axis),), (), terms))

    def split(self, x: Tensor, *widths: int, kind: str = "split") -> list[Tensor]:
        """Views of stretches of each row, in `x`'s storage."""
        outputs = tuple(self.tensor(width, x.axis, of=x) for width in widths)
        self.operations.append(View("", (x,), outputs, (), kind))
        return list(outputs)

    def view(
        self, x: Tensor, width: int | None = None, axis: Axis | None = None, kind: str = "reshape"
    ) -> Tensor:
        """The same memory with other rows."""
        return self._add(View("", (x,), (self.tensor(width or x.width, axis or x.axis, of=x),), (), kind))

    def concat(self, *inputs: Tensor) -> Tensor:
        """Inputs side by side, copied."""
        out = self.tensor(sum(tensor.width for tensor in inputs), inputs[0].axis)
        return self._add(Concat("", inputs, (out,)))

    def rotary(self, x: Tensor, head_dim: int, rotary_dim: int | None = None) -> Tensor:
        """Rotary positions on every head of `x`; `rotary_dim` [all] elements of each are turned.

        Angles come in pairs: a head of one element is broadcast to two.
        """
        out = self.tensor(2 * x.width if head_dim == 1 else x.width, x.axis)
        return self._add(
            Rotary(
                "",
                (x,),
                (out,),
                (),
                x.width // head_dim,
                head_dim,
                head_dim if rotary_dim is None else rotary_dim,
            )
        )

    def attention(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        heads: int,
        kv_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        window: int | None = None,
        chunk: int | None = None,
        causal: bool = True,
        cross: bool = False,
        sinks: Parameter | None = None,
        softcap: bool = False,
        bias: bool = False,
        float32_softmax: bool = True,
        dropout: float = 0.0,
        cached: bool = True,
        latent_parts: tuple[int, ...] = (),
        indexer_dim: int = 0,
        indexer_dtype: str | None = None,
        shared_values: bool = False,
        compressed: tuple[Compressed, ...] = (),
        positions: int = 0,
        float32_scores: bool = False,
        kept_heads: int = 0,
        kept: KeyValueCache | None = None,
        broadcast: bool = False,
        pattern: Pattern | None = None,
        einsum: bool = False,
    ) -> Tensor:
        """softmax(q k^T) v; `cached` False for encoders and for layers that reuse another's cache.

        `shared_values`: the keys are the values, and are kept once. `compressed`: what is kept of tokens
        beyond the window; its first part gives attention keys of their own. `kept`: what is remembered
        where it is not keys and values.
        """
        value_dim = value_dim or key_dim
        cache = kept or (
            KeyValueCache(
                kv_heads,
                key_dim,
                0 if shared_values else value_dim,
                window,
                chunk,
                latent_parts,
                cross,
                indexer_dim,
                indexer_dtype,
                kept_heads=kept_heads,
                compressed=compressed,
                positions=positions,
            )
            if cached
            else None
        )
        out = self.tensor(heads * value_dim, q.axis)
        return self._add(
            Attention(
                self.path(""),
                (q, k, v),
                (out,),
                (sinks,) if sinks else (),
                heads,
                kv_heads,
                key_dim,
                value_dim,
                window,
                chunk,
                causal,
                cross,
                sinks is not None,
                softcap,
                bias,
                float32_softmax,
                dropout,
                cache,
                float32_scores,
                compressed[0].rate if compressed else 0,
                broadcast,
                pattern,
                einsum,
            )
        )

    def index(
        self,
        q: Tensor,
        k: Tensor,
        weights: Tensor | None,
        *,
        heads: int,
        key_dim: int,
        top_k: int,
        block: int = 1,
        ratio: int = 1,
        product: bool = True,
        causal: bool = False,
    ) -> Tensor:
        """The tokens that an indexer chooses for each query, as indices."""
        out = self.tensor(top_k, q.axis)
        inputs = (q, k) if weights is None else (q, k, weights)
        return self._add(
            Index(
                self.path(""),
                inputs,
                (out,),
                (),
                heads,
                key_dim,
                top_k,
                block,
                ratio,
                product and weights is not None,
                causal,
            )
        )

    def scan(
        self,
        kind: str,
        inputs: Sequence[Tensor],
        width: int,
        parameters: Sequence[Parameter] = (),
        *,
        heads: int,
        key_dim: int,
        value_dim: int,
        groups: int = 1,
        chunk: int = 1,
        states: tuple[State, ...] = (),
    ) -> Tensor:
        """A recurrence over the sequence, `width` elements out per token."""
        out = self.tensor(width, inputs[0].axis)
        return self._add(
            Scan(
                self.path(""),
                tuple(inputs),
                (out,),
                tuple(parameters),
                kind,
                heads,
                key_dim,
                value_dim,
                groups,
                chunk,
                states,
            )
        )

    def route(
        self, scores: Tensor, experts: int, top_k: int, *extra: Parameter, scoring: str = "softmax"
    ) -> Tensor:
        """The `top_k` experts of each token, by their scores; gives the chosen weights."""
        out = self.tensor(top_k, scores.axis)
        return self._add(Route(self.path(""), (scores,), (out,), extra, experts, top_k, scoring))

    def experts(
        self,
        x: Tensor,
        weights: Tensor,
        parameters: Sequence[Parameter],
        *,
        count: int,
        top_k: int,
        width: int,
        gated: bool = True,
        activation: str = "silu",
        biased: bool = False,
        matrices: int = 0,
        out: int | None = None,
        every: bool = False,
    ) -> Tensor:
        """Each token through its `top_k` of `count` feed-forward experts of inner size `width`.

        `matrices` = 1: through one matrix of each, `out` elements then.
        """
        made = self.tensor(out or x.width, x.axis)
        return self._add(
            Experts(
                self.path(""),
                (x, weights),
                (made,),
                tuple(parameters),
                count,
                top_k,
                x.width,
                width,
                gated,
                activation,
                biased,
                matrices,
                every,
            )
        )
