"""Around every request: ids, security headers, a JSON line in the log, CORS only where set."""

import json
import logging

import pytest
from flask.testing import FlaskClient

from app.api.traffic import JsonLines

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


def test_a_line_for_every_request(make_app: AppMaker, caplog: pytest.LogCaptureFixture) -> None:
    client = make_app(access_log=True).test_client()
    logging.getLogger("llm_estimate").addHandler(caplog.handler)
    try:
        client.get("/api/models/Qwen3-7B", headers={"X-Request-ID": "seen"})
    finally:
        logging.getLogger("llm_estimate").removeHandler(caplog.handler)
    line = json.loads(JsonLines().format(caplog.records[-1]))
    assert line["request_id"] == "seen"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/models/Qwen3-7B", 404)
    assert line["ms"] >= 0


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
