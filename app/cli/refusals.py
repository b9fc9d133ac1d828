"""What goes wrong: one sentence on stderr, what to mend below it, and an exit code that says which kind."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import click

from ..errors import DomainError
from .plain import plain

FAILED: Final = 1
WRONG: Final = 2  # as click's own for wrong usage
NOT_FOUND: Final = 3
NOT_SUPPORTED_YET: Final = 4
UNREACHABLE: Final = 5

_BY_CODE: Final = {"not_supported_yet": NOT_SUPPORTED_YET, "not_found": NOT_FOUND, "hub_not_found": NOT_FOUND}


class Refused(Exception):
    """A server's error, as the body that it sent."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        super().__init__(str(body.get("error")))


@contextmanager
def refuse(ctx: click.Context) -> Iterator[None]:
    """Turn a refusal, from here or from a server, into words on stderr and an exit code."""
    try:
        yield
    except DomainError as error:
        from ..api.error_body import error_body
        from .main import spoken

        _leave(ctx, error_body(error, spoken(_innermost(ctx))))
    except Refused as error:
        _leave(ctx, error.body)


def exit_code(body: Mapping[str, Any]) -> int:
    """The exit code of an error body."""
    if (code := _BY_CODE.get(str(body.get("code")))) is not None:
        return code
    status = int(body.get("status") or 0)
    if status >= 500:
        return UNREACHABLE
    return WRONG if status in (400, 413, 422) else FAILED


def _innermost(ctx: click.Context) -> click.Context:
    innermost: click.Context = ctx.meta.get("llm_estimate.innermost", ctx)
    return innermost


def _leave(ctx: click.Context, body: Mapping[str, Any]) -> NoReturn:
    if _innermost(ctx).params.get("format") == "json":
        click.echo(json.dumps(body, ensure_ascii=False, indent=2), err=True)
    else:
        click.echo(plain(f"llm-estimate: {body.get('error')}"), err=True)
        for detail in body.get("details") or ():
            if detail.get("message") != body.get("error"):
                click.echo(plain(f"  {detail.get('message')}"), err=True)
    ctx.exit(exit_code(body))
