"""A tape of primitive operations, and two walks over it: what is alive going forward and coming back.

The rules are those of autograd: an operation saves some storages until its backward has run, gradients
appear when they are computed and go when the last operation that needs them is done. Storages are
counted once, however many tensors look into them. Totals are relative to the start of the tape; sizes
are the packed polynomials of `sizes`.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from msgspec import Struct, field


class Storage:
    """A piece of memory; `resident` ones (weights, tables shared by all layers) are counted elsewhere."""

    __slots__ = ("keeps", "last", "refs", "resident", "size")

    def __init__(self, size: int, *, resident: bool = False) -> None:
        self.size = size
        self.resident = resident
        self.refs = 0
        self.keeps = 0  # how many of the references are autograd's
        self.last = -1  # the last operation that reads it


class Value:
    """A tensor: `count` elements (packed) of `item` bytes in a storage; `grad` tells if it needs one."""

    __slots__ = ("count", "grad", "item", "parameter", "storage", "strided")

    def __init__(
        self, storage: Storage, count: int, item: int, grad: bool, *, parameter: bool = False
    ) -> None:
        self.storage = storage
        self.count = count
        self.item = item
        self.grad = grad
        self.parameter = parameter
        self.strided = False  # heads lie inside positions: matrix products over heads need a copy

    @property
    def size(self) -> int:
        """Bytes of its elements (packed)."""
        return self.count * self.item


class Flow(Enum):
    """How an input's gradient comes from the output's."""

    SAME = "same"  # the same memory
    NEW = "new"  # a tensor of the input's size
    EXPAND = "expand"  # a view that repeats the output's rows
    REDUCE = "reduce"  # a tensor of the output's shape first, then summed or cast to the input's


class Node(Struct, eq=False):
    """One primitive operation, with what its backward needs."""

    inputs: Sequence[tuple[Value, Flow]]
    outputs: Sequence[Value]
    saved: Sequence[Storage] = ()
    temporary: int = 0  # alive besides, while its backward runs
    working: int = 0  # alive besides, while it runs forward
    region: "Region | None" = None


class Region(Struct, eq=False):
    """Operations whose results are dropped and computed again when their backward comes."""

    start: int
    end: int = 0
    recomputed: bool = False
    reads: tuple[Storage, ...] = ()  # what it starts from, which therefore stays
    stays: tuple[Storage, ...] = ()  # results that are kept nevertheless


class Tape(Struct):
    """Operations in order; `inputs` are made elsewhere, `output` goes on to the next tape."""

    nodes: list[Node] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    output: Value | None = None

    def record(self, node: Node) -> None:
        """Append an operation and note which storages it reads."""
        index = len(self.nodes)
        for value, _ in node.inputs:
            value.storage.last = index
        self.nodes.append(node)


class Moment(NamedTuple):
    """What is alive at one moment (packed bytes): all of it, what autograd keeps, parameters' gradients."""

    total: int
    kept: int
    gradients: int


class Walk(Struct):
    """Running totals over one tape; `moments` are those at which something might peak."""

    tape: Tape
    in_place: bool = True  # a second gradient is added into the first where nobody else holds it
    accumulating: bool = False  # gradients of parameters are added into those of the micro-batch before
    alive: int = 0
    kept: int = 0
    leaves: int = 0
    moments: list[Moment] = field(default_factory=list)
    gradients: dict[Value, Storage] = field(default_factory=dict)

    # --- storages ------------------------------------------------------------------------------

    def hold(self, storage: Storage) -> None:
        """One more reference; the first one allocates."""
        if storage.resident:
            return
        if not storage.refs:
            self.alive += storage.size
        storage.refs += 1

    def drop(self, storage: Storage) -> None:
        """One reference less; the last one frees."""
        if storage.resident:
            return
        storage.refs -= 1
        if not storage.refs:
            self.alive -= storage.size

    def note(self, extra: int = 0) -> None:
        """A moment at which this much is alive."""
        self.moments.append(Moment(self.alive + extra, self.kept, self.leaves))

    def keep(self, storage: Storage) -> None:
        """Autograd saves a storage."""
        if not storage.resident:
            self.hold(storage)
            if not storage.keeps:
                self.kept += storage.size
            storage.keeps += 1

    def release(self, storage: Storage) -> None:
        """Autograd lets a saved storage go."""
        if not storage.resident:
            storage.keeps -= 1
            if not storage.keeps:
                self.kept -= storage.size
            self.drop(storage)

    # --- forward -------------------------------------------------------------------------------

    def forward(self, start: int = 0, end: int | None = None, *, again: bool = False) -> None:
        """Run operations `start` to `end`; `again`: what a region dropped is now kept."""
        dying: dict[int, list[Storage]] = {}
        for index, node in enumerate(self.tape.nodes[start:end], start):
            self._enter(node, index, again)
            for storage in self._allocate(node):
                dying.setdefault(max(storage.last, index), []).append(storage)
                if node.region and not again and storage in node.region.stays:
                    self.keep(storage)
            self.note(node.working)
            if again or node.region is None:
                for storage in node.saved:
                    self.keep(storage)
            for storage in dying.pop(index, ()):
                self.drop(storage)
        kept = self.tape.output.storage if self.tape.output and not again else None
        for storage in (storage for storages in dying.values() for storage in storages):
            if storage is not kept:
                self.drop(storage)

    def _enter(self, node: Node, index: int, again: bool) -> None:
        """A region begins: what it starts from stays until its backward is done."""
        if node.region and node.region.start == index and not again:
            for storage in node.region.reads:
                self.keep(storage)

    def _allocate(self, node: Node) -> list[Storage]:
        """The storages that an operation makes, views and resident ones left out."""
        made = []
        for output in node.outputs:
            storage = output.storage
            if not storage.refs and not storage.resident and storage not in made:
                self.hold(storage)
                made.append(storage)
        return made

    # --- backward ------------------------------------------------------------------------------

    def start_backward(self) -> None:
        """The gradient of the tape's output arrives."""
        output = self.tape.output
        if output is not None and output.grad:
            gradient = Storage(output.size)
            self.hold(gradient)
            self.note()
            self.gradients[output] = gradient

    def backward(self, start: int = 0, end: int | None = None) -> None:
        """Run operations `start` to `end` in reverse, the output's gradient being there."""
        for node in reversed(self.tape.nodes[start:end]):
            region = node.region
            if region and not region.recomputed and any(not storage.resident for storage in node.saved):
                self.recompute(region)
            self.step(node)

    def recompute(self, region: Region) -> None:
        """Run a region again up to the last operation that keeps something."""
        region.recomputed = True
        nodes = self.tape.nodes
        end = region.end
        while end > region.start and not any(not storage.resident for storage in nodes[end - 1].saved):
            end -= 1
        self.forward(region.start, end, again=True)

    def step(self, node: Node) -> None:
        """The backward of one operation."""
        arrived = [self.gradients.pop(output) for output in node.outputs if output in self.gradients]
        made = self.propagate(node, arrived) if arrived else []
        for storage in arrived:
            self.drop(storage)
        if node.region is None or node.region.recomputed:
            for storage in node.saved:
                self.release(storage)
        if node.region and node is self.tape.nodes[node.region.start]:
            for storage in (*node.region.reads, *node.region.stays):
                self.release(storage)
        for value, gradient in made:
            self.deliver(value, gradient)

    def propagate(self, node: Node, arrived: list[Storage]) -> list[tuple[Value, Storage]]:
        """Gradients of the inputs from those of the outputs."""
        made: list[tuple[Value, Storage]] = []
        whole: list[tuple[Value, Storage]] = []
        for value, flow in node.inputs:
            if not value.grad:
                continue
            if flow in (Flow.SAME, Flow.EXPAND):
                gradient = arrived[0]
            elif flow is Flow.NEW:
                gradient = Storage(value.size)
            else:
                gradient = Storage(node.outputs[0].size)
                whole.append((value, gradient))
            self.hold(gradient)
            made.append((value, gradient))
        self.note(node.temporary)
        for value, gradient in whole:
            small = Storage(value.size)
            self.hold(small)
            self.note()
            self.drop(gradient)
            made[made.index((value, gradient))] = (value, small)
        return made

    def deliver(self, value: Value, gradient: Storage) -> None:
        """A gradient reaches a tensor: kept for a parameter, else joined with what came before."""
        before = self.gradients.get(value)
        if value.parameter and self.accumulating:
            self.drop(gradient)
        elif before is None:
            self.gradients[value] = gradient
            if value.parameter:
                self.leaves += gradient.size
        elif self.in_place and before.refs == 1:
            self.drop(gradient)
        elif self.in_place and gradient.refs == 1:
            self.drop(before)
            self.gradients[value] = gradient
        else:
            total = Storage(value.size)
            self.hold(total)
            self.note()
            self.drop(before)
            self.drop(gradient)
            self.gradients[value] = total
