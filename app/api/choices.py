"""The enumerations of the contract: canonical names, what people also write, and how they match."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from ..memory.runtimes import choices as runtimes
from ..precision import schemes
from ..precision.dtypes import DTYPES
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


def _dtypes(*names: str, **aliases: str) -> Choices:
    """Data types by name, with every alias that `precision.dtypes` knows."""
    own = {alias: name for name in names if name in DTYPES for alias in DTYPES[name].aliases}
    return Choices(names, own | aliases)


def _union(lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names))


PRECISIONS: Final = _dtypes("float32", "tf32", "float16", "bfloat16", "fp8", "int8", "int4")
QUANTIZATIONS: Final = Choices(schemes.NAMES)
KV_CACHE_DTYPES: Final = _dtypes(*_union(runtimes.KV_CACHE_DTYPES.values()))
BACKENDS: Final = Choices(
    runtimes.BACKENDS,
    {"trt-llm": "tensorrt-llm", "text-generation-inference": "tgi", "hf": "transformers", "torch": "pytorch"},
)
ATTENTIONS: Final = Choices(
    runtimes.ATTENTIONS,
    {"flash_attention": "flash_attention_2", "fa2": "flash_attention_2", "fa3": "flash_attention_3"},
)
INFERENCE_QUESTIONS: Final = Choices(runtimes.QUESTIONS)
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
OPTIMIZER_DTYPES: Final = _dtypes("float32", "auto", "bfloat16", "float16")
GRADIENT_DTYPES: Final = _dtypes("float32", "bfloat16", "float16")
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
