"""`sweep`: every combination of what varies, as large as one likes."""

import click

from .grid import CALCULATIONS, compared, envelope_of, show_compared
from .session import Session, asks


@click.command()
@click.option("--what", type=click.Choice(list(CALCULATIONS)), default="inference", help="Which calculation.")
@click.option("--model", "-m", "models", multiple=True, help="A model; several are one axis.")
@click.option("--accelerator", "-g", "gpus", multiple=True, help="An accelerator; several are one axis.")
@click.option("--set", "-s", "fixed", multiple=True, metavar="FIELD=VALUE", help="A field of every point.")
@click.option(
    "--vary", multiple=True, metavar="FIELD=A,B,C", help="A field that takes each of these; several multiply."
)
@asks
def sweep(
    session: Session, what: str, models: tuple[str, ...], gpus: tuple[str, ...], fixed: tuple[str, ...],
    vary: tuple[str, ...],
) -> None:  # fmt: skip
    vary = (f"gpu={','.join(gpus)}", *vary) if gpus else vary
    envelope = envelope_of(None, what, models, fixed, vary)
    show_compared(session, compared(session, envelope), envelope)
