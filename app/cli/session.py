"""What every asking command shares: whom it asks, in which language, and how it shows the answer."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import click

from ..messages import Language, Message
from .main import spoken

Answer = dict[str, Any]
Command = Callable[..., Any]


class Source(Protocol):
    """Whoever answers: this process or a server."""

    def post(self, path: str, body: Mapping[str, Any], query: Mapping[str, Any] | None = None) -> Answer:
        """The answer of `POST path`."""

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Answer:
        """The answer of `GET path`."""


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command."""

    source: Source
    format: str
    language: Language

    def say(self, code: str, **params: object) -> str:
        """A sentence or word of the command line."""
        return Message(f"cli_{code}", params).text(self.language)


def asks(command: Command) -> Command:
    """Give a command `--format`, `--server` and `--language`; its first argument becomes the session."""

    @click.option(
        "--format",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        help="json is exactly the interface's answer [default: table].",
    )
    @click.option("--server", metavar="URL", help="Ask a running service instead of computing here.")
    @click.option("--language", type=click.Choice(["en", "zh"]), help="Language of sentences [default: en].")
    @click.pass_context
    @functools.wraps(command)
    def run(ctx: click.Context, /, *args: Any, format: str, server: str | None, **given: Any) -> Any:  # noqa: A002
        given.pop("language")
        ctx.meta["llm_estimate.innermost"] = ctx
        server = server or ctx.find_root().params.get("server")
        language = spoken(ctx)
        return command(Session(_source(server, language), format, language), *args, **given)

    return run


def _source(server: str | None, language: Language) -> Source:
    if server is None:
        from ..estimator.functions import local

        return local(language)
    from .remote import Remote

    return Remote(server, language)
