"""Whose things a request means: those of its token, of its browser, or of the machine itself."""

import hashlib
import re
from typing import Final

from flask import request

from ..service.calibration_shelf import LOCAL
from .access import identify

HEADER: Final = "X-Browser-Id"
_UNGUESSABLE: Final = re.compile(r"[A-Za-z0-9_-]{22,128}")  # 128 bits or more, as base64
_FEWEST_LETTERS: Final = 8  # different ones: no random number has fewer


def owner_of() -> str | None:
    """The owner that the store knows: an opaque text; None for somebody who owns nothing.

    The id of a browser is a secret, so only its hash is told on. Who may write without a token is at the
    machine itself; raises what `identify` does.
    """
    asking = identify()
    if asking.token_id is not None:
        return f"token:{asking.token_id}"
    given = request.headers.get(HEADER, "")
    if _UNGUESSABLE.fullmatch(given) and len(set(given)) >= _FEWEST_LETTERS:
        return f"browser:{hashlib.sha256(given.encode()).hexdigest()[:40]}"
    return LOCAL if "write" in asking.scopes else None
