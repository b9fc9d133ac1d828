"""Every setting of the service: one table, read once from the environment at start.

No other module reads the environment for these. What `--help`, `GET /api/config/settings` and the READMEs
show comes from the same table; a new setting is one line here and its row in both READMEs.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit


class Setting(NamedTuple):
    """One setting: the environment variable, the default as written, what it does, how its text is read."""

    name: str
    variable: str
    default: str
    help: str
    read: Callable[[str], Any]
    secret: bool

    def row(self) -> str:
        """Its row in the table of README.md."""
        return f"| `{self.variable}` | {f'`{self.default}`' if self.default else 'none'} | {self.help} |"


def _setting(
    variable: str, default: str, does: str, read: Callable[[str], Any] = str, *, secret: bool = False
) -> Any:
    """A field of `Settings`; a secret one never shows in a representation, so in no log either."""
    about = {"variable": variable, "default": default, "help": does, "read": read, "secret": secret}
    return field(metadata=about, repr=not secret)


def _names(text: str) -> tuple[str, ...]:
    """Words with commas between.

    >>> _names("a, b,")
    ('a', 'b')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _optional(text: str) -> str | None:
    """A text, or None for an empty one."""
    return text.strip() or None


def _file(text: str) -> Path | None:
    """A path, or None for an empty text."""
    return Path(text.strip()) if text.strip() else None


def _switch(text: str) -> bool:
    """On or off; raises ValueError for anything else."""
    word = text.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"", "0", "false", "no", "off"}:
        return False
    raise ValueError("neither true nor false")


def _count(text: str) -> int:
    """A whole number of 0 or more."""
    number = int(text)
    if number < 0:
        raise ValueError("below zero")
    return number


def _rates(text: str) -> dict[str, int]:
    """Numbers by name.

    >>> _rates("recommend=60, hub=30")
    {'recommend': 60, 'hub': 30}
    """
    pairs = [part.partition("=") for part in _names(text)]
    return {name.strip(): _count(number) for name, _, number in pairs}


def _port(text: str) -> int:
    """A TCP port."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError("not a port")
    return number


def _origins(text: str) -> tuple[str, ...]:
    """Origins of browsers, each in full: a pattern would let in more than it seems to."""
    found = _names(text)
    for each in found:
        parts = urlsplit(each)
        if parts.scheme not in ("http", "https") or each != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(f"{each} is not like https://tools.example")
        if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?", parts.netloc):
            raise ValueError(f"{each} is not one host")
    return found


def _hub(text: str) -> str:
    """The kind of hub."""
    if text not in ("huggingface", "modelscope"):
        raise ValueError("neither huggingface nor modelscope")
    return text


def _address(text: str) -> str:
    """The address of a web server, without a trailing slash.

    >>> _address("https://hub.example/mirror/")
    'https://hub.example/mirror'
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address of http or https")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("more than a server and a path")
    return text.rstrip("/")


def _proxy(text: str) -> str | None:
    """The address of a proxy, or None."""
    if not text:
        return None
    if urlsplit(text).scheme != "http" or urlsplit(text).port is None:
        raise ValueError("not http://host:port")
    return _address(text)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings as values. Each line: variable, default, what it does [and how it is read]."""

    host: str = _setting(
        "HOST", "127.0.0.1", "address to bind; on anything but loopback, writes need a token"
    )
    port: int = _setting("PORT", "5000", "port to bind", _port)
    workers: int = _setting("LLM_ESTIMATE_WORKERS", "0", "worker processes; 0 is one per core", _count)
    threads: int = _setting("LLM_ESTIMATE_THREADS", "2", "threads of each worker", _count)
    token: str | None = _setting(
        "LLM_ESTIMATE_TOKEN", "", "bearer token that may do everything, on any bind", _optional, secret=True
    )
    require_token: bool = _setting(
        "LLM_ESTIMATE_REQUIRE_TOKEN", "false", "whether reading needs a token too", _switch
    )
    cors_origins: tuple[str, ...] = _setting(
        "LLM_ESTIMATE_CORS_ORIGINS", "", "origins that browsers may call from, comma separated", _origins
    )
    data_folder: Path = _setting(
        "LLM_ESTIMATE_DATA", "data", "folder of the store, where `DATABASE_URL` names no other", Path
    )
    database_url: str | None = _setting(
        "DATABASE_URL",
        "",
        "`postgresql://…`, shared by replicas, or `sqlite:///path`",
        _optional,
        secret=True,
    )
    history: bool = _setting(
        "LLM_ESTIMATE_HISTORY", "false", "whether estimates are kept for their token or browser id", _switch
    )
    history_days: int = _setting(
        "LLM_ESTIMATE_HISTORY_DAYS", "90", "days that history stays; 0 is for good", _count
    )
    history_most: int = _setting(
        "LLM_ESTIMATE_HISTORY_MOST", "1000", "entries of history that one owner may have", _count
    )
    share_days: int = _setting(
        "LLM_ESTIMATE_SHARE_DAYS", "180", "days that a shared page stays; 0 is for good", _count
    )
    analytics: bool = _setting(
        "LLM_ESTIMATE_ANALYTICS", "true", "whether usage events are counted, by the hour", _switch
    )
    analytics_days: int = _setting(
        "LLM_ESTIMATE_ANALYTICS_DAYS", "400", "days that counted events stay; 0 is for good", _count
    )
    sweep_days: int = _setting(
        "LLM_ESTIMATE_SWEEP_DAYS", "7", "days that a finished sweep stays; 0 is for good", _count
    )
    sweep_points: int = _setting(
        "LLM_ESTIMATE_SWEEP_POINTS",
        "5000000",
        "most points of one sweep; a fiftieth where each is computed alone",
        _count,
    )
    sweep_workers: int = _setting(
        "LLM_ESTIMATE_SWEEP_WORKERS",
        "0",
        "processes beside the service that compute sweeps; 0 is one fewer than cores",
        _count,
    )
    dask_scheduler: str | None = _setting(
        "DASK_SCHEDULER_ADDRESS",
        "",
        "Dask cluster that computes sweeps instead (`tls://host:8786`)",
        _optional,
    )
    dask_tls: Path | None = _setting(
        "LLM_ESTIMATE_DASK_TLS", "", "folder with `ca.pem`, `cert.pem` and `key.pem` for that cluster", _file
    )
    access_log: bool = _setting(
        "LLM_ESTIMATE_ACCESS_LOG", "true", "one JSON line a request on stderr", _switch
    )
    metrics_open: bool = _setting(
        "LLM_ESTIMATE_METRICS_OPEN",
        "false",
        "whether `/metrics` answers everyone, not only loopback and tokens",
        _switch,
    )
    rate_limits: Mapping[str, int] = _setting(
        "LLM_ESTIMATE_RATE_LIMITS",
        "recommend=60,sweeps=30,simulate=60,hub=30,inspect=240,analytics=240",
        "requests a minute that one client may make of each dear kind; a kind left out, or 0, has no limit",
        _rates,
    )
    time_budget: int = _setting(
        "LLM_ESTIMATE_TIME_BUDGET",
        "30",
        "processor seconds that one question may take; 0 is no limit",
        _count,
    )
    redis_url: str | None = _setting(
        "REDIS_URL", "", "Redis that counts requests for all replicas", _optional, secret=True
    )
    proxies: int = _setting(
        "LLM_ESTIMATE_PROXIES", "0", "reverse proxies in front whose `X-Forwarded-For` is believed", _count
    )
    hub: str = _setting(
        "LLM_ESTIMATE_HUB", "huggingface", "hub that registers models by id, or `modelscope`", _hub
    )
    hub_endpoint: str = _setting(
        "HF_ENDPOINT", "https://huggingface.co", "address of the hub, or of a mirror", _address
    )
    hub_token: str | None = _setting(
        "HF_TOKEN", "", "token for gated repositories of the hub", _optional, secret=True
    )
    modelscope_endpoint: str = _setting(
        "MODELSCOPE_ENDPOINT", "https://www.modelscope.cn", "address of ModelScope", _address
    )
    modelscope_token: str | None = _setting(
        "MODELSCOPE_API_TOKEN", "", "token for private repositories of ModelScope", _optional, secret=True
    )
    hub_offline: bool = _setting("HF_HUB_OFFLINE", "false", "true never asks a hub", _switch)
    hub_private: bool = _setting(
        "LLM_ESTIMATE_HUB_PRIVATE",
        "false",
        "whether the hub's name may have an address of a private network",
        _switch,
    )
    hub_download_hosts: tuple[str, ...] = _setting(
        "LLM_ESTIMATE_HUB_DOWNLOAD_HOSTS",
        "",
        "more hosts to which the hub may redirect, comma separated",
        _names,
    )
    hub_proxy: str | None = _setting(
        "LLM_ESTIMATE_HUB_PROXY", "", "`http://host:port` through which an https hub is asked", _proxy
    )
    hub_authorities: str | None = _setting(
        "SSL_CERT_FILE", "", "certificate authorities that the hub is checked against, a file", _optional
    )


SETTINGS: Final = tuple(Setting(each.name, **each.metadata) for each in fields(Settings))


def read_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from the environment, fields given by name taking precedence.

    Raises ValueError that names the variable when a value cannot be read; it repeats no secret.

    >>> read_settings({"PORT": "8080"}).port
    8080
    """
    source = os.environ if environment is None else environment
    values = {setting.name: _read(setting, source) for setting in SETTINGS}
    return Settings(**(values | overrides))


def _read(setting: Setting, source: Mapping[str, str]) -> Any:
    text = source.get(setting.variable) or _from_file(setting, source) or setting.default
    try:
        return setting.read(text)
    except ValueError as error:
        shown = "…" if setting.secret or "@" in text else repr(text)
        raise ValueError(f"{setting.variable}={shown}: {error}") from error


def _from_file(setting: Setting, source: Mapping[str, str]) -> str:
    """What stands in the file that VARIABLE_FILE names, for secrets only: how containers are handed them."""
    variable = f"{setting.variable}_FILE"
    path = source.get(variable) if setting.secret else None
    try:
        return Path(path).read_text(encoding="utf-8").strip() if path else ""
    except OSError as error:
        raise ValueError(f"{variable}={path!r}: {error.strerror}") from error


def shown_settings(settings: Settings) -> list[dict[str, Any]]:
    """Each setting as the table and the values have it; of a secret, only whether it is set."""
    return [_shown(setting, getattr(settings, setting.name)) for setting in SETTINGS]


def _shown(setting: Setting, value: Any) -> dict[str, Any]:
    plain: Any = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    return {
        "name": setting.name,
        "variable": setting.variable,
        "default": setting.default,
        "help": setting.help,
        "secret": setting.secret,
        "value": ("set" if value else "unset") if setting.secret else plain,
    }
