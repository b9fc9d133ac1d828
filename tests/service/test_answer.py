"""From an estimate to an answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.architecture import read_config
from app.memory.estimate import Estimate, Fit, Rank, Term
from app.memory.requests import Model
from app.messages import Message
from app.service.answer import Style, render

MODEL = Model(read_config({"model_type": "llama", "num_hidden_layers": 1}), "tiny")
SIZES = st.integers(0, 2**50)


def term(name: str, size: int, **more: Any) -> Term:
    return Term(name, size, "layers * 2", {"layers": 4}, "somewhere", **more)


def answer(*ranks: Rank, style: Style | None = None, **more: Any) -> dict[str, Any]:
    return render(
        "inference", MODEL, Estimate("inference_memory", ranks, **more), {"batch_size": 1}, style or Style()
    )


@given(st.lists(st.tuples(SIZES, SIZES, st.integers(1, 64)), min_size=1, max_size=5))
def test_sums(ranks: list[tuple[int, int, int]]) -> None:
    """The total is the sum of its terms; the cluster is the sum over all GPUs; the fullest rank is shown."""
    made = [Rank("r", n, (term("model_weights", a), term("kv_cache", b))) for a, b, n in ranks]
    found = answer(*made)
    shown = found["memory_bytes"]
    assert (
        shown["inference_memory"]
        == shown["model_weights"] + shown["kv_cache"]
        == max(a + b for a, b, _ in ranks)
    )
    assert found["cluster_bytes"]["inference_memory"] == sum((a + b) * n for a, b, n in ranks)
    assert set(found["cluster_bytes"]) == set(shown) == set(found["memory_requirements"])
    assert sum(rank["gpus"] for rank in found["per_gpu"]) == sum(n for _, _, n in ranks)


def test_terms_of_one_name_add_up_and_are_explained_apart() -> None:
    found = answer(Rank("all", 1, (term("framework_overhead", 3), term("framework_overhead", 4))))
    assert found["memory_bytes"] == {"framework_overhead": 7, "inference_memory": 7}
    assert [each["bytes"] for each in found["explanation"]] == [3, 4]


@pytest.mark.parametrize(("unit", "shown"), [("GB", "14.00 GB"), ("GiB", "13.04 GiB")])
def test_strings_have_two_decimals_of_one_unit(unit: Any, shown: str) -> None:
    found = answer(Rank("all", 1, (term("model_weights", 14 * 10**9),)), style=Style(unit=unit))
    assert found["memory_requirements"]["model_weights"] == shown
    assert found["memory_bytes"]["model_weights"] == 14 * 10**9


def test_explanations_can_be_left_out() -> None:
    assert "explanation" not in answer(Rank("all", 1, (term("x", 1),)), style=Style(explain=False))


def test_ranges_appear_with_the_first_term_that_has_one() -> None:
    exact, ranged = term("model_weights", 10), term("activation_memory", 20, low=15, high=30)
    assert "memory_range_bytes" not in answer(Rank("all", 1, (exact,)))
    found = answer(Rank("all", 1, (exact, ranged)))["memory_range_bytes"]
    assert found["model_weights"] == {"low": 10, "high": 10}
    assert found["inference_memory"] == {"low": 25, "high": 40}


def test_strings_show_each_terms_own_maximum_in_training() -> None:
    maxima = {"gradients": 5 * 10**9, "temporary_buffers": 9 * 10**9}
    rank = Rank("all", 1, (term("gradients", 0), term("temporary_buffers", 10**9)))
    found = answer(rank, extra={"maxima_bytes": maxima, "trainable_parameters": 3})
    assert found["memory_requirements"]["gradients"] == "5.00 GB"
    assert found["memory_requirements"]["temporary_buffers"] == "1.00 GB"
    assert found["memory_bytes"]["gradients"] == 0
    assert found["model"]["parameters"]["trainable"] == 3
    assert "trainable_parameters" not in found


def test_fit_warnings_and_resolved_parameters() -> None:
    fit = Fit(True, 80, 72, 62, 0.125)
    rank = Rank("all", 1, (term("x", 10),))
    found = answer(
        rank, fit=fit, warnings=(Message("empty_body"),), parameters={"batch_size": 2, "block_size": 16}
    )
    assert found["fit"]["free_bytes"] == 62
    assert found["warnings"][0]["code"] == "empty_body"
    assert found["parameters"] == {"batch_size": 2, "block_size": 16}


def test_a_stated_size_is_the_models_size() -> None:
    sized = Model(MODEL.architecture, "7B", size_billions=7)
    found = render("inference", sized, Estimate("t", (Rank("all", 1, (term("x", 1),)),)), {}, Style())
    assert found["model"]["parameters"] == {"total": 7 * 10**9, "active": 7 * 10**9}
