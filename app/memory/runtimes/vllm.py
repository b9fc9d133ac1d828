"""What vLLM's engine comes to: the terms of a rank, the pool of blocks that is left, and what it holds.

Sources: vLLM `v1/core/kv_cache_utils.py` (`_report_kv_cache_config`), `v1/worker/gpu_worker.py`.
"""

from collections.abc import Mapping
from functools import cached_property, reduce
from math import ceil
from typing import Any, Final

from ...lanes import least, most
from ...messages import Message
from ...parallelism import Stage
from ..estimate import Term
from . import vllm_terms
from .base import GIB
from .search import largest
from .vllm_engine import VllmEngine
from .vllm_settings import Settings, default_batch

SEE_ALL: Final = ("full", "latent")  # kinds of layers that keep every token


class VllmDeployment(VllmEngine):
    """One engine and its pool."""

    def _take(self, settings: Settings) -> None:
        """Take the settings, and read what an asked request needs under them."""
        super()._take(settings)
        self.__dict__.pop("blocks", None)  # those of other settings
        self.per_request = self.blocks_of(self.length)

    def parameters(self) -> Mapping[str, Any]:
        """The engine's arguments."""
        s = self.settings
        return {
            "backend_version": f"0.{s.minor}",
            "max_num_batched_tokens": s.tokens,
            "max_num_seqs": s.sequences,
            "gpu_memory_utilization": s.utilization,
            "block_size": self.block_size,
            "enforce_eager": s.eager,
            "kv_cache_dtype": self.kv_dtype,
            "precision": self.stored.compute,
        }

    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """Weights, cache of the asked batch, profiled peak, and what lies outside torch."""
        return vllm_terms.terms(self, stage)

    def check(self) -> None:
        """Warn where the engine refuses to start."""
        if not self.starts:
            free = min(self.device.total - self.context(s) for s in self.stages) / self.device.total
            values = {"utilization": self.settings.utilization, "most": f"{max(0.0, free):.3f}"}
            self.warnings.append(Message("cannot_start", values))

    def minimum(self) -> "VllmDeployment":
        """As many sequences as asked for, no graphs."""
        least = self.twin()
        least._take(self._settings(self.batch, eager=True))
        return least

    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """Whole blocks of every group."""
        return self.blocks_for(batch, length) * self.block_bytes(stage)

    def blocks_for(self, batch: int, length: int) -> int:
        """Blocks that so many requests may need, those of a common beginning once."""
        return batch * (self.blocks_of(length) - self.shared_blocks) + self.shared_blocks

    @property
    def shared_blocks(self) -> int:
        """Full blocks of a common beginning in groups of layers that see all tokens (prefix caching)."""
        if not self.prefix:
            return 0
        tokens = self.prefix // self.layout.context
        return sum(n * (tokens // spec.block) for spec, n in self.groups.specs if spec.kind in SEE_ALL)

    def finds_prefixes(self) -> bool:
        """On by default, but for hybrids before 0.28 (`ModelConfig.is_prefix_caching_supported`)."""
        states = any(cache.state for stage in self.stages for cache in self.caches(stage))
        return super().finds_prefixes() and (self.minor >= 28 or not states)

    def blocks_of(self, length: int) -> int:
        """Blocks that one request of `length` tokens may need."""
        return self.groups.blocks(-(-length // self.layout.context), self.in_flight, self.source(length))

    def block_bytes(self, stage: Stage) -> int:
        """One block over the layers of a group on this stage."""
        return (
            self.groups.block_bytes
            if len(self.stages) == 1
            else self.groups_of(self.caches(stage)).block_bytes
        )

    def room(self, stage: Stage, batch: int, length: int) -> int:
        """Requested memory less weights, peak and what lies outside torch (`determine_available_memory`)."""
        inside = self.weights(stage) + self.profile(stage).total + self.non_torch(stage)
        if self.minor >= 20:
            inside += self.graph_estimate(stage)
        if self.minor >= 27:
            inside += self.penalties(stage)
        return ceil(self.settings.utilization * self.device.total) - inside

    def budget(self, stage: Stage) -> int:
        """Requested memory, and what the engine takes beside it: context, and graphs not counted."""
        counted = self.graph_estimate(stage) if self.minor >= 20 else 0
        outside = self.context(stage) + self.graphs(stage) - counted
        outside += self.penalties(stage) if self.minor < 27 else 0
        return ceil(self.settings.utilization * self.device.total) + outside

    def slack(self, batch: int, length: int) -> float:
        """Blocks left over, where the requested memory is free when the engine starts."""
        if not self.starts:
            return -1
        if not self.groups.block_bytes:
            return reduce(least, (self.room(s, batch, length) for s in self.stages))
        return self.blocks - self.blocks_for(batch, length)

    @cached_property
    def starts(self) -> bool:
        """Whether the requested memory is free beside the context (`request_memory` refuses otherwise)."""
        requested = ceil(self.settings.utilization * self.device.total)
        return all(requested + self.context(s) <= self.device.total for s in self.stages)

    def largest_batch(self) -> int:
        """Whole requests that the pool holds."""
        if not self.groups.block_bytes:
            return super().largest_batch()
        more = self.blocks - self.shared_blocks
        return most(0, more // (self.per_request - self.shared_blocks)) if self.starts else 0

    def longest(self) -> int:
        """As at the length from which a step is full: fewer tokens a step only leave more room."""
        full = ceil(default_batch(self.device, self.minor)[0] / self.settings.sequences)
        if self.request.max_num_batched_tokens is None and self.length < full:
            return self.at(self.request.batch_size, full).longest()
        if not self.starts:
            return 0
        if not self.groups.block_bytes:
            return super().longest()
        share = (self.blocks + (self.batch - 1) * self.shared_blocks) // self.batch
        guess = self.groups.tokens(share, self.in_flight) * self.layout.context
        return largest(lambda length: share - self.blocks_of(length), guess)

    @cached_property
    def blocks(self) -> int:
        """Blocks of the pool: those of the worker with the least room."""
        found = (self.room(s, 1, 1) // max(1, self.block_bytes(s)) for s in self.stages)
        return most(0, reduce(least, found))

    def capacity(self) -> dict[str, Any]:
        """The two figures of the start-up log (`_report_kv_cache_config`)."""
        if not self.groups.block_bytes:
            return super().capacity()
        context = self.layout.context
        blocks = self.blocks
        concurrency = blocks / max(1, self.per_request)
        tokens = blocks // self.groups.count * self.groups.smallest_block * context
        if self.minor >= 21:
            tokens = int(concurrency * self.length)
        return {"kv_cache_tokens": tokens, "max_concurrency": round(concurrency, 2)}

    def figures(self) -> dict[str, float]:
        """The lines of the start-up log."""
        stage = self.stages[0]
        capacity = self.capacity()
        sizes = {
            "weights_gib": self.weights(stage),
            "activation_peak_gib": self.profile(stage).total,
            "non_torch_gib": self.non_torch(stage),
            "init_non_torch_gib": self.context(stage),
            "cuda_graph_gib": self.graphs(stage),
            "cuda_graph_estimate_gib": self.graph_estimate(stage),
            "kv_gib": self.room(stage, 1, 1),
        }
        return {
            **{name: size / GIB for name, size in sizes.items()},
            "kv_tokens": capacity["kv_cache_tokens"],
            "max_concurrency": capacity["max_concurrency"],
            "kv_blocks": self.blocks,
        }
