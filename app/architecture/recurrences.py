"""FLOPs of recurrences over the sequence, by kind, as transformers 5.23 runs them in plain PyTorch.

A prompt goes through the parallel form, chunk by chunk, the last chunk padded; a single token through
the recurrent form, two products of the state. Matrix products only, like the rest of `flops.py`.
"""

from collections.abc import Callable
from typing import Final

from .operations import Scan


def recurrent(op: Scan, batch: int, length: int) -> int:
    """Every token updates and reads the state: 2 x 2 x key_dim x value_dim in each head."""
    return 2 * 2 * batch * length * op.heads * op.key_dim * op.value_dim


def selective(op: Scan, batch: int, length: int) -> int:
    """Mamba: the state is updated element by element, one product reads it (`mamba_selective_scan`)."""
    return 2 * batch * length * op.heads * op.key_dim * op.value_dim


def state_space_dual(op: Scan, batch: int, length: int) -> int:
    """Mamba-2: scores and values inside chunks, states into and out of them, states across chunks
    (`mamba2_chunk_scan`)."""
    chunks = -(-length // op.chunk)
    state = op.key_dim * op.value_dim
    inside = op.chunk * (op.key_dim + op.value_dim) + 2 * state
    return 2 * batch * op.heads * (chunks * op.chunk * inside + (chunks + 1) ** 2 * state)


def gated_delta(op: Scan, batch: int, length: int) -> int:
    """Two score matrices and one product of values inside chunks; three products of the state
    (`torch_chunk_gated_delta_rule`, whose triangular solve is no product)."""
    rows = batch * -(-length // op.chunk) * op.chunk
    inside = op.chunk * (2 * op.key_dim + op.value_dim)
    return 2 * rows * op.heads * (inside + 3 * op.key_dim * op.value_dim)


def kimi_delta(op: Scan, batch: int, length: int) -> int:
    """As the gated delta rule, with decay for every channel: scores are sums, the solved system is
    multiplied with keys and values (`chunk_kimi_delta_attention`)."""
    rows = batch * -(-length // op.chunk) * op.chunk
    inside = op.chunk * (op.key_dim + 2 * op.value_dim)
    return 2 * rows * op.heads * (inside + 3 * op.key_dim * op.value_dim)


def lightning(op: Scan, batch: int, length: int) -> int:
    """Lightning attention: scores and values inside blocks, the last one shorter, and two products of
    the state (`MiniMaxLightningAttention`)."""
    full, rest = divmod(length, op.chunk)
    pairs = full * op.chunk**2 + rest**2
    inside = pairs * (op.key_dim + op.value_dim)
    return 2 * batch * op.heads * (inside + 2 * length * op.key_dim * op.value_dim)


def matrix_memory(op: Scan, batch: int, length: int) -> int:
    """xLSTM: whole chunks, then token by token (`wrap_chunkwise_arbitrary_sequence_length`)."""
    step = 2 * op.key_dim * op.value_dim + op.key_dim
    chunked = length // op.chunk * op.chunk
    inside = op.chunk * (op.key_dim + op.value_dim)
    return 2 * batch * op.heads * (length * step + chunked * inside)


def elementwise(op: Scan, batch: int, length: int) -> int:
    """No matrix products at all: RG-LRU, RWKV-4, convolutions with weights made for each token."""
    return 0


PARALLEL: Final[dict[str, Callable[[Scan, int, int], int]]] = {
    "mamba": selective,
    "mamba2": state_space_dual,
    "gated_delta": gated_delta,
    "kimi_delta": kimi_delta,
    "lightning": lightning,
    "mlstm": matrix_memory,
    "counter": elementwise,
    "rg_lru": elementwise,
    "rwkv": elementwise,
    "dynamic_convolution": elementwise,
    "ngram": elementwise,
    "shift": elementwise,
}


def scan_flops(op: Scan, batch: int, length: int) -> int:
    """FLOPs of one recurrence over `length` tokens of `batch` sequences."""
    parallel = PARALLEL.get(op.kind, recurrent)
    return (
        parallel(op, batch, length) if length > 1 or parallel is elementwise else recurrent(op, batch, length)
    )
