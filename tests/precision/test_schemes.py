"""Which parameters a scheme takes, whole models in named quantizations, and the textbook figures."""

import pytest

from app.errors import InvalidRequest
from app.precision import choices, schemes
from app.precision.scheme import effective_bits, weight_bytes
from tests.precision.models import model

LLAMA = 8_030_261_248  # parameters of Llama-3.1-8B
WIDE = 2 * 128256 * 4096 + 65 * 4096  # embedding, head and norms: what weight-only tools leave alone
ROWS = 32 * (4096 + 1024 + 1024 + 4096 + 14336 + 14336 + 4096)  # output rows of all its linear layers


def test_unquantized_is_two_bytes_a_parameter() -> None:
    assert weight_bytes(model("Llama-3.1-8B"), schemes.get("none")) == 2 * LLAMA
    assert weight_bytes(model("Llama-3.1-8B"), schemes.get("none"), "fp32") == 4 * LLAMA


def test_textbook_precisions_have_no_scales_and_say_so() -> None:
    half, whole = schemes.for_precision("int4"), schemes.for_precision("int8")
    assert weight_bytes(model("Llama-3.1-8B"), half) == LLAMA // 2
    assert weight_bytes(model("Llama-3.1-8B"), whole) == LLAMA
    assert [warning.code for warning in (*half.warnings, *whole.warnings)] == ["textbook_precision"] * 2


@pytest.mark.parametrize("name", ["int8", "w8a8", "fp8", "bnb-int8"])
def test_a_scale_for_every_row(name: str) -> None:
    size = weight_bytes(model("Llama-3.1-8B"), schemes.get(name))
    assert size == (LLAMA - WIDE) + 4 * ROWS + 2 * WIDE


def test_four_bits_leave_embedding_and_head_wide() -> None:
    """Qwen3-8B with groups of 128: 6.946 billion weights at 4.156 bits, the other 1.245 at 16."""
    scheme = schemes.get("awq")
    assert weight_bytes(model("Qwen3-8B"), scheme) / 1e9 == pytest.approx(6.10, abs=0.005)


def test_experts_are_quantized_and_routers_are_not() -> None:
    architecture = model("Qwen3-30B-A3B")
    scheme = schemes.get("gptq").on(architecture)
    taken = {
        parameter.name: scheme.covers(section, op, parameter)
        for section in architecture.sections
        for op, parameter in section.quantities()
    }
    assert taken["mlp.experts.gate_up_proj"] and taken["self_attn.q_proj.weight"]
    assert not any(taken[name] for name in ("mlp.gate.weight", "embed_tokens.weight", "lm_head.weight"))
    assert not taken["self_attn.q_norm.weight"]


def test_loaders_that_swap_linear_modules_leave_stacked_experts_wide() -> None:
    """Qwen3-30B-A3B: 48 layers of 128 experts of 3 x 2048 x 768 stay 16-bit."""
    size = weight_bytes(model("Qwen3-30B-A3B"), schemes.get("nf4", {"experts": False}))
    assert size > 2 * 48 * 128 * 3 * 2048 * 768 > weight_bytes(model("Qwen3-30B-A3B"), schemes.get("nf4"))


def test_options() -> None:
    sizes = [
        weight_bytes(model("Qwen3-0.6B"), schemes.get("gptq", {"group_size": g})) for g in (32, 64, 128, -1)
    ]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 4
    with pytest.raises(InvalidRequest, match="bits"):
        schemes.get("gptq", {"bits": 5})


@pytest.mark.parametrize("spelling", ["Q4_K_M", "q4-k-m", "NF4-Double", "fp8_block", "BNB-INT8"])
def test_names_match_in_any_spelling(spelling: str) -> None:
    assert schemes.canonical(spelling) in schemes.NAMES


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="q9_z"):
        schemes.get("q9_z")


@pytest.mark.parametrize("name", schemes.NAMES)
@pytest.mark.parametrize("of", ["Qwen3-0.6B", "gpt2", "DeepSeek-V2-Lite", "mamba2-130m", "gpt-oss-20b"])
def test_every_quantization_of_every_shape_is_finite_and_below_float32(name: str, of: str) -> None:
    assert 1.5 < effective_bits(model(of), schemes.get(name)) < 32.01


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_shards_of_a_matrix_sum_to_the_whole(parts: int) -> None:
    architecture = model("Llama-3.1-8B")
    section = next(section for section in architecture.sections if section.component == "decoder")
    op, parameter = next(pair for pair in section.quantities() if pair[1].name == "mlp.up_proj.weight")
    rows, columns = parameter.shape
    for name in ("gptq", "awq", "nf4", "fp8-block", "mxfp4", "q8_0"):
        scheme = schemes.get(name)
        whole = sum(
            t.bytes for t in scheme.stored(section, op, parameter, (rows, columns)) if t.suffix != "g_idx"
        )
        shard = sum(
            t.bytes
            for t in scheme.stored(section, op, parameter, (rows // parts, columns))
            if t.suffix != "g_idx"
        )
        assert whole <= parts * shard <= whole + 64 * parts  # tables of 16 values are kept by every rank


def test_choices_have_a_line_in_both_languages() -> None:
    for choice in (*choices.precisions(), *choices.quantizations()):
        assert choice.bits > 0
        assert choice.description.text("en") and choice.description.text("zh")
