"""FSDP2 over a group of fake ranks and fake tensors, followed by torch's MemTracker.

python -m tests.oracles.test_fsdp_peaks        # measures every case and writes the golden file
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from tests.oracles.memory_tracker import Case, Tracker, as_row, build, make_optimizer, step, untraced_masks
from tests.oracles.test_training_peaks import DENSE

GOLDEN = Path(__file__).parents[1] / "golden" / "fsdp_peaks.json"


def cases() -> list[tuple[int, Case]]:
    """Ranks and runs: models of eight layers, so that layers in flight are few among all."""
    llama = DENSE["llama"] | {"num_hidden_layers": 8}
    qwen = DENSE["qwen3"] | {"num_hidden_layers": 12, "tie_word_embeddings": False}
    sizes = ((1, 512), (2, 1024), (4, 2048))
    runs = [Case(config, batch=b, length=s) for config in (llama, qwen) for b, s in sizes]
    runs += [replace(run, checkpointing=True) for run in runs[2::3]]
    return [(ranks, run) for run in runs for ranks in (4, 8)]


def largest(ranks: int, case: Case) -> dict[str, int]:
    """The largest total of each phase of the second step on rank 0 [bytes]."""
    if dist.is_initialized():
        dist.destroy_process_group()
    dist.init_process_group("fake", rank=0, world_size=ranks, store=FakeStore())
    mesh = init_device_mesh("cpu", (ranks,))
    found: dict[str, int] = {}
    with FakeTensorMode(allow_non_fake_inputs=True), untraced_masks():
        model: Any = build(case)
        for layer in model.model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
        optimizer = make_optimizer(case, list(model.parameters()))
        tracker = Tracker()
        tracker.track_external(model, optimizer)
        with tracker:
            for _ in range(2):
                found = step(case, model, optimizer, tracker)
    return found


@pytest.mark.parametrize(("ranks", "case"), cases()[::5])
def test_peaks_are_those_of_the_golden_file(ranks: int, case: Case) -> None:
    rows = json.loads(GOLDEN.read_text(encoding="utf-8"))
    row = next(row for row in rows if row["case"] == as_row(case) and row["ranks"] == ranks)
    assert largest(ranks, case) == row["phases"]


if __name__ == "__main__":
    torch.manual_seed(0)
    measured = [{"ranks": r, "case": as_row(c), "phases": largest(r, c)} for r, c in cases()]
    GOLDEN.write_text("[\n" + ",\n".join(map(json.dumps, measured)) + "\n]\n", encoding="utf-8")
