"""The attention core by implementation: what scaled-dot-product kernels keep, and what eager code keeps."""

from msgspec import Struct

from ...architecture.operations import Attention
from .lowering import Lowering, rule
from .sizes import PAIRS, SQUARE, TOKENS
from .tape import Flow, Node, Storage, Value


class Shape(Struct):
    """One rank's share of an attention layer."""

    heads: int
    kv_heads: int
    key_dim: int
    value_dim: int

    @classmethod
    def of(cls, op: Attention, ranks: int) -> "Shape":
        """Heads divided over `ranks`; key-value heads are replicated where there are fewer."""
        return cls(op.heads // ranks, max(1, op.kv_heads // ranks), op.key_dim, op.value_dim)

    @property
    def groups(self) -> int:
        """Queries that share a key-value head."""
        return self.heads // self.kv_heads


@rule(Attention)
def attention(low: Lowering, op: Attention) -> None:
    """softmax(q k^T) v, its core recomputed in backward under selective checkpointing."""
    region = low.tape.begin() if low.mode.checkpointing == "selective" else None
    q, k, v = (low.narrowed(low.value(tensor)) for tensor in op.inputs[:3])
    shape = Shape.of(op, low.ranks)
    core = {"eager": eager, "math": math}.get(implementation(low, op, shape), kernel)
    out = core(low, op, shape, q, k, v)
    if region is not None:
        low.tape.finish(region)
    low.put(op.output, out)


def implementation(low: Lowering, op: Attention, shape: Shape) -> str:
    """The implementation that runs.

    Scores that are capped or have sinks are only written out in eager code. `sdpa` falls back to its math
    path for what no kernel takes: one key-value head handed over as it is, and on the CPU also dropout and
    values of another width (PyTorch `sdp_utils_cpp`).
    """
    if low.mode.attention != "sdpa":
        return low.mode.attention
    if op.softcap or op.sinks:
        return "eager"
    kernels = low.mode.kernels
    unequal = shape.key_dim != shape.value_dim and not kernels.unequal_heads
    dropped = op.dropout > 0 and not kernels.attention_dropout_free
    return "math" if unequal or dropped or op.broadcast else "sdpa"


def masked(low: Lowering, op: Attention) -> bool:
    """Whether a mask of all pairs is handed to the kernel."""
    if low.mode.attention != "sdpa" or not (op.causal or op.bias):
        return False
    reach = op.window or op.chunk
    return low.mode.kernels.mask or op.bias or (reach is not None and reach in low.mode.exceeded)


def kernel(low: Lowering, op: Attention, shape: Shape, q: Value, k: Value, v: Value) -> Value:
    """One kernel: keeps queries, keys, values, output and a log-sum-exp per head."""
    tape, has_mask = low.tape, masked(low, op)
    native = low.mode.kernels.native_groups and not has_mask and shape.key_dim == shape.value_dim <= 256
    if shape.groups > 1 and not (native or low.mode.attention != "sdpa"):
        k, v = repeat(low, k, shape, shape.key_dim), repeat(low, v, shape, shape.value_dim)
    keeps = [q.storage, k.storage, v.storage, Storage(4 * shape.heads * TOKENS)]
    if has_mask:
        # positions' biases are one matrix for each head, shared by the batch
        keeps.append(Storage(q.item * (shape.heads * SQUARE if op.bias else PAIRS)))
    workspace = (
        4 * (shape.heads * shape.key_dim + shape.heads) * TOKENS if low.mode.kernels.flash_workspace else 0
    )
    out = tape.fused(
        (q, k, v),
        shape.heads * shape.value_dim * TOKENS,
        q.item,
        keeps=keeps,
        keeps_output=True,
        temporary=workspace,
    )
    low.stays.append(out.storage)
    return out if q.strided else tape.copy(out)


def math(low: Lowering, op: Attention, shape: Shape, q: Value, k: Value, v: Value) -> Value:
    """SDPA's composite path: 16-bit inputs are widened to float32, scaled, and everything is kept."""
    tape, item, pairs = low.tape, q.item, shape.heads * PAIRS
    q, k, v = tape.cast(q, 4), tape.cast(k, 4), tape.cast(v, 4)
    if shape.groups > 1:
        k, v = repeat(low, k, shape, shape.key_dim), repeat(low, v, shape, shape.value_dim)
    scores = tape.scale(tape.products(batched(low, tape.scale(q)), batched(low, tape.scale(k)), pairs))
    probabilities = tape.unary(scores, saves="output")
    if op.dropout:
        probabilities = tape.dropout(probabilities, low.mode.kernels.dropout_mask or 4)
    mixed = tape.products(probabilities, batched(low, v), shape.heads * shape.value_dim * TOKENS)
    return tape.copy(tape.cast(mixed, item))


def repeat(low: Lowering, x: Value, shape: Shape, width: int) -> Value:
    """Key-value heads repeated for every query head; a single head is only viewed so."""
    if shape.kv_heads == 1:
        view = Value(x.storage, shape.heads * width * TOKENS, x.item, x.grad)
        view.strided = True
        low.tape.record(Node(((x, Flow.NEW),), (view,)))
        return view
    return low.tape.expand(x, shape.heads * width * TOKENS)


def eager(low: Lowering, op: Attention, shape: Shape, q: Value, k: Value, v: Value) -> Value:
    """Scores, softmax and weighted sum written out: keeps the probabilities."""
    tape, pairs = low.tape, shape.heads * PAIRS
    if shape.groups > 1:
        k, v = repeat(low, k, shape, shape.key_dim), repeat(low, v, shape, shape.value_dim)
    q, k, v = (batched(low, x) for x in (q, k, v))
    scores = tape.scale(tape.products(q, k, pairs))
    if op.softcap:
        scores = tape.scale(tape.unary(tape.scale(scores), saves="output"))
    scores = tape.scale(scores)  # plus the mask
    if op.sinks:
        scores = with_sinks(low, op, shape, scores)
    probabilities = softmax(low, op, scores, q.item)
    if op.dropout:
        probabilities = tape.dropout(probabilities, low.mode.kernels.dropout_mask or probabilities.item)
    mixed = tape.products(low.narrowed(probabilities), v, shape.heads * shape.value_dim * TOKENS)
    return tape.copy(mixed)


def with_sinks(low: Lowering, op: Attention, shape: Shape, scores: Value) -> Value:
    """A learned logit per head beside the scores, then the largest of each row taken off."""
    tape, rows = low.tape, shape.heads * TOKENS
    sinks = low.weight(op.parameters[0])
    column = Value(sinks.storage, rows, sinks.item, sinks.grad)
    tape.record(Node(((sinks, Flow.NEW),), (column,)))
    joined = tape.join(scores, column)
    largest = tape.fused((joined,), rows, joined.item, keeps=(Storage(8 * rows),))
    return tape.add(joined, largest)


def batched(low: Lowering, x: Value) -> Value:
    """Heads as a batch of matrices: with several sequences their memory has to be copied into that order."""
    return x if low.mode.single or not x.strided else low.tape.copy(x)


def softmax(low: Lowering, op: Attention, scores: Value, item: int) -> Value:
    """In float32 and cast back, or in the type of the scores."""
    tape = low.tape
    if not op.float32_softmax and not low.mode.autocast:
        return tape.unary(scores, saves="output")
    if low.mode.kernels.half_softmax and scores.item == 2:
        return tape.cast(tape.unary(scores, saves="output", item=4), item)
    return tape.cast(tape.unary(tape.cast(scores, 4), saves="output"), item)
