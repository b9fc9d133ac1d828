"""Clients that ask without pause, each over a connection of its own, and what they got."""

import http.client
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.servers import PATIENCE, wait_until

# method, path, body, status that is right
Step = tuple[str, str, Any, int]


class Load:
    """Clients at work: what was answered how often, and what went wrong."""

    def __init__(self, port: int, steps: Callable[[int], list[Step]], headers: dict[str, str]) -> None:
        self.port = port
        self.headers = {"Content-Type": "application/json", **headers}
        self.answered: Counter[str] = Counter()
        self.failures: list[str] = []
        self._steps = steps
        self._numbers = itertools.count()
        self._stopped = threading.Event()

    @property
    def total(self) -> int:
        """Right answers so far."""
        return sum(self.answered.values())

    def more(self, count: int) -> None:
        """Wait until so many more right answers have come."""
        goal = self.total + count
        wait_until(lambda: self.total >= goal, f"{count} more answers; wrong so far: {self.failures[:3]}")

    def work(self) -> None:
        """One client: a new connection for every round of steps, kept alive within it."""
        while not self._stopped.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            for step in self._steps(next(self._numbers)):
                self._ask(connection, *step)
            connection.close()

    def stop(self) -> None:
        """Let every client finish its round."""
        self._stopped.set()

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any, right: int
    ) -> None:
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self.headers)
            reply = connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(f"{method} {path}: {error!r}")
            connection.close()
            return
        if reply.status == right:
            self.answered[f"{method} {path}" if body is None else method] += 1
        else:
            self.failures.append(f"{method} {path}: {reply.status} {content[:200]!r}")


@contextmanager
def under_load(
    port: int, steps: Callable[[int], list[Step]], clients: int = 4, **headers: str
) -> Iterator[Load]:
    """Clients that ask until the context ends."""
    load = Load(port, steps, headers)
    threads = [threading.Thread(target=load.work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop()
        for thread in threads:
            thread.join(PATIENCE)
