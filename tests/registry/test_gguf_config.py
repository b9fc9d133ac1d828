"""Configurations that GGUF metadata makes: the models themselves come out, or it is said that none does."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.architecture import read_config
from app.errors import DomainError, InvalidConfig, UnknownArchitecture
from app.precision.declared import declared
from app.precision.scheme import weight_bytes
from app.registry.gguf import read_header
from app.registry.gguf_config import config_of, configured
from app.registry.gguf_files import GgufModel, joined

from ..hang import no_hang
from ..precision.models import config, model
from .gguf_models import converted
from .gguf_writer import gguf, llama

# Every lineage, with tied and separate heads, biases, experts, windows, wide heads.
MODELS = [
    "Llama-3.1-8B", "Llama-3.2-1B", "Mistral-7B-v0.3", "Mixtral-8x7B-v0.1", "Qwen2.5-0.5B", "Qwen2.5-7B",
    "Qwen3-0.6B", "Qwen3-8B", "Qwen3-30B-A3B", "Phi-3-mini-4k-instruct", "phi-4", "gemma-2b", "gemma-7b",
    "gemma-2-2b", "gemma-2-27b", "gemma-3-1b-it", "gemma-3-270m",
]  # fmt: skip


def file_of(metadata: dict[str, Any], tensors: dict[str, tuple[str, list[int]]]) -> GgufModel:
    content = gguf(metadata, tensors, data=False)
    return joined([("x.gguf", read_header(lambda at, size: content[at : at + size], "x.gguf"))])


@pytest.mark.parametrize("name", MODELS)
def test_the_model_comes_out_as_its_own_configuration_has_it(name: str) -> None:
    found, warnings = configured(file_of(*converted(config(name))))
    made, own = read_config(found), model(name)
    assert warnings == ()
    assert made.parameters.total == own.parameters.total
    assert made.context_length == own.context_length
    assert made.cache_bytes_per_token() == own.cache_bytes_per_token()
    assert made.cache_layers == own.cache_layers


@pytest.mark.parametrize("name", ["Llama-3.1-8B", "Qwen3-30B-A3B", "Phi-3-mini-4k-instruct", "gemma-2-2b"])
def test_the_file_s_own_block_types_are_kept_layer_by_layer(name: str) -> None:
    """Types that no mix would choose: each layer's matrices as the file has them."""
    kinds = {
        "blk.1.": "Q4_K",
        "blk.3.attn": "IQ4_XS",
        "ffn_up": "BF16",
        "ffn_down": "Q6_K",
        "output.": "Q5_K",
    }
    file = file_of(*converted(config(name), kinds))
    found, _ = configured(file)
    size = sum(tensor.bytes for tensor in file.parameters)
    scheme = declared(found)
    assert scheme is not None
    assert weight_bytes(read_config(found), scheme) == size


def test_a_wide_file_tells_its_data_type() -> None:
    file = file_of(*converted(config("Qwen3-0.6B"), {"weight": "BF16"}))
    assert configured(file)[0]["dtype"] == "bfloat16"
    assert "dtype" not in configured(file_of(*converted(config("Qwen3-0.6B"))))[0]


def without(metadata: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if name != key}


def refused(file: GgufModel, given: dict[str, Any] | None = None) -> str:
    with no_hang(), pytest.raises(DomainError) as error:
        configured(file, given)
    assert isinstance(error.value, UnknownArchitecture if given is None else InvalidConfig)
    assert "x.gguf" in error.value.text("zh")
    return error.value.message.code


@pytest.mark.parametrize(
    "key",
    ["block_count", "embedding_length", "feed_forward_length", "attention.head_count", "context_length"],
)
def test_what_the_metadata_does_not_say_is_not_guessed(key: str) -> None:
    metadata, tensors = llama()
    file = file_of(without(metadata, f"llama.{key}"), tensors)
    assert config_of(file) is None
    assert refused(file) == "gguf_no_config"


@pytest.mark.parametrize(
    "changes",
    [
        {"general.architecture": "nobody"},
        {"general.architecture": 3},
        {"llama.block_count": 3},
        {"llama.block_count": 2**31},
        {"llama.block_count": [1, 2]},
        {"llama.embedding_length": 0},
        {"llama.embedding_length": True},
        {"llama.attention.head_count": 3},
        {"llama.attention.head_count_kv": [2, 2]},
        {"llama.feed_forward_length": 513},
        {"llama.expert_count": 4},
        {"llama.expert_count": 4, "llama.expert_used_count": 2},
        {"llama.attention.key_length": 2**31},
    ],
)
def test_metadata_that_does_not_fit_the_tensors_makes_no_model(changes: dict[str, Any]) -> None:
    metadata, tensors = llama()
    assert refused(file_of(metadata | changes, tensors)) == "gguf_no_config"


def test_types_that_the_description_does_not_have_leave_the_mix() -> None:
    """A router in 16 bits: the model is certain, its bytes are the mix's, and that is said."""
    metadata, tensors = converted(config("Mixtral-8x7B-v0.1"))
    wide = {name: (("F16" if "gate_inp" in name else kind), shape) for name, (kind, shape) in tensors.items()}
    found, warnings = configured(file_of(metadata, wide))
    assert [message.code for message in warnings] == ["gguf_estimated"]
    assert warnings[0].params["expected"] - warnings[0].params["bytes"] == 32 * 8 * 4096 * 2
    assert found["quantization_config"]["file_type"] == "q8_0"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Mistral-7B-v0.3", {"llama.attention.sliding_window": 4096}),
        ("Qwen3-0.6B", {"qwen3.attention.sliding_window": [4096]}),
        ("gemma-2-2b", {"gemma2.attention.sliding_window_pattern": 3}),
        ("gemma-3-1b-it", {"gemma3.attention.sliding_window_pattern": [True, False]}),
    ],
)
def test_windows_that_are_not_the_lineage_s_own_make_no_model(name: str, changes: dict[str, Any]) -> None:
    metadata, tensors = converted(config(name))
    assert config_of(file_of(metadata, tensors)) is not None
    assert config_of(file_of(metadata | changes, tensors)) is None


def test_tensors_of_another_shape_make_no_model() -> None:
    metadata, tensors = llama()
    for name, replaced in (("blk.0.extra.weight", ("F32", [7])), ("token_embd.weight", ("F32", [7]))):
        assert refused(file_of(metadata, tensors | {name: replaced})) == "gguf_no_config"


def test_many_kinds_of_tensors_in_far_layers_cost_nothing() -> None:
    names = [f"blk.9999.{'a' * (1 + index % 99)}{'b' * (index // 99)}.weight" for index in range(5000)]
    metadata, tensors = llama()
    assert refused(file_of(metadata, tensors | {name: ("F32", [1, 1]) for name in names})) == "gguf_no_config"


TINY = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 32}  # fmt: skip


def test_a_given_configuration_that_fits_is_exact() -> None:
    metadata, tensors = llama(architecture="nobody", kinds={"attn_v": "Q6_K"})
    file = file_of(metadata, tensors)
    found, warnings = configured(file, TINY)
    assert warnings == ()
    assert found | TINY == found
    scheme = declared(found)
    assert scheme is not None and weight_bytes(read_config(found), scheme) == file.bytes


def test_a_given_configuration_that_nearly_fits_takes_the_mix_and_says_so() -> None:
    metadata, tensors = llama(architecture="nobody")
    found, warnings = configured(file_of(metadata, tensors), {**TINY, "vocab_size": 33})
    assert [message.code for message in warnings] == ["gguf_config_differs", "gguf_estimated"]
    assert all("x.gguf" in message.text(language) for message in warnings for language in ("en", "zh"))  # type: ignore[arg-type]
    assert found["quantization_config"] == {"quant_method": "gguf", "file_type": "q4_k_m"}
    scheme = declared(found)
    assert scheme is not None and scheme.name == "q4_k_m"


def test_the_configuration_of_another_model_is_refused() -> None:
    metadata, tensors = llama(architecture="nobody")
    assert refused(file_of(metadata, tensors), {**TINY, "num_hidden_layers": 3}) == "gguf_config_differs"
    unnamed = file_of(without(metadata, "general.file_type"), tensors)
    assert refused(unnamed, {**TINY, "vocab_size": 33}) == "gguf_unknown_mix"


def test_a_given_configuration_that_does_not_read_says_why_itself() -> None:
    with pytest.raises(UnknownArchitecture):
        configured(file_of(*llama()), {"model_type": "nobody"})


SIZES = (
    st.integers(0, 2**32 - 1)
    | st.integers(0, 600)
    | st.sampled_from([0, 1, 2, 4, 64, 256, 512, 2**31, 2**32 - 1])
)
VALUES = SIZES | st.lists(st.integers(0, 4), max_size=3) | st.booleans() | st.just("llama") | st.just(0.5)
KEYS = st.sampled_from([
    "block_count", "embedding_length", "feed_forward_length", "attention.head_count",
    "attention.head_count_kv",
    "context_length", "attention.key_length", "attention.sliding_window", "expert_count", "expert_used_count",
    "expert_feed_forward_length",
])  # fmt: skip
SHAPES = st.dictionaries(
    st.sampled_from(
        [*llama()[1], "blk.9.attn_q.weight", "blk.0.ffn_gate_exps.weight", "blk.0.attn_qkv.weight"]
    ),
    st.tuples(st.just("F32"), st.lists(st.integers(0, 600), max_size=4)),
    max_size=3,
)


def draw_a_configuration(architecture: str, values: dict[str, Any], shapes: dict[str, Any]) -> None:
    metadata, tensors = llama(architecture=architecture)
    changed = {f"{architecture}.{key}": value for key, value in values.items()}
    file = file_of(metadata | changed, tensors | shapes)
    with no_hang():
        try:
            found, _ = configured(file)
        except DomainError as error:
            assert error.text("zh")
            return
    assert read_config(found).parameters.total == sum(tensor.elements for tensor in file.parameters)


ARCHITECTURES = st.sampled_from(
    ["llama", "qwen2", "qwen3", "qwen3moe", "phi3", "gemma", "gemma2", "gemma3", "x"]
)


@given(ARCHITECTURES, st.dictionaries(KEYS, VALUES, max_size=5), SHAPES)
@settings(max_examples=200, deadline=None)
def test_any_metadata(architecture: str, values: dict[str, Any], shapes: dict[str, Any]) -> None:
    draw_a_configuration(architecture, values, shapes)


@pytest.mark.slow
@given(ARCHITECTURES, st.dictionaries(KEYS, VALUES, max_size=5), SHAPES)
@settings(max_examples=3000, deadline=None)
def test_much_metadata(architecture: str, values: dict[str, Any], shapes: dict[str, Any]) -> None:
    draw_a_configuration(architecture, values, shapes)
