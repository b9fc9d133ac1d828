"""TensorRT-LLM, PyTorch backend: a share of what is *free* after weights and a measured peak is the cache's.

Sources: TensorRT-LLM `_torch/pyexecutor/_util.py` (`KvCacheCreator`), `llmapi/llm_args.py`
(`KvCacheConfig.free_gpu_memory_fraction` 0.9, `tokens_per_block` 32, `max_num_tokens` 8192,
`max_batch_size` 2048).
"""

from collections.abc import Mapping
from math import floor
from typing import Any, Final

from msgspec.structs import replace

from ...parallelism import Deal, Stage, remainder_first
from ..estimate import Term
from ..kv_cache import sequence_bytes
from ..requests import InferenceRequest
from .base import GIB, Deployment, covered_version
from .unmeasured import paged_terms, warning
from .vllm_graphs import NODE_BYTES, kernels
from .vllm_profile import Run, forward_bytes

FREE_FRACTION: Final = 0.9
TOKENS_PER_BLOCK: Final = 32
MAX_NUM_TOKENS: Final = 8192
MAX_BATCH_SIZE: Final = 2048
CAPTURED: Final = 34  # default batch sizes: 1 to 128 by steps, then powers of two up to the largest batch


class TensorrtLlmDeployment(Deployment):
    """One engine."""

    backend = "tensorrt-llm"
    neutral = ("attention",)
    shares_prefix = True
    loading = "TensorRT-LLM model loading"
    loading_spread = (0.99, 1.03)

    def deal(self) -> Deal:
        """The remainder goes to the first stages."""
        return remainder_first

    def __init__(self, request: InferenceRequest) -> None:
        super().__init__(request)
        self.warnings.append(warning("TensorRT-LLM"))
        self.fraction = request.gpu_memory_utilization or FREE_FRACTION
        self.block = request.block_size or TOKENS_PER_BLOCK
        self.tokens = request.max_num_batched_tokens or MAX_NUM_TOKENS
        self.sequences = request.max_num_seqs or MAX_BATCH_SIZE
        self.eager = bool(request.enforce_eager)

    def parameters(self) -> Mapping[str, Any]:
        """The engine's arguments, by the contract's names."""
        return {
            "backend_version": covered_version(self.backend, self.request.backend_version),
            "max_num_batched_tokens": self.tokens,
            "max_num_seqs": self.sequences,
            "gpu_memory_utilization": self.fraction,
            "block_size": self.block,
            "enforce_eager": self.eager,
            "kv_cache_dtype": self.kv_dtype,
            "precision": self.stored.compute,
        }

    def activations(self, stage: Stage) -> int:
        """The estimation run: `max_num_tokens` through a layer, then logits of the sequences in float32."""
        w = self.widths(stage)
        logits = min(self.sequences, self.tokens) * w.vocabulary * 4 if stage.last else 0
        return max(forward_bytes(Run(19, self.tokens, self.sequences, False), w, False), logits)

    def overhead(self, stage: Stage) -> int:
        """Context, libraries, communicators and graphs."""
        communicators = round(1.0 * GIB) if self.layout.tensor * self.layout.pipeline > 1 else 0
        graphs = 0 if self.eager else CAPTURED * kernels(stage) * NODE_BYTES
        return round(0.8 * GIB) + communicators + graphs

    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """Weights, blocks of the asked batch, the peak, everything else."""
        return paged_terms(
            self,
            stage,
            cache=self.cache_bytes(stage, self.batch, self.length),
            block=self.block,
            source="TensorRT-LLM KvCacheConfig",
            tokens=self.tokens,
            peak=self.activations(stage),
            overhead=self.overhead(stage),
        )

    def minimum(self) -> "TensorrtLlmDeployment":
        """Eager, as many sequences as asked for."""
        return TensorrtLlmDeployment(replace(self.request, max_num_seqs=self.batch, enforce_eager=True))

    def token_bytes(self, stage: Stage) -> float:
        """Bytes of one token while no window is full."""
        return sum(c.layers * (c.width * self.kv_element + c.indexer) for c in self.caches(stage))

    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """Whole blocks; window layers keep their window."""
        one = sequence_bytes(
            self.caches(stage), length, self.kv_element, source=self.source(length), page=self.block
        )
        return batch * one - (batch - 1) * self.shared_bytes(stage, self.block)

    def room(self, stage: Stage, batch: int, length: int) -> int:
        """A fraction of what is free after loading and the peak."""
        taken = self.weights(stage) + self.activations(stage) + self.overhead(stage)
        return floor(self.fraction * (self.device.total - taken))

    def budget(self, stage: Stage) -> int:
        """Everything but the share of free memory that is left alone."""
        taken = self.weights(stage) + self.activations(stage) + self.overhead(stage)
        return taken + max(0, self.room(stage, 1, 1))

    def capacity(self) -> dict[str, Any]:
        """Tokens of the pool ("max_tokens" of the log)."""
        if not all(self.token_bytes(s) for s in self.stages):
            return super().capacity()
        tokens = (
            min(floor(self.room(s, 1, 1) / (self.token_bytes(s) * self.block)) for s in self.stages)
            * self.block
        )
        return {"kv_cache_tokens": max(0, tokens), "max_concurrency": round(max(0, tokens) / self.length, 2)}
