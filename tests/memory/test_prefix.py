"""A beginning that all sequences share is kept once where the runtime caches prefixes."""

import pytest

from app.errors import InvalidRequest
from app.memory.inference import estimate_inference
from app.memory.requests import InferenceRequest

from .models import ask, gpu

SHARING = ("vllm", "sglang", "tensorrt-llm", "tgi")


def cache(request: InferenceRequest) -> int:
    return estimate_inference(request).ranks[0].sizes["kv_cache"]


def asked(backend: str, prefix: int, **fields: object) -> InferenceRequest:
    usual = {"batch_size": 32, "sequence_length": 4096, "shared_prefix_length": prefix}
    return ask("Qwen3-8B", backend=backend, **(usual | fields))


@pytest.mark.parametrize("backend", SHARING)
def test_whole_blocks_are_kept_once(backend: str) -> None:
    one = cache(asked(backend, 0, batch_size=1))
    assert cache(asked(backend, 0)) == 32 * one
    assert cache(asked(backend, 2048)) == one + 31 * one // 2
    assert cache(asked(backend, 2048, batch_size=1)) == one


def test_only_whole_blocks() -> None:
    assert cache(asked("vllm", 2048 + 15)) == cache(asked("vllm", 2048))
    assert cache(asked("vllm", 2048 + 16)) < cache(asked("vllm", 2048))


@pytest.mark.parametrize("backend", SHARING)
def test_more_sequences_fit(backend: str) -> None:
    def most(prefix: int) -> int:
        found: int = estimate_inference(asked(backend, prefix, gpu=gpu())).extra["capacity"]["max_batch_size"]
        return found

    assert 1.9 * most(0) < most(2048) < 2.1 * most(0)


def test_the_log_s_figures_do_not_change() -> None:
    whole, shared = (estimate_inference(asked("vllm", n, gpu=gpu())).extra["capacity"] for n in (0, 2048))
    assert whole["kv_cache_tokens"] == shared["kv_cache_tokens"]
    assert whole["max_concurrency"] == shared["max_concurrency"]
    assert shared["max_sequence_length"] > whole["max_sequence_length"]


@pytest.mark.parametrize(
    ("name", "backend", "version"),
    [
        ("Qwen3-8B", "transformers", None),
        ("Qwen3-8B", "llama.cpp", None),
        ("Qwen3-Next-80B-A3B-Instruct", "vllm", "0.20"),
    ],
)
def test_where_none_is_shared_that_is_said(name: str, backend: str, version: str | None) -> None:
    fields = {"batch_size": 4, "sequence_length": 4096, "backend": backend, "backend_version": version}
    alone, told = (estimate_inference(ask(name, shared_prefix_length=n, **fields)) for n in (0, 2048))
    assert told.ranks[0].sizes == alone.ranks[0].sizes
    assert {m.code for m in told.warnings} - {m.code for m in alone.warnings} == {"prefix_not_shared"}


def test_hybrids_share_what_sees_all_tokens_from_0_28_on() -> None:
    fields = {"batch_size": 4, "sequence_length": 8192, "backend_version": "0.28"}
    alone, told = (
        cache(ask("Qwen3-Next-80B-A3B-Instruct", shared_prefix_length=n, **fields)) for n in (0, 4096)
    )
    assert 0.25 * alone < told < alone


def test_a_prefix_is_shorter_than_its_sequence() -> None:
    with pytest.raises(InvalidRequest) as refused:
        estimate_inference(asked("vllm", 4096))
    assert refused.value.problems[0].field == "shared_prefix_length"
