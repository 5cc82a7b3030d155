"""The files in which several workers keep their metrics."""

from pathlib import Path

import pytest

from app.telemetry.metrics import Metrics
from app.telemetry.worker_files import _pids, count_in_files, forget_gauges


def test_processes_of_workers_that_have_ended_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.telemetry.worker_files.values.ValueClass", None)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    count_in_files(tmp_path, worker=0)
    (tmp_path / "1.pid").write_text("")  # the file is just being written
    (tmp_path / "2.pid").write_text("12")
    assert set(_pids(tmp_path)) == {"0", "2"}
    forget_gauges(tmp_path, worker=0)
    forget_gauges(tmp_path, worker=0)
    assert set(_pids(tmp_path)) == {"2"}


def test_metrics_of_files_are_shown_in_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a worker has ended, its counters stay and its gauges are removed."""
    monkeypatch.setattr("app.telemetry.worker_files.values.ValueClass", None)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    count_in_files(tmp_path, worker=4)
    metrics = Metrics(tmp_path)
    metrics.scored.labels("m").inc(3)
    metrics.waiting_rows.set(5)
    lines = metrics.text().decode().splitlines()
    assert 'gan_images_scored_total{model="m"} 3.0' in lines
    assert "gan_engine_waiting_rows 5.0" in lines
    assert any(line.startswith('process_resident_memory_bytes{worker="4"} ') for line in lines)
    forget_gauges(tmp_path, worker=4)
    left = metrics.text().decode().splitlines()
    assert 'gan_images_scored_total{model="m"} 3.0' in left
    assert not any(line.startswith(("gan_engine_waiting_rows ", "process_")) for line in left)
