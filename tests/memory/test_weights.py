"""Weights of one rank."""

from hypothesis import given
from hypothesis import strategies as st

from app.memory.weights import allocated, rank_weights, stored_model
from app.parallelism import Layout, stages

from .models import architecture

GIB = 2**30


@given(st.integers(1, 2**34))
def test_the_allocator_never_gives_less_and_wastes_at_most_two_mebibytes(size: int) -> None:
    given_ = allocated(size)
    assert size <= given_ < size + 2 * 2**20
    assert given_ % 512 == 0


def test_plain_weights_are_parameters_times_bytes() -> None:
    model = architecture("Qwen3-8B")
    stored = stored_model(model, "bfloat16", None)
    whole = stages(stored.sections, 1)[0]
    assert rank_weights(stored, Layout(), whole).exact == 2 * 8_190_735_360


def test_shards_of_all_ranks_sum_to_the_whole_but_for_what_is_replicated() -> None:
    stored = stored_model(architecture("Llama-3.1-8B"), "bfloat16", None)
    whole = stages(stored.sections, 1)[0]
    one = rank_weights(stored, Layout(), whole).exact
    norms = 2 * 4096 * 65
    for ranks in (2, 4, 8):
        shard = rank_weights(stored, Layout(tensor=ranks), whole).exact
        assert ranks * shard == one + (ranks - 1) * norms


def test_stages_sum_to_the_whole() -> None:
    stored = stored_model(architecture("Qwen3-8B"), "bfloat16", None)
    one = rank_weights(stored, Layout(), stages(stored.sections, 1)[0]).exact
    parts = stages(stored.sections, 3)
    assert sum(rank_weights(stored, Layout(pipeline=3), s).exact * s.count for s in parts) == one


def test_a_stated_size_is_exactly_that() -> None:
    stored = stored_model(architecture("Llama-3.1-8B"), "float16", None, 7.0)
    whole = stages(stored.sections, 1)[0]
    assert rank_weights(stored, Layout(), whole).exact == 14_000_000_000


def test_textbook_precisions_are_one_and_half_a_byte() -> None:
    model = architecture("Qwen3-8B")
    for precision, divisor in (("int8", 1), ("int4", 2)):
        stored = stored_model(model, precision, None)
        size = rank_weights(stored, Layout(), stages(stored.sections, 1)[0]).exact
        assert abs(size - 8_190_735_360 / divisor) < 1000
        assert stored.textbook and stored.compute == "bfloat16"


def test_latent_projections_are_not_cut_but_heads_are() -> None:
    stored = stored_model(architecture("DeepSeek-V3"), None, None)
    whole = stages(stored.sections, 1)[0]
    sizes = [rank_weights(stored, Layout(tensor=ranks), whole).exact for ranks in (1, 8)]
    assert sizes[0] / 8 < sizes[1] < sizes[0] / 7.5
