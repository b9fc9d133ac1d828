"""One maker, one shape, the right headers beside it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.error_body import STATUSES, error_body, status_of
from app.errors import DomainError, UnknownName
from app.messages import Message

from .conftest import AppMaker
from .shape import check_error


def test_405_keeps_allow(client: FlaskClient) -> None:
    reply = client.get("/api/memory/inference")
    check_error(reply, 405)
    assert "POST" in reply.headers["Allow"]


def test_an_unknown_path_brings_the_closest(client: FlaskClient) -> None:
    assert (
        "/api/memory/inference" in check_error(client.post("/api/memory/inferense", json={}), 404)["closest"]
    )


def test_an_unknown_model_brings_the_closest(client: FlaskClient) -> None:
    found = check_error(client.get("/api/models/Qwen3-7B"), 404)
    assert found["closest"][0] == "Qwen3-8B"
    assert "Qwen3-8B" in found["error"]


def test_unexpected_failures_show_nothing_of_themselves(
    make_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    app: Flask = make_app()

    def fail(*_args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(app.extensions["service"], "gpus", fail)
    found = check_error(app.test_client().get("/api/gpus"), 500)
    assert found["code"] == "internal_error"
    assert "secret" not in str(found)


def _all_codes(kind: type[DomainError]) -> set[str]:
    return {kind.code}.union(*(_all_codes(each) for each in kind.__subclasses__()))


def test_every_status_belongs_to_an_error_that_exists() -> None:
    assert set(STATUSES) <= _all_codes(DomainError)


def test_a_domain_error_is_400_unless_listed() -> None:
    assert status_of(DomainError(Message("empty_body"))) == 400
    assert status_of(UnknownName(Message("empty_body"))) == 404


def test_error_body_names_closest() -> None:
    assert error_body(UnknownName(Message("empty_body"), ["a"]), "en")["closest"] == ["a"]
