"""Mixtures of experts: routing, and all chosen experts as grouped matrix products.

The default of transformers 5 (`integrations/moe.py`, grouped_mm): tokens are gathered once per chosen
expert in the order of the experts, go through two grouped products, are weighted, put back in order and
summed, so every inner tensor has top_k rows a token whatever the router decides.

With experts on several ranks an all-to-all exchange stands before and behind (Megatron Core's alltoall
dispatcher without dropping): what a rank receives depends on the router, and the fullest one gets
`expert_imbalance` times the mean. With a capacity factor c, tokens beyond are dropped before the exchange
and buffers padded to it, so that the imbalance is c at most (Megatron Core's `moe/README.md`; DeepSpeed-MoE,
arXiv 2201.05596).
"""

from ...architecture.operations import Experts, Parameter, Role, Route
from .elementwise import apply
from .lowering import Lowering, rule
from .sizes import TOKENS, share
from .tape import Flow, Node, Storage, Value

WIDE = ("softmax_wide", "sigmoid", "sqrtsoftplus")  # scorings whose weights stay float32
INDEX = 8  # bytes of an int64


@rule(Route)
def route(low: Lowering, op: Route) -> None:
    """Scores in float32, the best of them, their shares."""
    tape, scores = low.tape, low.value(op.inputs[0])
    item = scores.item
    if op.scoring == "topk_softmax":
        chosen = best(low, scores, op)
        low.put(op.output, tape.unary(chosen, saves="output"))
        return
    squashed = tape.unary(tape.cast(scores, 4), saves="output")
    chosen = best(low, squashed, op)
    total = tape.mean(chosen, TOKENS)
    weights = tape.multiply(chosen, tape.unary(total, saves="output"))
    low.put(op.output, weights if op.scoring in WIDE else tape.cast(weights, item))


def best(low: Lowering, scores: Value, op: Route) -> Value:
    """top-k: keeps the indices; its gradient is scattered over all scores."""
    return low.tape.fused(
        (scores,), op.top_k * TOKENS, scores.item, keeps=(Storage(INDEX * op.top_k * TOKENS),)
    )


def gathered_rows(low: Lowering, x: Value, count: int, indices: Storage) -> Value:
    """Rows gathered by an index that is kept; the gradient is scattered back."""
    out = low.tape.new(count, x.item, x)
    low.tape.record(Node(((x, Flow.NEW),), (out,), (indices,) if x.grad else ()))
    return out


@rule(Experts)
def experts(low: Lowering, op: Experts) -> None:
    """Gather, up, gate, down, weight, put back, sum."""
    tape = low.tape
    x, weights = low.value(op.inputs[0]), low.value(op.inputs[1])
    item, rows = x.item, op.top_k * TOKENS
    apart = low.mode.layout.expert > 1
    order, back = Storage(INDEX * rows), Storage(INDEX * rows)
    own = op.top_k * x.count if apart else rows * op.fan_in
    gathered = gathered_rows(low, x, own, Storage(INDEX * rows))
    chosen = gathered_rows(low, weights, low.received(op, 1), order)
    if apart:
        gathered = exchanged(low, gathered, low.received(op, op.fan_in))
    matrices = [p for p in op.parameters if p.role is Role.EXPERT]
    biases = [p for p in op.parameters if p.role is Role.BIAS]
    inner = low.received(op, share(op.width, low.mode.layout.expert_tensor))
    hidden = entered(low, op, gathered, matrices[:-1], biases[:1], inner)
    out = grouped(low, hidden, matrices[-1], low.received(op, op.fan_in), biases[1:])
    weighted = tape.multiply(out, chosen)
    if apart:
        weighted = exchanged(low, weighted, own)
    ordered = gathered_rows(low, weighted, weighted.count, back)
    summed = tape.new(x.count, ordered.item, ordered)
    tape.record(Node(((ordered, Flow.EXPAND),), (summed,)))
    low.put(op.output, tape.cast(summed, item))


def exchanged(low: Lowering, x: Value, count: int) -> Value:
    """Rows sent to the ranks of their experts, or back: a buffer of what arrives, nothing kept."""
    return low.tape.fused((x,), count, x.item)


def entered(
    low: Lowering, op: Experts, x: Value, matrices: list[Parameter], biases: list[Parameter], inner: int
) -> Value:
    """The inner tensor: gate and up in one matrix or in two, or a plain activation."""
    if not matrices:
        return x
    if not op.gated:
        return apply(low, op.activation, [grouped(low, x, matrices[0], inner, biases)])
    if len(matrices) == 1:
        return gate(low, op, grouped(low, x, matrices[0], 2 * inner, biases), inner)
    left, right = (grouped(low, x, matrix, inner, []) for matrix in matrices[:2])
    return low.tape.multiply(apply(low, op.activation, [left]), right)


def grouped(low: Lowering, x: Value, parameter: Parameter, count: int, biases: list[Parameter]) -> Value:
    """Products of runs of rows with one matrix each; a bias is gathered row by row."""
    weight = low.weight(parameter)
    out = low.tape.matrix(low.tape.cast(x, weight.item), weight, count)
    for bias in biases:
        table = low.weight(bias)
        out = low.tape.add(out, gathered_rows(low, table, count, Storage(INDEX * TOKENS)))
    return out


def gate(low: Lowering, op: Experts, both: Value, count: int) -> Value:
    """activation(gate) * up on the two halves; gpt-oss clamps both and adds one to `up`."""
    tape = low.tape
    if op.activation == "swiglu_clamped":
        left, right = tape.part(both, count), tape.part(both, count)
        left = tape.unary(left, saves="input")
        right = tape.unary(right, saves="input")
        glu = tape.multiply(left, tape.unary(tape.scale(left), saves="output"))
        return tape.multiply(tape.scale(right), glu)
    left, right = tape.parts(both, (count, count))
    return tape.multiply(apply(low, op.activation, [left]), right)
