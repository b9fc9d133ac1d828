"""Workers that are killed, and a service that is told to stop, while clients ask without pause."""

import http.client
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.servers import PATIENCE, Replica, replica_running, wait_until

from .clients import ESTIMATE, Clients, asking

pytestmark = pytest.mark.slow


def workers_of(replica: Replica) -> set[int]:
    """Process ids of a gunicorn's workers."""
    listed = Path(f"/proc/{replica.pid}/task/{replica.pid}/children").read_text()
    return {int(each) for each in listed.split()}


def test_a_killed_worker_costs_what_was_in_its_hands_and_nothing_else() -> None:
    """It is halted first: what then stays without an answer is what it had taken."""
    with replica_running() as replica:
        clients = Clients(replica.port, ESTIMATE)
        wait_until(lambda: len(workers_of(replica)) == 2, "two workers run")
        before = workers_of(replica)
        with asking(clients, each=8):
            clients.more(200)
            victim = min(before)
            os.kill(victim, signal.SIGSTOP)
            halted = time.monotonic()
            clients.more(200)
            in_its_hands = {each.client for each in clients.under_way if each.began < halted + 0.001}
            os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()
            wait_until(lambda: len(workers_of(replica) - {victim}) == 2, "another worker runs")
            print(f"another worker after {time.monotonic() - killed:.2f} s")
            clients.more(400)
        assert {each.client for each in clients.failed} <= in_its_hands
        assert all(each.began < killed for each in clients.failed), clients.failed
        assert len(clients.failed) == len({each.client for each in clients.failed})
        assert "Traceback" not in replica.log


def test_told_to_stop_under_load_it_loses_nothing() -> None:
    """Whoever was let in is answered; who comes later is refused, and so knows at once."""
    with replica_running() as replica:
        fresh = Clients(replica.port, ESTIMATE)
        kept = Clients(replica.port, ESTIMATE, kept_alive=True)
        items = [{**ESTIMATE, "batch_size": number % 64 + 1} for number in range(300)]
        compare = {"calculation_type": "inference", "configurations": items}
        slow = Clients(replica.port, compare, "/api/memory/compare")
        with asking(fresh, kept, slow, each=3):
            fresh.more(100)
            slow.more(3)
            assert replica.stop() == 0
            wait_until(lambda: fresh.refused == kept.refused == slow.refused == 3, "all are refused")
        for clients in (fresh, kept, slow):
            assert clients.failed == []
        print(f"{fresh.answered + kept.answered + slow.answered} answered, none lost")
        assert "Traceback" not in replica.log


def test_a_worker_told_to_stop_alone_leaves_the_door_open() -> None:
    """As gunicorn does when it lowers their number or loads anew: the socket is the others' too."""
    with replica_running() as replica:
        clients = Clients(replica.port, ESTIMATE)
        with asking(clients, each=4):
            clients.more(50)
            old = workers_of(replica)
            replica.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
            wait_until(
                lambda: len(workers_of(replica)) == 2 and not workers_of(replica) & old, "new workers run"
            )
            clients.more(100)
        assert clients.failed == []
        assert clients.refused == 0


def test_while_it_stops_it_says_so_to_those_who_are_in() -> None:
    with replica_running(LLM_ESTIMATE_WORKERS="1") as replica:
        connection = http.client.HTTPConnection("127.0.0.1", replica.port, timeout=PATIENCE)
        answers = [_ready(connection)]
        (worker,) = workers_of(replica)
        os.kill(worker, signal.SIGTERM)
        while answers[-1] == (200, "ok", None):
            answers.append(_ready(connection))
        assert answers[-1] == (503, "draining", "close")


def _ready(connection: http.client.HTTPConnection) -> tuple[int, str, str | None]:
    connection.request("GET", "/health/ready")
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read())["status"], _closing(reply)


def _closing(reply: http.client.HTTPResponse) -> str | None:
    said = reply.getheader("Connection", "")
    return "close" if said == "close" else None
