"""The search for training: what fits is true, targets hold, layouts are those of the framework."""

from dataclasses import replace

from app.memory.training.estimate import estimate_training
from app.planner.changes import first_change, for_serving, for_training
from app.planner.search import plan
from app.planner.training_search import plan_training
from tests.planner.questions import lookup, serving, trained, training


def test_options_fit_as_the_memory_estimate_says() -> None:
    request = training()
    for option in plan_training(request).options[:3]:
        asked = replace(
            request.ask.training, gpu=option.gpu, batch_size=option.batch, data_parallel=option.layout.data,
            gradient_checkpointing=str(option.settings["gradient_checkpointing"]),
            fsdp=str(option.settings["fsdp"]),
        )  # fmt: skip
        estimate = estimate_training(asked)
        assert estimate.fit is not None and estimate.fit.fits
        assert option.need == estimate.total


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
