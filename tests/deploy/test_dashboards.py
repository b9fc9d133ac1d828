"""The Grafana dashboard and the alerts speak of metrics and labels that exist, and of nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.api.metrics import FAMILIES, Family

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.example.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]

SAMPLES: dict[str, Family] = {
    family.name + suffix: family
    for family in FAMILIES
    for suffix in (("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",))
}
OF_PROMETHEUS = {"job", "instance"}  # labels that every scraped sample gets
_METRIC = re.compile(r"\b(llm_estimate_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")


def expressions() -> list[str]:
    """Every query of the dashboard and of the alerts."""
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    variables = [
        each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"
    ]
    return [*asked, *variables, *(rule["expr"] for rule in RULES)]


def labels_of(family: Family) -> set[str]:
    return {*family.labels, *OF_PROMETHEUS, *(["le"] if family.kind == "histogram" else [])}


@pytest.mark.parametrize("expression", expressions())
def test_metrics_and_labels_exist(expression: str) -> None:
    found = _METRIC.findall(expression)
    assert found or expression.startswith("up{")
    for name, matchers in found:
        assert name in SAMPLES
        asked = {re.split("[!=]", matcher)[0].strip() for matcher in matchers.split(",") if matcher}
        assert asked <= labels_of(SAMPLES[name])
        for group in _BY.findall(expression):
            assert {label.strip() for label in group.split(",")} <= labels_of(SAMPLES[name])


@pytest.mark.parametrize("expression", expressions())
def test_counters_are_asked_for_their_growth_and_brackets_close(expression: str) -> None:
    for name, _ in _METRIC.findall(expression):
        if SAMPLES[name].kind != "gauge":
            assert re.search(rf"(rate|increase)\(\s*{name}", expression), name
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def test_every_metric_is_shown() -> None:
    shown = {name for expression in expressions() for name, _ in _METRIC.findall(expression)}
    assert {SAMPLES[name].name for name in shown} == {family.name for family in FAMILIES}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_say_what_is_wrong_with_labels_they_have(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    groups = _BY.findall(rule["expr"])
    kept = {label.strip() for group in groups for label in group.split(",")} if groups else None
    for name, _ in _METRIC.findall(rule["expr"]):
        assert used <= (labels_of(SAMPLES[name]) if kept is None else kept)


def test_prometheus_reads_the_alerts_and_scrapes_the_path_that_there_is() -> None:
    assert PROMETHEUS["rule_files"] == ["alerts.yml"]
    (job,) = PROMETHEUS["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("llm-estimate", "/metrics")
