"""Money: what tokens cost at a price of GPUs by the hour."""

from ..lanes import some


def per_million(price_per_hour: float | None, gpus: int, tokens_per_s: float) -> float | None:
    """Price of a million tokens, in the currency of `price_per_hour` [of one GPU]; None without a price.

    >>> per_million(1.8, 2, 1000.0)
    1.0
    """
    if price_per_hour is None or not some(tokens_per_s > 0):
        return None
    return price_per_hour * gpus / (3600 * tokens_per_s) * 1e6
