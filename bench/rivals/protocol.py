"""How a tool is asked: cases as JSON lines on stdin, answers as JSON lines on stdout, each timed.

These files run in the tool's own environment, so they import nothing of this project.
"""

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

Case = dict[str, Any]
AGAIN = 3
LONG = 2.0  # seconds: what takes longer is asked once more, not three times


class NoAnswerError(Exception):
    """The tool has no answer to a case; the text says why."""


def serve(answer: Callable[[Case], tuple[float, str]], started: float) -> None:
    """Answer every case; `answer` gives the figure in the metric's unit and a note."""
    ready = time.perf_counter() - started
    out = sys.stdout
    for line in sys.stdin:
        case = json.loads(line)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found = _timed(answer, case)
        out.write(json.dumps({"id": case["id"], "ready_s": ready, **found}) + "\n")
        out.flush()


def _timed(answer: Callable[[Case], tuple[float, str]], case: Case) -> dict[str, Any]:
    begin = time.perf_counter()
    try:
        value, note = answer(case)
    except NoAnswerError as error:
        return {"value": None, "note": str(error)}
    except Exception as error:  # a tool may raise anything; what it says is the answer
        return {"value": None, "note": f"{type(error).__name__}: {str(error)[:160]}"}
    first = time.perf_counter() - begin
    times = []
    for _ in range(1 if first > LONG else AGAIN):
        begin = time.perf_counter()
        answer(case)
        times.append(time.perf_counter() - begin)
    return {"value": value, "note": note, "first_s": first, "again_s": median(times)}


def figure(case: Case, ttft: float, gap: float, batch: float) -> float:
    """The metric from the time to the first token [s] and between tokens [s] of `batch` sequences."""
    read, written = case["input_length"], case["output_length"]
    whole = ttft + (written - 1) * gap
    match case["metric"]:
        case "ttft_ms":
            return 1e3 * ttft
        case "tpot_ms" | "itl_ms":
            return 1e3 * gap
        case "tpot_ms_all_tokens":
            return 1e3 * whole / written
        case "e2e_latency_ms":
            return 1e3 * whole
        case "output_tokens_per_sec":
            return batch * written / whole
        case "throughput_tokens_per_sec":
            return batch * (read + written) / whole
        case "prompt_tokens_per_sec":
            return batch * read / ttft
        case "generated_tokens_per_sec":
            return batch / gap
    raise NoAnswerError(f"no {case['metric']}")
