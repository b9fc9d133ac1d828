"""Recurrences in the chunked form that transformers computes without the optional kernels.

Everything is widened to float32 and cut into chunks of c positions; each head keeps, besides copies of
its inputs, squares of c x c inside a chunk. Sums of what autograd keeps, per token and in float32
elements, read off `mamba2_chunk_scan` and `torch_chunk_gated_delta_rule` of transformers 5.
"""

from ...architecture.operations import Scan
from ...units import ceil_div
from .lowering import Lowering, rule
from .sizes import TOKENS, share
from .tape import Storage

WIDE = 4  # bytes of a float32


@rule(Scan)
def scan(low: Lowering, op: Scan) -> None:
    """A recurrence as one operation with the save rule of its kind."""
    inputs = [low.value(tensor) for tensor in op.inputs]
    weights = [low.weight(parameter) for parameter in op.parameters]
    kept, temporary = _NEEDS.get(op.kind, selective)(op)
    item = WIDE if op.kind in _WIDE_OUTPUT else inputs[0].item
    out = low.tape.fused(
        (*inputs, *weights),
        share(op.output.width * TOKENS, low.ranks),
        item,
        keeps=(Storage(share(kept * WIDE * TOKENS, low.ranks)),),
        temporary=share(temporary, low.ranks),
    )
    low.put(op.output, out)


def mamba2(op: Scan) -> tuple[int, int]:
    """State-space duality (arXiv 2405.21060): elements kept, bytes alive while its backward runs."""
    inner, states = op.heads * op.value_dim, op.heads * op.key_dim
    squares = op.heads * op.chunk
    carried = ceil_div(op.heads * op.key_dim * op.value_dim, op.chunk)
    kept = 5 * inner + 5 * states + 3 * squares + 2 * carried + 5 * op.heads
    return kept, WIDE * (2 * inner + 2 * states + 2 * squares) * TOKENS


def gated_delta(op: Scan) -> tuple[int, int]:
    """The gated delta rule (arXiv 2412.06464)."""
    keys, values = op.heads * op.key_dim, op.heads * op.value_dim
    squares = op.heads * op.chunk
    carried = ceil_div(op.heads * op.key_dim * op.value_dim, op.chunk)
    kept = 8 * keys + 3 * values + 5 * squares + carried + 8 * op.heads
    return kept, WIDE * (2 * keys + 2 * values + 2 * squares) * TOKENS


def selective(op: Scan) -> tuple[int, int]:
    """A scan position by position (arXiv 2312.00752): decay and input of every state, and every state."""
    inner, width = op.heads * op.value_dim, max(1, op.key_dim)
    return 3 * inner * width + 2 * inner, WIDE * inner * width * TOKENS


_NEEDS = {"mamba2": mamba2, "gated_delta": gated_delta, "mamba": selective}
# Measured against MemTracker; the others, the selective scan among them, are bounds.
EXACT = frozenset({"mamba2", "gated_delta"})
_WIDE_OUTPUT = frozenset({"mamba2"})
