"""Encoders that read long inputs in windows and blocks: which pairs of tokens they multiply."""

from collections.abc import Callable
from math import lcm

from ..blocks.attention import Heads
from ..config import Config
from ..operations import Tensor
from ..spans import Blocks, BlocksAndGlobals, Grouped, Hashed, Pattern, Rounded, Sliding, WithGroups
from ..trace import Trace, column, row


def windows(c: Config, layers: int) -> list[int]:
    """Longformer's window of each layer: even, one number for all or a list."""
    stated = c.get("attention_window", 512)
    found = stated if isinstance(stated, list | tuple) else [stated] * layers
    if len(found) < layers:
        raise c.wrong("attention_window", "config_layer_types", value=len(found), layers=layers)
    for window in found:
        if type(window) is not int or not 0 < window < 2**31:
            raise c.wrong("attention_window", "config_not_whole", value=str(window)[:40])
        if window % 2:
            raise c.wrong("attention_window", "config_unknown_value", value=window)
    return list(found)


def sliding(c: Config, layers: int) -> tuple[Rounded, Callable[[int], Sliding]]:
    """Tokens padded to whole windows (the widest layer's), and what each layer multiplies."""
    widths = windows(c, layers)
    padded = Rounded(max(widths))
    return padded, lambda i: Sliding(widths[i], padded)


def staggered(c: Config) -> tuple[Rounded, Callable[[int], BlocksAndGlobals]]:
    """Pegasus-X's blocks with global tokens beside them; every other layer's begin half a block earlier."""
    size, extra = c.size("block_size"), c.size("num_global_tokens")
    shifts = c.flag("stagger_local_blocks", True)
    return Rounded(size, more=extra), lambda i: BlocksAndGlobals(size, extra, shifts and i % 2 == 1)


def in_blocks(t: Trace, x: Tensor, shape: Heads, c: Config, *, module: str, grouped: bool) -> Tensor:
    """LongT5's attention to the blocks beside a token's own and, `grouped`, to sums of groups of tokens."""
    size = c.size("local_radius") + 1
    group = c.size("global_block_size") if grouped else 0
    blocks = Blocks(size, Rounded(size), grouped=group)
    split = column(shape.kv_heads, replicate=True)
    with t.scope(module):
        if grouped:
            with t.spanned(Grouped(group)):
                t.product(x, x, x.width, 1)
        q = t.linear("q", x, shape.query_width, split=column(shape.heads))
        with t.spanned(WithGroups(group) if grouped else None):
            k, v = (t.linear(name, x, shape.key_width, split=split) for name in "kv")
        out = t.attention(
            q,
            k,
            v,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            key_dim=shape.head_dim,
            causal=False,
            bias=True,
            float32_softmax=shape.float32_softmax,
            dropout=shape.dropout,
            cached=False,
            pattern=blocks,
            einsum=True,
        )
        return t.linear("o", out, x.width, split=row(shape.heads))


class Chunked:
    """Reformer's attention of both kinds: chunks of tokens, in the order they came or sorted by hashes."""

    def __init__(self, c: Config, kinds: list[str]) -> None:
        self.config = c
        self.sizes = {kind: c.size(f"{kind}_attn_chunk_length", 64) for kind in sorted(set(kinds))}
        self.padded = Rounded(lcm(*self.sizes.values()), above=min(self.sizes.values()))

    def blocks(self, kind: str) -> Pattern:
        """What a layer of this kind multiplies."""
        c = self.config
        beside = sum(c.size(f"{kind}_num_chunks_{side}", least=0) for side in ("before", "after"))
        rounds = c.size("num_hashes", 1) if kind == "lsh" else 1
        return Blocks(self.sizes[kind], self.padded, beside, rounds=rounds, whole=True)

    def hash(self, t: Trace, q: Tensor, shape: Heads) -> None:
        """Queries times random vectors, whose largest tells the bucket."""
        c, size = self.config, self.sizes["lsh"]
        stated = c.get("num_buckets")
        found = stated if isinstance(stated, list | tuple) else [] if stated is None else [stated]
        if not all(type(count) is int and 0 < count < 2**31 for count in found):
            raise c.wrong("num_buckets", "config_not_whole", value=str(stated)[:40])
        limit = 2 * max(int((c.size("max_position_embeddings") // size) ** 0.5), size)
        with t.spanned(Hashed(self.padded, size, c.size("num_hashes", 1), tuple(found), limit)):
            t.product(q, q, shape.heads, shape.head_dim)
