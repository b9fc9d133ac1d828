"""Write `configs/models/<name>/` from a file of model facts: `python scripts/import_models.py FACTS.jsonl`.

`config.json` keeps the hub's form; `meta.json` says where it came from and what is published of the model.
A repository that several rows name as their own shape becomes the alias of the row whose name is nearest.
"""

import json
import math
import re
import sys
from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "configs" / "models"
SAFE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")

# Short names in wide use for a row whose hub name is longer. Only where nothing but the hub's form differs.
SHORT_NAMES = {
    "Llama-2-7b-hf": ["Llama-2-7B"],
    "Llama-2-13b-hf": ["Llama-2-13B"],
    "Llama-2-70b-hf": ["Llama-2-70B"],
    "CodeLlama-7b-hf": ["CodeLlama-7B"],
    "CodeLlama-13b-hf": ["CodeLlama-13B"],
    "CodeLlama-34b-hf": ["CodeLlama-34B"],
    "Meta-Llama-3-8B": ["Llama-3-8B"],
    "Meta-Llama-3-70B": ["Llama-3-70B"],
    "OLMo-1B-hf": ["OLMo-1B"],
    "OLMo-7B-hf": ["OLMo-7B"],
    "llava-1.5-7b-hf": ["llava-1.5-7b"],
    "llava-1.5-13b-hf": ["llava-1.5-13b"],
    "mamba-130m-hf": ["mamba-130m"],
    "mamba-370m-hf": ["mamba-370m"],
    "mamba-790m-hf": ["mamba-790m"],
    "mamba-1.4b-hf": ["mamba-1.4b"],
    "mamba-2.8b-hf": ["mamba-2.8b"],
    "gpt2": ["gpt2-small"],
    "TinyLlama-1.1B-Chat-v1.0": ["TinyLlama-1.1B"],
    "dots.llm1.inst": ["dots.llm1"],
}

# Repositories of the same dimensions that the facts do not list: the other half of a base and chat pair.
SAME_SHAPE = {
    "Llama-2-7b-hf": ["meta-llama/Llama-2-7b-chat-hf"],
    "Llama-2-13b-hf": ["meta-llama/Llama-2-13b-chat-hf"],
    "Llama-2-70b-hf": ["meta-llama/Llama-2-70b-chat-hf"],
    "Meta-Llama-3-8B": ["meta-llama/Meta-Llama-3-8B-Instruct"],
    "Meta-Llama-3-70B": ["meta-llama/Meta-Llama-3-70B-Instruct"],
    "Llama-3.1-8B": ["meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B"],
    "Llama-3.1-70B": ["meta-llama/Llama-3.1-70B-Instruct", "meta-llama/Meta-Llama-3.1-70B"],
    "Llama-3.1-405B": ["meta-llama/Llama-3.1-405B-Instruct", "meta-llama/Meta-Llama-3.1-405B"],
    "Llama-3.2-1B": ["meta-llama/Llama-3.2-1B-Instruct"],
    "Llama-3.2-3B": ["meta-llama/Llama-3.2-3B-Instruct"],
    "Mistral-7B-v0.1": ["mistralai/Mistral-7B-Instruct-v0.1"],
    "falcon-7b": ["tiiuae/falcon-7b-instruct"],
    "falcon-40b": ["tiiuae/falcon-40b-instruct"],
    "mpt-7b": ["mosaicml/mpt-7b-instruct"],
    "Kimi-K2-Instruct": ["moonshotai/Kimi-K2-Base"],
}

# How the facts put it -> how the project puts it.
WORDING = {
    "written down by the compiler": "recalled",
    ", not re-read from a file in this pass": ", not read from a file",
    " (stored copy)": "",
}


def reworded(text: str | None) -> str | None:
    """A source or note without words that mean nothing outside the facts."""
    for old, new in WORDING.items():
        text = text and text.replace(old, new)
    return text


def likeness(alias: str, name: str) -> float:
    """How near a repository's own name is to a row's."""
    return SequenceMatcher(None, alias.split("/")[-1].lower(), name.lower(), autojunk=False).ratio()


def aliases(rows: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The repositories of the same shape, each given to one row; rows of their own are nobody's alias."""
    own = {row["repo_id"].lower() for row in rows}
    owner: dict[str, str] = {}
    for row in rows:
        for alias in (*(row.get("same_shape_repos") or ()), *SAME_SHAPE.get(row["name"], ())):
            if alias.lower() in own:
                continue
            if alias not in owner or likeness(alias, row["name"]) > likeness(alias, owner[alias]):
                owner[alias] = row["name"]
    found: dict[str, list[str]] = {row["name"]: list(SHORT_NAMES.get(row["name"], ())) for row in rows}
    for alias, name in sorted(owner.items()):
        found[name].append(alias)
    return found


def without_infinity(value: Any) -> Any:
    """A value of strict JSON: some published files write `Infinity` for a limit that is none."""
    if isinstance(value, dict):
        return {key: without_infinity(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_infinity(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def left_out(config: Mapping[str, Any]) -> str | None:
    """The list of the checkpoint's quantization that the copy does not hold, by dotted path."""
    missing = config.get("quantization_config", {}).get("_left_out")
    return f"quantization_config.{missing}" if missing else None


def meta_file(row: dict[str, Any], other_names: list[str]) -> dict[str, Any]:
    """What is known of a model beside its configuration."""
    match = row["published_match"]
    meta = {
        "name": row["name"],
        "repo_id": row["repo_id"],
        "model_type": row["model_type"],
        "license": row["license"],
        "released": row["released"],
        "gated": row["gated"],
        "parameters_total": row["params_total"],
        "parameters_how": row["params_how"],
        "parameters_active": row["params_active"],
        "parameters_tied_copy": row["tied_copy_params"],
        "parameters_published": row["params_published"],
        "parameters_published_match": match,
        "parameters_published_difference": _difference(row),
        "config_how": row["config_how"],
        "config_dimensions_confirmed": row["hub_dims_agree"],
        "config_left_out": left_out(row["config"]),
        "source": reworded(row["source"]),
        "notes": reworded(row["notes"]),
        "aliases": other_names,
    }
    return {key: value for key, value in meta.items() if value not in (None, [])}


def _difference(row: dict[str, Any]) -> int | None:
    """Published less counted; `notes` say what it is made of."""
    if row["params_published"] is None or row["params_total"] is None:
        return None
    return (row["params_published"] - row["params_total"]) or None


def write(path: Path, content: Any) -> None:
    """Indented JSON whose lists of plain values stay on one line."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    flat = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\n\s+", " ", m[1]) + "]", text)
    path.write_text(flat + "\n", encoding="utf-8")


def main(facts: Path) -> None:
    rows = [json.loads(line) for line in facts.read_text(encoding="utf-8").splitlines()]
    other_names = aliases(rows)
    for row in rows:
        if not SAFE_NAME.match(row["name"]):
            raise SystemExit(f"{row['name']} is not safe as a folder name")
        folder = FOLDER / row["name"]
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "config.json", without_infinity(row["config"]))
        write(folder / "meta.json", meta_file(row, other_names[row["name"]]))
    print(f"{len(rows)} models, {sum(map(len, other_names.values()))} aliases in {FOLDER}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
