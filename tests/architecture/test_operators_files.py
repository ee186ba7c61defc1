"""The Grafana dashboard, Prometheus' rules and docs/OPERATIONS.md speak of metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from policies.clock import SystemClock
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.series import Counter, Histogram

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\bbursar_(?:[a-z]+_)*[a-z]+\b")
FILES = ["config/grafana/bursar.json", "config/prometheus/bursar-alerts.yaml", "docs/OPERATIONS.md"]


def page_names() -> set[str]:
    """Return every name that can stand on the page."""
    names = {"bursar_workers"}
    for name, series in Metrics(SystemClock())._series.items():
        if isinstance(series, Counter):
            names.add(f"{name}_total")
        elif isinstance(series, Histogram):
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        else:
            names.add(name)
    return names


@pytest.mark.parametrize("file", FILES)
def test_every_metric_that_is_spoken_of_is_there(file: str) -> None:
    spoken = set(NAME.findall((ROOT / file).read_text()))

    # People may leave out what Prometheus adds to a name.
    known = page_names() | (set(Metrics(SystemClock())._series) if file.endswith(".md") else set())
    assert spoken
    assert spoken - known == set()


def test_every_metric_is_explained_to_operators() -> None:
    explained = (ROOT / "docs/OPERATIONS.md").read_text()

    assert {name for name in Metrics(SystemClock())._series if name not in explained} == set()


def expressions(node: object) -> Iterator[str]:
    """Return the queries of a Grafana dashboard, and the labels that they group by."""
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for child in node.values():
            yield from expressions(child)
    elif isinstance(node, list):
        for child in node:
            yield from expressions(child)


def test_queries_group_by_labels_that_the_metrics_have() -> None:
    labels = {
        name: set(getattr(series, "_labels", ()))
        for name, series in Metrics(SystemClock())._series.items()
    }
    document = json.loads((ROOT / FILES[0]).read_text())
    found = list(expressions(document))

    assert len(found) > 20
    for expression in found:
        (name,) = set(NAME.findall(expression))
        known = labels.get(re.sub(r"_(total|bucket)$", "", name), set()) | {"le"}
        for group in re.findall(r"by \(([^)]*)\)", expression):
            assert {label.strip() for label in group.split(",")} <= known, expression


def test_panels_do_not_lie_on_each_other() -> None:
    panels = json.loads((ROOT / FILES[0]).read_text())["panels"]
    places: set[tuple[int, int]] = set()

    for panel in panels:
        at = panel["gridPos"]
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not own & places, panel["title"]
        assert max(x for x, _ in own) < 24
        places |= own


def test_each_rule_says_what_to_do_about_it() -> None:
    rules = yaml.safe_load((ROOT / FILES[1]).read_text())["groups"][0]["rules"]
    explained = (ROOT / "docs/OPERATIONS.md").read_text()

    assert [rule["alert"] for rule in rules if rule["alert"] not in explained] == []
