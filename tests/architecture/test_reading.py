"""Configurations that no model can be built from are refused, whatever field says so."""

from typing import Any

import pytest

from app.architecture import read_config
from app.errors import InvalidConfig


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "lfm2", "block_ffn_dim_multiplier": -1},
        {"model_type": "lfm2", "block_ffn_dim_multiplier": -0.5, "block_auto_adjust_ff_dim": True},
    ],
)
def test_sizes_below_zero_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match="contradict"):
        read_config(config)
