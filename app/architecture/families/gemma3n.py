"""Gemma 3n: four alternating streams, embeddings for every layer, caches that later layers borrow."""

from collections.abc import Sequence

from msgspec import Struct

from ..blocks.attention import Heads, attend
from ..blocks.feed_forward import gated
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Tensor
from ..trace import Trace, column, row
from .llama import every
from .mixtures import heads_of, kinds
from .registry import decoder

STYLE = "rms_wide"


def borrowers(c: Config, types: Sequence[str], *, all_may: bool = False) -> list[bool]:
    """Which layers use the keys and values of an earlier one of their kind: the last `num_kv_shared_layers`.

    Every kind needs a layer that makes them (unless another model does: `all_may`).
    """
    shared = c.size("num_kv_shared_layers", 0, least=0)
    first = c.layers - shared
    if first < 0 or (shared and set(types[:first]) != set(types) and not (all_may and not first)):
        raise c.wrong("num_kv_shared_layers", "config_out_of_range", value=shared, least=0, most=c.layers - 1)
    return [i >= first for i in range(c.layers)]


def borrowing_attention(
    t: Trace, x: Tensor, heads: Heads, *, borrows: bool, bias: bool, keys_are_values: bool = False
) -> Tensor:
    """Attention with normalised queries, keys and (without weights) values; a borrower has only queries."""
    kv_split = column(heads.kv_heads, replicate=True)
    with t.scope("self_attn"):
        q = t.linear("q_proj", x, heads.query_width, bias=bias, split=column(heads.heads))
        q = t.rotary(t.norm("q_norm", q, style=STYLE, width=heads.head_dim), heads.head_dim)
        if borrows:
            k, v = t.input(heads.key_width), t.input(heads.value_width)
        else:
            k = t.linear("k_proj", x, heads.key_width, bias=bias, split=kv_split)
            v = k if keys_are_values else t.linear("v_proj", x, heads.value_width, bias=bias, split=kv_split)
            k = t.rotary(t.norm("k_norm", k, style=STYLE, width=heads.head_dim), heads.head_dim)
            v = t.norm("v_norm", v, style="rms_plain", weight=False, width=heads.head_dim)
        out = attend(t, q, k, v, heads)
        return t.linear("o_proj", out, x.width, bias=bias, split=row(heads.heads))


def layer_embeddings(c: Config, m: ModelBuilder, width: int) -> None:
    """Embeddings for every layer: looked up, and projected from the token's first embedding."""
    total = c.layers * width

    def write(t: Trace) -> Tensor:
        looked_up = t.elementwise("scale", t.embedding("embed_tokens_per_layer", table, total))
        projected = t.elementwise("scale", t.linear("per_layer_model_projection", t.input(c.hidden), total))
        projected = t.norm("per_layer_projection_norm", projected, style=STYLE, width=width)
        return t.elementwise("scale", t.add(projected, looked_up))

    table = c.size("vocab_size_per_layer_input")
    m.single("embedding", write)


def layer_input(t: Trace, x: Tensor, width: int, activation: str, into: int) -> Tensor:
    """A layer's own embedding, gated by the stream and projected to it."""
    gate = t.elementwise(activation, t.linear("per_layer_input_gate", x, width))
    mixed = t.multiply(gate, t.input(width))
    return t.norm("post_per_layer_input_norm", t.linear("per_layer_projection", mixed, into), style=STYLE)


class AltUp(Struct, frozen=True):
    """Alternating updates (arXiv 2301.13310): `streams` copies of the residual, one of them worked on."""

    streams: int
    hidden: int
    scaled: bool

    @property
    def width(self) -> int:
        """Elements of all streams."""
        return self.streams * self.hidden

    def coefficients(self, t: Trace, x: Tensor, name: str, count: int) -> Tensor:
        """`count` numbers for each token, out of a tanh of its normalised stream."""
        normed = t.elementwise("scale", t.norm("router_norm", x, style=STYLE))
        return t.linear(name, t.elementwise("tanh", t.linear("modality_router", normed, self.streams)), count)

    def predict(self, t: Trace, x: Tensor) -> Tensor:
        """Every stream from all of them."""
        with t.scope("altup"):
            active = t.view(x, self.hidden, kind="slice")
            mix = self.coefficients(t, active, "prediction_coefs", self.streams**2)
            return t.add(t.product(x, mix, self.width, self.streams), x)

    def correct(self, t: Trace, predicted: Tensor, made: Tensor) -> Tensor:
        """Every stream moved towards what the layer made of the active one."""
        with t.scope("altup"):
            weights = self.coefficients(t, made, "correction_coefs", self.streams)
            innovation = t.add(made, t.view(predicted, self.hidden, kind="slice"))
            wide = t.elementwise("repeat", innovation, width=self.width)
            return t.add(t.multiply(wide, weights), predicted)

    def output(self, t: Trace, x: Tensor) -> Tensor:
        """The active stream, scaled."""
        active = t.view(x, self.hidden, kind="slice")
        scale = t.parameter("altup.correct_output_scale", (self.hidden,))
        t.hold(scale)
        return t.elementwise("scale", active) if self.scaled else active


@decoder("gemma3n_text")
def gemma3n_text(c: Config, m: ModelBuilder) -> None:
    """Gemma 3n (arXiv 2503.19786 and the model card)."""
    types = kinds(c, "layer_types", every(5, c.layers))
    borrows = borrowers(c, types)
    inner = widths(c)
    sparsity = c.items("activation_sparsity_pattern") or ([0.95] * 10 if c.layers > 10 else [])
    if not all(isinstance(share, int | float) for share in sparsity):
        raise c.wrong("activation_sparsity_pattern", "config_not_number", value=str(sparsity)[:40])
    streams = AltUp(c.count("altup_num_inputs"), c.hidden, c.flag("altup_correct_scale", True))
    act, bias, width = (
        c.text("hidden_activation"),
        c.flag("attention_bias"),
        c.size("hidden_size_per_layer_input", least=0),
    )

    def layer(t: Trace, x: Tensor, kind: str, borrow: bool, inner: int, top: bool) -> Tensor:
        heads = heads_of(c, kind, cached=not borrow)
        predicted = streams.predict(t, x)
        active = t.view(predicted, c.hidden, kind="slice")
        normed = t.norm("input_layernorm", active, style=STYLE)
        laurel = t.add(normed, low_rank(t, normed, c.size("laurel_rank")))
        mixed = borrowing_attention(t, normed, heads, borrows=borrow, bias=bias)
        mixed = t.add(active, t.norm("post_attention_layernorm", mixed, style=STYLE))
        mixed = t.elementwise("scale", t.add(mixed, laurel))
        fed = t.norm("pre_feedforward_layernorm", mixed, style=STYLE)
        fed = gated(t, fed, inner, activation=f"topk_{act}" if top else act)
        made = t.add(mixed, t.norm("post_feedforward_layernorm", fed, style=STYLE))
        corrected = streams.correct(t, predicted, made)
        extra = layer_input(t, streams.output(t, corrected), width, act, c.hidden)
        return t.add(corrected, extra)

    m.embed("embed_tokens", c.vocab, c.hidden, scale=True)
    layer_embeddings(c, m, width)
    m.single("embedding", lambda t: fan(t, c.hidden, "altup_projections", streams.streams))
    m.stack(
        c.layers,
        layer,
        width=streams.width,
        kinds=lambda i: (types[i], borrows[i], inner[i], i < len(sparsity) and sparsity[i] > 0),
    )
    m.single("norm", lambda t: fan(t, c.hidden, "altup_unembed_projections", streams.streams))
    m.final_norm("norm", c.hidden, style=STYLE)


def fan(t: Trace, hidden: int, name: str, streams: int) -> Tensor:
    """All streams but the first through matrices of their own, scaled to the first one's length."""
    first = t.input(hidden)
    made = [first]
    for i in range(streams - 1):
        made.append(t.elementwise("rescale", t.linear(f"{name}.{i}", first, hidden), first))
    return t.concat(*made)


def low_rank(t: Trace, x: Tensor, rank: int) -> Tensor:
    """The learned augmented residual: two narrow matrices and a norm."""
    with t.scope("laurel"):
        low = t.linear("linear_right", t.linear("linear_left", x, rank), x.width)
        return t.norm("post_laurel_norm", low, style=STYLE)


def widths(c: Config) -> list[int]:
    """Inner width of each layer's feed-forward block."""
    stated = c.get("intermediate_size")
    values = stated if isinstance(stated, list) else [c.inner] * c.layers
    if len(values) < c.layers or not all(isinstance(n, int) and 0 < n < 2**31 for n in values):
        raise c.wrong("intermediate_size", "config_layer_types", value=len(values), layers=c.layers)
    return values
