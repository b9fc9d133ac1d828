"""Answers on stdout: as the interface gives them, as CSV, or as tables as wide as the terminal."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from .plain import plain
from .session import Answer, Session

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

Row = Mapping[str, Any]

# Also in full width, which some spreadsheets read alike.
_DANGEROUS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def emit(
    session: Session,
    answer: Answer,
    shown: Callable[[Session, Answer], Iterable["RenderableType"]],
    rows: Callable[[Answer], Iterable[Row]],
) -> None:
    """The answer in the format that was asked for; with CSV, warnings go to stderr."""
    if session.format == "json":
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    elif session.format == "csv":
        write_csv(list(rows(answer)))
        for warning in answer.get("warnings") or ():
            click.echo(plain(warning["message"]), err=True)
    else:
        show(shown(session, answer))


def show(parts: Iterable["RenderableType"]) -> None:
    """Print tables and lines, as wide as the terminal."""
    console = console_of()
    for part in parts:
        console.print(part)


def console_of(*, errors: bool = False) -> "Console":
    """A console on stdout or stderr, made when used: tests and pipes change what these are."""
    from rich.console import Console

    return Console(file=sys.stderr if errors else sys.stdout, highlight=False, soft_wrap=False)


def write_csv(rows: Sequence[Row]) -> None:
    """Rows with a line of names; text that a spreadsheet would take for a formula gets a quote before it."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(cell, names))
    writer.writerows([cell(row.get(name)) for name in names] for row in rows)


def cell(value: Any) -> Any:
    """A value for a spreadsheet: numbers as they are, text that cannot run.

    >>> cell("=1+1"), cell(-1)
    ("'=1+1", -1)
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    one_line = " ".join(text.splitlines())  # a lone carriage return would begin a row, unquoted
    return f"'{one_line}" if one_line.lstrip().startswith(_DANGEROUS) else one_line


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, left: int = 1) -> "Table":
    """A table whose first `left` columns are words and whose others are figures."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    made = Table(
        title=escape(plain(title)),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        show_header=any(columns),
    )
    for place, name in enumerate(columns):
        made.add_column(
            escape(name), justify="left" if place < left else "right", overflow="fold", no_wrap=place >= left
        )
    for row in rows:
        made.add_row(*(escape(text(value)) for value in row))
    return made


def text(value: Any) -> str:
    """A value for people.

    >>> text(1234567), text(0.123456), text(None)
    ('1,234,567', '0.1235', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return plain(str(value))


def warnings(answer: Answer) -> Iterator["RenderableType"]:
    """What the answer warns of, a line each."""
    from rich.padding import Padding
    from rich.text import Text

    for each in answer.get("warnings") or ():
        yield Padding(Text(f"! {plain(each['message'])}", style="yellow"), (0, 1))


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """A sign of life on stderr while one long question is answered; shown on terminals only."""
    if not sys.stderr.isatty():
        yield
        return
    with console_of(errors=True).status(label):
        yield


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while something long runs, shown on terminals only; call with steps done."""
    if not sys.stderr.isatty():
        yield lambda _steps: None
        return
    from rich.progress import Progress

    bar = Progress(console=console_of(errors=True), transient=True)
    with bar:
        task = bar.add_task(label, total=total)
        yield lambda steps: bar.advance(task, steps)
