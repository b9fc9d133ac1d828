"""Grids of questions, up to millions of points: read as arrays where there are formulas for it, in parts."""

from typing import Final

CALCULATIONS: Final = (
    "memory_inference", "performance_inference", "memory_training", "performance_training"
)  # fmt: skip
FORMATS: Final = ("ndjson", "parquet")
