"""Small parts: speculation, smooth maxima, quantiles, roots."""

import doctest
from types import ModuleType

import pytest

from app.performance import coefficients, cost, llama_cpp, load, roofline, speculative, tails
from app.performance.speculative import accepted_tokens
from app.performance.tails import gamma_quantile


@pytest.mark.parametrize("module", [coefficients, cost, llama_cpp, load, roofline, speculative, tails])
def test_examples(module: ModuleType) -> None:
    failed, tried = doctest.testmod(module)
    assert tried and not failed


@pytest.mark.parametrize(("drafted", "published"), [(3, 2.83), (3, 2.49), (2, 2.27), (1, 1.79)])
def test_kept_tokens_are_near_published_lengths(drafted: int, published: float) -> None:
    """Accept lengths of SPEED-Bench coding (InferenceX)."""
    assert accepted_tokens(drafted) == pytest.approx(published, rel=0.2)


def test_quantiles_of_an_exponential() -> None:
    assert gamma_quantile(1.0, 0.9) == pytest.approx(2.303, rel=0.03)
    assert gamma_quantile(1.0, 0.99) == pytest.approx(4.605, rel=0.05)
