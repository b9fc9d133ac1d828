"""Commands that start an option, ready to paste: every value is quoted for the shell.

Flags are those of the runtimes' own documentation: vLLM `vllm serve --help`, SGLang `docs/advanced_features/
server_arguments.md`, TensorRT-LLM `trtllm-serve --help`, llama.cpp `tools/server/README.md`.
"""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from unicodedata import category

from .candidates import LOCAL, nodes, runs
from .requests import Option, PlanRequest

_CONTROLS: Final = ("Cc", "Cf", "Zl", "Zp", "Cs")  # Unicode categories
HEAD: Final = "$HEAD_ADDRESS"
ON_THE_FLY: Final = {"fp8": "fp8", "nf4": "bitsandbytes", "bnb-int8": "bitsandbytes"}  # vLLM quantizes itself
RESOURCES: Final = {  # of Kubernetes device plugins
    "NVIDIA": "nvidia.com/gpu",
    "AMD": "amd.com/gpu",
    "Google": "google.com/tpu",
    "Intel": "habana.ai/gaudi",
    "AWS": "aws.amazon.com/neuron",
    "Huawei": "huawei.com/Ascend910",
}


def line(*words: object) -> str:
    """A command, every word quoted for a POSIX shell.

    Quotes keep a shell from acting on a word; a terminal acts on control characters that are pasted into it
    whatever stands around them, so there are none.

    >>> line("vllm", "serve", "a model; rm -rf /")
    "vllm serve 'a model; rm -rf /'"
    """
    return shlex.join(printable(str(word)) for word in words)


def printable(word: str) -> str:
    """A word without characters that control a terminal or turn the direction of writing.

    >>> printable("a\\x1b[2Jb")
    'a_[2Jb'
    """
    return "".join("_" if category(each) in _CONTROLS else each for each in word)


def operand(name: str) -> str:
    """A name where a program could take it for an option.

    >>> operand("--config=x"), operand("Qwen/Qwen3-8B")
    ('./--config=x', 'Qwen/Qwen3-8B')
    """
    return f"./{name}" if name.startswith("-") else name


def serving_launch(option: Option, request: PlanRequest) -> dict[str, Any]:
    """Commands by runtime: the option's own, and the others that run there; a Kubernetes resource block."""
    makers: dict[str, Callable[[Option, PlanRequest], list[str]]] = {
        "vllm": _vllm,
        "sglang": _sglang,
        "tensorrt-llm": _tensorrt_llm,
        "llama.cpp": _llama_server,
    }
    wanted = [option.backend] if request.limits.backend else _suited(option, makers)
    found: dict[str, Any] = {name: makers[name](option, request) for name in wanted if name in makers}
    found["kubernetes"] = kubernetes(option, request.ask.serving.gpus_per_node)
    return found


def _suited(option: Option, makers: Mapping[str, object]) -> list[str]:
    local = option.backend in LOCAL
    return [name for name in makers if (name in LOCAL) == local and runs(option.gpu, name)]


def kubernetes(option: Option, per_node: int) -> str:
    """The resource block of one pod; a pod for each machine."""
    name = RESOURCES.get(option.gpu.vendor, "nvidia.com/gpu")
    count = min(option.layout.gpus, per_node)
    block = f"  {json.dumps(name)}: {count}\n"
    return f"resources:\n  limits:\n  {block}  requests:\n  {block}".rstrip() + "\n"


def _checkpoint(option: Option, request: PlanRequest, on_the_fly: Iterable[str] = ON_THE_FLY) -> str:
    """The published checkpoint; formats that must be made beforehand stand in a folder of their own."""
    made = option.quantization in (None, "none", *on_the_fly)
    name = request.checkpoint if made else f"{request.checkpoint.rpartition('/')[2]}-{option.quantization}"
    return operand(name)


def _length(option: Option) -> object:
    return option.settings.get("max_model_len", 2048)


def _in_one_replica(option: Option) -> int:
    return max(1, -(-option.batch // option.layout.data))


def _vllm(option: Option, request: PlanRequest) -> list[str]:
    layout, serving = option.layout, request.ask.serving
    words: list[object] = ["vllm", "serve", _checkpoint(option, request)]
    words += ["--max-model-len", _length(option), "--max-num-seqs", _in_one_replica(option)]
    words += _sizes(option, "--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size")
    if layout.expert > 1:
        words.append("--enable-expert-parallel")
    if option.precision and option.quantization in (None, "none"):
        words += ["--dtype", option.precision]
    if option.quantization in ON_THE_FLY:
        words += ["--quantization", ON_THE_FLY[option.quantization]]
    if serving.kv_cache_dtype != "auto":
        words += ["--kv-cache-dtype", serving.kv_cache_dtype]
    used = option.settings.get("gpu_memory_utilization")
    if used is not None:
        words += ["--gpu-memory-utilization", used]
    if serving.enforce_eager:
        words.append("--enforce-eager")
    machines = nodes(option.gpu, layout.replica, serving.gpus_per_node)
    if machines == 1:
        return [line(*words)]
    return [
        line("ray", "start", "--head", "--port", 6379),
        f"ray start --address {HEAD}:6379  # {machines - 1} x",
        line(*words, "--distributed-executor-backend", "ray"),
    ]


def _sglang(option: Option, request: PlanRequest) -> list[str]:
    layout, serving = option.layout, request.ask.serving
    words: list[object] = ["python", "-m", "sglang.launch_server"]
    words += ["--model-path", _checkpoint(option, request)]
    words += ["--context-length", _length(option), "--max-running-requests", _in_one_replica(option)]
    words += _sizes(option, "--tp-size", "--pp-size", "--dp-size")
    if layout.expert > 1:
        words += ["--ep-size", layout.expert]
    if option.precision and option.quantization in (None, "none"):
        words += ["--dtype", option.precision]
    if option.quantization == "fp8":
        words += ["--quantization", "fp8"]
    if serving.kv_cache_dtype.startswith("fp8"):
        words += [
            "--kv-cache-dtype",
            "fp8_e4m3" if serving.kv_cache_dtype == "fp8" else serving.kv_cache_dtype,
        ]
    machines = nodes(option.gpu, layout.replica, serving.gpus_per_node)
    if machines == 1:
        return [line(*words)]
    return [
        f"{line(*words)} --nnodes {machines} --node-rank {rank} --dist-init-addr {HEAD}:20000"
        for rank in range(machines)
    ]


def _tensorrt_llm(option: Option, request: PlanRequest) -> list[str]:
    words: list[object] = ["trtllm-serve", _checkpoint(option, request, ()), "--backend", "pytorch"]
    words += ["--max_seq_len", _length(option), "--max_batch_size", _in_one_replica(option)]
    words += _sizes(option, "--tp_size", "--pp_size", None)
    if option.layout.expert > 1:
        words += ["--ep_size", option.layout.expert]
    return [line(*words)]


def _llama_server(option: Option, request: PlanRequest) -> list[str]:
    serving = request.ask.serving
    slots = _in_one_replica(option)
    length = int(str(_length(option)))
    words: list[object] = ["llama-server", "--model", operand(_gguf_file(option, request))]
    words += ["--ctx-size", slots * length, "--parallel", slots, "--n-gpu-layers", 999]
    if serving.kv_cache_dtype in ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0"):
        words += ["--cache-type-k", serving.kv_cache_dtype, "--cache-type-v", serving.kv_cache_dtype]
    if option.layout.pipeline > 1:
        words += ["--split-mode", "layer"]
    return [line(*words)]


def _gguf_file(option: Option, request: PlanRequest) -> str:
    """The file that a model was read from, called as the model is; else one made of the checkpoint."""
    name = request.checkpoint.rpartition("/")[2]
    own = request.ask.serving.model.architecture.config.get("quantization_config")
    if option.quantization is None and isinstance(own, Mapping) and own.get("quant_method") == "gguf":
        return f"{name}.gguf"
    return f"{name}-{(option.quantization or 'f16').upper()}.gguf"


def _sizes(option: Option, tensor: str, pipeline: str, data: str | None) -> list[object]:
    """Flags of the groups that have more than one member."""
    layout = option.layout
    pairs = ((tensor, layout.tensor), (pipeline, layout.pipeline), (data, layout.data))
    return [word for flag, size in pairs if flag is not None and size > 1 for word in (flag, size)]
