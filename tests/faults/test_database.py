"""The database goes away and comes back: estimates go on, what needs it says 503, all by itself."""

import json
import secrets
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.servers import PATIENCE, postgresql_running, replica_running, wait_until

from .clients import ESTIMATE, Clients, asking

pytestmark = pytest.mark.servers
BROWSER = {"X-Browser-Id": secrets.token_urlsafe(24)}


def ask(url: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and answer of one request of one browser."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {**BROWSER, "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_estimates_go_on_without_the_database_and_the_rest_recovers_by_itself() -> None:
    with (
        postgresql_running() as database,
        replica_running(DATABASE_URL=database.new_database(), LLM_ESTIMATE_HISTORY="true") as replica,
    ):
        url = replica.url
        assert ask(url, "/api/memory/inference", ESTIMATE)[0] == 200
        wait_until(lambda: ask(url, "/api/history")[1].get("total") == 1, "the estimate is in the history")
        assert ask(url, "/health/ready")[1]["status"] == "ok"
        clients = Clients(replica.port, ESTIMATE)
        with asking(clients, each=3):
            clients.more(50)
            database.stop()
            clients.more(150)
            for path, body in (("/api/history", None), ("/api/shares", {"state": "?a=1"})):
                status, answer = ask(url, path, body)
                assert (status, answer["code"]) == (503, "store_unavailable"), path
            status, answer = ask(url, "/health/ready")
            assert (status, answer["status"]) == (200, "degraded")
            assert answer["failures"]
            clients.more(50)
            database.start()
            wait_until(lambda: ask(url, "/api/history")[0] == 200, "history answers again")
            wait_until(lambda: ask(url, "/health/ready")[1]["status"] == "ok", "it is ready again")
            clients.more(50)
        assert clients.failed == []
        assert ask(url, "/api/shares", {"state": "?a=1"})[0] == 201
        assert "Traceback" not in replica.log


def test_it_starts_without_the_database_and_finds_it_later() -> None:
    with postgresql_running() as database:
        where = database.new_database()
        database.stop()
        with replica_running(DATABASE_URL=where) as replica:
            assert ask(replica.url, "/api/memory/inference", ESTIMATE)[0] == 200
            assert ask(replica.url, "/health/ready")[0] == 503  # it was never there: not yet ready
            database.start()
            wait_until(lambda: ask(replica.url, "/health/ready")[0] == 200, "it is ready")
            assert ask(replica.url, "/api/shares", {"state": "?a=1"})[0] == 201
