"""The documentation page: from a wheel, under a strict policy, without another host."""

import re

from flask.testing import FlaskClient


def test_the_page_and_all_it_loads_come_from_here(client: FlaskClient) -> None:
    page = client.get("/docs")
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert not re.search(r"https?://", text)
    assert "<script>" not in text, "the policy forbids inline scripts"
    for path in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert client.get(path).status_code == 200, path


def test_the_policy_is_strict(client: FlaskClient) -> None:
    policy = client.get("/docs").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-eval" not in policy


def test_it_starts_with_our_interface(client: FlaskClient) -> None:
    assert "/openapi.json" in client.get("/docs/start.js").get_data(as_text=True)


def test_every_endpoint_is_documented(client: FlaskClient) -> None:
    paths = set(client.get("/openapi.json").get_json()["paths"])
    rules = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule) for rule in client.application.url_map.iter_rules()
    }
    assert {rule for rule in rules if rule.startswith(("/api", "/health"))} <= paths


def test_every_operation_says_what_it_does(client: FlaskClient) -> None:
    for path, methods in client.get("/openapi.json").get_json()["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                assert operation.get("summary"), (method, path)


def test_operations_that_may_need_a_token_say_so(client: FlaskClient) -> None:
    published = client.get("/openapi.json").get_json()
    assert published["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    secured = {
        (method, path)
        for path, methods in published["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and operation.get("security")
    }
    assert {
        ("post", "/api/models"),
        ("put", "/api/models/{name}"),
        ("delete", "/api/models/{name}"),
    } <= secured
    assert {("get", "/api/config/settings"), ("post", "/api/shares")} <= secured
    assert ("post", "/api/memory/inference") not in secured
