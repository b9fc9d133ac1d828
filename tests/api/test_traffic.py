"""Around every request: ids, security headers, a JSON line in the log, CORS only where set."""

import json
import logging
import os
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.api.application import create_app
from app.api.traffic import JsonLines
from app.settings import read_settings

from .conftest import AppMaker


def test_a_given_id_comes_back(client: FlaskClient) -> None:
    assert client.get("/health", headers={"X-Request-ID": "abc-1.2"}).headers["X-Request-ID"] == "abc-1.2"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a;b"])
def test_a_bad_id_is_replaced(client: FlaskClient, given: str) -> None:
    found = client.get("/health", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert found != given
    assert len(found) == 16


def test_ids_differ(client: FlaskClient) -> None:
    assert len({client.get("/health").headers["X-Request-ID"] for _ in range(20)}) == 20


@pytest.mark.parametrize("path", ["/health", "/nothing", "/api/gpus"])
def test_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """Of an application with secrets, that writes its log."""
    folder = tmp_path_factory.mktemp("data")
    settings = read_settings({}, data_folder=folder, hub_offline=True, token="hush-1", hub_token="hush-2")
    return create_app(settings).test_client()


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What the access log has got since the last look."""
    return [json.loads(line) for line in captured.readouterr().err.splitlines() if '"event"' in line]


def test_a_line_for_every_request(logged: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    logged.get("/api/models/Qwen3-7B", headers={"X-Request-ID": "seen"})
    logged.get("/health")
    first, second = lines(capfd)
    assert first["request_id"] == "seen"
    assert (first["method"], first["path"], first["status"]) == ("GET", "/api/models/Qwen3-7B", 404)
    assert first["ms"] >= 0
    assert (second["level"], second["event"], second["path"]) == ("info", "request", "/health")


def test_no_line_where_none_is_wanted(client: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    client.get("/health")
    assert lines(capfd) == []


@pytest.mark.parametrize(
    "path", ['/a"b', "/a\n{}", "/%0d%0aevil:%201", "/\x00\x1b[31m", "/" + "\x01" * 4000, "/%ff%fe", "/模型"]
)
def test_whatever_a_path_holds_stays_one_line(
    logged: FlaskClient, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    logged.get(path)
    written = capfd.readouterr().err
    assert written.count("\n") == 1
    assert len(written.encode()) < 4096  # so that the lines of several workers never mix in a pipe
    assert json.loads(written)["event"] == "request"
    assert all(character >= " " for character in written.rstrip("\n"))


def test_secrets_are_never_logged(logged: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    logged.get("/api/models?token=hush-3", headers={"Authorization": "Bearer hush-1", "Cookie": "a=hush-4"})
    logged.post("/api/models", json={"repo_id": "a/b"}, headers={"Authorization": "Bearer hush-1"})
    logged.post("/api/models", json={"repo_id": "a/b"}, headers={"Authorization": "Bearer hush-5"})
    logged.get("/s/hush-6")
    logged.delete("/api/shares/hush-7")
    written = capfd.readouterr()
    assert len(written.err.splitlines()) == 5
    assert "hush" not in written.err + written.out


def test_a_log_that_cannot_be_written_stops_no_answer(logged: FlaskClient) -> None:
    kept = os.dup(2)
    try:
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            os.dup2(full.fileno(), 2)
        assert logged.get("/health").status_code == 200
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_a_failure_is_logged_with_its_traceback() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "broken", None, __import__("sys").exc_info()
        )
    line = json.loads(JsonLines().format(record))
    assert line["event"] == "broken"
    assert "ValueError: why" in line["traceback"]


def test_cors_is_off_unless_set(make_app: AppMaker) -> None:
    origin = {"Origin": "https://example.org"}
    assert (
        "Access-Control-Allow-Origin" not in make_app().test_client().get("/health", headers=origin).headers
    )
    allowing = make_app(cors_origins=("https://example.org",)).test_client()
    allowed = allowing.get("/health", headers=origin).headers
    assert allowed["Access-Control-Allow-Origin"] == "https://example.org"
    other = allowing.get("/health", headers={"Origin": "https://example.com"}).headers
    assert "Access-Control-Allow-Origin" not in other


def test_chinese_for_those_who_ask(client: FlaskClient) -> None:
    for accepted in ("zh", "zh-CN", "zh-TW,zh;q=0.9", "fr;q=0.2,zh-Hans;q=0.8"):
        reply = client.get("/api/models/Qwen3-7B", headers={"Accept-Language": accepted})
        assert "没有" in reply.get_json()["error"], accepted
        assert reply.get_json()["code"] == "not_found"
    for accepted in ("", "en", "en-GB,zh;q=0.5", "fr", "*"):
        reply = client.get("/api/models/Qwen3-7B", headers={"Accept-Language": accepted})
        assert "There is no" in reply.get_json()["error"], accepted
