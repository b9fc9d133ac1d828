"""Look-ups, rotary positions, views, joins, convolutions and functions of every element."""

from ...architecture.operations import Concat, Convolution, Elementwise, Embedding, Product, Rotary, View
from .lowering import Lowering, rows_of, rule
from .sizes import SEQUENCE, TOKENS, share
from .tape import Flow, Node, Value


@rule(Embedding)
def embedding(low: Lowering, op: Embedding) -> None:
    """Rows of a table: keeps only the ids; the table's gradient is dense."""
    table = low.weight(op.parameters[0])
    low.put(op.output, low.tape.look_up(table, low.count(op.output)))


@rule(Rotary)
def rotary(low: Lowering, op: Rotary) -> None:
    """x * cos + rotate_half(x) * sin."""
    x, tape = low.value(op.inputs[0]), low.tape
    item = low.mode.weight_item if low.mode.autocast else low.mode.compute_item
    table = tape.constant(op.rotary_dim * SEQUENCE, item)
    if low.mode.kernels.rotary:
        low.put(op.output, _strided(tape.fused((x,), x.count, x.item), x))
        return
    straight = tape.multiply(x, table)
    first, second = tape.part(x, share(x.count, 2)), tape.part(x, share(x.count, 2))
    turned = tape.multiply(tape.join(tape.scale(second), first), table)
    low.put(op.output, _strided(tape.add(straight, turned), x))


def _strided(out: Value, like: Value) -> Value:
    out.strided = like.strided
    return out


@rule(View)
def view(low: Lowering, op: View) -> None:
    """The same memory seen otherwise; `expand` repeats rows when it is copied later."""
    x = low.value(op.inputs[0])
    whole = op.inputs[0].width * rows_of(op.inputs[0].axis)
    cut = low.ranks if x.count != whole else 1
    counts = [share(tensor.width * rows_of(tensor.axis), cut) for tensor in op.outputs]
    if op.kind == "expand" or len(counts) == 1:
        low.put(
            op.output, low.tape.alias(x, counts[0]) if counts[0] == x.count else _repeated(low, x, counts[0])
        )
        return
    pieces = (
        low.tape.parts(x, counts) if op.kind != "slice" else [low.tape.part(x, count) for count in counts]
    )
    for tensor, piece in zip(op.outputs, pieces, strict=True):
        piece.strided = x.strided
        low.put(tensor, piece)


def _repeated(low: Lowering, x: Value, count: int) -> Value:
    """A view with rows repeated: no memory of its own, a gradient of the full size that is summed."""
    out = Value(x.storage, count, x.item, x.grad)
    low.tape.record(Node(((x, Flow.NEW),), (out,)))
    return out


@rule(Concat)
def concat(low: Lowering, op: Concat) -> None:
    """Inputs copied side by side."""
    low.put(op.output, low.tape.join(*(low.value(tensor) for tensor in op.inputs)))


# What is kept for an elementwise function; its input, where the function is not listed.
_SAVES = {"scale": "", "cast": ""} | dict.fromkeys(
    ("sigmoid", "tanh", "relu", "exp", "softmax", "elu"), "output"
)


@rule(Elementwise)
def elementwise(low: Lowering, op: Elementwise) -> None:
    """A function of every element."""
    if op.output.id in low.gates:  # computed in the kernel of the product that reads it
        low.put(op.output, low.value(op.inputs[0]))
        return
    inputs = [low.value(tensor) for tensor in op.inputs]
    if low.mode.kernels.activation and any(tensor.id in low.gates for tensor in op.inputs):
        keeps = tuple(value.storage for value in inputs)
        low.put(op.output, low.tape.fused(inputs, inputs[0].count, inputs[0].item, keeps=keeps))
        return
    low.put(op.output, apply(low, op.kind, inputs, op.dropout))


def apply(low: Lowering, kind: str, inputs: list[Value], dropout: float = 0.0) -> Value:
    """One elementwise function by name."""
    tape, x = low.tape, inputs[0]
    if len(inputs) == 1 and kind in ("add", "multiply"):  # with a parameter of the module itself
        return tape.unary(x, saves="input" if kind == "multiply" else "")
    match kind:
        case "add":
            return tape.add(*inputs)
        case "multiply":
            return tape.multiply(*inputs)
        case "widen":
            return tape.cast(x, 4)
        case "narrow":
            return tape.cast(x, low.mode.weight_item)
        case "dropout":
            return tape.dropout(x, low.mode.kernels.dropout_mask or x.item) if dropout else x
        case "gelu_new":
            return written_out_gelu(low, x)
        case "relu2":
            return tape.power(tape.unary(x, saves="output"))
        case "quick_gelu":
            return tape.multiply(x, tape.unary(tape.scale(x), saves="output"))
        case _:
            return tape.unary(x, saves=_SAVES.get(kind, "input"))


def written_out_gelu(low: Lowering, x: Value) -> Value:
    """0.5 x (1 + tanh(c (x + 0.044715 x^3))), one operation after the other."""
    tape = low.tape
    half = tape.scale(x)
    inside = tape.scale(tape.add(x, tape.scale(tape.power(x))))
    return tape.multiply(half, tape.scale(tape.unary(inside, saves="output")))


@rule(Product)
def product(low: Lowering, op: Product) -> None:
    """A matrix product of two activations keeps both."""
    a, b = (low.narrowed(low.value(tensor)) for tensor in op.inputs)
    low.put(op.output, low.tape.products(a, b, op.output.width * rows_of(op.output.axis)))


@rule(Convolution)
def convolution(low: Lowering, op: Convolution) -> None:
    """A convolution keeps its input (laid out channel by channel) and its weight."""
    x = low.narrowed(low.value(op.inputs[0]))
    weights = [low.operand(parameter) for parameter in op.parameters]
    count = share(op.channels_out * TOKENS, low.ranks)
    low.put(op.output, low.tape.fused((x, *weights), count, x.item, keeps=(x.storage,)))
