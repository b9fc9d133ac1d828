"""The enumerated fields of a training request: the one place that lists them."""

from typing import Final

from ..optimizer import OPTIMIZERS as _OPTIMIZERS

METHODS: Final = ("full", "lora", "qlora", "dora", "freeze")
MIXED_PRECISIONS: Final = ("none", "bf16", "fp16", "fp8")
OPTIMIZERS: Final = tuple(_OPTIMIZERS)
OPTIMIZER_DTYPES: Final = ("float32", "auto", "bfloat16", "float16")
GRADIENT_DTYPES: Final = ("float32", "bfloat16", "float16")
CHECKPOINTINGS: Final = ("none", "full", "selective", "every_n")
OBJECTIVES: Final = ("causal_lm", "dpo", "orpo")
SCHEDULES: Final = ("1f1b", "gpipe", "interleaved", "zero_bubble")
ATTENTIONS: Final = ("sdpa", "eager", "flash_attention_2", "flash_attention_3")
FRAMEWORKS: Final = (
    "transformers", "megatron", "unsloth", "deepspeed", "torchtitan", "torchtune", "litgpt", "llama_factory",
)  # fmt: skip
# Frameworks that run transformers' modules as they are, so that Liger's can take their place.
PATCHED: Final = ("transformers", "deepspeed", "llama_factory")
FSDP: Final = ("none", "fsdp2", "fsdp1", "hsdp")
OFFLOADS: Final = ("none", "cpu", "nvme")
LORA_BIASES: Final = ("none", "all", "lora_only")
QUESTIONS: Final = ("max_batch_size", "max_sequence_length", "min_gpus", "changes")
