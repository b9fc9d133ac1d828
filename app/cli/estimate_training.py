"""`estimate-training`: speed, duration and cost of training."""

from functools import partial
from typing import Any

import click

from ..api.schemas.training_speed import TrainingSpeedSchema
from .estimate import figure_rows, speed_tables
from .options import body_of, from_schema
from .output import emit
from .session import Session, asks


@click.command()
@from_schema(TrainingSpeedSchema())
@click.option("--detailed", is_flag=True, help="Memory by part, time by what it goes into.")
@click.option("--verbose", "-v", is_flag=True, help="Formulas and values, every default, definitions.")
@asks
def estimate_training(session: Session, detailed: bool, verbose: bool, **given: Any) -> None:
    answer = session.source.post("/api/performance/training", body_of(given))
    emit(session, answer, partial(speed_tables, detailed=detailed, verbose=verbose), figure_rows)
