"""MobileNetV5 from the timm package: a tower of convolutions, Gemma 3n's.

Pictures have one size, and each stage is coarser than the one before. A row stands for one place of the
coarsest grid that is described; where a stage is finer, `per_row` places stand side by side in a row, and
so many times the heads.
"""

from typing import Final

from msgspec import Struct

from ..blocks.vision import scaled
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import picture, tower

CHANNELS: Final = 3
MOBILENET_SIDE: Final = 768  # pixels of a picture's side


class Grid(Struct, frozen=True):
    """A stage: channels of each place, and how many places stand in a row."""

    channels: int
    per_row: int

    def convolve(
        self,
        t: Trace,
        name: str,
        x: Tensor,
        out: int,
        kernel: int,
        *,
        of: int,
        alone: bool = False,
        bias: bool = False,
    ) -> Tensor:
        """From `of` channels to `out` on this grid; `alone`: every channel by itself."""
        return t.convolution(
            name, x, out, kernel=(kernel, kernel), groups=of if alone else 1, bias=bias, channels_in=of,
            per_row=self.per_row,
        )  # fmt: skip

    def normed(self, t: Trace, name: str, x: Tensor, channels: int | None = None) -> Tensor:
        """A norm over each place's channels."""
        return t.norm(name, x, style="rms", width=channels or self.channels)


class Inverted(Struct, frozen=True):
    """A universal inverted bottleneck (arXiv 2404.10518): kernels of its depthwise convolutions before and
    in the middle (0: none), and how many times wider the middle is."""

    start: int
    middle: int
    widening: int


class MultiQuery(Struct, frozen=True):
    """Attention of many query heads to one key-value head, over every `stride`-th place."""

    heads: int
    dim: int
    stride: int = 1


Step = Inverted | MultiQuery
THIN: Final = Inverted(0, 0, 2)
# MobileNetV5-300M: channels and the steps of each stage behind the first; the first step halves the grid.
STAGES: Final[tuple[tuple[int, tuple[Step, ...]], ...]] = (
    (256, (Inverted(3, 5, 6), *(Inverted(kernel, 0, 4) for kernel in (5, 3, 5, 3)))),
    (
        640,
        (
            Inverted(5, 5, 6),
            *(Inverted(5, 0, 4),) * 7,
            Inverted(0, 0, 1),
            *(MultiQuery(12, 64, 2), THIN) * 14,
        ),
    ),
    (1280, (Inverted(5, 5, 6), *(MultiQuery(16, 96), THIN) * 19)),
)
FIRST: Final = (64, 128, 128, 128)  # channels of the stem and of the first stage's three steps
FUSED: Final = 2048


def edge(t: Trace, x: Tensor, grid: Grid, of: int) -> Tensor:
    """A whole convolution that widens and one that narrows."""
    wide = 4 * of
    x = grid.normed(t, "bn1", grid.convolve(t, "conv_exp", x, wide, 3, of=of), wide)
    return grid.normed(t, "bn2", grid.convolve(t, "conv_pwl", x, grid.channels, 1, of=wide))


def inverted(
    t: Trace, x: Tensor, grid: Grid, of: int, step: Inverted, *, gamma: bool = True, halves: bool = False
) -> Tensor:
    """Widened, mixed over places, narrowed, each with a norm; `halves`: the mixing makes the grid coarser."""
    wide, before = of * step.widening, Grid(of, grid.per_row * (4 if halves else 1))

    def part(
        name: str, x: Tensor, out: int, kernel: int, of: int, on: Grid = grid, alone: bool = False
    ) -> Tensor:
        with t.scope(name):
            return on.normed(t, "bn", on.convolve(t, "conv", x, out, kernel, of=of, alone=alone), out)

    if step.start:
        x = part("dw_start", x, of, step.start, of, before, alone=True)
    x = part("pw_exp", x, wide, 1, of, before)
    if step.middle:
        x = part("dw_mid", x, wide, step.middle, wide, alone=True)
    x = part("pw_proj", x, grid.channels, 1, wide)
    return scaled(t, x, "layer_scale.gamma", (grid.channels,)) if gamma else x


def multi_query(t: Trace, x: Tensor, grid: Grid, step: MultiQuery) -> Tensor:
    """Keys and values are made of a coarser grid where the stride is above one."""
    wide, coarse = step.heads * step.dim, Grid(grid.channels, grid.per_row // step.stride**2)

    def kept(name: str, x: Tensor) -> Tensor:
        with t.scope(name):
            if step.stride > 1:
                x = coarse.convolve(t, "down_conv", x, grid.channels, 3, of=grid.channels, alone=True)
                x = coarse.normed(t, "norm", x)
            return coarse.convolve(t, "proj", x, step.dim, 1, of=grid.channels)

    normed = grid.normed(t, "norm", x)
    with t.scope("attn"):
        q = grid.convolve(t, "query.proj", normed, wide, 1, of=grid.channels)
        k, v = kept("key", normed), kept("value", normed)
        out = t.attention(
            q, k, v, heads=step.heads * grid.per_row, kv_heads=coarse.per_row, key_dim=step.dim, causal=False,
            cached=False, float32_softmax=False,
        )  # fmt: skip
        out = grid.convolve(t, "output.proj", out, grid.channels, 1, of=wide)
    return t.add(x, scaled(t, out, "layer_scale.gamma", (grid.channels,)))


def mobilenet_v5(m: ModelBuilder) -> None:
    """MobileNetV5-300M as Gemma 3n's encoder: its last two stages are joined into 256 tokens."""
    rows = (MOBILENET_SIDE // 32) ** 2
    stem, first = Grid(FIRST[0], 16**2), Grid(FIRST[1], 8**2)

    def enter(t: Trace) -> Tensor:
        pixels = t.input(CHANNELS * 32**2, Axis.PATCHES)
        x = stem.convolve(t, "conv", pixels, stem.channels, 3, of=CHANNELS, bias=True)
        return stem.normed(t, "bn", x)

    def fuse(t: Trace) -> Tensor:
        of, grid = STAGES[-2][0] + STAGES[-1][0], Grid(FUSED, 4)
        x = t.input(of * grid.per_row, Axis.PATCHES)
        with t.scope("ffn"):
            x = inverted(t, x, grid, of, THIN, gamma=False)
        return t.norm("norm", x, width=FUSED)

    m.single("vision", enter, name="conv_stem")
    for i, of in enumerate(FIRST[:-1]):
        m.single("vision", lambda t, of=of: edge(t, t.input(of * first.per_row, Axis.PATCHES), first, of),  # type: ignore[misc]
                 name=f"blocks.0.{i}")  # fmt: skip
    of = first.channels
    for stage, (channels, steps) in enumerate(STAGES, 1):
        write_stage(m, stage, of, Grid(channels, 4 ** (3 - stage)), steps)
        of = channels
    m.single("vision", fuse, name="msfa")
    picture(m, size=(MOBILENET_SIDE, MOBILENET_SIDE), patches=rows, tokens=256)


def write_stage(m: ModelBuilder, stage: int, of: int, grid: Grid, steps: tuple[Step, ...]) -> None:
    """Equal steps are one block; the first one comes from another width."""

    def write(t: Trace, x: Tensor, step: Step, is_first: bool) -> Tensor:
        if isinstance(step, MultiQuery):
            return multi_query(t, x, grid, step)
        return inverted(t, x, grid, of if is_first else grid.channels, step, halves=is_first)

    m.stack(
        len(steps), write, width=grid.channels * grid.per_row, name=f"blocks.{stage}.{{}}", axis=Axis.PATCHES,
        kinds=lambda i: (steps[i], i == 0),
    )  # fmt: skip


@tower("gemma3n_vision")
def gemma3n_vision(c: Config, m: ModelBuilder) -> None:
    """Gemma 3n's encoder, one of the timm package's."""
    if c.text("architecture") != "mobilenetv5_300m_enc" or c.mapping("model_args"):
        raise c.uncovered(
            "architecture", "of Gemma 3n's encoders only mobilenetv5_300m_enc is described here"
        )
    with m.prefix("timm_model"):
        mobilenet_v5(m)
