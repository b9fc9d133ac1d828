"""Clients that ask without pause, and remember for every request when it began and how it ended."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.servers import PATIENCE, wait_until

ESTIMATE = {"model_name": "Qwen3-0.6B", "gpu": "H100-80GB"}


@dataclass
class Asked:
    """One request of one client; `problem` is None once it was answered as it should be."""

    client: int
    began: float
    done: bool = False
    problem: str | None = None


@dataclass
class Clients:
    """Threads at work on one port."""

    port: int
    body: dict[str, Any]
    path: str = "/api/memory/inference"
    kept_alive: bool = False
    requests: list[Asked] = field(default_factory=list)
    refused: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def answered(self) -> int:
        return sum(each.done and each.problem is None for each in self.requests)

    @property
    def failed(self) -> list[Asked]:
        return [each for each in self.requests if each.problem is not None]

    @property
    def under_way(self) -> list[Asked]:
        return [each for each in self.requests if not each.done]

    def more(self, count: int) -> None:
        """Wait until so many more answers have come."""
        goal = self.answered + count
        wait_until(lambda: self.answered >= goal, f"{count} more answers")

    def work(self, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        for number in itertools.count(1):
            if self._stop.is_set():
                break
            if connection.sock is None:
                try:
                    connection.connect()
                except ConnectionRefusedError:
                    self.refused += 1
                    break
            self._ask(connection, client, number)
            if not self.kept_alive:
                connection.close()
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, client: int, number: int) -> None:
        asked = Asked(client, time.monotonic())
        self.requests.append(asked)
        body = json.dumps(
            {**self.body, "batch_size": number % 64 + 1} if "model_name" in self.body else self.body
        )
        try:
            connection.request("POST", self.path, body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            content = reply.read()
            if reply.status != 200:
                asked.problem = f"{reply.status} {content[:200]!r}"
        except (OSError, http.client.HTTPException) as error:
            asked.problem = repr(error)
            connection.close()
        asked.done = True

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def asking(*clients: Clients, each: int) -> Iterator[None]:
    """So many threads for each kind of client, until the context ends."""
    threads = [
        threading.Thread(target=kind.work, args=(number,)) for kind in clients for number in range(each)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for kind in clients:
            kind.stop()
        for thread in threads:
            thread.join(PATIENCE)
