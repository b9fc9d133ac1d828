"""The shipped nginx.conf before one replica: ids, refusals in the one shape, slow and idle clients."""

import http.client
import json
import re
import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from test_api import ask
from tests.servers import (
    PATIENCE,
    Nginx,
    Replica,
    folder_for,
    nginx_running,
    program,
    replica_running,
    wait_until,
)

from .files import DEPLOY

pytestmark = pytest.mark.servers
BODY = {"model_name": "Qwen3-0.6B"}


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    settings = {"LLM_ESTIMATE_PROXIES": "1", "LLM_ESTIMATE_RATE_LIMITS": "inspect=3"}
    with replica_running(LLM_ESTIMATE_WORKERS="1", LLM_ESTIMATE_THREADS="2", **settings) as server:
        yield server


@pytest.fixture(scope="module")
def front(replica: Replica) -> Iterator[Nginx]:
    with nginx_running(replica) as server:
        yield server


def _connection(front: Nginx) -> socket.socket:
    return socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE)


def _raw(front: Nginx, text: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to bytes as they are."""
    with _connection(front) as connection:
        connection.sendall(text)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def _still_answers(front: Nginx, times: int = 20) -> None:
    for _ in range(times):
        assert ask(front.url, "POST", "/api/memory/inference", BODY)[0] == 200


def test_one_id_in_the_answer_and_in_both_logs(front: Nginx, replica: Replica) -> None:
    headers = ask(front.url, "GET", "/health")[1]
    name = headers["X-Request-ID"]
    assert len(name) == 32
    wait_until(lambda: name in front.log and name in replica.log, "both logs have the id")
    line = next(line for line in front.log.splitlines() if name in line)
    assert json.loads(line)["path"] == "/health"


def test_it_does_not_say_what_it_is(front: Nginx) -> None:
    for path in ("/health", "/metrics"):
        headers = ask(front.url, "GET", path)[1]
        assert headers["Server"] in ("nginx", "gunicorn")


def test_metrics_are_not_for_the_world(front: Nginx) -> None:
    status, _, body = ask(front.url, "GET", "/metrics")
    assert (status, json.loads(body)["code"]) == (404, "not_found")


@pytest.mark.parametrize("size", [2 * 2**20, 5 * 2**20])
def test_a_body_too_large_is_refused_in_the_one_shape(front: Nginx, size: int) -> None:
    """By the service up to four MiB, by nginx above."""
    head = "POST /api/memory/inference HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {size}\r\nConnection: close\r\n\r\n"
    status, body = _raw(front, head.encode() + b" " * size)
    answer = json.loads(body)
    assert (status, answer["status"], answer["code"]) == (413, 413, "body_too_large")
    assert set(answer) == {"error", "code", "status", "details", "request_id"}


def test_without_replicas_the_answer_says_so() -> None:
    with folder_for("nginx") as folder:
        front = Nginx(folder, ["127.0.0.1:1"])
        front.answers = lambda: ask(front.url, "GET", "/health")[0] == 502  # type: ignore[method-assign]
        with front:
            status, headers, body = ask(front.url, "POST", "/api/memory/inference", BODY)
    answer = json.loads(body)
    assert (status, answer["code"], answer["request_id"]) == (502, "no_replica", headers["X-Request-ID"])


def test_the_examples_in_its_comments_are_right() -> None:
    """TLS in listen.conf, replicas of plain machines in upstream.conf."""
    with folder_for("nginx") as folder:
        subprocess.run(["/bin/sh", DEPLOY / "make-certificates.sh", folder / "tls"], check=True)
        Nginx(folder, []).command()
        for name in ("listen.conf", "upstream.conf"):
            text = (DEPLOY / "nginx" / name).read_text()
            example = "\n".join(re.findall(r"^#     (.*)$", text, re.MULTILINE))
            example = example.replace("/run/secrets/tls.crt", str(folder / "tls" / "cert.pem"))
            example = example.replace("/run/secrets/tls.key", str(folder / "tls" / "key.pem"))
            assert example
            (folder / name).write_text(example)
        command = [program("nginx"), "-t", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_slow_bodies_reach_no_replica(front: Nginx) -> None:
    """More of them than the replica has threads, each a byte at a time; the others do not notice."""
    head = b"POST /api/memory/inference HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with ExitStack() as opened:
        slow = [opened.enter_context(_connection(front)) for _ in range(50)]
        for each in slow:
            each.sendall(head + b"Content-Length: 1000\r\n\r\n")
        for byte in (b"{", b" ", b" "):
            for each in slow:
                each.sendall(byte)
            _still_answers(front)


def test_slow_headers_reach_no_replica(front: Nginx) -> None:
    with ExitStack() as opened:
        slow = [opened.enter_context(_connection(front)) for _ in range(50)]
        for byte in b"GET":
            for each in slow:
                each.sendall(bytes([byte]))
            _still_answers(front)


def test_slow_readers_hold_no_replica(front: Nginx) -> None:
    """They ask for much and read nothing of it."""
    with ExitStack() as opened:
        slow = [opened.enter_context(_connection(front)) for _ in range(50)]
        for each in slow:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        _still_answers(front, times=100)


def test_who_a_client_says_it_is_does_not_count(front: Nginx) -> None:
    """nginx says who asks: a client that writes another X-Forwarded-For each time is limited as one."""
    body = json.dumps({"config": {"model_type": "llama"}})
    statuses = []
    for number in range(12):
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=PATIENCE)
        headers = {"Content-Type": "application/json", "X-Forwarded-For": f"192.0.2.{number}"}
        connection.request("POST", "/api/models/inspect", body, headers)
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses[:3] == [200] * 3
    assert statuses.count(429) >= 3  # even where the minute ends in between


def test_ten_thousand_connections_opened_and_left(front: Nginx) -> None:
    with _many_files(10_500) as most, ExitStack() as opened:
        for _ in range(min(10_000, most - 500)):
            opened.enter_context(_connection(front))
        _still_answers(front, times=100)


class _many_files:
    """As many open files as this machine allows, up to a number."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted

    def __enter__(self) -> int:
        self.before = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = min(self.wanted, self.before[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(most, self.before[0]), self.before[1]))
        return most

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self.before)
