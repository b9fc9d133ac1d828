"""GGUF files as models: what to register of one, and what to say of one on this machine."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..errors import DomainError
from ..messages import Language, Message
from ..registry.gguf import GgufTensor
from ..registry.gguf_config import configured
from ..registry.gguf_files import GgufModel, read_file
from ..registry.models import ModelEntry
from . import inspection
from .answer import warning

Answer = dict[str, Any]


class Origin(Struct, frozen=True):
    """Where a file comes from, in words, and the repository that has it."""

    source: str
    repo_id: str | None = None


def entry_of(
    model: GgufModel, origin: Origin, values: Mapping[str, Any]
) -> tuple[ModelEntry, tuple[Message, ...]]:
    """The model to register under a `name` [the file's own], with its `config` [from its metadata].

    Several files of one repository may be registered, so the repository's id does not name them.
    Raises what `registry.gguf_config.configured` raises.
    """
    config, warnings = configured(model, values.get("config"))
    meta = {"gguf": {"repo_id": origin.repo_id, **model.summary()}, "checkpoint_bytes": model.bytes}
    name = values.get("name") or model.name
    return ModelEntry(name, None, config, meta, source=origin.source, builtin=False), warnings


def inspect_local(path: Path, query: Mapping[str, Any], language: Language = "en") -> Answer:
    """What a file on this machine holds and, where its metadata makes a configuration, what that makes.

    Raises `InvalidRequest` for what is no GGUF file.
    """
    model = read_file(path)
    try:
        entry, warnings = entry_of(model, Origin("file"), {})
        answer = inspection.inspect(entry, warnings, language)
    except DomainError as error:
        answer = _without_config(model, error.message, language)
    return answer | tensors(model, query)


def _without_config(model: GgufModel, why: Message, language: Language) -> Answer:
    return {
        "name": model.name,
        "checkpoint_bytes": model.bytes,
        "context_length": model.context_length,
        "source": "file",
        "gguf": {"repo_id": None, **model.summary()},
        "warnings": [warning(why, language)],
    }


def tensors(model: GgufModel, query: Mapping[str, Any]) -> Answer:
    """A page of the file's tensors under its own names, where `query` asks for them."""
    if not query.get("tensors"):
        return {}
    offset, limit = query.get("offset") or 0, query.get("limit") or inspection.MOST_TENSORS
    rows = [_row(tensor) for tensor in islice(model.tensors, offset, offset + limit)]
    return {"tensors": rows, "tensors_total": len(model.tensors), "tensors_offset": offset}


def _row(tensor: GgufTensor) -> Answer:
    shape = list(tensor.shape)
    return {"name": tensor.name, "shape": shape, "dtype": tensor.type.lower(), "bytes": tensor.bytes}
