"""Requests that follow one another: along the links of /openapi.json, with every check after each step."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings

from app.api.application import create_app
from app.settings import read_settings

from .test_contract import REFUSALS

STEPS = 10
BROWSER = {"X-Browser-Id": "AbCdEfGhIjKlMnOpQrStUv"}
CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
PATHS = "^/(api/models|api/shares|s/|api/history|api/memory/inference)"
CHECKS = {
    "generation": {"mode": "positive"},
    # 405: a drawn name may be `inspect`, which is another operation's path.
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "3xx", 405, *REFUSALS]}},
}
Seen = Counter[tuple[str, str, int]]


def links_of(published: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, link)
        for methods in published["paths"].values()
        for method, operation in methods.items()
        if method != "parameters"
        for answer in operation["responses"].values()
        for name, link in answer.get("links", {}).items()
    ]


def test_every_link_leads_to_an_operation_and_gives_its_parameters(client: FlaskClient) -> None:
    published = client.get("/openapi.json").get_json()
    found = links_of(published)
    assert len(found) >= 10
    for _, link in found:
        path, method = link["operationRef"].removeprefix("#/paths/").rsplit("/", 1)
        path = path.replace("~1", "/")
        assert method in published["paths"][path]
        assert all(f"{{{name}}}" in path for name in link["parameters"])


def machine(app: Flask, seen: Seen) -> Any:
    """Models, shares and history of one browser, forgotten before each sequence: none knows of another."""
    schema: Any = schemathesis.openapi.from_wsgi(
        "/openapi.json", app, config=schemathesis.Config.from_dict(CHECKS)
    )
    # Without them registering is seen as what it is here: making a model, not looking for somebody's.
    for field in ("repo_id", "file", "revision"):
        del schema.raw_schema["components"]["schemas"]["Register"]["properties"][field]
    followed = schema.include(path_regex=PATHS).as_state_machine()
    client = app.test_client()

    class Machine(followed):  # type: ignore[misc]
        def setup(self) -> None:
            for model in client.get("/api/models?search=kept").get_json()["models"]:
                client.delete(f"/api/models/{model['name']}")
            client.delete("/api/history", headers=BROWSER)
            client.post("/api/memory/inference", json={"model_size": 7}, headers=BROWSER)
            super().setup()

        def before_call(self, case: schemathesis.Case) -> None:
            """What no schema can say: names to meet again, configurations that read, who asks."""
            case.headers = {**(case.headers or {}), **BROWSER}
            if (case.method, case.path) == ("POST", "/api/models"):
                case.body = {"name": f"kept-{len(str(case.body)) % 7}", "config": CONFIG}
            if case.method == "PUT":
                case.body = {"config": CONFIG}
            super().before_call(case)

        def after_call(self, response: Any, case: schemathesis.Case) -> None:
            seen[case.method, case.path, response.status_code] += 1
            super().after_call(response, case)

    return Machine


@pytest.mark.slow
def test_sequences_of_requests_are_answered_as_documented() -> None:
    """Registered, looked at, asked about, changed, forgotten, asked for again, in any order."""
    seen: Seen = Counter()
    with tempfile.TemporaryDirectory() as folder:
        environment = read_settings(
            {}, access_log=False, rate_limits={}, history=True, hub_offline=True, data_folder=Path(folder)
        )
        app = create_app(environment)
        machine(app, seen).run(
            settings=settings(
                max_examples=60,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )
        )
    assert not [step for step in seen if step[2] >= 500]
    one = "/api/models/{name}"
    often = (
        ("POST", "/api/models", 201), ("GET", one, 200), ("PUT", one, 200), ("DELETE", one, 204),
        ("GET", "/api/history", 200),
    )  # fmt: skip
    assert all(seen[step] for step in often), seen
