"""What must hold of every answer, whatever the model."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.architecture import Architecture, read_config
from app.errors import InvalidLayout, InvalidRequest, NotSupportedYet
from app.hardware import custom
from app.memory.requests import Lora, Model, Offload, TrainingRequest, ZeroOptimization
from app.memory.training.estimate import estimate_training
from app.memory.training.pipeline import in_flight

LLAMA = {
    "model_type": "llama", "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8,
    "num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 32000,
}  # fmt: skip


@cache
def llama() -> Architecture:
    return read_config(LLAMA)


def request(**fields: object) -> TrainingRequest:
    return TrainingRequest(Model(llama(), "small"), **fields)  # type: ignore[arg-type]


def total(**fields: object) -> int:
    return estimate_training(request(**fields)).total


def test_terms_add_up_to_the_peak_of_the_timeline() -> None:
    estimate = estimate_training(request(batch_size=4))
    terms = {term.name: term.bytes for term in estimate.fullest.terms}
    timeline = {row["phase"]: row["bytes"] for row in estimate.extra["timeline"]}
    assert estimate.total == sum(terms.values())
    assert (
        timeline[estimate.extra["peak_phase"]]
        == max(timeline.values())
        == estimate.extra["peak_tensor_bytes"]
    )
    assert estimate.total == estimate.extra["peak_tensor_bytes"] + terms["framework_overhead"]
    assert list(timeline) == ["forward", "loss", "backward", "optimizer_step"]


def test_full_adamw_in_float32_states() -> None:
    parameters = llama().parameters.total
    maxima = estimate_training(request()).extra["maxima_bytes"]
    assert maxima["model_weights"] == maxima["gradients"] == 2 * parameters
    assert maxima["optimizer_states"] == 8 * parameters


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 64), st.integers(1, 8192))
def test_more_is_never_less(batch: int, length: int) -> None:
    assert total(batch_size=batch, sequence_length=length) <= total(
        batch_size=batch + 1, sequence_length=length
    )
    assert total(batch_size=batch, sequence_length=length) <= total(
        batch_size=batch, sequence_length=length + 1
    )


@pytest.mark.parametrize(
    "lighter",
    [
        {"gradient_checkpointing": "full"},
        {"gradient_checkpointing": "selective"},
        {"optimizer": "Quantized AdamW"},
        {"optimizer": "SGD", "momentum": 0.0},
        {"optimizer_dtype": "auto"},
        {"fused_cross_entropy": True},
        {"method": "freeze", "trainable_parameters": 20.0},
        {
            "zero_stage": 1,
            "data_parallel": 8,
            "zero_optimization": ZeroOptimization(reduce_bucket_size=10**7),
        },
        {"fsdp": "fsdp2", "data_parallel": 8},
        {"tensor_parallel": 4},
        {"tensor_parallel": 4, "sequence_parallel": True},
        {"pipeline_parallel": 4},
        {"context_parallel": 2},
        {"offload": Offload(optimizer="cpu")},
        {"compile": True},
        {"mixed_precision": "fp8", "framework": "megatron", "tensor_parallel": 2},
    ],
    ids=str,
)
def test_what_lightens_does(lighter: dict[str, object]) -> None:
    assert total(batch_size=8, sequence_length=2048, **lighter) < total(batch_size=8, sequence_length=2048)


def test_adapters_spare_states_and_not_activations() -> None:
    whole = estimate_training(request(batch_size=8)).extra["maxima_bytes"]
    adapted = estimate_training(request(batch_size=8, method="lora", lora=Lora())).extra["maxima_bytes"]
    assert adapted["optimizer_states"] < whole["optimizer_states"] / 10
    assert adapted["activation_memory"] > whole["activation_memory"]


def test_eager_attention_keeps_the_square_of_the_length() -> None:
    assert total(attention="eager", sequence_length=8192) > 2 * total(sequence_length=8192)


def test_each_stage_of_a_pipeline_is_a_rank_and_the_first_keeps_most() -> None:
    estimate = estimate_training(
        request(pipeline_parallel=4, gradient_accumulation_steps=8, sequence_length=4096)
    )
    activations = {
        rank.role: next(term.bytes for term in rank.terms if term.name == "activation_memory")
        for rank in estimate.ranks
    }
    assert list(activations) == sorted(
        activations, key=lambda role: -next(r.total for r in estimate.ranks if r.role == role)
    )
    assert activations["stage 0"] > activations["stage 1"] > activations["stage 2"]


def test_stages_hold_the_whole_model() -> None:
    weights = [
        next(term.bytes for term in rank.terms if term.name == "model_weights")
        for rank in estimate_training(request(pipeline_parallel=4)).ranks
    ]
    assert sum(weights) == 2 * llama().parameters.total


def test_impossible_questions() -> None:
    with pytest.raises(InvalidLayout):
        total(tensor_parallel=3)
    with pytest.raises(InvalidRequest):
        estimate_training(replace(request(), model=Model(llama(), "small", "int4")))
    with pytest.raises(InvalidRequest):
        total(solve_for="max_batch_size")


@pytest.mark.parametrize(
    "fields",
    [
        {"zero_stage": 2, "fsdp": "fsdp2", "data_parallel": 2},
        {"optimizer_foreach": True, "optimizer_fused": True},
        {"optimizer": "Lion", "optimizer_fused": True},
    ],
    ids=str,
)
def test_contradictions(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        total(**fields)


def test_what_is_not_computed_is_said() -> None:
    with pytest.raises(NotSupportedYet):
        total(objective="dpo", fused_cross_entropy=True)


def test_offloaded_activations_are_in_host_memory() -> None:
    here, there = (
        estimate_training(request(batch_size=8, offload=Offload(activations=where)))
        for where in ("none", "cpu")
    )
    assert there.total < here.total
    assert here.extra["cpu_bytes_per_node"] == 0
    assert there.extra["cpu_bytes_per_node"] >= here.total - there.total


def test_recomputing_every_second_layer_lies_between() -> None:
    full = total(batch_size=8, gradient_checkpointing="full")
    half = total(batch_size=8, gradient_checkpointing="every_n")
    none = total(batch_size=8)
    assert full < half < none
    assert total(
        batch_size=8, gradient_checkpointing="every_n", checkpoint_every_n_layers=1
    ) == pytest.approx(full)


def test_a_reference_model_is_a_second_copy_unless_adapters_can_be_switched_off() -> None:
    def weights(**fields: object) -> int:
        return estimate_training(request(**fields)).ranks[0].terms[0].bytes

    assert weights(objective="dpo") == 2 * weights()
    assert weights(objective="dpo", method="lora") == weights(method="lora")
    assert total(objective="orpo", batch_size=2) > total(batch_size=2)


def test_modules_trained_in_full_are_copies() -> None:
    plain = estimate_training(request(method="lora", lora=Lora()))
    saved = estimate_training(request(method="lora", lora=Lora(modules_to_save=("lm_head",))))
    more = saved.extra["trainable_parameters"] - plain.extra["trainable_parameters"]
    assert more > 0
    assert saved.ranks[0].terms[0].bytes - plain.ranks[0].terms[0].bytes == 2 * more


def test_biases_are_trained_where_they_stand() -> None:
    biased = read_config({**LLAMA, "attention_bias": True})
    plain, trained = (
        estimate_training(TrainingRequest(Model(biased, "biased"), "lora", Lora(bias=bias)))
        for bias in ("none", "all")
    )
    more = trained.extra["trainable_parameters"] - plain.extra["trainable_parameters"]
    assert more == 8 * (1024 + 2 * 256 + 1024)
    assert trained.ranks[0].terms[0].bytes == plain.ranks[0].terms[0].bytes


@pytest.mark.parametrize(
    ("schedule", "micro_batches"), [("1f1b", 4), ("gpipe", 8), ("interleaved", 5.5), ("zero_bubble", 4)]
)
def test_what_the_first_stage_keeps_at_once(schedule: str, micro_batches: float) -> None:
    asked = request(
        pipeline_parallel=4,
        gradient_accumulation_steps=8,
        pipeline_schedule=schedule,
        pipeline_chunks=2,
    )
    assert in_flight(asked, 0) == micro_batches


def test_what_was_taken_instead_is_said() -> None:
    codes = {message.code for message in estimate_training(request(compile=True)).warnings}
    assert codes == {"training_compiled"}


def test_the_largest_batch_fits_and_one_more_does_not() -> None:
    gpu = custom({"memory_gb": 24})
    found = estimate_training(request(gpu=gpu, solve_for="max_batch_size")).extra["solution"]["value"]
    assert total(gpu=gpu, batch_size=found) <= gpu.memory_bytes_usable < total(gpu=gpu, batch_size=found + 1)


def test_changes_are_ranked_and_true() -> None:
    gpu = custom({"memory_gb": 8})
    rows = estimate_training(request(gpu=gpu, batch_size=8, solve_for="changes")).extra["solution"]["value"]
    assert rows
    assert [row["fits"] for row in rows] == sorted((row["fits"] for row in rows), reverse=True)
    assert all(row["saves_bytes"] > 0 for row in rows)


def test_advice_saves_what_it_says() -> None:
    estimate = estimate_training(request(batch_size=8))
    advice = estimate.extra["advice"]
    assert total(**{"batch_size": 8, **advice["change"]}) == estimate.total - advice["saves_bytes"]


def test_model_size_scales_weights_and_states() -> None:
    estimate = estimate_training(TrainingRequest(Model(llama(), "7B", "float16", size_billions=7)))
    maxima = estimate.extra["maxima_bytes"]
    assert maxima["model_weights"] == 14_000_000_000
    assert maxima["optimizer_states"] == pytest.approx(56_000_000_000, rel=1e-6)


def test_a_recurrence_without_a_rule_of_its_own_is_said() -> None:
    def codes(model_type: str) -> set[str]:
        found = Model(read_config({"model_type": model_type}), model_type)
        return {message.code for message in estimate_training(TrainingRequest(found)).warnings}

    assert "training_scan_bounded" in codes("mamba")
    assert "training_scan_bounded" not in codes("mamba2")


def test_liger_kernels_are_those_of_unsloth() -> None:
    fields = {"batch_size": 8, "optimizer_fused": True}
    with_liger = total(use_liger_kernel=True, **fields)
    assert with_liger < total(fused_cross_entropy=True, **fields) < total(**fields)
    assert with_liger == total(framework="unsloth", **fields)
    assert total(use_liger_kernel=True, fused_cross_entropy=True, **fields) == with_liger


def test_liger_leaves_the_loss_over_preferences_alone() -> None:
    assert total(use_liger_kernel=True, objective="dpo", batch_size=4) < total(objective="dpo", batch_size=4)


def test_flash_attention_3_keeps_what_2_keeps() -> None:
    attended = [total(attention=f"flash_attention_{version}", batch_size=8) for version in (2, 3)]
    assert attended[0] == attended[1] < total(attention="eager", batch_size=8)


def test_what_may_leave_the_gpu_by_paging_is_said() -> None:
    def said(optimizer: str) -> dict[str, object]:
        found = estimate_training(request(optimizer=optimizer))
        return next((m.params for m in found.warnings if m.code == "training_paged"), {})

    assert said("AdamW") == {}
    whole = estimate_training(request(optimizer="Paged AdamW"))
    assert said("Paged AdamW")["states"] == whole.extra["maxima_bytes"]["optimizer_states"]
    assert said("Paged AdamW")["without"] < whole.total  # type: ignore[operator]


def test_lora_plus_is_lora_in_memory() -> None:
    plain, plus = (total(method="lora", lora=Lora(loraplus_lr_ratio=r)) for r in (None, 16.0))
    assert plain == plus


def test_a_change_leaves_what_else_is_offloaded() -> None:
    gpu = custom({"memory_gb": 8})
    fields = {"gpu": gpu, "batch_size": 8, "offload": Offload(activations="cpu"), "solve_for": "changes"}
    rows = estimate_training(request(**fields)).extra["solution"]["value"]
    row = next(row for row in rows if row["change"] == {"offload": {"optimizer": "cpu"}})
    both = total(batch_size=8, offload=Offload(activations="cpu", optimizer="cpu"))
    assert row["training_memory"] == both


def test_changes_name_kernels_and_activations_too() -> None:
    gpu = custom({"memory_gb": 8})
    rows = estimate_training(request(gpu=gpu, batch_size=8, solve_for="changes")).extra["solution"]["value"]
    named = [row["change"] for row in rows]
    assert {"use_liger_kernel": True} in named and {"offload": {"activations": "cpu"}} in named
