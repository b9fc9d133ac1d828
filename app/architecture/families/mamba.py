"""Pure state-space models."""

from ..builder import ModelBuilder
from ..blocks.recurrent import Mamba2, mamba2
from ..blocks.residual import pre_norm
from ..config import Config
from ..operations import Tensor
from ..trace import Trace
from .registry import decoder


@decoder("mamba2", prefix="backbone")
def mamba2_model(c: Config, m: ModelBuilder) -> None:
    """Mamba-2 (arXiv 2405.21060)."""
    inner = int(c.number("expand") * c.hidden)
    shape = Mamba2(
        inner,
        c.size("num_heads"),
        c.size("head_dim"),
        c.size("state_size"),
        c.size("n_groups"),
        c.size("conv_kernel"),
        c.size("chunk_size"),
        c.flag("use_bias"),
        c.flag("use_conv_bias", True),
    )

    def layer(t: Trace, x: Tensor) -> Tensor:
        return pre_norm(t, x, lambda t, x: mamba2(t, x, shape), None, names=("norm",))

    m.embed("embeddings", c.vocab, c.hidden)
    m.stack(c.layers, layer, width=c.hidden)
    m.final_norm("norm_f", c.hidden)
