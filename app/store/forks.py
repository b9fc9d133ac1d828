"""What has threads, locks or connections starts anew in a forked process: the parent's are not its own."""

import os
import weakref
from typing import Protocol


class Renewable(Protocol):
    """Something that a child process must not share with its parent."""

    def start_anew(self) -> None:
        """In the child: forget what belongs to the parent, and touch none of it."""


def renew_in_children(thing: Renewable) -> None:
    """Have a thing start anew in every process forked from now on, for as long as it lives."""
    found = weakref.ref(thing)

    def renew() -> None:
        if (still := found()) is not None:
            still.start_anew()

    os.register_at_fork(after_in_child=renew)
