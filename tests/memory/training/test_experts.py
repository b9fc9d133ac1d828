"""Experts divided over ranks: what each rank holds, and the rank that most tokens go to."""

from functools import cache
from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.errors import InvalidRequest
from app.hardware import custom
from app.memory.estimate import Estimate
from app.memory.requests import Model, TrainingRequest
from app.memory.training.estimate import estimate_training
from app.memory.training.setup import Question, layout_of, set_up

QWEN3_MOE = {
    "model_type": "qwen3_moe", "hidden_size": 512, "intermediate_size": 1024, "moe_intermediate_size": 256,
    "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 4, "num_experts": 16,
    "num_experts_per_tok": 4, "vocab_size": 8192,
}  # fmt: skip
ROUTED = 4 * 16 * 3 * 512 * 256  # elements of all routed experts


@cache
def moe() -> Architecture:
    return read_config(QWEN3_MOE)


def request(**fields: Any) -> TrainingRequest:
    return TrainingRequest(Model(moe(), "small"), **fields)


def estimate(**fields: Any) -> Estimate:
    return estimate_training(request(**fields))


def maxima(**fields: Any) -> dict[str, int]:
    found: dict[str, int] = estimate(**fields).extra["maxima_bytes"]
    return found


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_replicas_share_experts_among_as_many_as_asked(ranks: int) -> None:
    dense = moe().parameters.total - ROUTED
    assert maxima(data_parallel=8, expert_parallel=ranks)["model_weights"] == 2 * (dense + ROUTED // ranks)


@pytest.mark.parametrize(
    ("tensor", "data", "expert", "slices"),
    [(1, 8, 2, 1), (2, 4, 4, 2), (4, 2, 2, 4), (4, 2, 8, 1), (4, 1, 4, 1), (2, 1, 1, 2)],
)
def test_matrices_of_an_expert_are_cut_as_the_rest_where_ranks_suffice(
    tensor: int, data: int, expert: int, slices: int
) -> None:
    asked = request(tensor_parallel=tensor, data_parallel=data, expert_parallel=expert)
    assert layout_of(asked).expert_tensor == slices


@pytest.mark.parametrize("sharded", [{"zero_stage": 3}, {"fsdp": "fsdp2"}, {"zero_stage": 1}], ids=str)
@pytest.mark.parametrize("ranks", [1, 2, 8])
def test_all_ranks_together_hold_all_states_once(sharded: dict[str, Any], ranks: int) -> None:
    held = maxima(data_parallel=8, expert_parallel=ranks, **sharded)
    whole = moe().parameters.total
    assert 8 * held["optimizer_states"] == pytest.approx(8 * whole, rel=1e-4)
    if "zero_stage" not in sharded or sharded["zero_stage"] == 3:
        assert 8 * held["model_weights"] == pytest.approx(2 * whole, rel=1e-4)


def test_the_number_of_trained_parameters_is_the_models_whatever_the_layout() -> None:
    for layout in (
        {},
        {"tensor_parallel": 2},
        {"pipeline_parallel": 2},
        {"data_parallel": 4, "expert_parallel": 4},
    ):
        assert estimate(**layout).extra["trainable_parameters"] == moe().parameters.total


def test_the_rank_that_most_tokens_go_to_keeps_as_much_more_of_its_experts() -> None:
    def kept(imbalance: float) -> int:
        fields = {"batch_size": 8, "data_parallel": 4, "expert_parallel": 4, "expert_imbalance": imbalance}
        return maxima(**fields)["activation_memory"]

    even, half, double = kept(1.0), kept(1.5), kept(2.0)
    # per routed row and layer: what goes in, gate, up, activation and product, and what comes out
    more = 4 * 8 * 2048 * 4 * 2 * (2 * 512 + 4 * 256)
    assert double - even == pytest.approx(more, rel=0.01)
    assert half - even == pytest.approx(more / 2, rel=0.01)


def test_an_even_spread_is_the_default() -> None:
    spread = {"data_parallel": 4, "expert_parallel": 4}
    assert estimate(**spread).total == estimate(**spread, expert_imbalance=1.0).total


@pytest.mark.parametrize("imbalance", [4.5, 16.0])
def test_no_rank_gets_more_than_everything(imbalance: float) -> None:
    with pytest.raises(InvalidRequest):
        estimate(data_parallel=4, expert_parallel=4, expert_imbalance=imbalance)


def test_one_expert_on_a_rank_gets_each_token_once_at_most() -> None:
    spread = {"data_parallel": 16, "expert_parallel": 16}
    assert estimate(**spread, expert_imbalance=4.0).total > estimate(**spread).total
    with pytest.raises(InvalidRequest):
        estimate(**spread, expert_imbalance=4.1)


def test_buffered_gradients_of_experts_are_counted_once() -> None:
    held = maxima(
        data_parallel=8, expert_parallel=8, zero_stage=3, framework="megatron", mixed_precision="bf16"
    )
    assert 8 * held["gradients"] == pytest.approx(4 * moe().parameters.total, rel=1e-4)


def test_the_fewest_gpus_are_as_many_as_experts_need_at_least() -> None:
    asked = {"gpu": custom({"memory_gb": 80}), "solve_for": "min_gpus"}
    found = estimate(data_parallel=8, expert_parallel=8, **asked).extra["solution"]
    assert found["value"] == 8


def test_the_other_ranks_get_what_the_fullest_leaves() -> None:
    spread = {"batch_size": 8, "data_parallel": 8, "expert_parallel": 4}
    ranks = {rank.role: rank for rank in estimate(**spread, expert_imbalance=1.6).ranks}
    assert {role: rank.count for role, rank in ranks.items()} == {
        "fullest expert rank": 2,
        "other expert ranks": 6,
    }
    even = estimate(**spread).ranks
    assert [(rank.role, rank.count) for rank in even] == [("all", 8)]
    kept = {role: rank.sizes["activation_memory"] for role, rank in ranks.items()}
    mean = (kept["fullest expert rank"] + 3 * kept["other expert ranks"]) / 4
    assert mean == pytest.approx(even[0].sizes["activation_memory"], rel=1e-3)


def test_stages_of_a_pipeline_have_a_fullest_rank_each() -> None:
    found = estimate(
        pipeline_parallel=2, data_parallel=4, expert_parallel=4, expert_imbalance=2.0,
        gradient_accumulation_steps=4,
    )  # fmt: skip
    assert {rank.role: rank.count for rank in found.ranks} == {
        "stage 0, fullest expert rank": 1, "stage 0, other expert ranks": 3,
        "stage 1, fullest expert rank": 1, "stage 1, other expert ranks": 3,
    }  # fmt: skip


def test_experts_that_no_other_rank_has_are_not_gathered() -> None:
    """With as many expert ranks as replicas each rank has its experts whole already."""

    def at_work(ranks: int) -> int:
        asked = request(data_parallel=8, expert_parallel=ranks, fsdp="fsdp2")
        return set_up(Question(asked)).steps[0].buffers.layer_backward

    one = 3 * 512 * 256 * 2  # bytes of an expert
    # the block at work, the next one, and gradients: with 2 and 4 experts of 16 each, then with none
    assert at_work(4) - at_work(8) == 3 * 4 * one
    assert at_work(2) - at_work(4) == 3 * 4 * one
