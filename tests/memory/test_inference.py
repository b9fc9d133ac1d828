"""Properties of every runtime's answer, and the contract's keys."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidLayout, InvalidRequest
from app.memory.inference import estimate_inference, predicted_figures
from app.memory.requests import Model, Speculative
from app.memory.runtimes import BY_NAME, choices, runtime_of

from .models import architecture, ask, gpu

BACKENDS = sorted(BY_NAME)
TERMS = {"model_weights", "kv_cache", "activation_memory", "framework_overhead"}
NAMES = [
    "Llama-3.1-8B",
    "gpt-oss-20b",
    "DeepSeek-V2-Lite",
    "Qwen3-30B-A3B",
    "gemma-2-2b",
    "Qwen3-Next-80B-A3B-Instruct",
]


def test_every_backend_of_the_enumeration_is_there() -> None:
    assert [runtime_of(name).backend for name in BY_NAME] == list(BY_NAME)
    assert set(BY_NAME) == set(choices.BACKENDS) == set(choices.VERSIONS) == set(choices.KV_CACHE_DTYPES)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NAMES)
def test_terms_are_the_contracts_and_none_is_negative(backend: str, name: str) -> None:
    found = estimate_inference(ask(name, backend=backend, batch_size=3, sequence_length=4096, gpu=gpu()))
    assert {term.name for term in found.fullest.terms} == TERMS
    assert all(term.bytes >= 0 for term in found.fullest.terms)
    assert found.total == sum(term.bytes for term in found.fullest.terms)
    assert all((term.low is None) == (term.high is None) for term in found.fullest.terms)
    assert all(
        term.low <= term.bytes <= term.high
        for term in found.fullest.terms
        if term.low is not None and term.high
    )
    minimum = found.extra["minimum_bytes"]
    assert set(minimum) == TERMS | {"inference_memory"}
    assert minimum["inference_memory"] <= found.total
    assert found.fit is not None and found.fit.free_bytes == found.fit.budget_bytes - found.total


@settings(max_examples=25, deadline=None)
@given(
    backend=st.sampled_from(BACKENDS),
    name=st.sampled_from(NAMES),
    batch=st.integers(1, 200),
    length=st.integers(1, 40_000),
    more=st.integers(1, 64),
)
def test_more_sequences_or_longer_ones_are_never_less(
    backend: str, name: str, batch: int, length: int, more: int
) -> None:
    def total(b: int, n: int) -> int:
        return estimate_inference(ask(name, backend=backend, batch_size=b, sequence_length=n)).total

    assert total(batch, length) <= total(batch + more, length)
    assert total(batch, length) <= total(batch, length + more)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_largest_batch_fits_and_one_more_does_not(backend: str) -> None:
    base = {"backend": backend, "sequence_length": 8192, "gpu": gpu(), "precision": "bfloat16"}
    most = estimate_inference(ask("Llama-3.1-8B", **base)).extra["capacity"]["max_batch_size"]
    fits = estimate_inference(ask("Llama-3.1-8B", batch_size=most, **base)).fit
    beyond = estimate_inference(ask("Llama-3.1-8B", batch_size=most + 1, **base)).fit
    assert most > 1 and fits and fits.fits and beyond and not beyond.fits


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_longest_sequence_fits_and_twice_it_does_not(backend: str) -> None:
    base = {"backend": backend, "batch_size": 4, "gpu": gpu(), "precision": "bfloat16"}
    longest = estimate_inference(ask("Llama-3.1-8B", **base)).extra["capacity"]["max_sequence_length"]
    assert estimate_inference(ask("Llama-3.1-8B", sequence_length=longest, **base)).fit.fits  # type: ignore[union-attr]
    assert not estimate_inference(ask("Llama-3.1-8B", sequence_length=2 * longest, **base)).fit.fits  # type: ignore[union-attr]


def test_a_model_too_large_for_the_card_does_not_fit() -> None:
    found = estimate_inference(ask("DeepSeek-V3", gpu=gpu()))
    assert found.fit is not None and not found.fit.fits and found.fit.free_bytes < 0
    assert found.extra["capacity"]["max_batch_size"] == 0


def test_ranks_of_a_pipeline_are_listed_with_their_counts() -> None:
    found = estimate_inference(ask("Llama-3.1-70B", tensor_parallel=2, pipeline_parallel=4, data_parallel=2))
    assert sum(rank.count for rank in found.ranks) == 16
    assert len(found.ranks) > 1
    assert found.fullest.total == found.ranks[0].total


@pytest.mark.parametrize("question", choices.QUESTIONS)
def test_inverse_questions_have_one_answer(question: str) -> None:
    request = ask("Llama-3.1-70B", gpu=gpu(), batch_size=4, sequence_length=8192, solve_for=question)
    first = estimate_inference(request).extra["solution"]
    again = estimate_inference(request).extra["solution"]
    assert first == again and first["solve_for"] == question


def test_the_fewest_gpus_hold_the_batch_and_fewer_do_not() -> None:
    request = ask("Llama-3.1-70B", gpu=gpu(), batch_size=4, sequence_length=8192, solve_for="min_gpus")
    solution = estimate_inference(request).extra["solution"]
    assert solution["value"] == solution["tensor_parallel"] * solution["pipeline_parallel"] > 1
    layout = {name: solution[name] for name in ("tensor_parallel", "pipeline_parallel")}
    fit = estimate_inference(
        ask("Llama-3.1-70B", gpu=gpu(), batch_size=4, sequence_length=8192, **layout)
    ).fit
    assert fit is not None and fit.fits


def test_adapters_and_drafts_add_their_weights() -> None:
    plain = estimate_inference(ask("Llama-3.1-8B")).fullest
    adapted = estimate_inference(ask("Llama-3.1-8B", max_loras=2, max_lora_rank=16)).fullest
    # 16 x (in + out) of the seven linears of each of 32 layers, two slots of two bytes.
    per_layer = (4096 + 4096) * 2 + (4096 + 1024) * 2 + (4096 + 14336) * 3
    assert adapted.total - plain.total == 2 * 2 * 16 * per_layer * 32
    draft = Speculative(3, Model(architecture("Llama-3.2-1B"), "Llama-3.2-1B"))
    drafted = estimate_inference(ask("Llama-3.1-8B", speculative=draft)).fullest
    assert drafted.total > plain.total + 2 * 10**9


@pytest.mark.parametrize(
    ("name", "version", "per_layer"),
    [
        ("Qwen3-30B-A3B", "0.19", 128 * (2 * (2048 + 768) + (768 + 2048)) * 48),
        ("Qwen3-30B-A3B", "0.11", 0),
        ("gpt-oss-20b", "0.19", 32 * ((2880 + 2 * 2880) + (2880 + 2880)) * 24),  # gate and up are one matrix
    ],
)
def test_adapters_of_experts_have_slots_from_0_12_on(name: str, version: str, per_layer: int) -> None:
    def weights(slots: int) -> int:
        request = ask(name, backend_version=version, max_loras=slots, max_lora_rank=8)
        return estimate_inference(request).fullest.sizes["model_weights"]

    dense = weights(2) - weights(0) - 2 * 2 * 8 * per_layer
    assert 0 < dense < 2**30 / 4
    assert weights(1) - weights(0) == (weights(3) - weights(0)) // 3


def test_prediction_layers_are_one_more_layer_and_refused_where_there_are_none() -> None:
    found = estimate_inference(ask("DeepSeek-V3", speculative=Speculative(1, None, "mtp"), tensor_parallel=8))
    assert [term.formula for term in found.fullest.terms][:2] == ["formula_weights", "formula_draft"]
    with pytest.raises(InvalidRequest):
        estimate_inference(ask("Llama-3.1-8B", speculative=Speculative(1, None, "mtp")))


def test_wrong_choices_name_the_field() -> None:
    wrong = [
        ({"backend_version": "0.5"}, "backend_version"),
        ({"kv_cache_dtype": "q4_0"}, "kv_cache_dtype"),
        ({"tensor_parallel": 4, "context_parallel": 3}, "context_parallel"),
    ]
    for fields, field in wrong:
        with pytest.raises(InvalidRequest) as caught:
            estimate_inference(ask("Llama-3.1-8B", **fields))
        assert caught.value.problems[0].field == field
        assert caught.value.text()
    with pytest.raises(InvalidLayout):
        estimate_inference(ask("Llama-3.1-8B", tensor_parallel=3))


def test_neutral_fields_and_unmeasured_devices_are_said() -> None:
    neutral = estimate_inference(ask("Llama-3.1-8B", backend="transformers", max_num_seqs=7, gpu=gpu()))
    assert [w.params["field"] for w in neutral.warnings if w.code == "neutral_field"] == ["max_num_seqs"]
    npu = estimate_inference(ask("Llama-3.1-8B", gpu=gpu("ascend-910b3-64gb")))
    assert "overhead_unknown" in [warning.code for warning in npu.warnings]
    wide = [term for term in npu.fullest.terms if term.name == "framework_overhead"]
    assert sum(term.high is not None and term.high >= 2.9 * term.bytes for term in wide if term.bytes) == 3
    assert all(warning.text("en") and warning.text("zh") for warning in (*neutral.warnings, *npu.warnings))


def test_every_formula_has_words() -> None:
    from app.messages import Message

    for backend in BACKENDS:
        for term in estimate_inference(ask("Llama-3.1-8B", backend=backend, max_loras=1)).fullest.terms:
            assert Message(term.formula, term.values).text("zh")


def test_figures_of_a_log_are_those_of_the_answer() -> None:
    request = ask("Qwen3-8B", backend_version="0.19", gpu=gpu(memory_gb=79.19), gpu_memory_utilization=0.95)
    figures = predicted_figures(request)
    capacity = estimate_inference(request).extra["capacity"]
    assert figures["kv_tokens"] == capacity["kv_cache_tokens"]
    assert figures["max_concurrency"] == capacity["max_concurrency"]
