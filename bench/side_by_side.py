"""What others answer to the same measured cases, beside our answer and the measured value, in one run.

    python -m bench.side_by_side               make environments in a temporary folder, ask, print
    python -m bench.side_by_side --write       and put the tables into bench/README.md
    python -m bench.side_by_side --environments FOLDER   reuse (or make) the environments there

Cases are chosen by a rule and not by hand: of every source, device and runtime in `validation/
performance.jsonl` the row in the middle by its id, if its conditions are complete. Each tool runs in an
environment of its own, takes the same cases one after the other, and is asked as its documentation says;
how a case is put to it stands in `bench/rivals/ask_*.py`.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RIVALS = ROOT / "bench" / "rivals"
README = ROOT / "bench" / "README.md"
ROWS = ROOT / "validation" / "performance.jsonl"
MEMORY = ROOT / "validation" / "memory.jsonl"
MEMORY_EVERY = 3
LEFT_OUT = ROOT / "validation" / "accuracy_speed.json"
ROOM = "max_concurrency"
# What is installed for each, and the environment that it runs in (None: ours).
TOOLS = {
    "ours": None,
    "aiconfigurator": "aiconfigurator==0.12.0",
    "genz": "genz-llm==0.0.16",
    "chimeraforge": "chimeraforge==0.76.0",
}
FLOOD_BATCH, FLOOD_LOOP = 500, 100  # requests at once that no server runs side by side
TIMEOUT = 3600.0

sys.path.insert(0, str(ROOT))

from app.architecture.operations import Experts  # noqa: E402
from app.service.lookup import Lookup  # noqa: E402
from app.settings import read_settings  # noqa: E402

Case = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """A tool's answer to a case, its note, and seconds: to be ready, for a first and for a later call."""

    value: float | None
    note: str
    ready: float
    first: float | None
    again: float | None


def chosen() -> list[dict[str, Any]]:
    """The row in the middle of every source, device and runtime."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for line in ROWS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if not row.get("excluded") and row["confidence"] != "low":
            groups.setdefault((row["group"], _gpu_name(row), row["request"]["backend"]), []).append(row)
    rows = [sorted(groups[name], key=lambda row: row["id"]) for name in sorted(groups)]
    return [found[len(found) // 2] for found in rows]


def _gpu_name(row: Mapping[str, Any]) -> str:
    gpu = row["request"]["gpu"]
    return gpu if isinstance(gpu, str) else str(row["conditions"]["gpu"])


def case_of(row: Mapping[str, Any], lookup: Lookup) -> Case:
    """A row as every tool is told it."""
    request = row["request"]
    batch = request.get("batch_size") or request.get("concurrency") or 1
    return {
        "id": row["id"],
        "metric": row["metric"],
        "request": request,
        "model": _model(request["model_name"], lookup),
        "gpu": _gpu(row, lookup),
        "backend": request["backend"],
        "load": _load(request),
        "batch": batch,
        "rate": request.get("request_rate"),
        "input_length": request["input_length"],
        "output_length": request["output_length"],
        "quantization": request.get("quantization") or _own_format(request["model_name"], lookup),
        "kv_cache_dtype": request.get("kv_cache_dtype", "auto"),
        **{name: request.get(name, 1) for name in
           ("tensor_parallel", "pipeline_parallel", "data_parallel", "expert_parallel")},
    }  # fmt: skip


def memory_cases(lookup: Lookup) -> tuple[list[dict[str, Any]], list[Case]]:
    """Every third run whose log says how many sequences of the full length fit, and the cases of these."""
    lines = MEMORY.read_text(encoding="utf-8").splitlines()
    known = [row for row in map(json.loads, lines) if ROOM in (row.get("measured") or {})]
    rows = [{**row, "metric": ROOM, "measured": row["measured"][ROOM]} for row in known[::MEMORY_EVERY]]
    return rows, [memory_case(row, lookup) for row in rows]


def memory_case(row: Mapping[str, Any], lookup: Lookup) -> Case:
    """A run as every tool is told it: prompts of the full length, one token after them."""
    request = row["request"]
    asked = {**row, "request": {**request, "input_length": request["sequence_length"], "output_length": 1}}
    utilization = request.get("gpu_memory_utilization", 0.9)
    return {**case_of(asked, lookup), "request": request, "load": "memory", "utilization": utilization}


def _load(request: Mapping[str, Any]) -> str:
    if request.get("request_rate") is not None:
        return "rate"
    if request.get("batch_size", 1) >= FLOOD_BATCH or request.get("concurrency", 1) >= FLOOD_LOOP:
        return "flood"
    return "closed" if request.get("concurrency") else "static"


def _own_format(name: str, lookup: Lookup) -> str:
    config = lookup.named(name).entry.config
    method = (config.get("quantization_config") or {}).get("quant_method")
    return str(method) if method else "none"


def _model(name: str, lookup: Lookup) -> dict[str, Any]:
    entry = lookup.named(name).entry
    architecture, config = entry.architecture, entry.config
    text = config.get("text_config") or config
    experts = next((op for _, op in architecture.operations() if isinstance(op, Experts)), None)
    hidden, heads = architecture.hidden_size, text.get("num_attention_heads") or text.get("n_head") or 1
    return {
        "name": entry.name,
        "repo": entry.repo_id,
        "type": architecture.model_type,
        "config": dict(config),
        "parameters_b": architecture.parameters.total / 1e9,
        "layers": text.get("num_hidden_layers") or text.get("n_layer"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": text.get("num_key_value_heads") or text.get("num_kv_heads") or heads,
        "head_dim": text.get("head_dim") or hidden // heads,
        "intermediate": text.get("intermediate_size") or text.get("n_inner") or 4 * hidden,
        "vocabulary": text.get("vocab_size"),
        "experts": 0 if experts is None else experts.count,
        "top_k": 0 if experts is None else experts.top_k,
        "expert_width": text.get("moe_intermediate_size") or text.get("intermediate_size"),
    }


def _gpu(row: Mapping[str, Any], lookup: Lookup) -> dict[str, Any]:
    found = lookup.gpu(row["request"]["gpu"]).accelerator
    return {
        "name": found.name,
        "label": found.label if found.name != "custom" else row["conditions"]["gpu"],
        "memory_gb": found.memory_gb,
        "bandwidth": found.memory_bandwidth_gb_s,
        "tflops": dict(found.tflops),
        "link": found.interconnect_gb_s,
    }


def python_of(tool: str, folder: Path) -> str:
    """The interpreter of a tool's environment, made where it is missing."""
    wanted = TOOLS[tool]
    if wanted is None:
        return sys.executable
    home = folder / tool
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", wanted], check=True)
    return str(python)


def ask(tool: str, cases: Sequence[Case], folder: Path) -> dict[str, Reply]:
    """Every case put to one tool."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    script = RIVALS / f"ask_{tool}.py"
    done = subprocess.run(
        [python_of(tool, folder), str(script)], input=lines, stdout=subprocess.PIPE, text=True,
        timeout=TIMEOUT, check=True, cwd=tempfile.gettempdir(),
    )  # fmt: skip
    found = {}
    for line in done.stdout.splitlines():
        each = json.loads(line)
        found[each["id"]] = Reply(
            each["value"], each["note"], each["ready_s"], each.get("first_s"), each.get("again_s")
        )
    return found


def error(value: float, row: Mapping[str, Any]) -> float:
    """Predicted over measured, less one."""
    return float(value / row["measured"] - 1)


def size_of(errors: Sequence[float]) -> str:
    """Median and ninetieth percentile of the errors' sizes."""
    sizes = sorted(abs(each) for each in errors)
    return f"{median(sizes):.0%} | {sizes[int(0.9 * (len(sizes) - 1) + 0.5)]:.0%}" if sizes else " | "


def summary(rows: Sequence[Mapping[str, Any]], replies: Mapping[str, Mapping[str, Reply]]) -> list[str]:
    """One line for each tool: its errors, ours on the same cases, its times."""
    columns = ("tool", "answered", "median error", "p90", "ours on the same", "p90", "ours unseen", "p90",
               "nearer than ours unseen", "ready", "first answer", "later answers", "times ours")  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "| --- |" + " ---: |" * (len(columns) - 1)]
    for tool, found in replies.items():
        mine = [row for row in rows if found[row["id"]].value is not None]
        both = [row for row in mine if unseen(row, replies) is not None]
        if both:
            lines.append(line(tool, rows, mine, both, replies))
    return lines


def line(
    tool: str, rows: Sequence[Mapping[str, Any]], mine: Sequence[Mapping[str, Any]],
    both: Sequence[Mapping[str, Any]], replies: Mapping[str, Mapping[str, Reply]],
) -> str:  # fmt: skip
    """Of the cases that a tool answers, and those of them that both answer."""
    found, ours = replies[tool], replies["ours"]
    theirs = [error(found[row["id"]].value or 0.0, row) for row in mine]
    same = [error(ours[row["id"]].value or 0.0, row) for row in both if ours[row["id"]].value is not None]
    blind = [error(unseen(row, replies) or 0.0, row) for row in both]
    against = [error(found[row["id"]].value or 0.0, row) for row in both]
    nearer = sum(abs(a) < abs(b) for a, b in zip(against, blind, strict=True))
    first = median(found[row["id"]].first or 0.0 for row in mine)
    again = median(found[row["id"]].again or 0.0 for row in mine)
    times = [(found[row["id"]].again, ours[row["id"]].again) for row in both]
    ratio = median(a / b for a, b in times if a and b)
    cells = (
        TOOLS[tool] or "llm-estimate", f"{len(mine)} of {len(rows)}", size_of(theirs), size_of(same),
        size_of(blind), "" if tool == "ours" else f"{nearer} of {len(both)}",
        f"{found[rows[0]['id']].ready:.1f} s", f"{1e3 * first:,.0f} ms", f"{1e3 * again:,.1f} ms",
        f"{ratio:,.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def unseen(row: Mapping[str, Any], replies: Mapping[str, Mapping[str, Reply]]) -> float | None:
    """Our answer by a fit that saw neither the row's source nor its device; any, where no fit saw the row."""
    return known_left_out().get(row["id"], replies["ours"][row["id"]].value)


@cache
def known_left_out() -> dict[str, float]:
    """Our predictions by fits that saw neither the row's source nor its device."""
    found: dict[str, float] = json.loads(LEFT_OUT.read_text(encoding="utf-8"))["left_out"]
    return found


def table(
    rows: Sequence[Mapping[str, Any]], cases: Sequence[Case], replies: Mapping[str, Mapping[str, Reply]]
) -> list[str]:
    """Every case with every answer."""
    left_out = known_left_out()
    rivals = [tool for tool in replies if tool != "ours"]
    lines = [
        "| case | measured | ours | left out | " + " | ".join(rivals) + " |",
        "| --- | ---: | ---: | ---: | " + " | ".join("---" for _ in rivals) + " |",
    ]
    for row, case in zip(rows, cases, strict=True):
        name = row["id"]
        blind = left_out.get(name)
        cells = [
            described(row, case),
            f"{row['measured']:,.4g} {unit(row['metric'])}",
            shown(replies["ours"][name], row, brief=True),
            ("" if row["metric"] == ROOM else "not in the fit")
            if blind is None
            else f"{error(blind, row):+.0%}",
            *(shown(replies[tool][name], row) for tool in rivals),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def described(row: Mapping[str, Any], case: Case) -> str:
    """What ran, in a few words."""
    sizes = {
        "TP": "tensor_parallel",
        "PP": "pipeline_parallel",
        "DP": "data_parallel",
        "EP": "expert_parallel",
    }
    layout = " ".join(f"{short}{case[name]}" for short, name in sizes.items() if case[name] > 1)
    load = {
        "static": f"batch {case['batch']}",
        "closed": f"{case['batch']} at once",
        "flood": f"{case['batch']} waiting",
        "rate": f"{case['rate']} requests/s",
        "memory": "how many fit",
    }[case["load"]]
    runtime = f"{case['backend']} {row['request'].get('backend_version') or ''}".strip(" .")
    parts = [case["model"]["name"], case["gpu"]["label"], runtime, layout,
             "" if case["quantization"] == "none" else case["quantization"],
             f"{case['input_length']} → {case['output_length']}", load]  # fmt: skip
    return ", ".join(part for part in parts if part)


def unit(metric: str) -> str:
    """Of a figure, with what it is."""
    names = {
        "ttft_ms": "ms to the first token",
        "tpot_ms": "ms a token",
        "itl_ms": "ms between tokens",
        "tpot_ms_all_tokens": "ms a token (all)",
        "e2e_latency_ms": "ms in all",
        "output_tokens_per_sec": "output tokens/s",
        "throughput_tokens_per_sec": "tokens/s in and out",
        "prompt_tokens_per_sec": "prompt tokens/s",
        "generated_tokens_per_sec": "generated tokens/s",
        ROOM: "sequences",
    }
    return names[metric]


def shown(reply: Reply, row: Mapping[str, Any], *, brief: bool = False) -> str:
    """An answer, its error and its note."""
    if reply.value is None:
        note = reply.note.replace("|", "/").replace("\n", " ")
        return f"none: {note[:90]}"
    text = f"{reply.value:,.4g} ({error(reply.value, row):+.0%})"
    return text if brief or not reply.note else f"{text}; {reply.note}"


def main() -> int:
    """Ask, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into bench/README.md")
    parser.add_argument("--environments", type=Path, help="folder of the tools' environments")
    parser.add_argument("--tools", nargs="*", default=list(TOOLS), choices=list(TOOLS))
    parser.add_argument("--only", choices=["speed", "memory"], help="one of the two tables")
    arguments = parser.parse_args()
    tools = list(dict.fromkeys(["ours", *arguments.tools]))
    with tempfile.TemporaryDirectory() as folder:
        lookup = Lookup(read_settings({}, data_folder=Path(folder)))
        place = arguments.environments or Path(folder)
        for what in [arguments.only] if arguments.only else ["speed", "memory"]:
            if what == "memory":
                rows, cases = memory_cases(lookup)
            else:
                rows = chosen()
                cases = [case_of(row, lookup) for row in rows]
            lines = report(rows, cases, asked(tools, cases, place))
            print("\n".join(lines))
            if arguments.write:
                write(lines, what)
    return 0


def asked(tools: Sequence[str], cases: Sequence[Case], folder: Path) -> dict[str, dict[str, Reply]]:
    """Every tool, one after the other."""
    found = {}
    for tool in tools:
        print(f"asking {tool}: {len(cases)} cases", flush=True)
        found[tool] = ask(tool, cases, folder)
    return found


def report(
    rows: Sequence[Mapping[str, Any]], cases: Sequence[Case], replies: Mapping[str, Mapping[str, Reply]]
) -> list[str]:
    """Both summaries and every case."""
    speed = rows[0]["metric"] != ROOM
    fresh = [row for row in rows if speed and row["id"] not in known_left_out()]
    lines = [*heading(len(rows)), "", *summary(rows, replies), ""]
    if fresh:
        lines += ["Of these, the cases of sources that moved none of our coefficients:", ""]
        lines += [*summary(fresh, replies), ""]
    return [*lines, *table(rows, cases, replies)]


def heading(count: int) -> list[str]:
    """When and where."""
    day = datetime.now(UTC).date().isoformat()
    return [f"Run of {day}, Python {platform.python_version()}, {count} cases, one tool after the other."]


def write(lines: Sequence[str], what: str) -> None:
    """Between the marks of the page."""
    begin, end = marks(what)
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    README.write_text(f"{head}{begin}\n" + "\n".join(lines) + f"\n{end}{tail}", encoding="utf-8")


def marks(what: str) -> tuple[str, str]:
    """Where a table stands in the page."""
    return f"<!-- side by side, {what}: begin -->", f"<!-- side by side, {what}: end -->"


if __name__ == "__main__":
    sys.exit(main())
