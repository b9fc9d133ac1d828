"""The servers that other tests stand on start, answer, stop and come back."""

import subprocess

import pytest

from test_api import ask
from tests.servers import (
    PostgreSQL,
    Redis,
    nginx_running,
    postgresql_running,
    program,
    redis_running,
    replica_running,
)

pytestmark = pytest.mark.servers


def _query(url: str, text: str) -> str:
    done = subprocess.run([program("psql"), url, "-Atc", text], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_database_is_empty_and_its_own(postgresql: PostgreSQL, database_url: str) -> None:
    _query(database_url, "create table things (name text)")
    tables = "select count(*) from pg_tables where schemaname='public'"
    assert (_query(database_url, tables), _query(postgresql.new_database(), tables)) == ("1", "0")


def test_postgresql_keeps_its_rows_over_a_restart() -> None:
    with postgresql_running() as server:
        url = server.new_database()
        _query(url, "create table things as select 7 as number")
        server.stop()
        server.start()
        assert _query(url, "select number from things") == "7"


def test_redis_is_emptied_for_each_test(redis_server: Redis, redis_url: str) -> None:
    assert redis_server.say("DBSIZE") == ":0"
    redis_server.say("SET a b")
    assert redis_server.say("DBSIZE") == ":1"


def test_a_killed_redis_comes_back_on_its_port() -> None:
    with redis_running() as server:
        server.kill()
        server.start()
        assert server.answers()


def test_a_request_reaches_a_replica_through_nginx() -> None:
    with replica_running() as replica, nginx_running(replica) as front:
        assert ask(front.url, "GET", "/health/live")[0] == 200
