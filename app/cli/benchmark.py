"""`benchmark`: speed over a grid of lengths and batch sizes."""

from typing import Any

import click

from ..api.schemas.performance import PerformanceSchema
from .grid import compared, grid, show_compared
from .options import body_of, fields_by_name, from_schema, read
from .session import Session, asks

_AXES = {"input_lengths": "input_length", "output_lengths": "output_length", "batch_sizes": "batch_size"}
_LEFT_OUT = (*_AXES.values(), "sequence_length", "explain", "top_ops")


@click.command()
@from_schema(PerformanceSchema(), without=_LEFT_OUT)
@click.option(
    "--input-lengths", default="512,1024,2048", metavar="A,B,C", help="Tokens read [512,1024,2048]."
)
@click.option("--output-lengths", default="128,256", metavar="A,B,C", help="Tokens written [128,256].")
@click.option("--batch-sizes", default="1", metavar="A,B,C", help="Sequences that start together [1].")
@asks
def benchmark(session: Session, **given: Any) -> None:
    fields = fields_by_name(PerformanceSchema())
    axes = {
        name: [read(fields[name], part.strip(), name) for part in given.pop(option).split(",")]
        for option, name in _AXES.items()
    }
    envelope = grid("performance", body_of(given), axes)
    show_compared(session, compared(session, envelope), envelope)
