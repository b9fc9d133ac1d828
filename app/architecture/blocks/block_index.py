"""An indexer that chooses blocks of tokens for every group of heads (MiniMax-M3)."""

from msgspec import Struct

from ..operations import Tensor
from ..trace import Trace
from .attention import turn_heads


class BlockIndexer(Struct, frozen=True):
    """Narrow heads with one key; `top_k` blocks of `block` tokens are chosen."""

    heads: int
    head_dim: int
    rotary_dim: int
    block: int
    top_k: int


def block_index(t: Trace, x: Tensor, i: BlockIndexer) -> Tensor:
    """Normalised, turned queries and keys; the best score of each block decides."""
    with t.scope("self_attn.indexer"):
        q = t.norm(
            "q_norm", t.linear("q_proj", x, i.heads * i.head_dim), style="rms_one_plus", width=i.head_dim
        )
        k = t.norm("k_norm", t.linear("k_proj", x, i.head_dim), style="rms_one_plus")
        q, k = (turn_heads(t, y, i.head_dim, min(i.rotary_dim, i.head_dim)) for y in (q, k))
        return t.index(q, k, None, heads=i.heads, key_dim=i.head_dim, top_k=i.top_k, block=i.block)
