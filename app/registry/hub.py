"""The hub: a repository's config.json and the headers of its safetensors or GGUF files, never the weights.

This and what it stands on (`transfer`, `connection`, `addresses`) are the only parts of the project that talk
to the network, and only when a model is registered or a GGUF file inspected.
"""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final
from urllib.parse import quote, urlsplit

from ..errors import HubError, HubNotFound, InvalidRequest, Problem
from ..messages import Message
from ..settings import Settings
from .addresses import Addresses, Resolver, system_resolver
from .connection import Route
from .gguf import BrokenGguf, GgufHeader, read_header
from .gguf_files import GgufModel, checked_file, joined, parts_of
from .models import ModelEntry
from .safetensors import (
    LENGTH_BYTES,
    BrokenHeader,
    StoredTensor,
    header_length,
    json_object,
    stored_tensors,
)
from .transfer import Limits, Transfer

MIB: Final = 2**20
MOST_CONFIG: Final = 4 * MIB  # [bytes]
MOST_INDEX: Final = 32 * MIB
MOST_HEADER: Final = 16 * MIB
MOST_FILES: Final = 1000
MOST_TENSORS: Final = 1_000_000  # of one repository
_FIRST_READ: Final = 128 * 1024  # most headers fit, so most files need one request
_AT_ONCE: Final = 4

_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_REPO: Final = re.compile(rf"{_PART}(/{_PART})?")
_REVISION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_SHARD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*\.safetensors")


@dataclass(frozen=True, slots=True)
class HubKind:
    """How a hub names the files of its repositories, and from where it serves the large ones."""

    name: str
    prefix: str  # before a repository's id in an address
    revision: str  # that is meant where none is given
    download_hosts: tuple[str, ...]


# Hosts as in "Downloading behind a proxy or firewall" of the hub's own documentation, models-downloading.
HUGGING_FACE: Final = HubKind(
    "huggingface",
    "",
    "main",
    (
        "*.cdn.hf.co",
        "cas-bridge.xethub.hf.co",
        "cdn-lfs.hf.co",
        "cdn-lfs-us-1.hf.co",
        "cdn-lfs-eu-1.hf.co",
        "cdn-lfs.huggingface.co",
        "cdn-lfs-us-1.huggingface.co",
        "cdn-lfs-eu-1.huggingface.co",
    ),
)
MODELSCOPE: Final = HubKind(
    "modelscope", "models/", "master", ("cdn-lfs-cn-1.modelscope.cn", "cdn-lfs-cn-2.modelscope.cn")
)
KINDS: Final[Mapping[str, HubKind]] = {kind.name: kind for kind in (HUGGING_FACE, MODELSCOPE)}


@dataclass(frozen=True, slots=True)
class HubModel:
    """What the hub says of one revision of a repository; `tensors` is None without safetensors files."""

    repo_id: str
    revision: str
    config: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor] | None = None
    hub: str = "hub"

    def entry(self, name: str | None = None) -> ModelEntry:
        """The model to register, under the repository's own name unless another is given."""
        meta: dict[str, Any] = {"revision": self.revision}
        if self.tensors is not None:
            meta["checkpoint_bytes"] = sum(each.bytes for each in self.tensors.values())
            meta["checkpoint_elements"] = self.elements()
        source = f"{self.hub}, revision {self.revision}"
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

    endpoint: str
    token: str | None = field(default=None, repr=False)
    offline: bool = False
    kind: HubKind = HUGGING_FACE
    download_hosts: tuple[str, ...] = ()  # beside those of the kind
    route: Route = field(default_factory=Route)
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_settings(cls, settings: Settings, resolver: Resolver = system_resolver) -> "HubClient":
        """The hub that the settings name."""
        kind = KINDS[settings.hub]
        own = kind is MODELSCOPE
        endpoint = settings.modelscope_endpoint if own else settings.hub_endpoint
        token = settings.modelscope_token if own else settings.hub_token
        more = settings.hub_download_hosts
        addresses = _addresses(endpoint, more, settings.hub_private, resolver)
        route = Route(addresses, settings.hub_authorities, settings.hub_proxy)
        return cls(endpoint, token, settings.hub_offline, kind, more, route)

    def model(self, repo_id: str, revision: str | None = None) -> HubModel:
        """A repository's configuration and tensors; raises `InvalidRequest`, `HubError` and its kinds."""
        place = self._place(repo_id, revision)
        config = place.json("config.json", MOST_CONFIG)
        source = "hub" if self.kind is HUGGING_FACE else self.kind.name
        return HubModel(repo_id, place.revision, config, place.tensors(), source)

    def gguf(self, repo_id: str, file: str, revision: str | None = None) -> GgufModel:
        """The headers of a repository's GGUF file, or of all its parts; raises as `model` does."""
        files = parts_of(checked_file(file))
        place = self._place(repo_id, revision)
        try:
            return joined([(each, place.gguf_header(each)) for each in files])
        except BrokenGguf as error:
            raise HubError(error.message) from error

    def source(self, revision: str | None) -> str:
        """What a model that was read here says of where it comes from."""
        hub = "hub" if self.kind is HUGGING_FACE else self.kind.name
        return f"{hub}, revision {revision or self.kind.revision}"

    def config(self, repo_id: str, revision: str | None = None) -> dict[str, Any]:
        """A repository's config.json alone."""
        return self._place(repo_id, revision).json("config.json", MOST_CONFIG)

    def _place(self, repo_id: str, revision: str | None) -> "_Place":
        hosts = (*self.kind.download_hosts, *self.download_hosts)
        transfer = Transfer(self.endpoint, self.token, self.offline, hosts, self.limits, self.route)
        return _Place(transfer, self.kind.prefix, *_checked(repo_id, revision or self.kind.revision))


def _addresses(endpoint: str, hosts: tuple[str, ...], may_be_private: bool, resolver: Resolver) -> Addresses:
    """Inside the own network only what the settings name, and only where they say that it is there.

    An endpoint written as an address, or as localhost, says so itself.
    """
    home = (urlsplit(endpoint).hostname or "").rstrip(".")
    private = {home, *hosts} if may_be_private else {home} & {"localhost"}
    return Addresses(frozenset(private), resolver)


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
    prefix: str
    repo_id: str
    revision: str

    def path(self, file: str) -> str:
        return f"{self.prefix}{self.repo_id}/resolve/{quote(self.revision, safe='')}/{file}"

    def json(self, file: str, limit: int) -> dict[str, Any]:
        path = self.path(file)
        body = self.transfer.get(path, limit)
        try:
            return json_object(body)
        except BrokenHeader as error:
            raise HubError(Message("hub_not_json", {"path": path})) from error

    def tensors(self) -> dict[str, StoredTensor] | None:
        """All tensors of the one file, or of those that the index names; None where there is neither."""
        try:
            return self.header("model.safetensors")
        except HubNotFound:
            pass
        try:
            files = self.shards()
        except HubNotFound:
            return None
        found: dict[str, StoredTensor] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for header in pool.map(self.header, files):
                found |= header
                if len(found) > MOST_TENSORS:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise HubError(Message("hub_bad_header", {"path": self.path(files[0])}))
        return found

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

    def gguf_header(self, file: str) -> GgufHeader:
        """The header of one GGUF file, asked for in as many pieces as it takes; raises `BrokenGguf`."""
        path = self.path(file)
        return read_header(lambda at, size: self.transfer.get(path, size, (at, at + size - 1)), file)

    def header(self, file: str) -> dict[str, StoredTensor]:
        """The tensors of one file: 8 bytes of length, then a JSON object of that length."""
        path = self.path(file)
        start = self.transfer.get(path, _FIRST_READ, (0, _FIRST_READ - 1))
        try:
            end = LENGTH_BYTES + header_length(start)
            if end > MOST_HEADER:
                raise HubError(Message("hub_too_large", {"path": path, "limit": MOST_HEADER}))
            if end > len(start):
                start += self.transfer.get(path, MOST_HEADER, (len(start), end - 1))
            if len(start) < end:
                raise HubError(Message("hub_cut_short", {"path": path}))
            return stored_tensors(start[LENGTH_BYTES:end])
        except BrokenHeader as error:
            raise HubError(Message("hub_bad_header", {"path": path})) from error
