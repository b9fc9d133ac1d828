"""FastViT (arXiv 2303.14189, from the timm package) and FastVLM, which sees with it.

Rows and grids are as in `mobile_towers.py`. (Scores of the finer attention are so counted over a quarter of
their keys, 2 % of the tower.)
"""

from typing import Final

from ..blocks.vision import scaled
from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace, column, row
from .composite import language, logits, picture, project, see
from .mobile_towers import CHANNELS, Grid
from .registry import family
from .speech import batch_norm

FASTVIT_SIDE: Final = 1024  # pixels of a picture's side
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
