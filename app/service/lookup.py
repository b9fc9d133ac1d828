"""What a request names, looked up: models and accelerators, with what to warn of."""

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final

import orjson
from msgspec import Struct

from ..architecture import Architecture, read_config
from ..memory.requests import Model
from ..messages import Message
from ..registry.catalogue import Catalogue
from ..registry.gpus import GpuRegistry, Match, gpus
from ..registry.models import ModelMatch, models
from ..settings import Settings
from ..store import Store
from .forgetting import Ledger
from .sized import DIMENSIONS, Kin, kin_of, size_disagrees, sized_config

Values = Mapping[str, Any]

_READ_KEPT: Final = 256  # configurations of requests that stay read
_LARGEST_KEPT: Final = 64 * 1024  # [bytes] of one of them
_LEDGER: Final = Ledger()
# Lineages whose models lend dimensions: dense decoders of plain grouped attention.
_LENDERS: Final = ("llama", "mistral", "qwen2", "qwen3")


class Found(Struct, frozen=True):
    """A model of a request, and what to warn of."""

    model: Model
    warnings: tuple[Message, ...] = ()


class Lookup:
    """The models and accelerators that requests may name."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        store = store or Store.from_settings(settings)
        self.gpus: GpuRegistry = gpus()
        self.models = Catalogue(models(), store.models)
        self._builtin = lru_cache(maxsize=4096)(self.models.builtin.lookup)
        self._gpu = lru_cache(maxsize=1024)(self.gpus.find)
        self.is_builtin = lru_cache(maxsize=1024)(self.models.builtin.__contains__)

    def caches(self) -> dict[str, Callable[[], tuple[int, int]]]:
        """The caches that requests use: for each, how to ask for its hits and misses in this process."""
        return {
            "architectures": lambda: _read.cache_info()[:2],
            "models": lambda: self._builtin.cache_info()[:2],
            "accelerators": lambda: self._gpu.cache_info()[:2],
        }

    def model(self, values: Values) -> Found:
        """The model that a request names in one of the three ways.

        Raises `UnknownName`, or what reading a configuration raises.
        """
        if (size := values.get("model_size")) is not None:
            return self._sized(size, values)
        stored = {"precision": values.get("precision"), "quantization": values.get("quantization")}
        if (config := values.get("config")) is not None:
            architecture = read_cached(config)
            return Found(Model(architecture, name_of(config), **stored), architecture.warnings)
        match = self.named(values["model_name"])
        architecture = match.entry.architecture
        return Found(
            Model(architecture, match.entry.name, **stored), (*match.warnings, *architecture.warnings)
        )

    def named(self, name: str) -> ModelMatch:
        """A built-in or user's model by name, hub id or alias; raises `UnknownName` with the closest."""
        return self._builtin(name) or self.models.find(name)

    def gpu(self, gpu: str | Mapping[str, Any]) -> Match:
        """The accelerator of a request's `gpu`, with warnings."""
        return self._gpu(gpu) if isinstance(gpu, str) else self.gpus.resolve(gpu)

    def _sized(self, size: float, values: Values) -> Found:
        given = {name: values[name] for name in DIMENSIONS if name in values}
        sized = sized_config(size, given, self._kin)
        architecture = read_cached(sized.config)
        model = Model(architecture, f"{size:g}B", values.get("precision"), values.get("quantization"), size)
        return Found(model, (*sized.warnings, *size_disagrees(size, architecture.parameters.total)))

    @cached_property
    def _kin(self) -> tuple[Kin, ...]:
        dense = (
            entry for entry in self.models.builtin if entry.model_type in _LENDERS and entry.parameters_total
        )
        found = (kin_of(entry.name, entry.parameters_total or 0, entry.config) for entry in dense)
        return tuple(kin for kin in found if kin)


def read_cached(config: Mapping[str, Any]) -> Architecture:
    """A configuration read, once for equal ones; raises what reading it raises."""
    _LEDGER.settle()
    try:
        key = orjson.dumps(config)
    except orjson.JSONEncodeError:
        return _entered(config)
    return _read(key) if len(key) <= _LARGEST_KEPT else _entered(config)


@lru_cache(maxsize=_READ_KEPT)
def _read(key: bytes) -> Architecture:
    return _entered(orjson.loads(key))


def _entered(config: Mapping[str, Any]) -> Architecture:
    architecture = read_config(config)
    _LEDGER.enter(architecture)
    return architecture


def name_of(config: Mapping[str, Any]) -> str:
    """What to call a configuration: as it calls itself, else its type."""
    name = config.get("_name_or_path") or config.get("model_type")
    return name if isinstance(name, str) else "config"
