"""T5 and its relatives (arXiv 1910.10683): relative positions, no biases, norms before each half."""

from collections.abc import Callable
from functools import partial

from ..blocks.attention import Heads, grouped
from ..blocks.cross import cross_attention
from ..blocks.feed_forward import gated, plain
from ..blocks.residual import branch
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Parameter, Role, Tensor
from ..trace import Trace, row
from .long_inputs import in_blocks
from .registry import family, of_class

NAMES = ("q", "k", "v", "o")
PLAIN = "SelfAttention"
MOST_MODULES = 2**10  # experts that stand one by one; published models have at most 256
FeedForward = Callable[[Trace, Tensor], Tensor]


def heads(c: Config, *, decodes: bool) -> Heads:
    """Heads of any width; scores carry a learned bias instead of positions."""
    return Heads(
        c.size("num_heads"),
        c.size("num_heads"),
        c.size("d_kv"),
        rotary_dim=0,
        causal=decodes,
        cached=decodes,
        score_bias=True,
        float32_softmax=False,
        dropout=c.number("dropout_rate", 0.0),
    )


def feed_forward(c: Config, module: str) -> FeedForward:
    """`relu`, or `gated-gelu` with two input matrices."""
    stated = c.text("feed_forward_proj", "relu")
    kind, _, act = stated.rpartition("-")
    if kind not in ("", "gated"):
        raise c.wrong("feed_forward_proj", "config_unknown_value", value=stated[:40])
    if kind:
        return partial(
            gated, inner=c.size("d_ff"), module=module, names=("wi_0", "wi_1", "wo"), activation=act
        )
    return partial(plain, inner=c.size("d_ff"), module=module, names=("wi", "wo"), activation=act, bias=False)


def half(t: Trace, x: Tensor, index: int, inner: Callable[[Trace, Tensor], Tensor], dropout: float) -> Tensor:
    """x + inner(norm(x)), all below `layer.{index}`."""
    with t.scope(f"layer.{index}"):
        return t.add(x, branch(t, inner(t, t.norm("layer_norm", x)), dropout))


def write_stack(
    c: Config,
    m: ModelBuilder,
    count: int,
    feed: Callable[[bool], FeedForward],
    *,
    decodes: bool,
    attention: str = PLAIN,
    every_bias: bool = False,
    sparse: Callable[[int], bool] = lambda index: False,
    global_bias: bool = False,
) -> None:
    """One of the two stacks; its first layer (or every one) owns the table of relative positions."""
    shape, drop = heads(c, decodes=decodes), c.number("dropout_rate", 0.0)
    tables = ["relative_attention_bias", *(["global_relative_attention_bias"] if global_bias else [])]

    def attend(t: Trace, x: Tensor, has_table: bool) -> Tensor:
        if has_table:
            buckets = c.size("relative_attention_num_buckets")
            for table in tables:
                t.hold(t.parameter(f"{attention}.{table}.weight", (buckets, shape.heads)))
        if global_bias:
            t.hold(t.parameter(f"{attention}.global_input_layer_norm.weight", (x.width,), Role.NORM))
        if attention == PLAIN:
            return grouped(t, x, shape, module=attention, names=NAMES)
        return in_blocks(t, x, shape, c, module=attention, grouped=global_bias)

    def layer(t: Trace, x: Tensor, has_table: bool, is_sparse: bool) -> Tensor:
        x = half(t, x, 0, lambda t, x: attend(t, x, has_table), drop)
        if decodes:
            x = half(
                t,
                x,
                1,
                lambda t, x: cross_attention(t, x, shape, module="EncDecAttention", names=NAMES),
                drop,
            )
        return half(t, x, 2 if decodes else 1, feed(is_sparse), drop)

    axis, width = (Axis.TOKENS if decodes else Axis.SOURCE), c.size("d_model")
    m.stack(
        count,
        layer,
        width=width,
        name="block.{}",
        axis=axis,
        kinds=lambda i: (every_bias or i == 0, sparse(i)),
    )
    m.single("norm", lambda t: t.norm("final_layer_norm", t.input(width, axis)))


def shared_embedding(c: Config, m: ModelBuilder, *, tied: bool) -> None:
    """One table for both stacks, two more where nothing is tied."""
    width, rows = c.size("d_model"), c.vocab
    m.hidden_size, m.vocab_size = width, rows
    m.single("embedding", lambda t: t.embedding("shared", rows, width))
    for name, axis in (("encoder", Axis.SOURCE), ("decoder", Axis.TOKENS)):
        m.single(
            "embedding",
            lambda t, name=name, axis=axis: t.embedding(  # type: ignore[misc]
                f"{name}.embed_tokens", rows, width, axis=axis, tied=tied
            ),
        )


def decoder_layers(c: Config) -> int:
    """As many as the encoder's, where not stated."""
    return c.count("num_decoder_layers", c.count("num_layers"))


@of_class("T5EncoderModel", "MT5EncoderModel", "UMT5EncoderModel")
def t5_encoder(c: Config, m: ModelBuilder) -> None:
    """The encoder alone: embedding models, text towers of picture generators."""
    feed, width = feed_forward(c, "DenseReluDense"), c.size("d_model")
    m.notes["kind"] = "encoder"
    m.hidden_size, m.vocab_size = width, c.vocab
    m.single("embedding", lambda t: t.embedding("shared", c.vocab, width, axis=Axis.SOURCE))
    with m.component("encoder"), m.prefix("encoder"):
        write_stack(
            c, m, c.count("num_layers"), lambda sparse: feed, decodes=False, every_bias=c.model_type == "umt5"
        )


@family("t5", "mt5", "umt5", "longt5")
def t5(c: Config, m: ModelBuilder) -> None:
    """T5, mT5, UMT5 (a table in every layer), LongT5 (arXiv 2112.07916; local or global encoder)."""
    is_long = c.model_type == "longt5"
    local = is_long and c.text("encoder_attention_type", "local") == "local"
    attention = ("LocalSelfAttention" if local else "TransientGlobalSelfAttention") if is_long else PLAIN
    feed, every = feed_forward(c, "DenseReluDense"), c.model_type == "umt5"
    head_tied = c.flag("tie_word_embeddings", True) if c.model_type == "t5" else c.model_type != "pop2piano"
    m.notes["kind"] = "encoder_decoder"
    shared_embedding(c, m, tied=True)
    with m.component("encoder"), m.prefix("encoder"):
        write_stack(
            c,
            m,
            c.count("num_layers"),
            lambda sparse: feed,
            decodes=False,
            attention=attention,
            every_bias=every,
            global_bias=is_long and not local,
        )
    with m.prefix("decoder"):
        write_stack(c, m, decoder_layers(c), lambda sparse: feed, decodes=True, every_bias=every)
    m.head("lm_head", c.size("d_model"), c.vocab, tied=head_tied)


def expert_modules(c: Config) -> int:
    """How many experts there are, each a module with tensors of its own."""
    if (count := c.count("num_experts")) > MOST_MODULES:
        raise c.wrong("num_experts", "config_out_of_range", value=count, least=1, most=MOST_MODULES)
    return count


def own_experts(
    t: Trace,
    x: Tensor,
    weights: Tensor,
    *,
    count: int,
    inner: int,
    names: tuple[str, str],
    bias: bool,
    act: str,
    top_k: int,
) -> Tensor:
    """Experts as modules of their own, `experts.expert_0` and so on, which adapters can name one by one."""
    parameters: list[Parameter] = []
    for index in range(count):
        with t.scope(f"experts.expert_{index}"):
            for name, fan_in, fan_out in ((names[0], x.width, inner), (names[1], inner, x.width)):
                t.unused_linear(name, fan_in, fan_out, bias=bias)
                split = row(inner) if fan_out == x.width else None
                parameters.append(
                    t.parameter(f"{name}.weight", (fan_out, fan_in), Role.EXPERT, experts=1, split=split)
                )
                if bias:
                    parameters.append(t.parameter(f"{name}.bias", (fan_out,), Role.BIAS, experts=1))
    return t.experts(
        x,
        weights,
        parameters,
        count=count,
        top_k=top_k,
        width=inner,
        gated=False,
        activation=act,
        biased=bias,
    )


@family("switch_transformers")
def switch(c: Config, m: ModelBuilder) -> None:
    """Switch Transformers (arXiv 2101.03961): every so many layers, one expert of many per token."""
    count, act, inner = expert_modules(c), c.text("dense_act_fn", "relu"), c.size("d_ff")

    def experts(t: Trace, x: Tensor) -> Tensor:
        with t.scope("mlp"):
            scores = t.linear("router.classifier", x, count, bias=c.flag("router_bias"), role=Role.ROUTER)
            weights = t.route(scores, count, 1)
            return own_experts(
                t, x, weights, count=count, inner=inner, names=("wi", "wo"), bias=False, act=act, top_k=1
            )

    def sparse(layers: int, field: str) -> Callable[[int], bool]:
        wanted = c.size(field, 3, least=0)
        step = layers // wanted if wanted else layers
        return lambda i: step > 0 and (i % step == 1 or step == 1)

    dense = partial(plain, inner=inner, module="mlp", names=("wi", "wo"), activation=act, bias=False)
    feed: dict[bool, FeedForward] = {False: dense, True: experts}
    m.notes["kind"] = "encoder_decoder"
    shared_embedding(c, m, tied=c.tied)
    layers = c.count("num_layers")
    with m.component("encoder"), m.prefix("encoder"):
        write_stack(
            c, m, layers, feed.__getitem__, decodes=False, sparse=sparse(layers, "num_sparse_encoder_layers")
        )
    with m.prefix("decoder"):
        write_stack(
            c,
            m,
            decoder_layers(c),
            feed.__getitem__,
            decodes=True,
            sparse=sparse(decoder_layers(c), "num_sparse_decoder_layers"),
        )
    m.head("lm_head", c.size("d_model"), c.vocab, tied=c.tied)
