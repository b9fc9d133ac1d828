"""llama.cpp and Ollama: GGUF weights, cells padded to blocks, one compute buffer, layers left to the CPU.

Sources: llama.cpp `src/llama-context.cpp` (graph reserve at n_ubatch), `llama-kv-cache.cpp` (padding, types),
`llama-kv-cache-iswa.cpp` (window cells), `llama-memory-recurrent.cpp` (states in float32),
`llama-model.cpp` (the output keeps a copy of a tied embedding on the GPU; the input copy stays in RAM).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final

from ...architecture.operations import Role
from ...errors import invalid
from ...lanes import least, most, up
from ...messages import Message
from ...parallelism import Stage, local_shape
from ...precision.scheme import TOWERS, quantities
from ..estimate import Term
from ..kv_cache import BLOCK_BYTES, LayerCache, StateRule, rank_cache
from ..requests import InferenceRequest
from ..weights import rank_weights
from .base import MIB, Deployment, covered_version

CELLS: Final = 256  # n_ctx is padded to this many
BATCH: Final = 2048  # n_batch
MICRO_BATCH: Final = 512  # n_ubatch
FLOAT32: Final = 4
RESIDUALS: Final = 3  # float32 tensors as wide as the model that live beside attention's own


@lru_cache(maxsize=512)
def _language(stage: Stage) -> Stage:
    """The stage without its towers."""
    held = tuple(entry for entry in stage.sections if entry[0].component not in TOWERS)
    return (
        stage
        if len(held) == len(stage.sections)
        else Stage(stage.role, held, stage.count, stage.first, stage.last)
    )


class LlamaCppDeployment(Deployment):
    """One server with `batch` slots, each of the asked length."""

    backend = "llama.cpp"
    narrow_float32 = False
    neutral = ("gpu_memory_utilization", "max_num_seqs", "block_size", "enforce_eager", "expert_parallel")
    loading = "GGUF tensors"
    loading_spread = (0.995, 1.005)
    state_dtype = "float32"
    cuda_only = False
    context_bytes: ClassVar[int] = 350 * MIB  # CUDA context and cuBLAS of one process

    def __init__(self, request: InferenceRequest) -> None:
        super().__init__(request)
        if request.tensor_parallel > 1 and request.pipeline_parallel > 1:
            raise invalid("pipeline_parallel", "split_one_way", backend=self.backend)
        self.flash = request.attention != "eager"
        if not self.flash and self.kv_dtype in BLOCK_BYTES:
            raise invalid("kv_cache_dtype", "cache_needs_flash_attention", value=self.kv_dtype)
        self.micro_batch = min(MICRO_BATCH, request.max_num_batched_tokens or BATCH)

    def _kv_dtype(self) -> str:
        found = super()._kv_dtype()
        return "float16" if self.request.kv_cache_dtype == "auto" else found

    def parameters(self) -> Mapping[str, Any]:
        """The server's arguments, by the contract's names."""
        return {
            "backend_version": covered_version(self.backend, self.request.backend_version),
            "max_num_batched_tokens": self.request.max_num_batched_tokens or BATCH,
            "kv_cache_dtype": self.kv_dtype,
            "attention": self.request.attention or "flash_attention_2",
            "precision": self.stored.compute,
        }

    def read_caches(self, stage: Stage) -> tuple[LayerCache, ...]:
        """States in float32, convolutions with kernel - 1 inputs."""
        return rank_cache(self.layout, stage, StateRule("float32", "float32", True, self.drafted))

    def model_bytes(self, stage: Stage) -> int:
        """The file's tensors, less the embedding that stays in RAM; a tied one is the output's copy."""
        whole = self.file_bytes(stage)
        return whole if self._tied() or not stage.first else whole - self._embedding(stage)

    def file_bytes(self, stage: Stage) -> int:
        """The language model's tensors; towers are a file of their own (mmproj)."""
        return rank_weights(self.stored, self.layout, _language(stage)).exact

    def weights(self, stage: Stage) -> int:
        """With the towers' file, in 16 bits."""
        return super().weights(stage) + self.tower_bytes(stage)

    def tower_bytes(self, stage: Stage) -> int:
        """Vision and audio towers in float16 (mmproj)."""
        towers = (entry for entry in stage.sections if entry[0].component in TOWERS)
        return 2 * sum(section.copies * sum(p.size for _, p in section.quantities()) for section, _ in towers)

    def _tied(self) -> bool:
        sections = self.stored.sections
        return any(
            p.tied
            for s in sections
            if s.component == "head"
            for op in s.block.operations
            for p in op.parameters
        )

    def _vocabulary(self) -> int:
        return self.stored.architecture.vocab_size if self.layout.tensor > 1 else 0

    def _embedding(self, stage: Stage) -> int:
        return sum(
            tensor.bytes
            for section, _ in stage.sections
            if section.component == "embedding"
            for op, parameter in quantities(section)
            if parameter.role is Role.EMBEDDING
            for shape in (local_shape(parameter, self.layout, self._vocabulary()),)
            for tensor in self.stored.scheme.stored(section, op, parameter, shape)
        )

    def compute_buffer(self, stage: Stage, batch: int, length: int) -> int:
        """The larger of the logits of a micro-batch and one attention layer, all in float32.

        Without flash attention the scores of a micro-batch over all cells are written out.
        """
        w, rows = self.widths(stage), self.micro_batch
        cells = self._padded(batch * length)
        mask = rows * cells * (2 if self.flash else FLOAT32)
        scores = 0 if self.flash else rows * cells * w.heads * FLOAT32
        attention = scores + mask + rows * (w.attention + RESIDUALS * w.hidden) * FLOAT32
        feed_forward = mask + rows * (w.feed_forward + RESIDUALS * w.hidden) * FLOAT32
        logits = rows * (w.vocabulary + w.hidden) * FLOAT32 if stage.last else 0
        return most(most(attention, feed_forward), logits)

    @staticmethod
    def _padded(cells: int) -> int:
        return -(-cells // CELLS) * CELLS

    def cache_bytes(self, stage: Stage, batch: int, length: int) -> int:
        """Cells of all slots together; a window layer keeps its windows and one micro-batch."""
        cells = self._padded(batch * length)
        size = 0.0
        for c in self.caches(stage):
            kept = cells
            if c.window:
                kept = least(cells, self._padded(c.window * batch + self.micro_batch))
            size += c.layers * (kept * (c.width * self.kv_element + c.indexer) + batch * c.state)
        return up(size)

    def overhead(self) -> int:
        """What the process takes beside its buffers."""
        return self.context_bytes if self.device.is_accelerator else 0

    def terms(self, stage: Stage) -> tuple[Term, ...]:
        """Model buffer, cache, compute buffer, context."""
        batch, length = self.batch, self.length
        cells = {"cells": self._padded(batch * length), "dtype": self.kv_dtype}
        towers = self.tower_bytes(stage)
        return (
            *self.weight_terms(stage),
            *((self.term("model_weights", towers, "formula_towers", {}, "GGUF mmproj"),) if towers else ()),
            self.term(
                "kv_cache",
                self.cache_bytes(stage, batch, length),
                "formula_gguf_cells",
                cells,
                "llama.cpp llama-kv-cache.cpp",
            ),
            self.term(
                "activation_memory",
                self.compute_buffer(stage, batch, length),
                "formula_compute_buffer",
                {"rows": self.micro_batch, **cells},
                "llama.cpp llama-context.cpp",
                (0.8, 1.4),
            ),
            self.term(
                "framework_overhead",
                self.overhead(),
                "formula_context",
                {"gpus": self.layout.tensor},
                "process totals less buffers",
                (0.5, 2.0),
            ),
        )

    def room(self, stage: Stage, batch: int, length: int) -> int:
        """The whole card less the rest."""
        return (
            self.device.total
            - self.weights(stage)
            - self.compute_buffer(stage, batch, length)
            - self.overhead()
        )

    def capacity(self) -> dict[str, Any]:
        """Layers that the card holds (`--n-gpu-layers`) with this cache; the output counts as one more."""
        stage = self.stages[0]
        layers = stage.layers
        rest = self.device.total - self.compute_buffer(stage, self.batch, self.length) - self.overhead()
        one = (self.weights(stage) + self.cache_bytes(stage, self.batch, self.length)) / (layers + 1)
        held = max(0, min(layers + 1, int(rest // max(1, one))))
        if held <= layers:
            self.warnings.append(Message("partial_offload", {"layers": held, "of": layers + 1}))
        return {"kv_cache_tokens": None, "max_concurrency": None, "gpu_layers": held}

    def figures(self) -> dict[str, float]:
        """The buffers that the log prints."""
        stage = self.stages[0]
        states = sum(c.layers * c.state for c in self.caches(stage))
        sizes = {
            "weights_gib": self.weights(stage),
            "kv_full_gib": self.cache_bytes(stage, self.batch, self.length),
            "kv_gib": self.cache_bytes(stage, self.batch, self.length),
            "compute_buffer_gib": self.compute_buffer(stage, self.batch, self.length),
            "mamba_state_mib_per_seq": states * 1024,
            "gguf_gib": self.file_bytes(stage),
        }
        return {name: size / 2**30 for name, size in sizes.items()}


class OllamaDeployment(LlamaCppDeployment):
    """Ollama: the same buffers; its scheduler keeps 457 MiB of every card free.

    Source: Ollama `envconfig`, `llm/memory.go` (minimum memory of a CUDA device).
    """

    backend = "ollama"
    context_bytes = 457 * MIB
