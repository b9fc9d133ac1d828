"""`interactive`: questions one after the other, the answer, and the command that gives it again."""

import shlex
from typing import Any, Final

import click

from ..errors import DomainError
from ..estimator.performance import INPUT_LENGTH, OUTPUT_LENGTH
from .estimate import speed_tables
from .memory_tables import memory_tables
from .output import show
from .refusals import Refused
from .session import Answer, Session, asks

_PATHS: Final = {
    "estimate": "/api/performance/inference",
    "memory inference": "/api/memory/inference",
    "memory training": "/api/memory/training",
}
_OPTIONS: Final = {"model_name": "--model", "gpu": "--accelerator"}


@click.command()
@asks
def interactive(session: Session) -> None:
    click.echo(session.say("welcome"))
    while True:
        command = click.prompt(session.say("ask_what"), type=click.Choice(list(_PATHS)), default="estimate")
        body = _questions(session, command)
        answer = _answer(session, _PATHS[command], body)
        if answer is not None:
            show((speed_tables if command == "estimate" else memory_tables)(session, answer))
            click.echo(f"$ {command_line(command, body)}\n")
        if not click.confirm(session.say("ask_again"), default=True):
            return


def command_line(command: str, body: dict[str, Any]) -> str:
    """The command that asks the same, every word quoted.

    >>> command_line("estimate", {"model_name": "a b", "batch_size": 2})
    "llm-estimate estimate --model 'a b' --batch-size 2"
    """
    words = ["llm-estimate", *command.split()]
    for name, value in body.items():
        words += [_OPTIONS.get(name, f"--{name.replace('_', '-')}"), str(value)]
    return shlex.join(words)


def _questions(session: Session, command: str) -> dict[str, Any]:
    body: dict[str, Any] = {"model_name": _known(session, "ask_model", "/api/models/", "Qwen3-8B")}
    body["gpu"] = _known(session, "ask_gpu", "/api/gpus/", "RTX-4090")
    body["batch_size"] = click.prompt(session.say("ask_batch"), default=1, type=int)
    if command == "memory training":
        body["sequence_length"] = click.prompt(session.say("ask_sequence"), default=2048, type=int)
        body["method"] = click.prompt(session.say("ask_method"), default="full")
        return body
    body["input_length"] = click.prompt(session.say("ask_input"), default=INPUT_LENGTH, type=int)
    body["output_length"] = click.prompt(session.say("ask_output"), default=OUTPUT_LENGTH, type=int)
    return body


def _known(session: Session, question: str, path: str, default: str) -> str:
    """A name that is there; whoever mistypes is told the closest and asked again."""
    while True:
        name: str = click.prompt(session.say(question), default=default)
        try:
            return str(session.source.get(path + name)["name"])
        except DomainError as error:
            click.echo(error.text(session.language), err=True)
        except Refused as error:
            if error.body.get("status") != 404:
                raise
            click.echo(str(error), err=True)


def _answer(session: Session, path: str, body: dict[str, Any]) -> Answer | None:
    try:
        return session.source.post(path, body)
    except DomainError as error:
        click.echo(error.text(session.language), err=True)
    except Refused as error:
        click.echo(str(error), err=True)
    return None
