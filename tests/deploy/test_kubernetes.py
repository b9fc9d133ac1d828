"""The Kubernetes manifests, read: what refers to something refers to what is there."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .files import DEPLOY, ROOT, VARIABLES, documents, routes

FOLDER = DEPLOY / "kubernetes"
[KUSTOMIZATION] = documents(FOLDER / "kustomization.yaml")
LISTED = [each for name in KUSTOMIZATION["resources"] for each in documents(FOLDER / name)]
[INGRESS] = documents(FOLDER / "ingress.example.yaml")
[SECRET] = documents(FOLDER / "secret.example.yaml")
COMPONENT = "app.kubernetes.io/component"


def _kind(kind: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in LISTED if each["kind"] == kind}


DEPLOYMENTS = _kind("Deployment")


def _pod(name: str) -> dict[str, Any]:
    return DEPLOYMENTS[name]["spec"]["template"]["spec"]


def _container(name: str) -> dict[str, Any]:
    [container] = _pod(name)["containers"]
    return container


def _labels(name: str) -> dict[str, str]:
    return DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"]


def _selects(selector: dict[str, str]) -> list[str]:
    return [name for name in DEPLOYMENTS if selector.items() <= _labels(name).items()]


def test_every_file_is_listed_or_an_example() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert {name for name in files if ".example." not in name} == set(KUSTOMIZATION["resources"])


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_pods_are_closed_and_bounded(name: str) -> None:
    pod, container = _pod(name), _container(name)
    user = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (
        set(container["resources"]["requests"]) == set(container["resources"]["limits"]) == {"cpu", "memory"}
    )
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    assert any(each["mountPath"] == "/tmp" for each in container["volumeMounts"])


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_selectors_and_images_agree(name: str) -> None:
    assert _selects(DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"]) == [name]
    assert _container(name)["image"] in {image["name"] for image in KUSTOMIZATION["images"]}
    assert all(re.search(r"\d", image["newTag"]) for image in KUSTOMIZATION["images"])


def test_probes_ask_for_routes_on_the_port_of_the_image(tmp_path: Path) -> None:
    container = _container("llm-estimate")
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    paths = {kind: probe["path"] for kind, probe in probes.items()}
    assert paths == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
    annotations = DEPLOYMENTS["llm-estimate"]["spec"]["template"]["metadata"]["annotations"]
    assert {*paths.values(), annotations["prometheus.io/path"]} <= routes(tmp_path)
    [port] = container["ports"]
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert f"PORT={port['containerPort']} " in (ROOT / "Dockerfile").read_text()
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def test_settings_are_those_of_the_table() -> None:
    container = _container("llm-estimate")
    assert set(_kind("ConfigMap")["llm-estimate"]["data"]) <= VARIABLES
    assert {each["name"] for each in container["env"]} <= VARIABLES
    keys = {each["valueFrom"]["secretKeyRef"]["key"] for each in container["env"]}
    assert keys == set(SECRET["stringData"])
    assert not any(SECRET["stringData"].values()), "an example has no password"
    for name in DEPLOYMENTS:
        for source in _container(name).get("envFrom", []):
            assert source["configMapRef"]["name"] in _kind("ConfigMap")


def test_services_lead_to_ports_of_pods() -> None:
    for name, service in _kind("Service").items():
        [deployment] = _selects(service["spec"]["selector"])
        ports = {port["name"] for port in _container(deployment)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, name


def test_the_ingress_leads_to_the_service_and_keeps_metrics_in() -> None:
    [rule] = INGRESS["spec"]["rules"]
    found = {path["path"]: path["backend"]["service"] for path in rule["http"]["paths"]}
    [port] = _kind("Service")["llm-estimate"]["spec"]["ports"]
    assert found["/"] == {"name": "llm-estimate", "port": {"name": port["name"]}}
    assert found["/metrics"]["name"] not in _kind("Service")


def test_scaling_and_disruption_are_about_the_deployment() -> None:
    autoscaler = _kind("HorizontalPodAutoscaler")["llm-estimate"]["spec"]
    assert autoscaler["scaleTargetRef"]["name"] in DEPLOYMENTS
    assert 2 <= autoscaler["minReplicas"] < autoscaler["maxReplicas"]
    budget = _kind("PodDisruptionBudget")["llm-estimate"]["spec"]
    assert _selects(budget["selector"]["matchLabels"]) == ["llm-estimate"]
    rolling = DEPLOYMENTS["llm-estimate"]["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}


def test_network_policies_cover_every_pod_in_both_directions() -> None:
    covered = set()
    for policy in _kind("NetworkPolicy").values():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        selector = policy["spec"]["podSelector"]
        covered |= set(selector.get("matchLabels", {}).values())
        for expression in selector.get("matchExpressions", []):
            assert (expression["key"], expression["operator"]) == (COMPONENT, "In")
            covered |= set(expression["values"])
    assert covered == {_labels(name)[COMPONENT] for name in DEPLOYMENTS}


def test_dask_listens_where_it_is_looked_for() -> None:
    [port] = _kind("Service")["dask-scheduler"]["spec"]["ports"]
    settings = _kind("ConfigMap")["llm-estimate"]["data"]
    assert settings["DASK_SCHEDULER_ADDRESS"] == f"tls://dask-scheduler:{port['port']}"
    assert f"--port={port['port']}" in _container("dask-scheduler")["command"]
    assert settings["DASK_SCHEDULER_ADDRESS"] in _container("dask-worker")["command"]
    for name in DEPLOYMENTS:
        [mount] = [each for each in _container(name)["volumeMounts"] if "dask" in each["mountPath"]]
        assert mount["mountPath"] == settings["LLM_ESTIMATE_DASK_TLS"]


def test_kustomize_builds_it() -> None:
    """Where kubectl is installed."""
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl")
    done = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nkind: ") == len(LISTED)
