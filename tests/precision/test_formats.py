"""Bits a weight and tensors of single matrices, against the layouts that the tools write."""

import pytest

from app.architecture.operations import Parameter, Part, Role, Split
from app.precision.bitsandbytes import FourBit, LlmInt8
from app.precision.formats import Format, Matrix, matrix_of
from app.precision.microscaled import Mxfp4, Mxfp8, Nvfp4
from app.precision.others import Aqlm, BitNet, Hqq, Quanto
from app.precision.packed import Awq, Gptq, PackQuantized
from app.precision.scaled import Scaled

SQUARE = Matrix(4096, 4096)


def bits(layout: Format, matrix: Matrix = SQUARE) -> float:
    return 8 * sum(tensor.bytes for tensor in layout.pack(matrix, "bfloat16")) / matrix.size


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        # 4-bit values, a 16-bit scale and a 4-bit zero point for every 128; g_idx is 32 / 4096 more.
        (Gptq(g_idx=False), 4 + 16 / 128 + 4 / 128),
        (Gptq(), 4 + 16 / 128 + 4 / 128 + 32 / 4096),
        (Gptq(3, g_idx=False), 3 + 16 / 128 + 3 / 128),
        (Gptq(8, 32, g_idx=False), 8 + 16 / 32 + 8 / 32),
        (Gptq(4, -1, g_idx=False), 4 + 20 / 4096),
        (Awq(), 4 + 16 / 128 + 4 / 128),
        (PackQuantized(), 4 + 16 / 128 + 2 * 64 / 4096**2),
        (PackQuantized(4, 32, symmetric=False), 4 + 16 / 32 + 4 / 32 + 2 * 64 / 4096**2),
        (Scaled("int8", (1, 0)), 8 + 32 / 4096),
        (Scaled("fp8", (128, 128)), 8 + 32 / 128**2),
        (Scaled("fp8", (0, 0)), 8 + 32 / 4096**2),
        (LlmInt8(), 8 + 32 / 4096),
        (FourBit(), 4 + 32 / 64 + 16 * 32 / 4096**2),
        (FourBit(double=True), 4 + 8 / 64 + 32 / (64 * 256) + 272 * 32 / 4096**2),
        (Mxfp4(), 4 + 8 / 32),
        (Mxfp8(), 8 + 8 / 32),
        (Nvfp4(), 4 + 8 / 16 + 64 / 4096**2),
        (Hqq(), 4 + 32 / 64),
        (Quanto(), 8 + 16 / 4096),
        (Quanto("int4"), 4 + 32 / 128),
        (BitNet(), 2 + 16 / 4096**2),
        (Aqlm(), 2 + 16 / 4096 + 16 * 8 * 2**16 / 4096**2),
    ],
)
def test_bits_a_weight(layout: Format, expected: float) -> None:
    assert bits(layout) == pytest.approx(expected, rel=1e-12)


def test_blocks_that_do_not_divide_are_counted_whole() -> None:
    weight, scales = Scaled("fp8", (128, 128)).pack(Matrix(576, 7168), "bfloat16")
    assert (weight.bytes, scales.shape, scales.bytes) == (576 * 7168, (5, 56), 5 * 56 * 4)


def test_gptq_tensors() -> None:
    shapes = {t.suffix: (t.shape, t.dtype) for t in Gptq().pack(Matrix(1024, 4096), "bfloat16")}
    assert shapes == {
        "qweight": ((512, 1024), "int32"),
        "qzeros": ((32, 128), "int32"),
        "scales": ((32, 1024), "float16"),
        "g_idx": ((4096,), "int32"),
    }


def test_stacked_experts_are_taken_one_by_one() -> None:
    halves = Split(1, (Part(768, 768), Part(768, 768)))
    parameter = Parameter("experts.gate_up_proj", (8, 1536, 2048), Role.EXPERT, halves, experts=8)
    matrix = matrix_of(parameter, parameter.shape)
    assert matrix == Matrix(768, 2048, 16, True, parts=2)
    flipped = Parameter("experts.down_proj", (8, 768, 2048), Role.EXPERT, experts=8, transposed=True)
    assert matrix_of(flipped, flipped.shape) == Matrix(2048, 768, 8, True, True)


def test_names_of_what_a_parameter_becomes() -> None:
    packed = Gptq().pack(SQUARE, "bfloat16")[0]
    nested = FourBit().pack(SQUARE, "bfloat16")[1]
    blocks = Mxfp4(fused=True).pack(Matrix(64, 64, 2, True), "bfloat16")[0]
    assert packed.name("mlp.up_proj.weight") == "mlp.up_proj.qweight"
    assert nested.name("mlp.up_proj.weight") == "mlp.up_proj.weight.absmax"
    assert blocks.name("mlp.experts.gate_up_proj") == "mlp.experts.gate_up_proj_blocks"
