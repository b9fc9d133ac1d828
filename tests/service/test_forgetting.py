"""What models of requests hold in memory is bounded, and forgetting changes no answer."""

import gc
import weakref
from functools import cache, lru_cache

import pytest

from app.architecture import Architecture, read_config
from app.service import forgetting, lookup
from app.service.forgetting import Ledger, forget
from app.service.lookup import read_cached
from app.service.service import Service
from app.settings import read_settings

LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


@lru_cache(maxsize=8)
def bounded(value: int) -> int:
    return value


@cache
def unbounded(value: int) -> int:
    return value


def test_forgetting_empties_bounded_caches_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "_probe", bounded, raising=False)
    monkeypatch.setattr(forgetting, "_data", unbounded, raising=False)
    bounded(1)
    unbounded(1)
    forget()
    assert (bounded.cache_info().currsize, unbounded.cache_info().currsize) == (0, 1)


def test_nothing_is_forgotten_before_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(forgetting, "forget", lambda: calls.append(1))
    architecture = read_config(LLAMA)
    operations = len(list(architecture.operations()))
    ledger = Ledger(most=2 * operations)
    for entered in range(1, 8):
        ledger.enter(architecture)
        ledger.settle()
        assert len(calls) == entered // 3


def test_architectures_of_requests_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every cache that an estimate fills: none may keep one back."""
    monkeypatch.setattr(lookup, "_LEDGER", Ledger(most=500))
    seen: list[weakref.ref[Architecture]] = []
    read = lookup.read_config

    def watched(config: dict[str, object]) -> Architecture:
        architecture = read(config)
        seen.append(weakref.ref(architecture))
        return architecture

    monkeypatch.setattr(lookup, "read_config", watched)
    service = Service(read_settings({}, hub_offline=True))
    for number in range(60):
        config = {**LLAMA, "vocab_size": 1000 + number}
        service.memory("inference", {"config": config})
        service.memory("training", {"config": config})
        service.performance("inference", {"config": config, "gpu": "H100-80GB"})
    gc.collect()
    alive = sum(each() is not None for each in seen)
    assert len(seen) >= 60
    assert alive <= 500 // len(list(read_config(LLAMA).operations())) + 2


def test_answers_are_the_same_after_forgetting() -> None:
    service = Service(read_settings({}, hub_offline=True))
    asked = {"config": LLAMA, "gpu": "H100-80GB"}
    before = service.memory("inference", asked), service.performance("inference", asked)
    forget()
    assert (service.memory("inference", asked), service.performance("inference", asked)) == before


def test_equal_configurations_are_read_once() -> None:
    assert read_cached(LLAMA) is read_cached(dict(LLAMA))
