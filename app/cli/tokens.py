"""`token create`, `token list`, `token revoke`: who may use a protected service."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from ..errors import invalid
from ..service.tokens import SCOPES, hash_of, new_token
from .main import LazyGroup
from .output import emit, table
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..store.tokens import Token, Tokens

_HERE: Final = {"create": "tokens", "list": "tokens", "revoke": "tokens"}
_COLUMNS: Final = {
    "id": "id",
    "label": "label",
    "scopes": "scopes",
    "created": "created_at",
    "expires": "expires",
    "revoked": "revoked_at",
}  # and the word over each
_DAY: Final = 86_400  # [s]
_LONGEST_LABEL: Final = 200


class _Token(LazyGroup):
    """Its commands are in this very module."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = {"create": create, "list": list_tokens, "revoke": revoke}.get(cmd_name)
        if found is not None:
            from .main import spoken

            found.help = self.help_of(cmd_name, spoken(ctx))
        return found


@click.group(cls=_Token, modules=_HERE, prefix="token_")
def token() -> None:
    pass


@click.command()
@click.option("--scope", type=click.Choice(SCOPES), default="read", help="write includes read, admin both.")
@click.option("--label", default="", help="Whose it is, for the list.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Days that it holds [for ever].")
@asks
def create(session: Session, scope: str, label: str, days: float | None) -> None:
    if len(label) > _LONGEST_LABEL:
        raise invalid("label", "label_too_long", limit=_LONGEST_LABEL)
    made = new_token()
    expires = None if days is None else time.time() + days * _DAY
    kept = _stored().add(hash_of(made), (scope,), label, expires)
    answer = {**_row(kept), "token": made}
    emit(session, answer, _created, lambda found: [found])


@click.command("list")
@asks
def list_tokens(session: Session) -> None:
    answer = {"tokens": [_row(each) for each in _stored().list()]}
    emit(session, answer, _listed, lambda found: found["tokens"])


@click.command()
@click.argument("id")
@asks
def revoke(session: Session, id: str) -> None:  # noqa: A002
    if not _stored().revoke(id):
        raise invalid("id", "no_such_token", id=id[:80])
    emit(session, {"id": id, "revoked": True}, lambda s, _: [s.say("token_revoked", id=id)], lambda a: [a])


def _stored() -> "Tokens":
    from ..settings import read_settings
    from ..store import Store

    settings = read_settings()
    return Store(settings.database_url, settings.data_folder).tokens


def _row(kept: "Token") -> dict[str, Any]:
    return {
        "id": kept.id,
        "label": kept.label,
        "scopes": list(kept.scopes),
        "created": _moment(kept.created),
        "expires": _moment(kept.expires),
        "revoked": _moment(kept.revoked),
        "valid": kept.valid_at(time.time()),
    }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _created(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    from rich.text import Text

    yield Text(session.say("token_created", id=answer["id"], scope=answer["scopes"][0]))
    yield Text(answer["token"], no_wrap=True, overflow="ignore")


def _listed(session: Session, answer: Answer) -> Iterator["RenderableType"]:
    rows = [[_words(each[name]) for name in _COLUMNS] for each in answer["tokens"]]
    yield table("", [session.say(f"token_{word}") for word in _COLUMNS.values()], rows, left=len(_COLUMNS))


def _words(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else value or ""
