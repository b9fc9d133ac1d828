"""One replica as a queue sees it, and where a load settles on it."""

from math import sqrt
from typing import Final

from msgspec import Struct

from .decoding import DecodeTimes
from .setup import Setup
from .step import Engine

CLOSE: Final = 1e-4
MOST_ROOM: Final = 2**14  # sequences; what no memory bounds


class Service(Struct, frozen=True):
    """One replica as a queue sees it: seconds of a step by sequences, of a prompt in it (`read_at`: beside
    one sequence and beside a full room).

    `steps`: steps of a request after its first token. `room`: sequences at once. `start`: seconds of each
    request beside the engine.
    """

    engine: Engine
    context: float
    prompt: int
    cached: int
    steps: float
    room: int
    start: float
    cv: float
    read_at: tuple[float, float]
    times: DecodeTimes

    def step(self, sequences: float) -> float:
        """Seconds of a step without prompts."""
        return self.times(max(sequences, 1.0))

    def met_step(self, sequences: float, bunch: float) -> float:
        """The same as a sequence meets it, where the others come in bunches of so many around the mean."""
        wide = sqrt(sequences * bunch)
        most = min(sequences + bunch + wide, self.room)
        return (self.step(sequences + bunch - wide) + self.step(most)) / 2

    def read(self, sequences: float) -> float:
        """Seconds that a prompt adds: nearly a straight line in the sequences it is read beside."""
        alone, full = self.read_at
        return alone + (full - alone) * sequences / self.room

    def sustainable(self) -> float:
        """Requests/s that one replica can go on with."""
        read = self.read(self.room)
        return 1 / (read + self.steps * self.step(self.room) / self.room)


class Point(Struct, frozen=True):
    """Where the queue settles: sequences, seconds of a bare step, of a prompt, of a mean step, the rate.

    `loop`: requests come when others end, at the end of a step. `cut`: share of a gate's prompts that the
    token budget leaves for the next step, where those before them already decode. `bunch`: prompts that a
    step reads with a request's own, where answers of one length keep a loop's requests together.
    """

    sequences: float
    step: float
    read: float
    mean_step: float
    rate: float
    loop: bool = False
    cut: float = 0.0
    bunch: float = 0.0

    @property
    def reading(self) -> float:
        """Share of the time that prompts are read."""
        return min(self.rate * self.read, 1 - CLOSE)

    @property
    def second_moment(self) -> float:
        """Of the length of a step: prompts come as a Poisson stream."""
        spread = self.rate * self.mean_step * self.read**2 / (1 - self.reading**2)
        return self.mean_step**2 + spread

    @property
    def own_step(self) -> float:
        """Seconds of the step that reads a request's own prompt, and those that came with it."""
        beside = self.mean_step if self.loop else self.second_moment / self.mean_step
        return self.step + self.read * max(1 + self.rate * beside, self.bunch)

    @property
    def excess(self) -> float:
        """Seconds that a request's gaps are longer in all than as many mean steps."""
        if self.loop:
            return 0.0
        return (1 + self.cut) * (self.own_step - self.mean_step) * self.reading / (1 - self.reading)

    def stay(self, steps: float) -> float:
        """Seconds from the first token to the last."""
        return steps * self.mean_step + self.excess if steps else 0.0


def service_of(setup: Setup) -> Service:
    """The replica that a setup describes."""
    engine, room = setup.engine, min(setup.room, MOST_ROOM)
    times = DecodeTimes(engine, setup.context)
    alone, full = (
        engine.marginal(beside, setup.context, setup.prompt, setup.cached, times.all_stages(beside))
        for beside in (1.0, float(room))
    )
    return Service(
        engine,
        setup.context,
        setup.prompt,
        setup.cached,
        (setup.output - 1) / engine.accepted,
        room,
        engine.rates.start,
        setup.request.length_cv,
        (alone, full),
        times,
    )
