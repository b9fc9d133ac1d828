"""FLOPs of recurrences, against what PyTorch's FlopCounterMode counts on transformers 5.23's own modules."""

import pytest

from app.architecture import read_config
from app.architecture.operations import Axis, Scan, Tensor
from app.architecture.recurrences import scan_flops

# Forward pass over 80 tokens of 2 sequences, class defaults, plain PyTorch.
COUNTED = [
    ("mamba", 50_925_797_376),
    ("mamba2", 2_838_769_958_912),
    ("falcon_h1", 2_864_405_807_104),
    ("qwen3_next", 1_186_354_167_808),
    ("kimi_linear", 1_024_439_156_736),
    ("minimax", 4_306_375_802_880),
    ("xlstm", 2_155_591_237_632),
    ("deepseek_v4", 4_327_116_636_160),
]


@pytest.mark.parametrize(("model_type", "counted"), COUNTED)
def test_forward_flops(model_type: str, counted: int) -> None:
    assert read_config({"model_type": model_type}).forward_flops(2, 80) == counted


def test_a_single_token_takes_the_recurrent_form() -> None:
    row = Tensor(1, Axis.TOKENS, 64, 1)
    scan = Scan("", (row,), (row,), (), "mamba2", heads=4, key_dim=16, value_dim=8, chunk=256)
    assert scan_flops(scan, 3, 1) == 2 * 2 * 3 * 4 * 16 * 8
