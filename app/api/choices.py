"""The enumerations of the contract: canonical names, what people also write, and how they match."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from .. import sweeps
from ..memory.runtimes import choices as runtimes
from ..memory.training import choices as training
from ..performance import requests as performance
from ..precision import schemes
from ..precision.dtypes import DTYPES
from ..registry import gpus
from ..registry.names import normalised

_key = lru_cache(maxsize=4096)(normalised)


class Choices:
    """Canonical names in their order, found by any spelling or alias."""

    def __init__(
        self,
        names: Iterable[str],
        aliases: Mapping[str, str] | None = None,
        find: Callable[[str], str | None] | None = None,
    ) -> None:
        self.names = tuple(names)
        self.aliases = dict(aliases or {})
        self._find = find
        self._by_key = {_key(alias): name for alias, name in self.aliases.items()}
        self._by_key |= {_key(name): name for name in self.names}

    def canonical(self, text: str) -> str | None:
        """The canonical name, or None where there is none; `find` is asked last."""
        return self._by_key.get(_key(text)) or (self._find(text) if self._find else None)

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
QUANTIZATIONS: Final = Choices(schemes.NAMES, find=schemes.canonical)
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

METHODS: Final = Choices(training.METHODS, {"lora+": "lora", "loraplus": "lora"})
MIXED_PRECISIONS: Final = Choices(training.MIXED_PRECISIONS, {"bfloat16": "bf16", "float16": "fp16"})
OPTIMIZERS: Final = Choices(
    training.OPTIMIZERS,
    {
        "adamw_8bit": "Quantized AdamW",
        "8-bit AdamW": "Quantized AdamW",
        "adamw_bnb_8bit": "Quantized AdamW",
        "paged_adamw_32bit": "Paged AdamW",
        "paged_adamw_8bit": "Paged 8-bit AdamW",
        "adamw_torch": "AdamW",
        "galore_adamw": "GaLore",
        "galore_adamw_8bit": "8-bit GaLore",
        "lion_8bit": "8-bit Lion",
        "lion_32bit": "Lion",
    },
)
OPTIMIZER_DTYPES: Final = _dtypes(*training.OPTIMIZER_DTYPES)
GRADIENT_DTYPES: Final = _dtypes(*training.GRADIENT_DTYPES)
CHECKPOINTINGS: Final = Choices(training.CHECKPOINTINGS)
TRAINING_ATTENTIONS: Final = Choices(
    training.ATTENTIONS,
    {"flash_attention": "flash_attention_2", "fa2": "flash_attention_2", "fa3": "flash_attention_3"},
)
FRAMEWORKS: Final = Choices(training.FRAMEWORKS)
FSDP: Final = Choices(training.FSDP, {"full_shard": "fsdp2"})
OFFLOADS: Final = Choices(training.OFFLOADS)
OBJECTIVES: Final = Choices(training.OBJECTIVES, {"sft": "causal_lm"})
SCHEDULES: Final = Choices(training.SCHEDULES, {"zb": "zero_bubble"})
LORA_BIASES: Final = Choices(training.LORA_BIASES)
TRAINING_QUESTIONS: Final = Choices(training.QUESTIONS)

SPEED_MODES: Final = Choices(performance.MODES)
TPOT_DEFINITIONS: Final = Choices(performance.TPOT_DEFINITIONS)

UNITS: Final = Choices(("GB", "GiB"))
STATISTICS: Final = Choices(performance.STATISTICS)
CALCULATIONS: Final = Choices(("inference", "training"))
DEVICE_TYPES: Final = Choices(gpus.DEVICE_TYPES)
SWEEPS: Final = Choices(sweeps.CALCULATIONS)
SWEEP_FORMATS: Final = Choices(sweeps.FORMATS)
