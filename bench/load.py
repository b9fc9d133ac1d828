"""`make load`: requests a second that the service holds, beside a bare Flask echo under the same gunicorn.

Both run at once, two workers each, and take turns under the same client with the same bodies, so whatever
else the machine does meets both. The service has its request ids, metrics and log on (the log goes to a
file); no two bodies in a row are alike, and nothing remembers answers. The echo answers with what it got.
The rates compared are the best of each, since whatever disturbs a round only makes it slower.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

from test_api import free_port

from .client import Address, Outcome, for_answers, for_seconds, hammer, post

ROOT = Path(__file__).parents[1]
LEAST_RATIO, MOST_SPREAD = 0.43, 5.0
CONNECTIONS = 8
MODELS = ("Qwen3-8B", "Qwen3-0.6B", "Llama-3.1-8B", "DeepSeek-V3", "Mixtral-8x7B-v0.1", "gemma-2-9b")


class Running(NamedTuple):
    """A gunicorn that serves: where, and the process id of its master."""

    address: Address
    pid: int


@contextmanager
def serving(*command: str, log: Path, workers: int = 2) -> Iterator[Running]:
    """A gunicorn of some workers, its log in a file, once it answers."""
    port = free_port()
    bound = {"HOST": "127.0.0.1", "PORT": str(port), "LLM_ESTIMATE_WORKERS": str(workers)}
    own = {"LLM_ESTIMATE_ACCESS_LOG": "true", "LLM_ESTIMATE_DATA": str(log.parent), "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **bound, **own}
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stderr=file)
    try:
        _await(port, process, log)
        yield Running(("127.0.0.1", port), process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _await(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urlopen(f"http://127.0.0.1:{port}/health", timeout=10).close()
            return
        except HTTPError:
            return  # the echo has no such path
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def bodies() -> Iterator[bytes]:
    """Requests that all differ, over models of several kinds."""
    for number in itertools.count(1):
        model = MODELS[number % len(MODELS)]
        asked = {"model_name": model, "batch_size": number % 64 + 1, "sequence_length": 64 + number % 1900}
        yield json.dumps({**asked, "gpu": "H100-80GB"}).encode()


def requests(path: str, distinct: int = 20_000) -> Iterator[bytes]:
    """Ready requests, made beforehand, for as long as anyone asks."""
    return itertools.cycle([post(path, body) for body in itertools.islice(bodies(), distinct)])


def measure(rounds: int, seconds: float, connections: int) -> list[tuple[Outcome, Outcome]]:
    """Pairs of rounds, echo and service, in turns."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        echo = stack.enter_context(serving("-m", "bench.echo_server", log=folder / "echo.log"))
        service = stack.enter_context(serving("server.py", log=folder / "service.log"))
        asked = [(echo.address, requests("/echo")), (service.address, requests("/api/memory/inference"))]
        for address, sent in asked:  # warm: every worker has read every model
            hammer(address, sent, connections, for_answers(2000))
        turns = [[_round(*each, seconds, connections) for each in asked] for _ in range(rounds)]
    return [(echo, service) for echo, service in turns]


def _round(address: Address, sent: Iterator[bytes], seconds: float, connections: int) -> Outcome:
    outcome = hammer(address, sent, connections, for_seconds(seconds))
    if set(outcome.statuses) != {200} or outcome.broken:
        raise RuntimeError(f"not all went well: {outcome.statuses}, {outcome.broken} broken connections")
    return outcome


def _line(name: str, outcome: Outcome) -> str:
    times = "  ".join(f"p{share} {outcome.percentile(share / 100) * 1e3:6.2f}" for share in (50, 90, 99))
    client = outcome.client_time / outcome.elapsed
    return f"{name:<8} {outcome.rate:8,.0f} requests/s   {times} ms   client {client:4.0%} of a core"


def main() -> int:
    """Measure, print, and say by the exit code whether the limits hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    options = parser.parse_args()
    print(f"{options.connections} connections, 2 workers of 4 threads, {os.cpu_count()} cores\n")
    pairs = measure(options.rounds, options.seconds, options.connections)
    for echo, service in pairs:
        print(_line("echo", echo), _line("service", service), sep="\n")
    ratio = max(service.rate for _, service in pairs) / max(echo.rate for echo, _ in pairs)
    spread = statistics.median(service.percentile(0.99) / service.percentile(0.5) for _, service in pairs)
    print(f"\nservice over echo, best round of each: {ratio:.1%} (at least {LEAST_RATIO:.0%})")
    print(f"p99 over p50 of the service: {spread:.1f} (at most {MOST_SPREAD:.0f})")
    good = ratio >= LEAST_RATIO and spread <= MOST_SPREAD
    print("ok" if good else "MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
