"""The measurements of services run, print their tables, and ask for what they say. No figure of theirs is judged."""

import base64
import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks import dissection
from benchmarks.services.plain_pictures import PlainPictures
from benchmarks.services.specs import rivals
from benchmarks.serving import NO_RIVALS
from harness.pinned_services import started
from harness.process_tree import tree_of
from harness.repository import ROOT
from harness.service_specs import RequestTemplate
from harness.tiny_models import make_tiny_model_folder
from models.images import ImageShape
from tests.benchmarks.commands import LOAD, needs_wrk, rows_of, run

RIVALS = ROOT / ".venv-rivals/bin/python"

needs_rivals = pytest.mark.skipif(not RIVALS.exists(), reason="no environment of the rivals: make bench makes it")


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """A tiny model and one quick round."""
    make_tiny_model_folder(tmp_path / "mnist-conv")
    return ["--models-dir", str(tmp_path), "--rounds", "1"]


@pytest.mark.slow
@needs_wrk
def test_serving(options: list[str]) -> None:
    printed = run("serving", *options, *LOAD)
    rows = [row for row in rows_of(printed) if row[0].startswith(("ours", "plain", "FastAPI", "Starlette"))]
    names = ["ours", "plain FastAPI, eager G, Pillow", "FastAPI's hello", "Starlette's constant bytes"]
    assert [row[0] for row in rows] == names * 3
    assert [row[-1] for row in rows[:8]] == ["0"] * 8, "a request failed"
    assert all(int(row[4].replace(",", "")) > 0 for row in rows[:8])  # processor µs
    assert NO_RIVALS in printed


@needs_wrk
@needs_rivals
def test_serving_beside_rivals(options: list[str]) -> None:
    printed = run("serving", *options, *LOAD, "--rivals", str(RIVALS))
    others = ("plain FastAPI, ONNX", "Granian", "LitServe", "BentoML", "Ray")
    rows = [row for row in rows_of(printed) if row[0].startswith(others)]
    assert len(rows) == 15
    assert [row[-1] for row in rows[:10]] == ["0"] * 10, "a request failed"
    assert [row[0] for row in rows_of(printed) if len(row) == 5] == ["requests/s", "-" * 10, "one image", "64 grid"]
    assert NO_RIVALS not in printed


@needs_rivals
@pytest.mark.parametrize("name", ["LitServe", "BentoML", "Ray Serve"])
def test_a_rival_draws_the_plain_pictures_and_leaves_nobody_behind(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_tiny_model_folder(tmp_path / "tiny")
    monkeypatch.setenv("PLAIN_MODEL", str(tmp_path / "tiny"))
    (rival,) = [rival for rival in rivals(RIVALS, tmp_path, "tiny") if rival.name.startswith(name)]
    wanted = PlainPictures()([(1, 5), (64, 5)])
    with started(rival) as running:
        drawn = [picture_of(running.port, request) for request in (rival.one, rival.grid)]
        members = tree_of(running.pid)
    for picture, png in zip(drawn, wanted, strict=True):
        np.testing.assert_allclose(picture, pixels(png), atol=1)
    assert not any(member in tree_of(member.pid) for member in members)
    assert "left behind" not in capfd.readouterr().err


def picture_of(port: int, request: RequestTemplate) -> NDArray[np.int16]:
    """The pixels of an answer to seed 5: a PNG, or a list of one in base64."""
    answer = httpx.request(
        request.method,
        f"http://127.0.0.1:{port}{request.target.replace('SEED', '5')}",
        content=request.body.replace("SEED", "5"),
        headers={"Content-Type": "application/json"},
        timeout=600,
    ).raise_for_status()
    png = base64.b64decode(answer.json()[0]) if answer.headers["Content-Type"] == "application/json" else answer.content
    return pixels(png)


def pixels(png: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(png)), dtype=np.int16)


@pytest.mark.slow
@needs_wrk
def test_scoring(tmp_path: Path) -> None:
    make_tiny_model_folder(tmp_path / "mnist-conv", image_shape=ImageShape())
    rows = rows_of(run("scoring", "--models-dir", str(tmp_path), "--rounds", "1", *LOAD))[2:]
    names = ["ours, preprocess=none", "ours, preprocess=auto", "plain FastAPI, eager G, Pillow"]
    assert [(row[0], row[-1]) for row in rows] == [(name, "0") for name in names]
    assert all(float(row[1]) > 0 < float(row[3]) for row in rows)


@pytest.mark.slow
@needs_wrk
def test_latency(options: list[str]) -> None:
    printed = run("latency", *options, *LOAD)
    rows = rows_of(printed)
    assert [row[0] for row in rows] == ["share", "-----", "10%", "50%", "90%"] * 2
    assert {row[-1] for row in rows if row[0].endswith("%")} == {"0"}, "a request failed"


@pytest.mark.slow
@needs_wrk
def test_revalidation(options: list[str]) -> None:
    printed = run("revalidation", *options, *LOAD)
    rows = rows_of(printed)[2:]
    assert [(row[0], row[-1]) for row in rows] == [("ours, 304", "0"), ("FastAPI's hello", "0")]


@pytest.mark.slow
@needs_wrk
def test_anatomy(options: list[str], tmp_path: Path) -> None:
    svg = tmp_path / "anatomy.svg"
    rows = rows_of(run("anatomy", *options, *LOAD, "--svg", str(svg)))[2:]
    assert [row[0] for row in rows] == ["one image", "64 grid"]
    for row in rows:
        *parts, together = (int(figure) for figure in row[1:8])
        assert all(part > 0 for part in parts[:5])
        assert sum(parts) == pytest.approx(together, abs=4) or parts[5] == 0
    assert svg.read_text(encoding="utf-8").rstrip().endswith("</svg>")


@pytest.mark.slow
def test_dissection(options: list[str]) -> None:
    rows = rows_of(run("dissection", *options, "--requests", "64", "--connections", "2"))
    parts = [row for row in rows if row[1][:1].isdigit()]
    assert [row[0] for row in parts] == [dissection.WHOLE, *dissection.PARTS] * 2
    for _, loop, engine, together, _ in parts:
        assert float(loop) > 0 < float(engine)
        assert float(loop) + float(engine) == pytest.approx(float(together), abs=0.11)


@pytest.mark.slow
@needs_wrk
def test_archives(options: list[str]) -> None:
    printed = run("archives", *options, "--images", "300")
    rows = rows_of(printed)[2:]
    assert [row[0] for row in rows] == ["npz over HTTP", "G alone"]
    assert rows[1][-1] == "1.00"
