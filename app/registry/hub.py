"""The hub: a repository's config.json and the headers of its safetensors files, never the weights.

This and `transfer` are the only parts of the project that talk to the network, and only when a model is
registered. Format of the header: https://huggingface.co/docs/safetensors/index#format
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final
from urllib.parse import quote

from ..errors import HubError, HubNotFound, InvalidRequest, Problem
from ..messages import Message
from .models import ModelEntry
from .transfer import DOWNLOAD_HOSTS, Limits, Transfer

ENDPOINT: Final = "https://huggingface.co"
MIB: Final = 2**20
MOST_CONFIG: Final = 4 * MIB  # [bytes]
MOST_INDEX: Final = 64 * MIB
MOST_HEADER: Final = 32 * MIB
MOST_FILES: Final = 1000
MOST_TENSORS: Final = 1_000_000
_FIRST_READ: Final = 128 * 1024  # most headers fit, so most files need one request
_AT_ONCE: Final = 8

_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REPO: Final = re.compile(rf"{_PART}(/{_PART})?")
_REVISION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_SHARD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*\.safetensors")

# Bits of one element. F4, F6 and F8 forms as safetensors 0.6 names them.
_BITS: Final = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "BOOL": 8, "U8": 8, "I8": 8,
    "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as its file has it: data type, shape, size [bytes]."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class HubModel:
    """What the hub says of one revision of a repository; `tensors` is None without safetensors files."""

    repo_id: str
    revision: str
    config: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor] | None = None

    def entry(self, name: str | None = None) -> ModelEntry:
        """The model to register, under the repository's own name unless another is given."""
        meta: dict[str, Any] = {"revision": self.revision}
        if self.tensors is not None:
            meta["checkpoint_bytes"] = sum(each.bytes for each in self.tensors.values())
            meta["checkpoint_elements"] = self.elements()
        source = f"hub, revision {self.revision}"
        own_name = name or self.repo_id.rsplit("/", 1)[-1]
        return ModelEntry(own_name, self.repo_id, self.config, meta, source=source, builtin=False)

    def elements(self) -> dict[str, int]:
        """Stored elements by data type; packed formats store fewer elements than parameters."""
        found: dict[str, int] = {}
        for each in (self.tensors or {}).values():
            found[each.dtype] = found.get(each.dtype, 0) + prod(each.shape)
        return found


@dataclass(frozen=True, slots=True)
class HubClient:
    """Reads repositories of one hub."""

    endpoint: str = ENDPOINT
    token: str | None = None
    offline: bool = False
    download_hosts: tuple[str, ...] = DOWNLOAD_HOSTS
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_environment(cls) -> "HubClient":
        """As `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` say at this moment."""
        offline = os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in {"1", "true", "yes", "on"}
        return cls(os.environ.get("HF_ENDPOINT") or ENDPOINT, os.environ.get("HF_TOKEN") or None, offline)

    def model(self, repo_id: str, revision: str | None = None) -> HubModel:
        """A repository's configuration and tensors; raises `InvalidRequest`, `HubError` and its kinds."""
        place = _Place(self._transfer(), *_checked(repo_id, revision or "main"))
        config = place.json("config.json", MOST_CONFIG)
        return HubModel(repo_id, place.revision, config, place.tensors())

    def config(self, repo_id: str, revision: str | None = None) -> dict[str, Any]:
        """A repository's config.json alone."""
        place = _Place(self._transfer(), *_checked(repo_id, revision or "main"))
        return place.json("config.json", MOST_CONFIG)

    def _transfer(self) -> Transfer:
        return Transfer(self.endpoint, self.token, self.offline, self.download_hosts, self.limits)


def _checked(repo_id: str, revision: str) -> tuple[str, str]:
    if not _REPO.fullmatch(repo_id):
        bad_repo = Message("hub_bad_repo", {"name": repo_id[:200]})
        raise InvalidRequest(bad_repo, [Problem("repo_id", bad_repo)])
    if not _REVISION.fullmatch(revision) or ".." in revision:
        bad_revision = Message("hub_bad_revision", {"revision": revision[:200]})
        raise InvalidRequest(bad_revision, [Problem("revision", bad_revision)])
    return repo_id, revision


@dataclass(frozen=True, slots=True)
class _Place:
    """One revision of one repository."""

    transfer: Transfer
    repo_id: str
    revision: str

    def path(self, file: str) -> str:
        return f"{self.repo_id}/resolve/{quote(self.revision, safe='')}/{file}"

    def json(self, file: str, limit: int) -> dict[str, Any]:
        path = self.path(file)
        return _object(self.transfer.get(path, limit), Message("hub_not_json", {"path": path}))

    def tensors(self) -> dict[str, StoredTensor] | None:
        """All tensors of the one file, or of those that the index names; None where there is neither."""
        try:
            return dict(self.header("model.safetensors"))
        except HubNotFound:
            pass
        try:
            files = self.shards()
        except HubNotFound:
            return None
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return {name: tensor for header in pool.map(self.header, files) for name, tensor in header}

    def shards(self) -> list[str]:
        """The files that the index names."""
        file = "model.safetensors.index.json"
        weight_map = self.json(file, MOST_INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not all(isinstance(each, str) for each in weight_map.values()):
            raise HubError(Message("hub_not_json", {"path": self.path(file)}))
        files = sorted(set(weight_map.values()))
        if len(files) > MOST_FILES:
            params = {"path": self.path(file), "count": len(files), "limit": MOST_FILES}
            raise HubError(Message("hub_too_many_files", params))
        for each in files:
            if not _SHARD.fullmatch(each):
                raise HubError(Message("hub_bad_header", {"path": self.path(file)}))
        return files

    def header(self, file: str) -> list[tuple[str, StoredTensor]]:
        """The tensors of one file: 8 bytes of length, then a JSON object of that length."""
        path = self.path(file)
        broken = Message("hub_bad_header", {"path": path})
        start = self.transfer.get(path, _FIRST_READ, (0, _FIRST_READ - 1))
        if len(start) < 8:
            raise HubError(broken)
        length = int.from_bytes(start[:8], "little")
        if length > MOST_HEADER:
            raise HubError(Message("hub_too_large", {"path": path, "limit": MOST_HEADER}))
        if length + 8 > len(start):
            start += self.transfer.get(path, MOST_HEADER, (len(start), length + 7))
        if len(start) < length + 8:
            raise HubError(Message("hub_cut_short", {"path": path}))
        content = _object(start[8 : length + 8], broken)
        if len(content) > MOST_TENSORS:
            raise HubError(broken)
        return list(_stored(content, broken))


def _stored(header: Mapping[str, Any], broken: Message) -> Iterator[tuple[str, StoredTensor]]:
    """The tensors of a header, each of the size that its type and shape give."""
    for name, value in header.items():
        if name == "__metadata__":
            continue
        try:
            shape = tuple(value["shape"])
            begin, end = value["data_offsets"]
            size = prod(shape) * _BITS[value["dtype"]] // 8
        except (TypeError, KeyError, ValueError) as error:
            raise HubError(broken) from error
        if not all(type(each) is int and each >= 0 for each in (*shape, begin, end)) or end - begin != size:
            raise HubError(broken)
        yield name, StoredTensor(value["dtype"], shape, size)


def _object(body: bytes, broken: Message) -> dict[str, Any]:
    """A JSON object; a published `Infinity` or `NaN` reads as null, which is what strict JSON has for it."""
    try:
        content = json.loads(body, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise HubError(broken) from error
    if not isinstance(content, dict):
        raise HubError(broken)
    return content
