"""The fields of requests, for type checkers and editors; what they may hold the schemas say and check.

The fields are those of the schemas (a test compares them); a description of each is in the documentation
of the interface and in the help of the command line.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

Gpu = str | Mapping[str, Any]


class ModelFields(TypedDict, total=False):
    """Which model, and how its numbers are stored."""

    model_name: str
    config: Mapping[str, Any]
    model_size: float  # [10^9 parameters]
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    precision: str | None
    quantization: str | None
    unit: str
    explain: bool


class InferenceFields(ModelFields, total=False):
    """A request of `memory_inference`."""

    batch_size: int  # [sequences]
    sequence_length: int  # [tokens]
    shared_prefix_length: int
    input_length: int
    output_length: int
    kv_cache_dtype: str
    backend: str
    backend_version: str | None
    attention: str | None
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    expert_parallel: int
    context_parallel: int
    gpu: Gpu | None
    gpus_per_node: int
    gpu_memory_utilization: float | None
    max_num_seqs: int | None
    max_num_batched_tokens: int | None
    block_size: int | None
    enforce_eager: bool | None
    max_loras: int
    max_lora_rank: int
    speculative: Mapping[str, Any] | None
    images: Mapping[str, int] | None
    solve_for: str | None


class TrainingFields(ModelFields, total=False):
    """A request of `memory_training`."""

    method: str
    lora: Mapping[str, Any] | None
    trainable_parameters: float  # [percent]
    mixed_precision: str
    optimizer: str
    momentum: float
    optimizer_dtype: str
    galore_rank: int
    gradient_dtype: str | None
    master_weights: bool | None
    optimizer_foreach: bool | None
    optimizer_fused: bool | None
    gradient_accumulation_steps: int
    batch_size: int  # [sequences of one data-parallel rank]
    sequence_length: int  # [tokens]
    gradient_checkpointing: str | bool
    checkpoint_every_n_layers: int
    objective: str
    attention: str
    fused_cross_entropy: bool
    use_liger_kernel: bool
    compile: bool
    framework: str
    zero_stage: int
    zero_optimization: Mapping[str, Any]
    fsdp: str | bool
    offload: Mapping[str, Any]
    num_gpus: int
    data_parallel: int
    tensor_parallel: int
    sequence_parallel: bool
    pipeline_parallel: int
    pipeline_schedule: str
    pipeline_chunks: int
    context_parallel: int
    expert_parallel: int
    expert_imbalance: float
    gpu: Gpu | None
    gpus_per_node: int
    solve_for: str | None


class PerformanceFields(InferenceFields, total=False):
    """A request of `performance_inference`."""

    request_rate: float | None  # [requests/s]
    concurrency: int | None  # [requests in flight]
    mode: str
    seed: int
    num_requests: int
    length_cv: float
    prefix_hit_rate: float
    expert_skew: float
    price_per_hour: float | None  # [USD of one GPU]
    inter_node_gb_s: float  # [10^9 bytes/s]
    tpot_definition: str
    disaggregated: bool
    top_ops: int
    calibration: str | Mapping[str, Any] | None


class TrainingSpeedFields(TrainingFields, total=False):
    """A request of `performance_training`."""

    tokens: int | None
    virtual_pipeline: int | None
    inter_node_gb_s: float | None  # [10^9 bytes/s]
    calibration: str | Mapping[str, Any] | None


Configurations = Sequence[Mapping[str, Any]]
