"""The time of day is set by years while the service runs: forward, back, and to the truth again."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import PATIENCE, Replica, folder_for, wait_until

from .clients import ESTIMATE

pytestmark = pytest.mark.slow
BROWSER = {"X-Browser-Id": secrets.token_urlsafe(24)}
YEAR = 365 * 86_400

# Python runs a module of this name before any other.
SITECUSTOMIZE = """
import os, time

_true, _file = time.time, os.environ["CLOCK_OFFSET_FILE"]

def _set() -> float:
    with open(_file) as file:
        return _true() + float(file.read())

time.time = _set
"""


class Jumping(Replica):
    """A replica whose time of day is this machine's plus what `set` says; intervals stay true."""

    name = "jumping"

    def environment(self) -> dict[str, str]:
        (self.folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
        own = {"PYTHONPATH": str(self.folder), "CLOCK_OFFSET_FILE": str(self.folder / "offset")}
        return {**super().environment(), **own}

    def set(self, seconds: float) -> None:
        (self.folder / "new").write_text(str(seconds))
        (self.folder / "new").replace(self.folder / "offset")


@pytest.fixture
def replica() -> Iterator[Jumping]:
    with folder_for("clock") as folder:
        made = Jumping(folder, LLM_ESTIMATE_HISTORY="true")
        made.set(0)
        with made:
            yield made


class Straight(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like another."""

    def redirect_request(self, *_: object) -> None:
        return None


def ask(url: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and, of JSON, the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {**BROWSER, "Content-Type": "application/json"})
    try:
        with urllib.request.build_opener(Straight).open(request, timeout=PATIENCE) as reply:
            is_json = reply.headers["Content-Type"] == "application/json"
            return reply.status, json.loads(reply.read()) if is_json else None
    except urllib.error.HTTPError as error:
        return error.code, None


def test_years_forward_and_back(replica: Jumping) -> None:
    url = replica.url
    share = ask(url, "/api/shares", {"state": "?a=1"})[1]["url"]
    assert ask(url, share)[0] == 302
    asked = 0
    for years, while_so in ((0, 302), (10, 410), (-20, 302), (0, 302)):
        replica.set(years * YEAR)
        for _ in range(10):
            assert ask(url, "/api/memory/inference", ESTIMATE)[0] == 200
            asked += 1
        assert ask(url, share)[0] == while_so  # it is past its time only while the clock says so
        assert ask(url, "/health/ready")[0] == 200
        assert 0 <= ask(url, "/health")[1]["uptime"] < 3600
        assert ask(url, "/metrics")[0] == 200
        expected = asked
        wait_until(lambda: ask(url, "/api/history")[1]["total"] == expected, "all is kept")  # noqa: B023
    assert ask(url, share)[0] == 302
    assert replica.stop() == 0
    assert "Traceback" not in replica.log
