"""Alert rules, dashboard and scrape configuration against what the code really exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from telemetry import metrics

ROOT = Path(__file__).parent.parent.parent
PROMETHEUS = ROOT / "infra" / "prometheus"
RULES = [rule for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "infra" / "grafana" / "karyoflow.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]
OF_PROMETHEUS = {"instance", "job", "le"}
"""Labels that Prometheus and its histograms bring."""
EXPORTED = {**metrics.metric_labels(), "up": ()}


def nodes(expression: Any) -> Iterator[Any]:
    """An expression of PromQL and everything within it."""
    yield expression
    for part in ("lhs", "rhs", "expr", "args", "vector_selector"):
        inner = getattr(expression, part, None)
        for each in inner if isinstance(inner, list) else [inner] if inner is not None else []:
            yield from nodes(each)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_every_expression_parses_and_names_metrics_and_labels_that_exist(text: str) -> None:
    found = list(nodes(promql_parser.parse(text.replace("$__rate_interval", "5m"))))
    selectors = [node for node in found if isinstance(node, promql_parser.VectorSelector)]
    assert selectors
    for selector in selectors:
        assert selector.name in EXPORTED
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= {*EXPORTED[selector.name], *OF_PROMETHEUS}
    grouped = {
        label
        for node in found
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier
        for label in node.modifier.labels
    }
    assert grouped <= {label for selector in selectors for label in EXPORTED[selector.name]} | OF_PROMETHEUS


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    used = {
        node.name
        for text in EXPRESSIONS
        for node in nodes(promql_parser.parse(text.replace("$__rate_interval", "5m")))
        if isinstance(node, promql_parser.VectorSelector)
    }
    stems = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in used}
    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in metrics.metric_labels()} <= stems


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_is_whole(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert re.fullmatch(r"\d+[smhd]", rule.get("for", "0s"))
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = re.findall(r"by \(([^)]*)\)", rule["expr"]) or ["instance, job"]
    assert named <= {label.strip() for labels in kept for label in labels.split(",")}


def test_every_alert_has_its_paragraph_and_every_paragraph_its_alert() -> None:
    parts = re.split(r"^### (\w+)\n", (ROOT / "docs" / "runbook.md").read_text(), flags=re.MULTILINE)
    paragraphs = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(paragraphs) == {rule["alert"] for rule in RULES}
    assert all(len(text.split("\n#")[0].split()) >= 25 for text in paragraphs.values())


def test_the_runbook_links_to_what_is_there() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / "docs" / "runbook.md").read_text()):
        assert (ROOT / "docs" / target).exists(), target


def test_the_dashboard_is_whole() -> None:
    everything = DASHBOARD["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    (source,) = DASHBOARD["templating"]["list"]
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] == f"${{{source['name']}}}"
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    places = [panel["gridPos"] for panel in everything]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart or below


def test_what_is_scraped_is_a_service_that_listens_there() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert configuration["rule_files"] == ["/etc/prometheus/rules.yml"]
    jobs = {}
    for job in configuration["scrape_configs"]:
        for found in job.get("dns_sd_configs", []):
            for name in found["names"]:
                assert services[name]["environment"]["KARYO_METRICS_ADDRESS"].endswith(f":{found['port']}")
                jobs[name] = job["job_name"]
        for target in (target for found in job.get("static_configs", []) for target in found["targets"]):
            name, _, port = target.partition(":")
            assert port in services[name]["command"]
            jobs[name] = job["job_name"]
    assert set(jobs) == {"web", "scheduler", "worker-cpu", "worker-gpu"}
    selected = set(re.findall(r'job="([^"]+)"', " ".join(EXPRESSIONS)))
    assert selected <= set(jobs.values())
