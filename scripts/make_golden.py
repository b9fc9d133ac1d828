"""Renew tests/golden/architectures.json.gz and published.json from dumps of the real models:

python -m tests.oracles.dump --dumps DIR <types...>
python scripts/make_golden.py DIR
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from math import prod
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app.architecture.families import FAMILIES  # noqa: E402
from tests.golden import ARCHITECTURES, PUBLISHED, digest  # noqa: E402
from tests.oracles.compare import expected_tensors  # noqa: E402

Case = dict[str, Any]


def compact(case: Case) -> Case:
    """One case: the config, totals and a digest of the names and shapes instead of all of them."""
    tensors = expected_tensors(case)
    points = case["cache"] if isinstance(case["cache"], list) else []
    flops = case["flops"]
    return {
        "config": case["config"],
        "class": case["class"],
        "tensors": len(tensors),
        "tied": case["tied"],
        "parameters": sum(prod(shape) for shape, is_parameter in tensors.values() if is_parameter),
        "digest": digest((name, shape, kind) for name, (shape, kind) in tensors.items()),
        "cache": [[p["batch"], p["length"], p["bytes"]] for p in points if p and "failed" not in p],
        "flops": None if "failed" in flops else [flops["batch"], flops["length"], flops["total"]],
        "lora": [choice for choice in case.get("lora", []) if isinstance(choice[2], int)],
    }


def published(case: Case) -> str | None:
    """A digest of the names and shapes of a checkpoint, None where they are the modules' own."""
    tensors = case.get("checkpoint")
    return digest((name, tuple(shape), True) for name, shape in tensors.items()) if tensors else None


def pinned(package: str) -> str:
    text = (ROOT / "tests" / "oracles" / "requirements.txt").read_text()
    found = re.search(rf"^{package}==(\S+)$", text, re.MULTILINE)
    return found.group(1) if found else "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description="Renew the golden results from dumps of the real models.")
    parser.add_argument("dumps", type=Path)
    folder = parser.parse_args().dumps
    described = (path for path in sorted(folder.glob("*.json")) if path.stem in FAMILIES)
    dumps = {path.stem: json.loads(path.read_text()) for path in described}
    types = {model_type: [compact(case) for case in cases] for model_type, cases in dumps.items()}
    source = ", ".join(f"{package} {pinned(package)}" for package in ("transformers", "torch", "peft"))
    text = json.dumps({"source": source, "types": types}, separators=(",", ":"), sort_keys=True)
    ARCHITECTURES.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    names = {model_type: [published(case) for case in cases] for model_type, cases in dumps.items()}
    renamed = {model_type: digests for model_type, digests in names.items() if any(digests)}
    PUBLISHED.write_text(json.dumps(renamed, indent=0, sort_keys=True) + "\n")
    print(f"{len(types)} types, {sum(map(len, types.values()))} cases, {ARCHITECTURES.stat().st_size} bytes")


if __name__ == "__main__":
    main()
