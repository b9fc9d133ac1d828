"""Built-in models by name, hub id or alias: read from `configs/models`, one folder each.

Folders are read once a process. A broken file is listed in `problems` and keeps only its own model out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from ..errors import DomainError
from ..messages import Message
from .files import BrokenFile, BrokenFileError, Kinds, check_fields, configs_folder, read_object, wrong_field
from .names import NameIndex, normalised, unknown

if TYPE_CHECKING:
    from ..architecture import Architecture

# Where a configuration says how long a context it was made for, and in which order its layers stand.
_CONTEXT: Final = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
    "n_ctx",
    "model_max_length",
    "max_target_positions",
)
_DTYPE: Final = ("dtype", "torch_dtype")
_LAYER_ORDER: Final = (
    "layer_types",
    "hybrid_override_pattern",
    "layers_block_type",
    "hybrid_layer_ids",
    "attn_type_list",
    "attn_layer_offset",
    "full_attn_idxs",
)
_UNCONFIRMED: Final = ("reconstructed", "recalled")
CONFIG_HOW: Final = ("copy", "copy-derived", *_UNCONFIRMED)

_KINDS: Final[Kinds] = {
    "name": str,
    "repo_id": str,
    "model_type": str,
    "license": str,
    "released": str,
    "gated": bool,
    "parameters_total": int,
    "parameters_how": str,
    "parameters_active": int,
    "parameters_tied_copy": int,
    "parameters_published": int,
    "parameters_published_match": bool,
    "parameters_published_difference": object,
    "config_how": str,
    "config_dimensions_confirmed": bool,
    "config_left_out": str,
    "source": str,
    "notes": str,
    "aliases": list,
}
_REQUIRED: Final = ("name", "repo_id", "config_how", "source")


@dataclass(frozen=True)
class ModelEntry:
    """One model: its configuration as the hub has it, and what is known beside it.

    `source` says where the configuration came from; `builtin` is False for a user's own model.
    """

    name: str
    repo_id: str | None
    config: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    source: str = ""
    builtin: bool = True

    @property
    def model_type(self) -> str | None:
        """The configuration's own `model_type`."""
        found = self.config.get("model_type")
        return found if isinstance(found, str) else None

    @property
    def parameters_total(self) -> int | None:
        """Exact count, a tied matrix once; for a user's model what its architecture counts, if it reads."""
        stated = self.meta.get("parameters_total")
        return stated if isinstance(stated, int) else None

    @cached_property
    def architecture(self) -> "Architecture":
        """The configuration read; raises the reader's `DomainError` where it cannot be."""
        from ..architecture import read_config

        return read_config(self.config)

    def warnings(self) -> tuple[Message, ...]:
        """What of the configuration was not read from a copy of the published file."""
        found = []
        if self.meta.get("config_how") in _UNCONFIRMED:
            found = [Message(code, {"name": self.name}) for code in self._unconfirmed()]
        if missing := self.meta.get("config_left_out"):
            found.append(Message("model_list_left_out", {"name": self.name, "field": missing}))
        return tuple(found)

    def _unconfirmed(self) -> Iterator[str]:
        config = {**self.config, **(self.config.get("text_config") or {})}
        if not any(config.get(key) for key in _DTYPE):
            yield "model_dtype_unconfirmed"
        known = any(config.get(key) for key in _CONTEXT)
        yield "model_context_unconfirmed" if known else "model_context_missing"
        if any(key in config for key in _LAYER_ORDER):
            yield "model_layer_order_unconfirmed"


class ModelMatch(Struct, frozen=True):
    """What a name meant: the model, and what to know about it and about the choice."""

    entry: ModelEntry
    warnings: tuple[Message, ...] = ()


class ModelRegistry:
    """All built-in models; `problems` lists the files that were left out."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or configs_folder() / "models"
        self.problems: list[BrokenFile] = []
        self._entries: dict[str, ModelEntry] = {}
        self._names: NameIndex[str] = NameIndex()
        for path in sorted(self.folder.glob("*/config.json")):
            try:
                entry = read_model(path.parent)
            except BrokenFileError as error:
                self.problems.append(error.broken)
            else:
                self._entries[entry.name] = entry
        self._name_models()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[ModelEntry]:
        return iter(self._entries.values())

    def __contains__(self, name: str) -> bool:
        """Whether a name, hub id or alias is a built-in model's."""
        return self._names.get(name) is not None or bool(self._names.fitting(name))

    def lookup(self, name: str) -> ModelMatch | None:
        """What a name, hub id or alias means, or None."""
        meant = self._names.get(name)
        if meant is None:
            return None
        entry = self._entries[meant]
        return ModelMatch(entry, (*_alias_warnings(name, entry), *entry.warnings()))

    def find(self, name: str) -> ModelMatch:
        """What a name, hub id or alias means, with warnings; raises `UnknownName` with the closest names."""
        found = self.lookup(name)
        if found is None:
            raise unknown("unknown_model", name, self.candidates(name))
        return found

    def get(self, name: str) -> ModelEntry:
        """The model of a name, hub id or alias; raises `UnknownName` with the closest names."""
        return self.find(name).entry

    def candidates(self, name: str) -> list[str]:
        """Names to offer for one that is not there; those a sloppy spelling could mean, else all."""
        return self._names.fitting(name) or list(self._entries)

    def covered(self) -> list[str]:
        """Names of the models whose architecture reads; reads them all (seconds)."""
        return [each.name for each in self if why_not_covered(each) is None]

    def uncovered(self) -> dict[str, DomainError]:
        """Why, by name, of the models whose architecture does not read; reads them all (seconds)."""
        reasons = {each.name: why_not_covered(each) for each in self}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def _name_models(self) -> None:
        """Every row's own names before any alias, so that no alias can take a row's name."""
        for entry in self:
            self._names.add(entry.name, entry.name)
        for entry in self:
            if entry.repo_id:
                self._names.add(entry.repo_id, entry.name)
                self._names.add(_own_name(entry.repo_id), entry.name)
        for entry in self:
            for alias in entry.aliases:
                self._names.add(alias, entry.name)
        for entry in self:
            for alias in entry.aliases:
                self._names.add(_own_name(alias), entry.name)


def why_not_covered(entry: ModelEntry) -> DomainError | None:
    """The error that reading a model's architecture raises; None where it reads."""
    try:
        _ = entry.architecture
    except DomainError as error:
        return error
    return None


def _own_name(repo_id: str) -> str:
    """A hub id without its organisation."""
    return repo_id.rsplit("/", 1)[-1]


def _alias_warnings(asked: str, entry: ModelEntry) -> tuple[Message, ...]:
    """A repository of the same shape may differ in what a shape does not show."""
    own = normalised(_own_name(asked))
    if own in (normalised(entry.name), normalised(_own_name(entry.repo_id or ""))):
        return ()
    if not any("/" in alias and normalised(_own_name(alias)) == own for alias in entry.aliases):
        return ()
    return (Message("model_alias", {"alias": asked, "name": entry.name}),)


def read_model(folder: Path) -> ModelEntry:
    """One folder of `configs/models`; raises `BrokenFileError` that names the file and the line."""
    config, _ = read_object(folder / "config.json")
    path = folder / "meta.json"
    meta, text = read_object(path)
    check_fields(path, text, {k: v for k, v in meta.items() if _KINDS.get(k) is not object}, _KINDS)
    for name in _REQUIRED:
        if not meta.get(name):
            raise BrokenFileError(BrokenFile(path, None, f"{name}: missing"))
    if meta["name"] != folder.name:
        raise wrong_field(path, text, "name", f"not the folder's, {folder.name}")
    if meta["config_how"] not in CONFIG_HOW:
        raise wrong_field(path, text, "config_how", "unexpected value")
    aliases = tuple(meta.get("aliases", ()))
    return ModelEntry(meta["name"], meta["repo_id"], config, meta, aliases, meta["source"])


SORTS: Final[Mapping[str, Callable[[ModelEntry], Any]]] = {
    "name": lambda entry: entry.name.casefold(),
    "parameters": lambda entry: (entry.parameters_total or 0, entry.name.casefold()),
    "released": lambda entry: (entry.meta.get("released") or "", entry.name.casefold()),
}


def select(
    entries: Sequence[ModelEntry],
    search: str | None = None,
    family: str | None = None,
    min_params: float | None = None,
    max_params: float | None = None,
    sort: str | None = None,
) -> list[ModelEntry]:
    """The models that a listing asks for.

    `search`: part of a name, hub id or alias. `family`: the beginning of a `model_type` (`qwen` takes
    `qwen3_moe`). `min_params`, `max_params`: [parameters]; a model of unknown size is left out by either.
    `sort`: one of `SORTS`, with `-` before it for descending; by default as they come.
    """
    found = [
        each
        for each in entries
        if (not search or _mentions(each, normalised(search)))
        and (not family or normalised(each.model_type or "").startswith(normalised(family)))
        and (min_params is None or (each.parameters_total or -1) >= min_params)
        and (max_params is None or 0 <= (each.parameters_total or -1) <= max_params)
    ]
    if sort:
        found.sort(key=SORTS[sort.lstrip("-")], reverse=sort.startswith("-"))
    return found


def _mentions(entry: ModelEntry, wanted: str) -> bool:
    return any(wanted in normalised(each) for each in (entry.name, entry.repo_id or "", *entry.aliases))


@cache
def models() -> ModelRegistry:
    """The registry of the service, read once a process."""
    return ModelRegistry()
