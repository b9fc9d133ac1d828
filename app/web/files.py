"""The page's static files: read once, compressed once, under one address that changes with their content."""

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Final

from flask import Response, abort, request

FOLDER: Final = Path(__file__).parent / "static"
_FOREVER: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {".js": "text/javascript", ".webmanifest": "application/manifest+json"}
_PACKED_ALREADY: Final = (".png",)


@dataclass(frozen=True, slots=True)
class File:
    """One static file, ready to send."""

    plain: bytes
    packed: bytes | None
    content_type: str


@cache
def files() -> dict[str, File]:
    """Every static file by its path below the folder, with forward slashes."""
    paths = sorted(path for path in FOLDER.rglob("*") if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): _read(path) for path in paths}


@cache
def build() -> str:
    """Ten hexadecimal digits that change whenever a static file does."""
    digest = hashlib.sha256()
    for name, file in files().items():
        digest.update(name.encode() + b"\0" + file.plain)
    return digest.hexdigest()[:10]


@cache
def words(language: str) -> dict[str, str]:
    """The catalogue of a language: sentences of the page by key."""
    catalogue: dict[str, str] = json.loads(files()[f"words/{language}.json"].plain)
    return catalogue


def scripts() -> list[str]:
    """The modules' paths below the folder, the first one last to be needed."""
    return [name for name in files() if name.startswith("js/")]


def send(name: str, caching: str = _FOREVER) -> Response:
    """A static file, compressed where the reader takes it; 404 for a name that is not there."""
    file = files().get(name)
    if file is None:
        abort(404)
    return reply(file.plain, file.packed, file.content_type, caching)


def reply(plain: bytes, packed: bytes | None, content_type: str, caching: str) -> Response:
    """A response in the encoding that the reader takes."""
    takes = packed is not None and "gzip" in request.headers.get("Accept-Encoding", "")
    answer = Response(packed if takes else plain, content_type=content_type)
    answer.headers["Cache-Control"] = caching
    answer.headers["Vary"] = "Accept-Encoding"
    if takes:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def pack(plain: bytes, level: int = 9) -> bytes:
    """Compressed, the same bytes each time."""
    return gzip.compress(plain, level, mtime=0)


def _read(path: Path) -> File:
    plain = path.read_bytes()
    packed = None if path.suffix in _PACKED_ALREADY else pack(plain)
    return File(plain, packed, _type_of(path))


def _type_of(path: Path) -> str:
    kind: Any = _TYPES.get(path.suffix) or guess_type(path.name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind.endswith("json") else str(kind)
