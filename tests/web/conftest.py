"""A client of one application, shared by the quick tests of the page."""

import pytest
from flask.testing import FlaskClient

from app.api.application import create_app
from app.settings import read_settings


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A client whose application keeps nothing."""
    folder = tmp_path_factory.mktemp("data")
    app = create_app(read_settings({}, data_folder=folder, access_log=False, hub_offline=True))
    return app.test_client()
