"""Compare the published measurements of `validation/memory.jsonl` with what we predict; `make accuracy`.

Prints every figure and the summaries, and writes the report that GET /api/accuracy serves. With `--check`
nothing is written, and a report that no longer holds is an error.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.structs import replace

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.accuracy.evaluate import evaluate  # noqa: E402
from app.accuracy.runs import read_runs  # noqa: E402
from app.accuracy.summary import RESULTS, report  # noqa: E402
from app.memory.requests import InferenceRequest, Speculative  # noqa: E402
from app.service.lookup import Lookup  # noqa: E402
from app.service.questions import inference_question  # noqa: E402
from app.settings import read_settings  # noqa: E402


def asker(lookup: Lookup) -> Any:
    """From a run's request to a question of the core; a draft may be a method of the model's own."""

    def ask(fields: Mapping[str, Any]) -> InferenceRequest:
        values = dict(fields)
        speculative = values.pop("speculative", None)
        request = inference_question(values, lookup).request
        assert isinstance(request, InferenceRequest)
        if speculative:
            request = replace(
                request, speculative=Speculative(speculative["num_tokens"], None, speculative["method"])
            )
        return request

    return ask


def show(found: Mapping[str, Any]) -> None:
    """The report for people."""
    for row in found["rows"]:
        mark = " " if row["within_band"] is None else "+" if row["within_band"] else "!"
        print(
            f"{row['runtime']:<10} {row['version']:<5} {row['model'][-42:]:<42} {row['term']:<20} "
            f"{row['measured']:>14,.4f} {row['predicted']:>14,.4f} {100 * row['error']:>+8.2f}% {mark}"
        )
    for title in ("in_sample", "left_out", "by_kind"):
        print(f"\n{title.replace('_', ' ')}: rows, groups, median, p90, worst, inside the band")
        for line in found[title]:
            inside = "" if line["coverage"] is None else f"{100 * line['coverage']:.0f}%"
            size = f"{line['rows']:>4} {line['groups']:>3}"
            print(
                f"  {' / '.join(line['key']):<52} {size} {100 * line['median']:>8.3f}% "
                f"{100 * line['p90']:>8.3f}% {100 * line['worst']:>8.2f}%  {inside}"
            )
    print(f"\nnot compared: {len(found['not_compared'])} runs")


def main() -> int:
    """Evaluate, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing; fail if the report changed")
    check = arguments.parse_args().check
    with TemporaryDirectory() as folder:
        lookup = Lookup(read_settings({}, data_folder=Path(folder)))
        rows, left = evaluate(read_runs(ROOT / "validation" / "memory.jsonl"), asker(lookup))
    found = report(rows, left)
    show(found)
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if check:
        return int(RESULTS.read_text(encoding="utf-8") != text)
    RESULTS.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
