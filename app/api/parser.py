"""Strict reading of request bodies: JSON or nothing, no NaN, no key twice, nothing too large or too deep."""

import json
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, NoReturn

import orjson
from flask import Request, current_app, request
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from ..errors import InvalidRequest
from ..messages import Message
from .errors import BadBody
from .patience import begin

LARGEST_BODY: Final = 2**20
DEEPEST: Final = 64
_JSON_TYPES: Final = ("application/json", "application/json; charset=utf-8")


class StrictParser(FlaskParser):
    """webargs' parser with our own way of reading JSON; refusals are domain errors."""

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The body as plain data."""
        if req.content_type not in _JSON_TYPES and req.mimetype != "application/json":
            raise BadBody(Message("not_json"), status=415)
        begin(current_app.extensions["settings"].time_budget)
        body = req.get_data(cache=False)
        if req.content_length is None and len(body) >= LARGEST_BODY:  # the rest of a stream was cut off
            raise RequestEntityTooLarge
        return read_json(body)

    def use_args(self, argmap: Any, *options: Any, location: str | None = None, **more: Any) -> Any:
        """webargs' decorator; for bodies one that goes straight to the schema, at a fifth of the price."""
        if location != "json" or not isinstance(argmap, Schema) or options or more:
            return super().use_args(argmap, *options, location=location, **more)

        def decorate(handler: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(handler)
            def with_body(*args: Any, **kwargs: Any) -> Any:
                try:
                    asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # once
                    values = argmap.load(self.load_json(asked, argmap))
                except ValidationError as error:
                    self.handle_error(error)
                return handler(*args, values, **kwargs)

            return with_body

        return decorate

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """The query as it came, with repeated names still told apart."""
        return req.args

    def handle_error(self, error: ValidationError, *_args: Any, **_options: Any) -> NoReturn:
        """Schemas here raise domain errors themselves; whatever else comes is a wrong request too."""
        raise InvalidRequest(Message("body_not_object")) from error


def read_json(body: bytes) -> Any:
    """Plain data out of a JSON text; raises `BadBody` naming what is wrong with the text.

    >>> read_json(b'{"batch_size": 2}')
    {'batch_size': 2}
    """
    if not body.strip():
        raise BadBody(Message("empty_body"))
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBody(Message("bad_json", {"reason": str(error)[:200]})) from error
    if body.count(b"{") + body.count(b"[") > DEEPEST and _deeper_than(data, DEEPEST):
        raise BadBody(Message("too_deep", {"most": DEEPEST}))
    if _may_repeat_keys(body, data):
        _refuse_repeated_keys(body)
    return data


def _deeper_than(data: Any, levels: int) -> bool:
    layer = [data]
    for _ in range(levels + 1):
        layer = [child for each in layer for child in _children(each)]
        if not layer:
            return False
    return True


def _children(data: Any) -> list[Any]:
    inside = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [each for each in inside if isinstance(each, dict | list)]


def _may_repeat_keys(body: bytes, data: Any) -> bool:
    """False where every colon of the text belongs to a key that the data has: no second look is needed."""
    return body.count(b":") != _count_keys(data)


def _count_keys(data: Any) -> int:
    if isinstance(data, dict):
        return len(data) + sum(_count_keys(each) for each in data.values() if isinstance(each, dict | list))
    if isinstance(data, list):
        return sum(_count_keys(each) for each in data if isinstance(each, dict | list))
    return 0


def _refuse_repeated_keys(body: bytes) -> None:
    json.loads(body, object_pairs_hook=_without_repeats)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise BadBody(Message("key_twice", {"field": twice[:80]}))
    return found
