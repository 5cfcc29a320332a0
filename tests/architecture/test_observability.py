"""What watches over a deployment is sound: rules fire, runbooks exist, expressions ask for metrics that there are."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import promql_parser
import pytest
import yaml

from tasks.metrics.families import METRICS
from tests.support.shared import REPO

HERE = REPO / "infra" / "observability"
GRAFANA = REPO / "tests" / "support" / "grafana"
GROUPS = yaml.safe_load((HERE / "alerts.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RULE_TESTS = ("alerts.test.yml", "alerts.days.test.yml")
DASHBOARDS = sorted((HERE / "dashboards").glob("*.json"))
# What Prometheus itself adds to every sample, and what rules make.
ADDED = {"job", "instance", "alertname", "alertstate", "severity", "le", "place"}
RECORDED = {rule["record"]: {"source"} for rule in RULES if "record" in rule}
EXPOSED = {name: set(metric.labels) for metric in METRICS for name in metric.exposed}
KNOWN = {**EXPOSED, **RECORDED, "ALERTS": set()}


def run(*command: str, cwd: Path = HERE) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def queries(dashboard: Path) -> Iterator[str]:
    for panel in json.loads(dashboard.read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


EXPRESSIONS = sorted(
    {rule["expr"] for rule in RULES} | {query for dashboard in DASHBOARDS for query in queries(dashboard)}
)


def parts(expression: str) -> list[Any]:
    """All nodes of an expression."""
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(expression), found.append)
    return found


@pytest.mark.parametrize("file", RULE_TESTS)
def test_each_alert_fires_on_what_it_is_for_and_not_before(file: str) -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", file)


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_each_alert_is_tried_both_ways(alert: str) -> None:
    cases = [
        case
        for file in RULE_TESTS
        for test in yaml.safe_load((HERE / file).read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_each_alert_says_how_bad_it_is_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description", "runbook"} == set(rule["annotations"])
    runbook = (REPO / rule["annotations"]["runbook"]).read_text()
    assert alert in runbook


@pytest.mark.parametrize("number", range(len(EXPRESSIONS)))
def test_expressions_ask_for_metrics_and_labels_that_the_exporter_has(number: int) -> None:
    nodes = parts(EXPRESSIONS[number])
    selectors = [node for node in nodes if isinstance(node, promql_parser.VectorSelector)]
    assert selectors
    for selector in selectors:
        assert selector.name in KNOWN, selector.name
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= KNOWN[selector.name] | ADDED, asked
    labels = set().union(*(KNOWN[selector.name] for selector in selectors)) | ADDED
    for node in nodes:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            assert set(node.modifier.labels) <= labels, node.modifier.labels


def test_names_follow_prometheus_conventions() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert re.fullmatch(r"indelible(_[a-z]+)+", metric.name)
        assert metric.help.endswith(".")
        assert not metric.name.endswith("_total")  # the exposition adds it


def test_the_configurations_are_valid() -> None:
    run("promtool", "check", "config", "prometheus.yml")
    run("amtool", "check-config", "alertmanager.yml")


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dashboards", HERE / "dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_dashboards_are_what_their_code_makes() -> None:
    rendered = generator().render()
    assert {path.name: path.read_text() for path in DASHBOARDS} == rendered


def test_dashboards_fit_one_screen_and_leave_no_panel_without_words() -> None:
    for path in DASHBOARDS:
        panels = json.loads(path.read_text())["panels"]
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells)) == 24 * 20
        assert all(panel["title"] and panel["description"] for panel in panels)


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grafana's types and a compiler, as the lock file names them."""
    place = tmp_path_factory.mktemp("grafana")
    for name in ("package.json", "package-lock.json", "types.ts"):
        shutil.copy(GRAFANA / name, place)
    run("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", cwd=place)
    return place


def compile_dashboards(place: Path, documents: dict[str, str]) -> str:
    lines = ['import type { Ours } from "./types";']
    lines += [f"export const {name}: Ours = {text};" for name, text in sorted(documents.items())]
    (place / "check.ts").write_text("\n".join(lines))
    options = (
        "--strict",
        "--noEmit",
        "--skipLibCheck",
        "--module",
        "esnext",
        "--moduleResolution",
        "bundler",
    )
    command = [str(place / "node_modules/.bin/tsc"), *options, "check.ts"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False).stdout


def test_dashboards_are_of_grafanas_types(typescript: Path) -> None:
    documents = {path.stem: path.read_text() for path in DASHBOARDS}
    assert compile_dashboards(typescript, documents) == ""
    wrong = documents["working"].replace('"colorMode": "value"', '"colorMode": "loud"')
    assert "loud" in compile_dashboards(typescript, {"wrong": wrong})
