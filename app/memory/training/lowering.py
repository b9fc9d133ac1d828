"""From the forward description to the tape: each operation becomes the primitives that PyTorch runs."""

from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any

from ... import parallelism
from ...architecture import adapters as adapter_rules
from ...architecture.operations import (
    Axis,
    Elementwise,
    Experts,
    Linear,
    Operation,
    Parameter,
    Role,
    Route,
    Tensor,
)
from ...architecture.sections import Section
from ...errors import NotSupportedYet
from ...messages import Message
from ...parallelism import Layout
from .mode import Adapters, Mode
from .primitives import Recorder
from .sizes import ONE, PAIRS, SEQUENCE, TOKENS, share
from .tape import Storage, Value

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

        self._chosen = chosen_in(section, mode)
        self.adapted = frozenset(
            id(t.operation) for t in self._chosen.modules if isinstance(t.operation, Linear)
        )
        self.stays: list[Storage] = []  # results that recomputation operation by operation keeps
        self.products = 0
        self._gathered: dict[Storage, Value] = {}
        self.gates = gates(section) if mode.kernels.activation else frozenset()

    def run(self) -> Recorder:
        """Every operation of the block, in order."""
        block = self.section.block
        region = self.tape.begin() if self._recomputed() else None
        ends = []
        for operation in block.operations:
            write = RULES.get(type(operation))
            if write is not None:
                write(self, operation)
            ends.append(len(self.tape.nodes) - 1)
        self._hold_arguments(ends)
        if region is not None:
            region.stays = tuple(self.stays) if self.mode.checkpointing == "operations" else ()
            self.tape.finish(region)
        if block.output is not None:
            self.tape.output = self.value(block.output)
        return self.tape

    def _hold_arguments(self, ends: list[int]) -> None:
        """What a submodule is called with stays alive until it returns, by the caller's variable."""
        made: dict[str, set[int]] = {}
        returns: dict[str, int] = {}
        for op, end in zip(self.section.block.operations, ends, strict=True):
            if "." in op.name:
                returns[op.name.partition(".")[0]] = end
        for op in self.section.block.operations:
            module = op.name.partition(".")[0]
            if module in returns:
                own = made.setdefault(module, set())
                for tensor in op.inputs:
                    if tensor.id not in own and tensor.id in self.values:
                        storage = self.values[tensor.id].storage
                        storage.last = max(storage.last, returns[module])
                own.update(tensor.id for tensor in op.outputs)

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
            make = self.tape.shared if self._is_shared(tensor) else self.tape.input
            found = make(self.count(tensor), self.entering, grad=self.reached)
            self.values[tensor.id] = found
        return found

    def _is_shared(self, tensor: Tensor) -> bool:
        """Whether all blocks read the same tensor: the encoder's output, in front of cross-attention."""
        return tensor.axis is Axis.SOURCE and self.section.component == "decoder"

    def count(self, tensor: Tensor, *, cut: bool = False) -> int:
        """Elements of a tensor on this rank: `cut` by tensor parallelism, else whole, or its share of the
        positions under sequence parallelism."""
        parts = self.ranks if cut or self.mode.sequence_parallel else 1
        return share(tensor.width * rows_of(tensor.axis), parts)

    def put(self, tensor: Tensor, value: Value) -> None:
        """An operation's result."""
        self.values[tensor.id] = value

    def weight(self, parameter: Parameter, *, trained: bool | None = None) -> Value:
        """A parameter as it is stored, its local share under tensor parallelism; with its adapter added where
        one sits on a bare tensor."""
        known = self._weights.get(parameter.name)
        if known is None:
            item = 4 if parameter.dtype == "float32" else self.mode.weight_item
            needs = (self.trained or self._chosen_by_name(parameter)) if trained is None else trained
            known = self.tape.weight(local_size(parameter, self.mode.layout), item, trained=needs)
            times = self._chosen.times(parameter)
            if times and self.mode.adapters is not None:
                known = self.merged(known, parameter, self.mode.adapters, times)
            self._weights[parameter.name] = known
        return known

    def _chosen_by_name(self, parameter: Parameter) -> bool:
        """Whether it is trained beside adapters: in a module trained in full, or as a bias."""
        settings = self.mode.adapters
        if settings is None:
            return False
        biases = {p.name for t in self._chosen.modules for p in t.operation.parameters[1:]}
        return is_saved(parameter, settings) or is_trained_bias(parameter, settings, biases)

    def merged(self, base: Value, parameter: Parameter, settings: Adapters, times: int) -> Value:
        """W + B A for each of the stacked matrices, made anew in every forward pass and kept: PEFT's
        `ParamWrapper` adds with one `baddbmm`, to a single matrix with a product and a sum in float32."""
        tape, (*stack, rows, columns) = self.tape, parameter.shape
        rank = times * settings.rank * (stack[0] if stack else 1)
        down = tape.weight(rank * columns, settings.item, trained=True)
        up = tape.weight(rows * rank, settings.item, trained=True)
        if not stack:
            update = tape.cast(tape.scale(tape.products(up, down, base.count)), base.item)
            return tape.add(base, update)
        left, right = tape.cast(up, base.item), tape.cast(down, base.item)
        return tape.fused((left, right), base.count, base.item, keeps=(left.storage, right.storage))

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

    @property
    def of_experts(self) -> int:
        """Bytes of the gradients of routed experts."""
        experts = {p.name for op in self.section.block.operations for p in op.parameters if p.experts}
        return sum(v.size for name, v in self._weights.items() if name in experts and v.parameter and v.grad)

    def received(self, op: Experts, width: int) -> int:
        """Elements of rows of `width` that the fullest expert rank works on: its share of all chosen rows."""
        uneven = Fraction(self.mode.expert_imbalance).limit_denominator(1000)
        rows = op.top_k * width * self.mode.layout.expert_tensor * uneven.numerator
        return share(rows * TOKENS, self.ranks * uneven.denominator)

    def narrowed(self, x: Value) -> Value:
        """An operand of a matrix product: each product under autocast casts its own copy."""
        return self.tape.cast(x, self.mode.compute_item) if self.mode.autocast else x


def chosen_in(section: Section, mode: Mode) -> adapter_rules.Chosen:
    """What adapters sit on in this section."""
    if mode.adapters is None:
        return adapter_rules.Chosen((), {})
    return adapter_rules.choose((section,), mode.adapters.target_modules, mode.adapters.model_type)


def is_saved(parameter: Parameter, settings: Adapters) -> bool:
    """Whether it belongs to a module that is trained in full (`modules_to_save`)."""
    module = f".{parameter.name.rpartition('.')[0]}"
    return any(module.endswith(f".{name}") or f".{name}." in module for name in settings.saved)


def is_trained_bias(parameter: Parameter, settings: Adapters, adapted: Collection[str]) -> bool:
    """Whether it is a bias that `lora.bias` trains; `adapted`: those of modules with adapters."""
    if settings.bias == "all":
        return "bias" in parameter.name
    return settings.bias == "lora_only" and parameter.name in adapted


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
