"""What the service says to people, in English and Chinese, by stable codes.

The core never writes sentences: it names a code and the values that belong into it (`Message`).
Sentences live in the JSON files beside this one, one file a subject, each code with both languages:
`{"unknown_model": {"en": "There is no model {name}.", "zh": "没有名为 {name} 的模型。"}}`.
They are rendered at the very edge, by whoever knows the reader's language.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct, field

Language = Literal["en", "zh"]
LANGUAGES: Final = ("en", "zh")


class Message(Struct, frozen=True):
    """A sentence not yet written: its code and the values that belong into it."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def text(self, language: Language = "en") -> str:
        """The sentence in one language.

        >>> Message("not_json").text()
        'The request body must be JSON with the content type application/json.'
        """
        return catalogue()[self.code][language].format_map(self.params)


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """All sentences by code; a code that two files define is an error."""
    sentences: dict[str, Mapping[str, str]] = {}
    for path in sorted(Path(__file__).parent.glob("*.json")):
        for code, texts in json.loads(path.read_text(encoding="utf-8")).items():
            if code in sentences:
                raise ValueError(f"{path.name}: the code {code} is defined twice")
            sentences[code] = texts
    return sentences
