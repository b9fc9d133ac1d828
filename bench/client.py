"""A load client of one thread: kept-alive connections, each sending its next request when it has its answer.

It knows only as much HTTP as the service speaks, so that a request costs it a few microseconds and the server
is what gets measured.
"""

import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass(slots=True)
class Outcome:
    """What came of a round: answers by status, connections that broke, times [s] of the answers."""

    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    times: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    client_time: float = 0.0  # processor time of the client itself [s]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.elapsed

    def percentile(self, share: float) -> float:
        """The time [s] that a share of the answers keeps."""
        return sorted(self.times)[min(int(share * len(self.times)), len(self.times) - 1)]


class _Connection:
    """One socket with one request under way."""

    def __init__(self, address: Address) -> None:
        self.socket = socket.create_connection(address, timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.since = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.since = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int:
        """The status once the answer is whole, 0 before; raises ConnectionError where none will come."""
        part = self.socket.recv(262_144)
        if not part:
            raise ConnectionError("closed before the answer")
        self.received += part
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return 0
        start = self.received.find(b"Content-Length: ", 0, head)
        length = int(self.received[start + 16 : self.received.find(b"\r", start)]) if start > 0 else 0
        return int(self.received[9:12]) if len(self.received) >= head + 4 + length else 0


def get(path: str) -> bytes:
    """A request as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def hammer(
    address: Address, requests: Iterator[bytes], connections: int, enough: Callable[[Outcome], bool]
) -> Outcome:
    """Send requests over some connections until `enough` says so; then wait for what is under way."""
    outcome, poller = Outcome(), select.epoll()
    open_ones: dict[int, _Connection] = {}

    def begin() -> None:
        connection = _Connection(address)
        open_ones[connection.socket.fileno()] = connection
        poller.register(connection.socket, select.EPOLLIN)
        connection.send(next(requests))

    def end(number: int) -> None:
        poller.unregister(number)
        open_ones.pop(number).socket.close()

    started, processor = time.perf_counter(), time.process_time()
    for _ in range(connections):
        begin()
    while open_ones:
        for number, _ in poller.poll():
            connection = open_ones[number]
            try:
                status = connection.receive()
                if not status:
                    continue
                outcome.times.append(time.perf_counter() - connection.since)
                outcome.statuses[status] += 1
                if enough(outcome):
                    end(number)
                else:
                    connection.send(next(requests))
            except ConnectionError:
                outcome.broken += 1
                end(number)
                if not enough(outcome):
                    begin()
    outcome.elapsed = time.perf_counter() - started
    outcome.client_time = time.process_time() - processor
    poller.close()
    return outcome


def for_seconds(seconds: float) -> Callable[[Outcome], bool]:
    """Enough once some seconds have gone by."""
    until = time.perf_counter() + seconds
    return lambda _: time.perf_counter() >= until


def for_answers(count: int) -> Callable[[Outcome], bool]:
    """Enough once there are so many answers."""
    return lambda outcome: len(outcome.times) >= count
