"""Configurations as they are found: older field names, missing types, remote code of a known lineage.

`settle` brings a `config.json` into the form that the families read. What it had to guess is said in
warnings; what cannot be known is left for the caller to refuse.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from msgspec import Struct

from ..messages import Message
from .config import Config, defaults

Fields = dict[str, Any]


class Settled(Struct, frozen=True):
    """A configuration in today's form, the lineage that reads it, and what was guessed."""

    config: Mapping[str, Any]
    model_type: str
    warnings: tuple[Message, ...] = ()


# Other types whose published code is that of a lineage described under another name.
SAME: Final[Mapping[str, str]] = {
    "kimi_k2": "deepseek_v3",
    "Yi": "llama",
    "yi": "llama",
    "aquila": "llama",
    "xverse": "llama",
    "RefinedWeb": "falcon",
    "RefinedWebModel": "falcon",
    "stablelm_epoch": "stablelm",
    "minimax_text_01": "minimax",
    "minimax_m1": "minimax",
    "MiniMaxText01": "minimax",
    "MiniMaxM1": "minimax",
    "QWen": "qwen",
}

# Classes of remote code by the lineage that reads them, beside those that configurations' own entries name.
CLASSES: Final[Mapping[str, str]] = {
    "YiForCausalLM": "llama",
    "LLaMAForCausalLM": "llama",
    "LlamaForCausalLM": "llama",
    "AquilaForCausalLM": "llama",
    "XverseForCausalLM": "llama",
    "RWForCausalLM": "falcon",
    "StableLMEpochForCausalLM": "stablelm",
    "MiniMaxText01ForCausalLM": "minimax",
    "MiniMaxM1ForCausalLM": "minimax",
    "MixFormerSequentialForCausalLM": "phi",
    "GPT2CustomLMHeadModel": "gpt_bigcode",
}

# Today's field and what it has been called; the first that stands in the file is taken.
OLDER: Final[Mapping[str, tuple[str, ...]]] = {
    "hidden_size": ("n_embd", "d_model", "n_embed", "model_dim"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("n_head_kv", "num_kv_heads", "n_kv_heads", "kv_n_heads", "multi_query_group_num"),
    "intermediate_size": ("ffn_hidden_size", "n_inner", "ffn_dim", "d_ff"),
    "max_position_embeddings": ("n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length"),
    "hidden_act": ("activation_function", "hidden_activation", "activation"),
    "vocab_size": ("padded_vocab_size", "n_vocab"),
    "head_dim": ("kv_channels", "attention_head_dim"),
    "num_kv_heads": ("n_head_kv",),
}

NESTED: Final = ("text_config", "llm_config", "language_config")


def settle(config: Mapping[str, Any]) -> Settled | None:
    """The configuration in today's form; None where its type cannot be known."""
    warnings: list[Message] = []
    stated = _stated_type(config)
    if stated is None and (nested := _nested(config)) is not None:
        name, inner = nested
        warnings.append(Message("wild_text_only", {"field": f"config.{name}"}))
        config, stated = {**_outer(config), **inner}, _stated_type(inner)
    lineage = _lineage(config, stated, warnings)
    if lineage is None:
        return None
    fields = {**config, **_settled_parts(config)}
    _TRANSLATED.get(lineage, _unchanged)(fields)
    _older_names(fields, lineage, warnings)
    return Settled(fields, lineage, tuple(warnings))


def _stated_type(config: Mapping[str, Any]) -> str | None:
    stated = config.get("model_type")
    return stated if isinstance(stated, str) and stated else None


def _class(config: Mapping[str, Any]) -> str | None:
    classes = config.get("architectures")
    return classes[0] if isinstance(classes, list) and classes and isinstance(classes[0], str) else None


def _nested(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """A nested language model where the file itself names neither type nor class."""
    if _class(config) is not None:
        return None
    for name in NESTED:
        inner = config.get(name)
        if isinstance(inner, Mapping) and (_stated_type(inner) or _class(inner)):
            return name, inner
    return None


def _settled_parts(config: Mapping[str, Any]) -> Fields:
    """Nested language models of a type that another lineage describes, under that lineage's name."""
    parts = {name: config[name] for name in NESTED if isinstance(config.get(name), Mapping)}
    return {
        name: {**inner, "model_type": SAME[inner["model_type"]]}
        for name, inner in parts.items()
        if isinstance(inner.get("model_type"), str) and inner["model_type"] in SAME
    }


def _outer(config: Mapping[str, Any]) -> Fields:
    return {name: config[name] for name in ("dtype", "torch_dtype", "quantization_config") if name in config}


def _lineage(config: Mapping[str, Any], stated: str | None, warnings: list[Message]) -> str | None:
    """The lineage by stated type, else by the class that `architectures` or `auto_map` names."""
    if stated is not None and (stated in SAME or known(stated)):
        return SAME.get(stated, stated)
    found = by_class(_class(config)) or by_class(_mapped_class(config))
    if found is None:
        return stated
    warnings.append(Message("wild_type_from_class", {"lineage": found, "name": _class(config) or "auto_map"}))
    return found


def known(model_type: str) -> bool:
    """Whether a configuration class of that type is known, be it covered or not."""
    return model_type in defaults()


def _mapped_class(config: Mapping[str, Any]) -> str | None:
    """The class in `auto_map`, without its file: `modeling_qwen.QWenLMHeadModel`."""
    mapped = config.get("auto_map")
    if not isinstance(mapped, Mapping):
        return None
    named = mapped.get("AutoModelForCausalLM", mapped.get("AutoModel"))
    named = named[0] if isinstance(named, list) and named else named
    return named.rpartition(".")[2] if isinstance(named, str) else None


def by_class(name: str | None) -> str | None:
    """The lineage of a model class."""
    return None if name is None else _classes().get(name)


@cache
def _classes() -> Mapping[str, str]:
    found = dict(CLASSES)
    for model_type, entry in defaults().items():
        if isinstance(entry, Mapping):
            for names in entry.get("classes", {}).values():
                for name in names if isinstance(names, list) else [names]:
                    found.setdefault(name, model_type)
    return found


def _older_names(fields: Fields, lineage: str, warnings: list[Message]) -> None:
    """Fill today's fields from older names, where the lineage does not itself know those."""
    view = Config(fields, lineage)
    own = _own_names(lineage)
    for name, others in OLDER.items():
        if view.stated(name) or (name == "num_kv_heads" and name not in own):
            continue
        for other in others:
            if other not in own and isinstance(fields.get(other), int | float | str):
                fields[name] = fields[other]
                warnings.append(Message("wild_older_name", {"field": f"config.{other}", "name": name}))
                break
    if (
        fields.get("multi_query") is True
        and "multi_query" not in own
        and not view.stated("num_key_value_heads")
    ):
        fields["num_key_value_heads"] = 1
        warnings.append(
            Message("wild_older_name", {"field": "config.multi_query", "name": "num_key_value_heads"})
        )


@cache
def _own_names(lineage: str) -> frozenset[str]:
    """The fields that a lineage's own configuration class knows."""
    entry = defaults().get(lineage, {})
    aliases = entry.get("attribute_map", {})
    return frozenset((*entry.get("defaults", {}), *aliases, *aliases.values()))


def _unchanged(fields: Fields) -> None:
    """Nothing to translate."""


def _minimax(fields: Fields) -> None:
    """MiniMax-Text-01 and M1 list their kinds of attention as 0 (lightning) and 1."""
    kinds = fields.get("attn_type_list")
    if isinstance(kinds, list) and "layer_types" not in fields:
        fields["layer_types"] = ["full_attention" if kind else "linear_attention" for kind in kinds]


_TRANSLATED: Final[Mapping[str, Callable[[Fields], None]]] = {"minimax": _minimax}
