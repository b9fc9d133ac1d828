"""GGUF files against published sizes.

Llama-3.1-8B: the table of llama.cpp's quantize tool (tools/quantize/README.md, bits per weight).
Qwen3-30B-A3B: what llama.cpp prints when it loads the file [GiB].
"""

import pytest

from app.architecture import Architecture
from app.precision import schemes
from app.precision.gguf_mix import MIXES, more_bits
from app.precision.gguf_types import bits_per_weight, fitting
from app.precision.scheme import effective_bits, weight_bytes
from app.units import GIB
from tests.precision.models import model

BITS = {
    "iq1_s": 2.0042, "iq1_m": 2.146, "iq2_xxs": 2.3824, "iq2_xs": 2.5882, "iq2_s": 2.7403, "iq2_m": 2.9294,
    "iq3_xxs": 3.2548, "iq3_xs": 3.4977, "iq3_s": 3.6606, "iq3_m": 3.7628, "iq4_xs": 4.4597, "iq4_nl": 4.6818,
    "q2_k_s": 2.9697, "q2_k": 3.1593, "q3_k_s": 3.6429, "q3_k_l": 4.2979, "q4_k_s": 4.6672, "q4_k_m": 4.8944,
    "q5_k_s": 5.5704, "q5_k_m": 5.7036, "q6_k": 6.5633, "q8_0": 8.5008, "f16": 16.0005,
}  # fmt: skip
GIBS = {
    "iq1_s": 1.87, "iq2_m": 2.74, "iq3_xxs": 3.04, "q2_k": 2.95, "q3_k_l": 4.02, "q4_k_m": 4.58, "q6_k": 6.14,
    "q5_k_m": 5.33, "q8_0": 7.95, "f16": 14.96,
}  # fmt: skip


@pytest.mark.parametrize("name", BITS)
def test_published_bits_per_weight(name: str) -> None:
    assert effective_bits(model("Llama-3.1-8B"), schemes.get(name)) == pytest.approx(BITS[name], abs=1e-4)


@pytest.mark.parametrize("name", GIBS)
def test_published_sizes(name: str) -> None:
    assert weight_bytes(model("Llama-3.1-8B"), schemes.get(name)) / GIB == pytest.approx(
        GIBS[name], abs=0.0051
    )


def test_published_size_of_a_mixture_of_experts() -> None:
    size = weight_bytes(model("Qwen3-30B-A3B"), schemes.get("q4_k_m")) / GIB
    assert size == pytest.approx(17.28, rel=0.005)


def test_embeddings_that_are_the_head_too_take_its_type() -> None:
    architecture = model("Qwen3-0.6B")
    scheme = schemes.get("q4_k_m").on(architecture)
    kinds = {
        parameter.name: scheme.stored(section, op, parameter, parameter.shape)[0].dtype
        for section in scheme.sections(architecture)
        for op, parameter in section.quantities()
    }
    assert kinds["embed_tokens.weight"] == "q6_k"
    assert kinds["norm.weight"] == "f32"


def test_sections_are_cut_where_layers_differ() -> None:
    architecture = model("Llama-3.1-8B")
    layers = [
        s for s in schemes.get("q4_k_m").on(architecture).sections(architecture) if s.component == "decoder"
    ]
    assert sorted(index for section in layers for index in section.indices) == list(range(32))
    assert set(layers[0].indices) == {i for i in range(32) if more_bits(i, 32)}


@pytest.mark.parametrize(
    ("kind", "columns", "taken"),
    [("Q4_K", 4096, "Q4_K"), ("Q4_K", 2880, "Q5_0"), ("Q6_K", 2880, "Q8_0"), ("IQ2_XS", 96, "IQ4_NL"),
     ("Q3_K", 33, "F16")],
)  # fmt: skip
def test_rows_that_do_not_fit_fall_back(kind: str, columns: int, taken: str) -> None:
    assert fitting(kind, columns) == taken


def test_bits_of_block_types() -> None:
    named = {
        "Q4_0": 4.5,
        "Q5_1": 6.0,
        "Q8_0": 8.5,
        "Q2_K": 2.625,
        "Q3_K": 3.4375,
        "Q6_K": 6.5625,
        "IQ4_XS": 4.25,
    }
    assert {kind: bits_per_weight(kind) for kind in named} == named


@pytest.mark.parametrize("name", ["Qwen3-30B-A3B", "DeepSeek-V3", "gpt-oss-20b", "dbrx-instruct", "mpt-7b"])
def test_every_mix_of_every_shape_lies_between_its_bounds(name: str) -> None:
    architecture: Architecture = model(name)
    sizes = {mix: effective_bits(architecture, schemes.get(mix)) for mix in MIXES}
    assert all(1.5 < bits < 32.01 for bits in sizes.values())
    assert sizes["q2_k"] < sizes["q3_k_m"] < sizes["q4_k_m"] < sizes["q5_k_m"] < sizes["q6_k"] < sizes["f16"]
