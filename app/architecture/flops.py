"""Reading: floating-point operations of a forward pass, two per multiply-add.

Matrix products only, as profilers count them; attention over the full square of queries and keys
unless `causal` is asked for. `literal` extents follow what plain PyTorch pads, pools and cuts into blocks.
"""

from collections.abc import Iterable

from ..lanes import least, most, some
from .extents import Extents
from .operations import Attention, Convolution, Experts, Index, Linear, Operation, Product, Scan
from .recurrences import scan_flops
from .sections import Section
from .spans import Pattern


def forward_flops(sections: Iterable[Section], extents: Extents, *, causal: bool = False) -> int:
    """FLOPs of one forward pass with logits at every position."""
    return sum(
        section.count * operation_flops(operation, extents, causal=causal)
        for section in sections
        if section.needs is None or some(extents.rows(section.needs))
        for operation in section.block.operations
    )


def operation_flops(op: Operation, extents: Extents, *, causal: bool = False) -> int:
    """FLOPs of one operation."""
    match op:
        case Linear():
            return linear_flops(op, extents)
        case Product():
            return 2 * extents.elements(op.output) * op.terms
        case Attention():
            return attention_flops(op, extents, causal)
        case Index():
            return index_flops(op, extents)
        case Experts():
            matrices = op.matrices or (3 if op.gated else 2)
            run = op.count if op.every else op.top_k
            return 2 * extents.rows(op.output.axis) * run * matrices * op.fan_in * op.width
        case Convolution():
            return convolution_flops(op, extents)
        case Scan():
            return scan_flops(op, extents.batch, extents.length)
        case _:
            return 0


def linear_flops(op: Linear, extents: Extents) -> int:
    """2 x rows x fan_in x fan_out; a block-diagonal matrix has 1 / groups of the products."""
    return 2 * extents.elements(op.output) * op.fan_in // op.groups


def convolution_flops(op: Convolution, extents: Extents) -> int:
    """2 x outputs x kernel x channels of a group; a causal one also makes the kernel - 1 outputs cut off."""
    outputs = extents.elements(op.output)
    if op.state and op.cut and extents.length > 1:
        outputs += extents.batch * (op.kernel - 1) * op.output.width
    return 2 * outputs * op.kernel * op.channels_in // op.groups


def index_flops(op: Index, extents: Extents) -> int:
    """Scores of every query with every entry (or with those before it), and the weighed sum over heads."""
    pairs = extents.rows(op.output.axis) * (extents.keys // op.ratio)
    if op.causal:
        before = entries_before(extents.keys - extents.length, op.ratio)
        pairs = extents.batch * (entries_before(extents.keys, op.ratio) - before)
    return 2 * pairs * op.heads * (op.key_dim + op.weighed)


def entries_before(tokens: int, ratio: int) -> int:
    """Entries that all queries up to `tokens` see together, one more after every `ratio` tokens.

    >>> entries_before(8, 4)  # the 4th to the 7th see one, the 8th sees two
    6
    """
    whole, rest = divmod(tokens, ratio)
    return whole * (whole - 1) // 2 * ratio + whole * (rest + 1)


def attention_flops(op: Attention, extents: Extents, causal: bool) -> int:
    """Scores and weighted sum: 2 x pairs x heads x (key_dim + value_dim)."""
    rows = extents.rows(op.output.axis)
    keys = extents.source if op.cross else (extents.keys if op.causal else rows // max(extents.batch, 1))
    if extents.literal and (op.pattern or (op.einsum and op.key_dim == 1)):
        more = extents.source if op.output.span and op.output.span.behind else 0
        return literal_flops(op, extents.batch, rows // max(extents.batch, 1) + more, keys + more)
    pairs = rows * (keys + (keys // op.compress if op.compress else 0))
    if causal and op.causal:
        pairs = extents.batch * causal_pairs(extents.length, keys, op.window or op.chunk)
    return 2 * pairs * op.heads * (op.key_dim + op.value_dim)


def literal_flops(op: Attention, batch: int, rows: int, keys: int) -> int:
    """Scores and weighted sum as the library writes them, mask or no mask."""
    scores, values = (op.pattern or Pattern()).pairs(rows, keys)
    key_dim = 0 if op.einsum and op.key_dim == 1 else op.key_dim
    return 2 * batch * op.heads * (scores * key_dim + values * op.value_dim)


def causal_pairs(length: int, keys: int, window: int | None = None) -> int:
    """Queries x keys that a causal mask leaves, for the last `length` of `keys` positions.

    >>> causal_pairs(4, 4), causal_pairs(4, 4, 2), causal_pairs(1, 10)
    (10, 7, 10)
    """
    reach = least(window, keys) if window else keys
    first = keys - length + 1  # keys that the first query sees
    growing = most(0, least(length, reach - first + 1))
    return growing * (2 * first + growing - 1) // 2 + (length - growing) * reach
