import pytest

from app.errors import InvalidRequest
from app.precision.dtypes import DTYPES, data_type, find, size_of


@pytest.mark.parametrize(
    ("name", "canonical", "bits"),
    [
        ("fp32", "float32", 32),
        ("torch.bfloat16", "bfloat16", 16),
        ("Half", "float16", 16),
        ("TF32", "tf32", 32),
        ("float8_e4m3fn", "fp8", 8),
        ("float8_e5m2", "fp8_e5m2", 8),
        ("F8_E8M0", "e8m0", 8),
        ("INT-4", "int4", 4),
    ],
)
def test_names_and_bits(name: str, canonical: str, bits: int) -> None:
    assert (data_type(name).name, data_type(name).bits) == (canonical, bits)


def test_half_bytes_are_exact() -> None:
    assert size_of(10**18 + 1, "int4") == (10**18 + 2) // 2
    assert size_of(7, "float16") == 14


def test_unknown_names_are_refused() -> None:
    assert find("float3") is None
    with pytest.raises(InvalidRequest, match="float3"):
        data_type("float3")


def test_every_type_has_a_line_in_both_languages() -> None:
    for dtype in DTYPES.values():
        assert dtype.description.text("en") != dtype.description.text("zh")
