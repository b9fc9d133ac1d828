from itertools import islice

import pytest

from app.architecture.blocks.ngram import NGrams, is_prime, primes


def test_primes_below_a_hundred() -> None:
    assert list(islice(primes(0), 25)) == [n for n in range(2, 100) if all(n % d for d in range(2, n))]


@pytest.mark.parametrize(
    ("number", "prime"),
    [(2_147_483_647, True), (2_147_483_645, False), (25_326_001, False), (20_000_003, True)],
)
def test_large_numbers(number: int, prime: bool) -> None:
    """25 326 001 is the least number that deceives the witnesses 2, 3 and 5 together."""
    assert is_prime(number) is prime


def test_tables_follow_each_other_through_the_layers() -> None:
    first = NGrams(longest=3, heads=1, base=10, multiple=1, width=8, index=0, kernel=4, streams=2)
    second = NGrams(longest=3, heads=1, base=10, multiple=8, width=8, index=1, kernel=4, streams=2)
    assert first.rows == 11 + 13
    assert second.rows == 40  # 17 + 19, filled up to a multiple of eight
