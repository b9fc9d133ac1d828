"""Every setting of the service: one table, read once from the environment at start.

No other module reads the environment for these. `SETTINGS` is also what the documentation shows.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name here, the environment variable, the default as written, what it does."""

    name: str
    variable: str
    default: str
    help: str
    read: Callable[[str], Any] = str


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _optional(text: str) -> str | None:
    return text or None


def _switch(text: str) -> bool:
    return text.strip().lower() in {"1", "true", "yes", "on"}


SETTINGS: Final = (
    Setting("host", "HOST", "127.0.0.1", "address to bind; anything but loopback makes writes need a token"),
    Setting("port", "PORT", "5000", "port to bind", int),
    Setting("workers", "LLM_ESTIMATE_WORKERS", "0", "worker processes; 0 is one per core", int),
    Setting("threads", "LLM_ESTIMATE_THREADS", "4", "threads of each worker", int),
    Setting("token", "LLM_ESTIMATE_TOKEN", "", "bearer token that allows writes on any bind", _optional),
    Setting(
        "cors_origins", "LLM_ESTIMATE_CORS_ORIGINS", "", "origins, comma separated; empty is off", _names
    ),
    Setting("data_folder", "LLM_ESTIMATE_DATA", "data", "folder of users' own models", Path),
    Setting("access_log", "LLM_ESTIMATE_ACCESS_LOG", "true", "one JSON line a request on stderr", _switch),
    Setting("hub_endpoint", "HF_ENDPOINT", "https://huggingface.co", "the hub that registers models by id"),
    Setting("hub_token", "HF_TOKEN", "", "token for gated repositories of the hub", _optional),
    Setting("hub_offline", "HF_HUB_OFFLINE", "", "1 never asks the hub", _switch),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings as values; the fields are those of `SETTINGS`."""

    host: str
    port: int
    workers: int
    threads: int
    token: str | None
    cors_origins: tuple[str, ...]
    data_folder: Path
    access_log: bool
    hub_endpoint: str
    hub_token: str | None
    hub_offline: bool


def read_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from the environment, fields given by name taking precedence.

    Raises ValueError that names the variable when a value cannot be read.

    >>> read_settings({"PORT": "8080"}).port
    8080
    """
    source = os.environ if environment is None else environment
    values = {setting.name: _read(setting, source) for setting in SETTINGS}
    return Settings(**(values | overrides))


def _read(setting: Setting, source: Mapping[str, str]) -> Any:
    text = source.get(setting.variable, setting.default)
    try:
        return setting.read(text)
    except ValueError as error:
        raise ValueError(f"{setting.variable}={text!r}: {error}") from error
