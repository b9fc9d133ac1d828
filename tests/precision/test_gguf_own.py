"""Block types that a configuration carries over from one file."""

from typing import Any

import pytest

from app.errors import UnknownArchitecture
from app.precision.declared import declared
from app.precision.gguf_own import OwnTypes
from app.precision.gguf_types import BLOCKS
from app.precision.scheme import Scheme, weight_bytes

from .models import model

KINDS = {
    "token_embd": "Q6_K", "attn_q": "Q4_K", "attn_k": "Q4_K", "attn_v": ["Q6_K"] * 4 + ["Q4_K"] * 12,
    "attn_output": "Q4_K", "ffn_gate": "Q4_K", "ffn_up": "Q4_K", "ffn_down": "Q8_0",
}  # fmt: skip


def scheme(**fields: Any) -> Scheme:
    found = declared({"quantization_config": {"quant_method": "gguf", **fields}})
    assert found is not None
    return found


def test_each_layer_has_its_own_type() -> None:
    architecture = model("Llama-3.2-1B")
    own = scheme(file_type="q4_k_m", tensor_types=KINDS)
    bound = own.on(architecture)
    value = {
        index: bound.stored(section, op, parameter, parameter.shape)[0].dtype
        for section in bound.sections(architecture)
        for op, parameter in section.quantities()
        if parameter.name.endswith("v_proj.weight")
        for index in section.indices
    }
    assert [value[index] for index in range(16)] == ["q6_k"] * 4 + ["q4_k"] * 12
    wider = scheme(file_type="q4_k_m", tensor_types={**KINDS, "attn_v": "Q6_K"})
    rows = 512 * 2048 // 256
    gained = 12 * rows * (BLOCKS["Q6_K"][1] - BLOCKS["Q4_K"][1])
    assert weight_bytes(architecture, wider) - weight_bytes(architecture, own) == gained


def test_a_mix_alone_is_the_mix() -> None:
    assert scheme(file_type="q4_k_m").name == "q4_k_m"


def test_the_most_common_type() -> None:
    assert OwnTypes((("a", ("F32", "Q4_K", "Q4_K")), ("b", ("F32",)))).base == "F32"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"file_type": "q9_z"},
        {"tensor_types": {"attn_q": "Q9"}},
        {"tensor_types": {"attn_q": []}},
        {"tensor_types": {"attn_q": 4}},
        {"tensor_types": {"attn_q": [["Q4_K"]]}},
        {"tensor_types": {"attn_q": ["Q4_K"] * 5000}},
        {"tensor_types": {str(index): "Q4_K" for index in range(65)}},
    ],
    ids=range(8),
)
def test_what_is_no_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UnknownArchitecture):
        scheme(**fields)


@pytest.mark.parametrize("kinds", [{"attn_q": "Q4_K"}, {**KINDS, "attn_v": ["Q6_K", "Q4_K"]}])
def test_a_tensor_that_the_file_does_not_have_is_refused(kinds: dict[str, Any]) -> None:
    with pytest.raises(UnknownArchitecture):
        weight_bytes(model("Llama-3.2-1B"), scheme(file_type="q4_k_m", tensor_types=kinds))
