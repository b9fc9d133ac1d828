"""What leaves the GPU and where it goes, beside the sizes in DeepSpeed's source and its estimator."""

from functools import cache
from typing import Any

import pytest

from app.architecture import Architecture, read_config
from app.errors import InvalidRequest
from app.memory.estimate import Estimate
from app.memory.requests import Model, Offload, TrainingRequest, ZeroOptimization
from app.memory.training.deepspeed import Elements, elements_of, live
from app.memory.training.estimate import estimate_training
from app.parallelism import Layout, stages

GB = 10**9
LLAMA_7B = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000,
}  # fmt: skip
ZERO3 = {"framework": "deepspeed", "mixed_precision": "bf16", "zero_stage": 3}
TO_CPU = Offload(optimizer="cpu", parameters="cpu")
TO_NVME = Offload(optimizer="nvme", parameters="nvme")


@cache
def llama() -> Architecture:
    return read_config(LLAMA_7B)


def estimate(**fields: Any) -> Estimate:
    return estimate_training(TrainingRequest(Model(llama(), "7B"), **fields))


def outside(**fields: Any) -> dict[tuple[str, str], int]:
    """Bytes of one GPU by term and place."""
    rows = estimate(**fields).extra["offloaded"]
    return {(row["term"], row["where"]): row["bytes_per_gpu"] for row in rows}


def maxima(**fields: Any) -> dict[str, int]:
    found: dict[str, int] = estimate(**fields).extra["maxima_bytes"]
    return found


def test_zero3_in_host_memory_term_by_term() -> None:
    own = -(-llama().parameters.total // 8)
    found = outside(**ZERO3, data_parallel=8, offload=TO_CPU)
    assert found == {
        ("master_weights", "cpu"): 4 * own,
        ("optimizer_states", "cpu"): 8 * own,
        ("gradients", "cpu"): 4 * own,
        ("gradient_partitions", "cpu"): 2 * own,
        ("parameters", "cpu"): 2 * own,
    }


def test_host_memory_lies_between_deepspeeds_estimate_and_it_with_its_factor() -> None:
    """`estimate_zero3_model_states_mem_needs`: 18 bytes a parameter and node, times 1.5 for buffers."""
    extra = estimate(**ZERO3, data_parallel=8, offload=TO_CPU).extra
    least = 18 * llama().parameters.total
    assert least <= extra["cpu_bytes_per_node"] <= 1.5 * least
    assert extra["pinned_bytes_per_node"] < extra["cpu_bytes_per_node"]
    assert extra["nvme_bytes_per_node"] == 0


def test_the_gpu_keeps_no_states_and_no_more_weights_than_are_live() -> None:
    held = maxima(**ZERO3, data_parallel=8, offload=TO_CPU, gradient_checkpointing="full")
    assert held["model_weights"] == held["optimizer_states"] == 0
    # 10^9 elements from the turn back within reach, fetched ahead and at work at most; a bucket of 5 x 10^8
    assert GB < held["temporary_buffers"] < 4.2 * GB


def test_one_gpu_can_train_what_it_cannot_hold() -> None:
    alone = estimate(**ZERO3, offload=TO_CPU, gradient_checkpointing="full")
    assert alone.total < 2 * llama().parameters.total
    assert alone.extra["cpu_bytes_per_node"] == 20 * llama().parameters.total


def test_zero_infinity_keeps_buffers_in_memory_and_files_on_nvme() -> None:
    whole, own = llama().parameters.total, -(-llama().parameters.total // 8)
    found = outside(**ZERO3, data_parallel=8, offload=TO_NVME)
    assert found["master_weights", "nvme"] == found["gradients", "nvme"] == 4 * own
    assert found["optimizer_states", "nvme"] == 8 * own
    assert found["parameters", "nvme"] == 2 * own
    assert found["optimizer_buffers", "cpu"] == pytest.approx(4 * 4 * own, rel=1e-5)  # below a sub-group
    assert found["parameter_buffers", "cpu"] == pytest.approx(5 * 2 * 10**8, rel=1e-5)
    assert found["parameters_in_cpu", "cpu"] == 2 * own
    extra = estimate(**ZERO3, data_parallel=8, offload=TO_NVME).extra
    assert extra["nvme_bytes_per_node"] == pytest.approx(18 * whole, rel=1e-6)
    assert extra["cpu_bytes_per_node"] == 8 * sum(b for (_, where), b in found.items() if where == "cpu")


def test_sub_groups_bound_what_the_step_takes() -> None:
    zero = ZeroOptimization(sub_group_size=10**8, max_in_cpu=0)
    found = outside(**ZERO3, data_parallel=2, offload=TO_NVME, zero_optimization=zero)
    assert found["optimizer_buffers", "cpu"] == pytest.approx(4 * 4 * 10**8, rel=1e-5)
    assert found["parameter_write_buffer", "cpu"] == 2 * 10**8
    assert ("parameters_in_cpu", "cpu") not in found


def test_the_step_widens_one_sub_groups_gradients() -> None:
    def step(size: int) -> int:
        zero = ZeroOptimization(sub_group_size=size)
        timeline = estimate(**ZERO3, data_parallel=2, zero_optimization=zero).extra["timeline"]
        return int(next(row["bytes"] for row in timeline if row["phase"] == "optimizer_step"))

    assert step(10**9) - step(10**8) == 4 * (10**9 - 10**8)


def test_a_buffer_holds_the_largest_tensors_share() -> None:
    """DeepSpeed asserts it; its default is taken up where it is too small."""
    wide = read_config({**LLAMA_7B, "vocab_size": 128256})

    def asked(size: int | None, ranks: int = 1) -> Estimate:
        zero = ZeroOptimization(param_buffer_size=size)
        fields: dict[str, Any] = {**ZERO3, "data_parallel": ranks, "offload": TO_NVME}
        return estimate_training(TrainingRequest(Model(wide, "8B"), **fields, zero_optimization=zero))

    with pytest.raises(InvalidRequest):
        asked(10**8)
    codes = [message.code for message in asked(None).warnings]
    assert "training_larger_buffer" in codes
    assert "training_larger_buffer" not in [message.code for message in asked(None, 8).warnings]


@pytest.mark.parametrize(
    "fields",
    [
        {"offload": Offload(parameters="cpu"), "zero_stage": 2, "data_parallel": 2},
        {"offload": Offload(optimizer="nvme"), "zero_stage": 2, "data_parallel": 2},
        {"offload": TO_NVME, "fsdp": "fsdp2", "data_parallel": 2},
        {**ZERO3, "offload": TO_NVME, "zero_optimization": ZeroOptimization(optimizer_buffer_count=3)},
    ],
    ids=str,
)
def test_what_deepspeed_and_fsdp_refuse(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        estimate(**fields)


def test_fsdp_offloads_all_or_nothing() -> None:
    held = maxima(fsdp="fsdp2", data_parallel=8, offload=Offload(parameters="cpu"))
    assert held["model_weights"] == held["optimizer_states"] == 0
    extra = estimate(fsdp="fsdp2", data_parallel=8, offload=Offload(parameters="cpu")).extra
    assert extra["cpu_bytes_per_node"] == pytest.approx((2 + 2 + 8) * llama().parameters.total, rel=1e-6)


def test_gradients_follow_the_optimizer_from_stage_2_on() -> None:
    def gradients(stage: int) -> int:
        offload = Offload(optimizer="cpu")
        row = estimate(**{**ZERO3, "zero_stage": stage}, data_parallel=8, offload=offload).extra
        return int(row["maxima_bytes"]["gradients"])

    whole = 2 * llama().parameters.total
    assert gradients(1) == pytest.approx(whole, rel=0.01)
    assert gradients(2) < 0.2 * whole  # one block's, until it is reduced
    assert gradients(3) < 0.2 * whole


def test_what_is_live_at_the_turn() -> None:
    sizes = elements_of(stages(llama().sections, 1)[0], Layout(), 100_000)
    assert sizes == Elements(6_738_415_616, 131_072_000, 131_072_000, 65 * 4096)
    half, largest = 5 * 10**8, 131_072_000
    ahead = 5 * 10**7 + largest  # gathered into one buffer, then copied out of it
    assert live(ZeroOptimization(), sizes) == half + largest + 2 * ahead
    assert live(ZeroOptimization(stage3_prefetch_bucket_size=0), sizes) == half + 2 * largest
    assert live(ZeroOptimization(stage3_max_live_parameters=0), sizes) == half + 2 * largest
    plain = ZeroOptimization(stage3_max_reuse_distance=0, stage3_prefetch_bucket_size=0)
    assert live(plain, sizes) == 2 * largest
    kept = live(ZeroOptimization(stage3_max_reuse_distance=10**15), sizes)
    assert kept == sizes.total + largest


def test_gaps_between_gathered_parameters_are_in_the_overhead_of_zero3() -> None:
    def term(stage: int) -> tuple[int, int | None, int | None]:
        found = estimate(**{**ZERO3, "zero_stage": stage}, data_parallel=8).fullest
        row = next(term for term in found.terms if term.name == "framework_overhead")
        return row.bytes, row.low, row.high

    two, three = term(2), term(3)
    assert three[0] > two[0] + GB
    assert all(low is not None and high is not None and low < size < high for size, low, high in (two, three))


def test_megatrons_distributed_optimizer_has_no_buckets_of_its_own() -> None:
    """It reduces its float32 gradient buffers where they are."""
    fields = {"framework": "megatron", "mixed_precision": "bf16", "data_parallel": 8}
    plain, sharded = (estimate(**fields, zero_stage=stage).extra["timeline"] for stage in (0, 1))
    own = 12 * llama().parameters.total
    for before, after in zip(plain, sharded, strict=True):
        assert before["bytes"] - after["bytes"] >= own * 7 // 8


def test_whose_sizes_were_taken_is_said_where_they_matter() -> None:
    def said(**fields: Any) -> bool:
        return "training_zero_defaults" in {message.code for message in estimate(**fields).warnings}

    assert said(zero_stage=2, data_parallel=2)
    assert not said(zero_stage=2)
    assert not said(zero_stage=2, data_parallel=2, framework="deepspeed")
    assert not said(zero_stage=2, data_parallel=2, zero_optimization=ZeroOptimization(sub_group_size=1))


@pytest.mark.parametrize("offload", [Offload(parameters="cpu"), Offload(optimizer="nvme"), TO_NVME], ids=str)
def test_what_only_zero3_can_offload_is_taken_to_be_so(offload: Offload) -> None:
    implied, asked = (estimate(offload=offload, zero_stage=stage) for stage in (0, 3))
    assert implied.total == asked.total
    assert implied.extra["offloaded"] == asked.extra["offloaded"]
    assert implied.parameters["zero_stage"] == 3
    assert "training_offload_by_zero3" in {message.code for message in implied.warnings}
    assert "training_offload_by_zero3" not in {message.code for message in asked.warnings}


def test_zero3_steps_a_sub_group_at_a_time() -> None:
    def step(**fields: Any) -> int:
        zero = ZeroOptimization(sub_group_size=10**8)
        timeline = estimate(**ZERO3, data_parallel=8, zero_optimization=zero, **fields).extra["timeline"]
        return int(next(row["bytes"] for row in timeline if row["phase"] == "optimizer_step"))

    assert step(optimizer_foreach=True) - step(optimizer_fused=True) == 4 * 10**8
    assert step(optimizer_foreach=False, optimizer_fused=False) - step(optimizer_fused=True) == 2 * 4 * 10**8
