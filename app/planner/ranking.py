"""Which options are kept: the front of speed, price and width of numbers; without prices, the most efficient.

One option beats another where it costs no more, is no slower and stores weights in no fewer bits; of two
alike the first stays. Options without a price cannot be on the front: they are ranked on speed per GPU, one
of a device.
"""

from typing import Final

from msgspec.structs import replace

from .requests import Option

UNPRICED: Final = 3  # one place of so many is for options without a price, where there are any
SAME_BITS: Final = 0.5  # formats whose scales differ count as equally wide


class Ranking:
    """Options as they are found; a bound that is beaten need not be worked out.

    Those with a price come first: how long their front is decides how many others are listed.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._priced: list[Option] = []
        self._unpriced: dict[str, Option] = {}

    def beats(self, bound: Option) -> bool:
        """Whether what was found is better than an option could be that reached its bounds."""
        if bound.price is not None:
            return any(beats(option, bound) for option in self._priced)
        own = self._unpriced.get(bound.gpu.name)
        if own is not None and own.efficiency >= bound.efficiency:
            return True
        places = self._most - len(self._front())
        if len(self._unpriced) < places:
            return False
        least = sorted((o.efficiency for o in self._unpriced.values()), reverse=True)[places - 1]
        return least >= bound.efficiency

    def add(self, option: Option) -> None:
        """Keep an option unless it is beaten; drop what it beats."""
        if option.price is None:
            own = self._unpriced.get(option.gpu.name)
            if own is None or own.efficiency < option.efficiency:
                self._unpriced[option.gpu.name] = option
        elif not any(beats(other, option) for other in self._priced):
            self._priced = [other for other in self._priced if not beats(option, other)]
            self._priced.append(option)

    def every(self) -> list[Option]:
        """All that are kept."""
        return [*self._priced, *self._unpriced.values()]

    def best(self) -> list[Option]:
        """The front by cost of a token, then what has no price by speed of one GPU."""
        unpriced = sorted(self._unpriced.values(), key=lambda option: -option.efficiency)
        places = self._most - min(len(unpriced), self._most // UNPRICED)
        front = _spread(sorted(self._priced, key=_by_cost), max(1, places))
        return [replace(option, on_front=True) for option in front] + unpriced[: self._most - len(front)]

    def _front(self) -> list[Option]:
        """What is listed of the options with a price, where there are enough without one."""
        return self._priced[: max(1, self._most - self._most // UNPRICED)]


def _by_cost(option: Option) -> tuple[float, float]:
    return (option.cost if option.cost is not None else option.price or 0.0, -option.speed)


def _spread(options: list[Option], most: int) -> list[Option]:
    """The cheapest ones and the fastest one of a front that is too long."""
    if len(options) <= most:
        return options
    fastest = max(options, key=lambda option: option.speed)
    kept = options[:most]
    return kept if fastest in kept else [*kept[:-1], fastest]


def beats(one: Option, other: Option) -> bool:
    """Whether an option costs no more, is no slower and stores weights in no fewer bits."""
    if one.price is None or other.price is None:
        return False
    return one.price <= other.price and one.speed >= other.speed and one.bits >= other.bits - SAME_BITS
