"""Walks every endpoint of a running server: `python test_api.py [URL]` prints what it got.

Without a URL, and under pytest, it starts a server of its own. A server that is not on loopback, or behind
a proxy, takes what writes only with its token: set LLM_ESTIMATE_TOKEN. Needs only the standard library.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LLAMA = {"model_type": "llama", "hidden_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8}

# method, path, body, expected status
STEPS: list[tuple[str, str, Any, int]] = [
    ("GET", "/health", None, 200),
    ("GET", "/api/health", None, 200),
    ("GET", "/health/live", None, 200),
    ("GET", "/health/ready", None, 200),
    ("GET", "/api/models?limit=3", None, 200),
    ("GET", "/api/models?search=qwen3&sort=-parameters&limit=2", None, 200),
    ("GET", "/api/models/Qwen3-0.6B", None, 200),
    ("GET", "/api/models/Qwen/Qwen3-0.6B?tensors=true&limit=5", None, 200),
    ("GET", "/api/models/Qwen3-7B", None, 404),
    ("POST", "/api/models/inspect", {"config": LLAMA}, 200),
    ("POST", "/api/models/inspect", {"config": {"hidden_size": 64}}, 422),
    ("POST", "/api/models", {"name": "walk-test", "config": LLAMA}, 201),
    ("POST", "/api/models", {"name": "walk-test", "config": LLAMA}, 409),
    ("GET", "/api/models/walk-test", None, 200),
    ("PUT", "/api/models/walk-test", {"config": {**LLAMA, "num_hidden_layers": 3}}, 200),
    ("POST", "/api/memory/inference", {"model_name": "walk-test"}, 200),
    ("DELETE", "/api/models/walk-test", None, 204),
    ("DELETE", "/api/models/Qwen3-0.6B", None, 403),
    ("GET", "/api/gpus?type=gpu&min_memory_gb=100", None, 200),
    ("GET", "/api/gpus/RTX-4090", None, 200),
    ("GET", "/api/gpus/RTX-4091", None, 404),
    ("GET", "/api/config/options", None, 200),
    ("POST", "/api/memory/inference", {"model_name": "Qwen3-0.6B", "gpu": "H100-80GB"}, 200),
    ("POST", "/api/memory/inference", {"model_size": 7, "precision": "float16"}, 200),
    ("POST", "/api/memory/inference", {"model_size": 7, "batch_siz": 2}, 400),
    ("GET", "/api/memory/inference", None, 405),
    ("POST", "/api/memory/training", {"model_name": "Qwen3-0.6B", "gradient_checkpointing": True}, 200),
    (
        "POST",
        "/api/memory/compare",
        {
            "calculation_type": "inference",
            "configurations": [
                {"model_name": "Qwen3-0.6B"},
                {"model_name": "Qwen3-0.6B", "batch_size": 8},
                {"model_name": "Qwen3-7B"},
            ],
        },
        200,
    ),
    ("POST", "/api/shares", {"state": "?mode=inference&model_name=Qwen3-0.6B"}, 201),
    ("POST", "/api/shares", {"state": "https://example.org/"}, 400),
    ("GET", "/s/AAAAAAAAAAAAAAAAAAAAAA", None, 404),
    ("POST", "/api/analytics", {"event": "walk", "type": "test", "duration": 1.5}, 202),
    ("GET", "/api/analytics/summary?days=1", None, 200),
    ("GET", "/api/history", None, 404),
    ("GET", "/openapi.json", None, 200),
    ("GET", "/docs", None, 200),
    ("GET", "/api/modles", None, 404),
]


def ask(
    url: str, method: str, path: str, body: Any = None, token: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, dict(reply.headers), reply.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def check(status: int, headers: dict[str, str], content: bytes) -> Any:
    """What holds of every answer: an id, JSON where it says so, the one shape of errors."""
    assert headers.get("X-Request-ID"), "no request id"
    if not headers.get("Content-Type", "").startswith("application/json"):
        return None
    answer = json.loads(content)
    if status >= 400:
        missing = {"error", "code", "status", "details", "request_id"} - set(answer)
        assert not missing, f"an error without {missing}"
        assert answer["status"] == status
        assert "Traceback" not in answer["error"]
    return answer


def walk(url: str, token: str = "") -> int:
    """Every step against a running server; returns how many went wrong."""
    wrong = 0
    for method, path, body, expected in STEPS:
        status, headers, content = ask(url, method, path, body, token)
        fault = "" if status == expected else f"  EXPECTED {expected}"
        try:
            check(status, headers, content)
        except (AssertionError, ValueError) as error:
            fault += f"  {error}"
        wrong += bool(fault)
        print(f"{status} {method:6} {path}{fault}")
        print(f"    {content[:300].decode(errors='replace')!s}" if content else "    (empty)")
    print(f"{len(STEPS) - wrong} of {len(STEPS)} steps as expected")
    return wrong


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str] | None = None, folder: Path | None = None, **environment: str
) -> Iterator[str]:
    """A server of our own on a free port, with a store of its own; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    root = folder or Path(__file__).parent
    with tempfile.TemporaryDirectory() as data, (Path(data) / "server.log").open("wb") as log:
        settings = {"PORT": str(port), "LLM_ESTIMATE_DATA": data, "LLM_ESTIMATE_WORKERS": "2", **environment}
        server = subprocess.Popen(
            command or [sys.executable, "server.py"], cwd=root, env={**os.environ, **settings}, stderr=log
        )
        try:
            _await(url, server, Path(data) / "server.log")
            yield url
        finally:
            server.terminate()
            server.wait(20)


def _await(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(150):
        if server.poll() is not None:
            break
        try:
            if ask(url, "GET", "/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-3000:]}")


def test_every_endpoint() -> None:
    """The walk against a server of our own."""
    with running() as url:
        assert walk(url) == 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(1 if walk(sys.argv[1].rstrip("/"), os.environ.get("LLM_ESTIMATE_TOKEN", "")) else 0)
    with running() as own:
        sys.exit(1 if walk(own) else 0)
