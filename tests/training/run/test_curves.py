"""The picture of the curves."""

import io
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from models.model_folder.game_rules import THE_PAPERS, GameRules
from models.model_folder.history import EpochRecord
from training.run import curves

LOG_2 = math.log(2)


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


def dashed(figure: Figure) -> list[tuple[str, float, str]]:
    """Return the panel, the level and the label of each dashed line."""
    return [
        (axes.get_ylabel(), float(level), str(line.get_label()))
        for axes in figure.axes
        for line in axes.lines
        if line.get_linestyle() == "--"
        for level in np.unique(line.get_ydata())
    ]


def test_theorys_lines_are_those_of_the_game(figures: list[Figure]):
    for rules in (
        GameRules(loss="non-saturating"),
        GameRules(loss="relativistic", r1_gamma=1),
        GameRules(loss="hinge"),
        GameRules(loss="non-saturating", r1_gamma=1),
    ):
        curves.draw_curves([record(1), record(2)], title="t", game="A sentence.", optimum=rules.optimum())
    papers, relativistic, hinge, penalised = figures
    assert dashed(papers) == [
        ("loss", LOG_2, "log 2, the optimum of the game of the 2014 paper"),
        ("mean output of D", 0.5, "½, the optimum of the game of the 2014 paper"),
        ("V(G, D), equation 1", -2 * LOG_2, "−log 4, the optimum of the game of the 2014 paper"),
    ]
    assert dashed(relativistic) == [("loss", LOG_2, "log 2, the optimum of the relativistic game")]
    assert dashed(hinge) == dashed(penalised) == []


def test_each_curve_shows_its_figures_over_the_epochs(figures: list[Figure]):
    records = [record(1), record(2), record(5)]
    curves.draw_curves(records, title="the title", game="A sentence.", optimum=None)
    (figure,) = figures
    assert figure.get_suptitle() == "the title"
    assert figure.get_supxlabel() == "A sentence."
    drawn = {
        str(line.get_label()): (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for axes in figure.axes
        for line in axes.lines
        if line.get_linestyle() == "-"
    }
    names = ("loss_d", "loss_g", "d_real", "d_fake", "value")
    labels = ("D's loss", "G's loss", "D(x), real images", "D(G(z)), G's images", "V(G, D)")
    assert set(drawn) == set(labels)
    for name, label in zip(names, labels, strict=True):
        assert drawn[label] == ([1, 2, 5], [getattr(r, name) for r in records])


@pytest.mark.parametrize("epochs", [1, 30])
def test_it_is_a_png(epochs: int):
    data = curves.draw_curves(
        [record(e + 1) for e in range(epochs)], title="mlp on mnist, seed 0", game="A sentence.", optimum=THE_PAPERS
    )
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "PNG"
        assert image.size == (990, 990)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10  # something is drawn
