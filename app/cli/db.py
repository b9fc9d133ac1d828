"""`db status`, `db upgrade`, `db backup`, `db restore`, `db purge`: looking after the store."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .main import LazyGroup
from .output import emit, table
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..store import Store

_NAMES: Final = ("status", "upgrade", "backup", "restore", "purge")


class _Db(LazyGroup):
    """Its commands are in this very module."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = {each.name: each for each in (status, upgrade, backup, restore, purge)}.get(cmd_name)
        if found is not None:
            from .main import spoken

            found.help = self.help_of(cmd_name, spoken(ctx))
        return found


@click.group(cls=_Db, modules=dict.fromkeys(_NAMES, "db"), prefix="db_")
def db() -> None:
    pass


@click.command()
@asks
def status(session: Session) -> None:
    from ..store.status import status as found

    _show(session, found(_store().database), "db_holds")


@click.command()
@asks
def upgrade(session: Session) -> None:
    from ..store.status import status as found

    store = _store()
    store.database.prepare()
    _show(session, found(store.database), "db_holds")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@asks
def backup(session: Session, file: Path) -> None:
    from ..store.backup import back_up

    _show(session, {"file": str(file), "rows": back_up(_store().database, file)}, "db_backed_up")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="What the store holds is replaced.")
@asks
def restore(session: Session, file: Path, replace: bool) -> None:
    from ..store.backup import restore as put_back

    rows = put_back(_store().database, file, replace=replace)
    _show(session, {"file": str(file), "rows": rows}, "db_restored")


@click.command()
@asks
def purge(session: Session) -> None:
    _show(session, {"rows": _store().purge()}, "db_purged")


def _store() -> "Store":
    from ..settings import read_settings
    from ..store import Store

    return Store.from_settings(read_settings())


def _show(session: Session, answer: Answer, title: str) -> None:
    emit(session, answer, partial(_tables, title=title), _rows)


def _tables(session: Session, answer: Answer, title: str) -> Iterator["RenderableType"]:
    yield session.say(title, file=answer.get("file", ""))
    for name in ("database", "version"):
        if name in answer:
            yield f"{name}: {answer[name]}"
    rows = [(each["table"], each["rows"]) for each in _rows(answer)]
    yield table("", [session.say("db_table"), session.say("db_rows")], rows)


def _rows(answer: Answer) -> list[dict[str, Any]]:
    return [{"table": name, "rows": count} for name, count in answer["rows"].items()]
