from hypothesis import given
from hypothesis import strategies as st

from app.memory.training.sizes import (
    ONE,
    PAIRS,
    SEQUENCE,
    SQUARE,
    TOKENS,
    coefficients,
    dominates,
    share,
    value,
)

counts = st.tuples(*(st.integers(0, 2**40) for _ in range(5)))


def packed(parts: tuple[int, ...]) -> int:
    return sum(part * unit for part, unit in zip(parts, (ONE, SEQUENCE, TOKENS, PAIRS, SQUARE), strict=True))


@given(counts, counts)
def test_sums_of_packed_sizes_are_sums_of_their_coefficients(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    assert coefficients(packed(a) + packed(b)) == tuple(x + y for x, y in zip(a, b, strict=True))


@given(counts, st.integers(1, 64))
def test_shares_hold_the_whole(a: tuple[int, ...], parts: int) -> None:
    one = coefficients(share(packed(a), parts))
    assert all(whole <= part * parts < whole + parts for part, whole in zip(one, a, strict=True))


@given(counts, counts, st.integers(1, 64), st.integers(1, 4096))
def test_a_dominated_size_is_never_the_larger(
    a: tuple[int, ...], b: tuple[int, ...], batch: int, length: int
) -> None:
    larger, smaller = coefficients(packed(a)), coefficients(packed(b))
    if dominates(larger, smaller):
        assert value(larger, batch, length) >= value(smaller, batch, length)


def test_the_value_is_the_polynomial() -> None:
    assert value(coefficients(packed((1, 2, 3, 4, 5))), 7, 11) == 1 + 2 * 11 + 3 * 77 + 4 * 77 * 11 + 5 * 121
