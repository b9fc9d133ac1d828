"""A model described: what its configuration makes of it, before anything is asked of it."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from ..architecture import Architecture
from ..architecture.sections import Section
from ..architecture.tensors import own_parameters
from ..errors import DomainError
from ..hardware import Accelerator
from ..memory.weights import stored_model
from ..messages import Language, Message
from ..precision.scheme import Scheme, weight_bytes
from ..registry.models import ModelEntry
from .answer import warning

MOST_TENSORS: Final = 50_000
MOST_DETAILED: Final = 100  # models in one listing whose configurations are read for it


def summary(entry: ModelEntry, details: bool = False) -> dict[str, Any]:
    """One line of a listing; nothing is computed for it but the details, where they are asked for."""
    line = {
        "name": entry.name,
        "repo_id": entry.repo_id,
        "model_type": entry.model_type,
        "parameters": entry.parameters_total,
        "license": entry.meta.get("license"),
        "released": entry.meta.get("released"),
        "aliases": list(entry.aliases),
        "builtin": entry.builtin,
    }
    return line | _details(entry) if details else line


def _details(entry: ModelEntry) -> dict[str, Any]:
    """Active parameters, context [tokens] and cache [bytes per token]; None for what cannot be read."""
    try:
        architecture = entry.architecture
        active, context = architecture.parameters.active, architecture.context_length
        return {
            "active_parameters": active,
            "context_length": context,
            "cache_bytes_per_token": architecture.cache_bytes_per_token(),
        }
    except DomainError:
        return {"active_parameters": None, "context_length": None, "cache_bytes_per_token": None}


def inspect(entry: ModelEntry, found: tuple[Message, ...], language: Language) -> dict[str, Any]:
    """Everything that is known of a model; raises what reading its configuration raises."""
    architecture = entry.architecture
    count = architecture.parameters
    return {
        "name": entry.name,
        "repo_id": entry.repo_id,
        "model_type": architecture.model_type,
        "config": entry.config,
        "parameters": {
            "total": count.total,
            "active": count.active,
            "embedding": count.embedding,
            "by_component": dict(count.by_component),
            "published": entry.meta.get("parameters_published"),
            "published_difference": entry.meta.get("parameters_published_difference"),
        },
        "cache_bytes_per_token": architecture.cache_bytes_per_token(),
        "checkpoint_bytes": checkpoint_bytes(entry),
        "context_length": architecture.context_length,
        "license": entry.meta.get("license"),
        "source": entry.source,
        "layers": [_layer(section) for section in architecture.sections],
        "warnings": [warning(message, language) for message in (*found, *architecture.warnings)],
        **({"gguf": entry.meta["gguf"]} if "gguf" in entry.meta else {}),
    }


def _layer(section: Section) -> dict[str, Any]:
    """One distinct layer: where it stands, how often, what it holds."""
    size = sum(parameter.size for parameter in own_parameters(section) if not parameter.buffer)
    return {
        "component": section.component,
        "kind": section.kind,
        "name": section.template,
        "count": section.count,
        "parameters": size,
        "operations": [type(operation).__name__ for operation in section.block.operations],
    }


def gpu(device: Accelerator, aliases: tuple[str, ...]) -> dict[str, Any]:
    """An accelerator as plain data."""
    plain = {name: _plain(value) for name, value in asdict(device).items()}
    return {
        **plain,
        "memory_bytes_usable": _usable(device),
        "price_per_hour": device.price_per_hour,
        "aliases": list(aliases),
    }


def _usable(device: Accelerator) -> int | None:
    known = device.memory_mib_usable is not None or device.memory_gb is not None
    return device.memory_bytes_usable if known else None


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def checkpoint_bytes(entry: ModelEntry) -> int:
    """Bytes of the checkpoint's tensors: as the hub stated them, else as the configuration stores them."""
    stated = entry.meta.get("checkpoint_bytes")
    if isinstance(stated, int):
        return stated
    return weight_bytes(entry.architecture, _own_scheme(entry.architecture))


def _own_scheme(architecture: Architecture) -> Scheme:
    return stored_model(architecture, None, None, None, False).scheme


def tensors(architecture: Architecture, offset: int = 0, limit: int = MOST_TENSORS) -> dict[str, Any]:
    """A page of the checkpoint's tensors, as it names them, scales included."""
    from ..precision.published import checkpoint_count, checkpoint_tensors

    scheme = _own_scheme(architecture)
    page = islice(checkpoint_tensors(architecture, scheme), offset, offset + limit)
    rows = [{"name": each.name, "shape": list(each.shape), "dtype": each.dtype} for each in page]
    total = checkpoint_count(architecture, scheme)
    return {"tensors": rows, "tensors_total": total, "tensors_offset": offset}
