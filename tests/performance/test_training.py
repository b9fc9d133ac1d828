"""Training speed: nothing beats physics, parts add up, and each term moves the way it must."""

from typing import Any

import pytest
from msgspec.structs import replace

from app.errors import InvalidRequest
from app.performance.training import bottleneck, estimate_training_performance
from app.performance.training_requests import TrainingPerformance, TrainingSpeedRequest
from app.performance.training_work import work_of
from app.service.training_speed_question import training_speed_question
from tests.performance.questions import lookup


def asked(model: str = "Llama-3.1-8B", **fields: Any) -> TrainingSpeedRequest:
    values = {"model_name": model, "gpu": "h100-sxm-80gb", "mixed_precision": "bf16", "batch_size": 2,
              "sequence_length": 4096, **fields}  # fmt: skip
    return training_speed_question(values, lookup()).request


def timed(model: str = "Llama-3.1-8B", **fields: Any) -> TrainingPerformance:
    return estimate_training_performance(asked(model, **fields))


def test_work_of_a_dense_decoder_is_two_per_parameter() -> None:
    architecture = asked().training.model.architecture
    work = work_of(architecture, 4096)
    matrices = architecture.parameters.total - architecture.parameters.embedding
    assert work.products == pytest.approx(2 * matrices, rel=1e-3)
    assert work.attention == pytest.approx(2 * 4097 / 2 * 32 * 2 * 128 * 32, rel=1e-9)
    assert work.experts == work.routed == 0


def test_experts_count_by_those_chosen() -> None:
    architecture = asked("Qwen3-30B-A3B").training.model.architecture
    work = work_of(architecture, 2048)
    assert work.experts == 2 * 48 * 8 * 3 * 2048 * 768
    assert work.routed == 48 * 8 * 2048 and work.expert_layers == 48
    assert work.expert_parameters == 48 * 128 * 3 * 2048 * 768


@pytest.mark.parametrize("model", ["Llama-3.1-8B", "Qwen3-30B-A3B", "Llama-3.1-70B", "gpt-oss-20b"])
@pytest.mark.parametrize("gpu", ["h100-sxm-80gb", "a100-sxm-80gb", "b200-sxm-180gb", "rtx-4090"])
@pytest.mark.parametrize("batch", [1, 16])
def test_nothing_beats_the_peak(model: str, gpu: str, batch: int) -> None:
    for precision in ("bf16", "fp8"):
        found = timed(model, gpu=gpu, batch_size=batch, mixed_precision=precision)
        assert 0 < found.mfu <= found.hfu < 1
        assert found.step.total == pytest.approx(found.tokens_per_step / found.tokens_per_sec * 1e3, rel=1e-9)


def test_a_step_waits_for_the_fullest_expert_rank() -> None:
    even, uneven = (
        timed("Qwen3-30B-A3B", data_parallel=8, expert_parallel=8, expert_imbalance=by) for by in (1, 1.5)
    )
    assert uneven.step.compute > even.step.compute and uneven.step.communication > even.step.communication
    assert uneven.mfu < even.mfu


def test_recomputation_adds_a_forward_pass() -> None:
    plain, again = timed(), timed(gradient_checkpointing="full")
    ratio = again.step.compute / plain.step.compute
    assert 1.25 < ratio < 1.4
    assert again.mfu < plain.mfu and again.hfu > again.mfu * 1.25


def test_adapters_need_no_gradients_of_weights() -> None:
    full, lora = timed(), timed(method="lora")
    assert 0.6 < lora.step.compute / full.step.compute < 0.75
    assert timed(method="qlora").step.memory > lora.step.memory


def test_a_pipeline_waits_less_with_more_micro_batches() -> None:
    fields: dict[str, Any] = {"framework": "megatron", "pipeline_parallel": 4, "virtual_pipeline": 1}
    few = timed(gradient_accumulation_steps=4, **fields)
    many = timed(gradient_accumulation_steps=32, **fields)
    assert few.step.bubble / (few.step.total - few.step.bubble) > many.step.bubble / many.step.total
    # (p - 1) / m of the micro-batches' own time
    busy = few.step.compute + few.step.memory + few.step.communication
    assert few.step.bubble > 0.7 * busy * 3 / 4
    interleaved = timed(gradient_accumulation_steps=4, **{**fields, "virtual_pipeline": 4})
    assert interleaved.step.bubble == pytest.approx(few.step.bubble / 4, rel=1e-6)


def test_communication_hides_behind_enough_work() -> None:
    small = timed(fsdp="fsdp2", num_gpus=64, batch_size=1, sequence_length=512)
    large = timed(fsdp="fsdp2", num_gpus=64, batch_size=8)
    assert small.step.communication / small.step.total > 0.3
    assert large.step.communication / large.step.total < 0.1
    assert large.step.overlapped > large.step.communication


def test_a_slower_network_costs_time_beyond_one_machine() -> None:
    inside = [timed(fsdp="fsdp2", num_gpus=8, inter_node_gb_s=n).step.total for n in (5, 100)]
    beyond = [timed(fsdp="fsdp2", num_gpus=32, inter_node_gb_s=n).step.total for n in (5, 100)]
    assert inside[0] == inside[1] and beyond[0] > beyond[1]


def test_cost_is_hours_times_price() -> None:
    found = timed(tokens=10**9, num_gpus=8, fsdp="fsdp2")
    price = asked().training.gpu.price_per_hour  # type: ignore[union-attr]
    assert found.days == pytest.approx(10**9 / found.tokens_per_sec / 86400)
    assert found.gpu_hours == pytest.approx(found.days * 24 * 8)  # type: ignore[operator]
    assert found.cost_usd == pytest.approx(found.gpu_hours * price)  # type: ignore[operator]
    assert timed(gpu="mi300x-192gb", tokens=10**9).cost_usd is None
    assert timed().days is None


def test_devices_without_figures_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        timed(gpu={"memory_gb": 80})
    with pytest.raises(InvalidRequest):
        timed(gpu={"memory_gb": 80, "tflops": {"bf16": 100}})
    assert timed(gpu={"memory_gb": 80, "tflops": {"bf16": 100}, "memory_bandwidth_gb_s": 1000}).mfu < 1


def test_types_that_a_device_lacks_are_said() -> None:
    codes = [message.code for message in timed(gpu="a100-sxm-80gb", mixed_precision="fp8").warnings]
    assert codes == ["training_speed_type"]
    unmeasured = [message.code for message in timed(gpu="mi300x-192gb").warnings]
    assert unmeasured == ["training_speed_unmeasured"]


def test_bottleneck_is_the_largest_part() -> None:
    step = timed().step
    assert bottleneck(step) == "compute"
    assert bottleneck(replace(step, communication=1e9)) == "interconnect"
    assert bottleneck(replace(step, bubble=1e9)) == "overhead"
    assert bottleneck(replace(step, memory=1e9)) == "memory_bandwidth"
