"""Four workers behind one socket, and what a user registers is seen by each at its next request."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from test_api import ask, running

CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
ASKED = 40


def _everywhere(url: str, name: str) -> list[int]:
    """The statuses of many requests, each on a connection of its own, so that all workers get some."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: ask(url, "GET", f"/api/models/{name}")[0], range(ASKED)))


@pytest.mark.slow
def test_a_users_model_is_seen_by_every_worker() -> None:
    with running(LLM_ESTIMATE_WORKERS="4", LLM_ESTIMATE_ACCESS_LOG="false") as url:
        assert set(_everywhere(url, "team-model")) == {404}
        assert ask(url, "POST", "/api/models", {"name": "team-model", "config": CONFIG})[0] == 201
        assert set(_everywhere(url, "team-model")) == {200}
        longer = {**CONFIG, "num_hidden_layers": 5}
        assert ask(url, "PUT", "/api/models/team-model", {"config": longer})[0] == 200
        bodies = [ask(url, "GET", "/api/models/team-model")[2] for _ in range(ASKED)]
        assert all(b'"num_hidden_layers":5' in body for body in bodies)
        assert ask(url, "DELETE", "/api/models/team-model")[0] == 204
        assert set(_everywhere(url, "team-model")) == {404}


@pytest.mark.slow
def test_registering_at_once_gives_the_name_to_one() -> None:
    body = {"name": "contested", "config": CONFIG}
    with (
        running(LLM_ESTIMATE_WORKERS="4", LLM_ESTIMATE_ACCESS_LOG="false") as url,
        ThreadPoolExecutor(8) as pool,
    ):
        statuses = list(pool.map(lambda _: ask(url, "POST", "/api/models", body)[0], range(16)))
    assert sorted(statuses) == [201] + [409] * 15
