"""How long an operation takes: a roofline whose ceilings are reached smoothly and never wholly.

    seconds = smooth_max(bytes / (bandwidth x efficiency), FLOPs / (peak x efficiency)) + messages

Efficiencies depend on the accelerator's class and the width of weights; the floor of small kernels is time
per layer and step, which is the same curve as efficiency over size: W / (BW e) + t = W / (BW e W/(W + W0))
with W0 = BW e t.
"""

from functools import lru_cache
from typing import Final

from msgspec import Struct

from ..architecture.flops import causal_pairs
from ..lanes import least, most, some, whole
from .operations import Work

BOUNDS: Final = ("compute", "memory_bandwidth", "interconnect", "overhead")
TINY: Final = 1e-300  # seconds
SHARPNESS: Final = 3  # of the smooth maximum: how soon the smaller of both times stops to count
EXPERT_ROWS: Final = 10  # that an expert multiplies beside its own
SHORT_PROMPT: Final = 1700  # tokens at which prefill attention reaches half its best rate (kernel tables)


class Rates(Struct, frozen=True):
    """What one accelerator does under one runtime: peaks times what is reached of them [SI units].

    `flops`: by kind of product: wide (16-bit), narrow (where activations are narrow too). `bandwidth` of
    weights of 16, 8 and 4 bits; `cache_bandwidth` of the cache. `serial`: seconds for each cached token and
    layer at small batches. `repeated`: share of the cache that every query head reads for itself.
    `message`: seconds of one collective, `link` bytes/s in one
    direction, `reduce` bytes/s of what is summed over tensor ranks. `layer`, `step`, `sequence`, `chunk`,
    `start`: seconds of each that no operation accounts for; `stream`: of the server for each token.
    `unpacking`: share of the wide products' rate where narrow weights are widened first, `state`: share of
    the cache's bandwidth that recurrences reach.
    """

    peak_flops: float
    peak_bandwidth: float
    flops: float
    narrow_flops: float
    narrow: bool
    attention_flops: float
    bandwidth16: float
    bandwidth8: float
    bandwidth4: float
    cache_bandwidth: float
    repeated: float
    serial: float
    moving: float
    experts: float
    message: float
    link: float
    reduce: float
    layer: float
    step: float
    sequence: float
    stream: float
    chunk: float
    start: float
    peak_narrow: float = 0.0
    short_prompt: float = SHORT_PROMPT
    unpacking: float = 1.0
    state: float = 1.0

    def bandwidth(self, bits: float) -> float:
        """Bytes/s of weights of that width, between the three widths that were measured."""
        if bits >= 16:
            return self.bandwidth16
        if bits >= 8:
            return self.bandwidth8 + (self.bandwidth16 - self.bandwidth8) * (bits - 8) / 8
        return self.bandwidth4 + (self.bandwidth8 - self.bandwidth4) * (max(bits, 4) - 4) / 4

    def products(self, bits: float) -> float:
        """FLOP/s of products with weights of that width."""
        if bits >= 12:
            return self.flops
        return self.narrow_flops if self.narrow else self.flops * self.unpacking

    def peak(self, bits: float) -> float:
        """Datasheet FLOP/s of the same."""
        return self.peak_narrow if self.narrow and bits < 12 else self.peak_flops


class Step(Struct):
    """What one forward step holds, of one replica.

    `decoding` sequences, each with `drafted` + 1 tokens and `context` cached tokens; and `prompts` of
    `length` new tokens behind `history` cached ones, of which `finished` [all] get their first token.
    From these: `decoded` tokens of decoding sequences, `tokens` that every product has for rows, `logits`
    that the head has, and `sequences` that take part.
    """

    decoding: float = 0.0
    context: float = 0.0
    drafted: float = 0.0
    prompts: float = 0.0
    length: float = 0.0
    history: float = 0.0
    finished: float | None = None
    decoded: float = 0.0  # the last four follow from the others
    tokens: float = 0.0
    logits: float = 0.0
    sequences: float = 0.0

    def __post_init__(self) -> None:
        self.decoded = decoded = self.decoding * (1 + self.drafted)
        self.tokens = decoded + self.prompts * self.length
        self.logits = decoded + (self.prompts if self.finished is None else self.finished)
        self.sequences = self.decoding + self.prompts


class Cost(Struct):
    """What an operation takes in one step: work, traffic, and the times of which the bound is the largest."""

    flops: float
    bytes: float
    sent: float
    compute: float
    memory: float
    network: float

    @property
    def seconds(self) -> float:
        """Compute and memory overlap, messages wait."""
        return smooth_max(self.compute, self.memory) + self.network

    @property
    def bound(self) -> str:
        """What the operation waits for."""
        return BOUNDS[self.place]

    @property
    def place(self) -> int:
        """The same as a place in `BOUNDS`."""
        waits = self.network > most(self.compute, self.memory)
        return (self.compute <= self.memory) * (1 - waits) + 2 * waits


def smooth_max(a: float, b: float) -> float:
    """(a^3 + b^3)^(1/3), without underflow.

    >>> smooth_max(0.0, 2.0), round(smooth_max(1.0, 1.0), 3)
    (2.0, 1.26)
    """
    try:
        large, small = (a, b) if a > b else (b, a)
        if small <= 0.0:
            return large
        share = small / (large if large > TINY else TINY)
    except ValueError:  # arrays
        large, small = most(a, b), least(a, b)
        share = small / most(large, TINY)
    found: float = large * (1 + share**SHARPNESS) ** (1 / SHARPNESS)
    return found


def distinct(experts: int, top_k: int, tokens: float, skew: float = 0.0) -> float:
    """Experts that `tokens` tokens reach, E (1 - (1 - k/E)^M) where all are alike.

    `skew`: popularity falls with rank as 1 / rank^skew; no expert is chosen more than once by a token.

    >>> round(distinct(128, 8, 1)), round(distinct(128, 8, 16)), round(distinct(128, 8, 1000))
    (8, 82, 128)
    """
    apart = top_k * tokens  # of less than one token a share
    if not skew:
        together: float = experts * (1 - (1 - top_k / experts) ** tokens)
        return least(apart, together)
    reached: float = sum(1 - (1 - share) ** tokens for share in _popularity(experts, top_k, skew))
    return least(apart, most(float(top_k), reached))


@lru_cache(maxsize=64)
def _popularity(experts: int, top_k: int, skew: float) -> tuple[float, ...]:
    """Chance of each expert to be picked by a token."""
    weights = [rank**-skew for rank in range(1, experts + 1)]
    share = top_k / sum(weights)
    return tuple(min(1.0, share * weight) for weight in weights)


def cost(work: Work, step: Step, rates: Rates, skew: float = 0.0) -> Cost:
    """What one operation (or several put together) takes in one step on one rank."""
    match work.kind:
        case "matrix":
            return _matrix(work, step, rates)
        case "experts":
            return _experts(work, step, rates, skew)
        case "attention" | "index":
            return _attention(work, step, rates)
        case "scan":
            return _scan(work, step, rates)
        case "all_reduce":
            return _sent(work, step, rates, rates.reduce)
        case "all_to_all":
            return _sent(work, step, rates, rates.link)
    size = step.tokens * work.row_bytes
    return Cost(0.0, size, 0.0, 0.0, size * rates.moving / rates.peak_bandwidth, 0.0)


def _sent(work: Work, step: Step, rates: Rates, link: float) -> Cost:
    sent = step.tokens * work.row_bytes
    return Cost(0.0, 0.0, sent, 0.0, 0.0, work.messages * rates.message + sent / link)


def _matrix(work: Work, step: Step, rates: Rates) -> Cost:
    rows = step.logits if work.logits else step.tokens
    flops = rows * work.row_flops
    size = work.weight_bytes if some(rows) else 0.0
    compute = flops / rates.products(work.bits)
    return Cost(flops, size, 0.0, compute, size / rates.bandwidth(work.bits), 0.0)


def _experts(work: Work, step: Step, rates: Rates, skew: float) -> Cost:
    tokens = step.tokens * work.spread
    flops = tokens * work.row_flops
    reached = distinct(work.experts, work.top_k, tokens, skew)
    size = work.weight_bytes * reached / work.experts
    # Each expert multiplies a few rows more than it has: products of few rows do not fill a tile.
    padded = flops + EXPERT_ROWS * reached * work.row_flops / work.top_k
    compute = padded / (rates.products(work.bits) * rates.experts)
    return Cost(flops, size, 0.0, compute, size / rates.bandwidth(work.bits), 0.0)


def _attention(work: Work, step: Step, rates: Rates) -> Cost:
    reach = work.reach
    seen = least(step.context, reach) if reach else step.context
    size = step.decoding * seen * work.cache_bytes
    wasted = step.decoding * seen * (work.repeated_bytes - work.cache_bytes) * rates.repeated
    flops = step.decoded * seen * work.latent_flops
    compute = flops / rates.flops
    memory = (size + wasted) / rates.cache_bandwidth
    if some(step.decoding):
        memory += seen * rates.serial * work.count
    if some(step.prompts):
        pairs = step.prompts * prompt_pairs(step.length, step.history, reach)
        seen = step.length + step.history
        long = seen / (seen + rates.short_prompt)
        flops += pairs * work.pair_flops
        compute += pairs * work.pair_flops / (rates.attention_flops * long)
    return Cost(flops, size, 0.0, compute, memory, 0.0)


def prompt_pairs(length: float, history: float, reach: int) -> float:
    """Queries x keys of the last `length` of `history` + `length` positions under a causal mask."""
    if not reach:
        return length * (history + (length + 1) / 2)
    return 1.0 * causal_pairs(whole(length), whole(history + length), reach)


def _scan(work: Work, step: Step, rates: Rates) -> Cost:
    flops = step.tokens * work.row_flops
    size = step.sequences * work.state_bytes
    memory = size / (rates.cache_bandwidth * rates.state)
    return Cost(flops, size, 0.0, flops / rates.attention_flops, memory, 0.0)
