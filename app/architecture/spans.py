"""What plain PyTorch makes of a length before it multiplies: rounded up, halved, cut into blocks.

A span counts the rows of a tensor, a pattern the pairs of query and key of an attention. Both follow the
modules of transformers 5.23 and concern what a forward pass multiplies there, padding included; memory and
speed go by the tokens themselves. Lengths may be numbers or arrays.
"""

from typing import ClassVar

from msgspec import Struct

from ..lanes import choose, entry, least, most, up_to

POWERS = tuple(1 << exponent for exponent in range(63))


class Span(Struct, frozen=True):
    """Rows that a sequence of so many tokens leads to: one a token.

    `behind`: the encoder's tokens are put in front of them, and count as tokens too.
    """

    behind: ClassVar[bool] = False

    def __str__(self) -> str:
        return "one row for a token"

    def rows(self, length: int) -> int:
        """Rows of one sequence."""
        return length


class Rounded(Span, frozen=True):
    """Padded to whole multiples (only where longer than `above`), with `more` rows behind."""

    multiple: int
    above: int = 0
    more: int = 0

    def rows(self, length: int) -> int:
        """Rows of one sequence.

        >>> Rounded(16).rows(20), Rounded(16, above=32).rows(20), Rounded(16, more=2).rows(20)
        (32, 20, 34)
        """
        padded = -(-length // self.multiple) * self.multiple
        return choose(length > self.above, padded, length) + self.more


class Behind(Span, frozen=True):
    """The encoder's tokens and `more` rows of a fixed number in front."""

    behind: ClassVar[bool] = True
    more: int

    def rows(self, length: int) -> int:
        """Rows of one sequence.

        >>> Behind(235).rows(20)
        255
        """
        return length + self.more


class Halved(Span, frozen=True):
    """Pooled in pairs, again and again while there are more than `least` rows; `apart`: the first row stays
    by itself and none is dropped for it (`FunnelAttentionStructure.pool_tensor`)."""

    times: int
    least: int = 1
    apart: bool = False

    def __str__(self) -> str:
        return f"one row for {2**self.times} tokens"

    def rows(self, length: int) -> int:
        """Rows of one sequence.

        >>> Halved(2).rows(9), Halved(1, apart=True).rows(8), Halved(1, least=2).rows(2)
        (3, 5, 2)
        """
        for _ in range(self.times):
            length = choose(length > self.least, (length + 1 + self.apart) // 2, length)
        return length


class WithGroups(Span, frozen=True):
    """One row a token and one for every whole group of `size` tokens."""

    size: int

    def rows(self, length: int) -> int:
        """Rows of one sequence.

        >>> WithGroups(16).rows(40)
        42
        """
        return length + length // self.size


class Grouped(Span, frozen=True):
    """Every token once for each whole group of `size` tokens: the sums over groups as a matrix product."""

    size: int

    def rows(self, length: int) -> int:
        """Products of one sequence.

        >>> Grouped(16).rows(40)
        80
        """
        return length * (length // self.size)


class Pairs(Span, frozen=True):
    """Every row of one span with every row of another."""

    first: Span
    second: Span

    def rows(self, length: int) -> int:
        """Pairs of one sequence.

        >>> Pairs(Halved(1), Span()).rows(8)
        32
        """
        return self.first.rows(length) * self.second.rows(length)


class Hashed(Span, frozen=True):
    """Numbers that hashing needs of each head: `rounds` times half as many as there are `buckets` (factors
    of their number; none: by the length), where there is more than one chunk of `size` tokens
    (`LSHSelfAttention._hash_vectors`, `_set_num_buckets`); `limit`: buckets that are not factorised yet."""

    padded: Rounded
    size: int
    rounds: int
    buckets: tuple[int, ...] = ()
    limit: int = 0

    def rows(self, length: int) -> int:
        """Numbers of one sequence and head.

        >>> Hashed(Rounded(64), 64, 2, (32,)).rows(100), Hashed(Rounded(64), 64, 1, (32,)).rows(64)
        (4096, 0)
        """
        rows = self.padded.rows(length)
        needed = rows * self.rounds * self._rotations(rows)
        return choose(rows > self.size, needed, 0 * rows)

    def _rotations(self, rows: int) -> int:
        if self.buckets:
            return sum(self.buckets) // 2
        exponent = most(up_to(POWERS, 2 * (rows // self.size)) - 1, 0)
        half = exponent // 2
        count, factors = entry(POWERS, exponent), entry(POWERS, half) + entry(POWERS, exponent - half)
        return choose(count > self.limit, factors, count) // 2


class Pattern(Struct, frozen=True):
    """Pairs of query and key whose scores are made, and pairs whose values are summed."""

    def pairs(self, rows: int, keys: int) -> tuple[int, int]:
        """Both for one sequence of `rows` queries over `keys` keys."""
        return rows * keys, rows * keys


class Between(Pattern, frozen=True):
    """All pairs of the rows of two spans."""

    queries: Span
    keys: Span

    def pairs(self, rows: int, keys: int) -> tuple[int, int]:
        """Both for one sequence."""
        count = self.queries.rows(rows) * self.keys.rows(keys)
        return count, count


class Sliding(Pattern, frozen=True):
    """Scores in overlapping squares as wide as the window, values over three halves of it
    (`LongformerSelfAttention._sliding_chunks_query_key_matmul`)."""

    window: int
    padded: Rounded

    def __str__(self) -> str:
        return f"window of {self.window}"

    def pairs(self, rows: int, keys: int) -> tuple[int, int]:
        """Both for one sequence.

        >>> Sliding(4, Rounded(4)).pairs(6, 6)
        (48, 48)
        """
        count, half = self.padded.rows(rows), self.window // 2
        return (count // half - 1) * self.window**2, count * 3 * half


class Blocks(Pattern, frozen=True):
    """Queries of a block of `size` tokens over its own keys, those of `neighbours` other blocks and one for
    every whole group of `grouped` tokens, in `rounds` orders; no more than one block: all pairs once, where
    `whole`."""

    size: int
    padded: Rounded
    neighbours: int = 2
    grouped: int = 0
    rounds: int = 1
    whole: bool = False

    def pairs(self, rows: int, keys: int) -> tuple[int, int]:
        """Both for one sequence.

        >>> Blocks(4, Rounded(4)).pairs(6, 6), Blocks(4, Rounded(4), 1, whole=True).pairs(3, 3)
        ((96, 96), (16, 16))
        """
        count = self.padded.rows(rows)
        seen = self.size * (1 + self.neighbours) + (rows // self.grouped if self.grouped else 0)
        found = self.rounds * count * seen
        if self.whole:
            found = choose(count > self.size, found, count * count)
        return found, found


class BlocksAndGlobals(Pattern, frozen=True):
    """Blocks of `size` tokens by themselves with `globals` tokens that see and are seen by all; `staggered`:
    half a block of padding at both ends (`PegasusXGlobalLocalAttention`)."""

    size: int
    globals: int
    staggered: bool = False

    def __str__(self) -> str:
        return f"{'staggered ' * self.staggered}blocks of {self.size}"

    @property
    def span(self) -> Rounded:
        """Rows that enter and leave it."""
        return Rounded(self.size, more=self.globals + self.staggered * (self.size // 2 * 2))

    def pairs(self, rows: int, keys: int) -> tuple[int, int]:
        """Both for one sequence.

        >>> BlocksAndGlobals(4, 1).pairs(6, 6), BlocksAndGlobals(4, 1, staggered=True).pairs(6, 6)
        ((49, 49), (73, 73))
        """
        count = self.span.rows(rows) - self.globals
        found = count * (self.size + self.globals) + self.globals * (self.globals + count)
        return found, found


class Remembered(Pattern, frozen=True):
    """Keys that a sliding layer's cache kept of a prompt: all but the last of its window."""

    window: int

    def pairs(self, rows: int, keys: int) -> tuple[int, int]:
        """Both for one sequence.

        >>> Remembered(20).pairs(256, 80)
        (4864, 4864)
        """
        count = rows * least(keys, max(self.window - 1, 0) or keys)
        return count, count
