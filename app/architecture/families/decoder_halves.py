"""The decoders of encoder-decoder lineages as causal language models: BART's relatives, TrOCR, Whisper.

Their attention to an encoder owns parameters that a text-only forward pass leaves unused.
"""

from functools import partial

from msgspec import Struct

from ..blocks.attention import Heads, grouped
from ..blocks.feed_forward import plain
from ..blocks.residual import outer_norm, pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Role, Tensor
from ..trace import Trace
from .opt import NAMES, NORMS
from .registry import Writer, family, of_class


class Half(Struct, frozen=True):
    """How a lineage's decoder differs: norms before or behind each half, of the embedding, at the end.

    `rows`: the field that counts learned positions, `offset`: rows beside them. `head`: the name of the
    vocabulary's matrix. `bias`: the field of all biases [always]; `key_bias`: whether keys have one.
    """

    is_pre: bool = False
    embedding_norm: bool = True
    final_norm: bool = False
    rows: str = "max_position_embeddings"
    offset: int = 2
    head: str = "lm_head"
    ties: bool = True
    bias: str | None = None
    key_bias: bool = True
    query_scale: bool = False


def unused_cross(t: Trace, half: Half, width: int, source: int, bias: bool) -> None:
    """The attention to an encoder, and its norm."""
    with t.scope("encoder_attn"):
        t.unused_linear("q_proj", width, width, bias=bias)
        t.unused_linear("k_proj", source, width, bias=bias and half.key_bias)
        t.unused_linear("v_proj", source, width, bias=bias)
        t.unused_linear("out_proj", width, width, bias=bias)
    with t.scope("encoder_attn_layer_norm"):
        t.hold(*(t.parameter(part, (width,), Role.NORM) for part in ("weight", "bias")))


def half_heads(c: Config) -> Heads:
    """The decoder's own heads, which divide the width."""
    heads = c.size("decoder_attention_heads", c.heads)
    if c.hidden % heads:
        raise c.wrong("decoder_attention_heads", "config_not_divisible", value=heads, of=c.hidden)
    drop = c.number("attention_dropout", 0.0)
    return Heads(heads, heads, c.hidden // heads, rotary_dim=0, dropout=drop, float32_softmax=False)


def write_half(c: Config, m: ModelBuilder, half: Half) -> None:
    """Embedding, layers, final norm."""
    bias = c.flag(half.bias, True) if half.bias else True
    drop, source = c.number("dropout", 0.0), c.size("cross_attention_hidden_size", c.hidden)
    attention = partial(
        grouped,
        shape=half_heads(c),
        names=NAMES,
        bias=bias,
        key_bias=bias and half.key_bias,
        query_scale=half.query_scale,
    )
    mlp = partial(
        plain,
        inner=c.size("decoder_ffn_dim"),
        module="",
        names=("fc1", "fc2"),
        activation=c.text("activation_function"),
        inner_dropout=c.number("activation_dropout", 0.0),
    )
    wrap = pre_norm if half.is_pre else outer_norm

    def layer(t: Trace, x: Tensor) -> Tensor:
        unused_cross(t, half, c.hidden, source, bias)
        return wrap(t, x, attention, mlp, names=NORMS, style="layer", dropout=drop)

    learned = c.flag("use_learned_position_embeddings", True)
    tables = (("embed_positions", c.size(half.rows) + half.offset, Axis.SEQUENCE),) if learned else ()
    norm = "layernorm_embedding" if half.embedding_norm and c.flag("layernorm_embedding", True) else None
    m.embed(
        "embed_tokens",
        c.vocab,
        c.hidden,
        scale=c.flag("scale_embedding"),
        tables=tables,
        sinusoidal=not learned,
        norm=norm,
        dropout=drop,
    )
    m.stack(c.count("decoder_layers"), layer, width=c.hidden)
    if half.final_norm:
        m.final_norm("layer_norm", c.hidden, style="layer")


def model_of(half: Half) -> Writer:
    """The causal language model of a half."""

    def write(c: Config, m: ModelBuilder) -> None:
        with m.prefix("model.decoder"):
            write_half(c, m, half)
        m.head(half.head, c.hidden, c.vocab, tied=half.ties and c.tied)

    return write


of_class("BartForCausalLM", "MvpForCausalLM", "PLBartForCausalLM")(model_of(Half()))
of_class("MBartForCausalLM")(model_of(Half(is_pre=True, final_norm=True)))
of_class("BlenderbotForCausalLM")(model_of(Half(True, embedding_norm=False, final_norm=True, offset=0)))
of_class("BlenderbotSmallForCausalLM")(model_of(Half(offset=0)))
of_class("MarianForCausalLM")(model_of(Half(embedding_norm=False, offset=0)))
of_class("PegasusForCausalLM")(model_of(Half(True, embedding_norm=False, final_norm=True, offset=0)))
of_class("BigBirdPegasusForCausalLM")(model_of(Half(True, offset=0, bias="use_bias", ties=False)))
of_class("WhisperForCausalLM")(
    model_of(
        Half(
            True,
            embedding_norm=False,
            final_norm=True,
            rows="max_target_positions",
            offset=0,
            head="proj_out",
            key_bias=False,
            query_scale=True,
        )
    )
)
family("trocr")(model_of(Half(head="output_projection", query_scale=True)))
