"""Projections, with an adapter beside where one sits, in 8 bits where a recipe asks for it."""

from ...architecture.operations import Linear
from .lowering import Lowering, is_cut, rule
from .mode import Adapters
from .sizes import share
from .tape import Storage, Value


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
    whole = weight.count * low.mode.compute_item if low.mode.dequantizes and not op.head else 0
    return low.tape.matrix(low.tape.cast(x, weight.item), weight, count, bias, working=whole)


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
    if settings.magnitudes:
        base, update = scaled_by_norms(low, settings, op, base, update)
    x.storage.last = len(tape.nodes)  # a variable of the adapter's forward
    return tape.cast(tape.add(base, update), kind)


def scaled_by_norms(
    low: Lowering, settings: Adapters, op: Linear, base: Value, update: Value
) -> tuple[Value, Value]:
    """DoRA (arXiv 2402.09353, as PEFT computes it): both times magnitude / norm of the merged weight's rows.

    For the norms the update is multiplied out, scaled and added to the weight: three matrices at once.
    """
    tape = low.tape
    magnitudes = tape.weight(op.fan_out, settings.item, trained=True)
    matrix = share(op.fan_in * op.fan_out, low.ranks) * settings.item
    ratio = tape.fused((magnitudes,), magnitudes.count, settings.item, working=3 * matrix)
    return tape.multiply(base, ratio), tape.multiply(update, ratio)


def adapter_weight(low: Lowering, elements: int, stored: int, used: int) -> Value:
    """One of the two matrices of an adapter, in the type that the product reads."""
    return low.tape.cast(low.tape.weight(elements, stored, trained=True), used)
