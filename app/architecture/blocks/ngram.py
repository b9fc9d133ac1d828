"""Embeddings of token n-grams for single layers, hashed into tables of prime sizes (Qwen4-Exp)."""

from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from ..operations import Role, State, Tensor
from ..trace import Trace


class NGrams(Struct, frozen=True):
    """`heads` tables for every n from 2 to `longest`, looked up side by side, `width` elements in all.

    `index`: which of the model's such layers this is; tables of different layers have different sizes.
    """

    longest: int
    heads: int
    base: int
    multiple: int
    width: int
    index: int
    kernel: int
    streams: int

    @property
    def tables(self) -> int:
        """How many tables one layer has."""
        return (self.longest - 1) * self.heads

    @property
    def rows(self) -> int:
        """Rows of all tables, one after the other: the next primes from `base` on, filled up."""
        first = self.index * self.tables
        total = sum(islice(primes(self.base), first, first + self.tables))
        return self.multiple * -(-total // self.multiple)

    @property
    def reach(self) -> int:
        """Earlier tokens that the dilated convolution sees."""
        return (self.kernel - 1) * self.longest


def primes(start: int) -> Iterator[int]:
    """Primes from `start` on.

    >>> list(islice(primes(90), 3))
    [97, 101, 103]
    """
    number = max(start, 2)
    while True:
        if is_prime(number):
            yield number
        number += 1


def is_prime(number: int) -> bool:
    """By Miller and Rabin's test, whose witnesses 2, 3, 5 and 7 decide below 3.2e9 (Jaeschke 1993)."""
    for small in (2, 3, 5, 7):
        if number % small == 0:
            return number == small
    odd, halvings = number - 1, 0
    while odd % 2 == 0:
        odd, halvings = odd // 2, halvings + 1
    return all(_passes(pow(witness, odd, number), number, halvings) for witness in (2, 3, 5, 7))


def _passes(power: int, number: int, halvings: int) -> bool:
    if power in (1, number - 1):
        return True
    for _ in range(halvings - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


def ngram_layer(t: Trace, x: Tensor, n: NGrams, *, module: str = "ple") -> Tensor:
    """What a layer adds to its streams: looked-up values, gated by how keys fit the streams, convolved."""
    hidden = x.width // n.streams
    with t.scope(module):
        found = tables(t, n)
        key = t.norm(
            "norm_key",
            t.linear("key_proj", found, x.width),
            style="rms_one_plus",
            width=hidden,
            shape=(x.width,),
        )
        value = t.linear("value_proj", found, hidden)
        query = t.norm("norm_query", x, style="rms_one_plus", width=hidden, shape=(x.width,))
        fit = t.elementwise("sum", t.multiply(key, query), width=n.streams)
        gate = t.elementwise("sigmoid", t.elementwise("signed_root", fit))
        gated = t.multiply(t.elementwise("repeat", value, width=x.width), gate)
        normed = t.norm("norm_conv", gated, style="rms_one_plus", width=hidden, shape=(x.width,))
        state = State("conv", (x.width, n.reach))
        inside = t.convolution(
            "conv1d", normed, x.width, kernel=(n.kernel,), groups=x.width, bias=False, state=state, cut=False
        )
        return t.add(gated, t.elementwise("silu", inside))


def tables(t: Trace, n: NGrams) -> Tensor:
    """Rows of all tables for a token and those before it, which are remembered as integers."""
    with t.scope("ple_embedding"):
        sizes = {
            "layer_multipliers": n.longest,
            "ngram_heads_vocab_sizes": n.tables,
            "ngram_heads_offsets": n.tables,
        }
        t.hold(*(t.parameter(name, (size,), buffer=True, dtype="int64") for name, size in sizes.items()))
        found = t.embedding("ngram_embedding", n.rows, n.width // n.tables, role=Role.EMBEDDING)
        before = State("tokens", (n.longest - 1,), "int64")
        return t.scan("ngram", (found,), n.width, heads=n.tables, key_dim=1, value_dim=1, states=(before,))
