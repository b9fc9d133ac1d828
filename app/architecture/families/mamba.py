"""Pure state-space models: Mamba, Mamba-2, Falcon Mamba."""

from functools import partial

from ..blocks.recurrent import Mamba, Mamba2, mamba, mamba2
from ..builder import ModelBuilder
from ..config import Config
from .mixtures import Half, layers
from .registry import decoder


def inner_width(c: Config, field: str) -> int:
    """Channels of a mixer: the model's width times a factor."""
    inner = int(c.number(field) * c.hidden)
    if inner < 1:
        raise c.wrong(field, "config_out_of_range", value=c.number(field), least=1, most=c.hidden)
    return inner


def step_rank(c: Config, field: str) -> int:
    """Rank of the time step; `auto` is a sixteenth of the model's width."""
    return -(-c.hidden // 16) if c.get(field, "auto") == "auto" else c.size(field)


def stack(c: Config, m: ModelBuilder, mixer: Half) -> None:
    """Layers of one norm and one mixer."""
    wide = c.flag("residual_in_fp32", True)
    layers(
        c,
        m,
        lambda kind: mixer,
        lambda kind: None,
        embed="embeddings",
        final="norm_f",
        names=("norm",),
        wide=wide,
    )


def widened(c: Config) -> tuple[str, ...]:
    """Logits cast to float32."""
    return ("widen",)


def selective(c: Config, norms: str | None) -> Half:
    """A Mamba mixer by its field names."""
    shape = Mamba(
        inner_width(c, "expand"),
        c.size("state_size"),
        c.size("conv_kernel"),
        step_rank(c, "time_step_rank"),
        c.flag("use_bias"),
        c.flag("use_conv_bias", True),
        norms,
    )
    return partial(mamba, m=shape)


@decoder("mamba", prefix="backbone", after=widened)
def mamba_model(c: Config, m: ModelBuilder) -> None:
    """Mamba (arXiv 2312.00752)."""
    stack(c, m, selective(c, None))


@decoder("falcon_mamba", prefix="backbone", after=widened)
def falcon_mamba(c: Config, m: ModelBuilder) -> None:
    """Falcon Mamba (arXiv 2410.05355): time step, B and C normalised without weights."""
    stack(c, m, selective(c, "rms_plain"))


@decoder("mamba2", prefix="backbone", after=widened)
def mamba2_model(c: Config, m: ModelBuilder) -> None:
    """Mamba-2 (arXiv 2405.21060)."""
    shape = Mamba2(
        inner_width(c, "expand"),
        c.size("num_heads"),
        c.size("head_dim"),
        c.size("state_size"),
        c.size("n_groups"),
        c.size("conv_kernel"),
        c.size("chunk_size"),
        c.flag("use_bias"),
        c.flag("use_conv_bias", True),
        norm_groups=c.size("n_groups"),
    )
    stack(c, m, partial(mamba2, m=shape))
