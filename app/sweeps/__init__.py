"""Grids of questions, up to millions of points: read as arrays where there are formulas for it, in parts."""

from typing import Final

CALCULATIONS: Final = (
    "memory_inference", "performance_inference", "memory_training", "performance_training"
)  # fmt: skip
CONTENT_TYPES: Final = {"ndjson": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}
FORMATS: Final = tuple(CONTENT_TYPES)
