"""Ready responses: JSON made once, straight from plain data, in the reader's language."""

import json
from typing import Any

import orjson
from flask import Response, request

from ..messages import LANGUAGES, Language


def dump(data: Any) -> bytes:
    """JSON as bytes; integers of 2^64 and more, which orjson refuses, go the slow way and stay exact."""
    try:
        return orjson.dumps(data)
    except TypeError:
        return json.dumps(data, ensure_ascii=False, allow_nan=False).encode()


def json_reply(data: Any, status: int = 200) -> Response:
    """A response that flask-smorest passes on as it is."""
    return Response(dump(data), status, content_type="application/json")


def language() -> Language:
    """What the reader asked for in Accept-Language; English where that is not said or not spoken."""
    asked = request.headers.get("Accept-Language")
    if not asked or asked.startswith("en"):
        return "en"
    best = request.accept_languages.best_match([*LANGUAGES, "zh-CN", "zh-TW", "zh-Hans", "zh-Hant"], "en")
    return "zh" if str(best).startswith("zh") else "en"
