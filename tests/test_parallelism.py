"""How models are laid over ranks."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.architecture import read_config
from app.architecture.operations import Parameter, Part, Role, Split
from app.architecture.tensors import own_parameters
from app.errors import InvalidLayout
from app.parallelism import (
    Layout,
    balanced,
    check_layout,
    kv_heads_per_rank,
    local_shape,
    remainder_first,
    remainder_last,
    stages,
    tensor_sizes,
)

from .memory.models import architecture


@given(st.integers(1, 200), st.integers(1, 32))
def test_every_layer_is_dealt_once(layers: int, count: int) -> None:
    for deal in (balanced, remainder_first, remainder_last):
        sizes = deal(layers, count)
        assert sum(sizes) == layers
        assert max(sizes) - min(sizes) <= 1


def test_vllm_leaves_the_first_and_last_stage_small() -> None:
    assert balanced(61, 4) == [15, 15, 16, 15]
    assert balanced(62, 4) == [15, 16, 16, 15]
    assert balanced(80, 3) == [27, 27, 26]


@given(st.sampled_from([1, 2, 4, 8]), st.integers(1, 8), st.integers(1, 16))
def test_shards_of_whole_pieces_sum_to_the_whole(ranks: int, heads: int, width: int) -> None:
    units = heads * ranks
    parameter = Parameter("w", (units * width, 32), Role.LINEAR, Split(0, (Part(0, units),)))
    assert ranks * prod(local_shape(parameter, Layout(tensor=ranks))) == parameter.size


def test_key_value_heads_are_shared_when_there_are_too_few() -> None:
    fused = Split(0, (Part(32 * 8, 32), Part(4 * 8, 4, True), Part(4 * 8, 4, True)))
    parameter = Parameter("qkv", (40 * 8, 64), Role.LINEAR, fused)
    assert local_shape(parameter, Layout(tensor=8)) == (4 * 8 + 8 + 8, 64)
    assert [kv_heads_per_rank(4, ranks) for ranks in (1, 2, 4, 8)] == [4, 2, 1, 1]


def test_vocabulary_is_padded_before_it_is_cut() -> None:
    head = Parameter("lm_head.weight", (49155, 16), Role.HEAD)
    assert local_shape(head, Layout(tensor=2), 49155, 64) == (24608, 16)


def test_experts_go_whole_to_their_group_or_are_cut() -> None:
    split = Split(1, (Part(768, 768), Part(768, 768)))
    experts = Parameter("gate_up", (128, 1536, 2048), Role.EXPERT, split, experts=128)
    assert local_shape(experts, Layout(tensor=4)) == (128, 384, 2048)
    assert local_shape(experts, Layout(tensor=4, expert=4)) == (32, 1536, 2048)
    assert local_shape(experts, Layout(tensor=2, data=4, expert=8, experts_over_data=True)) == (
        16,
        1536,
        2048,
    )


def test_stages_hold_every_layer_and_their_ends() -> None:
    model = architecture("DeepSeek-V3")
    found = stages(model.sections, 4)
    assert sum(stage.layers * stage.count for stage in found) == model.layers
    assert [stage.first for stage in found] == [True, *[False] * (len(found) - 1)]
    assert sum(stage.last for stage in found) == 1
    assert not any(section.component == "head" for section, _ in found[0].sections)


def test_a_tied_head_needs_the_embedding_on_the_last_stage_too() -> None:
    last = stages(architecture("Qwen3-0.6B").sections, 2)[-1]
    assert "embedding" in [section.component for section, _ in last.sections]
    untied = stages(architecture("Qwen3-8B").sections, 2)[-1]
    assert "embedding" not in [section.component for section, _ in untied.sections]


def test_an_impossible_split_names_the_possible_ones() -> None:
    with pytest.raises(InvalidLayout) as caught:
        check_layout(architecture("Llama-3.1-8B"), Layout(tensor=3))
    text = caught.value.text()
    assert "32" in text and "1, 2, 4, 8, 16, 32" in text
    assert 3 not in tensor_sizes(architecture("Llama-3.1-8B"))


@pytest.mark.parametrize(
    ("name", "layout", "field"),
    [
        ("Llama-3.1-8B", Layout(pipeline=64), "pipeline_parallel"),
        ("Llama-3.1-8B", Layout(tensor=2, expert=2), "expert_parallel"),
        ("Qwen3-30B-A3B", Layout(tensor=4, expert=3), "expert_parallel"),
    ],
)
def test_other_impossible_layouts_are_refused(name: str, layout: Layout, field: str) -> None:
    with pytest.raises(InvalidLayout) as caught:
        check_layout(architecture(name), layout)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_matrices_stored_input_major_are_cut_where_their_modules_are() -> None:
    gpt2 = read_config({"model_type": "gpt2", "n_embd": 768, "n_layer": 1, "n_head": 12})
    shapes = {
        parameter.name: local_shape(parameter, Layout(tensor=2))
        for section in gpt2.sections
        for parameter in own_parameters(section)
    }
    assert shapes["attn.c_attn.weight"] == (768, 1152)
    assert shapes["attn.c_proj.weight"] == (384, 768)
    assert shapes["mlp.c_fc.weight"] == (768, 1536)
    assert shapes["mlp.c_proj.weight"] == (1536, 768)
