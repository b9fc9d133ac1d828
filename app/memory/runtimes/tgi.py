"""Text Generation Inference 3: a warm-up at the largest prefill, then nine tenths of what is left for blocks.

Sources: TGI `server/text_generation_server/models/flash_causal_lm.py` (`warmup`), `globals.py`
(`TGI_WIGGLE_ROOM` 0.90), `launcher/src/main.rs` (`--cuda-memory-fraction` 1.0, `--max-batch-prefill-tokens`).
"""

from collections.abc import Mapping
from math import floor
from typing import Any, Final

from ...lanes import most, up
from ...parallelism import Stage
from ..estimate import Term
from ..requests import InferenceRequest
from .base import GIB, Deployment, covered_version
from .unmeasured import paged_terms, warning
from .vllm_graphs import NODE_BYTES, kernels
from .vllm_profile import Run, forward_bytes

WIGGLE_ROOM: Final = 0.9
BLOCK: Final = 1  # FlashInfer pages of one token
PREFILL_TOKENS: Final = 4096
PROMPT_TOKENS: Final = 1024  # of one prompt in the warm-up batch, whatever length is asked
GRAPH_SIZES: Final = 7  # 1, 2, 4, 8, 16, 32 and the eager rest


class TgiDeployment(Deployment):
    """One shard group."""

    backend = "tgi"
    neutral = ("attention", "max_num_seqs")
    shares_prefix = True
    loading = "TGI weights loading"
    loading_spread = (0.99, 1.03)

    def __init__(self, request: InferenceRequest) -> None:
        super().__init__(request)
        self.warnings.append(warning("TGI"))
        self.fraction = request.gpu_memory_utilization or 1.0
        self.block = request.block_size or BLOCK
        self.eager = bool(request.enforce_eager)
        self.settle()

    def settle(self) -> None:
        """The warm-up's tokens."""
        self.tokens = self._tokens(self.length)

    def parameters(self) -> Mapping[str, Any]:
        """The launcher's arguments, by the contract's names."""
        return {
            "backend_version": covered_version(self.backend, self.request.backend_version),
            "max_num_batched_tokens": self.tokens,
            "gpu_memory_utilization": self.fraction,
            "block_size": self.block,
            "enforce_eager": self.eager,
            "kv_cache_dtype": self.kv_dtype,
            "precision": self.stored.compute,
        }

    def _tokens(self, length: int) -> int:
        """Tokens of the warm-up prefill: one whole sequence at least."""
        return self.request.max_num_batched_tokens or most(PREFILL_TOKENS, length)

    def activations(self, stage: Stage, length: int) -> int:
        """The warm-up prefill through a layer, and the last logits of its prompts in float32."""
        w, tokens = self.widths(stage), self._tokens(length)
        logits = w.vocabulary * 6 * most(1, tokens // PROMPT_TOKENS) if stage.last else 0
        return forward_bytes(Run(19, tokens, 1, False), w, False) + logits

    def overhead(self, stage: Stage) -> int:
        """Context, communicators, graphs of the small batch sizes."""
        communicators = round(0.9 * GIB) if self.layout.tensor > 1 else 0
        graphs = 0 if self.eager else GRAPH_SIZES * kernels(stage) * NODE_BYTES
        return round(0.7 * GIB) + communicators + graphs

    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """Weights, blocks of the asked batch, the warm-up's peak, everything else."""
        return paged_terms(
            self,
            stage,
            cache=self.cache_bytes(stage, self.batch, self.length),
            block=self.block,
            source="TGI flash_causal_lm",
            tokens=self.tokens,
            peak=self.activations(stage, self.length),
            overhead=self.overhead(stage),
        )

    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """Whole blocks of every token; windows are kept whole."""
        slots = -(-length // self.block) * self.block
        kept = sum(
            c.layers * (slots * (c.width * self.kv_element + c.indexer) + c.state) for c in self.caches(stage)
        )
        return up(batch * kept) - (batch - 1) * self.shared_bytes(stage, self.block)

    def room(self, stage: Stage, batch: int, length: int) -> int:
        """Nine tenths of the allowed memory, less what is taken."""
        allowed = floor(self.device.total * self.fraction * WIGGLE_ROOM)
        return allowed - self.weights(stage) - self.activations(stage, length) - self.overhead(stage)

    def budget(self, stage: Stage) -> int:
        """Nine tenths of the allowed memory."""
        return floor(self.device.total * self.fraction * WIGGLE_ROOM)

    def capacity(self) -> dict[str, Any]:
        """`max-batch-total-tokens` that the launcher prints after its warm-up."""
        cells = [self.cache_bytes(s, 1, self.length) / self.length for s in self.stages]
        if not all(cells):
            return super().capacity()
        rooms = [self.room(s, 1, self.length) for s in self.stages]
        tokens = min(floor(room / cell) for room, cell in zip(rooms, cells, strict=True))
        return {"kv_cache_tokens": max(0, tokens), "max_concurrency": round(max(0, tokens) / self.length, 2)}
