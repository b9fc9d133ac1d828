"""`completion`: the line that makes a shell complete commands, options, models and accelerators."""

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    from click.shell_completion import get_completion_class

    from .main import PROGRAM, program

    made = get_completion_class(shell)
    assert made is not None  # noqa: S101 - the choices are those that click has
    click.echo(made(program, {}, PROGRAM, "_LLM_ESTIMATE_COMPLETE").source())
