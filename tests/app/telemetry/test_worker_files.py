"""The files in which several workers keep their metrics."""

import errno
import logging
from pathlib import Path

import pytest

from app.telemetry import worker_files
from app.telemetry.metrics import Metrics
from app.telemetry.worker_files import (
    BYTES_OF_A_WORKER,
    LostFilesError,
    _pids,
    count_in_files,
    forget_gauges,
    make_files,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of three workers."""
    monkeypatch.setattr("app.telemetry.worker_files.values.ValueClass", None)
    monkeypatch.setattr("app.telemetry.worker_files.values.MmapedDict", None)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    make_files(tmp_path, workers=3)
    return tmp_path


def test_processes_of_workers_that_have_ended_are_forgotten(folder: Path) -> None:
    count_in_files(folder, worker=0)
    (folder / "2.pid").write_text("12")
    assert set(_pids(folder)) == {"0", "2"}
    forget_gauges(folder, worker=0)
    forget_gauges(folder, worker=0)
    assert set(_pids(folder)) == {"2"}


def test_metrics_of_files_are_shown_in_the_text(folder: Path) -> None:
    """When a worker has ended, its counters stay and its gauges are removed."""
    count_in_files(folder, worker=2)
    metrics = Metrics(folder, workers=3)
    metrics.scored.labels("m").inc(3)
    metrics.waiting_rows.set(5)
    lines = metrics.text().decode().splitlines()
    assert 'gan_images_scored_total{model="m"} 3.0' in lines
    assert "gan_engine_waiting_rows 5.0" in lines
    assert any(line.startswith('process_resident_memory_bytes{worker="2"} ') for line in lines)
    forget_gauges(folder, worker=2)
    left = metrics.text().decode().splitlines()
    assert 'gan_images_scored_total{model="m"} 3.0' in left
    assert not any(line.startswith(("gan_engine_waiting_rows ", "process_")) for line in left)


def test_room_is_reserved(folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A worker and its replacement need no more room than is reserved. What goes beyond is left out, and told once."""
    monkeypatch.setattr("os.posix_fallocate", refuse)
    allocated = sum(path.stat().st_blocks * 512 for path in folder.iterdir())
    assert allocated >= 3 * BYTES_OF_A_WORKER
    for _ in range(2):
        count_in_files(folder, worker=1)
        metrics = Metrics(folder, workers=3)
        metrics.scored.labels("m").inc()
        metrics.waiting_rows.set(5)
        forget_gauges(folder, worker=1)
    assert not caplog.records
    with caplog.at_level(logging.ERROR):
        for place in range(3000):
            metrics.scored.labels(f"model-{place}").inc()
        metrics.scored.labels("m").inc()
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text
    lines = metrics.text().decode().splitlines()
    assert 'gan_images_scored_total{model="m"} 3.0' in lines
    assert 'gan_images_scored_total{model="model-0"} 1.0' in lines
    assert sum(path.stat().st_blocks * 512 for path in folder.iterdir()) == allocated


def test_files_grow(folder: Path) -> None:
    count_in_files(folder, worker=1)
    metrics = Metrics(folder, workers=3)
    for place in range(3000):
        metrics.scored.labels(f"model-{place}").inc()
    grown = folder / "counter_1.db"
    assert grown.stat().st_blocks * 512 >= grown.stat().st_size > worker_files._SIZES["counter"]
    assert 'gan_images_scored_total{model="model-2999"} 1.0' in metrics.text().decode().splitlines()


def test_without_room_no_files_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space left"):
        make_files(tmp_path, workers=2)


@pytest.mark.parametrize("lost", ["counter_0.db", "gauge_livesum_1.db", "gauge_livemax_2.db", "histogram_2.db"])
def test_sums_that_would_lack_a_worker_are_not_told(folder: Path, lost: str) -> None:
    count_in_files(folder, worker=1)
    metrics = Metrics(folder, workers=3)
    assert metrics.text()
    (folder / lost).unlink()
    with pytest.raises(LostFilesError, match=lost):
        metrics.text()
    worker = int(lost[-4])
    forget_gauges(folder, worker=worker)
    with pytest.raises(FileNotFoundError):  # a new file would lack the earlier counts
        count_in_files(folder, worker=worker)


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
