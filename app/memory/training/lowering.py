"""From the forward description to the tape: each operation becomes the primitives that PyTorch runs."""

from collections.abc import Callable
from typing import Any

from ... import parallelism
from ...architecture import adapters as adapter_rules
from ...architecture.operations import (
    Axis,
    Concat,
    Convolution,
    Elementwise,
    Embedding,
    Linear,
    Norm,
    Operation,
    Parameter,
    Product,
    Role,
    Rotary,
    Route,
    Scan,
    Tensor,
    View,
)
from ...architecture.sections import Section
from ...errors import NotSupportedYet
from ...messages import Message
from ...parallelism import Layout
from .mode import Adapters, Mode
from .primitives import Recorder
from .sizes import ONE, PAIRS, SEQUENCE, TOKENS, share
from .tape import Flow, Node, Storage, Value

_ROWS = {
    Axis.ONE: ONE,
    Axis.BATCH: ONE,
    Axis.SEQUENCE: SEQUENCE,
    Axis.TOKENS: TOKENS,
    Axis.PAIRS: PAIRS,
    Axis.SOURCE: TOKENS,  # an encoder's input is taken to be as long as the decoder's
}

GATE_ACTIVATIONS = ("silu", "gelu", "gelu_pytorch_tanh", "swish")

Rule = Callable[["Lowering", Any], None]
RULES: dict[type[Operation], Rule] = {}


def rule(kind: type[Operation]) -> Callable[[Rule], Rule]:
    """Sign up how an operation is carried out."""

    def register(write: Rule) -> Rule:
        RULES[kind] = write
        return write

    return register


class Lowering:
    """Writes one block onto a tape.

    `trained`: its weights are; `reached`: its input needs a gradient; `entering`: bytes per element of its
    input [those of the compute type].
    """

    def __init__(
        self, section: Section, mode: Mode, *, trained: bool, reached: bool, entering: int | None = None
    ) -> None:
        self.section = section
        self.mode = mode
        self.ranks = mode.layout.tensor
        self.trained = trained
        self.reached = reached
        self.entering = entering or (mode.weight_item if mode.autocast else mode.compute_item)
        self.tape = Recorder()
        self.values: dict[int, Value] = {}
        self._weights: dict[str, Value] = {}
        self._casts: dict[str, Value] = {}
        # scores that are computed in float32 (DeepSeek and its kin, whose routers take sigmoids)
        self.wide = {
            op.inputs[0].id
            for op in section.block.operations
            if isinstance(op, Route) and op.scoring == "sigmoid" and not mode.autocast
        }

        self.adapted = targets_of(section, mode)
        self.stays: list[Storage] = []  # results that recomputation operation by operation keeps
        self.products = 0
        self._gathered: dict[Storage, Value] = {}
        self.gates = gates(section) if mode.kernels.activation else frozenset()

    def run(self) -> Recorder:
        """Every operation of the block, in order."""
        block = self.section.block
        region = self.tape.begin() if self._recomputed() else None
        for operation in block.operations:
            write = RULES.get(type(operation))
            if write is not None:
                write(self, operation)
        if region is not None:
            region.stays = tuple(self.stays) if self.mode.checkpointing == "operations" else ()
            self.tape.finish(region)
        if block.output is not None:
            self.tape.output = self.values[block.output.id]
        return self.tape

    def _recomputed(self) -> bool:
        return (
            self.mode.checkpointing in ("full", "operations")
            and len(self.section.indices) > 0
            and "{}" in self.section.template
        )

    # --- values --------------------------------------------------------------------------------

    def value(self, tensor: Tensor) -> Value:
        """The value of a tensor; one that nothing here made comes from another block."""
        found = self.values.get(tensor.id)
        if found is None:
            found = self.tape.input(self.count(tensor), self.entering, grad=self.reached)
            self.values[tensor.id] = found
        return found

    def count(self, tensor: Tensor, *, cut: bool = False) -> int:
        """Elements of a tensor on this rank: `cut` by tensor parallelism, else whole, or its share of the
        positions under sequence parallelism."""
        parts = self.ranks if cut or self.mode.sequence_parallel else 1
        return share(tensor.width * rows_of(tensor.axis), parts)

    def put(self, tensor: Tensor, value: Value) -> None:
        """An operation's result."""
        self.values[tensor.id] = value

    def weight(self, parameter: Parameter, *, trained: bool | None = None) -> Value:
        """A parameter as it is stored, its local share under tensor parallelism."""
        known = self._weights.get(parameter.name)
        if known is None:
            item = 4 if parameter.dtype == "float32" else self.mode.weight_item
            needs = self.trained if trained is None else trained
            known = self.tape.weight(local_size(parameter, self.mode.layout), item, trained=needs)
            self._weights[parameter.name] = known
        return known

    def operand(self, parameter: Parameter) -> Value:
        """A parameter as a matrix product reads it: under autocast a 16-bit copy, made once."""
        stored = self.weight(parameter)
        if not self.mode.autocast or stored.item == self.mode.compute_item:
            return stored
        copy = self._casts.get(parameter.name)
        if copy is None:
            copy = self.tape.cast(stored, self.mode.compute_item)
            self._casts[parameter.name] = copy
        return copy

    def gathered(self, x: Value, op: Linear) -> Value:
        """The whole sequence in front of a cut projection under sequence parallelism, gathered once and kept;
        kernels that gather again in backward keep their share alone."""
        cut = self.mode.sequence_parallel and self.ranks > 1 and is_cut(op.parameters[0])
        if not cut or self.mode.kernels.regathers:
            return x
        if x.storage not in self._gathered:
            self._gathered[x.storage] = self.tape.expand(x, x.count * self.ranks)
        return self._gathered[x.storage]

    @property
    def cached(self) -> int:
        """Bytes of the 16-bit weights that autocast keeps: only those of trained ones."""
        return sum(copy.size for copy in self._casts.values() if copy.grad)

    def narrowed(self, x: Value) -> Value:
        """An operand of a matrix product: each product under autocast casts its own copy."""
        return self.tape.cast(x, self.mode.compute_item) if self.mode.autocast else x


def targets_of(section: Section, mode: Mode) -> frozenset[int]:
    """The linears that adapters sit on."""
    if mode.adapters is None:
        return frozenset()
    chosen = adapter_rules.targets((section,), mode.adapters.target_modules)
    return frozenset(id(t.operation) for t in chosen if isinstance(t.operation, Linear))


def gates(section: Section) -> frozenset[int]:
    """Activations whose only use is a product with another tensor: kernels fuse the two."""
    operations = section.block.operations
    made = {op.output.id for op in operations if isinstance(op, Elementwise) and op.kind in GATE_ACTIVATIONS}
    factors = {
        tensor.id
        for op in operations
        if isinstance(op, Elementwise) and op.kind == "multiply"
        for tensor in op.inputs
    }
    return frozenset(made & factors)


def rows_of(axis: Axis) -> int:
    """Rows of an axis (packed); raises `NotSupportedYet` for pictures and sound."""
    rows = _ROWS.get(axis)
    if rows is None:
        raise NotSupportedYet(Message("training_text_only", {"axis": axis.value}))
    return rows


def local_size(parameter: Parameter, layout: Layout) -> int:
    """Elements of a rank's share of a parameter."""
    if parameter.role in (Role.HEAD, Role.EMBEDDING):
        return share(parameter.size, layout.tensor)
    return parallelism.local_size(parameter, layout)


def is_cut(parameter: Parameter) -> bool:
    """Whether tensor parallelism cuts the output of its product: by columns, or by vocabulary."""
    if parameter.role in (Role.HEAD, Role.EMBEDDING):
        return True
    return parameter.split is not None and parameter.split.dim == 0


# --- linears -----------------------------------------------------------------------------------


@rule(Linear)
def linear(low: Lowering, op: Linear) -> None:
    """A projection, with its adapter where one sits."""
    x = low.value(op.inputs[0])
    width = low.count(op.output, cut=is_cut(op.parameters[0]))
    if op.output.id in low.wide:
        weight = low.tape.cast(low.weight(op.parameters[0]), 4)
        low.put(op.output, low.tape.matrix(low.tape.cast(x, 4), weight, width))
        return
    out = project(low, low.gathered(x, op), op, width)
    low.products += 1
    if low.products % 2:  # torchtitan's selective recomputation keeps every second product
        low.stays.append(out.storage)
    if low.mode.adapters is not None and id(op) in low.adapted:
        out = adapter(low, low.mode.adapters, x, op, out, width)
    out.strided = True
    low.put(op.output, out)


def project(low: Lowering, x: Value, op: Linear, count: int) -> Value:
    """x W^T + b."""
    if low.mode.narrow_products and not op.head:
        return narrow_product(low, x, op, count)
    weight = low.operand(op.parameters[0])
    bias = low.operand(op.parameters[1]) if len(op.parameters) > 1 else None
    return low.tape.matrix(low.tape.cast(x, weight.item), weight, count, bias)


def narrow_product(low: Lowering, x: Value, op: Linear, count: int) -> Value:
    """A product in 8 bits: keeps the quantized input for a trained weight, and the weight in 8 bits too."""
    weights = [low.weight(parameter) for parameter in op.parameters]
    keeps = [Storage(x.count)] if weights[0].grad else []
    if x.grad:
        keeps.append(Storage(weights[0].count))
    return low.tape.fused((x, *weights), count, low.mode.compute_item, keeps=keeps)


def adapter(low: Lowering, settings: Adapters, x: Value, op: Linear, base: Value, count: int) -> Value:
    """base + B(A(dropout(x))) * scale, as PEFT computes it: in the adapters' own type, then cast back."""
    tape = low.tape
    kind = base.item
    x = tape.cast(x, settings.item)
    if settings.dropout:
        x = tape.dropout(x, low.mode.kernels.dropout_mask or x.item)
    x = low.narrowed(x)
    item = low.mode.compute_item if low.mode.autocast else settings.item
    down = adapter_weight(low, settings.rank * op.fan_in, settings.item, item)
    up = adapter_weight(low, settings.rank * op.fan_out, settings.item, item)
    inner = tape.matrix(x, down, share(x.count, op.fan_in) * settings.rank)
    update = tape.scale(tape.matrix(inner, up, count))
    return tape.cast(tape.add(base, update), kind)


def adapter_weight(low: Lowering, elements: int, stored: int, used: int) -> Value:
    """One of the two matrices of an adapter, in the type that the product reads."""
    return low.tape.cast(low.tape.weight(elements, stored, trained=True), used)


# --- norms -------------------------------------------------------------------------------------


@rule(Norm)
def norm(low: Lowering, op: Norm) -> None:
    """A normalisation in its own arithmetic."""
    x = low.value(op.inputs[0])
    rows = share(x.count, max(op.width, 1))
    if low.mode.kernels.norm and not op.style.startswith("l2"):
        out = fused_norm(low, op, x, rows)
    elif op.style in ("layer", "layer_one_plus", "group"):
        out = layer_norm(low, op, x, rows)
    elif op.style == "layer_plain":  # of the float32 cast (OLMo)
        out = low.tape.cast(layer_norm(low, op, low.tape.cast(x, 4), rows), x.item)
    elif op.style == "layer_wide" and op.parameters:
        out = wide_layer_norm(low, op, x, rows)
    elif op.style == "rms_gated":
        out = gated_norm(low, op, x, rows)
    else:
        out = rms_norm(low, op, x, rows)
    out.strided = x.strided
    low.put(op.output, out)


def normalised(low: Lowering, x: Value, rows: int) -> Value:
    """x / rms(x) in float32."""
    tape = low.tape
    wide = tape.cast(x, 4)
    variance = tape.scale(tape.mean(tape.power(wide), rows))
    return tape.multiply(wide, tape.unary(variance, saves="output"))


def rms_norm(low: Lowering, op: Norm, x: Value, rows: int) -> Value:
    """RMSNorm (arXiv 1910.07467) with the weight applied as the style says."""
    tape, scaled = low.tape, normalised(low, x, rows)
    if not op.parameters:
        return tape.cast(scaled, x.item)
    weight = low.weight(op.parameters[0])
    if op.style == "rms_wide":
        return tape.cast(tape.multiply(weight, scaled), x.item)
    if op.style == "rms_one_plus":
        return tape.cast(tape.multiply(scaled, tape.scale(tape.cast(weight, 4))), x.item)
    return tape.multiply(weight, tape.cast(scaled, x.item))


def gated_norm(low: Lowering, op: Norm, x: Value, rows: int) -> Value:
    """An RMSNorm and a silu gate in float32: gate first (Mamba-2), or norm first (delta rule)."""
    tape = low.tape
    gate = tape.cast(low.value(op.inputs[1]), 4)
    weight = low.weight(op.parameters[0])
    if any(isinstance(other, Scan) and other.kind == "mamba2" for other in low.section.block.operations):
        gated = tape.multiply(tape.cast(x, 4), tape.unary(gate, saves="input"))
        return tape.multiply(weight, tape.cast(normalised(low, gated, rows), x.item))
    scaled = tape.multiply(weight, tape.cast(normalised(low, x, rows), x.item))
    return tape.cast(tape.multiply(scaled, tape.unary(gate, saves="input")), x.item)


def wide_layer_norm(low: Lowering, op: Norm, x: Value, rows: int) -> Value:
    """A LayerNorm written out in float32 (Cohere)."""
    tape = low.tape
    wide = tape.cast(x, 4)
    mean = tape.mean(wide, rows)
    spread = tape.scale(tape.mean(tape.power(tape.add(wide, mean)), rows))
    scaled = tape.multiply(tape.add(wide, mean), tape.unary(spread, saves="output"))
    return tape.cast(tape.multiply(tape.cast(low.weight(op.parameters[0]), 4), scaled), x.item)


def layer_norm(low: Lowering, op: Norm, x: Value, rows: int) -> Value:
    """The native LayerNorm: keeps its input and two statistics per row."""
    statistics = tuple(
        low.tape.new(rows, 4 if low.mode.kernels.wide_statistics else x.item).storage for _ in range(2)
    )
    weights = [low.weight(parameter) for parameter in op.parameters]
    return low.tape.fused((x, *weights), x.count, x.item, keeps=(x.storage, *statistics))


def fused_norm(low: Lowering, op: Norm, x: Value, rows: int) -> Value:
    """One kernel: keeps its input and one statistic per row in float32."""
    weights = [low.weight(parameter) for parameter in op.parameters]
    inputs = [low.value(tensor) for tensor in op.inputs]
    statistic = low.tape.new(rows, 4).storage
    keeps = (*(value.storage for value in inputs), statistic)
    return low.tape.fused((*inputs, *weights), x.count, x.item, keeps=keeps)


# --- small operations --------------------------------------------------------------------------


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
    low.put(op.output, low.tape.products(a, b, op.output.width * _ROWS[op.output.axis]))


@rule(Convolution)
def convolution(low: Lowering, op: Convolution) -> None:
    """A convolution keeps its input (laid out channel by channel) and its weight."""
    x = low.narrowed(low.value(op.inputs[0]))
    weights = [low.operand(parameter) for parameter in op.parameters]
    count = share(op.channels_out * TOKENS, low.ranks)
    low.put(op.output, low.tape.fused((x, *weights), count, x.item, keeps=(x.storage,)))
