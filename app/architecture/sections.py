"""The distinct blocks of a model, in order, and how often each occurs.

Multiplicity stays symbolic: a stack of 61 layers is two or three blocks with the indices they stand at.
"""

from collections.abc import Iterator

from msgspec import Struct

from .operations import Axis, Operation, Parameter, Tensor


class Block(Struct, frozen=True):
    """One distinct piece of forward pass: what enters, what leaves, the operations between."""

    operations: tuple[Operation, ...]
    inputs: tuple[Tensor, ...] = ()
    output: Tensor | None = None


class Section(Struct, frozen=True):
    """A block at its places: `template` has one `{}` where the index goes, or none for a single place.

    `component` names what it belongs to (`embedding`, `decoder`, `head`, `vision`, `projector`,
    `encoder`, ...); `kind` tells distinct layers of a stack apart for people.
    `shares`: at these places the parameters are those of the first place (shared blocks).
    `runs`: how often each place is passed in one forward pass (recurrent depth).
    `needs`: what an input without any of leaves the block out (a picture).
    """

    component: str
    template: str
    indices: tuple[int, ...]
    block: Block
    kind: str = ""
    shares: bool = False
    runs: int = 1
    needs: Axis | None = None

    @property
    def count(self) -> int:
        """How often the block runs in one forward pass."""
        return len(self.indices) * self.runs

    def prefixes(self) -> Iterator[str]:
        """The name prefix at each place that owns parameters."""
        if "{}" not in self.template:
            yield self.template
            return
        for index in self.indices[:1] if self.shares else self.indices:
            yield self.template.replace("{}", str(index))

    @property
    def copies(self) -> int:
        """How many places own parameters."""
        return 1 if self.shares or "{}" not in self.template else len(self.indices)

    def quantities(self) -> Iterator[tuple[Operation, Parameter]]:
        """The parameters and buffers that the block owns, each once, with the operation that uses it."""
        seen: set[str] = set()
        for operation in self.block.operations:
            for parameter in operation.parameters:
                if not parameter.tied and parameter.name not in seen:
                    seen.add(parameter.name)
                    yield operation, parameter
