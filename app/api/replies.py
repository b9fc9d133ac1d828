"""Ready responses: JSON made once, straight from plain data, in the reader's language."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import orjson
from flask import Response, request

from ..messages import LANGUAGES, Language

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def dump(data: Any) -> bytes:
    """JSON as bytes; integers of 2^64 and more, which orjson refuses, go the slow way and stay exact."""
    try:
        return orjson.dumps(data)
    except TypeError:
        return json.dumps(data, ensure_ascii=False, allow_nan=False).encode()


class JsonReply(Response):
    """JSON made once. Goes out as it is, where a response of any kind costs a tenth of an estimate."""

    default_mimetype = "application/json"

    def __init__(self, body: bytes, status: int = 200) -> None:
        super().__init__(None, status)
        self.response = [body]
        self.headers["Content-Length"] = str(len(body))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else cast(list[bytes], self.response)


def json_reply(data: Any, status: int = 200) -> Response:
    """A response that flask-smorest passes on as it is."""
    return JsonReply(dump(data), status)


def language() -> Language:
    """What the reader asked for in Accept-Language; English where that is not said or not spoken."""
    asked = request.headers.get("Accept-Language")
    if not asked or asked.startswith("en"):
        return "en"
    best = request.accept_languages.best_match([*LANGUAGES, "zh-CN", "zh-TW", "zh-Hans", "zh-Hant"], "en")
    return "zh" if str(best).startswith("zh") else "en"
