"""`sweep`: every combination of what varies, up to millions of points; shown, or written to a file."""

import csv
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from ..errors import invalid
from .grid import CALCULATIONS, HEADINGS, figure, settings_of
from .options import fields_by_name
from .output import Row, cell, emit, progress, table, write_csv
from .session import Answer, Session, asks

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..estimator.local import Local
    from .remote import Remote

ASKED: Final = {
    "inference": "memory_inference",
    "training": "memory_training",
    "performance": "performance_inference",
    "training-performance": "performance_training",
}
SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet", ".csv": "csv"}
LOOK_S: Final = 0.5

Advance = Callable[[int], None]


@click.command()
@click.option("--what", type=click.Choice(list(ASKED)), default="inference", help="Which calculation.")
@click.option("--model", "-m", "models", multiple=True, help="A model; several are one axis.")
@click.option("--accelerator", "-g", "gpus", multiple=True, help="An accelerator; several are one axis.")
@click.option("--set", "-s", "fixed", multiple=True, metavar="FIELD=VALUE", help="A field of every point.")
@click.option(
    "--vary",
    multiple=True,
    metavar="FIELD=A,B,C",
    help="A field that takes each of these, or of a range A..B+STEP or A..B*TIMES; several multiply.",
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write rows to .ndjson, .parquet or .csv instead of showing them.")  # fmt: skip
@click.option(
    "--processes", type=click.IntRange(0), help="That compute here [as many as cores]; 0 is this one."
)
@asks
def sweep(
    session: Session, what: str, models: tuple[str, ...], gpus: tuple[str, ...], fixed: tuple[str, ...],
    vary: tuple[str, ...], output: Path | None, processes: int | None,
) -> None:  # fmt: skip
    form = None if output is None else _form(output)
    vary = (f"gpu={','.join(gpus)}", *vary) if gpus else vary
    vary = (f"model_name={','.join(models)}", *vary) if models else vary
    body = body_of(what, fixed, vary)
    if output is not None and form is not None:
        _write(session, body, output, form, processes)
        return
    answer = _answer(session, body, processes)
    if session.format == "csv":
        write_csv(answer["rows"])
    else:
        emit(
            session,
            answer,
            lambda *_: _tables(session, answer, what, list(body["vary"])),
            lambda _: answer["rows"],
        )


def body_of(what: str, fixed: Sequence[str], vary: Sequence[str]) -> dict[str, Any]:
    """The body of `POST /api/sweeps`; fields of inner objects make one axis of whole objects."""
    fields = fields_by_name(CALCULATIONS[what].schema)
    common, common_inner = _apart({name: value for name, (value,) in settings_of(fixed, fields, split=False)})
    axes, axes_inner = _apart({name: places for each in vary for name, places in _axis(each, fields)})
    for outer, parts in axes_inner.items():
        same = common_inner.pop(outer, {})
        axes[outer] = [{**same, **dict(zip(parts, each, strict=True))} for each in product(*parts.values())]
    return {"calculation": ASKED[what], "fixed": {**common, **common_inner}, "vary": axes}


def _axis(given: str, fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The field of one `--vary`, and its values or its range."""
    found = _range_of(given)
    ((name, values),) = settings_of([given], fields, split=True)
    return [(name, found or values)]


def _apart(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Fields of the request, and by object the fields inside."""
    plain: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        outer, dot, field = name.partition(".")
        if dot:
            inner.setdefault(outer, {})[field] = value
        else:
            plain[name] = value
    return plain, inner


def _range_of(given: str) -> dict[str, int] | None:
    """`A..B`, `A..B+STEP` or `A..B*TIMES` as the interface has a range.

    >>> _range_of("batch_size=1..64*2"), _range_of("batch_size=1,2")
    ({'from': 1, 'to': 64, 'times': 2}, None)
    """
    low, dots, rest = given.partition("=")[2].partition("..")
    if not dots:
        return None
    sign = "+" if "+" in rest else "*"
    high, _, step = rest.partition(sign)
    if not all(part.strip().isdigit() for part in (low, high, step or "1")):
        raise invalid(given.partition("=")[0], "sweep_not_a_range")
    ends = {"from": int(low), "to": int(high)}
    return {**ends, {"+": "step", "*": "times"}[sign]: int(step)} if step else ends


def _answer(session: Session, body: Answer, processes: int | None) -> Answer:
    """The answer with all rows, wherever it is computed."""
    from .remote import Remote

    if isinstance(session.source, Remote):
        answer = session.source.post("/api/sweeps", body)
        if "rows" in answer:
            return answer
        lines = _fetched(session, session.source, answer, "ndjson")
        done = {**answer, "state": "done", "done": answer["total"]}
        return {**done, "rows": [orjson.loads(line) for line in b"".join(lines).splitlines()]}
    found = _local(session).sweep(body, processes)
    with progress(session.say("comparing", count=len(found)), len(found)) as advance:
        return found.answer(advance)


def _write(session: Session, body: Answer, output: Path, form: str, processes: int | None) -> None:
    """Rows into a file, as they come."""
    from .remote import Remote

    if isinstance(session.source, Remote):
        answer = session.source.post("/api/sweeps", body)
        chunks = (
            _of_rows(answer, form) if "rows" in answer else _fetched(session, session.source, answer, form)
        )
        _save(chunks, output, form)
        count = answer["total"]
    else:
        found = _local(session).sweep(body, processes)
        count = len(found)
        with progress(session.say("comparing", count=count), count) as advance:
            _save(found.chunks("ndjson" if form == "csv" else form, advance), output, form, found.columns)
    click.echo(session.say("sweep_written", count=count, path=output), err=True)


def _of_rows(answer: Answer, form: str) -> Iterator[bytes]:
    if form == "parquet":
        raise invalid("output", "cli_sweep_small_parquet")
    return (orjson.dumps(row) + b"\n" for row in answer["rows"])


def _fetched(session: Session, source: "Remote", job: Answer, form: str) -> Iterator[bytes]:
    """The rows of a queued sweep once it is done; raises `InvalidRequest` where it fails."""
    path = f"/api/sweeps/{job['id']}"
    with progress(session.say("comparing", count=job["total"]), job["total"]) as advance:
        while job["state"] in ("queued", "running"):
            time.sleep(LOOK_S)
            before, job = job["done"], source.get(path)
            advance(job["done"] - before)
    if job["state"] != "done":
        raise invalid("vary", "cli_sweep_failed", reason=job["error"] or job["state"])
    return source.stream(f"{path}/result", {"format": "parquet" if form == "parquet" else "ndjson"})


def _save(chunks: Iterable[bytes], output: Path, form: str, names: Iterable[str] | None = None) -> None:
    """Bytes as they are, or JSON lines as CSV."""
    if form != "csv":
        with output.open("wb") as file:
            file.writelines(chunks)
        return
    with output.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        heads = list(names or ())
        for row in _lines(chunks):
            if not heads:
                heads = [*row, "error", "error_message"]
            if text.tell() == 0:
                writer.writerow(map(cell, heads))
            writer.writerow([cell(row.get(name)) for name in heads])


def _lines(chunks: Iterable[bytes]) -> Iterator[Row]:
    """JSON lines out of chunks that end anywhere."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(orjson.loads, lines)


def _local(session: Session) -> "Local":
    from ..estimator.local import Local

    assert isinstance(session.source, Local)  # noqa: S101 - the other kind was looked for before
    return session.source


def _form(output: Path) -> str:
    form = SUFFIXES.get(output.suffix.lower())
    if form is None:
        raise invalid("output", "sweep_not_a_file", value=output.name[:80], known=", ".join(SUFFIXES))
    return form


def _tables(session: Session, answer: Answer, what: str, varied: list[str]) -> Iterator["RenderableType"]:
    rows = answer["rows"]
    named = ["model" if name in ("model_name", "config", "model_size") else name for name in varied]
    names = [*named, *CALCULATIONS[what].figures]
    lines = [[*(figure(name, row.get(name)) for name in names), _state(session, row)] for row in rows]
    columns = [HEADINGS.get(name, name) for name in names]
    yield table(session.say("compared", count=len(rows)), [*columns, ""], lines, left=len(named))


def _state(session: Session, row: Row) -> str:
    if "error" in row:
        return str(row["error_message"])
    fits = row.get("fits")
    return "" if fits is None else session.say("yes" if fits else "no_fit")
