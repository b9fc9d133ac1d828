"""`mcp`: the calculations as tools for agents, over stdin and stdout."""

from importlib.util import find_spec

import click

from ..messages import Message
from .main import spoken


@click.command()
@click.option("--language", type=click.Choice(["en", "zh"]), help="Language of sentences [default: en].")
@click.pass_context
def mcp(ctx: click.Context, language: str | None) -> None:
    if find_spec("mcp") is None:
        click.echo(Message("cli_needs_mcp").text(spoken(ctx)), err=True)
        ctx.exit(1)
    from ..estimator.functions import local
    from ..mcp.server import serve

    serve(local(spoken(ctx)))
