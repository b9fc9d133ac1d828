"""Pages, groups and blocks of vLLM's cache."""

from hypothesis import given
from hypothesis import strategies as st

from app.memory.kv_cache import LayerCache
from app.memory.requests import Speculative
from app.memory.runtimes import deploy
from app.memory.runtimes.vllm_kv import Spec, aligned_to_states, group, grouped, specs

from ..models import ask

GIB = 2**30
FULL = LayerCache(10, 16 * 256, 16 * 256)
LOCAL = LayerCache(52, 16 * 256, 16 * 256, window=1024)


def test_equal_layers_are_one_group() -> None:
    found = grouped((FULL,), 16, 2.0, 2, 1.5, True)
    assert (found.count, found.block_bytes) == (1, 10 * 16 * 16 * 256 * 2)
    assert found.blocks(8192, 8192) == 512


def test_gemma_3_27b_makes_seven_groups_of_ten() -> None:
    found = grouped((FULL, LOCAL), 16, 2.0, 2, 1.5, True)
    assert (found.count, found.block_bytes) == (7, 10 * 131072)
    # 8192 full blocks, six groups of a window with 8192 tokens in flight: 14.23 GiB at 128k.
    blocks = found.blocks(131072, 8192)
    assert blocks == 8192 + 6 * 577
    assert round(blocks * found.block_bytes / GIB, 2) == 14.23


def test_without_the_hybrid_manager_windows_cost_full_context() -> None:
    found = grouped((FULL, LOCAL), 16, 2.0, 2, 1.5, False)
    assert found.count == 1
    assert round(found.blocks(131072, 8192) * found.block_bytes / GIB, 1) == 62.0


def test_nearly_equal_kinds_share_the_larger_group() -> None:
    full, local = LayerCache(13, 512, 512), LayerCache(12, 512, 512, window=128)
    assert group(specs((full, local), 16, 2.0, hybrid=True, state_copies=2), 1.5).count == 2
    assert group(specs((full, local), 16, 2.0, hybrid=True, state_copies=2), 1.0).count == 3


def test_attention_blocks_grow_until_their_page_holds_a_state() -> None:
    """A published start-up log of Qwen3.6-27B FP8, two ranks, fp8 cache, three drafted tokens."""
    request = ask(
        "Qwen3.6-27B",
        quantization="fp8-block",
        backend_version="0.29",
        kv_cache_dtype="fp8",
        sequence_length=262144,
        tensor_parallel=2,
        speculative=Speculative(3, None, "mtp"),
    )
    groups = deploy(request).groups  # type: ignore[attr-defined]
    assert groups.smallest_block == 1600
    assert groups.blocks(262144, 8192) == 179
    blocks = int(5.33 * GIB) // groups.block_bytes
    assert int(blocks / 179 * 262144) == 300_220


@given(st.integers(1, 10**7), st.integers(1, 4096))
def test_aligned_pages_hold_the_state(state: int, per_token: int) -> None:
    found = aligned_to_states(
        (Spec("full", 4, 16, 16 * per_token), Spec("state", 12, 16, state, copies=2)), per_token, 16
    )
    pages = {spec.page for spec in found}
    assert len(pages) == 1 and pages.pop() >= state
    assert {spec.block % 16 for spec in found} == {0}


@given(st.integers(1, 200_000), st.integers(1, 20_000))
def test_windows_never_need_more_than_one_block_above_full_attention(length: int, in_flight: int) -> None:
    full, window = Spec("full", 1, 16, 1), Spec("window", 1, 16, 1, reach=1024)
    assert window.pages(length, in_flight) <= full.pages(length, in_flight) + 1
