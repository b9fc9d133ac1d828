"""The real architectures of `transformers`, built on the meta device: shapes without weights.

Everything here is measured on the library's own modules; nothing is computed by formulas of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import Cache, EncoderDecoderCache, PreTrainedConfig, PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion
from transformers.initialization import no_init_weights
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

Shape = tuple[int, ...]
Layer = list[tuple[str, Tensor]]  # what one layer of a cache holds: attribute path and tensor

# The class that published checkpoints of a type name first; earlier mappings win.
CLASS_PREFERENCE = (
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES",
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_MAPPING_NAMES",
)


def default_class(model_type: str) -> str | None:
    """Name of the class that a checkpoint of this type usually holds, None where no auto mapping knows it."""
    tables = (getattr(auto, name) for name in CLASS_PREFERENCE)
    found = next((table[model_type] for table in tables if model_type in table), None)
    return found if isinstance(found, str) or found is None else found[0]


def read(config: Mapping[str, Any]) -> PreTrainedConfig:
    """The library's own reading of a config.json."""
    return CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))


def build(config: Mapping[str, Any], device: str = "meta") -> PreTrainedModel:
    """The model of a config.json in bfloat16, eager attention, experts as one product per chosen token."""
    name = (config.get("architectures") or [default_class(config["model_type"])])[0]
    read_config = read(config)
    read_config._attn_implementation = "eager"
    read_config._experts_implementation = "batched_mm"
    with torch.device(device), no_init_weights():  # drawing random weights takes most of the time
        model: PreTrainedModel = getattr(transformers, name)._from_config(read_config, dtype=torch.bfloat16)
    model.tie_weights()  # part of what drawing them would have done
    return model.eval()


def parameters(model: nn.Module) -> dict[str, Shape]:
    """Name → shape, a tied parameter once."""
    return {name: tuple(value.shape) for name, value in model.named_parameters()}


def tied_names(model: nn.Module) -> dict[str, str]:
    """Second name of a tied parameter → the name that it is listed under."""
    owners = {id(value): name for name, value in model.named_parameters()}
    every = model.named_parameters(remove_duplicate=False)
    return {name: owners[id(value)] for name, value in every if owners[id(value)] != name}


def buffers(model: nn.Module) -> dict[str, tuple[Shape, str]]:
    """Name → shape and dtype of the buffers that a checkpoint holds."""
    every = dict(model.named_buffers())
    kept = {name: value for name, value in model.state_dict().items() if name in every}
    return {name: (tuple(value.shape), dtype_name(value.dtype)) for name, value in kept.items()}


def checkpoint_tensors(model: PreTrainedModel) -> dict[str, Shape]:
    """Name → shape as the library would save them: under the published names, fused tensors taken apart."""
    kept = parameters(model).keys() | buffers(model).keys()
    state = {name: value for name, value in model.state_dict().items() if name in kept}
    return {name: tuple(value.shape) for name, value in revert_weight_conversion(model, state).items()}


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def inputs(model: PreTrainedModel, batch: int, length: int) -> dict[str, Tensor]:
    """Token inputs (and the audio an encoder cannot do without) on the model's device."""
    device = model.device
    tokens = torch.ones(batch, length, dtype=torch.long, device=device)
    config = model.config
    if config.model_type == "whisper":
        frames = 2 * config.max_source_positions
        features = torch.zeros(batch, config.num_mel_bins, frames, dtype=model.dtype, device=device)
        return {"input_features": features, "decoder_input_ids": tokens}
    if config.is_encoder_decoder:
        books = getattr(
            getattr(config, "decoder", None), "num_codebooks", 1
        )  # musicgen: rows for each of them
        return {"input_ids": tokens, "decoder_input_ids": tokens.repeat(books, 1)}
    return {"input_ids": tokens}


def run(model: PreTrainedModel, batch: int, length: int, use_cache: bool) -> Any:
    with torch.no_grad():
        return model(**inputs(model, batch, length), **({"use_cache": True} if use_cache else {}))


def tensors_in(value: Any, label: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Every tensor with at least one axis that an object holds, with the attribute path to it."""
    if isinstance(value, Tensor):
        if value.dim():
            yield label, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from tensors_in(item, f"{label}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from tensors_in(item, f"{label}.{index}", depth + 1)
    elif hasattr(value, "__dict__") and not isinstance(value, nn.Module | PreTrainedConfig) and depth < 6:
        yield from tensors_in(vars(value), label, depth + 1)


def cache_of(output: Any) -> Any:
    """The cache object of a model's output, under any of its names."""
    for name in ("past_key_values", "cache_params", "state", "past_buckets_states", "mems"):
        if getattr(output, name, None) is not None:
            return getattr(output, name)
    return None


def cache_layers(cache: Any) -> list[Layer]:
    """The tensors of each layer of a cache; with an encoder first the decoder's own, then the cross ones."""
    if isinstance(cache, EncoderDecoderCache):
        return cache_layers(cache.self_attention_cache) + cache_layers(cache.cross_attention_cache)
    if not isinstance(cache, Cache):
        return [list(tensors_in(cache))]
    beside = {name: value for name, value in vars(cache).items() if name != "layers"}  # e.g. minimax
    rest = list(tensors_in(beside))
    return [list(tensors_in(layer)) for layer in cache.layers] + ([rest] if rest else [])


def filled_cache(model: PreTrainedModel, batch: int, length: int) -> list[Layer] | None:
    """Per layer the tensors kept after a forward pass over `length` tokens; None if the model keeps none."""
    cache = cache_of(run(model, batch, length, use_cache=True))
    return None if cache is None else cache_layers(cache)


def cache_bytes(model: PreTrainedModel, batch: int, length: int) -> int:
    """Bytes of all tensors kept after a forward pass over `length` tokens."""
    return bytes_of(filled_cache(model, batch, length) or [])


def bytes_of(layers: list[Layer]) -> int:
    """A tensor held under two names once (deepseek_v4: the keys are the values)."""
    return sum({id(tensor): tensor.nbytes for layer in layers for _, tensor in layer}.values())


def flops_by_operation(model: PreTrainedModel, batch: int, length: int) -> dict[str, int]:
    """Floating point operations of a forward pass with logits at every position, by aten operation."""
    with FlopCounterMode(display=False) as counter:
        run(model, batch, length, use_cache=False)
    return {str(operation): int(count) for operation, count in counter.get_flop_counts()["Global"].items()}


def forward_flops(model: PreTrainedModel, batch: int, length: int) -> int:
    return sum(flops_by_operation(model, batch, length).values())


def lora_parameters(model: PreTrainedModel, **options: Any) -> int:
    """Trainable parameters after PEFT has wrapped the model (and changed it) with `LoraConfig(**options)`."""
    with torch.device(model.device):
        wrapped = get_peft_model(model, LoraConfig(**options))
    return sum(value.numel() for value in wrapped.parameters() if value.requires_grad)
