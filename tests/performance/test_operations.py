"""Costs of operations, held against counts that are made without them."""

import pytest
from msgspec.structs import replace

from app.architecture.extents import Extents
from app.architecture.flops import forward_flops
from app.memory.weights import rank_weights
from app.performance.operations import Work, read_works, totals
from app.performance.roofline import Rates, Step, cost
from tests.performance.questions import setup

MODELS = ("Llama-3.1-8B", "Mixtral-8x7B-v0.1", "gemma-2-9b", "Qwen3-30B-A3B", "falcon-7b")


def works_of(model: str, **values: object) -> tuple[tuple[Work, ...], Rates]:
    found = setup(model, "h200-sxm-141gb", **values)
    d = found.deployment
    return read_works(d.stored, d.layout, d.stages[0], d.kv_element), found.engine.rates


@pytest.mark.parametrize("model", MODELS)
def test_a_prompt_takes_the_flops_of_the_forward_description(model: str) -> None:
    length = 512
    found = setup(model, "h200-sxm-141gb")
    works, rates = works_of(model)
    step = Step(prompts=1, length=length, finished=length)  # logits at every position, as the reading counts
    ours = sum(cost(work, step, rates).flops for work in works)
    exact = forward_flops(found.deployment.stored.sections, Extents(1, length), causal=True)
    assert ours == pytest.approx(exact, rel=0.002)


@pytest.mark.parametrize("model", MODELS)
def test_weights_that_are_read_are_those_that_are_held(model: str) -> None:
    """All but the embedding, of which a step reads rows; a tied one is read as the head."""
    found = setup(model, "h200-sxm-141gb")
    d = found.deployment
    works, _ = works_of(model)
    held = rank_weights(d.stored, d.layout, d.stages[0]).exact
    tied = any(p.tied for _, op in d.stored.architecture.operations() for p in op.parameters)
    table = 0 if tied else 2 * d.stored.architecture.vocab_size * d.stored.architecture.hidden_size
    norms = 0.002 * held
    assert sum(work.weight_bytes for work in works) == pytest.approx(held - table, abs=norms)


@pytest.mark.parametrize("model", MODELS)
def test_cache_that_is_read_is_what_the_memory_module_keeps(model: str) -> None:
    found = setup(model, "h200-sxm-141gb")
    works, rates = works_of(model)
    context = 1000
    step = Step(decoding=3, context=context)
    read = sum(cost(work, step, rates).bytes for work in works if work.kind == "attention")
    assert read == 3 * found.deployment.stored.architecture.cache_bytes(1, context, implementation="compact")


@pytest.mark.parametrize("tensor", [2, 4, 8])
def test_tensor_ranks_share_the_work(tensor: int) -> None:
    whole, rates = works_of("Llama-3.1-70B")
    part, _ = works_of("Llama-3.1-70B", tensor_parallel=tensor)
    step = Step(prompts=1, length=256)

    def flops(works: tuple[Work, ...]) -> float:
        return sum(cost(work, step, rates).flops for work in works)

    assert flops(part) == pytest.approx(flops(whole) / tensor, rel=0.01)
    sent = [work for work in part if work.kind == "all_reduce"]
    assert sum(work.messages for work in sent) == 2 * 80
    assert sum(cost(work, step, rates).sent for work in sent) == 2 * 80 * 256 * 8192 * 2


@pytest.mark.parametrize("model", [*MODELS, "DeepSeek-V3", "Qwen3-Next-80B-A3B-Instruct"])
@pytest.mark.parametrize("step", [Step(decoding=16, context=2000), Step(prompts=2, length=700)])
def test_put_together_operations_take_as_long_as_one_by_one(model: str, step: Step) -> None:
    found = setup(model, "h200-sxm-141gb", tensor_parallel=1 if model == "falcon-7b" else 2)
    d = found.deployment
    seconds = [
        sum(cost(work, step, found.engine.rates).seconds for work in read)
        for read in (read(d.stored, d.layout, d.stages[0], d.kv_element) for read in (read_works, totals))
    ]
    assert seconds[0] == pytest.approx(seconds[1], rel=0.02)


def test_few_tokens_reach_few_experts() -> None:
    works, rates = works_of("Qwen3-30B-A3B")
    experts = next(work for work in works if work.kind == "experts")
    one, many = (cost(experts, Step(decoding=n, context=1), rates).bytes for n in (1, 4096))
    assert one == pytest.approx(experts.weight_bytes * 8 / 128)
    assert many == pytest.approx(experts.weight_bytes)
    skewed = cost(experts, Step(decoding=16, context=1), rates, skew=1.2).bytes
    assert one < skewed < cost(experts, Step(decoding=16, context=1), rates).bytes


def test_windows_bound_what_is_read() -> None:
    windowed = Work("a", "attention", cache_bytes=10.0, repeated_bytes=10.0, reach=100)
    endless = replace(windowed, reach=0)
    _, rates = works_of("Llama-3.1-8B")
    step = Step(decoding=1, context=5000)
    assert cost(windowed, step, rates).bytes == 1000
    assert cost(endless, step, rates).bytes == 50_000


def test_no_runtime_multiplies_experts_that_a_token_does_not_pick() -> None:
    """Llama 4's own code runs every expert on every token."""
    works, _ = works_of("Llama-4-Scout-17B-16E-Instruct", tensor_parallel=4, quantization="fp8")
    routed = [work for work in works if work.experts]
    assert routed and all(work.top_k == 1 and work.experts == 16 for work in routed)
    hidden, width = 5120, 8192
    assert sum(work.row_flops for work in routed) == pytest.approx(48 * 6 * hidden * width / 4, rel=1e-6)
