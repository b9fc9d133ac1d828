"""llm-estimate itself, by its Python interface: the request as the validation row has it."""

import sys
import tempfile
import time
from pathlib import Path

STARTED = time.perf_counter()
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from protocol import Case, figure, serve  # noqa: E402

from app.estimator.local import Local  # noqa: E402
from app.settings import read_settings  # noqa: E402

local = Local(read_settings({}, data_folder=Path(tempfile.mkdtemp())))


def answer(case: Case) -> tuple[float, str]:
    """One figure of `POST /api/performance/inference`, or what fits by `POST /api/memory/inference`."""
    if case["load"] == "memory":
        fits = local.post("/api/memory/inference", {**case["request"], "explain": False})
        return float(fits["capacity"]["max_concurrency"]), ""
    request = {name: value for name, value in case["request"].items() if name != "sequence_length"}
    found = local.post("/api/performance/inference", {**request, "explain": False})
    if case["metric"] in found:
        return float(found[case["metric"]]), ""
    return figure(case, found["ttft_ms"] / 1e3, found["tpot_ms"] / 1e3, case["batch"]), ""


serve(answer, STARTED)
