"""Our training peaks beside published ones: `python scripts/accuracy_training.py` prints every row's error.

Rows of validation/training.jsonl: what was measured, under which conditions, where it was published, and the
request that states those conditions. `complete` tells whether the source gives everything that decides.
What tools report as allocated or reserved memory is compared with the tensors of the peak, without context.
"""

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from app.architecture import read_config  # noqa: E402
from app.memory.requests import Lora, Model, Offload, TrainingRequest, ZeroOptimization  # noqa: E402
from app.memory.training.estimate import estimate_training  # noqa: E402

GIB = 2**30

# Groups of rows whose source states what the whole device holds (a share of the card).
DEVICE_WIDE = ("peft-accelerate", "ms-swift-docs")


def request_of(row: dict[str, Any]) -> TrainingRequest:
    """The request of a row."""
    config = row.get("config")
    if config is None:
        text = (ROOT / "configs" / "models" / row["model"] / "config.json").read_text(encoding="utf-8")
        config = json.loads(text)
    config = config | row.get("config_changes", {})
    fields = dict(row["request"])
    lora = fields.pop("lora", None)
    if lora is not None:
        targets = lora["target_modules"]
        chosen = targets if isinstance(targets, str) else tuple(targets)
        fields["lora"] = Lora(lora["rank"], target_modules=chosen)
    if "offload" in fields:
        fields["offload"] = Offload(**fields["offload"])
    if "zero_optimization" in fields:
        fields["zero_optimization"] = ZeroOptimization(**fields["zero_optimization"])
    quantization = fields.pop("quantization", None)
    return TrainingRequest(Model(read_config(config), row["model"], None, quantization), **fields)


def compared() -> list[tuple[dict[str, Any], float, str]]:
    """Every row with our peak [GiB] and the phase that we name: of the tensors, as sources count what torch
    allocates or reserves, and of the whole device where they count that."""
    found = []
    for line in (ROOT / "validation" / "training.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        estimate = estimate_training(request_of(row))
        whole = estimate.total if row["group"] in DEVICE_WIDE else estimate.extra["peak_tensor_bytes"]
        found.append((row, whole / GIB, estimate.extra["peak_phase"]))
    return found


def main() -> None:
    rows = compared()
    for row, ours, phase in rows:
        error = ours / row["measured_gib"] - 1
        mark = " " if row["complete"] else "?"
        figures = f"{row['measured_gib']:7.2f} {ours:7.2f} {error:+7.1%}"
        print(f"{mark} {row['id']:12} {row['model'][:28]:28} {figures} {phase}")
    for name, chosen in (("complete", [r for r in rows if r[0]["complete"]]), ("all", rows)):
        errors = sorted(abs(ours / row["measured_gib"] - 1) for row, ours, _ in chosen)
        tenth = errors[int(0.9 * (len(errors) - 1))]
        print(f"{name}: {len(errors)} rows, median {median(errors):.1%}, p90 {tenth:.1%}")


if __name__ == "__main__":
    main()
