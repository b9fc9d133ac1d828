"""A running service, asked by path and body like `Local`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from ..messages import Language, Message
from .refusals import Refused

TIMEOUT: Final = 120.0  # [s]
CHUNK: Final = 2**16  # [bytes]
_STATUS_DOWN: Final = 503


class Remote:
    """The interface at a URL; errors of the server are raised as `Refused`."""

    def __init__(self, url: str, language: Language = "en") -> None:
        self.url = url.rstrip("/") if "://" in url else f"http://{url.rstrip('/')}"
        self.language: Language = language

    def post(
        self, path: str, body: Mapping[str, Any], query: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The answer of `POST path`."""
        return self._ask("POST", path, query, body)

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer of `GET path`."""
        return self._ask("GET", path, query, None)

    def stream(self, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """The bytes of `GET path` as they come; raises `Refused`."""
        import requests

        headers = {"Accept-Language": self.language}
        try:
            with requests.get(
                self.url + quote(path), params=query, headers=headers, timeout=TIMEOUT, stream=True
            ) as reply:
                if reply.status_code >= 400:
                    raise Refused(reply.json())
                yield from reply.iter_content(CHUNK)
        except (requests.RequestException, ValueError) as error:
            raise self._unreachable() from error

    def _ask(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        import requests

        asked = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        try:
            reply = requests.request(
                method,
                self.url + quote(path),
                params=asked,
                json=body,
                headers={"Accept-Language": self.language},
                timeout=TIMEOUT,
            )
            answer = reply.json()
        except (requests.RequestException, ValueError) as error:
            raise self._unreachable() from error
        if not isinstance(answer, dict):
            raise self._unreachable()
        if reply.status_code >= 400:
            raise Refused(answer)
        return answer

    def _unreachable(self) -> Refused:
        message = Message("cli_no_server", {"url": self.url}).text(self.language)
        return Refused({"error": message, "code": "no_server", "status": _STATUS_DOWN, "details": []})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
