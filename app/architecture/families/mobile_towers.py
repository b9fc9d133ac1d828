"""Towers of convolutions from the timm package: MobileNetV5 (Gemma 3n) and FastViT (FastVLM).

Pictures have one size, and each stage is coarser than the one before. A row stands for one place of the
coarsest grid that is described; where a stage is finer, `per_row` places stand side by side in a row, and
so many times the heads. (Scores of FastViT's finer attention are so counted over a quarter of their keys,
2 % of that tower.)
"""

from typing import Final

from msgspec import Struct

from ..blocks.vision import scaled
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .composite import language, logits, picture, project, see, tower
from .registry import family
from .speech import batch_norm

CHANNELS: Final = 3
MOBILENET_SIDE: Final = 768  # pixels of a picture's side
FASTVIT_SIDE: Final = 1024


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


# FastViT-MCI3: channels and blocks of each stage; the last two attend.
FASTVIT: Final = ((96, 2), (192, 12), (384, 24), (768, 4), (1536, 2))
HEAD_DIM: Final = 32


def widened(t: Trace, x: Tensor, grid: Grid) -> Tensor:
    """A depthwise convolution with its norm over the batch, then two layers."""
    wide, own = 4 * grid.channels, grid.channels
    with t.scope("mlp"):
        x = grid.convolve(t, "conv.conv", x, own, 7, of=own, alone=True)
        x = batch_norm(t, "conv.bn", x, own)
        x = t.elementwise("gelu", grid.convolve(t, "fc1", x, wide, 1, of=own, bias=True))
        return grid.convolve(t, "fc2", x, own, 1, of=wide, bias=True)


def mixing(t: Trace, x: Tensor, grid: Grid) -> Tensor:
    """Places mixed by one convolution."""
    x = grid.convolve(
        t, "token_mixer.reparam_conv", x, grid.channels, 3, of=grid.channels, alone=True, bias=True
    )
    return t.add(x, scaled(t, widened(t, x, grid), "layer_scale.gamma", (grid.channels, 1, 1)))


def attending(t: Trace, x: Tensor, grid: Grid) -> Tensor:
    """Places mixed by attention."""
    own, gamma = grid.channels, (grid.channels, 1, 1)
    heads = own // HEAD_DIM
    normed = t.norm("norm", x, style="layer", width=own)
    with t.scope("token_mixer"):
        qkv = t.linear("qkv", normed, 3 * own, fan_in=own, split=column(heads))
        q, k, v = t.split(qkv, *(qkv.width // 3,) * 3)
        out = t.attention(
            q, k, v, heads=heads * grid.per_row, kv_heads=heads * grid.per_row, key_dim=HEAD_DIM,
            causal=False, cached=False, float32_softmax=False,
        )  # fmt: skip
        out = t.linear("proj", out, own, fan_in=own, bias=True, split=row(heads))
    x = t.add(x, scaled(t, out, "layer_scale_1.gamma", gamma))
    return t.add(x, scaled(t, widened(t, x, grid), "layer_scale_2.gamma", gamma))


def fastvit(m: ModelBuilder) -> None:
    """FastViT-MCI3 (arXiv 2303.14189, 2412.13303), its branches already merged as for inference."""
    last = len(FASTVIT) - 1
    grids = [Grid(channels, 4 ** (last - i)) for i, (channels, _) in enumerate(FASTVIT)]

    def enter(t: Trace) -> Tensor:
        grid, own = grids[0], FASTVIT[0][0]
        x = t.input(CHANNELS * 64**2, Axis.PATCHES)
        x = Grid(own, 4 * grid.per_row).convolve(t, "0.reparam_conv", x, own, 3, of=CHANNELS, bias=True)
        x = grid.convolve(
            t, "1.reparam_conv", t.elementwise("gelu", x), own, 3, of=own, alone=True, bias=True
        )
        return grid.convolve(t, "2.reparam_conv", t.elementwise("gelu", x), own, 1, of=own, bias=True)

    def narrow(t: Trace, i: int) -> Tensor:
        grid, of = grids[i], grids[i - 1].channels
        x = t.input(of * grids[i - 1].per_row, Axis.PATCHES)
        x = grid.convolve(t, "0.reparam_conv", x, grid.channels, 7, of=of, alone=True, bias=True)
        return grid.convolve(t, "1.reparam_conv", x, grid.channels, 1, of=grid.channels, bias=True)

    def place(t: Trace, i: int) -> Tensor:
        own = grids[i].channels
        x = t.input(own * grids[i].per_row, Axis.PATCHES)
        return grids[i].convolve(t, "reparam_conv", x, own, 7, of=own, alone=True, bias=True)

    m.single("vision", enter, name="stem")
    for i, (channels, count) in enumerate(FASTVIT):
        grid = grids[i]
        if i:
            m.single("vision", lambda t, i=i: narrow(t, i), name=f"stages.{i}.downsample.proj")  # type: ignore[misc]
        if i >= last - 1:
            m.single("vision", lambda t, i=i: place(t, i), name=f"stages.{i}.pos_emb")  # type: ignore[misc]
        write = attending if i >= last - 1 else mixing
        m.stack(
            count, lambda t, x, grid=grid, write=write: write(t, x, grid), width=channels * grid.per_row,
            name=f"stages.{i}.blocks.{{}}", axis=Axis.PATCHES,
        )  # fmt: skip
    m.single("vision", lambda t: leave(t, grids[-1].channels), name="final_conv")
    picture(
        m,
        size=(FASTVIT_SIDE, FASTVIT_SIDE),
        patches=(FASTVIT_SIDE // 64) ** 2,
        tokens=(FASTVIT_SIDE // 64) ** 2,
    )


def leave(t: Trace, of: int) -> Tensor:
    """Twice the channels, each weighed by what the whole picture says."""
    out = 2 * of
    x = t.convolution("reparam_conv", t.input(of, Axis.PATCHES), out, kernel=(3, 3), groups=of)
    with t.scope("se"):
        pooled = t.input(out, Axis.IMAGES)
        low = t.elementwise("relu", t.convolution("fc1", pooled, out // 16, kernel=(1, 1)))
        weights = t.elementwise("sigmoid", t.convolution("fc2", low, out, kernel=(1, 1)))
    return t.elementwise("gelu", t.multiply(x, weights))


@family("fast_vlm")
def fast_vlm(c: Config, m: ModelBuilder) -> None:
    """FastVLM (arXiv 2412.13303): few tokens for large pictures."""
    vision = see(c, m, "model.vision_tower")
    width, bias = vision.size("hidden_size"), c.flag("multimodal_projector_bias", True)
    text = language(c, m)

    def write(t: Trace) -> Tensor:
        x = t.linear("linear_1", t.input(width, Axis.IMAGE_TOKENS), text.hidden, bias=bias)
        act = t.elementwise(c.text("projector_hidden_act", "gelu"), x)
        return t.linear("linear_2", act, text.hidden, bias=bias)

    project(m, "model.multi_modal_projector", write)
    logits(c, m, text, tied=c.tied or text.tied)
