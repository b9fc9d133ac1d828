"""The profile run, captured graphs, tables of positions and repacked weights of vLLM."""

import pytest

from app.memory.activations import widths
from app.memory.runtimes.device import ASSUMED
from app.memory.runtimes.multimodal import multimodal_bytes
from app.memory.runtimes.rope import rope_tables
from app.memory.runtimes.vllm_graphs import captures, estimated, kernels, layer_kernels
from app.memory.runtimes.vllm_profile import Run, experts_workspace, forward_bytes, sampler_bytes
from app.parallelism import Layout, stages

from ..models import architecture

GIB = 2**30


def of(name: str, tensor: int = 1):  # type: ignore[no-untyped-def]
    model = architecture(name)
    return widths(model, Layout(tensor=tensor), stages(model.sections, 1)[0])


def test_the_sampler_sorts_up_to_0_16_and_works_in_place_after() -> None:
    w = of("Qwen3-14B")
    before, after = (sampler_bytes(Run(minor, 8192, 1024, False), w, ASSUMED) / GIB for minor in (16, 17))
    assert before == pytest.approx(5.635 - 0.031, abs=0.002)
    assert after == pytest.approx(2.232 - 0.031, abs=0.002)


def test_few_sequences_leave_the_forward_pass_on_top() -> None:
    w = of("Llama-3.1-70B")
    run = Run(19, 8192, 16, False)
    assert forward_bytes(run, w, False) > sampler_bytes(run, w, ASSUMED)
    assert forward_bytes(run, w, False) == 2 * 8192 * (3 * 28672 + 4 * 8192)


def test_experts_keep_a_workspace_from_0_14() -> None:
    w = of("Qwen3-30B-A3B")
    assert experts_workspace(Run(11, 8192, 1024, False), w, False) == 0
    assert experts_workspace(Run(19, 8192, 1024, False), w, True) == 0
    assert experts_workspace(Run(19, 8192, 1024, False), w, False) == 2 * 8192 * 8 * (2048 + 2048)


def test_capture_sizes_are_51_up_to_512() -> None:
    assert [captures(19, 1024, 8192, cap).number for cap in (512, 1024)] == [51, 83]
    assert captures(19, 2, 8192, 512) == (3, 4)
    assert captures(19, 1, 8192, 512) == (2, 2)


@pytest.mark.parametrize(
    ("name", "gib"),
    [("Qwen3-14B", 0.90), ("Qwen3-8B", 0.84), ("Qwen2.5-7B-Instruct", 0.61), ("gemma-2-2b", 0.52)],
)
def test_the_engines_own_estimate_of_graphs_moves_in_driver_segments(name: str, gib: float) -> None:
    stage = stages(architecture(name).sections, 1)[0]
    found = estimated(captures(19, 1024, 8192, 512), kernels(stage), of(name), "flash_attention_3")
    assert found / GIB == pytest.approx(gib, abs=0.006)


def test_layers_with_experts_or_latents_run_more_kernels() -> None:
    counts = {
        name: max(layer_kernels(s) for s in architecture(name).sections if s.component == "decoder")
        for name in ("Qwen3-8B", "Qwen3-30B-A3B", "DeepSeek-V3")
    }
    assert counts["Qwen3-8B"] < counts["Qwen3-30B-A3B"] < counts["DeepSeek-V3"]
    model = architecture("Qwen3-8B")
    assert kernels(stages(model.sections, 1)[0]) == 36 * counts["Qwen3-8B"]


def test_tables_of_positions() -> None:
    assert rope_tables(architecture("Llama-3.1-8B"), "bfloat16") == (131072 * 128 * 2,)
    assert sorted(rope_tables(architecture("gemma-3-27b-it"), "bfloat16")) == [
        131072 * 128 * 2,
        8 * 131072 * 128 * 2,
    ]
    assert rope_tables(architecture("gpt-oss-20b"), "bfloat16") == (131072 * 64 * 4,)
    assert rope_tables(architecture("gpt2"), "bfloat16") == ()


def test_images_of_one_step() -> None:
    """Gemma 3: 32 images of 256 tokens; Mistral 3: two of 3025."""
    gemma = architecture("gemma-3-27b-it")
    assert multimodal_bytes(gemma, 8192, 1024, 8192) == 32 * 2 * (256 * 5376 + 3 * 896**2)
    mistral = architecture("Mistral-Small-3.1-24B-Instruct-2503")
    assert multimodal_bytes(mistral, 8192, 1024, 8192) == 2 * 2 * (3025 * 5120 + 3 * 1540**2)
    assert multimodal_bytes(architecture("Qwen3-8B"), 8192, 1024, 8192) == 0
