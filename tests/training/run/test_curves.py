"""The picture of the curves."""

import io
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from models.model_folder.history import EpochRecord
from training.run import curves


def record(epoch: int) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        images=100 * epoch,
        seconds=epoch,
        loss_d=0.6 + epoch / 100,
        loss_g=0.8 + epoch / 100,
        d_real=0.55,
        d_fake=0.45 + epoch / 100,
        value=-1.2 - epoch / 50,
    )


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    made: list[Figure] = []

    class Seen(Figure):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(curves, "Figure", Seen)
    return made


def test_the_theorys_lines_are_drawn(figures: list[Figure]):
    curves.draw_curves([record(1), record(2), record(3)], title="t")
    (figure,) = figures
    levels = []
    for axes in figure.axes:
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert len(dashed) == 1
        levels.append((float(np.unique(dashed[0].get_ydata())[0]), dashed[0].get_label()))
        assert len(np.unique(dashed[0].get_ydata())) == 1
    assert levels == [
        (pytest.approx(math.log(2)), "at the optimum: log 2"),
        (0.5, "at the optimum: 0.5"),
        (pytest.approx(-math.log(4)), "at the optimum: −log 4"),
    ]


def test_each_curve_shows_its_figures_over_the_epochs(figures: list[Figure]):
    records = [record(1), record(2), record(5)]
    curves.draw_curves(records, title="the title")
    (figure,) = figures
    assert figure.get_suptitle() == "the title"
    drawn = {
        str(line.get_label()): (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for axes in figure.axes
        for line in axes.lines
        if line.get_linestyle() == "-"
    }
    names = ("loss_d", "loss_g", "d_real", "d_fake", "value")
    labels = ("D's loss, (real + fake)/2", "G's loss", "D(x), real images", "D(G(z)), G's images", "V(G, D)")
    assert set(drawn) == set(labels)
    for name, label in zip(names, labels, strict=True):
        assert drawn[label] == ([1, 2, 5], [getattr(r, name) for r in records])


@pytest.mark.parametrize("epochs", [1, 30])
def test_it_is_a_png(epochs: int):
    data = curves.draw_curves([record(e + 1) for e in range(epochs)], title="mlp on mnist, seed 0")
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "PNG"
        assert image.size == (990, 990)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10  # something is drawn
