"""The commands by name; the module of one is imported when it is run, so that starting stays quick."""

import gc
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Final

import click

from ..messages import Language, Message
from ..version import VERSION
from .refusals import refuse

PROGRAM: Final = "llm-estimate"
# Objects between two collections: what a command imports stays anyway, and looking it over costs a tenth.
_GARBAGE: Final = 200_000

# Each command with the module that holds it, under its own name with underscores.
COMMANDS: Final[Mapping[str, str]] = {
    "estimate": "estimate",
    "estimate-training": "estimate_training",
    "memory": "memory",
    "recommend": "recommend",
    "inspect": "inspect",
    "list-models": "lists",
    "list-accelerators": "lists",
    "benchmark": "benchmark",
    "sweep": "sweep",
    "validate-log": "logs",
    "accuracy": "logs",
    "calibrate": "calibrate",
    "serve": "serve",
    "settings": "settings",
    "token": "tokens",
    "db": "db",
    "interactive": "interactive",
    "mcp": "mcp",
    "completion": "completion",
}


def spoken(ctx: click.Context) -> Language:
    """The language that was asked for, on whichever command."""
    for each in (ctx, *_parents(ctx)):
        if (asked := each.params.get("language")) is not None:
            return "zh" if asked == "zh" else "en"
    return "en"


def _parents(ctx: click.Context) -> list[click.Context]:
    return [] if ctx.parent is None else [ctx.parent, *_parents(ctx.parent)]


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def __init__(self, *args: Any, modules: Mapping[str, str], prefix: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.modules = modules
        self.prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.modules:
            return None
        module = import_module(f".{self.modules[cmd_name]}", __package__)
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        command.help = self.help_of(cmd_name, spoken(ctx))
        return command

    def help_of(self, name: str, language: Language) -> str:
        """One sentence on a command."""
        return Message(f"cli_help_{self.prefix}{name.replace('-', '_')}").text(language)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self.help_of(name, spoken(ctx))) for name in self.modules]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.modules and not args[0].startswith("-"):
            close = get_close_matches(args[0], self.modules, n=1, cutoff=0.5) or [", ".join(self.modules)]
            message = Message("cli_no_command", {"name": args[0][:80], "closest": close[0]})
            raise click.UsageError(message.text(spoken(ctx)), ctx)
        return super().resolve_command(ctx, args)


class Program(LazyGroup):
    """The whole command line: what goes wrong in any command leaves through one place."""

    def invoke(self, ctx: click.Context) -> Any:
        with refuse(ctx):
            return super().invoke(ctx)


@click.group(
    cls=Program, modules=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}, epilog=None
)
@click.version_option(VERSION, prog_name=PROGRAM)
@click.option("--server", metavar="URL", help="Ask a running service instead of computing here.")
@click.option(
    "--language", type=click.Choice(["en", "zh"]), is_eager=True, help="Language of sentences [default: en]."
)
def program(server: str | None, language: str | None) -> None:
    """Memory and speed of large language models, from their config.json."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with its exit code."""
    gc.set_threshold(_GARBAGE)
    program.main(arguments, prog_name=PROGRAM)
