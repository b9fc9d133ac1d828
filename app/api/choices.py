"""The enumerations of the contract: canonical names, what people also write, and how they match."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from ..registry import gpus
from ..registry.names import normalised

_key = lru_cache(maxsize=4096)(normalised)


class Choices:
    """Canonical names in their order, found by any spelling or alias."""

    def __init__(self, names: Iterable[str], aliases: Mapping[str, str] | None = None) -> None:
        self.names = tuple(names)
        self.aliases = dict(aliases or {})
        self._by_key = {_key(alias): name for alias, name in self.aliases.items()}
        self._by_key |= {_key(name): name for name in self.names}

    def canonical(self, text: str) -> str | None:
        """The canonical name, or None where there is none."""
        return self._by_key.get(_key(text))

    def aliases_of(self, name: str) -> tuple[str, ...]:
        """What else the name goes by."""
        return tuple(alias for alias, canonical in self.aliases.items() if canonical == name)


_DTYPE_ALIASES: Final = {
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "half": "float16",
    "float": "float32",
    "float8": "fp8",
    "fp8_e4m3": "fp8",
}

PRECISIONS: Final = Choices(("float32", "float16", "bfloat16", "fp8", "int8", "int4"), _DTYPE_ALIASES)
QUANTIZATIONS: Final = Choices(
    (
        "none",
        *("gptq", "awq", "int4", "int8", "w8a8", "bnb-int8", "nf4", "nf4-double"),
        *("fp8", "fp8-block", "mxfp4", "nvfp4", "hqq", "aqlm"),
        *("q4_0", "q4_1", "q5_0", "q5_1", "q8_0"),
        *("q2_k", "q2_k_s", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"),
        *("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs", "iq3_s", "iq3_m"),
        *("iq4_nl", "iq4_xs", "f16", "bf16", "f32"),
    )
)
KV_CACHE_DTYPES: Final = Choices(
    ("auto", "float32", "float16", "bfloat16", "fp8", "fp8_e5m2", "int8", "int4", "q8_0", "q4_0"),
    {**_DTYPE_ALIASES, "f16": "float16"},
)
BACKENDS: Final = Choices(
    (
        *("vllm", "sglang", "tensorrt-llm", "tgi", "transformers"),
        *("llama.cpp", "ollama", "pytorch", "fastchat"),
    ),
    {"trt-llm": "tensorrt-llm", "text-generation-inference": "tgi", "hf": "transformers", "torch": "pytorch"},
)
ATTENTIONS: Final = Choices(
    ("flash_attention_2", "flash_attention_3", "flashinfer", "sdpa", "eager"),
    {"flash_attention": "flash_attention_2", "fa2": "flash_attention_2", "fa3": "flash_attention_3"},
)
INFERENCE_QUESTIONS: Final = Choices(("max_batch_size", "max_sequence_length", "max_concurrency", "min_gpus"))
TRAINING_QUESTIONS: Final = Choices(("max_batch_size", "max_sequence_length", "min_gpus", "changes"))

METHODS: Final = Choices(("full", "lora", "qlora", "dora", "freeze"))
MIXED_PRECISIONS: Final = Choices(("none", "bf16", "fp16", "fp8"), {"bfloat16": "bf16", "float16": "fp16"})
OPTIMIZERS: Final = Choices(
    (
        *("AdamW", "Adam", "Quantized AdamW", "SGD", "Adafactor", "Lion", "Muon"),
        *("8-bit Lion", "Paged AdamW", "GaLore", "Schedule-Free AdamW", "Adam-mini"),
    ),
    {
        "adamw_8bit": "Quantized AdamW",
        "8-bit AdamW": "Quantized AdamW",
        "adamw_bnb_8bit": "Quantized AdamW",
        "adamw_torch": "AdamW",
    },
)
OPTIMIZER_DTYPES: Final = Choices(("float32", "auto", "bfloat16", "float16"), _DTYPE_ALIASES)
GRADIENT_DTYPES: Final = Choices(("float32", "bfloat16", "float16"), _DTYPE_ALIASES)
CHECKPOINTINGS: Final = Choices(("none", "full", "selective"))
TRAINING_ATTENTIONS: Final = Choices(
    ("sdpa", "eager", "flash_attention_2"), {"flash_attention": "flash_attention_2"}
)
FRAMEWORKS: Final = Choices(
    (
        *("transformers", "megatron", "unsloth", "deepspeed"),
        *("torchtitan", "torchtune", "litgpt", "llama_factory"),
    )
)
FSDP: Final = Choices(("none", "fsdp2", "fsdp1", "hsdp"), {"full_shard": "fsdp2"})
OFFLOADS: Final = Choices(("none", "cpu", "nvme"))
LORA_BIASES: Final = Choices(("none", "all", "lora_only"))

UNITS: Final = Choices(("GB", "GiB"))
CALCULATIONS: Final = Choices(("inference", "training"))
DEVICE_TYPES: Final = Choices(gpus.DEVICE_TYPES)
