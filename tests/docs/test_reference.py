"""The tables of docs/settings.md and docs/metrics.md are those that the code makes, and nothing is left out of them."""

import sys
from pathlib import Path

import pytest

from app import write_reference
from app.settings import Settings
from app.telemetry.metrics import Metrics
from harness.repository import ROOT

SETTINGS, METRICS = ROOT / "docs" / "settings.md", ROOT / "docs" / "metrics.md"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="metrics of the process exist on Linux only")
@pytest.mark.parametrize("page", [SETTINGS, METRICS], ids=lambda page: page.name)
def test_the_pages_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert write_reference.filled(text) == text, "run `make reference`"


def test_every_setting_is_told_once() -> None:
    told = write_reference.names_in(SETTINGS.read_text(encoding="utf-8"), "settings")
    assert sorted(told) == sorted(Settings.model_fields)


def test_no_setting_may_be_empty() -> None:
    """An empty setting is refused, so its description tells what "not set" means."""
    assert not [name for name, field in Settings.model_fields.items() if "Empty:" in (field.description or "")]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="metrics of the process exist on Linux only")
def test_every_metric_is_told_once() -> None:
    told = write_reference.names_in(METRICS.read_text(encoding="utf-8"), "metrics")
    assert sorted(told) == sorted(write_reference.metric_names())
    shown = {metric.name for metric in Metrics().registry.collect()}
    assert {name.removesuffix("_total") for name in told} == shown


def test_a_table() -> None:
    text = "Before.\n\n<!-- settings: port workers admin_key -->\nold\n<!-- end -->\n\nAfter.\n"
    lines = write_reference.filled(text).splitlines()
    assert lines[:3] == ["Before.", "", "<!-- settings: port workers admin_key -->"]
    assert lines[6].startswith("| `GAN_PORT` | `8000` | 0 to 65,535 | ")
    assert lines[7].startswith("| `GAN_WORKERS` | `1` | 1 to 64 | ")
    assert lines[8].startswith("| `GAN_ADMIN_KEY` | none | text | ")
    assert lines[-3:] == ["<!-- end -->", "", "After."]
    assert write_reference.filled("\n".join(lines) + "\n").splitlines() == lines


def test_a_setting_that_does_not_exist() -> None:
    with pytest.raises(KeyError, match="ports"):
        write_reference.filled("<!-- settings: ports -->\n<!-- end -->\n")
