"""aiconfigurator: its databases of measured kernels, where they have the device and the runtime.

The version of a database is looked up once, as that takes most of a call's time; after it `SILICON` is
tried, then `HYBRID`, which fills gaps with formulas.
"""

import json
import logging
import tempfile
import time
import warnings
from functools import cache
from pathlib import Path

STARTED = time.perf_counter()
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import aiconfigurator_core  # noqa: E402
from aiconfigurator.cli.api import EstimateResult, cli_estimate  # noqa: E402
from aiconfigurator.sdk.perf_database import get_latest_database_version  # noqa: E402
from protocol import Case, NoAnswerError, figure, serve  # noqa: E402

SYSTEMS = {
    "h100-sxm-80gb": "h100_sxm",
    "h200-sxm-141gb": "h200_sxm",
    "a100-sxm-80gb": "a100_sxm",
    "l40s": "l40s",
    "b200-sxm-180gb": "b200_sxm",
    "gb200-186gb": "gb200",
    "rtx-pro-6000-server": "rtx_pro_6000_server",
}
BACKENDS = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "trtllm"}
PACKAGED = Path(aiconfigurator_core.__file__).parent / "model_configs"
FOLDER = Path(tempfile.mkdtemp())
BATCHES = (8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
ROUNDS = 6
MOST = 4096


def answer(case: Case) -> tuple[float, str]:
    """A static batch in its static mode; everything else in its aggregated mode: a closed loop as its
    batch, arrivals as the batch that Little's law gives with its own latencies, requests that all wait as
    its best of several batches."""
    asked, mode = _request(case), "SILICON"
    try:
        return _answer(case, {**asked, "database_mode": mode})
    except NoAnswerError:
        raise
    except Exception:
        return _answer(case, {**asked, "database_mode": "HYBRID"})


def _answer(case: Case, asked: dict) -> tuple[float, str]:
    note = f"{asked['backend_name']} {asked['backend_version']}, {asked['database_mode'].lower()}"
    if case["load"] == "memory":
        return _room(case, asked), note
    each = max(1, case["batch"] // case["data_parallel"])
    if case["load"] == "static":
        found = cli_estimate(**asked, mode="static", batch_size=each)
        return figure(case, found.ttft / 1e3, found.tpot / 1e3, case["batch"]), note
    if case["load"] == "rate":
        found, batch = _settled(case, asked)
        return _figure(case, found), f"{note}, batch {batch}"
    sizes = [each] if case["load"] == "closed" else []
    found, batch = _best(asked, [*sizes, *(size for size in BATCHES if size < each)])
    return _figure(case, found), f"{note}, batch {batch}"


def _figure(case: Case, found: EstimateResult) -> float:
    """Rates of its own, as it counts requests in the steady state."""
    if case["metric"] == "output_tokens_per_sec":
        return float(found.raw["seq/s"]) * case["output_length"]
    if case["metric"] == "throughput_tokens_per_sec":
        return float(found.raw["seq/s"]) * (case["input_length"] + case["output_length"])
    return figure(case, found.ttft / 1e3, found.tpot / 1e3, 1)


def _room(case: Case, asked: dict) -> float:
    """The largest batch of the full length that its cache check lets through."""

    def fits(batch: int) -> bool:
        try:
            found = cli_estimate(
                **asked, mode="agg", batch_size=batch, free_gpu_memory_fraction=case["utilization"],
                max_seq_len=case["input_length"] + 1,
            )  # fmt: skip
        except RuntimeError as error:
            if "OOM" in str(error):
                return False
            raise
        return not found.kv_cache_warning

    low, high = 0, 1
    while high < MOST and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return float(low)


def _settled(case: Case, asked: dict) -> tuple[EstimateResult, int]:
    batch = 8
    for _ in range(ROUNDS):
        found = cli_estimate(**asked, mode="agg", batch_size=batch)
        after = max(1, round(case["rate"] * float(found.raw["request_latency"]) / 1e3))
        if after == batch:
            break
        batch = after
    return found, batch


def _best(asked: dict, sizes: list[int]) -> tuple[EstimateResult, int]:
    """The first size is taken where its cache has room; else the best rate of those that have."""
    found, best = None, 0
    for place, size in enumerate(sizes):
        try:
            one = cli_estimate(**asked, mode="agg", batch_size=size)
        except RuntimeError as error:
            if "OOM" in str(error):
                continue
            raise
        if one.kv_cache_warning:
            continue
        if found is None or float(one.raw["seq/s"]) > float(found.raw["seq/s"]):
            found, best = one, size
        if place == 0 and size not in BATCHES:
            break
    if found is None:
        raise NoAnswerError("out of memory at every batch")
    return found, best


def _request(case: Case) -> dict:
    system, backend = SYSTEMS.get(case["gpu"]["name"]), BACKENDS.get(case["backend"])
    if system is None or backend is None:
        raise NoAnswerError(f"no {case['gpu']['label'] if system is None else case['backend']}")
    quantization = case["quantization"]
    asked: dict = {
        "model_path": _model(case["model"]["repo"], json.dumps(case["model"]["config"])),
        "system_name": system,
        "backend_name": backend,
        "backend_version": _version(system, backend),
        "isl": case["input_length"],
        "osl": case["output_length"],
        "tp_size": case["tensor_parallel"],
        "pp_size": case["pipeline_parallel"],
        "attention_dp_size": case["data_parallel"],
    }
    if case["model"]["experts"]:
        wide = case["expert_parallel"] > 1
        asked["moe_ep_size"] = case["expert_parallel"] if wide else 1
        asked["moe_tp_size"] = 1 if wide else case["tensor_parallel"]
    if quantization in ("fp8", "nvfp4"):
        asked["gemm_quant_mode"] = quantization
        if case["model"]["experts"]:
            asked["moe_quant_mode"] = quantization
    if case["kv_cache_dtype"] == "fp8":
        asked["kvcache_quant_mode"] = "fp8"
    return asked


@cache
def _version(system: str, backend: str) -> str:
    found = get_latest_database_version(system=system, backend=backend)
    if found is None:
        raise NoAnswerError(f"no database of {backend} on {system}")
    return str(found)


@cache
def _model(repo: str | None, config: str) -> str:
    """A model that it ships by its name, any other by the folder of its configuration."""
    if repo and (PACKAGED / f"{repo.replace('/', '--')}_config.json").exists():
        return repo
    folder = FOLDER / f"{abs(hash(config))}"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config)
    return str(folder)


serve(answer, STARTED)
