"""The search for training: what fits is true, targets hold, layouts are those of the framework."""

from msgspec.structs import replace

from app.memory.training.estimate import estimate_training
from app.planner.changes import first_change, for_serving, for_training
from app.planner.requests import Option, TrainingPlanRequest
from app.planner.search import plan
from app.planner.training_search import plan_training
from tests.planner.questions import lookup, serving, trained, training


def agree(request: TrainingPlanRequest, option: Option) -> None:
    """The memory estimate of an option's layout is what the option says."""
    asked = replace(
        request.ask.training, gpu=option.gpu, batch_size=option.batch, data_parallel=option.layout.data,
        tensor_parallel=option.layout.tensor, pipeline_parallel=option.layout.pipeline,
        context_parallel=option.layout.context, expert_parallel=option.layout.expert,
        gradient_checkpointing=str(option.settings["gradient_checkpointing"]),
        fsdp=str(option.settings["fsdp"]),
    )  # fmt: skip
    estimate = estimate_training(asked)
    assert estimate.fit is not None and estimate.fit.fits
    assert option.need == estimate.total


def test_options_fit_as_the_memory_estimate_says() -> None:
    request = training()
    for option in plan_training(request).options[:3]:
        agree(request, option)


def test_days_and_cost_are_held() -> None:
    found = trained(tokens=10**9, targets={"days": 1, "max_cost": 200})
    assert found.options
    assert all((o.figures["days"] or 9) <= 1 and (o.figures["cost"] or 0) <= 200 for o in found.options)


def test_only_frameworks_that_cut_models_get_such_layouts() -> None:
    assert all(o.layout.replica == 1 for o in trained().options)
    cut = plan_training(training(framework="megatron", tensor_parallel=4))
    assert cut.options and all(o.layout.tensor == 4 for o in cut.options)


def test_adapters_need_fewer_gpus() -> None:
    full = min(o.layout.gpus for o in trained(gpus=["l40s"]).options)
    adapted = min(o.layout.gpus for o in trained(gpus=["l40s"], method="qlora").options)
    assert adapted < full


def test_the_single_change_for_training() -> None:
    request = training("Qwen3-8B", gpus=["rtx-4090"], max_gpus=1)
    assert not plan_training(request).options
    change = first_change(for_training(request, tuple(lookup().gpus)), plan_training)
    assert change is not None
    fields, option = change
    assert len(fields) == 1 and option.need <= option.usable


def test_the_single_change_for_serving() -> None:
    """A 70B in 16 bits on one 80 GB card: narrower weights do, and the change found is enough by itself."""
    request = serving("Llama-3.1-70B", gpus=["h100-sxm-80gb"], max_gpus=1, quantizations=["none"])
    assert not plan(request).options
    change = first_change(for_serving(request, tuple(lookup().gpus)), plan)
    assert change is not None
    fields, option = change
    assert list(fields) == ["quantization"] and option.quantization == fields["quantization"]
    assert option.headroom > 0


def test_experts_are_spread_over_ranks_by_frameworks_that_can() -> None:
    request = training("Qwen3-30B-A3B", framework="megatron", gpus=["a100-sxm-80gb"], max_gpus=16)
    spread = [option for option in plan_training(request).options if option.layout.expert > 1]
    assert spread
    for option in spread:
        assert option.layout.data % option.layout.expert == 0
        agree(request, option)
    assert all(o.layout.expert == 1 for o in trained("Qwen3-30B-A3B", max_gpus=16).options)


def test_long_sequences_are_cut() -> None:
    fields = {"framework": "megatron", "gpus": ["a100-sxm-80gb"], "max_gpus": 16}
    request = training(sequence_length=65536, **fields)
    cut = [option for option in plan_training(request).options if option.layout.context > 1]
    assert cut
    for option in cut:
        assert option.layout.gpus == option.layout.replica * option.layout.data <= 16
        agree(request, option)
    assert all(o.layout.context == 1 for o in plan_training(training(**fields)).options)


def test_gaps_of_zero3_count_where_it_is_asked_for() -> None:
    request = training(zero_stage=3, gpus=["a100-sxm-80gb"])
    for option in plan_training(request).options:
        if option.layout.gpus > 1:
            asked = replace(
                request.ask.training, gpu=option.gpu, batch_size=option.batch,
                data_parallel=option.layout.data,
                gradient_checkpointing=str(option.settings["gradient_checkpointing"]),
            )  # fmt: skip
            assert option.need == estimate_training(asked).total


def test_what_fits_as_it_is_is_not_recomputed() -> None:
    sizes = {}
    for option in trained(gpus=["mi300x-192gb"], max_gpus=8).options:
        key = (option.layout, option.batch)
        assert key not in sizes
        sizes[key] = option
