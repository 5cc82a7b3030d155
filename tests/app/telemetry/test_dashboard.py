"""docs/grafana-dashboard.json uses only metrics that /metrics shows, and shows all of ours."""

import json
import re
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from harness.repository import ROOT
from harness.service import Service
from tests.app.checks import drawn_seven

DASHBOARD: dict[str, Any] = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text(encoding="utf-8"))
METRIC = re.compile(r"\b(?:gan|process)_[a-z0-9_]+")
SELECTOR = re.compile(r"\b((?:gan|process)_[a-z0-9_]+)\{([^}]*)\}")
BY = re.compile(r"\bby \(([^)]*)\)")
SCRAPED = {"job", "instance", "worker"}
"""Labels that Prometheus adds, and `worker`, which only a service of several workers has."""


def expressions() -> list[str]:
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*found, *(one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query")]


def test_every_metric_is_told(service: Service) -> None:
    """A request of each kind comes first, since some labels have no value before."""
    picture = ("it.png", drawn_seven(), "image/png")
    service.client.get("/v1/samples?n=1&seed=7")
    assert service.client.post("/v1/score", files=[("files", picture)]).status_code == 200
    assert service.client.post("/v1/projections", files={"file": picture}).status_code == 200
    families = list(text_string_to_metric_families(service.client.get("/metrics").text))
    labels: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    asked = expressions()
    assert len(asked) > 20
    for expression in asked:
        names = METRIC.findall(expression)
        assert names, expression
        assert set(names) <= set(labels), expression
        for name, selector in SELECTOR.findall(expression):
            wanted = {part.partition("=")[0].strip() for part in selector.split(",") if part.strip()}
            assert wanted <= labels[name] | SCRAPED, expression
        for group in BY.findall(expression):
            known = set().union(*(labels[name] for name in names)) | SCRAPED
            assert {label.strip() for label in group.split(",")} <= known, expression


def test_every_metric_of_ours_is_shown(service: Service) -> None:
    """The metrics that Prometheus' library adds by itself are left out."""
    told = {family.name for family in text_string_to_metric_families(service.client.get("/metrics").text)}
    text = " ".join(expressions())
    ours = {name for name in told if name.startswith("gan_") and not name.endswith("_created")}
    assert {name for name in ours if name not in text} == set()


def test_it_is_laid_out_without_overlaps() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert all(expression.count("(") == expression.count(")") for expression in expressions())
