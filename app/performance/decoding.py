"""Decode steps of one context, timed for many numbers of sequences.

Whoever looks for where a queue settles asks for a step's time again and again, with nothing changed but the
sequences. What an operation takes is then a straight line in them (distinct experts excepted), so each is
read off twice and drawn through.
"""

from msgspec import Struct

from .operations import Work
from .roofline import Cost, Step, cost, smooth_max
from .step import Engine, StageWork


class Line(Struct, frozen=True):
    """Seconds of memory and compute of one operation: of any step, and more for each sequence."""

    memory: float
    memory_each: float
    compute: float
    compute_each: float

    def at(self, sequences: float) -> float:
        """Seconds at so many sequences."""
        compute = self.compute + self.compute_each * sequences
        return smooth_max(compute, self.memory + self.memory_each * sequences)


class StageTimes:
    """One pipeline stage: operations that compute, each a line, and all others and the launches as one."""

    def __init__(self, engine: Engine, stage: StageWork, context: float) -> None:
        self.rates, self.skew, self.context = engine.rates, engine.skew, context
        self.drafted, self.layers = engine.drafted, stage.layers
        self.routed = [work for work in stage.works if work.kind == "experts"]
        self.lines: list[Line] = []
        self.fixed = stage.layers * engine.rates.layer
        self.each = 0.0
        one, two = self._step(1.0), self._step(2.0)
        for work in stage.works:
            if work.kind != "experts":
                self._read(self._cost(work, one), self._cost(work, two))

    def _step(self, sequences: float) -> Step:
        return Step(sequences, self.context, self.drafted)

    def _cost(self, work: Work, step: Step) -> Cost:
        return cost(work, step, self.rates, self.skew)

    def _read(self, one: Cost, two: Cost) -> None:
        memory, compute = two.memory - one.memory, two.compute - one.compute
        network = two.network - one.network
        self.fixed += one.network - network
        self.each += network
        if one.compute:
            self.lines.append(Line(one.memory - memory, memory, one.compute - compute, compute))
        else:
            self.fixed += one.memory - memory
            self.each += memory

    def __call__(self, sequences: float) -> float:
        """Seconds at so many sequences in the stage."""
        total = self.fixed + self.each * sequences
        for line in self.lines:
            total += line.at(sequences)
        if self.routed:
            step = self._step(sequences)
            for work in self.routed:
                total += self._cost(work, step).seconds
        return total


class DecodeTimes:
    """`engine.decode` of one context, for any number of sequences from a step's time at the least on."""

    def __init__(self, engine: Engine, context: float) -> None:
        self.engine = engine
        self.stages = [(stage.count, StageTimes(engine, stage, context)) for stage in engine.stages]
        self.draft = None if engine.draft is None else DecodeTimes(engine.draft, context)

    def all_stages(self, sequences: float) -> float:
        """Seconds of all stages one after the other, each with so many sequences."""
        hop = self.engine.hop(sequences * (1 + self.engine.drafted))
        return sum(count * (taken(sequences) + hop) for count, taken in self.stages)

    def __call__(self, sequences: float) -> float:
        """Seconds of one decode step."""
        held = self.engine.held(sequences)
        hop = self.engine.hop(held * (1 + self.engine.drafted))
        times = [(count, taken(held) + hop) for count, taken in self.stages]
        drafting = 0.0 if self.draft is None else self.draft(sequences)
        return self.engine.paced(times, sequences, drafting)
