"""Where the time of a run goes: by operation, by what bounds it, against the datasheet."""

from collections.abc import Iterator

from msgspec import Struct

from ..lanes import most, some
from .estimate import OperationTime
from .operations import Work
from .roofline import Step, cost
from .setup import Setup
from .step import Tally


class Phase(Struct, frozen=True):
    """Equal steps of a run: `times` of them, each with `overhead` seconds beside the operations."""

    name: str
    step: Step
    times: float
    overhead: float


def phases(setup: Setup, held: float) -> tuple[Phase, ...]:
    """What one place's sequences go through, `held` of them at a time: prompts, then tokens."""
    rates, engine = setup.engine.rates, setup.engine
    tokens = held * setup.prompt
    chunks = most(1.0, tokens / engine.budget) * (setup.prompt > 0)
    steps = (setup.output - 1) / engine.accepted
    found = []
    if some(setup.prompt):
        read = Step(prompts=held / most(chunks, 1.0), length=setup.prompt, history=setup.cached)
        found.append(Phase("prefill", read, chunks, rates.chunk))
    if some(steps):
        decode = Step(held, setup.context, engine.drafted)
        alone = engine.seconds(decode)
        found.append(Phase("decode", decode, steps, most(0.0, engine.decode(held, setup.context) - alone)))
    return tuple(found)


def tally(setup: Setup, held: float) -> Tally:
    """Work and time of these phases."""
    found = Tally()
    for phase in phases(setup, held):
        found.add(setup.engine, phase.step, phase.times, phase.overhead)
    return found


def operations(setup: Setup, held: float, top: int) -> tuple[OperationTime, ...]:
    """The operations that take most of the time of a request, the longest first."""
    if not top:
        return ()
    rows = [row for phase in phases(setup, held) for row in _rows(setup, phase)]
    whole = sum(times * row.ms for row, times in rows) or 1.0
    shared = [_with_share(row, times * row.ms / whole) for row, times in rows]
    return tuple(sorted(shared, key=lambda row: -row.share)[:top])


def _with_share(row: OperationTime, share: float) -> OperationTime:
    return OperationTime(
        row.operation, row.phase, row.count, row.flops, row.bytes, row.sent, row.ms, share, row.bound
    )


def _rows(setup: Setup, phase: Phase) -> Iterator[tuple[OperationTime, float]]:
    waiting = 0.0
    for count, works, layers in setup.detailed():
        waiting += count * layers * setup.engine.rates.layer
        for work in works:
            yield _row(setup, phase, work, count), phase.times
    for name, seconds in (("kernel_launches", waiting), ("scheduler_and_sampling", phase.overhead)):
        yield OperationTime(name, phase.name, 1, 0.0, 0.0, 0.0, 1e3 * seconds, 0.0, "overhead"), phase.times


def _row(setup: Setup, phase: Phase, work: Work, count: int) -> OperationTime:
    found = cost(work, phase.step, setup.engine.rates, setup.engine.skew)
    return OperationTime(
        work.name,
        phase.name,
        count * work.count,
        count * found.flops,
        count * found.bytes,
        count * found.sent,
        1e3 * count * found.seconds,
        0.0,
        found.bound,
    )
