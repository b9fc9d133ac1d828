"""What sequences leave behind on one rank."""

import pytest

from app.memory.kv_cache import StateRule, cache_element, rank_cache, sequence_bytes
from app.memory.runtimes import deploy
from app.parallelism import Layout, stages

from .models import architecture, ask

RULE = StateRule("bfloat16", "bfloat16")


def cached(name: str, tensor: int = 1) -> int:
    model = architecture(name)
    return sequence_bytes(rank_cache(Layout(tensor=tensor), stages(model.sections, 1)[0], RULE), 1024, 2.0)


def test_grouped_caches_shrink_with_ranks_until_heads_run_out() -> None:
    assert cached("Llama-3.1-8B") == 1024 * 131_072
    assert cached("Llama-3.1-8B", 8) * 8 == cached("Llama-3.1-8B")
    assert cached("Llama-3.1-8B", 16) == cached("Llama-3.1-8B", 8)


def test_a_latent_cache_is_kept_whole_by_every_rank() -> None:
    assert cached("DeepSeek-V3") == 1024 * 70_272
    assert cached("DeepSeek-V3", 8) == cached("DeepSeek-V3")


def test_blocks_with_scales_take_more_than_their_bits() -> None:
    assert [cache_element(name) for name in ("fp8", "nvfp4", "q8_0", "q4_0")] == [1.0, 0.5625, 1.0625, 0.5625]


@pytest.mark.parametrize(
    "name",
    [
        "Llama-3.1-8B",
        "gemma-2-2b",
        "gpt-oss-20b",
        "DeepSeek-V3",
        "Qwen3-Next-80B-A3B-Instruct",
        "mamba2-1.3b",
    ],
)
@pytest.mark.parametrize("length", [64, 5000])
def test_transformers_cache_is_the_architectures_reading(name: str, length: int) -> None:
    deployment = deploy(
        ask(name, precision="bfloat16", backend="transformers", batch_size=3, sequence_length=length)
    )
    expected = architecture(name).cache_bytes(3, length, dtype="bfloat16")
    assert sum(deployment.cache_bytes(stage, 3, length) for stage in deployment.stages) == expected
