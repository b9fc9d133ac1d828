"""Write app/architecture/defaults.json: what each model type's config class assumes for a field left out.

Run with `transformers` and `torch` installed:  python scripts/extract_defaults.py
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedConfig
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

TARGET = Path(__file__).parent.parent / "app" / "architecture" / "defaults.json"

MAPPINGS = {
    "causal_lm": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "image_text_to_text": "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "multimodal_lm": "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
    "seq_to_seq_lm": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "speech_seq_to_seq": "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
    "masked_lm": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "base": "MODEL_MAPPING_NAMES",
}
# Towers that published composite configs name besides the default ones.
EXTRA_TYPES = (
    "clip_vision_model", "siglip_vision_model", "siglip2_vision_model", "pixtral", "dinov2", "vit", "swin",
    "dinov3_vit", "convnext", "whisper", "wav2vec2", "hubert", "seamless_m4t", "t5", "nomic_bert",
    "intern_vit_6b", "internvl_vision", "mlcd_vision_model", "qwen2_audio_encoder", "distilbert", "albert",
)  # fmt: skip

# Fields that change neither a tensor, nor a cache, nor an operation.
IRRELEVANT = re.compile(
    r"""token_ids?$|(?<!experts_per)(?<!num_selected_experts)(?<!per)(?<!use_mask)(?<!use_cls)_token$|_token_index$|token_id_|_eps$|^eps$|epsilon|initializer|init_std|_std$|^init_
    |id2label|label2id|problem_type|num_labels|_coef$|_loss|loss_|jitter|^use_cache$|^output_(attentions|hidden_states|router_logits|past)|return_dict
    |^architectures$|transformers_version|^dtype$|chunk_size_feed_forward|^forced_|^begin_suppress|^suppress
    |spec_augment|^mask_(time|feature)|^ctc_|classifier|gradient_checkpoint|^name|_temperature$
    |^rescale_|^pretraining_tp$|^summary_|^task_specific|^keys_|^vision_(start|end)|^problem|^_(label|out)_|^rope_scaling$
    |^max_length$|^num_beams$|^early_stopping$|^is_encoder_decoder$|^time_step_(min|max|floor)""",
    re.VERBOSE,
)  # `is_encoder_decoder` is a property of the class here, not a choice of the user
BASE_FIELDS = {field.name for field in dataclasses.fields(PreTrainedConfig)}


def plain(value: Any) -> Any:
    """A JSON form of a config value: sub-configs become dicts, tuples lists, dtypes their names."""
    if isinstance(value, PreTrainedConfig):
        return plain(value.to_dict())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set):
        return sorted(plain(item) for item in value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def raw_defaults(config_class: type[PreTrainedConfig]) -> dict[str, Any]:
    """Field → default as the class declares it, before `__post_init__` derives anything."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config_class):
        if field.default is not dataclasses.MISSING:
            found[field.name] = plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = plain(field.default_factory())
        else:
            found[field.name] = None
    return found


def is_relevant(name: str, config_class: type[PreTrainedConfig]) -> bool:
    if name == "tie_word_embeddings":
        return True
    is_common = name in BASE_FIELDS or name in config_class.sub_configs_defaults
    return not is_common and not IRRELEVANT.search(name)


def values_of(config: PreTrainedConfig) -> dict[str, Any]:
    """All public attributes of a built config, sub-configs left out."""
    hidden = type(config).sub_configs_defaults
    return {key: plain(value) for key, value in vars(config).items() if key not in hidden and key[0] != "_"}


def altered(value: Any) -> Iterable[Any]:
    """Other values of the same kind, most agreeable to validators first."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value * 2, value + 1, max(value // 2, 1))
    elif isinstance(value, float):
        yield value / 2
    elif value is None:
        yield from (2, True)


def derived_fields(config_class: type[PreTrainedConfig], raw: dict[str, Any]) -> dict[str, list[str]]:
    """Fields the class fills in by itself, each with the fields seen to influence it."""
    base = values_of(config_class())
    filled_in = [name for name, value in base.items() if raw.get(name) != value]
    derived: dict[str, set[str]] = {name: set() for name in filled_in if is_relevant(name, config_class)}
    for name, value in raw.items():
        if not is_relevant(name, config_class):
            continue
        for other in altered(value):
            try:
                changed = values_of(config_class(**{name: other}))
            except Exception:  # any validator may refuse; the next value is tried
                continue
            for key, seen in changed.items():
                if key != name and seen != base.get(key) and is_relevant(key, config_class):
                    derived.setdefault(key, set()).add(name)
            break
    return {name: sorted(sources) for name, sources in sorted(derived.items())}


def sub_configs_of(config_class: type[PreTrainedConfig]) -> dict[str, Any]:
    """Key → default model type, whether it may be null, and what the parent passes to its constructor."""
    found = {}
    for key, spec in config_class.sub_configs_defaults.items():
        found[key] = {"model_type": spec.model_type or f"{config_class.model_type}.{key}"}
        if spec.optional:
            found[key]["optional"] = True
        if not issubclass(spec.config_class, PreTrainedConfig):
            found[key]["any_type"] = True  # the sub-config's own model_type decides its class
        if spec.init_kwargs:
            found[key]["with"] = plain(spec.init_kwargs)
    return found


def classes_of(model_type: str) -> dict[str, Any]:
    """Mapping name → class name, for each auto mapping that knows the type."""
    tables = {name: getattr(auto, attribute) for name, attribute in MAPPINGS.items()}
    return {name: table[model_type] for name, table in tables.items() if model_type in table}


def describe(model_type: str, config_class: type[PreTrainedConfig]) -> dict[str, Any]:
    raw = raw_defaults(config_class)
    entry: dict[str, Any] = {
        "config_class": config_class.__name__,
        "classes": classes_of(model_type),
        "defaults": {name: value for name, value in raw.items() if is_relevant(name, config_class)},
    }
    optional = {
        "attribute_map": {a: b for a, b in config_class.attribute_map.items() if a != b and "token" not in a},
        "sub_configs": sub_configs_of(config_class),
        "is_encoder_decoder": bool(raw.get("is_encoder_decoder")),
    }
    entry |= {key: value for key, value in optional.items() if value}
    try:
        if derived := derived_fields(config_class, raw):
            entry["derived"] = derived
    except Exception as error:
        entry["no_default"] = f"{type(error).__name__}: {error}"[:200]
    return entry


def starting_types() -> set[str]:
    tables = [getattr(auto, attribute) for key, attribute in MAPPINGS.items() if key != "base"]
    return {name for name in {*EXTRA_TYPES}.union(*tables) if name in CONFIG_MAPPING_NAMES}


def reachable_classes() -> dict[str, type[PreTrainedConfig]]:
    """Model type → config class, over the starting types and every sub-config below them."""
    found: dict[str, type[PreTrainedConfig]] = {}
    queue = [(name, CONFIG_MAPPING[name]) for name in sorted(starting_types())]
    while queue:
        name, config_class = queue.pop()
        if name in found:
            if found[name] is not config_class:
                print(f"two classes for {name}: {found[name]}, {config_class}", file=sys.stderr)
            continue
        found[name] = config_class
        for key, spec in config_class.sub_configs_defaults.items():
            is_own = issubclass(spec.config_class, PreTrainedConfig)
            sub_name = spec.model_type or f"{name}.{key}"
            queue.append((sub_name, spec.config_class if is_own else CONFIG_MAPPING[sub_name]))
    return found


def main() -> None:
    lines = [f'"_source": {json.dumps(f"transformers {transformers.__version__}")}']
    for name, config_class in sorted(reachable_classes().items()):
        entry = describe(name, config_class)
        lines.append(f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True, separators=(',', ':'))}")
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(lines) - 1} model types, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
