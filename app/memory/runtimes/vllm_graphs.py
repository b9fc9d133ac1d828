"""CUDA graphs that vLLM captures: how many, of how many kernels, and what each keeps.

A captured kernel is a node that the driver keeps memory for; layers with experts or latent attention run
more kernels than dense ones, and so weigh more. Sources: vLLM `config/vllm.py` (`_set_cudagraph_sizes`),
`v1/attention/backends/flash_attn.py` (split accumulators), start-up logs on H100 for the bytes of a node.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from ...architecture.operations import Attention, Experts, Linear, Role, Scan
from ...architecture.sections import Section
from ...lanes import entry, least, up_to, whole
from ...parallelism import Stage
from ..activations import Widths

GIB: Final = 2**30

# Kernels of a layer after fusion: four products, rotation, cache write, attention and its combination, two
# norms, activation.
DENSE: Final = 11
LATENT: Final = (
    4  # two absorbing products, their transposed copies and the latent's norm, less a fused product
)
ROUTED: Final = 6  # router, top-k, alignment (2), two products, activation, sum: instead of a dense half
SHARED: Final = 4  # two products, an activation and a sum beside the routed experts
TRITON_ROUTED: Final = 3  # gpt-oss's routing sorts with more kernels
RECURRENT: Final = 6  # convolution, gates, chunked scan, gated norm instead of attention

NODE_BYTES: Final = 12_900  # of one kernel in one graph, from dense models on H100 at 0.19
EARLY_NODE_BYTES: Final = 2_600  # the same at 0.11
SEGMENT_BYTES: Final = 2**21  # what the driver takes at a time
BASE_BYTES: Final = round(0.138 * GIB)
SPLITS: Final = 32  # flash_attn_max_num_splits_for_cuda_graph
KEPT_ACTIVATIONS: Final = 1.93  # copies of the largest size's activations


class Captures(NamedTuple):
    """How many batch sizes are captured, and the largest."""

    number: int
    largest: int


def captures(minor: int, sequences: int, tokens: int, largest: int) -> Captures:
    """The batch sizes up to what a step may hold.

    >>> captures(19, 1024, 8192, 512), captures(11, 1024, 8192, 512).number
    (Captures(number=51, largest=512), 67)
    """
    sizes = capture_sizes(minor, largest)
    number = up_to(sizes, least(least(2 * sequences, largest), tokens))
    return Captures(number, entry(sizes, number - 1))


@lru_cache(maxsize=64)
def capture_sizes(minor: int, largest: int) -> tuple[int, ...]:
    """Sizes that may be captured: 1, 2, 4, by 8 to 248, by 16 from 256 (by 8 throughout in 0.11)."""
    coarse = range(8, largest + 1, 8) if minor < 12 else (*range(8, 256, 8), *range(256, largest + 1, 16))
    return (1, 2, 4, *coarse)


@lru_cache(maxsize=1024)
def kernels(stage: Stage) -> int:
    """Kernels of one forward pass over the stage's layers: a decoder's, where there is none an encoder's."""
    counts = {"decoder": 0, "encoder": 0}
    for section, places in stage.sections:
        if section.component in counts:
            counts[section.component] += places * layer_kernels(section)
    return counts["decoder"] or counts["encoder"]


def layer_kernels(section: Section) -> int:
    """Kernels of one layer."""
    operations = section.block.operations
    count = DENSE
    experts = next((op for op in operations if isinstance(op, Experts)), None)
    if any(isinstance(op, Attention) and op.cache and op.cache.latent for op in operations):
        count += LATENT
    if any(isinstance(op, Scan) for op in operations):
        count += RECURRENT
    if experts:
        modules = (op.name.rpartition(".")[0] for op in operations if _is_linear(op))
        shared = any("shared" in module for module in modules)
        count += ROUTED + (SHARED if shared else 0) + (TRITON_ROUTED if experts.biased else 0)
    return count


def _is_linear(op: object) -> bool:
    return isinstance(op, Linear) and bool(op.parameters) and op.parameters[0].role is Role.LINEAR


def estimated(sizes: Captures, nodes: int, widths: Widths, attention: str) -> int:
    """What `profile_cudagraph_memory` (0.18 on) makes of two trial captures of each mode [bytes].

    The first holds the split accumulators; the second takes the driver's next segments of 2 MiB for its
    nodes, and is taken for every size that follows, of piecewise and of full graphs.
    """
    segments = -(-nodes * NODE_BYTES // SEGMENT_BYTES)
    return accumulators(sizes.largest, widths, attention) + 2 * (sizes.number - 1) * segments * SEGMENT_BYTES


def accumulators(largest: int, widths: Widths, attention: str) -> int:
    """Partial results of FlashAttention 3's splits, float32, for the largest size [bytes]."""
    return SPLITS * largest * widths.attended * 4 if attention == "flash_attention_3" else 0


def captured(minor: int, sizes: Captures, nodes: int, widths: Widths, attention: str) -> int:
    """Bytes that capturing takes: nodes of piecewise and full graphs, split accumulators, activations."""
    largest = sizes.largest
    kept = whole(KEPT_ACTIVATIONS * largest * 2 * (widths.feed_forward + 4 * widths.hidden))
    if minor < 18:
        return 2 * sizes.number * nodes * EARLY_NODE_BYTES + kept
    held = accumulators(largest, widths, attention)
    return BASE_BYTES + 2 * sizes.number * nodes * NODE_BYTES + held + kept
