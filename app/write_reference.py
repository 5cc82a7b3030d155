"""`python -m app.write_reference PAGE …`: fill the tables of settings and of metrics into Markdown pages.

A page marks the place of a table and names its settings or metrics; the command writes the lines between the marks:

    <!-- settings: host port -->
    <!-- end -->

The tables are made from the code, so they cannot differ from it: `tests/docs/test_reference.py` compares the committed
pages with what this command would write.
"""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from prometheus_client import Metric, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

from app.settings import Settings
from app.telemetry.metrics import Metrics

_TABLE = re.compile(r"(<!-- (?P<kind>settings|metrics): (?P<names>[\w\s]+?) -->\n).*?(<!-- end -->\n)", re.DOTALL)
_CHOICES = re.compile(r"\^\((\w+(?:\|\w+)*)\)\$")
_BUNDLED = "the bundled models"
"""The default of `models_dir`, whose path depends on where the package is installed."""


def main() -> int:
    """Rewrite the pages that the arguments name, and return the exit code."""
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def filled(text: str) -> str:
    """Return the text of a page with each of its tables written anew.

    Raises:
        KeyError: a table names a setting or a metric that does not exist.
    """
    makers: dict[str, Callable[[list[str]], Iterable[str]]] = {"settings": _settings_table, "metrics": _metrics_table}

    def fill(found: re.Match[str]) -> str:
        lines = makers[found["kind"]](found["names"].split())
        return found[1] + "\n" + "".join(f"{line}\n" for line in lines) + "\n" + found[4]

    return _TABLE.sub(fill, text)


def names_in(text: str, kind: str) -> list[str]:
    """Return the names in all tables of a page that are of one kind, "settings" or "metrics"."""
    return [name for found in _TABLE.finditer(text) if found["kind"] == kind for name in found["names"].split()]


def metric_names() -> list[str]:
    """Return the names of all metrics of `/metrics`, as they are written in queries of Prometheus."""
    return list(_metrics())


def _settings_table(names: list[str]) -> Iterable[str]:
    schema = Settings.model_json_schema()["properties"]
    yield "| setting | default | values | meaning |"
    yield "|---|---|---|---|"
    for name in names:
        field: dict[str, Any] = schema[name]
        yield _row(f"`GAN_{name.upper()}`", _default(name, field), _values(field), field["description"])


def _default(name: str, field: dict[str, Any]) -> str:
    if name == "models_dir":
        return _BUNDLED
    default = field.get("default")
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return "none" if default in (None, "", [], ()) else f"`{default}`"


def _values(field: dict[str, Any]) -> str:
    """Describe the values that a setting may have, from its JSON schema."""
    if choices := _CHOICES.fullmatch(field.get("pattern", "")):
        return _listed(choices[1].split("|"))
    if "enum" in field:
        return _listed(field["enum"])
    if field.get("type") == "boolean":
        return _listed(["true", "false"])
    if field.get("type") == "array":
        return "a list, separated by commas"
    if field.get("type") in ("integer", "number"):
        return _interval(field)
    return "a path" if field.get("format") == "path" else "text"


def _listed(choices: list[str]) -> str:
    return ", ".join(f"`{choice}`" for choice in choices)


def _interval(field: dict[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is None:
        low = field["exclusiveMinimum"]
        return f"above {low:,}" + ("" if high is None else f", at most {high:,}")
    return f"{low:,} or more" if high is None else f"{low:,} to {high:,}"


def _metrics_table(names: list[str]) -> Iterable[str]:
    known = _metrics()
    yield "| metric | type | labels | meaning |"
    yield "|---|---|---|---|"
    for name in names:
        metric, labels = known[name]
        yield _row(f"`{name}`", metric.type, ", ".join(f"`{label}`" for label in labels), metric.documentation)


def _metrics() -> dict[str, tuple[Metric, tuple[str, ...]]]:
    """Return each metric with its labels, by its name in queries. Metrics of the process exist on Linux only."""
    found = [
        (metric, tuple(wrapper._labelnames))  # noqa: SLF001  (nothing public tells the labels of a metric without a child)
        for wrapper in vars(Metrics()).values()
        if isinstance(wrapper, MetricWrapperBase)
        for metric in wrapper.describe()
    ]
    found += [(metric, ()) for metric in ProcessCollector(registry=None).collect()]
    return {metric.name + ("_total" if metric.type == "counter" else ""): (metric, labels) for metric, labels in found}


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
