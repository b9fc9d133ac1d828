"""Money: what tokens cost at a price of GPUs by the hour."""


def per_million(price_per_hour: float | None, gpus: int, tokens_per_s: float) -> float | None:
    """Price of a million tokens, in the currency of `price_per_hour` [of one GPU]; None without a price.

    >>> per_million(2.0, 4, 1000.0)
    2.2222222222222223
    """
    if price_per_hour is None or tokens_per_s <= 0:
        return None
    return price_per_hour * gpus / (3600 * tokens_per_s) * 1e6
