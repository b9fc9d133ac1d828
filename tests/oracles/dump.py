"""Write what the real models hold, type by type:  python -m tests.oracles.dump --dumps DIR [types...]

DIR/<model_type>.json holds a list of cases: config, class, parameters, buffers, tied names, cache and FLOPs.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from . import real_model
from .variations import samples, variations

FLOPS_AT = (2, 80)
SECONDS_PER_TYPE = 300
LARGEST_WITH_VALUES = 150_000_000  # parameters
ATTENTION_NAMES = (
    ("q_proj", "v_proj"), ("query_key_value",), ("qkv_proj",), ("c_attn",), ("query", "value"), ("q", "v"),
    ("Wqkv",), ("kv_a_proj_with_mqa", "kv_b_proj"), ("in_proj",), ("q_lin", "v_lin"),
    ("query_proj", "value_proj"),
)  # fmt: skip
FEED_FORWARD_NAMES = (
    ("gate_proj", "up_proj", "down_proj"), ("gate_up_proj", "down_proj"), ("up_proj", "down_proj"),
    ("fc1", "fc2"), ("c_fc", "c_proj"), ("fc_in", "fc_out"), ("dense_h_to_4h", "dense_4h_to_h"),
    ("w1", "w2", "w3"), ("wi_0", "wi_1", "wo"), ("wi", "wo"), ("Wi", "Wo"), ("lin1", "lin2"),
    ("input_linear", "output_linear"), ("out_proj",),
)  # fmt: skip


def windows(config: PreTrainedConfig) -> Iterator[int]:
    """Every attention window a config or its sub-configs name."""
    for name in ("sliding_window", "attention_window_size", "attention_chunk_size", "window_size"):
        value = getattr(config, name, None)
        yield from ([value] if isinstance(value, int) and not isinstance(value, bool) else [])
    for key in type(config).sub_configs_defaults:
        if isinstance(sub := getattr(config, key, None), PreTrainedConfig):
            yield from windows(sub)


def attempted(measure: Callable[[], Any]) -> Any:
    """The measured value, or {"failed": why}."""
    try:
        return measure()
    except Exception as error:  # the reason is the result: some models need real values
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def cache_case(model: PreTrainedModel, batch: int, length: int) -> dict[str, Any] | None:
    layers = real_model.filled_cache(model, batch, length)
    if layers is None:
        return None
    tensors = [[[t.shape, real_model.dtype_name(t.dtype), label] for label, t in layer] for layer in layers]
    total = real_model.bytes_of(layers)
    return {"batch": batch, "length": length, "bytes": total, "layers": tensors}


def text_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """The language model's part of a config; the decoder's where an encoder reads text too."""
    try:
        return config.get_text_config()
    except ValueError:
        return config.get_text_config(decoder=True)


def cache_cases(model: PreTrainedModel) -> list[Any] | None:
    """One length below every window and one above (or as near as there are positions)."""
    positions = getattr(text_config(model.config), "max_position_embeddings", None) or 1 << 30
    below, above = 5, min(max([33, *windows(model.config)]) + 7, positions)
    cases = [attempted(lambda at=at: cache_case(model, *at)) for at in ((2, below), (3, above))]
    return None if cases == [None, None] else cases


def flops_case(model: PreTrainedModel) -> dict[str, Any]:
    by_operation = real_model.flops_by_operation(model, *FLOPS_AT)
    total = sum(by_operation.values())
    return {"batch": FLOPS_AT[0], "length": FLOPS_AT[1], "total": total, "by_op": by_operation}


def lora_choices(model: nn.Module) -> list[tuple[int, str | list[str]]]:
    """(rank, targets) as people choose them: everything, attention, feed-forward, in the type's names."""
    paths = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]
    leaves = {path.rpartition(".")[2] for path in paths}
    attention = next((list(names) for names in ATTENTION_NAMES if leaves.issuperset(names)), None)
    feed_forward = next((list(names) for names in FEED_FORWARD_NAMES if leaves.issuperset(names)), None)
    chosen = [(8, "all-linear"), (16, attention), (4, feed_forward), (64, attention and attention[:1])]
    return [(rank, targets) for rank, targets in chosen if targets]


def lora_cases(config: dict[str, Any]) -> list[Any]:
    return [
        [rank, targets, attempted(lambda rank=rank, targets=targets: lora_case(config, rank, targets))]
        for rank, targets in lora_choices(real_model.build(config))
    ]


def lora_case(config: dict[str, Any], rank: int, targets: str | list[str]) -> int:
    return real_model.lora_parameters(real_model.build(config), r=rank, target_modules=targets)


class Model:
    """A model on the meta device and, where a measurement needs real values, the same on the processor."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.meta = real_model.build(config)

    @cached_property
    def with_values(self) -> PreTrainedModel:
        return real_model.build(self.config, device="cpu")

    def measured(self, measure: Callable[[PreTrainedModel], Any]) -> Any:
        """A measurement on the meta device; where that fails, on the processor if the model is small."""
        first = attempted(lambda: measure(self.meta))
        is_small = sum(value.numel() for value in self.meta.parameters()) < LARGEST_WITH_VALUES
        if not needs_values(first) or not is_small:
            return first
        second = attempted(lambda: measure(self.with_values))
        return first if any(failures_in(second)) else second


def needs_values(measured: Any) -> bool:
    """Whether a forward pass failed because the meta device has no values (and not for want of a picture)."""
    return any("meta" in why.lower() for why in failures_in(measured))


def case(built: Model, with_lora: bool) -> dict[str, Any]:
    model = built.meta
    names = real_model.parameters(model).keys() | real_model.buffers(model).keys()
    published = real_model.checkpoint_tensors(model)
    return {
        "config": built.config,
        "class": type(model).__name__,
        "parameters": real_model.parameters(model),
        "buffers": real_model.buffers(model),
        "tied": real_model.tied_names(model),
        "checkpoint": None if published.keys() == names else published,
        "keep_in_fp32": sorted(map(str, getattr(model, "_keep_in_fp32_modules", None) or [])),
        "cache": built.measured(cache_cases),
        "flops": built.measured(flops_case),
        "lora": lora_cases(built.config) if with_lora else [],
    }


def taken(config: dict[str, Any], with_forward: bool) -> Model | None:
    """The model, if the library builds it (and, where its default can, runs a forward pass of it)."""
    try:
        model = Model(config)
        failed = with_forward and any(failures_in(model.measured(lambda m: real_model.run(m, 2, 20, False))))
    except Exception:  # refused by a validator, a module or an operation: drawn again
        return None
    return None if failed else model


def drawn(model_type: str, count: int, seed: int) -> list[Model]:
    """`count` random models; ones that run on tokens alone, where there are such."""
    tokens_do = any(taken(config, with_forward=True) for config in samples(model_type, seed))
    found = variations(model_type, count, lambda config: taken(config, True), seed) if tokens_do else []
    if len(found) < count:  # no forward pass without pictures, sound or real values
        rest = count - len(found)
        found += variations(model_type, rest, lambda config: taken(config, False), seed + 100)
    return found


def cases_of(model_type: str, count: int, seed: int = 0, adapted: int | None = None) -> list[dict[str, Any]]:
    """The default config, where the library can build it, and `count` random ones, `adapted` of them with
    adapters [all]; none for the default, which is slow to wrap."""
    default = attempted(lambda: case(Model({"model_type": model_type}), with_lora=False))
    models = drawn(model_type, count, seed)
    wrapped = len(models) if adapted is None else adapted
    found = [case(model, index < wrapped) for index, model in enumerate(models)]
    return [default] * ("failed" not in default) + found


def dump_type(model_type: str, folder: Path, count: int) -> None:
    start = time.monotonic()
    cases = cases_of(model_type, count)
    if cases:
        (folder / f"{model_type}.json").write_text(json.dumps(cases))
    has_default = bool(cases) and cases[0]["config"].keys() == {"model_type"}
    note = "" if has_default else str(attempted(lambda: real_model.build({"model_type": model_type})))[:200]
    index(folder, model_type, cases, note, time.monotonic() - start)


def failures_in(measured: Any) -> Iterator[str]:
    for entry in measured if isinstance(measured, list) else [measured]:
        if isinstance(entry, dict) and "failed" in entry:
            yield entry["failed"]


def index(folder: Path, model_type: str, cases: list[Any], note: str, seconds: float) -> None:
    """One line of INDEX.md."""
    notes = [note] if note else []
    for part in ("cache", "flops"):
        failures = [why for c in cases for why in failures_in(c[part])]
        if failures:
            notes.append(f"{part} failed {len(failures)} times: {failures[0]}")
    status = "ok" if not notes and len(cases) > 5 else "partly" if cases else "FAILED"
    if cases and cases[0]["cache"] is None:
        notes.append("keeps no cache")
    shown = "; ".join(notes).replace("\n", " ").replace("|", "/")
    name = cases[0]["class"] if cases else ""
    with (folder / "INDEX.md").open("a") as file:
        file.write(f"| {model_type} | {status} | {len(cases)} | {name} | {seconds:.0f} s | {shown} |\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("types", nargs="+")
    parser.add_argument("--dumps", type=Path, required=True)
    parser.add_argument("--variations", type=int, default=6)
    options = parser.parse_args()
    options.dumps.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    for model_type in options.types:  # a process each: memory is given back, and a hanging one can be ended
        arguments = (model_type, options.dumps, options.variations)
        process = multiprocessing.get_context("fork").Process(target=dump_type, args=arguments)
        process.start()
        process.join(SECONDS_PER_TYPE)
        if process.is_alive():
            process.kill()
            index(options.dumps, model_type, [], f"took more than {SECONDS_PER_TYPE} s", SECONDS_PER_TYPE)


if __name__ == "__main__":
    main()
