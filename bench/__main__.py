"""Prints every figure with its limit; exits with 1 where one is above it."""

import sys
from itertools import chain

from . import inside, served, speed, sweeps


def main() -> int:
    """Measure all, print as it goes."""
    over = 0
    for what, measured, limit in chain(inside.rows(), speed.rows(), sweeps.rows(), served.rows()):
        bound = "" if limit is None else f"   limit {limit:>9,.0f}"
        verdict = "" if limit is None else "  ok" if measured <= limit else "  OVER"
        over += verdict == "  OVER"
        print(f"{what:<62}{measured:>11,.1f}{bound}{verdict}", flush=True)
    return 1 if over else 0


if __name__ == "__main__":
    print("processor time [µs] unless said otherwise, best of several\n")
    sys.exit(main())
