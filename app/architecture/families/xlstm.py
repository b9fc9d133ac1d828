"""xLSTM 7B."""

from functools import partial

from ..blocks.feed_forward import fused_gated, gated
from ..blocks.mlstm import Mlstm, mlstm
from ..blocks.residual import pre_norm
from ..builder import ModelBuilder
from ..config import Config
from ..operations import State, Tensor
from ..trace import Trace
from .registry import decoder


def rounded(value: float, multiple: int) -> int:
    """The next multiple."""
    return int((value + multiple - 1) // multiple * multiple)


def counter(t: Trace) -> Tensor:
    """How many tokens have been seen: one number for the batch."""
    return t.scan(
        "counter",
        (t.input(1),),
        1,
        heads=1,
        key_dim=1,
        value_dim=1,
        states=(State("seen", (1,), "int64", once=True),),
    )


@decoder("xlstm", prefix="backbone", ties=False, after=lambda c: ("scale", "tanh", "scale"))
def xlstm(c: Config, m: ModelBuilder) -> None:
    """xLSTM 7B (arXiv 2503.13427)."""
    hidden = c.maybe("hidden_size") or c.size("embedding_dim")
    depth = c.count("num_hidden_layers", c.maybe("num_blocks"))
    heads, fused, bias = c.size("num_heads"), c.text("weight_mode") == "fused", c.flag("use_bias")
    keys, values = int(hidden * c.number("qk_dim_factor")), int(hidden * c.number("v_dim_factor"))
    if keys < 1 or values < 1 or keys % heads or values % heads:
        raise c.wrong("num_heads", "config_not_divisible", value=heads, of=hidden)
    kept = (
        rounded(hidden * c.number("qk_dim_factor"), 64) // heads,
        rounded(hidden * c.number("v_dim_factor"), 64) // heads,
    )
    shape = Mlstm(heads, keys, values, kept, c.size("chunk_size"), bias, fused)
    inner = rounded(hidden * c.number("ffn_proj_factor"), c.size("ffn_round_up_to_multiple_of"))
    feed_forward = partial(gated, names=("proj_up_gate", "proj_up", "proj_down"))
    if fused:
        feed_forward = partial(fused_gated, names=("proj_up_gate_z", "proj_down"))
    feed_forward = partial(feed_forward, inner=inner, module="ffn", bias=bias)

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(
            t, x, partial(mlstm, m=shape), feed_forward, names=("norm_mlstm", "norm_ffn"), bias=bias
        )

    m.embed("embeddings", c.vocab, hidden)
    m.single("embedding", counter)
    m.stack(depth, layer, width=hidden, name="blocks.{}")
    m.final_norm("out_norm", hidden)
