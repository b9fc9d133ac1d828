"""`memory inference`, `memory training`, `memory compare`."""

from functools import partial
from typing import Any, Final

import click

from ..api.schemas.inference import InferenceSchema
from ..api.schemas.training import TrainingSchema
from .main import LazyGroup
from .memory_tables import memory_rows, memory_tables
from .options import body_of, from_schema
from .output import emit
from .session import Session, asks

_WHAT: Final = ("inference", "training")
_HERE: Final = {"inference": "memory", "training": "memory", "compare": "memory"}


class _Memory(LazyGroup):
    """Its commands are in this very module."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = {"inference": inference, "training": training, "compare": compare}.get(cmd_name)
        if found is not None:
            from .main import spoken

            found.help = self.help_of(cmd_name, spoken(ctx))
        return found


@click.group(cls=_Memory, modules=_HERE, prefix="memory_")
def memory() -> None:
    pass


_verbose = click.option(
    "--verbose", "-v", is_flag=True, help="Each term's formula and values, every default."
)


@click.command()
@from_schema(InferenceSchema())
@_verbose
@asks
def inference(session: Session, verbose: bool, **given: Any) -> None:
    answer = session.source.post("/api/memory/inference", body_of(given))
    emit(session, answer, partial(memory_tables, verbose=verbose), memory_rows)


@click.command()
@from_schema(TrainingSchema())
@_verbose
@asks
def training(session: Session, verbose: bool, **given: Any) -> None:
    answer = session.source.post("/api/memory/training", body_of(given))
    emit(session, answer, partial(memory_tables, verbose=verbose), memory_rows)


@click.command()
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--what", type=click.Choice(list(_WHAT)), default="inference", help="Which calculation.")
@click.option("--model", "-m", "models", multiple=True, help="One of the models; give it several times.")
@click.option("--set", "-s", "fixed", multiple=True, metavar="FIELD=VALUE", help="A field of all of them.")
@click.option(
    "--vary", multiple=True, metavar="FIELD=A,B,C", help="A field that takes each of these; several multiply."
)
@asks
def compare(
    session: Session, file: str | None, what: str, models: tuple[str, ...], fixed: tuple[str, ...],
    vary: tuple[str, ...],
) -> None:  # fmt: skip
    from .grid import compared, envelope_of, show_compared

    envelope = envelope_of(file, what, models, fixed, vary)
    show_compared(session, compared(session, envelope), envelope)
