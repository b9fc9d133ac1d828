"""How a family writes its model down: sections collected in order, under module prefixes."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .operations import Axis, Role, Tensor
from .sections import Block, Section
from .trace import Trace


class ModelBuilder:
    """Collects sections while a family writes its model down, under a module prefix."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.hidden_size = 0
        self.vocab_size = 0
        self.notes: dict[str, Any] = {}
        self._prefix: list[str] = []
        self._component = ""

    @contextmanager
    def prefix(self, name: str) -> Iterator[None]:
        """Module names inside are below `name` (which may be empty)."""
        self._prefix.append(name)
        yield
        self._prefix.pop()

    @contextmanager
    def component(self, name: str) -> Iterator[None]:
        """Everything inside belongs to this component (a vision tower, an encoder)."""
        before, self._component = self._component, name
        yield
        self._component = before

    def _path(self, name: str) -> str:
        return "".join(f"{part}." for part in [*self._prefix, name] if part)

    def single(
        self,
        component: str,
        write: Callable[[Trace], Tensor | None],
        *,
        name: str = "",
        kind: str = "",
    ) -> None:
        """One block that stands once: embeddings, final norms, heads, projectors."""
        trace = Trace()
        output = write(trace)
        block = Block(tuple(trace.operations), (), output)
        self.sections.append(Section(self._component or component, self._path(name), (0,), block, kind))

    def stack(
        self,
        count: int,
        write: Callable[..., Tensor],
        *,
        width: int,
        name: str = "layers.{}",
        kinds: Callable[[int], Hashable] = lambda index: (),
        component: str = "decoder",
        axis: Axis = Axis.TOKENS,
        shares: bool = False,
        start: int = 0,
        runs: int = 1,
        at: Sequence[int] | None = None,
        needs: Mapping[Hashable, Axis] | None = None,
    ) -> None:
        """`count` layers; those of equal `kinds(index)` are one block, `write(trace, x, *kind)`.

        `at`: the indices, where they are not the `count` from `start` on. `needs`: what layers of a kind are
        left out without.
        """
        places: dict[Hashable, list[int]] = {}
        for index in range(start, start + count) if at is None else at:
            places.setdefault(kinds(index), []).append(index)
        for kind, indices in places.items():
            parts = kind if isinstance(kind, tuple) else (kind,)
            trace = Trace()
            x = trace.input(width, axis)
            output = write(trace, x, *parts)
            label = ", ".join(str(part) for part in parts)
            self.sections.append(
                Section(
                    self._component or component,
                    self._path(name),
                    tuple(indices),
                    Block(tuple(trace.operations), (x,), output),
                    label,
                    shares,
                    runs,
                    needs.get(kind) if needs else None,
                )
            )

    def embed(
        self,
        name: str,
        rows: int,
        width: int,
        *,
        scale: bool = False,
        dropout: float = 0.0,
        norm: str | None = None,
        style: str = "layer",
        tables: Sequence[tuple[str, int, Axis]] = (),
        sinusoidal: bool = False,
    ) -> None:
        """The token embedding, which also tells the model's width and vocabulary.

        A constant factor, then `tables` of learned positions and token types (name, rows, what an index
        stands for) or `sinusoidal` positions added, then a norm and dropout, where there are any.
        """
        if not self._component:
            self.hidden_size, self.vocab_size = width, rows

        def write(t: Trace) -> Tensor:
            x = t.embedding(name, rows, width)
            if scale:
                x = t.elementwise("scale", x)
            for table, extent, axis in tables:
                x = t.add(x, t.embedding(table, extent, width, axis=axis))
            if sinusoidal:
                x = t.add(x, t.input(width, Axis.SEQUENCE))
            if norm:
                x = t.norm(norm, x, style=style)
            return t.elementwise("dropout", x, dropout=dropout) if dropout else x

        self.single("embedding", write)

    def final_norm(self, name: str, width: int, style: str = "rms", **options: Any) -> None:
        """The norm after the last layer."""
        self.single("norm", lambda t: t.norm(name, t.input(width), style=style, **options))

    def head(
        self,
        name: str,
        width: int,
        rows: int,
        *,
        tied: bool,
        bias: bool = False,
        after: Sequence[str] = (),
        before: Callable[[Trace], Tensor] | None = None,
        beside: str | None = None,
        adapted: bool = False,
    ) -> None:
        """Logits over the vocabulary, and what is done to each; `tied` reuses the embedding's matrix.

        `before`: layers that lead to it. `beside`: a bias of the logits outside the matrix's module.
        `adapted`: adapters on all linear modules take it too (it is not what the library calls the output).
        """

        def write(t: Trace) -> Tensor:
            x = before(t) if before else t.input(width)
            if beside:
                t.hold(t.parameter(beside, (rows,), Role.BIAS))
            logits = t.linear(name, x, rows, bias=bias, tied=tied, role=Role.HEAD, head=not adapted)
            for kind in after:
                logits = t.elementwise(kind, logits)
            return logits

        self.single("head", write)
