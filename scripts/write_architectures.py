"""Write docs/architectures.md: every model type that is described and what was proven of it, and those that
are not, with the reason. With `--check` nothing is written, and a page that no longer holds is an error."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.architecture import read_config  # noqa: E402
from app.architecture.families import FAMILIES  # noqa: E402
from tests.golden import architectures, gaps  # noqa: E402

PAGE = ROOT / "docs" / "architectures.md"
NOT_DESCRIBED = ROOT / "tests" / "oracles" / "not_described.json"
KINDS = {
    "decoder": "Decoders",
    "image_text": "Models that see or listen",
    "encoder_decoder": "Encoder-decoders",
    "encoder": "Encoders",
}
BESIDE = "code beside the checkpoints, not in the library; totals are held against published files"
NONE = "None: every language model type of the library is described."
REFUSED = "the library builds too little of it to compare"
Case = dict[str, Any]
# Check → how many results a case gives for it.
RESULTS: dict[str, Callable[[Case], int]] = {
    "tensors": lambda case: 1,
    "cache": lambda case: len(case["cache"]),
    "flops": lambda case: bool(case["flops"]),
    "lora": lambda case: len(case["lora"]),
}


def proven(model_type: str, check: str) -> str:
    """How many results of the real model ours equal; `gap`: known to differ; a dash: nothing to compare."""
    if check in gaps().get(model_type, {}):
        return "gap"
    return str(sum(map(RESULTS[check], architectures()["types"][model_type])) or "–")


def row(model_type: str) -> str:
    cells = " | ".join(proven(model_type, check) for check in RESULTS)
    return f"| `{model_type}` | {architectures()['types'][model_type][0]['class']} | {cells} |"


def kind_of(model_type: str) -> str:
    case = architectures()["types"][model_type][0]
    return read_config(case["config"] | {"architectures": [case["class"]]}).kind


def tables(measured: list[str]) -> Iterator[str]:
    kinds = {model_type: kind_of(model_type) for model_type in measured}
    for kind, title in KINDS.items():
        types = [name for name in measured if kinds[name] == kind]
        yield f"## {title} ({len(types)})\n"
        yield "| type | class | names and shapes | cache | FLOPs | adapters |\n|---|---|---|---|---|---|"
        yield "\n".join(map(row, types)) + "\n"


def listed(title: str, reasons: dict[str, list[str]]) -> str:
    lines = [f"- {reason}: {', '.join(f'`{name}`' for name in names)}" for reason, names in reasons.items()]
    return f"## {title}\n\n" + "\n".join(lines or [NONE]) + "\n"


def known_gaps() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for model_type, checks in gaps().items():
        for check, why in checks.items():
            found.setdefault(f"{check}: {why}", []).append(model_type)
    return found


def page() -> str:
    types = architectures()["types"]
    measured = sorted(types.keys() & FAMILIES.keys())
    cases = sum(len(types[name]) for name in measured)
    library = json.loads((ROOT / "app" / "architecture" / "defaults.json").read_text()).keys()
    unmeasured = sorted(FAMILIES.keys() & library - types.keys())
    remote = sorted(FAMILIES.keys() - library)
    missing: dict[str, list[str]] = json.loads(NOT_DESCRIBED.read_text())
    parts = [
        "# Architectures\n",
        "Written by `scripts/write_architectures.py`; do not edit.\n",
        f"{len(FAMILIES)} model types are described. {len(measured)} of them are held against the real\n"
        f"models ({architectures()['source']}), in {cases} configurations: the default\n"
        "one and random variations of every dimension. The columns count results of the real model that\n"
        "ours equal: tensor names and shapes of whole models, bytes of the cache after a forward pass,\n"
        "FLOPs of a forward pass, trainable parameters of adapters as PEFT makes them. A dash: the real\n"
        "model gives none (encoders keep no cache; some need pictures or sound to run). `gap`: known to\n"
        "differ, see below.\n",
        *tables(measured),
        listed("Known gaps", known_gaps()),
        listed("Described, not held against a real model", {BESIDE: remote, REFUSED: unmeasured}),
        listed(f"Not described ({sum(map(len, missing.values()))})", missing),
    ]  # fmt: skip
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true")
    text = page()
    if parser.parse_args().check:
        return int(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
