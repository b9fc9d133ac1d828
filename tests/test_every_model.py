"""Every model of the registry: described, served and trained, or refused by name; nothing breaks."""

import pytest

from app.errors import DomainError
from app.registry.models import models
from app.service import Service
from app.settings import read_settings

NAMES = [entry.name for entry in models()]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(read_settings({}, data_folder=tmp_path_factory.mktemp("data"), hub_offline=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_answered_or_refused(service: Service, name: str) -> None:
    for calculation in ("inference", "training"):
        try:
            answer = service.memory(calculation, {"model_name": name, "gpu": "H100-80GB"})  # type: ignore[arg-type]
        except DomainError as refusal:
            assert refusal.code in ("unknown_architecture", "not_supported_yet"), str(refusal)
        else:
            sizes = answer["memory_bytes"]
            total = sizes.pop(f"{calculation}_memory")
            assert total == sum(sizes.values()) > 0
    try:
        found = service.model(name, {})
    except DomainError as refusal:
        assert refusal.code == "unknown_architecture"
    else:
        assert sum(found["parameters"]["by_component"].values()) == found["parameters"]["total"]
