"""The version, said once here and once in pyproject.toml (a test compares them)."""

from typing import Final

VERSION: Final = "0.1.0"
