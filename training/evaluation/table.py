"""The figures of a pair as tables, grouped by question, each beside the same figure of real images."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.model_folder.game_rules import Optimum
from training.evaluation.features import name_of

COLUMNS = ("", "this model", "real images", "at best")
"""The columns of every table. "At best" is the best possible value or, for D, the value at the optimum of its game."""

NONE = "–"
MAX_WIDTH = 100
MAX_CLASS_NAME = 24
"""The most characters of a class's name that a row shows."""


@dataclass(frozen=True)
class Row:
    """One figure as text: its name, the model's value, the value of real images in place of G's, and the best value."""

    name: str
    model: str
    real: str
    best: str


@dataclass(frozen=True)
class Group:
    """The rows of one table: the figures that answer one question, such as how alike samples and real images are."""

    question: str
    rows: tuple[Row, ...]


class _Line(NamedTuple):
    """The way to show a figure; `deviation` names the figure that is shown after its ±."""

    figure: str
    name: str
    best: str
    decimals: int = 3
    deviation: str | None = None


_LIKENESS = (
    _Line("frechet", "Fréchet distance, {features}", "0"),
    _Line("kid", "Kernel distance, {features}", "0", deviation="kid_deviation"),
    _Line("precision", "Precision: samples among real images", "1"),
    _Line("density", "Density: real images around each sample", "1"),
    _Line("clipped_density", "Clipped density: the same without outliers", "1"),
)
_VARIETY = (
    _Line("recall", "Recall: real images among samples", "1"),
    _Line("coverage", "Coverage: real images with a sample near", "1"),
    _Line("clipped_coverage", "Clipped coverage: the same without outliers", "1"),
    _Line("class_frechet_mean", "Fréchet distance of a class, mean", "0"),
    _Line("class_frechet_worst", "Fréchet distance of the worst class", "0"),
    _Line("modes", "{kinds} that occur", "{kinds_there_are}", 0),
    _Line("mode_kl", "KL divergence from equal shares, nats", "0"),
    _Line("smallest_share", "Rarest digit: share over held-out share", "1"),
    _Line("largest_share", "Most frequent digit: share over held-out share", "1"),
)
_SHARES = tuple(_Line(f"share_{digit}", f"Share of the digit {digit}", "as real") for digit in range(10))
_NOVELTY = (
    _Line("nearest_training", "Nearest training image, grey levels away", "as real", 1),
    _Line("nearest_training_first_percentile", "The same, first percentile (0 if G copies)", "as real", 1),
)
_COPIES = (
    _Line("copy_ratio", "Distance to training over held-out images", "as real"),
    _Line("copy_share", "Copies, by the ratio of these distances", "0.01"),
    _Line("copy_p", "Chance of this share without copies", "above 0.01"),
    _Line("copy_likelihood_share", "Copies, by a likelihood ratio", "0.01"),
    _Line("copy_likelihood_p", "Chance of this share without copies (likelihood)", "above 0.01"),
    _Line("copy_auroc", "AUROC of the distances: real against samples", "0.5"),
)
_LEARNT = (
    _Line("accuracy_score", "Accuracy score: reading, learnt from samples", "as real", 4),
    _Line("two_sample_accuracy", "Two-sample test, accuracy", "0.5"),
    _Line("two_sample_auroc", "Two-sample test, AUROC", "0.5"),
)
_OPINIONS = (
    _Line("value", "{value}", "{value_at_best}"),
    _Line("d_held_out", "{mean} held-out images", "{output_at_best}"),
    _Line("d_fake", "{mean} the samples", "{output_at_best}"),
    _Line("d_varied", "{mean} varied held-out digits", "as held-out"),
    _Line("varied_under_5", "Varied digits under {whose} 5th percentile", "0.05"),
    _Line("auroc", "AUROC of {d}: held-out against samples", "0.5"),
)
_HISTORY = (
    _Line("parzen_ll", "Log-likelihood, nats (paper, MNIST: 225 ± 2)", "as real", 1, "parzen_ll_standard_error"),
    _Line("parzen_sigma", "Width σ of the window", NONE),
)

_KINDS = {
    "inverted": "inverted images",
    "shuffled": "shuffled pixels",
    "overlaid": "two images in one",
    "halves": "halves of images",
    "blank": "a blank page",
}
"""Descriptions of kinds in `training.evaluation.out_of_distribution` whose names alone are not clear."""


_LEFT_OUT = {
    "accuracy_score": "the classification accuracy score",
    "class_frechet": "the Fréchet distance of each class",
    "copies": "the test for copies",
}


def describe_missing(name: str, reason: str) -> str:
    """Return the sentence about a figure of a full evaluation that is left out (`training.evaluation.full.plan`)."""
    return f"Left out: {_LEFT_OUT[name]}, because {reason}."


def explain_better_than_real(figures: Mapping[str, float]) -> list[str]:
    """Return sentences about the figures that are better for samples than for real images, and what that means."""

    def above(name: str) -> bool:
        return name in figures and f"{name}_real" in figures and figures[name] > figures[f"{name}_real"]

    typical = [name for name in ("precision", "density", "clipped_density") if above(name)]
    notes = []
    if typical:
        names = " and ".join(name.replace("_", " ") for name in typical).capitalize()
        are = "is above that" if len(typical) == 1 else "are above those"
        notes.append(
            f"{names} {are} of real images: G draws typical shapes and leaves out rare ones. It does not mean that its "
            "images are more real."
        )
    if above("parzen_ll"):
        notes.append(
            "A Parzen log-likelihood above that of real images means that G’s images are smoother. It does not mean "
            "that they are better."
        )
    return notes


def group_figures(
    figures: Mapping[str, float],
    *,
    details: bool = True,
    judge: bool = False,
    optimum: Optimum | None = None,
    class_names: Sequence[str] = (),
) -> tuple[Group, ...]:
    """Group the figures of an evaluation; those that a data set does not have are left out.

    Args:
        figures: the figures of `training.evaluation.evaluate` by name, and those of a full evaluation if there was one;
            `x_real` is shown beside `x`.
        details: whether to show the figures of each digit and of each class, too.
        judge: whether D is a judge: trained on alone after the game. It has no optimum in theory.
        optimum: the values that theory gives for the game that D played; None if it gives none.
        class_names: the names of the classes; a class without a name is shown by its number.
    """
    asked = [name.removeprefix("auroc_") for name in figures if name.startswith("auroc_") and name != "auroc_real"]
    kinds = tuple(
        _Line(f"auroc_{kind}", f"AUROC of {{d}}: held-out against {_KINDS.get(kind, kind)}", "1") for kind in asked
    )
    digits = "modes" in figures
    each = _SHARES + _each_class(figures, class_names) if details else ()
    questions = {
        "How near to real images?": _LIKENESS,
        "Are all digits there?" if digits else "Is every kind there?": _VARIETY + each,
        "What can a new network learn?": _LEARNT,
        "Does it copy?": _NOVELTY + _COPIES,
        f"What does {'the judge' if judge else 'D'} know?": _OPINIONS + kinds,
        "History: Parzen windows of 2014": _HISTORY,
    }
    stacked = digits and "share_0" not in figures
    words = {
        "features": name_of(figures, digits=int(digits)),
        "kinds": "Triples of digits" if stacked else "Digits",
        "kinds_there_are": "1000" if stacked else "10",
        **_words_about_d(judge=judge, optimum=optimum),
    }
    return tuple(
        Group(question, tuple(_row(figures, line, words) for line in lines if line.figure in figures))
        for question, lines in questions.items()
        if any(line.figure in figures for line in lines)
    )


def _words_about_d(*, judge: bool, optimum: Optimum | None) -> dict[str, str]:
    """Return the name of D in the tables, and the values of theory where theory has some for this D."""
    known = None if judge else optimum
    return {
        "d": "the judge" if judge else "D",
        "whose": "the judge's" if judge else "D's",
        "mean": "The judge's mean output for" if judge else "Mean D of",
        "value": "V(G, the judge), not the game's value" if judge else "V(G, D), the value of the game",
        "value_at_best": NONE if known is None or known.value is None else f"−log 4 = {_number(known.value, 3)}",
        "output_at_best": NONE if known is None or known.output is None else f"{known.output:g}",
    }


def _each_class(figures: Mapping[str, float], names: Sequence[str]) -> tuple[_Line, ...]:
    """Return a line for the Fréchet distance of each class, in the order of the classes."""
    numbers = sorted(int(found[1]) for name in figures if (found := re.fullmatch(r"class_frechet_(\d+)", name)))
    return tuple(
        _Line(f"class_frechet_{number}", f"Fréchet distance of class {_name_of_class(number, names)}", "0")
        for number in numbers
    )


def _name_of_class(number: int, names: Sequence[str]) -> str:
    """Return the name of a class on one short line, with braces doubled for `str.format_map`."""
    name = names[number] if number < len(names) else str(number)
    name = name if name.isprintable() else ascii(name)
    short = name if len(name) <= MAX_CLASS_NAME else f"{name[: MAX_CLASS_NAME - 1]}…"
    return short.replace("{", "{{").replace("}", "}}")


def format_text(groups: Sequence[Group]) -> str:
    """Format the groups as aligned text, at most 100 columns wide."""
    rows = [row for group in groups for row in group.rows]
    cells = [COLUMNS, *((f"  {row.name}", row.model, row.real, row.best) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]

    def line(*texts: str) -> str:
        name, *values = (text.ljust(width) for text, width in zip(texts, widths, strict=True))
        return "  ".join([name, *values]).rstrip()

    lines = [line(*COLUMNS)]
    for group in groups:
        lines += ["", group.question, *(line(f"  {row.name}", row.model, row.real, row.best) for row in group.rows)]
    return "\n".join(lines)


def format_markdown(groups: Sequence[Group]) -> str:
    """Format the groups as Markdown tables, one for each group."""
    tables = []
    for group in groups:
        head = f"| {' | '.join((group.question, *COLUMNS[1:]))} |\n|---|---|---|---|\n"
        tables.append(head + "\n".join(f"| {row.name} | {row.model} | {row.real} | {row.best} |" for row in group.rows))
    return "\n\n".join(tables)


def _row(figures: Mapping[str, float], line: _Line, words: Mapping[str, str]) -> Row:
    return Row(
        line.name.format_map(words), _say(figures, line, ""), _say(figures, line, "_real"), line.best.format_map(words)
    )


def _say(figures: Mapping[str, float], line: _Line, suffix: str) -> str:
    """Return a figure as text, with its deviation if it has one."""
    if line.figure + suffix not in figures:
        return NONE
    text = _number(figures[line.figure + suffix], line.decimals)
    return f"{text} ± {_number(figures[line.deviation + suffix], line.decimals)}" if line.deviation else text


def _number(figure: float, decimals: int) -> str:
    """Return a number as text: large ones have fewer decimals, and the sign is a true minus, U+2212."""
    kept = 0 if abs(figure) >= 1000 else min(decimals, 1) if abs(figure) >= 100 else decimals
    return f"{figure:.{kept}f}".replace("-", "−")
