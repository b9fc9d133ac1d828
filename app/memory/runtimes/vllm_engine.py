"""vLLM's V1 engine, 0.11 to 0.33: how it is set up, and what it loads, profiles and captures on each rank.

Sources: vLLM `v1/worker/gpu_worker.py` (`determine_available_memory`), `engine/arg_utils.py` (defaults);
figures without a source in code are measured on H100 start-up logs.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar

from ...errors import invalid
from ...lanes import least, most
from ...messages import Message
from ...parallelism import VOCABULARY_MULTIPLE, Layout, Stage
from ..kv_cache import LayerCache
from ..requests import InferenceRequest
from ..weights import element_bytes, expert_adapter_elements, rank_weights
from .base import Deployment, covered_version
from .multimodal import multimodal_bytes
from .placement import has_experts
from .rope import table_bytes
from .vllm_graphs import Captures, captured, captures, estimated, kernels
from .vllm_kv import Groups, grouped
from .vllm_profile import Profile, Run, profile
from .vllm_settings import DEFAULT_BLOCK, MEASURED, Settings, context_bytes, default_batch, non_torch_bytes
from .vllm_weights import repacked, repacked_early

JOINED_EXPERTS: Final = ("gpt_oss", "qwen3_vl_moe", "qwen3_5_moe")  # `is_3d_moe_weight`
DYNAMIC_8_BIT: Final = ("w8a8", "fp8", "int8")  # activations are quantized token by token

Found = TypeVar("Found")


def once(read: Callable[["VllmEngine", Stage], Found]) -> Callable[["VllmEngine", Stage], Found]:
    """A reading of a stage that several answers need, made once under the settings that are taken."""
    name = read.__name__

    @wraps(read)
    def known(self: "VllmEngine", stage: Stage) -> Found:
        found: Found | None = self.known.get((name, stage))
        if found is None:
            found = self.known[name, stage] = read(self, stage)
        return found

    return known


class VllmEngine(Deployment):
    """One engine: its arguments, and the readings of one rank under them."""

    backend = "vllm"
    neutral = ("attention",)
    shares_prefix = True
    pictures_said = "image_profiled"
    loading = "vLLM model_loader, torch allocator"
    loading_spread = (0.9995, 1.0005)  # what 90 of 100 logs print, beside rounding

    def __init__(self, request: InferenceRequest) -> None:
        self.minor = int(self.version_of(request).partition(".")[2])
        super().__init__(request)
        self.block_size = request.block_size or self._default_block()
        self.groups = self.groups_of(  # of all layers of the model: every worker has the same
            tuple(c for s in self.stages for c in self.caches(s) for _ in range(s.count))
        )
        self.settle()
        if self.minor not in MEASURED:
            self.warnings.append(
                Message("version_unmeasured", {"backend": "vLLM", "version": f"0.{self.minor}"})
            )
        if request.max_loras and request.expert_parallel > 1 and has_experts(self.stored):
            self.warnings.append(Message("lora_no_expert_parallel"))
        if self.batch > self.settings.sequences:
            slots = {"batch": self.batch, "slots": self.settings.sequences}
            self.warnings.append(Message("batch_beyond_slots", slots))

    @staticmethod
    def version_of(request: InferenceRequest) -> str:
        """The version whose rules apply; raises `InvalidRequest`."""
        return covered_version("vllm", request.backend_version)

    def lay_out(self) -> Layout:
        """Experts are divided over data-parallel ranks too; the contexts of decoding share tensor ranks."""
        r = self.request
        if r.tensor_parallel % r.context_parallel:
            raise invalid(
                "context_parallel", "context_not_dividing", value=r.context_parallel, tensor=r.tensor_parallel
            )
        over_data = r.data_parallel > 1 and has_experts(self.stored)
        return Layout(
            r.tensor_parallel,
            r.pipeline_parallel,
            r.data_parallel,
            r.expert_parallel,
            r.context_parallel,
            over_data,
        )

    def settle(self) -> None:
        """The engine's arguments, which a short length makes smaller."""
        self._take(self._settings(self.request.max_num_seqs, bool(self.request.enforce_eager)))

    def _settings(self, slots: int | None, eager: bool) -> Settings:
        r = self.request
        tokens, sequences = default_batch(self.device, self.minor)
        tokens = r.max_num_batched_tokens or tokens
        sequences = slots or min(sequences, tokens)
        if r.max_num_batched_tokens is None:
            tokens = least(tokens, sequences * self.length)
        if self.encodes:
            tokens = most(tokens, self.length)  # no chunks of a prompt without a cache
        utilization = r.gpu_memory_utilization or (0.92 if self.minor >= 20 else 0.9)
        return Settings(
            self.minor,
            tokens,
            sequences,
            utilization,
            eager,
            self._second_runner(),
        )

    def _take(self, settings: Settings) -> None:
        """Take the settings; what was read under others is forgotten."""
        self.settings = settings
        self.known: dict[tuple[str, Stage], Any] = {}

    def _default_block(self) -> int:
        """16 tokens; latent attention on Blackwell has kernels for 64 or 128 only."""
        latent = any(cache.latent for stage in self.stages for cache in self.caches(stage))
        if latent and self.device.capability >= (10, 0):
            return 64 if self.minor >= 12 else 128
        return DEFAULT_BLOCK

    def _second_runner(self) -> bool:
        """Whether the rewritten model runner serves this model by default (0.22 on)."""
        if self.minor < 22 or self.minor >= 29:
            return self.minor >= 29
        if has_experts(self.stored) or any(
            cache.state for stage in self.stages for cache in self.caches(stage)
        ):
            return False
        return self.minor >= 25 or self.stored.architecture.model_type == "qwen3"

    # --- readings of one rank ------------------------------------------------------------------

    def adapter_bytes(self, stage: Stage) -> int:
        """Slots for routed experts too, from 0.12 on."""
        size, r = super().adapter_bytes(stage), self.request
        if not r.max_loras or self.minor < 12 or not has_experts(self.stored):
            return size
        joined = self.stored.architecture.model_type in JOINED_EXPERTS
        one = expert_adapter_elements(stage, self.layout, r.max_lora_rank, joined)
        return size + round(r.max_loras * one * element_bytes(self.stored.compute))

    def model_bytes(self, stage: Stage) -> int:
        """Bytes that loading takes: tensors as the allocator gives them, and tables of positions."""
        if self.stored.textbook:
            return rank_weights(self.stored, self.layout, stage).exact
        repack = repacked_early if self.minor < 12 else repacked
        found = rank_weights(self.stored, self.layout, stage, VOCABULARY_MULTIPLE, repack)
        return found.allocated + table_bytes(self.stored.architecture, self.stored.compute)

    @once
    def profile(self, stage: Stage) -> Profile:
        """What the profile run finds on one rank."""
        s = self.settings
        run = Run(s.minor, s.tokens, s.sequences, s.second_runner)
        return profile(
            run,
            self.widths(stage),
            self.device,
            samples=stage.last and not self.encodes,
            own_kernels=self.stored.scheme.name == "mxfp4" and self.device.hopper_or_later,
            dynamic_8_bit=self.stored.scheme.name in DYNAMIC_8_BIT,
            multimodal=multimodal_bytes(self.stored.architecture, s.tokens, s.sequences, self.length),
        )

    @property
    def in_flight(self) -> int:
        """Tokens in flight beside a request's window (`VllmConfig.max_in_flight_tokens`, 0.26 on)."""
        if self.minor < 26:
            return self.settings.tokens
        stages = self.layout.pipeline
        batches = stages + 1 if self.settings.second_runner else max(2, stages)
        return self.settings.tokens * batches

    def groups_of(self, caches: tuple[LayerCache, ...]) -> Groups:
        """Groups of these layers."""
        ratio = 1.0 if self.minor < 12 else 1.25 if self.minor < 18 else 1.5
        copies = self._state_copies(caches) + self.drafted
        return grouped(caches, self.block_size, self.kv_element, copies, ratio, self._hybrid())

    def _state_copies(self, caches: tuple[LayerCache, ...]) -> int:
        """States of a sequence: two where prefixes of hybrids are cached by default (0.28 on), else one.

        `ModelConfig.is_prefix_caching_supported`, `MambaSpec.max_memory_usage_bytes` in mode `align`.
        """
        return 2 if self.minor >= 28 and any(not cache.state for cache in caches) else 1

    def _hybrid(self) -> bool:
        """Whether windows keep only themselves; chunked-local models and other platforms go without."""
        chunked = any(cache.chunk for stage in self.stages for cache in self.caches(stage))
        return self.device.is_cuda and not chunked

    def non_torch(self, stage: Stage) -> int:
        """Growth outside torch until profiling ends [bytes]."""
        return non_torch_bytes(self.minor, self.layout.tensor)

    @once
    def context(self, stage: Stage) -> int:
        """In use before loading: CUDA context and communicators; outside the budget [bytes]."""
        handles = self.device.cublas_workspace if self.minor >= 33 else 0  # made before the snapshot
        return context_bytes(self.layout.tensor, self.layout.pipeline, has_experts(self.stored)) + handles

    @once
    def graphs(self, stage: Stage) -> int:
        """Captured CUDA graphs [bytes]."""
        s = self.settings
        if s.eager:
            return 0
        return captured(s.minor, self._captures(), kernels(stage), self.widths(stage), self._attention())

    @once
    def graph_estimate(self, stage: Stage) -> int:
        """What the engine believes they take, off its budget from 0.20 on [bytes]."""
        if self.settings.eager or self.minor < 18:
            return 0
        return estimated(self._captures(), kernels(stage), self.widths(stage), self._attention())

    def _captures(self) -> Captures:
        s = self.settings
        return captures(s.minor, s.sequences * (1 + self.drafted), s.tokens, self._largest_capture())

    def _largest_capture(self) -> int:
        """512; 1024 on data-centre Blackwell from 0.28 and for gpt-oss (`models/config.py`)."""
        blackwell = self.device.capability[0] == 10 and self.minor >= 28
        return (
            1024
            if blackwell or (self.stored.architecture.model_type == "gpt_oss" and self.minor >= 12)
            else 512
        )

    def _attention(self) -> str:
        """What attention runs on: FlashAttention 3 on Hopper, Triton for Gemma 3's mixed masks."""
        if self.stored.architecture.model_type.startswith(("gemma3", "gemma4")):
            return "triton"
        return "flash_attention_3" if self.device.capability == (9, 0) else "other"

    def penalties(self, stage: Stage) -> int:
        """The second runner's penalty state: counts and packed masks, S x V (`PenaltiesState`) [bytes]."""
        if not self.settings.second_runner or not stage.last or self.encodes:
            return 0
        return self.settings.sequences * self.widths(stage).vocabulary * 33 // 8
