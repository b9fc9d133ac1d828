"""SGLang 0.5: a share of free memory for weights and pools, the rest for activations and graphs, unmeasured.

Sources: SGLang `arg_groups/memory_hook.py` (defaults by card, `mem_fraction_static`),
`mem_cache/kv_cache_configurator.py` (`_profile_available_bytes`), `model_executor/pool_configurator.py`,
`distributed/utils.py` (`get_pp_indices`).
"""

from collections.abc import Mapping
from functools import cached_property, lru_cache, reduce
from math import floor
from typing import Any, Final

from msgspec.structs import replace

from ...lanes import least, up
from ...parallelism import VOCABULARY_MULTIPLE, Deal, Layout, Stage, remainder_last
from ..estimate import Term
from ..requests import InferenceRequest
from ..weights import rank_weights
from .base import GIB, MIB, Deployment, covered_version
from .placement import has_experts
from .rope import table_bytes
from .vllm_graphs import NODE_BYTES, kernels
from .vllm_profile import Run, forward_bytes

SWA_RATIO: Final = 0.8  # swa_full_tokens_ratio
STATE_RATIO: Final = 0.9  # mamba_full_memory_ratio
STATE_SHARE: Final = STATE_RATIO / (1 + STATE_RATIO)
LOADING_BYTES: Final = round(0.09 * GIB)  # driver difference above the tensors: "mem usage" of the log
MULTIMODAL_FACTOR: Final = 0.95
TOWER: Final = 24 * 1024**2  # layers x width^2 that the multimodal factor compares a tower with


def chunk_and_graphs(memory_mib: float, tensor: int) -> tuple[int, int]:
    """Tokens of a prefill chunk and the largest decode batch captured, by the card's memory [MiB].

    >>> chunk_and_graphs(81559, 1), chunk_and_graphs(24564, 4)
    ((8192, 256), (4096, 160))
    """
    if memory_mib < 20 * 1024:
        return 2048, 8
    if memory_mib < 35 * 1024:
        return 4096, 48 if tensor < 4 else 160
    if memory_mib < 60 * 1024:
        return 4096, 32 if tensor < 4 else 160
    if memory_mib < 160 * 1024:
        return 8192, 256 if tensor < 4 else 512
    return 16384, 512


@lru_cache(maxsize=256)
def decode_sizes(largest: int) -> tuple[int, ...]:
    """Batch sizes captured for decoding (`generate_decode_cuda_graph_batch_sizes`).

    >>> len(decode_sizes(256)), decode_sizes(8)
    (36, (1, 2, 4, 8))
    """
    every = (1, 2, 4, 8, 12, *range(16, 257, 8), *range(272, 512, 16), *range(512, largest + 1, 32))
    sizes = tuple(size for size in every if size <= largest)
    return sizes if largest in sizes else (*sizes, largest)


@lru_cache(maxsize=256)
def prefill_sizes(largest: int) -> tuple[int, ...]:
    """Token counts captured for prefill (`generate_prefill_cuda_graph_batch_sizes`)."""
    every = (
        *range(4, 33, 4),
        *range(48, 257, 16),
        *range(288, 513, 32),
        *range(576, 1025, 64),
        *range(1280, 4097, 256),
        *range(4608, largest + 1, 512),
    )
    return tuple(size for size in every if size <= largest)


class SglangDeployment(Deployment):
    """One server."""

    backend = "sglang"
    neutral = ("attention",)
    shares_prefix = True
    loading = "SGLang model_loader, torch allocator"
    loading_spread = (0.98, 1.025)
    state_dtype = "float32"  # mamba_ssm_dtype's own default (`configs/mamba_utils.py`)

    def deal(self) -> Deal:
        """The remainder goes to the last stages."""
        return remainder_last

    def __init__(self, request: InferenceRequest) -> None:
        super().__init__(request)
        self.release = covered_version("sglang", request.backend_version)
        memory = self.device.usable / MIB
        chunk, largest = chunk_and_graphs(memory, request.tensor_parallel)
        self.chunk = request.max_num_batched_tokens or chunk
        self.largest = min(largest, request.max_num_seqs or largest)
        self.page = request.block_size or 1
        self.eager = bool(request.enforce_eager)
        self.fraction = request.gpu_memory_utilization or self._fraction(memory)

    def lay_out(self) -> Layout:
        """Experts are divided over data-parallel ranks too."""
        r = self.request
        over_data = r.data_parallel > 1 and has_experts(self.stored)
        return Layout(
            r.tensor_parallel,
            r.pipeline_parallel,
            r.data_parallel,
            r.expert_parallel,
            r.context_parallel,
            over_data,
        )

    def _fraction(self, memory: float) -> float:
        """`mem_fraction_static` where none is given [of free memory before loading]."""
        layout = self.layout
        reserved = 512 + 1.5 * max(self.chunk, 2048) + layout.tensor * layout.pipeline / 8 * 1024
        if not self.eager:
            reserved += 2 * self.largest
            latent = any(cache.latent for stage in self.stages for cache in self.caches(stage))
            reserved += 1536 if latent else 8 * len(prefill_sizes(self.chunk))
        if layout.data > 1 and layout.experts_over_data:
            reserved += self.largest * layout.data * (4.5 if self.largest > 300 else 3)
        if memory > 60 * 1024:
            reserved = max(reserved, 10 * 1024)
        return round((memory - reserved) / memory, 3) * self._multimodal_factor()

    def _multimodal_factor(self) -> float:
        vision = self.stored.architecture.config.get("vision_config")
        if not isinstance(vision, Mapping) or not any(self.stored.architecture.of("vision")):
            return 1.0
        layers = vision.get("num_hidden_layers") or vision.get("depth") or 24
        width = vision.get("hidden_size") or vision.get("embed_dim") or 1024
        complexity = layers * width**2 / TOWER
        return MULTIMODAL_FACTOR * min(1.05, max(0.8, 1.1 - 0.1 * complexity))

    # --- readings of one rank ------------------------------------------------------------------

    def model_bytes(self, stage: Stage) -> int:
        """The tensors and tables as the allocator gives them."""
        if self.stored.textbook:
            return rank_weights(self.stored, self.layout, stage).exact
        found = rank_weights(self.stored, self.layout, stage, VOCABULARY_MULTIPLE)
        return found.allocated + table_bytes(self.stored.architecture, self.stored.compute)

    def activations(self, stage: Stage) -> int:
        """One prefill chunk through a layer, and the logits of the sequences it ends."""
        w = self.widths(stage)
        run = Run(19, self.chunk, self.largest, False)
        logits = min(self.largest, self.chunk) * w.vocabulary * 6 if stage.last else 0
        routed = (
            self.chunk * w.top_k * 2 * (max(w.hidden, 2 * w.expert_width) + w.expert_width)
            if w.experts
            else 0
        )
        return max(forward_bytes(run, w, False) + routed, logits)

    def context(self, stage: Stage) -> int:
        """CUDA context and communicators, before loading."""
        if self.layout.tensor * self.layout.pipeline == 1:
            return round(0.51 * GIB)
        return round(1.5 * GIB)

    def graphs(self, stage: Stage) -> int:
        """One whole graph for each decode size, and its kernels' nodes."""
        if self.eager:
            return 0
        w = self.widths(stage)
        kept = self.largest * 2 * (w.feed_forward + 4 * w.hidden)
        return round(0.1 * GIB) + len(decode_sizes(self.largest)) * kernels(stage) * NODE_BYTES + kept

    def free_before(self, stage: Stage) -> int:
        """Free memory before loading [bytes]."""
        return self.device.total - self.context(stage)

    def room(self, stage: Stage, batch: int, length: int) -> int:
        """What the static share leaves after loading (`_profile_available_bytes`)."""
        before = self.free_before(stage)
        return floor(before * self.fraction) - self.weights(stage) - LOADING_BYTES

    def budget(self, stage: Stage) -> int:
        """The static share, and what is outside it: context, activations and graphs."""
        outside = self.context(stage) + self.activations(stage) + self.graphs(stage)
        return min(self.device.total, floor(self.free_before(stage) * self.fraction) + outside)

    # --- pools -----------------------------------------------------------------------------------

    def cell(self, stage: Stage) -> float:
        """Bytes of one token slot over all layers; window layers count their share of the ratio pool."""
        full = windows = 0.0
        for c in self.caches(stage):
            size = c.layers * (c.width * self.kv_element + c.indexer)
            full, windows = (full, windows + size) if c.window or c.chunk else (full + size, windows)
        return full + (SWA_RATIO if full else 1.0) * windows

    def state(self, stage: Stage) -> int:
        """Bytes of one sequence's recurrent states."""
        return sum(c.layers * c.state for c in self.caches(stage))

    def slots(self, stage: Stage) -> int:
        """Sequences whose states fit in the states' share; one padding slot more is made."""
        one = self.state(stage)
        if not one:
            return 0
        share = self.room(stage, 1, 1) * (STATE_SHARE if self.cell(stage) else 1.0)
        return max(0, floor((share - one) / one))

    @cached_property
    def tokens(self) -> int:
        """Token slots of the pool: the least of all stages, whole pages."""
        found = [self._tokens_of(stage) for stage in self.stages if self.cell(stage)]
        return max(0, min(found, default=0)) // self.page * self.page

    def _tokens_of(self, stage: Stage) -> int:
        room = float(self.room(stage, 1, 1))
        if self.state(stage):
            room -= (self.slots(stage) + 1) * self.state(stage)
        return floor(room / self.cell(stage))

    def minimum(self) -> "SglangDeployment":
        """As many sequences as asked for, no graphs."""
        return SglangDeployment(replace(self.request, max_num_seqs=self.batch, enforce_eager=True))

    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """Slots of whole pages, window layers at the ratio of the full ones, states."""
        slots = -(-length // self.page) * self.page
        again = up(self.prefix // self.page * self.page * self.cell(stage))
        return batch * (up(slots * self.cell(stage)) + self.state(stage)) - (batch - 1) * again

    def slack(self, batch: int, length: int) -> float:
        """Slots left over, in the fuller of both pools."""
        pools: list[float] = [self.slots(s) - batch for s in self.stages if self.state(s)]
        if any(self.cell(s) for s in self.stages):
            again = self.prefix // self.page
            pools.append(self.tokens - (batch * (-(-length // self.page) - again) + again) * self.page)
        else:
            pools.append(super().slack(batch, length))
        return reduce(least, pools)

    # --- the contract ---------------------------------------------------------------------------

    def parameters(self) -> Mapping[str, Any]:
        """The server's arguments, by the contract's names."""
        return {
            "backend_version": self.release,
            "max_num_batched_tokens": self.chunk,
            "gpu_memory_utilization": round(self.fraction, 3),
            "block_size": self.page,
            "enforce_eager": self.eager,
            "kv_cache_dtype": self.kv_dtype,
            "precision": self.stored.compute,
        }

    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """Weights, pools of the asked batch, one chunk, context and graphs."""
        values = {
            "cell_bytes": round(self.cell(stage)),
            "state_bytes": self.state(stage),
            "sequences": self.batch,
            "length": self.length,
        }
        return (
            *self.weight_terms(stage),
            self.term(
                "kv_cache",
                self.cache_bytes(stage, self.batch, self.length),
                "formula_cells",
                values,
                "SGLang pool_configurator",
            ),
            self.term(
                "activation_memory",
                self.activations(stage),
                "formula_chunk",
                {"tokens": self.chunk},
                "the forward description",
                (0.5, 2.0),
            ),
            self.term(
                "framework_overhead",
                self.context(stage) + LOADING_BYTES,
                "formula_context",
                {"gpus": self.layout.tensor},
                "start-up logs",
                (0.7, 1.5),
            ),
            self.term(
                "framework_overhead",
                self.graphs(stage),
                "formula_graphs",
                {"layers": stage.layers},
                "start-up logs",
                (0.4, 1.8),
            ),
        )

    def capacity(self) -> dict[str, Any]:
        """`max_total_num_tokens` of the log, and sequences of the asked length that it holds."""
        if not self.tokens:
            return super().capacity()
        return {"kv_cache_tokens": self.tokens, "max_concurrency": round(self.tokens / self.length, 2)}

    def figures(self) -> dict[str, float]:
        """The lines of the start-up log."""
        stage = self.stages[0]
        return {
            "weights_gib": (self.weights(stage) + LOADING_BYTES) / GIB,
            "kv_gib": self.tokens * self.cell(stage) / GIB,
            "kv_tokens": self.tokens,
            "cuda_graph_gib": self.graphs(stage) / GIB,
        }
