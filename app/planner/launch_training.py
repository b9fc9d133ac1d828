"""Files and commands that start a training option: Accelerate with FSDP, DeepSpeed, torchrun, Megatron-LM.

Keys are those of Accelerate's `FullyShardedDataParallelPlugin`, DeepSpeed's configuration and Megatron-LM's
`arguments.py`; `train.py` stands for the caller's own script over transformers' `TrainingArguments`.
"""

import json
from typing import Any, Final

from .candidates import nodes
from .launch import HEAD, kubernetes, line, operand
from .requests import Option, TrainingPlanRequest

MIXED: Final = {"bf16": "bf16", "fp16": "fp16", "fp8": "fp8", "none": "no"}
SCRIPT: Final = "train.py"


def training_launch(option: Option, request: TrainingPlanRequest) -> dict[str, Any]:
    """Commands and files by tool; those that cut matrices or layers need Megatron-LM."""
    per_node = request.ask.training.gpus_per_node
    block = {"kubernetes": kubernetes(option, per_node)}
    if option.layout.replica * option.layout.expert > 1:
        return {"megatron": {"commands": _megatron(option, request)}, **block}
    if option.layout.gpus == 1:
        return {"torchrun": {"commands": _torchrun(option, request)}, **block}
    return {
        "accelerate": {
            "files": {"fsdp.yaml": _accelerate(option, request)},
            "commands": [
                line("accelerate", "launch", "--config_file", "fsdp.yaml", *_script(option, request))
            ],
        },
        "deepspeed": {
            "files": {"deepspeed.json": _deepspeed(option)},
            "commands": _torchrun(option, request, "--deepspeed", "deepspeed.json"),
        },
        "torchrun": {"commands": _torchrun(option, request)},
        **block,
    }


def _script(option: Option, request: TrainingPlanRequest) -> list[object]:
    settings = option.settings
    words: list[object] = [SCRIPT, "--model_name_or_path", operand(request.checkpoint)]
    words += ["--per_device_train_batch_size", option.batch]
    words += ["--gradient_accumulation_steps", settings["gradient_accumulation_steps"]]
    words += ["--max_length", settings["sequence_length"]]
    if settings["gradient_checkpointing"] != "none" and option.layout.gpus == 1:
        words += ["--gradient_checkpointing", "true"]
    if settings["mixed_precision"] in ("bf16", "fp16"):
        words += [f"--{settings['mixed_precision']}", "true"]
    return words


def _torchrun(option: Option, request: TrainingPlanRequest, *more: str) -> list[str]:
    per_node = request.ask.training.gpus_per_node
    machines = nodes(option.gpu, option.layout.gpus, per_node)
    each = option.layout.gpus // machines
    script = line(*_script(option, request), *more)
    if machines == 1:
        return [f"torchrun --standalone --nproc-per-node {each} {script}"]
    where = f"--rdzv-backend c10d --rdzv-endpoint {HEAD}:29500"
    return [f"torchrun --nnodes {machines} --nproc-per-node {each} {where} {script}"]


def _accelerate(option: Option, request: TrainingPlanRequest) -> str:
    """The configuration that `accelerate launch` reads."""
    settings = option.settings
    machines = nodes(option.gpu, option.layout.gpus, request.ask.training.gpus_per_node)
    first = settings["fsdp"] == "fsdp1"
    fsdp: dict[str, object] = {
        "fsdp_version": 1 if first else 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_state_dict_type": "SHARDED_STATE_DICT",
        "fsdp_activation_checkpointing": settings["gradient_checkpointing"] != "none",
        "fsdp_cpu_ram_efficient_loading": True,
    }
    fsdp |= {"fsdp_sharding_strategy": "FULL_SHARD"} if first else {"fsdp_reshard_after_forward": True}
    head: dict[str, object] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "FSDP",
        "mixed_precision": MIXED[str(settings["mixed_precision"])],
        "num_machines": machines,
        "num_processes": option.layout.gpus,
        "machine_rank": 0,
    }
    lines = [f"{name}: {json.dumps(value)}" for name, value in head.items()]
    return "\n".join([*lines, "fsdp_config:", *(f"  {n}: {json.dumps(v)}" for n, v in fsdp.items())]) + "\n"


def _deepspeed(option: Option) -> str:
    """A configuration with the stage asked for, else with everything sharded."""
    settings = option.settings
    stage = settings["zero_stage"] or 3
    found: dict[str, object] = {
        "train_micro_batch_size_per_gpu": option.batch,
        "gradient_accumulation_steps": settings["gradient_accumulation_steps"],
        "zero_optimization": {"stage": stage, "overlap_comm": True, "contiguous_gradients": True},
        "gradient_clipping": 1.0,
    }
    if settings["mixed_precision"] in ("bf16", "fp16"):
        found[str(settings["mixed_precision"])] = {"enabled": True}
    return json.dumps(found, indent=2) + "\n"


def _megatron(option: Option, request: TrainingPlanRequest) -> list[str]:
    layout, settings = option.layout, option.settings
    per_node = request.ask.training.gpus_per_node
    machines = nodes(option.gpu, layout.gpus, per_node)
    words: list[object] = ["torchrun", "--nnodes", machines, "--nproc-per-node", layout.gpus // machines]
    words += ["pretrain_gpt.py", "--load", operand(request.checkpoint)]
    words += ["--tensor-model-parallel-size", layout.tensor]
    words += ["--pipeline-model-parallel-size", layout.pipeline]
    if layout.context > 1:
        words += ["--context-parallel-size", layout.context]
    if layout.expert > 1:
        words += ["--expert-model-parallel-size", layout.expert]
    words += ["--micro-batch-size", option.batch, "--seq-length", settings["sequence_length"]]
    accumulated = int(str(settings["gradient_accumulation_steps"]))
    words += ["--global-batch-size", option.batch * layout.data * accumulated]
    if layout.tensor > 1:
        words.append("--sequence-parallel")
    if layout.data > 1:
        words.append("--use-distributed-optimizer")
    if settings["gradient_checkpointing"] == "full":
        words += ["--recompute-granularity", "full", "--recompute-method", "uniform"]
        words += ["--recompute-num-layers", 1]
    if settings["mixed_precision"] in ("bf16", "fp16"):
        words.append(f"--{settings['mixed_precision']}")
    return [line(*words)]
