"""The primitive operations of eager PyTorch and what autograd saves for each.

Rules read off `tools/autograd/derivatives.yaml` of PyTorch and confirmed against torch's MemTracker:
a product saves each factor whose partner needs a gradient, an activation its input, an exponential-like
function its output; views and additions save nothing.
"""

from collections.abc import Sequence

from .sizes import ONE, TOKENS
from .tape import Flow, Node, Region, Storage, Tape, Value


class Recorder(Tape):
    """A tape with one method for each primitive; each hands back the tensor it makes."""

    # --- tensors -------------------------------------------------------------------------------

    def input(self, count: int, item: int, *, grad: bool) -> Value:
        """A tensor that another tape made."""
        value = Value(Storage(count * item), count, item, grad)
        self.inputs.append(value)
        return value

    def constant(self, count: int, item: int) -> Value:
        """A table that all layers share (cosines, masks), counted elsewhere."""
        return Value(Storage(count * item, resident=True), count, item, False)

    def shared(self, count: int, item: int, *, grad: bool) -> Value:
        """A tensor that many tapes read; it and the sum of its gradients are counted elsewhere."""
        return Value(Storage(count * item, resident=True), count, item, grad)

    def weight(self, elements: int, item: int, *, trained: bool) -> Value:
        """A parameter."""
        return Value(Storage(elements * item, resident=True), elements * ONE, item, trained, parameter=True)

    def new(self, count: int, item: int, *inputs: Value, grad: bool | None = None) -> Value:
        """A fresh tensor, in need of a gradient if an input is."""
        needs = any(value.grad for value in inputs) if grad is None else grad
        return Value(Storage(count * item), count, item, needs)

    def alias(self, x: Value, count: int | None = None) -> Value:
        """A view in the storage of `x`; its gradient is passed on as it is."""
        view = Value(x.storage, x.count if count is None else count, x.item, x.grad)
        view.strided = x.strided
        self.record(Node(((x, Flow.SAME),), (view,)))
        return view

    # --- one input -----------------------------------------------------------------------------

    def unary(self, x: Value, *, saves: str = "", temporary: int = 0, item: int | None = None) -> Value:
        """A function of every element; `saves` names `input`, `output` or neither."""
        out = self.new(x.count, item or x.item, x)
        out.strided = x.strided
        kept = {"input": (x.storage,), "output": (out.storage,), "": ()}[saves] if x.grad else ()
        self.record(Node(((x, Flow.NEW),), (out,), kept, temporary))
        return out

    def cast(self, x: Value, item: int) -> Value:
        """Another data type; no copy where it is the same."""
        return x if x.item == item else self.unary(x, item=item)

    def scale(self, x: Value) -> Value:
        """Times or plus a number."""
        return self.unary(x)

    def power(self, x: Value) -> Value:
        """x ** p: backward makes x ** (p - 1) and its multiple first."""
        return self.unary(x, saves="input", temporary=2 * x.size)

    def mean(self, x: Value, rows: int) -> Value:
        """The mean of each row."""
        out = self.new(rows, x.item, x)
        self.record(Node(((x, Flow.NEW),), (out,)))
        return out

    def copy(self, x: Value) -> Value:
        """A contiguous copy."""
        out = self.new(x.count, x.item, x)
        self.record(Node(((x, Flow.SAME),), (out,)))
        return out

    def expand(self, x: Value, count: int) -> Value:
        """A copy with rows repeated (repeat_kv); its gradient is summed."""
        out = self.new(count, x.item, x)
        self.record(Node(((x, Flow.NEW),), (out,)))
        return out

    def part(self, x: Value, count: int) -> Value:
        """A slice: a view whose gradient is padded with zeros to the whole."""
        view = Value(x.storage, count, x.item, x.grad)
        self.record(Node(((x, Flow.NEW),), (view,)))
        return view

    def parts(self, x: Value, counts: Sequence[int]) -> list[Value]:
        """A split: views whose gradients are joined at once."""
        views = [Value(x.storage, count, x.item, x.grad) for count in counts]
        self.record(Node(((x, Flow.NEW),), views))
        return views

    def dropout(self, x: Value, mask_item: int) -> Value:
        """Random zeros: the mask is saved."""
        out = self.new(x.count, x.item, x)
        mask = Storage(x.count * mask_item)
        self.record(Node(((x, Flow.NEW),), (out,), (mask,) if x.grad else ()))
        return out

    def look_up(self, table: Value, count: int) -> Value:
        """Rows of a table: nothing but the ids is saved, the table's gradient is dense."""
        out = self.new(count, table.item, table)
        self.record(Node(((table, Flow.NEW),), (out,)))
        return out

    # --- several inputs ------------------------------------------------------------------------

    def add(self, a: Value, b: Value) -> Value:
        """a + b; saves nothing."""
        count, item = max(a.count, b.count), max(a.item, b.item)
        out = self.new(count, item, a, b)
        out.strided = a.strided or b.strided
        self.record(Node([(x, Flow.SAME if x.size == out.size else Flow.NEW) for x in (a, b)], (out,)))
        return out

    def multiply(self, a: Value, b: Value) -> Value:
        """a * b; a narrower factor is broadcast."""
        count, item = max(a.count, b.count), max(a.item, b.item)
        out = self.new(count, item, a, b)
        out.strided = a.strided or b.strided
        kept = [x.storage for x, other in ((a, b), (b, a)) if other.grad]
        flows = [(x, Flow.NEW if x.size == out.size else Flow.REDUCE) for x in (a, b)]
        self.record(Node(flows, (out,), kept))
        return out

    def join(self, *inputs: Value) -> Value:
        """A concatenation: gradients are views of the whole."""
        out = self.new(sum(x.count for x in inputs), max(x.item for x in inputs), *inputs)
        self.record(Node([(x, Flow.SAME) for x in inputs], (out,)))
        return out

    def matrix(
        self, x: Value, weight: Value, count: int, bias: Value | None = None, *, working: int = 0
    ) -> Value:
        """x W^T + b: keeps x for a trained W, and W where x needs a gradient; `working`: alive besides while
        it runs, forward and backward."""
        out = self.new(count, weight.item, x, weight, *(() if bias is None else (bias,)))
        kept = [x.storage] if weight.grad else []
        if x.grad:
            kept.append(weight.storage)
        inputs = [(x, Flow.NEW), (weight, Flow.NEW)] + ([(bias, Flow.NEW)] if bias is not None else [])
        self.record(Node(inputs, (out,), kept, working, working))
        return out

    def products(self, a: Value, b: Value, count: int, item: int | None = None) -> Value:
        """A batch of matrix products: both factors are kept."""
        out = self.new(count, item or max(a.item, b.item), a, b)
        kept = [x.storage for x, other in ((a, b), (b, a)) if other.grad]
        self.record(Node(((a, Flow.NEW), (b, Flow.NEW)), (out,), kept))
        return out

    def fused(
        self, inputs: Sequence[Value], count: int, item: int, *, keeps: Sequence[Storage] = (),
        temporary: int = 0, working: int = 0, keeps_output: bool = False,
    ) -> Value:  # fmt: skip
        """One kernel with save rules of its own."""
        out = self.new(count, item, *inputs)
        kept = [*keeps, *((out.storage,) if keeps_output else ())] if out.grad else ()
        self.record(Node([(x, Flow.NEW) for x in inputs], (out,), kept, temporary, working))
        return out

    # --- regions -------------------------------------------------------------------------------

    def begin(self) -> Region:
        """From here on results are dropped and computed again in backward."""
        return Region(len(self.nodes))

    def finish(self, region: Region) -> None:
        """The region ends here: what it reads from outside stays, the rest is dropped."""
        region.end = len(self.nodes)
        made: set[Storage] = set()
        for node in self.nodes[region.start :]:
            node.region = region
            made.update(output.storage for output in node.outputs)
        region.reads = tuple(
            {
                value.storage: None
                for node in self.nodes[region.start :]
                for value, _ in node.inputs
                if value.storage not in made
            }
        )


def tokens(width: int) -> int:
    """Elements of a tensor with `width` on each token (packed)."""
    return width * TOKENS
