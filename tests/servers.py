"""Real PostgreSQL, Redis, nginx and replicas of the service, as plain processes on free loopback ports.

Tests that use them carry the marker `servers`. A program that is missing skips the test, or fails it
where LLM_ESTIMATE_REQUIRE_SERVERS=1 says that it must be there. Everything lives in a temporary folder
and ends with its context. A server can be stopped, killed and started again on the same port.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

import pytest

ROOT: Final = Path(__file__).parents[1]
NGINX_FILES: Final = ROOT / "deploy" / "nginx"
PATIENCE: Final = 120.0  # [s] for whatever is waited for: machines that run tests are slow and loaded
_PLACES: Final = ("/usr/sbin", "/usr/local/sbin")


def program(name: str) -> str:
    """The path of a program; skips or fails the test that needs it where it is missing."""
    newest_first = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*newest_first, os.environ.get("PATH", ""), *_PLACES]))
    if found is None and os.environ.get("LLM_ESTIMATE_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{name} is not installed")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_port() -> int:
    """A port that nobody listens on, below those that outgoing connections take: free for a restart too."""
    while True:
        port = random.randint(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Return once the condition holds; an AssertionError that says what did not happen otherwise."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:.0f} s in vain: {what}")
        time.sleep(0.05)


class Server(ABC):
    """One process on one port: started, stopped, killed and started again."""

    name = "server"

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What to run in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves already."""

    def environment(self) -> Mapping[str, str]:
        """Variables on top of our own."""
        return {}

    def user(self) -> str | None:
        """The account to run as, where ours will not do."""
        return None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has written so far."""
        path = self.folder / f"{self.name}-{self.port}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self.process is not None, f"{self.name} was never started"
        return self.process.pid

    def start(self) -> Self:
        """Start it and wait until it answers."""
        self.launch()
        wait_until(self._up, f"{self.name} answers on {self.address}")
        return self

    def launch(self) -> None:
        """Start it, without waiting."""
        with (self.folder / f"{self.name}-{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT if self.user() is None else self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_as_user(self.user()),
            )

    def _up(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended at its start:\n{self.log[-3000:]}")
        try:
            return self.answers()
        except OSError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end and wait until it has; its exit code."""
        assert self.process is not None, f"{self.name} was never started"
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it and its children at once."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self.kill()


def _as_user(name: str | None) -> dict[str, object]:
    return {} if name is None else {"user": name, "group": name, "extra_groups": []}


class PostgreSQL(Server):
    """PostgreSQL with an empty cluster; anyone on this machine is its superuser."""

    name = "postgresql"

    def user(self) -> str | None:
        """It refuses root."""
        return "postgres" if os.getuid() == 0 else None

    def command(self) -> Sequence[str]:
        """The server; what it holds need not survive a power cut."""
        settings = ("listen_addresses=127.0.0.1", "fsync=off", "max_connections=200")
        options = [part for setting in settings for part in ("-c", setting)]
        data = str(self.folder / "data")
        return [program("postgres"), "-D", data, "-p", str(self.port), "-k", str(self.folder), *options]

    def launch(self) -> None:
        """The cluster is made at the first start."""
        if not (self.folder / "data").exists():
            if user := self.user():
                shutil.chown(self.folder, user, user)
            options = ("-U", "llm_estimate", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
            self._run("initdb", "-D", str(self.folder / "data"), *options)
        super().launch()

    def answers(self) -> bool:
        """pg_isready says so."""
        asked = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def stop(self, number: int = signal.SIGINT) -> int:
        """The fast shutdown: connections are cut instead of waited for."""
        return super().stop(number)

    def new_database(self) -> str:
        """The URL of a database that is empty."""
        name = f"d{random.getrandbits(48):012x}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "llm_estimate", name)
        return f"postgresql://llm_estimate@{self.address}/{name}"

    def _run(self, name: str, *options: str) -> None:
        command = [program(name), *options]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, **_as_user(self.user())
        )
        assert done.returncode == 0, done.stderr


class Redis(Server):
    """Redis that keeps nothing on disk."""

    name = "redis"

    @property
    def url(self) -> str:
        """As clients take it."""
        return f"redis://{self.address}/0"

    def command(self) -> Sequence[str]:
        """The server."""
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.folder))
        return [program("redis-server"), "--port", str(self.port), *options]

    def answers(self) -> bool:
        """It says PONG."""
        return self.say("PING") == "+PONG"

    def say(self, command: str) -> str:
        """The first line of the answer to a command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(1024).decode().split("\r\n")[0]


class Replica(Server):
    """The service under gunicorn, two workers, settings by their variables."""

    name = "replica"

    def __init__(self, folder: Path, port: int | None = None, **variables: str) -> None:
        super().__init__(folder, port)
        self.variables = variables

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.address}"

    def command(self) -> Sequence[str]:
        """As an operator starts it."""
        return [sys.executable, "-m", "gunicorn", "server:app"]

    def environment(self) -> Mapping[str, str]:
        """A store of its own unless told otherwise."""
        own = {"LLM_ESTIMATE_DATA": str(self.folder / f"data-{self.port}"), "LLM_ESTIMATE_WORKERS": "2"}
        return {**own, "HF_HUB_OFFLINE": "1", **self.variables, "HOST": "127.0.0.1", "PORT": str(self.port)}

    def answers(self) -> bool:
        """GET /health says 200."""
        return _status(f"{self.url}/health") == 200


class Nginx(Server):
    """nginx with the shipped configuration before some replicas."""

    name = "nginx"

    def __init__(self, folder: Path, upstreams: Sequence[str]) -> None:
        super().__init__(folder)
        self.upstreams = upstreams

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.address}"

    def command(self) -> Sequence[str]:
        """The shipped nginx.conf as it is; only where it listens and whom it asks are the test's."""
        self.folder.chmod(0o755)  # workers run as somebody else when the master is root's
        shutil.copy(NGINX_FILES / "nginx.conf", self.folder / "nginx.conf")
        (self.folder / "listen.conf").write_text(f"listen {self.address};\n")
        upstreams = "".join(f"server {one} max_fails=0;\n" for one in self.upstreams)
        (self.folder / "upstream.conf").write_text(upstreams)
        path = str(self.folder / "nginx.conf")
        return [program("nginx"), "-p", str(self.folder), "-c", path, "-g", "daemon off;"]

    def answers(self) -> bool:
        """It passes a request on."""
        return _status(f"{self.url}/health") == 200


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def folder_for(name: str) -> Iterator[Path]:
    """A temporary folder with a short path that any account may enter: sockets and other users live in it."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def postgresql_running() -> Iterator[PostgreSQL]:
    """A PostgreSQL of one's own, for tests that stop it."""
    with folder_for("pg") as folder, PostgreSQL(folder) as server:
        yield server


@contextmanager
def redis_running() -> Iterator[Redis]:
    """A Redis of one's own, for tests that stop it."""
    with folder_for("redis") as folder, Redis(folder) as server:
        yield server


@contextmanager
def replica_running(**variables: str) -> Iterator[Replica]:
    """One replica on its own; variables are settings by their environment names."""
    with folder_for("replica") as folder, Replica(folder, **variables) as server:
        yield server


@contextmanager
def nginx_running(*replicas: Replica) -> Iterator[Nginx]:
    """nginx before replicas that run."""
    with folder_for("nginx") as folder, Nginx(folder, [one.address for one in replicas]) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One PostgreSQL for all tests; who stops it uses `postgresql_running` instead."""
    with postgresql_running() as server:
        yield server


@pytest.fixture
def database_url(postgresql: PostgreSQL) -> str:
    """A database of the test's own, empty."""
    return postgresql.new_database()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """One Redis for all tests; who stops it uses `redis_running` instead."""
    with redis_running() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """That Redis, emptied."""
    assert redis_server.say("FLUSHALL") == "+OK"
    return redis_server.url
