"""The terms of a training step, one function each. Seconds of one GPU, unless a name says otherwise.

The form was fitted on published runs (`validation/performance_training.jsonl`); the efficiencies are those of
`training_coefficients.json`. FLOPs are two per multiply-add.
"""

from math import log2, sqrt
from typing import Final

from msgspec import Struct

from .training_coefficients import Coefficients
from .training_work import Work

MICRO, MILLI, GIGA, TERA = 1e-6, 1e-3, 1e9, 1e12
SCORE_BYTES: Final = 28  # of a score that is written, softmaxed and read (speeds without flash attention)
DEQUANTIZED_BYTES: Final = 4.5  # four bits read, 16 written and read again
BACKWARD_ATTENTION: Final = 2.5  # products of the backward pass over those of the forward pass
SHARPNESS: Final = 4  # of the maximum of compute and gathering under FSDP


class Rates(Struct, frozen=True):
    """Datasheet peaks of a device [FLOP/s, bytes/s]: `products` of the linears, `head` of the wide parts."""

    products: float
    head: float
    bandwidth: float
    narrow: bool


class Passes(Struct, frozen=True):
    """How often forward's work is done in one step: `forward` with recomputation, gradients of inputs and
    of weights as shares of the model (frozen parts have none)."""

    recompute: float
    recompute_attention: float
    inputs: float
    weights: float

    @property
    def products(self) -> float:
        """Passes of the matrix products with weights."""
        return 1 + self.recompute + self.inputs + self.weights

    @property
    def attention(self) -> float:
        """Passes of attention."""
        return 1 + self.recompute_attention + BACKWARD_ATTENTION * self.inputs

    @property
    def moving(self) -> float:
        """Passes of elementwise operations; backward moves about twice what forward does."""
        return 1 + self.recompute + 2 * self.inputs


class Split(Struct, frozen=True):
    """How the model is cut: sizes of the groups, and tokens of one micro-batch on one rank.

    `imbalance`: tokens that the fullest expert rank gets, over the mean; the others wait for it.
    """

    tensor: int
    pipeline: int
    context: int
    data: int
    expert: int
    tokens: float
    micro_batches: int
    chunks: int
    imbalance: float = 1.0

    @property
    def gpus(self) -> int:
        """All GPUs."""
        return self.tensor * self.pipeline * self.context * self.data

    @property
    def expert_ranks(self) -> int:
        """Ranks that a stage's experts are divided over."""
        return max(self.tensor, self.expert)


class Links(Struct, frozen=True):
    """Bytes/s in one direction that one GPU has for each group.

    Experts lie in `domains` of the fast interconnect: `expert` within one, `network` between them. A ring
    over replicas crosses the network once for each domain, over the network of all GPUs in it.
    """

    tensor: float
    context: float
    expert: float
    data: float
    network: float
    domains: int


def products(work: Work, split: Split, rates: Rates, c: Coefficients, passes: Passes) -> float:
    """Matrix products of one micro-batch; narrow models and small micro-batches do not fill the device."""
    small = 1 + c.narrow_width * sqrt(split.tensor) / work.hidden + 1e3 * c.small_batch / split.tokens
    peak = rates.products * c.linear * (c.narrow if rates.narrow else 1)
    share = split.tokens / (split.tensor * split.pipeline)
    wide = work.head / (rates.head * c.linear)
    scans = work.scans / (rates.head * c.scan)
    return share * (small * passes.products * (work.dense / peak + wide) + passes.moving * scans)


def expert_products(work: Work, split: Split, rates: Rates, c: Coefficients, passes: Passes) -> float:
    """Grouped products of the chosen experts on the fullest rank, which are small where few tokens meet."""
    if not work.experts:
        return 0.0
    meeting = split.tokens * work.top_k / work.expert_count * min(split.expert, work.expert_count)
    small = 1 + c.narrow_width * sqrt(split.tensor) / work.hidden + 1e3 * c.small_batch / split.tokens
    peak = rates.products * c.linear * (c.narrow if rates.narrow else 1) * c.grouped
    share = split.imbalance * split.tokens / (split.tensor * split.pipeline)
    return share * small * (1 + 1e3 * c.small_expert / meeting) * passes.products * work.experts / peak


def attention(
    work: Work, split: Split, rates: Rates, c: Coefficients, passes: Passes, *, eager: bool
) -> float:
    """Scores and weighted sums; without a fused kernel the whole square is computed, written and read."""
    share = split.tokens / (split.tensor * split.pipeline)
    if not eager:
        return share * work.attention * passes.attention / (rates.head * c.attention)
    flops = 2 * work.attention * passes.products / (rates.head * c.linear)
    return share * (flops + SCORE_BYTES * work.scores * passes.moving / rates.bandwidth)


def moving(work: Work, split: Split, rates: Rates, c: Coefficients, passes: Passes) -> float:
    """Elementwise operations and norms, and the permutation of what goes to experts."""
    share = split.tokens / split.pipeline
    dense = c.fusion * work.moved / sqrt(split.tensor)
    return share * (dense + c.permuted / 3 * work.routed / split.tensor) * passes.moving / rates.bandwidth


def dequantizing(work: Work, split: Split, rates: Rates, passes: Passes) -> float:
    """Four-bit weights made wide again in every pass."""
    weights = work.parameters / (split.tensor * split.pipeline)
    return weights * DEQUANTIZED_BYTES * (1 + passes.recompute + passes.inputs) / rates.bandwidth


def launching(work: Work, split: Split, c: Coefficients, passes: Passes) -> float:
    """Kernels and the host, layer by layer."""
    share = (1 + passes.recompute + 2 * passes.inputs) / 3
    return MICRO * (c.layer * work.layers * share + c.expert_layer * work.expert_layers) / split.pipeline


def tensor_sums(work: Work, split: Split, links: Links, c: Coefficients, passes: Passes) -> float:
    """All-reduces of tensor parallelism, whole: two a layer in each direction."""
    if split.tensor == 1:
        return 0.0
    volume = 2 * 2 * work.reduced * (split.tensor - 1) / split.tensor
    return split.tokens * volume * (1 + passes.recompute + passes.inputs) / (split.pipeline * links.tensor)


def routing(work: Work, split: Split, links: Links) -> float:
    """All-to-all of experts, whole: handed out and back, in both directions, at the fullest rank's pace.

    Between domains a token goes once to each domain that has one of its experts.
    """
    if split.expert == 1 or not work.routed:
        return 0.0
    share = split.imbalance * split.tokens / (split.pipeline * split.tensor)
    within = 8 * work.routed * (1 - 1 / split.expert) / links.expert
    others = (links.domains - 1) * (1 - (1 - 1 / links.domains) ** work.top_k)
    return share * (within + 8 * work.routed / work.top_k * others / links.network)


def passing(work: Work, split: Split, links: Links) -> float:
    """Keys and values of context parallelism, whole: forward, and with their gradients backward."""
    if split.context == 1:
        return 0.0
    volume = 6 * work.exchanged * (split.context - 1)
    return split.tokens * volume / (split.pipeline * split.tensor * links.context)


def resident(work: Work, split: Split) -> tuple[float, float]:
    """Parameters of one rank before data-parallel sharding: outside the experts, and experts."""
    dense = (work.parameters - work.expert_parameters) / (split.tensor * split.pipeline)
    return dense, work.expert_parameters / (split.expert_ranks * split.pipeline)


def gathering(work: Work, split: Split, links: Links, item: int) -> float:
    """FSDP and ZeRO-3 in one micro-batch, whole: weights twice, gradients once a step."""
    dense, experts = resident(work, split)
    volume = (dense + experts) * (2 * item + item / split.micro_batches)
    return volume * (1 - 1 / (split.data * split.context)) / links.data


def reducing(work: Work, split: Split, links: Links, trained: float, item: int) -> float:
    """Gradients summed over replicas once a step, whole (a ring: twice the volume)."""
    dense, experts = resident(work, split)
    replicas = split.data * split.context
    expert_replicas = replicas * split.tensor / split.expert_ranks
    volume = dense * (1 - 1 / replicas) + experts * (1 - 1 / max(1.0, expert_replicas))
    return 2 * item * trained * volume / links.data


def bubble(split: Split) -> float:
    """Share of a step's micro-batch time that pipeline ranks wait (interleaved, arXiv 2104.04473)."""
    return (split.pipeline - 1) / (split.micro_batches * split.chunks)


def straggling(gpus: int, c: Coefficients) -> float:
    """What many ranks lose to the slowest, as a share of the step."""
    return c.straggling * log2(gpus / 8) if gpus > 8 else 0.0
