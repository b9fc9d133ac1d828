"""Under gunicorn: processor time of one worker a request, its memory, and the time to the first answer."""

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from test_api import free_port

from .inside import BODY, Row

ROOT = Path(__file__).parents[1]
REQUESTS, ROUNDS = 400, 5


@contextmanager
def server(*arguments: str, **environment: str) -> Iterator[tuple[str, int, float]]:
    """A gunicorn of one worker: its URL, the worker's process id, seconds to the first answer."""
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        settings = {"PORT": str(port), "LLM_ESTIMATE_WORKERS": "1", "LLM_ESTIMATE_DATA": data, **environment}
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **settings}, stderr=subprocess.DEVNULL
        )
        try:
            waited = _await(port, started)
            yield f"http://127.0.0.1:{port}", _child_of(process.pid), waited
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _await(port: int, started: float) -> float:
    while time.monotonic() - started < 30:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            connection.getresponse().read()
            return time.monotonic() - started
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("the server did not start")


def _child_of(pid: int) -> int:
    """The one worker of a gunicorn."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return int(text.split()[0])


def processor_time(pid: int) -> float:
    """User and system time of a process so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Resident memory of a process [bytes]."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def per_request(url: str, pid: int, path: str, body: Any) -> float:
    """Processor time of the worker for one request [µs], best of some rounds over one connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    data, headers = json.dumps(body), {"Content-Type": "application/json"}

    def ask() -> None:
        connection.request("POST", path, data, headers)
        assert connection.getresponse().read()

    for _ in range(50):
        ask()
    found = []
    for _ in range(ROUNDS):
        before = processor_time(pid)
        for _ in range(REQUESTS * 5):
            ask()
        found.append((processor_time(pid) - before) / (REQUESTS * 5))
    return min(found) * 1e6


def rows() -> Iterator[Row]:
    """Each measured figure with its limit, where there is one."""
    with server("-m", "bench.echo_server") as (url, pid, _):
        bare = per_request(url, pid, "/echo", BODY)
    yield "bare Flask echo, gunicorn", bare, None
    with server("server.py") as (url, pid, waited):
        full = per_request(url, pid, "/api/memory/inference", BODY)
        held = resident(pid)
    yield "POST /api/memory/inference, gunicorn, ids and logs on", full, 2.3 * bare
    yield "start to first answer", waited * 1e6, 1.5e6
    yield "resident memory of a worker [MB]", held / 1e6, 90
