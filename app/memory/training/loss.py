"""Head and loss: logits in the compute type, their float32 form, log-probabilities, and back.

`ForCausalLMLoss` of transformers: every position's logits are computed and differentiated, cast to
float32 and handed to `cross_entropy`; the output object keeps the logits alive to the end of the step.
"""

from ...architecture.operations import Linear
from .layers import Cost, Place, undominated
from .lowering import Lowering
from .mode import Mode
from .sizes import ONE, share
from .tape import Storage, Walk

CHUNKS = 8  # torchtune's CEWithChunkedOutputLoss


def measure_head(place: Place, mode: Mode, entering: int | None = None) -> Cost:
    """The cost of the head with the loss behind it."""
    if mode.fused_loss:
        read = measure_chunked if mode.kernels.chunked_loss else measure_fused
        return read(place, mode, entering)
    low = Lowering(place.section, mode, trained=place.trained, reached=place.reached, entering=entering)
    tape = low.run()
    logits = low.values[place.section.block.operations[-1].output.id]
    split = len(tape.nodes)
    wide = tape.cast(logits, 4) if mode.wide_loss else logits
    if mode.kernels.wide_output:
        logits, split = wide, len(tape.nodes)
    probabilities = tape.unary(wide, saves="output")
    wide.storage.last = len(tape.nodes)
    again = [Storage(share(probabilities.size, 2))] if mode.objective == "orpo" else []  # of the chosen half
    beside = logits.size if mode.reference else 0  # what the reference model says of the same tokens
    loss = tape.fused((probabilities,), ONE, 4, keeps=(probabilities.storage, *again), working=beside)
    tape.output = loss
    walk = Walk(tape, mode.kernels.in_place, mode.accumulating)
    for value in tape.inputs:
        walk.hold(value.storage)
    walk.keep(logits.storage)
    walk.forward(0, split)
    forward = undominated(walk.moments)
    walk.moments = []
    walk.forward(split)
    losing = undominated(walk.moments)
    walk.moments = []
    for value in tape.inputs:
        walk.drop(value.storage)
    kept = walk.kept - logits.size
    walk.start_backward()
    walk.backward(split)
    during_loss = undominated(walk.moments)
    walk.moments = []
    walk.note()
    walk.backward(0, split)
    backward = undominated(walk.moments)
    return Cost(kept, walk.leaves, forward, backward, held=logits.size, loss=during_loss, losing=losing)


def measure_fused(place: Place, mode: Mode, entering: int | None = None) -> Cost:
    """Head and loss in one chunked kernel (Liger's fused linear cross-entropy, arXiv 2410.10989).

    Logits of a chunk take about as much as the head's input; both gradients are made on the way forward
    and kept until backward hands them on. There are no logits to hold.
    """
    low = Lowering(place.section, mode, trained=place.trained, reached=place.reached, entering=entering)
    head = next(op for op in place.section.block.operations if isinstance(op, Linear))
    tape, x = low.tape, low.value(head.inputs[0])
    weight = low.weight(head.parameters[0])
    ready = [x.size] + ([weight.size] if weight.grad else [])
    loss = tape.fused((x, weight), ONE, 4, keeps=tuple(Storage(size) for size in ready), working=2 * x.size)
    tape.output = loss
    walk = Walk(tape, mode.kernels.in_place, mode.accumulating)
    walk.hold(x.storage)
    walk.forward()
    during_loss = walk.moments
    walk.drop(x.storage)
    kept = walk.kept
    walk.moments = []
    walk.start_backward()
    walk.backward()
    return Cost(kept, walk.leaves, (), undominated(walk.moments), loss=undominated(during_loss))


def measure_chunked(place: Place, mode: Mode, entering: int | None = None) -> Cost:
    """All logits in the compute type, the loss over them in eight chunks, their gradient in the same type."""
    low = Lowering(place.section, mode, trained=place.trained, reached=place.reached, entering=entering)
    tape = low.run()
    logits = low.values[place.section.block.operations[-1].output.id]
    chunk = share(logits.count, CHUNKS) * 4
    split = len(tape.nodes)
    tape.output = tape.fused(
        (logits,), ONE, 4, keeps=(logits.storage,), working=2 * chunk, temporary=2 * chunk
    )
    walk = Walk(tape, mode.kernels.in_place, mode.accumulating)
    for value in tape.inputs:
        walk.hold(value.storage)
    walk.forward()
    losing = walk.moments
    for value in tape.inputs:
        walk.drop(value.storage)
    kept = walk.kept
    walk.moments = []
    walk.start_backward()
    walk.backward(split)
    during_loss = walk.moments
    walk.moments = []
    walk.note()
    walk.backward(0, split)
    return Cost(
        kept,
        walk.leaves,
        (),
        undominated(walk.moments),
        loss=undominated(during_loss),
        losing=undominated(losing),
    )
