"""Published measurements of serving as cases: a request set up once, predicted for any coefficients."""

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec.structs import replace

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.accuracy.evaluate import architecture_kind  # noqa: E402
from app.errors import DomainError  # noqa: E402
from app.performance.coefficients import (  # noqa: E402
    Ask,
    assemble,
    coefficients,
    device_class,
    device_row,
    runtime_row,
)
from app.performance.estimate import Flow  # noqa: E402
from app.performance.llama_cpp import Shape, assemble_llama, llama_class  # noqa: E402
from app.performance.load import closed, poisson  # noqa: E402
from app.performance.roofline import Rates  # noqa: E402
from app.performance.setup import Setup, set_up  # noqa: E402
from app.performance.static import drain, together  # noqa: E402
from app.service.lookup import Lookup  # noqa: E402
from app.service.speed_questions import speed_question  # noqa: E402
from app.settings import read_settings  # noqa: E402

FILE = ROOT / "validation" / "performance.jsonl"
PRIORS = ROOT / "validation" / "performance_priors.json"
# Runtimes that are measured but not offered: their memory is reckoned as that of another.
STANDS_FOR = {"deepspeed-mii": "vllm"}
SATURATED = 0.85  # above it a few percent of a rate move latencies by as much as one likes
Key = tuple[str, str, str]


class Coefficients:
    """The tables of coefficients, by (table, row, field)."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data: dict[str, Any] = deepcopy(dict(data))
        self.runtimes = {row["name"]: row for row in self.data["runtimes"]}

    @classmethod
    def current(cls) -> "Coefficients":
        """As the service has them."""
        return cls(coefficients())

    @classmethod
    @cache
    def priors(cls) -> "Coefficients":
        """As a fit starts from them."""
        return cls(json.loads(PRIORS.read_text(encoding="utf-8")))

    def row(self, table: str, name: str) -> dict[str, Any]:
        """One row."""
        return (self.runtimes if table == "runtimes" else self.data[table])[name]

    def get(self, key: Key) -> float:
        """One coefficient."""
        return float(self.row(key[0], key[1])[key[2]])

    def put(self, key: Key, value: float) -> None:
        """Change one."""
        self.row(key[0], key[1])[key[2]] = value


@dataclass(frozen=True, eq=False)
class Case:
    """One measurement: the request set up, what it is predicted with, and the measured value."""

    id: str
    group: str
    source: str
    model: str
    kind: str
    gpu: str
    device: str
    runtime: str
    llama: bool
    server: str  # the network front; empty where the engine was called as a library
    metric: str
    measured: float
    setup: Setup
    ask: Ask | None
    shape: Shape | None
    excluded: str


def read_cases(every: int = 1) -> list[Case]:
    """Every row (or every so many) that can be asked; one whose runtime would not hold it is excluded."""
    found = []
    with TemporaryDirectory() as folder:
        lookup = Lookup(read_settings({}, data_folder=Path(folder)))
        for line in FILE.read_text(encoding="utf-8").splitlines()[::every]:
            row = json.loads(line)
            try:
                found.append(case_of(row, lookup))
            except DomainError as error:
                print(f"  {row['id']}: {error.text()}")
    return found


def case_of(row: Mapping[str, Any], lookup: Lookup) -> Case:
    """One row as a case."""
    values = dict(row["request"])
    backend = values["backend"]
    version = values.get("backend_version")
    if backend in STANDS_FOR:
        values |= {"backend": STANDS_FOR[backend], "backend_version": "0.4"}
    request = speed_question(values, lookup).request
    setup = set_up(request)
    if "n_ubatch 2048" in str(row["conditions"].get("flags")):
        setup = replace(setup, engine=replace(setup.engine, budget=2048))
    gpu = request.serving.gpu
    assert gpu is not None
    excluded = row.get("excluded", "") or ("" if setup.fits else "does not fit by our own reckoning")
    llama = backend == "llama.cpp"
    server = ""
    platform = "rocm" if gpu.vendor.upper() == "AMD" else "cuda"
    ask = shape = None
    if llama:
        shape = setup.shape
        device, runtime = llama_class(gpu), "llama.cpp"
    else:
        ask, own = setup.ask, runtime_row(backend, version, platform)
        device, runtime = device_row(device_class(gpu), own), str(own["name"])
        server = str(own["server"]) if ask is not None and ask.served else ""
    name = gpu.name if gpu.name != "custom" else str(row["conditions"]["gpu"])
    excluded = excluded or beyond(setup)
    return Case(
        row["id"], row["group"], row["source"], request.serving.model.name,
        architecture_kind(request.serving.model.architecture), name, device, runtime, llama, server,
        row["metric"], row["measured"], setup, ask, shape, excluded,
    )  # fmt: skip


def beyond(setup: Setup) -> str:
    """Latencies past saturation have no steady state to compare with."""
    rate = setup.request.request_rate
    load = 0.0 if rate is None else poisson(setup, rate).saturation or 0.0
    return "past saturation" if load > SATURATED else ""


def rates_for(case: Case, table: Coefficients) -> Rates:
    """What the device does with these coefficients."""
    gpu = case.setup.request.serving.gpu
    assert gpu is not None
    if case.shape is not None:
        return assemble_llama(gpu, case.shape, table.row("llama_cpp", case.device))
    assert case.ask is not None
    runtime = table.row("runtimes", case.runtime)
    server = table.row("servers", runtime["server"])
    return assemble(gpu, case.ask, table.row("devices", case.device), runtime, server)


def predicted(case: Case, table: Coefficients) -> float:
    """The measured figure as predicted."""
    engine = replace(case.setup.engine, rates=rates_for(case, table))
    setup = replace(case.setup, engine=engine)
    return figure(setup, flow_of(setup), case.metric)


def flow_of(setup: Setup) -> Flow:
    """The load of a case."""
    request = setup.request
    if request.request_rate is not None:
        return poisson(setup, request.request_rate)
    return together(setup) if request.concurrency is None else closed(setup, request.concurrency)


def finite_rate(setup: Setup, flow: Flow) -> float:
    """Requests/s over a run of so many requests: it ends when the last is answered, the longest alone."""
    request, number = setup.request, setup.request.num_requests
    if request.request_rate is not None:
        fed = number / request.request_rate + flow.e2e
        return number / max(fed, number / (flow.sustainable or request.request_rate))
    if request.concurrency is None:
        return flow.requests_per_s
    tail = drain(setup, number) * (setup.output - 1)
    return number / (number / flow.requests_per_s + tail)


def figure(setup: Setup, flow: Flow, metric: str) -> float:
    """One figure of an answer."""
    request = setup.request
    match metric:
        case "ttft_ms":
            return 1e3 * flow.ttft
        case "tpot_ms" | "itl_ms":
            return 1e3 * (flow.tpot if metric == "tpot_ms" else flow.itl)
        case "tpot_ms_all_tokens":
            return 1e3 * flow.e2e / request.output_length
        case "e2e_latency_ms":
            return 1e3 * flow.e2e
        case "output_tokens_per_sec":
            return finite_rate(setup, flow) * request.output_length
        case "throughput_tokens_per_sec":
            return flow.requests_per_s * (request.input_length + request.output_length)
        case "prompt_tokens_per_sec":
            return setup.batch * setup.prompt / flow.ttft
        case "generated_tokens_per_sec":
            return setup.batch / flow.tpot
    raise KeyError(metric)
