"""The configuration that a GGUF file's metadata makes, where it says all that one needs.

Keys: ggml `docs/gguf.md`; which fields of a `config.json` they come from: llama.cpp `conversion/llama.py`,
`qwen.py`, `phi.py` and `gemma.py`.
Only lineages whose fields map one to one are here. Whether they did is checked, not believed: the
configuration has to make as many parameters as the file holds, and its tensors, in the file's block types, as
many bytes.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..architecture import Architecture, read_config
from ..errors import DomainError, InvalidConfig, Problem, UnknownArchitecture
from ..messages import Message
from ..precision.declared import declared
from ..precision.gguf_mix import MIXES
from ..precision.gguf_own import MOST_KINDS, MOST_LAYERS
from ..precision.scheme import TOWERS, weight_bytes
from .gguf_files import GgufModel

Config = dict[str, Any]

_FAR_OFF: Final = 0.1  # a configuration so far from the file is another model's
_TENSOR: Final = re.compile(r"(blk\.(?P<layer>\d{1,4})\.)?(?P<kind>[a-z_]+)\.weight")
_WIDE: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}

_WINDOW: Final = "attention.sliding_window"

# Fields that every lineage has, and the key behind the architecture's name that each comes from.
_FIELDS: Final = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "intermediate_size": "feed_forward_length",
    "max_position_embeddings": "context_length",
}


class _Missing(Exception):
    """The metadata lacks something that the configuration needs."""


class _Facts:
    """A file's metadata, read for a configuration."""

    def __init__(self, model: GgufModel) -> None:
        self.architecture = model.architecture
        self.metadata = model.metadata
        self.tensors = {tensor.name: tensor for tensor in model.tensors}

    def maybe(self, key: str) -> int | None:
        """A count of the architecture; None where it is not there or, by layer, not one."""
        found = self.metadata.get(f"{self.architecture}.{key}")
        return found if type(found) is int else None

    def needed(self, key: str) -> int:
        """The same, which has to be there."""
        if (found := self.maybe(key)) is None:
            raise _Missing
        return found

    def rows(self, name: str) -> int:
        """The rows of a matrix that has to be there."""
        tensor = self.tensors.get(name)
        if tensor is None or len(tensor.shape) != 2:
            raise _Missing
        return tensor.shape[0]


def _llama(f: _Facts) -> Config:
    """Llama and what is converted as one: Mistral without its window, Mixtral, SmolLM, Yi."""
    bias = {
        "attention_bias": "blk.0.attn_q.bias" in f.tensors,
        "mlp_bias": "blk.0.ffn_gate.bias" in f.tensors,
    }
    if not f.maybe("expert_count"):
        return {"model_type": "llama", **_own_heads(f), **bias, **_no_window(f)}
    return {
        "model_type": "mixtral",
        **_no_window(f),
        "num_local_experts": f.needed("expert_count"),
        "num_experts_per_tok": f.needed("expert_used_count"),
    }


def _own_heads(f: _Facts) -> Config:
    """The width of a head where the file states it."""
    width = f.maybe("attention.key_length")
    return {} if width is None else {"head_dim": width}


def _wide_heads(f: _Facts) -> Config:
    return {"head_dim": f.needed("attention.key_length")}


def _window(f: _Facts, period: int) -> Config:
    """A window in all layers but every last of `period`, which files need not say."""
    if f.metadata.get(f"{f.architecture}.attention.sliding_window_pattern", period) != period:
        raise _Missing
    return {"sliding_window": f.needed(_WINDOW)}


def _no_window(f: _Facts) -> Config:
    if f.metadata.get(f"{f.architecture}.{_WINDOW}"):
        raise _Missing
    return {}


def _phi3(f: _Facts) -> Config:
    return {"model_type": "phi3", "sliding_window": f.needed(_WINDOW) or None}


def _qwen3_moe(f: _Facts) -> Config:
    return {
        "model_type": "qwen3_moe",
        **_wide_heads(f),
        **_no_window(f),
        "num_experts": f.needed("expert_count"),
        "num_experts_per_tok": f.needed("expert_used_count"),
        "moe_intermediate_size": f.needed("expert_feed_forward_length"),
    }


# llama.cpp's name of an architecture: the fields that are its own.
_LINEAGES: Final[Mapping[str, Callable[[_Facts], Config]]] = {
    "llama": _llama,
    "qwen2": lambda f: {"model_type": "qwen2", **_no_window(f)},
    "qwen3": lambda f: {"model_type": "qwen3", **_wide_heads(f), **_no_window(f)},
    "qwen3moe": _qwen3_moe,
    "phi3": _phi3,
    "gemma": lambda f: {"model_type": "gemma", **_wide_heads(f), **_no_window(f)},
    "gemma2": lambda f: {"model_type": "gemma2", **_wide_heads(f), **_window(f, 2)},
    "gemma3": lambda f: {"model_type": "gemma3_text", **_wide_heads(f), **_window(f, 6)},
}


def config_of(model: GgufModel) -> Config | None:
    """The configuration that the metadata makes, None where it does not say enough."""
    lineage = _LINEAGES.get(model.architecture or "")
    if lineage is None:
        return None
    facts = _Facts(model)
    try:
        shared = {field: facts.needed(key) for field, key in _FIELDS.items()}
        heads = facts.maybe("attention.head_count_kv") or shared["num_attention_heads"]
        return {
            **lineage(facts),
            **shared,
            "num_key_value_heads": heads,
            "vocab_size": facts.rows("token_embd.weight"),
            "tie_word_embeddings": "output.weight" not in facts.tensors,
            **_data_type(model),
        }
    except _Missing:
        return None


def _data_type(model: GgufModel) -> Config:
    """The type of matrices that are not quantized; a quantized file does not tell what it was made from."""
    kinds = {tensor.type for tensor in model.parameters if len(tensor.shape) > 1}
    wide = _WIDE.get(next(iter(kinds))) if len(kinds) == 1 else None
    return {"dtype": wide} if wide else {}


def configured(
    model: GgufModel, given: Mapping[str, Any] | None = None
) -> tuple[Config, tuple[Message, ...]]:
    """A configuration, `given` or made, that stores its weights as the file does, and what to warn of.

    Raises `UnknownArchitecture` where none is given and none can be made, `InvalidConfig` where the one given
    is another model's, and what reading it raises.
    """
    base = config_of(model) if given is None else dict(given)
    if base is None or (given is None and not _holds(base, model)):
        params = {"file": model.file, "architecture": model.architecture or "?"}
        raise UnknownArchitecture(Message("gguf_no_config", params))
    exact = _stored_as(base, model.file_type, _kinds_of_tensors(model))
    return (exact, ()) if _is_exact(exact, model) else _nearly(base, model)


def _stored_as(config: Config, file_type: str | None, kinds: Mapping[str, Any]) -> Config:
    quantization: Config = {"quant_method": "gguf", "file_type": file_type or "gguf"}
    return {**config, "quantization_config": quantization | ({"tensor_types": kinds} if kinds else {})}


def _kinds_of_tensors(model: GgufModel) -> dict[str, str | list[str]]:
    """The types of each kind of matrix: one, or by layer; none of a file with more than models have."""
    found: dict[str, dict[int, str]] = {}
    for tensor in model.parameters:
        named = _TENSOR.fullmatch(tensor.name)
        if named and len(tensor.shape) > 1:
            found.setdefault(named["kind"], {})[int(named["layer"] or 0)] = tensor.type
    if len(found) > MOST_KINDS or any(max(kinds) >= MOST_LAYERS for kinds in found.values()):
        return {}
    return {name: _by_layer(kinds) for name, kinds in found.items()}


def _by_layer(kinds: Mapping[int, str]) -> str | list[str]:
    if len(set(kinds.values())) == 1:
        return next(iter(kinds.values()))
    # A layer that has none of a kind takes no part: any type does.
    return [kinds.get(layer, "F32") for layer in range(max(kinds) + 1)]


def _holds(config: Config, model: GgufModel) -> bool:
    """Whether the file holds as many parameters as a configuration makes; not where it does not read."""
    try:
        return read_config(config).parameters.total == _elements(model)
    except DomainError:
        return False


def _elements(model: GgufModel) -> int:
    return sum(tensor.elements for tensor in model.parameters)


def _is_exact(config: Config, model: GgufModel) -> bool:
    """Whether a configuration makes the file's parameters and bytes."""
    try:
        size = _bytes_of(read_config(config))
    except DomainError:
        return False
    return _holds(config, model) and size == sum(tensor.bytes for tensor in model.parameters)


def _bytes_of(architecture: Architecture) -> int:
    scheme = declared(architecture.config)
    return weight_bytes(architecture, scheme) if scheme else 0


def _nearly(base: Config, model: GgufModel) -> tuple[Config, tuple[Message, ...]]:
    """A configuration stored as the mix that the file says it is; raises what reading it raises."""
    read_config(base)
    mix = model.file_type if model.file_type in MIXES else None
    if mix is None:
        raise _wrong_config(Message("gguf_unknown_mix", {"file": model.file}))
    config = _stored_as(base, mix, {})
    architecture = read_config(config)
    counts = architecture.parameters.by_component
    expected = sum(count for name, count in counts.items() if name not in TOWERS)
    found = _elements(model)
    differs = Message("gguf_config_differs", {"file": model.file, "found": found, "expected": expected})
    if abs(found - expected) > _FAR_OFF * expected:
        raise _wrong_config(differs)
    params = {"file": model.file, "mix": mix, "expected": _bytes_of(architecture), "bytes": model.bytes}
    estimated = Message("gguf_estimated", params)
    return config, (estimated,) if found == expected else (differs, estimated)


def _wrong_config(message: Message) -> InvalidConfig:
    return InvalidConfig(message, [Problem("config", message)])
