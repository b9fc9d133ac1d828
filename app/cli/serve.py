"""`serve`: the HTTP service."""

import gc
from typing import Any, Final

import click

_USUAL: Final = (700, 10, 10)  # as Python starts with


class _Serve(click.Command):
    """Its help ends with the settings, read from their table."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from ..settings import SETTINGS

        rows = [(each.variable, f"{each.help} [{each.default or 'none'}]") for each in SETTINGS]
        with formatter.section("Environment"):
            formatter.write_dl(rows, col_max=40)


@click.command(cls=_Serve)
@click.option("--host", help="Address to bind [HOST, else 127.0.0.1].")
@click.option("--port", type=int, help="Port to bind [PORT, else 5000].")
@click.option("--workers", type=int, help="Worker processes [one per core].")
@click.option("--threads", type=int, help="Threads of each worker [4].")
def serve(**given: Any) -> None:
    from ..api.application import create_app
    from ..serve import serve as serve_app
    from ..settings import read_settings

    gc.set_threshold(*_USUAL)
    settings = read_settings(**{name: value for name, value in given.items() if value is not None})
    serve_app(create_app(settings), settings)
