"""Reading start-up logs of vLLM, SGLang and llama.cpp: settings and figures out of lines, in linear time.

A line is looked at only where it holds a marker; patterns are anchored behind it and bounded. What the log
says of the run becomes a request in the contract's names, what it measured becomes figures by the names of
`validation/memory.jsonl` (sizes in GiB).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct, field

from ..errors import invalid
from ..memory.inference import predicted_figures
from ..memory.requests import InferenceRequest

LONGEST_LOG: Final = 2**20  # [characters]
LONGEST_LINE: Final = 32_768
GB_IN_SGLANG: Final = 1.0  # its "GB" are 2^30

NUMBER: Final = r"([0-9][0-9,]{0,20}(?:\.[0-9]{1,10})?)"


class Reading(Struct):
    """What a log says. `request` fits the contract (model_name is as the log has it); `measured` in GiB."""

    backend: str | None = None
    request: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)


Apply = Callable[[Reading, "re.Match[str]"], None]


class Line(Struct, frozen=True):
    """A kind of line: what it holds, the pattern from there on, what to do with its groups."""

    marker: str
    pattern: "re.Pattern[str]"
    apply: Apply


def number(text: str) -> float:
    """A figure with thousands' commas.

    >>> number("1,096,000"), number("14.25")
    (1096000.0, 14.25)
    """
    return float(text.replace(",", ""))


def line(marker: str, rest: str, apply: Apply) -> Line:
    """A kind of line; the pattern is matched where the marker stands."""
    return Line(marker, re.compile(re.escape(marker) + rest), apply)


def figure(name: str, scale: float = 1.0) -> Apply:
    """Keep the first group as a figure; of several ranks the first one that is printed."""

    def apply(reading: Reading, match: "re.Match[str]") -> None:
        reading.measured.setdefault(name, number(match[1]) * scale)

    return apply


def added(name: str, scale: float = 1.0) -> Apply:
    """Add the first group to a figure (buffers of several kinds on one device)."""

    def apply(reading: Reading, match: "re.Match[str]") -> None:
        reading.measured[name] = reading.measured.get(name, 0.0) + number(match[1]) * scale

    return apply


def setting(name: str, convert: Callable[[str], Any] = str) -> Apply:
    """Keep the first group as a field of the request."""

    def apply(reading: Reading, match: "re.Match[str]") -> None:
        reading.request.setdefault(name, convert(match[1]))

    return apply


def backend(name: str, inner: Apply | None = None) -> Apply:
    """The line tells the runtime."""

    def apply(reading: Reading, match: "re.Match[str]") -> None:
        reading.backend = reading.backend or name
        if inner is not None:
            inner(reading, match)

    return apply


def whole(text: str) -> int:
    """A whole number."""
    return int(number(text))


VLLM_FIELDS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "model": ("model_name", str),
    "max_seq_len": ("sequence_length", whole),
    "max_model_len": ("sequence_length", whole),
    "tensor_parallel_size": ("tensor_parallel", whole),
    "pipeline_parallel_size": ("pipeline_parallel", whole),
    "data_parallel_size": ("data_parallel", whole),
    "gpu_memory_utilization": ("gpu_memory_utilization", float),
    "max_num_seqs": ("max_num_seqs", whole),
    "max_num_batched_tokens": ("max_num_batched_tokens", whole),
    "kv_cache_dtype": ("kv_cache_dtype", str),
    "block_size": ("block_size", whole),
    "enforce_eager": ("enforce_eager", lambda text: text == "True"),
    "dtype": ("precision", lambda text: text.removeprefix("torch.")),
}
SGLANG_FIELDS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "model_path": ("model_name", str),
    "tp_size": ("tensor_parallel", whole),
    "pp_size": ("pipeline_parallel", whole),
    "mem_fraction_static": ("gpu_memory_utilization", float),
    "context_length": ("sequence_length", whole),
    "chunked_prefill_size": ("max_num_batched_tokens", whole),
    "max_running_requests": ("max_num_seqs", whole),
    "page_size": ("block_size", whole),
    "kv_cache_dtype": ("kv_cache_dtype", str),
    "disable_cuda_graph": ("enforce_eager", lambda text: text == "True"),
}
ASSIGNMENT: Final = re.compile(r"['\"]?([a-z_]{2,40})['\"]?(?:=|: )['\"]?([A-Za-z0-9_./:+-]{1,200})")


def assignments(known: Mapping[str, tuple[str, Callable[[str], Any]]]) -> Apply:
    """Every `name=value` and `'name': value` of the line that is known; unset ones are passed over."""

    def apply(reading: Reading, match: "re.Match[str]") -> None:
        for name, text in ASSIGNMENT.findall(match.string, match.end()):
            target = known.get(name)
            if target is None or text in ("None", "auto"):
                continue
            try:
                reading.request.setdefault(target[0], target[1](text))
            except ValueError:
                continue

    return apply


MIB: Final = 1 / 1024
NAMED: Final = backend("llama.cpp", setting("model_name", str.strip))
LINES: Final = (
    # vLLM
    line(
        "LLM engine (v",
        r"([0-9.]{3,12})[^)]{0,60}\) with config:",
        backend(
            "vllm",
            lambda r, m: (
                r.request.setdefault("backend_version", m[1]),
                assignments(VLLM_FIELDS)(r, m),
                None,
            )[-1],
        ),
    ),
    line("vLLM API server version ", r"v?([0-9.]{3,12})", backend("vllm", setting("backend_version"))),
    line("non-default args:", "", backend("vllm", assignments(VLLM_FIELDS))),
    line(
        "Chunked prefill is enabled with max_num_batched_tokens=",
        NUMBER,
        setting("max_num_batched_tokens", whole),
    ),
    line("Model loading took ", NUMBER + r" ?Gi?B", backend("vllm", figure("weights_gib"))),
    line("odel weights take ", NUMBER + " ?GiB", backend("vllm", figure("weights_gib"))),
    line("non_torch_memory takes ", NUMBER + " ?GiB", figure("non_torch_gib")),
    line("activation peak memory takes ", NUMBER + " ?GiB", figure("activation_peak_gib")),
    line("torch peak memory increase: ", NUMBER + " ?GiB", figure("activation_peak_gib")),
    line("non-torch forward increase memory: ", NUMBER + " ?GiB", figure("non_torch_gib")),
    line("Available KV cache memory: ", NUMBER + " ?GiB", backend("vllm", figure("kv_gib"))),
    line("reserved for KV Cache is ", NUMBER + " ?GiB", figure("kv_gib")),
    line("GPU KV cache size: ", NUMBER + " tokens", backend("vllm", figure("kv_tokens"))),
    line("# GPU blocks: ", NUMBER, backend("vllm", figure("kv_blocks"))),
    line(
        "Maximum concurrency for ",
        r"[0-9,]{1,20} tokens per request: " + NUMBER + "x",
        figure("max_concurrency"),
    ),
    line(
        "Graph capturing finished in ",
        r"[0-9.]{1,10} secs?, took " + NUMBER + " GiB",
        figure("cuda_graph_gib"),
    ),
    # SGLang
    line("server_args=ServerArgs(", "", backend("sglang", assignments(SGLANG_FIELDS))),
    line("Load weight begin. avail mem=", NUMBER + " GB", backend("sglang", figure("free_before_gib"))),
    line(
        "Load weight end.",
        r"[^\n]{0,400}?mem usage=" + NUMBER + " GB",
        backend("sglang", figure("weights_gib")),
    ),
    line(
        "KV Cache is allocated.", r"[^\n]{0,100}?#tokens: " + NUMBER, backend("sglang", figure("kv_tokens"))
    ),
    line("K size: ", NUMBER + " GB", added("kv_gib")),
    line("V size: ", NUMBER + " GB", added("kv_gib")),
    line("ssm_state size: ", NUMBER + " ?GB", figure("mamba_ssm_state_gib")),
    line("conv_state size: ", NUMBER + " ?GB", figure("mamba_conv_state_gib")),
    line("Capture cuda graph end.", r"[^\n]{0,100}?mem usage=" + NUMBER + " GB", figure("cuda_graph_gib")),
    line("max_total_num_tokens=", NUMBER, backend("sglang", figure("kv_tokens"))),
    line("context_len=", NUMBER, setting("sequence_length", whole)),
    # llama.cpp
    line("general.name", r" {0,20}str {0,20}= ([^\n]{1,120})", NAMED),
    line(
        "file type",
        r" {0,20}= ([A-Za-z0-9_ -]{1,40})",
        backend("llama.cpp", setting("quantization", lambda text: file_type(text))),
    ),
    line("file size", r" {0,20}= " + NUMBER + " GiB", backend("llama.cpp", figure("gguf_gib"))),
    line("n_ctx ", r" {0,20}= " + NUMBER, setting("sequence_length", whole)),
    line(
        "model buffer size =", r" {0,12}" + NUMBER + " MiB", backend("llama.cpp", added("weights_gib", MIB))
    ),
    line("KV buffer size =", r" {0,12}" + NUMBER + " MiB", backend("llama.cpp", added("kv_gib", MIB))),
    line("RS buffer size =", r" {0,12}" + NUMBER + " MiB", backend("llama.cpp", added("kv_gib", MIB))),
    line(
        "compute buffer size =",
        r" {0,12}" + NUMBER + " MiB",
        backend("llama.cpp", added("compute_buffer_gib", MIB)),
    ),
)
HOST: Final = ("CPU", "_Host", "Host ")  # buffers that are not on the GPU


def file_type(text: str) -> str:
    """llama.cpp's name of a mix as the contract has it.

    >>> file_type("Q4_K - Medium"), file_type("F16")
    ('q4_k_m', 'f16')
    """
    name, _, size = text.strip().partition(" - ")
    suffix = {"Small": "_s", "Medium": "_m", "Large": "_l"}.get(size.split(" ")[0], "") if size else ""
    return (name.split(" ")[0] + suffix).lower()


def read_log(text: str) -> Reading:
    """The settings and figures of a start-up log; raises `InvalidRequest` for one of none of the three."""
    if len(text) > LONGEST_LOG:
        raise invalid("log", "log_too_long", most=LONGEST_LOG)
    reading = Reading()
    for whole_line in text.splitlines():
        _read_line(reading, whole_line[:LONGEST_LINE])
    if reading.backend is None:
        raise invalid("log", "log_not_read")
    reading.request["backend"] = reading.backend
    return reading


def _read_line(reading: Reading, text: str) -> None:
    for kind in LINES:
        at = text.find(kind.marker)
        if at < 0 or ("buffer size" in kind.marker and any(host in text for host in HOST)):
            continue
        match = kind.pattern.match(text, at)
        if match:
            kind.apply(reading, match)


def compare_log(reading: Reading, request: InferenceRequest) -> list[dict[str, Any]]:
    """Predicted beside measured, term by term; `error` is predicted over measured less one."""
    predicted = predicted_figures(request)
    return [
        {
            "term": name,
            "measured": round(value, 4),
            "predicted": round(found, 4) if found is not None else None,
            "difference": round(found - value, 4) if found is not None else None,
            "error": round(found / value - 1, 5) if found is not None and value else None,
        }
        for name, value in reading.measured.items()
        for found in (predicted.get(name),)
    ]
