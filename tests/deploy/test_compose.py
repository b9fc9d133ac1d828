"""docker-compose.yml, read: health, limits, networks, secrets that everyone makes for themselves."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .files import DEPLOY, ROOT, VARIABLES, documents, extras, is_pinned, routes

[COMPOSE] = documents(ROOT / "docker-compose.yml")
SERVICES: dict[str, Any] = COMPOSE["services"]
INSIDE = {"inside": {"postgres", "redis"}, "dask": {"dask-scheduler", "dask-worker"}}


def _secrets(folder: Path) -> dict[str, str]:
    done = subprocess.run(
        ["/bin/sh", DEPLOY / "make-secrets.sh", folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_pinned_bounded_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert "build" in service or is_pinned(service["image"])
    assert service["mem_limit"]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert "no-new-privileges:true" in service["security_opt"]
    assert name == "postgres" or (service["read_only"] and service["cap_drop"] == ["ALL"])


def test_only_nginx_is_reached_from_outside_and_on_loopback_by_default() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"proxy": ["${PUBLISH:-127.0.0.1:8080}:8080"]}
    listens = re.findall(r"^listen (\d+);", (DEPLOY / "nginx" / "listen.conf").read_text(), re.MULTILINE)
    assert listens == ["8080"]


def test_what_keeps_data_reaches_nothing_outside() -> None:
    for network, members in INSIDE.items():
        assert COMPOSE["networks"][network]["internal"] is True
        reached = {name for name, service in SERVICES.items() if network in service["networks"]}
        assert reached == {*members, "service"}
    assert SERVICES["proxy"]["networks"] == ["front"]


def test_what_is_needed_is_waited_for() -> None:
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES
            assert how == {"condition": "service_healthy"}


def test_settings_are_those_of_the_table_and_no_secret_stands_here() -> None:
    environment = SERVICES["service"]["environment"]
    assert set(environment) <= VARIABLES
    for service in SERVICES.values():
        for variable in service.get("environment", {}):
            assert not re.search(r"PASSWORD|TOKEN|_URL", variable) or variable.endswith("_FILE"), variable


def test_secrets_that_are_used_are_made() -> None:
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    files = {each["file"] for each in COMPOSE["secrets"].values()}
    assert files == {f"deploy/secrets/{name}" for name in used}
    paths = re.findall(r"/run/secrets/(\w+)", str(SERVICES))
    assert set(paths) == used


def test_secrets_are_everyones_own_and_stay(tmp_path: Path) -> None:
    one, other = _secrets(tmp_path / "one"), _secrets(tmp_path / "other")
    assert set(one) == set(COMPOSE["secrets"])
    assert not set(one.values()) & set(other.values())
    assert _secrets(tmp_path / "one") == one
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o700
    for name, password in (("database_url", "postgres_password"), ("redis_url", "redis_password")):
        parts = urlsplit(one[name])
        assert parts.password == one[password]
        assert parts.hostname in SERVICES


def test_nginx_asks_the_service_on_its_port() -> None:
    upstream = (DEPLOY / "nginx" / "upstream.conf").read_text()
    [(name, port)] = re.findall(r"^server (\w+):(\d+)", upstream, re.MULTILINE)
    assert name in SERVICES
    assert f"PORT={port}" in (ROOT / "Dockerfile").read_text()


def test_health_checks_ask_for_routes(tmp_path: Path) -> None:
    asked = set(re.findall(r"/health(?:/\w+)*", str(SERVICES)))
    assert asked == {"/health/live", "/health/ready"}
    assert asked <= routes(tmp_path)


def test_extras_of_the_image_exist() -> None:
    for service in SERVICES.values():
        if "build" in service:
            assert set(service["build"]["args"]["EXTRAS"].split(",")) <= extras()


def test_the_service_finds_dask() -> None:
    address = urlsplit(SERVICES["service"]["environment"]["DASK_SCHEDULER_ADDRESS"])
    command = SERVICES[address.hostname]["entrypoint"]
    assert command[command.index("--port") + 1] == str(address.port)
    assert address.geturl() in SERVICES["dask-worker"]["entrypoint"]


def test_volumes_and_files_that_are_mounted_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]


def test_compose_itself_agrees(tmp_path: Path) -> None:
    """Where Docker's plugin is installed."""
    try:
        asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no docker")
    if asked.returncode:
        pytest.skip("no docker compose")
    done = subprocess.run(
        ["docker", "compose", "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
