"""A seeded discrete-event simulation of continuous batching: what the closed forms are held against.

Every step takes all decoding sequences and, in order of arrival, as many tokens of waiting prompts as the
token budget leaves; a prompt that is read whole gives its first token at the end of that step.
"""

from collections import deque
from itertools import accumulate
from math import log
from typing import Final

from msgspec import Struct, field

from ..budget import turn
from .estimate import Flow, Quantiles
from .replica import Service, service_of
from .setup import Setup

WARM_UP: Final = 0.2  # of the requests: the queue fills before what is counted
CONTEXT_GRAIN: Final = 32  # tokens; steps of nearly equal context take the same time
_MASK: Final = 2**64 - 1


class Random:
    """Uniform numbers from a seed (splitmix64; Steele, Lea and Flood 2014)."""

    def __init__(self, seed: int) -> None:
        self.state = seed & _MASK

    def uniform(self) -> float:
        """The next number in (0, 1)."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) + 0.5) / 2**64

    def exponential(self, mean: float) -> float:
        """An exponential variable."""
        return -mean * log(self.uniform())

    def gamma(self, cv: float) -> float:
        """A gamma variable of mean 1: a sum of exponentials, the last of them a share."""
        if cv <= 0:
            return 1.0
        shape = 1 / (cv * cv)
        whole = int(shape)
        total = sum(self.exponential(1.0) for _ in range(whole))
        part = shape - whole
        return (total + (self._small_gamma(part) if part > 1e-9 else 0.0)) / shape

    def _small_gamma(self, shape: float) -> float:
        """Of a shape below 1 (Ahrens and Dieter 1974)."""
        bound = 1 + shape / 2.718281828459045
        while True:
            p = bound * self.uniform()
            if p <= 1:
                x = p ** (1 / shape)
                if self.uniform() <= 2.718281828459045**-x:
                    return float(x)
            else:
                x = -log((bound - p) / shape)
                if self.uniform() <= x ** (shape - 1):
                    return float(x)


class Served(Struct):
    """One request: when it came, what is left of its prompt and its answer, when its tokens came."""

    arrival: float
    unread: float
    steps: float
    first: float = 0.0
    last: float = 0.0
    done: float = 0.0


class Run(Struct):
    """One replica being simulated; times in seconds."""

    service: Service
    random: Random
    now: float = 0.0
    waiting: deque[Served] = field(default_factory=deque)
    decoding: list[Served] = field(default_factory=list)
    finished: list[Served] = field(default_factory=list)
    gaps: list[tuple[float, int]] = field(default_factory=list)
    known: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)

    def arrive(self, when: float) -> None:
        """A request comes."""
        steps = max(0.0, round(self.service.steps * self.random.gamma(self.service.cv)))
        self.waiting.append(Served(when, float(self.service.prompt), steps))

    def times(self) -> tuple[float, float]:
        """Seconds of a bare step of those who decode, and of a whole prompt in it."""
        count = len(self.decoding)
        context = self.service.context
        key = (count, round(context / CONTEXT_GRAIN))
        if key not in self.known:
            engine = self.service.engine
            bare = engine.decode(count, context) if count else self.service.step(1)
            if not count:
                bare = engine.rates.step + sum(s.count * s.layers for s in engine.stages) * engine.rates.layer
            self.known[key] = bare, self.service.read(count)
        return self.known[key]

    def step(self) -> None:
        """One step: prompts within the budget, and a token for everyone who decodes."""
        turn()
        bare, read = self.times()
        budget = max(1.0, self.service.engine.budget - len(self.decoding))
        places = self.service.room - len(self.decoding)
        begun: list[Served] = []
        seconds = bare
        while self.waiting and budget > 0 and places > 0:
            request = self.waiting[0]
            piece = min(budget, request.unread)
            seconds += read * piece / max(self.service.prompt, 1)
            budget -= max(piece, 1.0)
            request.unread -= piece
            if request.unread > 0:
                break
            begun.append(self.waiting.popleft())
            places -= 1
        self.now += seconds
        self._tokens(seconds, begun)

    def _tokens(self, seconds: float, begun: list[Served]) -> None:
        if self.decoding:
            self.gaps.append((seconds, len(self.decoding)))
        for request in self.decoding:
            request.steps -= 1
            request.last = self.now
        for request in begun:
            request.first = request.last = self.now
            request.done = request.steps
        self.decoding += begun
        self.finished += [request for request in self.decoding if request.steps <= 0]
        self.decoding = [request for request in self.decoding if request.steps > 0]


def simulate(setup: Setup) -> Flow:
    """Latencies of the requests asked for, under the request's load, on one replica of the deployment."""
    service = service_of(setup)
    run = Run(service, Random(setup.request.seed))
    requests = setup.request.num_requests
    rate, concurrency = setup.request.request_rate, setup.request.concurrency
    if concurrency is not None:
        _closed_loop(run, max(1, round(concurrency / setup.replicas)), requests)
    else:
        _open_stream(run, (rate or 1.0) / setup.replicas, requests)
    return _measured(setup, service, run)


def _open_stream(run: Run, rate: float, requests: int) -> None:
    gaps = [run.random.exponential(1 / rate) for _ in range(requests)]
    # Stretched to the mean asked for: near saturation a run of another rate is another question.
    stretch = requests / rate / sum(gaps)
    arrivals = deque(accumulate(gap * stretch for gap in gaps))
    while arrivals or run.waiting or run.decoding:
        if not run.waiting and not run.decoding:
            run.now = max(run.now, arrivals[0])
        while arrivals and arrivals[0] <= run.now:
            run.arrive(arrivals.popleft())
        run.step()


def _closed_loop(run: Run, concurrency: int, requests: int) -> None:
    issued = min(concurrency, requests)
    for _ in range(issued):
        run.arrive(0.0)
    while run.waiting or run.decoding:
        before = len(run.finished)
        run.step()
        for _ in range(len(run.finished) - before):
            if issued < requests:
                issued += 1
                run.arrive(run.now)


def _measured(setup: Setup, service: Service, run: Run) -> Flow:
    """What the requests after the warm-up saw."""
    ordered = sorted(run.finished, key=lambda request: request.arrival)
    kept = ordered[int(WARM_UP * len(ordered)) :]
    start = service.start
    first = [r.first - r.arrival + start for r in kept]
    whole = [r.last - r.arrival + start for r in kept]
    accepted = setup.engine.accepted
    per = [(r.last - r.first) / r.done / accepted for r in kept if r.done > 0] or [0.0]
    gaps = sorted(run.gaps[int(WARM_UP * len(run.gaps)) :]) or [(0.0, 1)]
    rate = _rate(kept) * setup.replicas
    sustainable = service.sustainable()
    offered = (setup.request.request_rate or rate) / setup.replicas
    weights = sum(weight for _, weight in gaps)
    mean_gap = sum(gap * weight for gap, weight in gaps) / weights / accepted
    ttft, e2e = _mean(first), _mean(whole)
    return Flow(
        ttft=ttft,
        tpot=_mean(per),
        itl=mean_gap,
        e2e=e2e,
        requests_per_s=rate,
        in_flight=weights / max(len(gaps), 1),
        saturation=offered / sustainable,
        sustainable=sustainable * setup.replicas,
        spread=lambda: {
            "ttft_ms": _quantiles([(value, 1) for value in first]),
            "tpot_ms": _quantiles([(value, 1) for value in per]),
            "itl_ms": _quantiles([(gap / accepted, weight) for gap, weight in gaps]),
            "e2e_latency_ms": _quantiles([(value, 1) for value in whole]),
        },
    )


def _rate(kept: list[Served]) -> float:
    """Answers that end while requests still come, a second."""
    begun, ended = kept[0].arrival, kept[-1].arrival
    inside = sum(begun <= request.last <= ended for request in kept)
    if inside < len(kept) / 2:
        ended = max(request.last for request in kept)
        inside = len(kept)
    return inside / max(ended - begun, 1e-9)


def _mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)


def _quantiles(values: list[tuple[float, int]]) -> Quantiles:
    ordered = sorted(values)
    whole = sum(weight for _, weight in ordered)
    shares = iter((0.5, 0.9, 0.99))
    found: list[float] = []
    share, seen = next(shares), 0
    for value, weight in ordered:
        seen += weight
        while len(found) < 3 and seen >= share * whole:
            found.append(value)
            share = next(shares, 2.0)
    found += [ordered[-1][0]] * (3 - len(found))
    return Quantiles(sum(v * w for v, w in ordered) / whole, found[0], found[1], found[2])
