"""Two replicas behind nginx with one PostgreSQL and one Redis, as plain processes."""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from test_api import LLAMA, ask, walk
from tests.servers import (
    PATIENCE,
    Nginx,
    PostgreSQL,
    Redis,
    Replica,
    folder_for,
    nginx_running,
)

from .load import Step, under_load

pytestmark = pytest.mark.servers
TOKEN = "a-token-of-the-tests"


@dataclass
class Cluster:
    """What runs."""

    replicas: list[Replica]
    front: Nginx


@pytest.fixture(scope="module")
def cluster(postgresql: PostgreSQL, redis_server: Redis) -> Iterator[Cluster]:
    with ExitStack() as running:
        folder = running.enter_context(folder_for("cluster"))
        shared = {
            "DATABASE_URL": postgresql.new_database(),
            "REDIS_URL": redis_server.url,
            "LLM_ESTIMATE_TOKEN": TOKEN,
            "LLM_ESTIMATE_PROXIES": "1",
            "LLM_ESTIMATE_WORKERS": "1",
        }
        replicas = [running.enter_context(Replica(_made(folder / name), **shared)) for name in "ab"]
        yield Cluster(replicas, running.enter_context(nginx_running(*replicas)))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_walk_through_nginx(cluster: Cluster) -> None:
    assert walk(cluster.front.url, TOKEN) == 0


def test_both_replicas_answer(cluster: Cluster) -> None:
    for _ in range(8):
        assert ask(cluster.front.url, "GET", "/api/models?limit=1")[0] == 200
    for replica in cluster.replicas:
        assert '"path":"/api/models"' in replica.log


def test_a_model_registered_on_one_is_on_the_other(cluster: Cluster) -> None:
    one, other = (replica.url for replica in cluster.replicas)
    body = {"name": "seen-by-all", "config": LLAMA}
    assert ask(one, "POST", "/api/models", body, TOKEN)[0] == 201
    assert ask(other, "GET", "/api/models/seen-by-all")[0] == 200
    longer = {"config": {**LLAMA, "num_hidden_layers": 5}}
    assert ask(other, "PUT", "/api/models/seen-by-all", longer, TOKEN)[0] == 200
    assert b'"num_hidden_layers":5' in ask(one, "GET", "/api/models/seen-by-all")[2]
    assert ask(one, "DELETE", "/api/models/seen-by-all", None, TOKEN)[0] == 204
    assert ask(other, "GET", "/api/models/seen-by-all")[0] == 404


def test_a_share_made_on_one_opens_on_the_other(cluster: Cluster) -> None:
    one, other = (replica.url for replica in cluster.replicas)
    status, _, body = ask(one, "POST", "/api/shares", {"state": "?model_name=Qwen3-0.6B#memory"}, TOKEN)
    assert status == 201
    connection = http.client.HTTPConnection("127.0.0.1", cluster.replicas[1].port, timeout=PATIENCE)
    connection.request("GET", json.loads(body)["url"])
    reply = connection.getresponse()
    assert (reply.status, reply.headers["Location"]) == (302, "/?model_name=Qwen3-0.6B#memory")
    assert ask(other, "GET", "/s/aaaaaaaaaaaaaaaaaaaaaa")[0] == 404
    connection.close()


def _round(number: int) -> list[Step]:
    """What reads, what computes, and what writes."""
    name = f"/api/models/rolling-{number}"
    return [
        ("GET", "/api/models?limit=1", None, 200),
        ("POST", "/api/memory/inference", {"model_name": "Qwen3-0.6B"}, 200),
        ("POST", "/api/models", {"name": name.rpartition("/")[2], "config": LLAMA}, 201),
        ("POST", "/api/memory/training", {"model_name": "Qwen3-0.6B"}, 200),
        ("DELETE", name, None, 204),
    ]


def test_a_rolling_restart_loses_nothing(cluster: Cluster) -> None:
    """Each replica is ended and started again while clients ask without pause."""
    with under_load(cluster.front.port, _round, Authorization=f"Bearer {TOKEN}") as load:
        load.more(100)
        for replica in cluster.replicas:
            assert replica.stop() == 0
            load.more(100)
            replica.start()
            load.more(100)
    print(f"{load.total} requests answered over the restart of {len(cluster.replicas)} replicas")
    assert not load.failures, load.failures[:5]


def test_a_replica_that_is_killed_costs_at_most_what_it_was_answering(cluster: Cluster) -> None:
    """What it was computing is repeated on the other one; only an answer that had begun is cut."""
    computing = [step for step in _round(0) if step[3] == 200]
    clients = 4
    with under_load(cluster.front.port, lambda _: computing, clients) as load:
        load.more(50)
        cluster.replicas[0].kill()
        load.more(200)
        cluster.replicas[0].start()
        load.more(50)
    assert len(load.failures) <= clients, load.failures[:9]
