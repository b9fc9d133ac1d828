"""DeBERTa (arXiv 2006.03654): content attends to positions and positions to content."""

from collections.abc import Callable

from ..blocks.attention import Heads, attend, grouped
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Part, Role, Tensor
from ..trace import Trace, column, columns, row
from .encoders import Attention, embeddings, predictions, sign_up, write_layers
from .registry import Writer


def relative(c: Config) -> tuple[int, list[str]]:
    """Rows of the table of relative positions (0: none), and which scores use it."""
    if not c.flag("relative_attention"):
        return 0, []
    reach = c.size("max_relative_positions", -1, least=-1)
    reach = reach if reach >= 1 else c.size("max_position_embeddings")
    if c.model_type == "deberta-v2":
        stated = c.size("position_buckets", -1, least=-1)
        reach = stated if stated > 0 else reach
    stated_types = c.get("pos_att_type") or []
    kinds = stated_types.split("|") if isinstance(stated_types, str) else c.items("pos_att_type") or []
    return 2 * reach, [str(kind).strip() for kind in kinds]


def deberta_v2_attention(c: Config) -> Attention:
    """Content attends to positions and back (arXiv 2006.03654), with projections shared or their own."""
    rows, kinds = relative(c)

    def write(t: Trace, x: Tensor, shape: Heads) -> Tensor:
        if rows and not c.flag("share_att_key"):
            table = t.input(x.width, Axis.ONE)
            with t.scope("attention.self"):
                if "c2p" in kinds:
                    t.linear("pos_key_proj", table, x.width, bias=True)
                if "p2c" in kinds:
                    t.linear("pos_query_proj", table, x.width, bias=True)
        names = ("self.query_proj", "self.key_proj", "self.value_proj", "output.dense")
        return grouped(t, x, shape, module="attention", names=names, bias=True)

    return write


def deberta_attention(c: Config) -> Attention:
    """One matrix for all three, biases of queries and values beside it."""
    rows, kinds = relative(c)

    def write(t: Trace, x: Tensor, shape: Heads) -> Tensor:
        part = Part(x.width, shape.heads)
        with t.scope("attention"):
            with t.scope("self"):
                qkv = t.linear("in_proj", x, 3 * x.width, split=columns(part, part, part))
                t.hold(
                    *(
                        t.parameter(name, (x.width,), Role.BIAS, split=column(shape.heads))
                        for name in ("q_bias", "v_bias")
                    )
                )
                if c.flag("talking_head"):
                    for name in ("head_logits_proj", "head_weights_proj"):
                        t.hold(t.parameter(f"{name}.weight", (shape.heads, shape.heads)))
                table = t.input(x.width, Axis.ONE)
                if rows and "c2p" in kinds:
                    t.linear("pos_proj", table, x.width)
                if rows and "p2c" in kinds:
                    t.linear("pos_q_proj", table, x.width, bias=True)
                q, k, v = t.split(qkv, x.width, x.width, x.width)
                out = attend(t, q, k, v, shape)
            return t.linear("output.dense", out, x.width, bias=True, split=row(shape.heads))

    return write


def deberta_body(attention: Callable[[Config], Attention]) -> Writer:
    """Positions added only where `position_biased_input`; a table of relative ones in the encoder."""

    def write(c: Config, m: ModelBuilder) -> None:
        width = c.size("embedding_size", c.hidden)
        table = c.size("max_position_embeddings") if c.flag("position_biased_input", True) else 0

        def embed(t: Trace) -> Tensor:
            x = embeddings(c, t, width=width, rows=table, normed=False)
            with t.scope("embeddings"):
                if width != c.hidden:
                    x = t.linear("embed_proj", x, c.hidden)
                return t.norm("LayerNorm", x, style="layer")

        m.single("embedding", embed)
        write_layers(c, m, attention(c))
        rows, _ = relative(c)
        if rows:
            m.single(
                "encoder", lambda t: t.hold(t.parameter("encoder.rel_embeddings.weight", (rows, c.hidden)))
            )
        if c.model_type == "deberta-v2":
            deberta_extras(c, m)

    return write


def deberta_extras(c: Config, m: ModelBuilder) -> None:
    """The norm of the relative table, and a convolution beside the first layer (version 2, extra large)."""
    if "layer_norm" in c.text("norm_rel_ebd", "none").lower():
        m.single("encoder", lambda t: t.norm("encoder.LayerNorm", t.input(c.hidden, Axis.ONE), style="layer"))
    if kernel := c.size("conv_kernel_size", 0, least=0):

        def convolve(t: Trace) -> Tensor:
            x = t.convolution(
                "conv", t.input(c.hidden), c.hidden, kernel=(kernel,), groups=c.size("conv_groups", 1)
            )
            return t.norm("LayerNorm", x, style="layer")

        m.single("encoder", convolve, name="encoder.conv")


def deberta_head(c: Config, m: ModelBuilder) -> None:
    """BERT's head, or the newer one whose matrix is the embedding itself."""
    if c.flag("legacy", True):
        predictions(c, m)
        return

    def write(t: Trace) -> Tensor:
        x = t.linear("dense", t.input(c.hidden), c.hidden, bias=True, head=True)
        t.hold(t.parameter("bias", (c.vocab,), Role.BIAS))
        x = t.norm("LayerNorm", x, style="layer", bias=True)
        return t.linear("word_embeddings", x, c.vocab, tied=True, module=False, role=Role.HEAD, head=True)

    m.single("head", write, name="lm_predictions.lm_head")


sign_up("deberta", "deberta", deberta_body(deberta_attention), deberta_head)
sign_up("deberta-v2", "deberta", deberta_body(deberta_v2_attention), deberta_head)
