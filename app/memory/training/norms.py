"""Normalisations in their own arithmetic, which decides what autograd keeps of them."""

from ...architecture.operations import Norm, Scan
from .lowering import Lowering, rule
from .sizes import share
from .tape import Value


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
