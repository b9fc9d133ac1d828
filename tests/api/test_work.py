"""Questions that would take for ever: stopped with a clear error, in a compare item by item."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app import budget
from app.api import patience
from app.errors import TooMuchWork
from app.messages import Message

from .shape import check_error

SIMULATED = {
    "model_name": "Qwen3-0.6B", "gpu": "L4", "mode": "simulate", "request_rate": 1, "num_requests": 200,
    "input_length": 100, "output_length": 100,
}  # fmt: skip


@pytest.fixture
def patient_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many turns a question may take, in the place of seconds."""

    def turns(most: int) -> None:
        def limit(_seconds: float) -> Callable[[], None]:
            left = [most]

            def check() -> None:
                left[0] -= 1
                if left[0] < 0:
                    raise TooMuchWork(Message("too_much_work", {"seconds": "1"}))

            return check

        monkeypatch.setattr(patience, "_limit", limit)

    return turns


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("performance/inference", SIMULATED),
        ("recommend", {"task": "inference", "model_name": "Qwen3-0.6B"}),
        ("recommend", {"task": "training", "model_name": "Qwen3-0.6B"}),
        ("v1/inference/estimate", {"model_name": "Qwen3-0.6B"}),
        ("v1/training/estimate", {"model_name": "Qwen3-0.6B"}),
    ],
)
def test_a_long_question_is_stopped(
    client: FlaskClient, patient_for: Callable[[int], None], path: str, body: dict[str, object]
) -> None:
    assert client.post(f"/api/{path}", json=body).status_code == 200
    patient_for(5)
    refused = client.post(f"/api/{path}", json=body)
    assert check_error(refused, 400)["code"] == "too_much_work"
    assert "LLM_ESTIMATE_TIME_BUDGET" in refused.get_json()["error"]
    assert client.get("/api/models?limit=1").status_code == 200


@pytest.mark.parametrize("path", ["memory", "performance"])
def test_a_compare_answers_what_it_could(
    client: FlaskClient, patient_for: Callable[[int], None], path: str
) -> None:
    patient_for(3)
    one = {"model_name": "Qwen3-0.6B", "gpu": "L4"}
    body = {"calculation_type": "inference", "configurations": [one] * 5}
    results = client.post(f"/api/{path}/compare", json=body).get_json()["results"]
    assert [each.get("code") for each in results] == [None, None, None, "too_much_work", "too_much_work"]


def test_the_limit_is_processor_time_of_one_question() -> None:
    patience.begin(1)
    budget.turn()
    patience.begin(1e-9)
    with pytest.raises(TooMuchWork):
        budget.turn()
    patience.end()
    budget.turn()
    patience.begin(0)
    budget.turn()


def test_many_wrong_names_are_refused_without_much_ado(client: FlaskClient) -> None:
    refused = client.post("/api/memory/inference", json={f"bat{number}": 1 for number in range(50_000)})
    details = check_error(refused, 400)["details"]
    assert len(details) == 101  # a hundred of them, and that no model is named
    twice = '{"a":1' + "".join(f',"b{number}":1' for number in range(50_000)) + ',"a":1}'
    refused = client.post("/api/memory/inference", data=twice, content_type="application/json")
    assert "a" in check_error(refused, 400)["error"]


def test_a_request_s_budget_ends_with_it(client: FlaskClient, patient_for: Callable[[int], None]) -> None:
    patient_for(10**9)
    assert client.post("/api/memory/inference", json={"model_name": "Qwen3-0.6B"}).status_code == 200
    assert budget._CHECK.get() is None
