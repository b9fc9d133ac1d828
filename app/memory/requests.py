"""The questions that the memory module answers, with every default of the contract.

A request holds resolved objects, not names: the architecture and the accelerator were looked up by the
caller. Field names, units and defaults are those of the HTTP contract; `None` means that the backend's
or recipe's own rule chooses.
"""

from collections.abc import Mapping

from msgspec import Struct, field

from ..architecture import Architecture
from ..hardware import Accelerator


class Model(Struct, frozen=True):
    """Which model is asked about: a description and how its numbers are stored."""

    architecture: Architecture
    name: str
    precision: str | None = None  # canonical data type; None: the configuration's own
    quantization: str | None = None  # canonical format; None: the checkpoint's own
    size_billions: float | None = None  # `model_size`: weights are exactly this, whatever the dimensions say


class Speculative(Struct, frozen=True):
    """A draft that proposes `num_tokens` tokens a step; `draft` is a model or a method's own head."""

    num_tokens: int
    draft: Model | None = None
    method: str = "draft_model"


class Images(Struct, frozen=True):
    """Pictures in every sequence, and the size of each [pixels]."""

    count: int = 1
    width: int = 1024
    height: int = 1024


class InferenceRequest(Struct, frozen=True):
    """`POST /api/memory/inference`: lengths in tokens, batch in sequences over the whole deployment."""

    model: Model
    batch_size: int = 1
    sequence_length: int = 2048
    shared_prefix_length: int = 0  # tokens that all sequences begin with
    kv_cache_dtype: str = "auto"
    backend: str = "vllm"
    backend_version: str | None = None
    attention: str | None = None
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    context_parallel: int = 1
    gpu: Accelerator | None = None
    gpus_per_node: int = 8
    gpu_memory_utilization: float | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    block_size: int | None = None
    enforce_eager: bool | None = None
    max_loras: int = 0
    max_lora_rank: int = 16
    speculative: Speculative | None = None
    images: Images | None = None
    solve_for: str | None = None


class Lora(Struct, frozen=True):
    """Low-rank adapters as PEFT makes them."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"
    modules_to_save: tuple[str, ...] = ()
    bias: str = "none"
    loraplus_lr_ratio: float | None = None  # LoRA+: the rate of one matrix over the other's; no memory


class Offload(Struct, frozen=True):
    """Where optimizer states, parameters and activations live: none (the GPU), cpu or nvme."""

    optimizer: str = "none"
    parameters: str = "none"
    activations: str = "none"


class ZeroOptimization(Struct, frozen=True):
    """Sizes of DeepSpeed's `zero_optimization` [elements] and its defaults; `param_*`, `optimizer_*` and
    `max_in_cpu` are those of `offload_param` and `offload_optimizer` on NVMe."""

    reduce_bucket_size: int = 500_000_000
    stage3_prefetch_bucket_size: int = 50_000_000
    stage3_max_live_parameters: int = 1_000_000_000
    stage3_max_reuse_distance: int = 1_000_000_000
    stage3_param_persistence_threshold: int = 100_000
    sub_group_size: int = 1_000_000_000
    max_in_cpu: int = 1_000_000_000
    param_buffer_count: int = 5
    param_buffer_size: int | None = None  # 10^8, more where the largest tensor needs it
    optimizer_buffer_count: int = 4


class TrainingRequest(Struct, frozen=True):
    """`POST /api/memory/training`: batch is the micro-batch of one data-parallel rank [sequences]."""

    model: Model
    method: str = "full"
    lora: Lora | None = None
    trainable_parameters: float = 100.0  # [percent]
    mixed_precision: str = "none"
    optimizer: str = "AdamW"
    momentum: float = 0.9
    optimizer_dtype: str = "float32"
    gradient_dtype: str | None = None
    master_weights: bool | None = None
    optimizer_foreach: bool | None = None
    optimizer_fused: bool | None = None
    gradient_accumulation_steps: int = 1
    batch_size: int = 1
    sequence_length: int = 2048
    gradient_checkpointing: str = "none"
    checkpoint_every_n_layers: int = 2  # with `every_n`
    objective: str = "causal_lm"
    pipeline_schedule: str = "1f1b"
    pipeline_chunks: int = 2  # stages of layers on each rank, with `interleaved`
    galore_rank: int = 128
    attention: str = "sdpa"
    fused_cross_entropy: bool = False
    use_liger_kernel: bool = False
    compile: bool = False
    framework: str = "transformers"
    zero_stage: int = 0
    zero_optimization: ZeroOptimization = field(default_factory=ZeroOptimization)
    fsdp: str = "none"
    offload: Offload = field(default_factory=Offload)
    data_parallel: int = 1
    tensor_parallel: int = 1
    sequence_parallel: bool = False
    pipeline_parallel: int = 1
    context_parallel: int = 1
    expert_parallel: int = 1
    expert_imbalance: float = 1.0  # tokens of the fullest expert rank over the mean
    gpu: Accelerator | None = None
    gpus_per_node: int = 8
    solve_for: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)  # options of a method beyond the contract

    @property
    def stage(self) -> int:
        """The ZeRO stage; 3 where nothing is said and weights leave the GPU or states go to NVMe, which only
        ZeRO-3 does (or FSDP, weights to host memory)."""
        leaves = self.offload.parameters != "none" or self.offload.optimizer == "nvme"
        return 3 if leaves and not self.zero_stage and self.fsdp == "none" else self.zero_stage

    @property
    def sequences(self) -> int:
        """Sequences that one micro-batch runs through the model: a preference is a pair."""
        return self.batch_size * (1 if self.objective == "causal_lm" else 2)
