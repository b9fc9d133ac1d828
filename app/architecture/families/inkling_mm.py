"""Inkling 1: pictures folded step by step into one token a patch, sound as sums of embedded mel values."""

from functools import partial
from itertools import pairwise
from math import ceil, log

from ..builder import ModelBuilder
from ..config import Config
from ..operations import Axis, Tensor
from ..trace import Trace
from .composite import language, logits, picture, see, tower
from .registry import family

Scale = tuple[int, int, int]  # frames, pixels a side, channels
LARGEST_PATCH = 1 << 12
MOST_STEPS = 1 << 8


def primes(number: int) -> list[int]:
    """Prime factors, the largest first.

    >>> primes(40)
    [5, 2, 2, 2]
    """
    found, factor = [], 2
    while number > 1:
        while number % factor == 0:
            found.append(factor)
            number //= factor
        factor += 1
    return found[::-1]


def products(factors: list[int]) -> list[int]:
    """Running products."""
    made: list[int] = []
    for factor in factors:
        made.append(factor * (made[-1] if made else 1))
    return made


def scales(c: Config) -> list[Scale]:
    """All steps from a pixel to the whole patch: first wider, with channels in multiples of 64,
    then longer, with 64 times as many as pixels (the library does not divide there)."""
    channels, patch, frames = (c.size(name) for name in ("num_channels", "patch_size", "temporal_patch_size"))
    for name, value in (("patch_size", patch), ("temporal_patch_size", frames), ("num_channels", channels)):
        if value > LARGEST_PATCH:
            raise c.wrong(name, "config_out_of_range", value=value, least=1, most=LARGEST_PATCH)

    def wide(pixels: int) -> int:
        return ceil(pixels * channels / 64) * 64

    sides = products(primes(patch)) or [1]
    grown = [(1, side, wide(side * side)) for side in sides]
    longer = [
        (length, sides[-1], patch * patch * channels * length * 64) for length in products(primes(frames))
    ]
    return [(1, 1, channels), *grown, *longer]


def plan(c: Config) -> list[Scale]:
    """The scale before the first layer and behind each (`plan_out_scales` in `modeling_inkling.py`).

    Each layer has the scale nearest to an even growth; where there are fewer layers than scales, no scale
    stands twice and the distances add up to the least.
    """
    found, layers = scales(c), c.layers
    if layers > MOST_STEPS:
        raise c.wrong("num_hidden_layers", "config_out_of_range", value=layers, least=1, most=MOST_STEPS)
    most = log(c.size("patch_size") ** 2 * c.size("temporal_patch_size") * c.size("num_channels"))
    sizes = [log(frames * side * side) for frames, side, _ in found]
    costs = [[abs(most * i / layers - size) for size in sizes] for i in range(layers + 1)]
    chosen = [row.index(min(row)) for row in costs] if layers >= len(found) else rising(costs)
    chosen[0], chosen[-1] = 0, len(found) - 1
    return [found[i] for i in chosen]


def rising(costs: list[list[float]]) -> list[int]:
    """One column for each row, ever further right, of the least total cost.

    >>> rising([[0, 5, 9], [4, 1, 5]])
    [0, 1]
    """
    width = len(costs[0])
    best: list[list[tuple[float, list[int]]]] = []
    for y, row in enumerate(costs):
        line: list[tuple[float, list[int]]] = []
        for x in range(width):
            before = min(best[y - 1][:x], default=None, key=lambda found: found[0]) if y else (0.0, [])
            line.append((before[0] + row[x], [*before[1], x]) if before else (float("inf"), []))
        best.append(line)
    return min(best[-1], key=lambda found: found[0])[1]


@tower("inkling_vision")
def inkling_vision(c: Config, m: ModelBuilder) -> None:
    """Linear layers, each over a square of what the one before made."""
    steps, out = plan(c), c.size("text_hidden_size")

    def layer(t: Trace, start: Scale, end: Scale, is_last: bool) -> Tensor:
        folded = (end[0] // start[0]) * (end[1] // start[1]) ** 2
        made = out if is_last else end[2]
        x = t.linear("projection", t.input(start[2] * folded, Axis.PATCHES), made)
        return x if is_last else t.elementwise("gelu", t.norm("layer_norm", x))

    for i, (start, end) in enumerate(pairwise(steps)):
        write = partial(layer, start=start, end=end, is_last=i == c.layers - 1)
        m.single("vision", write, name=f"encoder_layers.{i}")
    m.single("vision", lambda t: t.norm("final_norm", t.input(out, Axis.IMAGE_TOKENS)))
    picture(m, patch=c.size("patch_size"), merge=1, frames=c.size("temporal_patch_size"))


@tower("inkling_audio")
def inkling_audio(c: Config, m: ModelBuilder) -> None:
    """Every mel value of a frame is a token of its own; a frame is their sum."""
    out, rows = c.size("text_hidden_size"), c.size("n_mel_bins") * c.size("mel_vocab_size")

    def write(t: Trace) -> Tensor:
        x = t.embedding("embed_audio_tokens.embed_audio_tokens", rows, out, axis=Axis.SOURCE)
        return t.norm("norm", x)

    m.single("audio", write)


@family("inkling_mm_model")
def inkling(c: Config, m: ModelBuilder) -> None:
    """Inkling: both towers end as wide as the text."""
    text = language(c, m)
    width = text.hidden
    see(c, m, "model.audio_tower", "audio_config", component="audio", text_hidden_size=width)
    see(c, m, "model.vision_tower", text_hidden_size=width)
    logits(c, m, text, after=("scale",))
