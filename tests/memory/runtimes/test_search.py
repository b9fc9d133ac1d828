"""The largest number for which something still fits."""

from hypothesis import given
from hypothesis import strategies as st

from app.memory.runtimes.search import MOST, largest


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.integers(1, 2**20))
def test_linear_needs_are_solved_exactly(room: int, each: int, guess: int) -> None:
    assert largest(lambda n: room - each * n, guess) == min(room // each, MOST)


@given(st.integers(1, 10**9), st.integers(1, 5000), st.integers(1, 2**20))
def test_needs_in_steps_are_solved_exactly(room: int, page: int, guess: int) -> None:
    def slack(n: int) -> int:
        return room - -(-n // page) * page

    found = largest(slack, guess)
    assert (found == 0 and slack(1) < 0) or (slack(found) >= 0 and (found == MOST or slack(found + 1) < 0))


def test_nothing_fits_or_everything() -> None:
    assert largest(lambda n: -1, 7) == 0
    assert largest(lambda n: 1, 7) == MOST
