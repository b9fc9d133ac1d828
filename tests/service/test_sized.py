"""Models of which only the size is known."""

import pytest

from app.errors import InvalidRequest
from app.service.sized import DIMENSIONS, Kin, kin_of, size_disagrees, sized_config

SMALL = Kin("small", 1_000_000_000, dict.fromkeys(DIMENSIONS, 8) | {"num_attention_heads": 2, "head_dim": 4})
LARGE = Kin(
    "large", 70_000_000_000, dict.fromkeys(DIMENSIONS, 64) | {"num_attention_heads": 4, "head_dim": 32}
)


def test_the_nearest_in_size_lends_everything() -> None:
    found = sized_config(60, {}, [SMALL, LARGE])
    assert {name: found.config[name] for name in DIMENSIONS} == LARGE.dimensions
    assert found.warnings[0].params == {"model": "large", "fields": ", ".join(DIMENSIONS)}


def test_given_dimensions_stay_and_nothing_is_said_when_all_are_given() -> None:
    given = dict.fromkeys(DIMENSIONS, 16)
    found = sized_config(7, given, [SMALL])
    assert {name: found.config[name] for name in DIMENSIONS} == given
    assert found.warnings == ()


def test_key_value_heads_and_width_follow_from_what_is_given() -> None:
    found = sized_config(7, {"hidden_size": 512, "num_attention_heads": 16}, [SMALL])
    assert found.config["num_key_value_heads"] == 16
    assert found.config["head_dim"] == 32
    assert "num_key_value_heads" not in found.warnings[0].params["fields"]


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        sized_config(7, {"hidden_size": 100, "num_attention_heads": 3}, [SMALL])
    assert caught.value.problems[0].field == "num_attention_heads"


@pytest.mark.parametrize(("counted", "warned"), [(7.0e9, 0), (7.69e9, 0), (6.31e9, 0), (7.71e9, 1), (5e9, 1)])
def test_a_tenth_off_is_said(counted: float, warned: int) -> None:
    assert len(size_disagrees(7, round(counted))) == warned


def test_kin_must_be_whole() -> None:
    whole = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
    assert kin_of("x", 1, {**whole, "intermediate_size": 8, "vocab_size": 9}) is not None
    assert kin_of("x", 1, whole) is None
    assert kin_of("x", 1, {}) is None
