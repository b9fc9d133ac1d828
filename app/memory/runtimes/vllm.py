"""vLLM's V1 engine, 0.11 to 0.33: what it loads, profiles, captures, and how many tokens it then holds.

Sources: vLLM `v1/worker/gpu_worker.py` (`determine_available_memory`), `engine/arg_utils.py` (defaults),
`config/vllm.py` (`_set_cudagraph_sizes`); figures without a source in code are measured on H100 start-up logs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import ceil
from typing import Any, Final

from ...architecture.operations import Experts
from ...errors import InvalidLayout, Problem, invalid
from ...messages import Message
from ...parallelism import VOCABULARY_MULTIPLE, Layout, Stage
from ..activations import Widths, widths
from ..estimate import Term
from ..kv_cache import rank_cache
from ..requests import InferenceRequest
from ..weights import allocated, element_bytes, rank_weights
from .base import Deployment
from .choices import VLLM_VERSIONS
from .device import Device
from .vllm_kv import Groups, aligned_to_states, group, specs
from .rope import rope_tables
from .vllm_profile import Profile, Run, profile
from .vllm_weights import repacked

GIB: Final = 2**30
MIB: Final = 2**20
DEFAULT_BLOCK: Final = 16


def minor_of(version: str | None) -> int:
    """The minor version whose rules apply; raises `InvalidRequest` for one that none cover.

    >>> minor_of("v0.19.1"), minor_of(None)
    (19, 33)
    """
    if version is None:
        return int(VLLM_VERSIONS[-1].partition(".")[2])
    parts = version.lower().removeprefix("v").split(".")
    if len(parts) >= 2 and f"{parts[0]}.{parts[1]}" in VLLM_VERSIONS:
        return int(parts[1])
    raise invalid("backend_version", "unknown_version", value=version[:32], first=VLLM_VERSIONS[0],
                  last=VLLM_VERSIONS[-1])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """The engine's arguments after its own defaults."""

    minor: int
    max_model_len: int
    tokens: int
    sequences: int
    utilization: float
    block: int
    eager: bool
    kv_dtype: str
    second_runner: bool


def default_batch(device: Device, max_model_len: int) -> tuple[int, int]:
    """Tokens and sequences of a step where nothing is asked (`EngineArgs.get_batch_defaults`, server)."""
    if device.total >= 160 * GIB:
        return 16384, 1024
    if device.total >= 70 * GIB and "a100" not in device.name:
        return 8192, 1024
    return 2048, 256


class VllmDeployment(Deployment):
    """One engine."""

    def __init__(self, request: InferenceRequest) -> None:
        self.minor = minor_of(request.backend_version)
        super().__init__(request)
        self.settings = self._settings()
        self.kv_element = element_bytes(self.settings.kv_dtype)

    def lay_out(self) -> Layout:
        """Experts are divided over data-parallel ranks too; the contexts of decoding share tensor ranks."""
        r = self.request
        sparse = bool(r.model.architecture.notes.get("experts")) or _has_experts(r.model.architecture)
        return Layout(r.tensor_parallel, r.pipeline_parallel, r.data_parallel, r.expert_parallel, r.context_parallel,
                      sparse and r.data_parallel > 1)  # fmt: skip

    def _settings(self) -> Settings:
        r = self.request
        tokens, sequences = default_batch(self.device, r.sequence_length)
        tokens = r.max_num_batched_tokens or tokens
        sequences = r.max_num_seqs or min(sequences, tokens)
        if r.max_num_batched_tokens is None:
            tokens = min(tokens, sequences * r.sequence_length)
        utilization = r.gpu_memory_utilization or (0.92 if self.minor >= 20 else 0.9)
        kv_dtype = self.stored.compute if r.kv_cache_dtype == "auto" else r.kv_cache_dtype
        return Settings(self.minor, r.sequence_length, tokens, sequences, utilization,
                        r.block_size or self._default_block(), bool(r.enforce_eager), kv_dtype,
                        self._second_runner())  # fmt: skip

    def _default_block(self) -> int:
        """16 tokens; latent attention on Blackwell has kernels for 64 or 128 only."""
        latent = any(c.latent for s in self.stages for c in self.caches(s))
        if latent and self.device.capability >= (10, 0):
            return 64 if self.minor >= 12 else 128
        return DEFAULT_BLOCK

    def _second_runner(self) -> bool:
        """Whether the rewritten model runner serves this model by default (0.22 on)."""
        if self.minor < 22:
            return False
        if self.minor >= 29:
            return True
        architecture = self.request.model.architecture
        if _has_experts(architecture) or any(c.state for s in self.stages for c in self.caches(s)):
            return False
        return self.minor >= 25 or architecture.model_type == "qwen3"

    # --- readings of one rank ------------------------------------------------------------------

    def caches(self, stage: Stage) -> tuple[Any, ...]:
        """What the layers of one rank remember."""
        return rank_cache(self.stored.architecture, self.layout, stage, self.stored.compute)

    def widths(self, stage: Stage) -> Widths:
        """The widths of one rank."""
        return widths(self.stored.architecture, self.layout, stage)

    def weights(self, stage: Stage) -> int:
        """Bytes that loading takes: tensors as the allocator gives them."""
        if self.stored.textbook:
            return rank_weights(self.stored, self.layout, stage).exact
        found = rank_weights(self.stored, self.layout, stage, VOCABULARY_MULTIPLE, repacked)
        return found.allocated + sum(map(allocated, rope_tables(self.stored.architecture, self.stored.compute)))

    def profile(self, stage: Stage) -> Profile:
        """What the profile run finds on one rank."""
        s = self.settings
        run = Run(self.minor, s.tokens, s.sequences, s.second_runner)
        return profile(run, self.widths(stage), self.device, samples=stage.last, own_kernels=self._own_kernels(),
                       dynamic_8_bit=False, multimodal=0)  # fmt: skip

    def _own_kernels(self) -> bool:
        return self.stored.architecture.model_type == "gpt_oss" and self.device.hopper_or_later

    @property
    def in_flight(self) -> int:
        """Tokens that may be in flight beside a request's window (`VllmConfig.max_in_flight_tokens`, 0.26 on)."""
        if self.minor < 26:
            return self.settings.tokens
        stages = self.layout.pipeline
        batches = stages + 1 if self.settings.second_runner and stages > 1 else max(2, stages)
        return self.settings.tokens * batches

    @cached_property
    def groups(self) -> Groups:
        """Groups of all layers of the model (every worker has the same)."""
        whole = tuple(cache for stage in self.stages for cache in self.caches(stage) for _ in range(stage.count))
        return self._groups(whole)

    def _groups(self, caches: tuple[Any, ...]) -> Groups:
        found = specs(caches, self.settings.block, self.kv_element, hybrid=True, state_copies=2)
        token = max((spec.page / spec.block for spec in found if spec.kind != "state"), default=0.0)
        if token:
            found = aligned_to_states(found, token, max(16, self.settings.block))
        ratio = 1.0 if self.minor < 12 else 1.25 if self.minor < 18 else 1.5
        return group(found, ratio)

    def non_torch(self, stage: Stage) -> int:
        """Growth outside torch from the snapshot to the end of profiling: libraries, communicators."""
        if self.layout.tensor == 1:
            return round((0.13 if self.minor < 18 else 0.25) * GIB)
        if self.minor < 17:
            return round(0.54 * GIB)
        return round((2.07 if self.layout.tensor < 4 else 2.13) * GIB)

    def context(self, stage: Stage) -> int:
        """In use before loading: CUDA context and communicators; outside the budget."""
        if self.layout.tensor == 1:
            return round(0.51 * GIB)
        if _has_experts(self.stored.architecture):
            return round(1.99 * GIB)
        return round((1.51 if self.layout.tensor < 4 else 1.53) * GIB)

    def graphs(self, stage: Stage) -> int:
        """Captured CUDA graphs."""
        if self.settings.eager:
            return 0
        w = self.widths(stage)
        largest = min(self.settings.sequences * 2, 512, self.settings.tokens)
        accumulators = 32 * largest * w.query * 4 if self.device.capability == (9, 0) else 0
        return round((0.138 + 0.0135 * stage.layers) * GIB + accumulators + 1.93 * largest * 2 * (w.feed_forward + 4 * w.hidden))

    # --- the contract ---------------------------------------------------------------------------

    def parameters(self) -> Mapping[str, Any]:
        """The engine's arguments."""
        s = self.settings
        return {
            "backend_version": f"0.{s.minor}",
            "max_num_batched_tokens": s.tokens,
            "max_num_seqs": s.sequences,
            "gpu_memory_utilization": s.utilization,
            "block_size": s.block,
            "enforce_eager": s.eager,
            "kv_cache_dtype": s.kv_dtype,
            "precision": self.stored.compute,
        }

    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """Weights, cache of the asked batch, profiled peak, and what lies outside torch."""
        s = self.settings
        found = self.profile(stage)
        return (
            Term("model_weights", self.weights(stage), "sum(ALLOC(tensor))", {}, "vLLM load_model"),
            Term("kv_cache", self.cache_bytes(stage, self.batch, self.length), "blocks * block_bytes", {}, "vLLM"),
            Term("activation_memory", found.total, "max(forward, sampler) + kept", {}, "vLLM profile_run"),
            Term("framework_overhead", self.context(stage), "context", {}, "measured"),
            Term("framework_overhead", self.non_torch(stage), "non_torch", {}, "measured"),
            Term("framework_overhead", self.graphs(stage), "graphs", {}, "measured"),
        )

    def minimum(self) -> "VllmDeployment":
        """As many sequences as asked for, no graphs."""
        return VllmDeployment(replace(self.request, max_num_seqs=self.batch, enforce_eager=True))

    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """Whole blocks of every group."""
        return batch * self.groups.blocks(length, self.in_flight) * self.block_bytes(stage)

    def block_bytes(self, stage: Stage) -> int:
        """One block over the layers of a group on this stage."""
        return self.groups.block_bytes if len(self.stages) == 1 else self._groups(self.caches(stage)).block_bytes

    def inside(self, stage: Stage) -> int:
        """What the engine takes off its budget before the cache."""
        graphs = self.graphs(stage) if self.minor >= 20 else 0
        return self.weights(stage) + self.profile(stage).total + self.non_torch(stage) + graphs

    def room(self, stage: Stage, batch: int, length: int) -> int:
        """Requested memory less weights, peak and what lies outside torch."""
        return ceil(self.settings.utilization * self.device.total) - self.inside(stage)

    def budget(self, stage: Stage) -> int:
        """Requested memory, and what the engine takes beside it: its context, and graphs before 0.20."""
        outside = self.context(stage) + (self.graphs(stage) if self.minor < 20 else 0)
        return ceil(self.settings.utilization * self.device.total) + outside

    @property
    def blocks(self) -> int:
        """Blocks of the pool: those of the worker with the least room."""
        return max(0, min(self.room(s, 1, 1) // max(1, self.block_bytes(s)) for s in self.stages))

    def capacity(self) -> dict[str, Any]:
        """The two figures of the start-up log."""
        if not self.groups.block_bytes:
            return super().capacity()
        concurrency = self.blocks / self.groups.blocks(self.length, self.in_flight)
        tokens = self.blocks // self.groups.count * self.groups.smallest_block
        if self.minor >= 21:
            tokens = int(concurrency * self.length)
        return {"kv_cache_tokens": tokens, "max_concurrency": round(concurrency, 2)}

    def figures(self) -> dict[str, float]:
        """The lines of the start-up log."""
        stage = self.stages[0]
        pool = self.room(stage, 1, 1)
        capacity = self.capacity()
        sizes = {
            "weights_gib": self.weights(stage),
            "activation_peak_gib": self.profile(stage).total,
            "non_torch_gib": self.non_torch(stage),
            "init_non_torch_gib": self.context(stage),
            "cuda_graph_gib": self.graphs(stage),
            "kv_gib": pool,
        }
        return {
            **{name: size / GIB for name, size in sizes.items()},
            "kv_tokens": capacity["kv_cache_tokens"],
            "max_concurrency": capacity["max_concurrency"],
            "kv_blocks": self.blocks,
        }


def _has_experts(architecture: Any) -> bool:
    return any(isinstance(op, Experts) for _, op in architecture.operations())
