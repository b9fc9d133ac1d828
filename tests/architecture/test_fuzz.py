"""Mutated configurations are read or refused by a domain error, quickly and in little memory; real ones fast.

A few hundred examples in plain tests, ten thousand in the slow set.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from copy import deepcopy
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.architecture import read_config
from app.architecture.config import defaults
from app.architecture.families import FAMILIES
from app.errors import DomainError
from tests.golden import architectures

SECONDS, BYTES = 20.0, 100_000_000  # at most, for one configuration: `make bench` has the real figures
COLD_SECONDS = 0.1  # reading and sizing a configuration for the first time

CASES: list[dict[str, Any]] = [
    case["config"] | {"architectures": [case["class"]]}
    for model_type, cases in sorted(architectures()["types"].items())
    if model_type in FAMILIES
    for case in cases[:3]
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 3, 7, 64, 4096, 2**14, 2**15, 2**31, 2**31 + 1, 2**63, 10**30),
    *(0.0, 0.5, -1.5, 1e308, float("nan"), float("inf"), "", "1", "auto", "full_attention", "x" * 5000),
    *([], [0], [1, 2], [None], ["x"] * 3, [[]], [[1, 2], [3]], ["full_attention"] * 100, [1] * 20_000),
    *({}, {"type": "x"}, {"model_type": "llama"}, {"0": 1}, {"model_type": "vit", "hidden_size": 0}),
]
Mutation = tuple[int, int, Any]  # which object, which of its fields, the new value
REMOVED = "(removed)"


def objects(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The configuration and the objects nested in it, outer ones first."""
    found = [config]
    for value in config.values():
        found += objects(value) if isinstance(value, dict) else []
    return found


def fields(config: dict[str, Any]) -> list[str]:
    """The fields given, those with a default, and those that hold configurations."""
    known = defaults().get(str(config.get("model_type")), {})
    return sorted({*config, *known.get("defaults", {}), *known.get("sub_configs", {}), "quantization_config"})


def mutated(config: dict[str, Any], mutations: list[Mutation]) -> dict[str, Any]:
    changed = deepcopy(config)
    for which, field, value in mutations:
        among = objects(changed)
        target = among[which % len(among)]
        names = fields(target)
        name = names[field % len(names)]
        if value == REMOVED:
            target.pop(name, None)
        else:
            target[name] = deepcopy(value)
    return changed


MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 200),
        st.sampled_from([*VALUES, REMOVED]) | st.integers() | st.text(max_size=5),
    ),
    min_size=1,
    max_size=4,
)


def configs(cases: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """One of these, with up to four of its fields changed."""
    return st.builds(
        lambda index, mutations: mutated(cases[index], mutations),
        st.integers(0, len(cases) - 1),
        MUTATIONS,
    )


CONFIGS = configs(CASES)
PARTS = 4  # of the ten thousand, so that they can be shared out over processes


def sized(config: dict[str, Any]) -> None:
    """Read a configuration and every number that is a reading of it."""
    architecture = read_config(config)
    assert architecture.parameters.total >= 0
    assert architecture.cache_bytes(2, 100, source=10) >= 0
    assert architecture.forward_flops(2, 64, source=10) >= 0
    assert architecture.lora_parameters(8, "all-linear") >= 0
    assert all(tensor.name for tensor in islice(architecture.tensors(), 2000))


def holds(config: dict[str, Any]) -> None:
    """The numbers or a domain error, in time and memory; anything else raises."""
    tracemalloc.reset_peak()
    before, started = tracemalloc.get_traced_memory()[0], time.process_time()
    try:
        sized(config)
    except DomainError as refusal:
        assert str(refusal)
    took, held = time.process_time() - started, tracemalloc.get_traced_memory()[1] - before
    assert took < SECONDS, f"{took:.2f} s"
    assert held < BYTES, f"{held:,} bytes"


@pytest.fixture(autouse=True, scope="module")
def traced() -> Any:
    tracemalloc.start()
    yield
    tracemalloc.stop()


QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(CONFIGS)
def test_mutated_configurations_are_sized_or_refused(config: dict[str, Any]) -> None:
    holds(config)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@settings(max_examples=10_000 // PARTS, deadline=None, suppress_health_check=QUIET)
@given(data=st.data())
def test_ten_thousand_mutated_configurations_are_sized_or_refused(part: int, data: st.DataObject) -> None:
    holds(data.draw(configs(CASES[part::PARTS])))


@pytest.mark.slow
def test_every_type_is_read_and_sized_without_ado(capsys: pytest.CaptureFixture[str]) -> None:
    tracemalloc.stop()
    seconds: dict[str, float] = {}
    for config in CASES:
        text = json.dumps(config)
        for _ in range(4):  # the least of four: other processes don't count
            started = time.process_time()
            assert read_config(json.loads(text)).parameters.total
            took = time.process_time() - started
            name = config["model_type"]
            seconds[name] = min(seconds.get(name, took), took)
    tracemalloc.start()
    slowest = sorted(seconds.items(), key=lambda item: -item[1])
    with capsys.disabled():
        print(
            f"\nmedian of {len(slowest)} types: {slowest[len(slowest) // 2][1] * 1000:.2f} ms; the slowest:"
        )
        for name, took in slowest[:10]:
            print(f"    {name}: {took * 1000:.2f} ms")
    assert slowest[0][1] <= COLD_SECONDS
