"""The rows of `validation/performance_training.jsonl` as questions, and what we predict for them."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.performance.training import estimate_training_performance  # noqa: E402
from app.performance.training_coefficients import Coefficients  # noqa: E402
from app.performance.training_requests import TrainingSpeedRequest  # noqa: E402
from app.service.lookup import Lookup  # noqa: E402
from app.service.training_speed_question import training_speed_question  # noqa: E402
from app.settings import read_settings  # noqa: E402

ROWS = ROOT / "validation" / "performance_training.jsonl"


@dataclass(frozen=True, slots=True)
class Row:
    """One published run as a question; `rate` [tokens/s of one GPU] is what was measured.

    `superseded`: a newer release of the same software was measured on the same model and device.
    """

    id: str
    source: str
    date: str
    device: str
    model: str
    moe: bool
    confidence: str
    superseded: bool
    request: TrainingSpeedRequest
    rate: float

    @property
    def group(self) -> tuple[str, str]:
        """What is left out together: a source on a device."""
        return self.source, self.device

    def predict(self, coefficients: Coefficients | None = None) -> float:
        """Tokens per second of one GPU."""
        return estimate_training_performance(self.request, coefficients).tokens_per_sec_per_gpu


def read_rows() -> Iterator[Row]:
    """Every row, in order."""
    lookup = Lookup(read_settings())
    for line in ROWS.read_text(encoding="utf-8").splitlines():
        fields: dict[str, Any] = json.loads(line)
        request = training_speed_question(fields["request"], lookup).request
        measured = fields["measured"]
        rate = measured.get("tokens_per_sec_per_gpu") or _rate(request, measured["step_ms"])
        kept = ("id", "source", "date", "device", "model", "moe", "confidence", "superseded")
        yield Row(*(fields[name] for name in kept), request=request, rate=rate)


def _rate(request: TrainingSpeedRequest, step_ms: float) -> float:
    t = request.training
    ranks = t.tensor_parallel * t.pipeline_parallel * t.context_parallel
    return t.batch_size * t.sequence_length * t.gradient_accumulation_steps / (step_ms / 1e3) / ranks
