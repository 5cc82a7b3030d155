"""The tables of figures: they show every figure once and no others, and they fit a terminal."""

import json
import re
from pathlib import Path

import pytest

from harness.tiny_models import make_tiny_model_folder
from models.model_folder.game_rules import THE_PAPERS, THE_RELATIVISTIC, Optimum
from tests.training.support import tiny_images, write_npz
from training.cli.command_line import main
from training.evaluation.table import (
    MAX_WIDTH,
    Group,
    describe_missing,
    explain_better_than_real,
    format_markdown,
    format_text,
    group_figures,
)

LIKENESS = ("frechet", "kid", "kid_deviation", "precision", "recall", "density", "coverage")
DIGITS = (*(f"share_{digit}" for digit in range(10)), "smallest_share", "largest_share")
MODES = ("modes", "mode_kl")
REST = (
    *("parzen_ll", "parzen_ll_standard_error", "parzen_sigma", "value", "d_fake", "auroc"),
    *("nearest_training", "nearest_training_first_percentile"),
)
WITHOUT_REAL = ("d_held_out", "auroc_noise", "auroc_inverted", "auroc_letters", "auroc_checkerboards")


def figures_of(*names: str) -> dict[str, float]:
    """Return a unique figure for each name, and for its counterpart with real images."""
    both = [*(f"{name}{suffix}" for suffix in ("", "_real") for name in names), *WITHOUT_REAL]
    return {name: 100.125 + number for number, name in enumerate(both)}


MNIST = figures_of(*LIKENESS, *DIGITS, *MODES, *REST)
FULL = figures_of(
    *LIKENESS,
    *DIGITS,
    *MODES,
    *REST,
    "clipped_density",
    "clipped_coverage",
    "class_frechet_mean",
    "class_frechet_worst",
    *(f"class_frechet_{number}" for number in (0, 2, 11)),
    "accuracy_score",
    "two_sample_accuracy",
    "two_sample_auroc",
    "copy_ratio",
    "copy_share",
    "copy_auroc",
    "copy_p",
    "copy_likelihood_share",
    "copy_likelihood_p",
)
PHOTOS = figures_of(*LIKENESS, *REST)
STACKED = figures_of(*LIKENESS, *MODES, *REST)


def rows_of(groups: tuple[Group, ...]) -> dict[str, tuple[str, str, str]]:
    return {row.name: (row.model, row.real, row.best) for group in groups for row in group.rows}


@pytest.mark.parametrize("figures", [MNIST, PHOTOS, STACKED, FULL])
def test_every_figure_stands_in_one_place(figures: dict[str, float]):
    rows = rows_of(group_figures(figures))
    told = [text for model, real, _ in rows.values() for cell in (model, real) for text in cell.split(" ± ")]
    numbers = sorted(int(float(text)) for text in told if text != "–")
    assert numbers == sorted(int(figure) for figure in figures.values())


def test_the_questions():
    assert [group.question for group in group_figures(MNIST)] == [
        "How near to real images?",
        "Are all digits there?",
        "Does it copy?",
        "What does D know?",
        "History: Parzen windows of 2014",
    ]
    assert group_figures(PHOTOS)[1].question == "Is every kind there?"


def test_rows_have_their_own_figures_and_the_best_ones():
    figures = MNIST | {
        "kid": 1.5,
        "kid_deviation": 0.25,
        "kid_real": -0.001,
        "kid_deviation_real": 0.125,
        "value": -1.5,
        "value_real": -2.25,
        "modes": 9,
        "modes_real": 10,
    }
    rows = rows_of(group_figures(figures, optimum=THE_PAPERS))
    assert rows["Kernel distance, digit classifier's features"] == ("1.500 ± 0.250", "−0.001 ± 0.125", "0")
    assert rows["V(G, D), the value of the game"] == ("−1.500", "−2.250", "−log 4 = −1.386")
    assert rows["Digits that occur"] == ("9", "10", "10")
    assert rows["AUROC of D: held-out against inverted images"][1:] == ("–", "1")
    assert rows["AUROC of D: held-out against samples"][2] == "0.5"


@pytest.mark.parametrize(
    ("optimum", "value", "output"),
    [(THE_PAPERS, "−log 4 = −1.386", "0.5"), (THE_RELATIVISTIC, "–", "–"), (None, "–", "–")],
)
def test_theory_is_named_for_its_game_only(optimum: Optimum | None, value: str, output: str):
    rows = rows_of(group_figures(MNIST, optimum=optimum))
    assert rows["V(G, D), the value of the game"][2] == value
    assert rows["Mean D of held-out images"][2] == rows["Mean D of the samples"][2] == output
    assert rows["AUROC of D: held-out against samples"][2] == "0.5"


def test_the_figures_of_a_judge_have_its_name_and_no_optimum():
    groups = group_figures(MNIST | {"d_varied": 0.25, "varied_under_5": 0.5}, judge=True, optimum=THE_PAPERS)
    (group,) = (group for group in groups if group.question == "What does the judge know?")
    rows = {row.name: row.best for row in group.rows}
    assert rows["V(G, the judge), not the game's value"] == "–"
    assert rows["The judge's mean output for held-out images"] == rows["The judge's mean output for the samples"] == "–"
    assert rows["AUROC of the judge: held-out against letters"] == "1"
    assert rows["Varied digits under the judge's 5th percentile"] == "0.05"
    assert not any("D" in name.split() or "D's" in name for name in rows)
    assert max(map(len, format_text(groups).splitlines())) <= MAX_WIDTH


def test_a_figure_above_that_of_real_images_is_explained():
    figures = {"precision": 0.94, "precision_real": 0.93, "density": 0.9, "density_real": 0.91, "frechet": 1.0}
    (note,) = explain_better_than_real(figures)
    assert note.startswith("Precision is above that of real images: G draws typical shapes")
    both = figures | {"clipped_density": 1.0, "clipped_density_real": 0.99, "parzen_ll": 245.0, "parzen_ll_real": 238.0}
    typical, smooth = explain_better_than_real(both)
    assert typical.startswith("Precision and clipped density are above those of real images")
    assert "smoother" in smooth
    assert explain_better_than_real({"precision": 0.9, "precision_real": 0.9, "parzen_ll": 245.0}) == []


def test_data_without_digits_says_nothing_of_digits():
    text = format_text(group_figures(PHOTOS))
    assert "igit" not in text
    assert "Fréchet distance, pixels and wavelet energies" in text


def test_stacked_digits_have_a_thousand_modes():
    rows = rows_of(group_figures(STACKED))
    assert rows["Triples of digits that occur"][2] == "1000"
    assert not any(name.startswith("Share") for name in rows)


def test_a_full_evaluation_has_its_rows():
    groups = group_figures(FULL)
    assert "What can a new network learn?" in [group.question for group in groups]
    classes = [name for name in rows_of(groups) if name.startswith("Fréchet distance of class ")]
    assert classes == [f"Fréchet distance of class {number}" for number in (0, 2, 11)]
    assert max(map(len, format_text(groups).splitlines())) <= MAX_WIDTH


def test_classes_have_their_names():
    names = ("cats", "dogs", "a {name}", *map(str, range(3, 11)), "w" * 25)
    groups = group_figures(FULL | {"class_frechet_1": 2.0, "class_frechet_2": 3.0}, class_names=names)
    classes = [name for name in rows_of(groups) if name.startswith("Fréchet distance of class ")]
    assert [name.removeprefix("Fréchet distance of class ") for name in classes] == [
        "cats",
        "dogs",
        "a {name}",
        f"{'w' * 23}…",
    ]
    assert max(map(len, format_text(groups).splitlines())) <= MAX_WIDTH


def test_the_features_of_a_network_stand_beside_the_figures():
    rows = rows_of(group_figures(PHOTOS | {"own_classifier_accuracy": 0.874}))
    assert "Fréchet distance, own classifier, accuracy 0.874" in rows
    assert "Kernel distance, own classifier, accuracy 0.874" in rows
    text = format_text(group_figures(PHOTOS | {"self_supervised_accuracy": 0.874}))
    assert max(map(len, text.splitlines())) <= MAX_WIDTH


def test_a_figure_that_is_left_out_has_a_reason():
    assert describe_missing("copies", "no reason is given") == (
        "Left out: the test for copies, because no reason is given."
    )


def test_a_question_without_an_answer_is_not_asked():
    assert [group.question for group in group_figures({"value": -1.4})] == ["What does D know?"]
    assert group_figures({}) == ()


def test_the_text_is_aligned_and_narrow():
    lines = format_text(group_figures(MNIST)).splitlines()
    assert max(map(len, lines)) <= MAX_WIDTH == 100
    starts = [lines[0].index(head) for head in ("this model", "real images", "at best")]
    rows = [line for line in lines if line.startswith("  ") and line.strip() and line != lines[0]]
    assert len(rows) == len(rows_of(group_figures(MNIST)))
    for line in rows:
        for start in starts:
            assert line[start] != " "
            assert line[start - 2 : start] == "  "


def test_large_figures_do_not_widen_it_past_the_terminal():
    text = format_text(group_figures(dict.fromkeys(MNIST, -98_765.4321)))
    assert max(map(len, text.splitlines())) <= MAX_WIDTH
    assert "−98765 ± −98765" in text


def test_markdown_has_four_cells_a_row_and_leaves_the_details_out():
    text = format_markdown(group_figures(MNIST, details=False))
    assert "Share of the digit" not in text
    assert "Rarest digit" in text
    rows = [line for line in text.splitlines() if line]
    assert all(re.fullmatch(r"\|([^|]*\|){4}", line) for line in rows)
    assert len([line for line in rows if line == "|---|---|---|---|"]) == 5


# --- The command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tiny model, and 60 images of its shape."""
    monkeypatch.chdir(tmp_path)
    make_tiny_model_folder(tmp_path / "tiny")
    write_npz(tmp_path / "data.npz", tiny_images(60, 28))
    return tmp_path


def test_json_is_flat_and_has_its_keys(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "tiny", "--data", "data.npz", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told)[:5] == ["model", "dataset", "samples", "seconds", "features"]
    assert told["features"] == "pixels and wavelet energies"
    assert re.fullmatch("tiny@[0-9a-f]{12}", told["model"])
    assert (told["dataset"], told["samples"]) == ("data", 10_000)
    assert told["seconds"] > 0
    figures = {name: told[name] for name in list(told)[5:]}
    assert all(isinstance(figure, float) for figure in figures.values())
    kinds = {name for name in figures if name.startswith("auroc_") and name != "auroc_real"}
    wanted = [name for name in (*LIKENESS, *REST) if not name.startswith("nearest_training")]  # it knows other data
    assert set(figures) == {
        *(f"{name}{suffix}" for name in wanted for suffix in ("", "_real")),
        *kinds,
        "d_held_out",
    }
    assert len(kinds) == 8


def test_the_text_is_for_people(here: Path, capsys: pytest.CaptureFixture[str]):
    write_npz(here / f"{'d' * 150}.npz", tiny_images(20, 28))
    assert main(["evaluate", "tiny", "--data", f"{'d' * 150}.npz", "--html", "page.html"]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert max(map(len, lines)) <= MAX_WIDTH
    assert re.match("tiny@[0-9a-f]{12} on d{20}", "".join(lines[:2]).replace("\n", ""))
    assert "10,000 samples" in told.out
    assert "How near to real images?" in lines
    warning, note, features, wrote = told.err.splitlines()
    assert warning.startswith("warning: there are only 2 held-out images")
    assert note.startswith("note: tiny was trained on 'none'")
    assert features == (
        "note: the features are pixels and wavelet energies, because the images have no classes that a classifier "
        "could learn"
    )
    assert wrote == "wrote page.html"
    page = (here / "page.html").read_text(encoding="utf-8")
    assert f"python -m training evaluate tiny --data {'d' * 150}.npz --html page.html" in page


def test_a_page_without_a_folder_is_refused_before_the_work(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", "tiny", "--data", "data.npz", "--html", "no/such/page.html"]) == 1
    assert capsys.readouterr().err == ("error: --html no/such/page.html: there is no folder no/such; make it first\n")
