"""Text of strangers on a terminal: a configuration's name, or a server's sentence, must not control it."""

from typing import Final

_KEPT: Final = (ord("\t"), ord("\n"))
_CONTROLS: Final = (
    *(code for code in range(0x20) if code not in _KEPT),
    *range(0x7F, 0xA0),
    0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A),  # turn the direction of writing
)  # fmt: skip
_TABLE: Final = dict.fromkeys(_CONTROLS, "\ufffd")


def plain(text: str) -> str:
    """A text without what controls a terminal.

    >>> plain("a\\x1b[2Jb")
    'a\ufffd[2Jb'
    """
    return text.translate(_TABLE)
