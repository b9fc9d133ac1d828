"""Names, shapes, caches, FLOPs and adapter sizes against the real models, built and run now.

ORACLE_SEED draws other configs than those of the last run; worker processes share the types among them.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.pool import AsyncResult
from typing import Any

import pytest
import torch
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from app.architecture import read_config
from app.architecture.families import FAMILIES
from tests.golden import architectures, gaps

from .compare import Case, differences, shown
from .dump import cases_of

VARIATIONS = 5
ADAPTED = 2  # of these, with adapters on four choices of modules
SEED = int(os.environ.get("ORACLE_SEED", "1"))
SECONDS_PER_TYPE = 300
TYPES_PER_WORKER = 10  # then a fresh process: memory stays bounded
RARELY_BUILT = {
    "diffusion_gemma",
    "dots3_note",
    "gemma4_unified_assistant",
}  # the library refuses most of what is drawn
TYPES = sorted(name for name in architectures()["types"] if name in FAMILIES and name in CONFIG_MAPPING_NAMES)


def quiet() -> None:
    logging.disable(logging.ERROR)
    torch.set_num_threads(1)


def measured(model_type: str) -> str:
    """The cases as JSON, just as a dump would hold them."""
    return json.dumps(cases_of(model_type, VARIATIONS, SEED, adapted=ADAPTED))


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Iterator[dict[str, AsyncResult[str]]]:
    """Model type → its cases, for the types selected to run."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    chosen = [item.callspec.params["model_type"] for item in items if item.originalname == "test_real_model"]
    fork = multiprocessing.get_context("fork")
    with fork.Pool(os.cpu_count(), quiet, maxtasksperchild=TYPES_PER_WORKER) as pool:
        yield {model_type: pool.apply_async(measured, [model_type]) for model_type in chosen}


def unexpected(model_type: str, case: Case) -> dict[str, list[str]]:
    """Differences without those listed as known gaps."""
    known = gaps().get(model_type, {})
    found = differences(case, read_config)
    return {check: lines[:5] for check, lines in found.items() if check not in known}


@pytest.mark.parametrize("model_type", TYPES)
def test_real_model(model_type: str, results: dict[str, AsyncResult[str]]) -> None:
    cases: list[dict[str, Any]] = json.loads(results[model_type].get(SECONDS_PER_TYPE))
    assert len(cases) >= (1 if model_type in RARELY_BUILT else VARIATIONS)
    for case in cases:
        assert not unexpected(model_type, case), shown(case["config"])


def test_golden_results_are_of_the_installed_library() -> None:
    assert f"torch {torch.__version__.partition('+')[0]}" in architectures()["source"]
