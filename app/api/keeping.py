"""Keeping questions for who asked them: off unless a setting turns it on, and never in an answer's way."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import orjson
from flask import Flask, Response, current_app

from ..errors import DomainError
from ..service.calibration_shelf import LOCAL
from ..service.gist import gist, search_words
from ..settings import Settings
from ..store import Store
from .owners import owner_of
from .replies import dump

Values = dict[str, Any]
Handler = Callable[[Values], Response]

LARGEST: Final = 32 * 1024  # [bytes] of a question with the heart of its answer


def keep_history(app: Flask, settings: Settings, store: Store) -> None:
    """Give an application its history, where the settings want one."""
    app.extensions["history"] = store if settings.history else None


def kept(kind: str) -> Callable[[Handler], Handler]:
    """Mark a handler whose question and answer are history."""

    def mark(handler: Handler) -> Handler:
        @wraps(handler)
        def keeping(values: Values) -> Response:
            reply = handler(values)
            store: Store | None = current_app.extensions["history"]
            if store is not None and (owner := _owner_if_any()) is not None:
                _keep(store, owner, kind, values, reply)
            return reply

        return keeping

    return mark


def history_owner() -> str | None:
    """The token or browser that asks; this machine itself is neither, as several people may sit at it.

    Raises what `identify` does.
    """
    owner = owner_of()
    return None if owner == LOCAL else owner


def _owner_if_any() -> str | None:
    """The same; what is wrong with a token does not matter to an estimate."""
    try:
        return history_owner()
    except DomainError:
        return None


def _keep(store: Store, owner: str, kind: str, values: Values, reply: Response) -> None:
    found = gist(orjson.loads(reply.get_data()))
    text = dump([values, found])
    if len(text) > LARGEST:
        store.count_dropped("history", 1)
        return
    request, summary = orjson.loads(text)  # as plain as the column will have them
    store.keep(owner, kind, request, summary, search_words(kind, request, summary), time.time())
