"""Latency under load in closed form: continuous batching fed by a Poisson stream or by a closed loop.

A step of c decoding sequences takes s(c), and T longer for each prompt that came meanwhile. In the mean a
step lasts S = s / (1 - lambda T), a request takes part in n of them, so c = lambda n S. What can be
sustained is 1 / (T + n s(room) / room). A request waits for the rest of the running step, then for its own
step and the prompts that came in the same gate. A long step lets more prompts come than a short one, so the
gaps after a request's own long first step are longer than the mean: rho = lambda T of its excess, rho^2 of
it, and so on, which adds (G - S) rho / (1 - rho) to a request whose first step took G.
"""

from collections.abc import Callable
from functools import cache
from math import exp, log, pi, sqrt
from typing import Final

from msgspec.structs import replace

from .estimate import Flow
from .percentiles import percentiles
from .replica import CLOSE, Point, Service, service_of
from .setup import Setup
from .tails import capped

SECANTS: Final = 12
AHEAD: Final = 2.0  # times the least that may decode: where the search looks first
SETTLED: Final = 5e-4  # of the sequences: where the search stops
SETTLED_SHARE: Final = 0.2  # of a run's requests that are its first: fewer, and its start does not count
SHORT: Final = 2.3  # short answers share the excess among fewer gaps


def poisson(setup: Setup, rate: float, service: Service | None = None) -> Flow:
    """A Poisson stream of `rate` requests/s over all replicas, each of them `service` [as set up]."""
    service = service or service_of(setup)
    mine = rate / setup.replicas
    sustainable = service.sustainable()
    load = mine / sustainable
    served = min(mine, sustainable)
    point = settle_open(service, served) if load < 1 else at_room(service, served)
    wait = _queue(service, point, load) if load < 1 else _backlog(mine, sustainable, setup)
    return _flow(setup, service, point, wait, load, sustainable, served * setup.replicas)


def closed(setup: Setup, concurrency: int, service: Service | None = None) -> Flow:
    """A closed loop of `concurrency` requests over all replicas: each answer is followed by a request.

    `service`: one replica, where it is known already.
    """
    service = service or service_of(setup)
    mine = concurrency / setup.replicas
    inside = min(mine, float(service.room))
    sustainable = service.sustainable()
    point = settle_closed(service, inside)
    wait = max(0.0, mine - inside) / point.rate
    load = point.rate / sustainable
    flow = _flow(setup, service, point, wait, min(load, 1.0), sustainable, point.rate * setup.replicas)
    requests = max(setup.request.num_requests / setup.replicas, 1.0)
    first = (min(1.0, mine / requests) - SETTLED_SHARE) / (1 - SETTLED_SHARE)
    return flow if first <= 0 else _with_start(setup, service, flow, inside, min(mine, requests), first)


def _with_start(
    setup: Setup, service: Service, flow: Flow, inside: float, requests: float, share: float
) -> Flow:
    """A short run: `share` of its requests are those that all come at once at its start.

    Their prompts are read chunk by chunk. Who was read early writes a token in each of the steps that read
    the others, and then one in each bare step.
    """
    held = min(inside, requests)
    chunks = max(1.0, held * service.prompt / service.engine.budget)
    slow = service.step(held / 2) + service.read(held / 2) * held / chunks
    bare = service.step(held)
    late = (chunks - 1) / 2  # steps that read others, in the mean
    waves = (requests - held) ** 2 / (2 * requests) / max(flow.requests_per_s / setup.replicas, CLOSE)
    ttft = service.start + (late + 1) * slow + waves
    kept = setup.engine.accepted
    steps = service.steps
    stay = min(late, steps) * slow + max(0.0, steps - late) * bare
    gap = stay / steps if steps else 0.0
    long = bare + (slow - bare) * capped(late / steps, service.cv) if steps else 0.0

    def mixed(start: float, settled: float) -> float:
        return share * start + (1 - share) * settled

    return replace(
        flow,
        ttft=mixed(ttft, flow.ttft),
        itl=mixed(gap / kept, flow.itl),
        tpot=mixed(long / kept, flow.tpot),
        e2e=mixed(ttft + stay, flow.e2e),
    )


def settle_open(service: Service, rate: float) -> Point:
    """The sequences that a rate keeps decoding: c = rate x (n s(c) / (1 - rate T) + excess)."""

    def excess(sequences: float) -> float:
        point = _at(service, sequences, rate)
        return sequences - rate * point.stay(service.steps)

    room = float(service.room)
    low = min(-excess(0.0), room)  # what would decode if steps were as short as alone: never more than do
    high = min(AHEAD * low + 1, room)
    if high < room and excess(high) < 0:
        low, high = high, room
    return _at(service, root(excess, low, high), rate)


def settle_closed(service: Service, inside: float) -> Point:
    """The sequences that decode while the others of a closed loop wait for their first token."""

    def excess(sequences: float) -> float:
        point = _in_loop(service, sequences)
        return sequences + point.rate * first_token(service, point) - inside

    if not service.steps:
        return _in_loop(service, inside)
    return _in_loop(service, root(excess, 0.0, inside))


def at_room(service: Service, rate: float) -> Point:
    """A replica that is full."""
    return _at(service, float(service.room), rate)


def _at(service: Service, sequences: float, rate: float) -> Point:
    step, read = service.step(sequences), service.read(sequences)
    cut = min(1.0, service.prompt / service.engine.budget) / 2
    point = _point(sequences, step, read, rate, cut)
    if sequences >= service.room:
        return point
    # Prompts of one gate begin to decode together: arrivals in bunches, so a sequence meets its own bunch.
    bunch = 1 + min(point.rate * point.second_moment / point.mean_step, sequences)
    return _point(sequences, service.met_step(sequences, bunch), read, rate, cut)


def _point(sequences: float, step: float, read: float, rate: float, cut: float) -> Point:
    return Point(sequences, step, read, step / max(1 - rate * read, CLOSE), rate, cut=cut)


def _in_loop(service: Service, sequences: float) -> Point:
    """Prompts come as fast as answers end: S = s + c T / n."""
    step, read = service.step(sequences), service.read(sequences)
    if not service.steps:
        return Point(0.0, step, read, step + read, 1 / (read + service.engine.rates.step), True)
    reading = sequences * read / service.steps
    mean = step + reading
    # Answers of one length that began in one step end in one step, and so do the requests that follow. A
    # prompt that does not fit whole beside them is read to its end in the next step and stays apart, unless
    # steps are mostly busy with prompts (the share is read off simulations).
    whole, rest = divmod(service.engine.budget - 1, max(service.prompt, 1))
    cut = rest / max(service.prompt, 1) * min(1.0, 2 * reading / mean)
    together = (whole + cut) / (1 + service.cv * service.steps)
    return Point(
        sequences,
        step,
        read,
        mean,
        sequences / (service.steps * mean),
        True,
        bunch=min(sequences, together),
    )


def root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function is zero, by false position (Illinois); `high` where it is nowhere.

    >>> round(root(lambda x: x * x - 2, 0.0, 2.0), 3)
    1.414
    """
    below, above = excess(low), excess(high)
    if above <= 0 or below >= 0:
        return high if above <= 0 else low
    for _ in range(SECANTS):
        middle = (low * above - high * below) / (above - below)
        value = excess(middle)
        if abs(value) <= SETTLED * max(middle, 1.0):
            return middle
        if value < 0:
            low, below, above = middle, value, above / 2
        else:
            high, above, below = middle, value, below / 2
    return middle


def first_token(service: Service, point: Point) -> float:
    """Mean seconds to the first token, once admitted."""
    if point.loop:
        return service.start + point.own_step
    busy = 1 - exp(-point.sequences - point.reading)
    return service.start + busy * point.second_moment / (2 * point.mean_step) + point.own_step


def _queue(service: Service, point: Point, load: float) -> float:
    """Wait for a place among `room`: those beyond it queue as in a birth and death process.

    Sequences are nearly normal around their mean, the wider the more a step slows with them; beyond the room
    their number falls by the load for each.
    """
    room, mean = service.room, point.sequences
    if mean < 1 or room < 2 or not service.steps:
        return 0.0
    full = _at(service, float(room), point.rate).stay(service.steps)
    slowing = log(full / point.stay(service.steps)) / log(room / mean) if room > mean else 1.0
    variance = mean / max(1 - slowing, 1 - load)
    density = exp(-((room - mean) ** 2) / (2 * variance)) / sqrt(2 * pi * variance)
    return density * load / (1 - load) ** 2 / point.rate


def _backlog(rate: float, sustainable: float, setup: Setup) -> float:
    """Mean wait of the requests asked for when they come faster than they can be answered."""
    return (1 / sustainable - 1 / rate) * setup.request.num_requests / setup.replicas / 2


def _flow(
    setup: Setup, service: Service, point: Point, wait: float, load: float, sustainable: float, rate: float
) -> Flow:
    ttft = wait + first_token(service, point)
    stay = point.stay(service.steps)
    gap = 1 / (service.steps * setup.engine.accepted) if service.steps else 0.0
    whole = ttft + stay
    return Flow(
        ttft=ttft,
        tpot=gap * (stay + SHORT * service.cv**2 * point.excess),
        itl=gap * stay,
        e2e=whole,
        requests_per_s=rate,
        in_flight=point.sequences,
        waiting=point.rate * wait,
        saturation=load,
        sustainable=sustainable * setup.replicas,
        spread=cache(lambda: percentiles(setup, service, point, ttft, load)),
    )
