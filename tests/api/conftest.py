"""An application of the tests' own, with a store of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.application import create_app
from app.settings import read_settings

AppMaker = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path) -> AppMaker:
    """Makes an application with some settings changed."""

    def make(**overrides: Any) -> Flask:
        settings = {"data_folder": tmp_path / "data", "access_log": False, "hub_offline": True, **overrides}
        return create_app(read_settings({}, **settings))

    return make


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client of one application that all tests share; they register nothing in it."""
    folder = tmp_path_factory.mktemp("data")
    app = create_app(read_settings({}, data_folder=folder, access_log=False, hub_offline=True))
    return app.test_client()
