"""The command line in this process, and the service that it is compared with."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from app.api.application import create_app
from app.cli.main import program
from app.settings import read_settings

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs the command line with arguments; wide, so that tables keep their words in one piece."""

    def invoke(*arguments: str, stdin: str | None = None, columns: int = 200) -> Result:
        runner = CliRunner(env={"COLUMNS": str(columns), "LLM_ESTIMATE_DATA": "/nowhere"})
        return runner.invoke(program, arguments, input=stdin, prog_name="llm-estimate")

    return invoke


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("data")
    return create_app(read_settings({}, data_folder=folder, access_log=False, hub_offline=True))


@pytest.fixture(scope="session")
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def server(app: Flask) -> Iterator[str]:
    """The same service behind a real socket; its URL."""
    made = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join(5)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config.json in a folder."""
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "llama", "num_hidden_layers": 2, "dtype": "bfloat16"}')
    return path
