"""Security headers on whatever is answered: every route, every kind of error, pages, files and redirects."""

import re

import pytest
from flask.testing import FlaskClient

from app.api.traffic import HEADERS

from .conftest import AppMaker

_VALUES = {"name": "Qwen3-0.6B", "version": "x", "id": "x"}


def _rules(client: FlaskClient) -> list[tuple[str, str]]:
    rules = client.application.url_map.iter_rules()
    return sorted({(method, rule.rule) for rule in rules for method in rule.methods or ()})


def _check(client: FlaskClient, method: str, path: str, **more: object) -> int:
    reply = client.open(path, method=method, **more)  # type: ignore[arg-type]
    for name, value in HEADERS:
        assert reply.headers.getlist(name) == [value], (method, path, name)
    (policy,) = reply.headers.getlist("Content-Security-Policy")
    assert policy.startswith("default-src 'none'"), (method, path)
    for loose in ("unsafe-eval", "*", "http:", "https:"):
        assert loose not in policy, (method, path)
    if reply.mimetype == "text/html" and not path.startswith("/docs"):
        assert "unsafe-inline" not in policy, (method, path)
    assert len(reply.headers.getlist("X-Request-ID")) == 1
    assert not reply.headers.getlist("Set-Cookie")
    assert "Server" not in reply.headers
    reply.close()
    return reply.status_code


def test_every_route_has_them(client: FlaskClient) -> None:
    rules = _rules(client)
    assert len(rules) > 60
    for method, rule in rules:
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: _VALUES.get(found[1], "1"), rule)
        _check(client, method, path)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("PATCH", "/api/models", None, 405),
        ("POST", "/api/memory/inference", b"{", 400),
        ("POST", "/api/memory/inference", b" " * (2**20 + 1), 413),
        ("GET", "/api/models/none", None, 404),
        ("GET", "/static/x/../../../../etc/passwd", None, 404),
        ("GET", "/docs/../../../etc/passwd", None, 404),
        ("GET", "/docs/%2e%2e/%2e%2e/etc/passwd", None, 404),
        ("GET", "/docs/..%5c..%5cetc", None, 404),
        ("GET", "/static/x//etc/passwd", None, 404),
    ],
)
def test_errors_have_them_too(
    client: FlaskClient, method: str, path: str, body: bytes | None, status: int
) -> None:
    kind = "application/json"
    assert _check(client, method, path, data=body, content_type=kind) in (status, 308)


def test_a_failure_of_ours_has_them(make_app: AppMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    monkeypatch.setattr(app.extensions["service"].lookup, "named", lambda _name: 1 / 0)
    assert _check(app.test_client(), "GET", "/api/models/Qwen3-0.6B") == 500


@pytest.mark.parametrize("header", ["X-Request-ID", "Accept-Language", "Origin", "Host", "X-Browser-Id"])
def test_no_header_of_the_caller_splits_an_answer(client: FlaskClient, header: str) -> None:
    for value in ("a\u0085b", "\u2028", "a" * 5000, "\x7f", "zh;q=\x01", "[", "[::1", "a:b:c", "x@y"):
        reply = client.get("/api/models/none", headers={header: value})
        assert reply.status_code in (400, 404)
        assert not [each for _, each in reply.headers if value and value in each]


def test_cors_names_an_origin_only_where_it_is_set(make_app: AppMaker) -> None:
    client = make_app(cors_origins=("https://tools.example",)).test_client()
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin in (
        "https://tools.example.evil.test", "https://tools-example", "http://tools.example", "null",
        "https://TOOLS.example.", "https://a.tools.example", "https://toolsxexample",
    ):  # fmt: skip
        for method in ("GET", "OPTIONS"):
            reply = client.open("/api/models?limit=1", method=method, headers={**asked, "Origin": origin})
            assert "Access-Control-Allow-Origin" not in reply.headers, origin
    reply = client.options("/api/models", headers={**asked, "Origin": "https://tools.example"})
    assert reply.headers["Access-Control-Allow-Origin"] == "https://tools.example"
    assert "Access-Control-Allow-Credentials" not in reply.headers
