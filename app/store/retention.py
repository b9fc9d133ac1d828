"""How long things are kept, and forgetting what is older."""

from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from .store import Store

DAY: Final = 86_400  # [s]
MOST_HISTORY: Final = 100_000  # entries of all owners together


class Retention(Struct, frozen=True):
    """Days that things stay (0 is for good), and how many entries of history one owner may have."""

    history_days: int = 90
    history_most: int = 1000
    share_days: int = 180
    event_days: int = 400
    sweep_days: int = 7


def purge(store: "Store", kept: Retention, now: float) -> dict[str, int]:
    """Forget what is past its time; how much of each. `now` is [s] since 1970."""
    return {
        "history": store.history.expire(_oldest(kept.history_days, now), MOST_HISTORY),
        "shares": store.shares.expire(now),
        "events": store.events.expire(_oldest(kept.event_days, now)),
        "sweeps": store.sweeps.expire(_oldest(kept.sweep_days, now)),
    }


def _oldest(days: int, now: float) -> float:
    """What is older goes."""
    return now - days * DAY if days else 0.0
