"""The time of a forward step over every rank of a replica: decode steps, prompts, and both at once."""

from collections.abc import Iterable
from functools import reduce

from msgspec import Struct, field
from msgspec.structs import force_setattr

from ..lanes import least, most, some, up
from .operations import Work
from .roofline import BOUNDS, Cost, Rates, Step, cost, smooth_max


class StageWork(Struct, frozen=True):
    """One distinct pipeline stage: how many there are, its operations put together, its layers."""

    count: int
    works: tuple[Work, ...]
    layers: int


class Engine(Struct, frozen=True):
    """A replica at work: its stages, what they reach, and how its scheduler cuts prompts.

    `budget`: most tokens of a step. `handover`: bytes of one token between pipeline stages;
    `turns`: share of a prompt that stages read one after the other instead of side by side. `depth`: pipeline
    stages.
    """

    stages: tuple[StageWork, ...]
    rates: Rates
    budget: int
    handover: float = 0.0
    skew: float = 0.0
    drafted: int = 0
    accepted: float = 1.0
    draft: "Engine | None" = None
    turns: float = 0.0
    depth: int = 0  # follows from the stages

    def __post_init__(self) -> None:
        force_setattr(self, "depth", sum(stage.count for stage in self.stages))

    def seconds(self, step: Step) -> float:
        """One step of all stages one after the other."""
        return sum(count * taken for count, taken in self.stage_times(step))

    def slowest(self, step: Step) -> float:
        """The longest of the stages: what a pipeline that is full goes at the pace of."""
        return reduce(most, (taken for _, taken in self.stage_times(step)))

    def stage_times(self, step: Step) -> list[tuple[int, float]]:
        """How many stages are alike, and seconds of one, handing on included."""
        hop, found = self.hop(step.tokens), []
        for stage in self.stages:
            busy = 0.0
            for work in stage.works:
                busy += cost(work, step, self.rates, self.skew).seconds
            found.append((stage.count, busy + stage.layers * self.rates.layer + hop))
        return found

    def hop(self, tokens: float) -> float:
        """Seconds that handing tokens on takes a stage; the last has no next."""
        if self.depth == 1:
            return 0.0
        sent = self.rates.message + tokens * self.handover / self.rates.link
        return sent * (self.depth - 1) / self.depth

    def held(self, sequences: float) -> float:
        """Sequences in one stage: a pipeline holds its share of them in each."""
        return most(sequences / self.depth, least(sequences, 1.0))

    def decode(self, sequences: float, context: float) -> float:
        """Seconds of one decode step."""
        times = self.stage_times(Step(self.held(sequences), context, self.drafted))
        drafting = 0.0 if self.draft is None else self.draft.decode(sequences, context)
        return self.paced(times, sequences, drafting)

    def paced(self, stages: list[tuple[int, float]], sequences: float, drafting: float) -> float:
        """Seconds of one decode step whose stages, and each drafted token, take so long.

        A token goes through all stages; where every stage has sequences of its own, their slowest sets the
        pace of all. What the server streams goes on beside it.
        """
        alone = sum(count * taken for count, taken in stages)
        if self.depth > 1:
            alone = most(alone, least(sequences, self.depth) * reduce(most, (taken for _, taken in stages)))
        alone += self.rates.step + self.rates.sequence * sequences + self.drafted * drafting
        return smooth_max(alone, self.rates.stream * sequences * self.accepted)

    def token(self, sequences: float, context: float) -> float:
        """Seconds from one token of a sequence to its next."""
        return self.decode(sequences, context) / self.accepted

    def prefill(self, prompts: float, length: float, history: float = 0.0) -> float:
        """Seconds until `prompts` of `length` new tokens are read, in chunks of the token budget."""
        if not some(length):
            return 0.0
        chunks = most(1, up(prompts * length / self.budget))
        # Pairs of query and key are linear in prompts, so shares of prompts stand for pieces of them.
        piece = Step(prompts=prompts / chunks, length=length, history=history)
        taken = self.seconds(piece)
        if self.depth > 1:
            pieces = most(chunks, least(prompts, self.depth))
            side_by_side = (taken + (pieces - 1) * self.slowest(piece)) / pieces
            taken = self.turns * taken + (1 - self.turns) * side_by_side
        return (length > 0) * chunks * (taken + self.rates.chunk)

    def marginal(
        self,
        sequences: float,
        context: float,
        length: float,
        history: float = 0.0,
        alone: float | None = None,
    ) -> float:
        """Seconds that one prompt of `length` adds to the steps of `sequences` decoding ones.

        `alone`: seconds of such a step's stages without a prompt, where they are known already.
        """
        if not length:
            return 0.0
        chunks = max(1.0, length / self.budget)
        piece = length / chunks
        if alone is None:
            alone = self.seconds(Step(sequences, context, self.drafted))
        mixed = self.seconds(
            Step(sequences, context, self.drafted, 1, piece, history + (length - piece) / 2, 1 / chunks)
        )
        return chunks * (mixed - alone) + self.rates.chunk * length / self.budget


class Tally(Struct):
    """Work, traffic and time of a run, added up over its steps."""

    flops: float = 0.0
    bytes: float = 0.0
    sent: float = 0.0
    compute_limit: float = 0.0  # seconds at datasheet peak
    times: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BOUNDS, 0.0))

    def add(self, engine: Engine, step: Step, times: float, overhead: float) -> None:
        """`times` steps of this kind, each with `overhead` seconds beside the layers' own."""
        rates = engine.rates
        for stage in engine.stages:
            for work in stage.works:
                found = cost(work, step, rates, engine.skew)
                self._count(found, times * stage.count, rates.peak(work.bits))
            self.times["overhead"] += times * stage.count * stage.layers * rates.layer
        self.times["overhead"] += times * overhead

    def _count(self, found: Cost, times: float, peak: float) -> None:
        self.flops += times * found.flops
        self.bytes += times * found.bytes
        self.sent += times * found.sent
        self.compute_limit += times * found.flops / peak
        seconds, place = times * found.seconds, found.place
        for index, bound in enumerate(BOUNDS[:3]):  # launches are counted by themselves
            self.times[bound] += seconds * (place == index)

    @property
    def bottleneck(self) -> str:
        """What most of the time goes to."""
        return max(self.times, key=lambda bound: self.times[bound])

    @property
    def shares(self) -> dict[str, float]:
        """Shares of the time by what bounds it."""
        whole = sum(self.times.values()) or 1.0
        return {bound: time / whole for bound, time in self.times.items()}


def floor(works: Iterable[Work], step: Step, rates: Rates) -> float:
    """Seconds that no device can beat: every byte at full bandwidth, every product at the peak."""
    size = compute = 0.0
    for work in works:
        found = cost(work, step, rates)
        if work.kind != "elementwise":
            size += found.bytes
        compute += found.flops / rates.peak(work.bits)
    return max(size / rates.peak_bandwidth, compute)
