"""Write an evaluation as one HTML page with pictures, charts and tables. The page loads nothing and has no script."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

import numpy as np
import torch
from numpy.typing import NDArray

from models.files import write_atomically
from models.grids import assemble_grid
from models.images import channels_last
from models.model_folder.game_rules import Optimum
from training.data.dataset import Dataset
from training.evaluation.charts import draw_histograms, draw_shares
from training.evaluation.evaluate import SAMPLE_SEED, Evaluation
from training.evaluation.features import name_of
from training.evaluation.few_images import warn_of_few_images
from training.evaluation.full.full_evaluation import FullEvaluation
from training.evaluation.neighbours import Nearest
from training.evaluation.table import COLUMNS, Group, describe_missing, explain_better_than_real, group_figures
from training.pictures import encode_png

TEMPLATE_FILE = Path(__file__).with_name("report.html")
GRID_IMAGES = 64
PAIRS = 24
LIKED = 32

_ROW = 8  # images in a row of a grid


_ABOUT_THE_JUDGE = (
    "<p>The D of this model is the judge: it was trained on alone after the game, so it is not the D that played the "
    "game,\nand theory has no optimum for its values.</p>\n"
)


@dataclass(frozen=True)
class Origin:
    """The origin of a report: the command, the code and the machine that made it.

    Attributes:
        command: the command that made it.
        commit: the commit of the code.
        made: the time when it was made.
        machine: the name of the processor.
        seconds: the duration of the evaluation.
    """

    command: str
    commit: str
    made: datetime
    machine: str
    seconds: float


def write_report(
    path: Path,
    evaluation: Evaluation,
    dataset: Dataset,
    *,
    model: str,
    origin: Origin,
    full: FullEvaluation | None = None,
    judge: bool = False,
    optimum: Optimum | None = None,
) -> None:
    """Write the page to a file, completely or not at all.

    Args:
        path: the file; an existing one is replaced.
        evaluation, dataset, model, origin, full, judge, optimum: the arguments of `render_report`.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    page = render_report(evaluation, dataset, model=model, origin=origin, full=full, judge=judge, optimum=optimum)
    write_atomically(path, page.encode(errors="backslashreplace"))  # the command may name a file that is not UTF-8


def render_report(
    evaluation: Evaluation,
    dataset: Dataset,
    *,
    model: str,
    origin: Origin,
    full: FullEvaluation | None = None,
    judge: bool = False,
    optimum: Optimum | None = None,
) -> str:
    """Return the page as HTML. Every text from outside is escaped.

    Args:
        evaluation: the evaluation of a pair on `dataset`.
        dataset: the data set; some of its real images are shown.
        model: the model's name.
        origin: the command, time and machine of the evaluation; it is printed at the foot of the page.
        full: the figures of `evaluate --full`; None: they were not asked for.
        judge: whether D is a judge: trained on alone after the game.
        optimum: the values that theory gives for the game that D played; None if it gives none.
    """
    figures = evaluation.figures | (full.figures if full else {})
    return Template(TEMPLATE_FILE.read_text(encoding="utf-8")).substitute(
        model=escape(model),
        dataset=escape(dataset.name),
        features=name_of(figures, digits=dataset.digits),
        n_samples=f"{len(evaluation.samples):,}",
        n_held_out=f"{len(dataset.held_out):,}",
        samples=_samples(evaluation, dataset),
        tables="\n".join(
            _table(group)
            for group in group_figures(figures, judge=judge, optimum=optimum, class_names=dataset.class_names)
        ),
        explanations="".join(f"<p>{escape(note)}</p>\n" for note in explain_better_than_real(figures)),
        about_d=_ABOUT_THE_JUDGE if judge else "",
        shares=_shares(evaluation.figures, real="real training images" if evaluation.nearest else "other real images"),
        real_images="real training images" if evaluation.nearest else f"other images of {escape(dataset.name)}",
        warning=_warning(dataset),
        copies=_copies(evaluation.nearest, evaluation, dataset) if evaluation.nearest else "",
        telling=_telling(full) if full else "",
        opinions=_opinions(evaluation),
        origin=_origin(origin),
    )


def _samples(evaluation: Evaluation, dataset: Dataset) -> str:
    samples, real = evaluation.samples[:GRID_IMAGES], dataset.held_out[:GRID_IMAGES]
    return _pair(
        _grid(samples, alt=f"{len(samples)} samples", caption=f"G’s first {len(samples)} images of seed {SAMPLE_SEED}"),
        _grid(real, alt=f"{len(real)} real images", caption=f"{len(real)} held-out real images"),
    )


def _warning(dataset: Dataset) -> str:
    warning = warn_of_few_images(len(dataset.held_out), which="held-out")
    return f'<p role="note"><strong>Warning:</strong> {escape(warning)}.</p>\n' if warning else ""


def _shares(figures: Mapping[str, float], *, real: str) -> str:
    """Return the section about digits; empty if the data are not digits."""
    if "share_0" not in figures:
        return ""
    model, of_real = ([figures[f"share_{digit}{suffix}"] for digit in range(10)] for suffix in ("", "_real"))
    chart = draw_shares(model, of_real, title="Share of each digit among the samples and among real images")
    return (
        '<section aria-labelledby="shares">\n<h2 id="shares">Which digits</h2>\n'
        f'<figure>{chart}<figcaption class="key"><span><i class="model"></i>samples</span>'
        f'<span><i class="real"></i>{real}</span><br>'
        "The share of each digit, as the digit classifier reads it.</figcaption></figure>\n</section>"
    )


def _copies(nearest: Nearest, evaluation: Evaluation, dataset: Dataset) -> str:
    """Return the section about copies of training images, which needs the images that G was trained on."""
    return (
        '<section aria-labelledby="copies">\n<h2 id="copies">Does it copy?</h2>\n'
        "<p>Each pair shows a sample above the training image that is nearest to it in pixels. If G had copied its "
        "training\nimages, both would be the same picture.</p>\n"
        f"{_neighbours(nearest, evaluation.samples, dataset)}\n</section>"
    )


def _neighbours(found: Nearest, drawn: torch.Tensor, dataset: Dataset) -> str:
    distances = found.distances
    hundredth = distances.argsort(stable=True)[: max(1, len(distances) // 100)][:PAIRS]
    any_of_them = torch.arange(min(PAIRS, len(distances)))
    figures = []
    for rows, which in ((hundredth, "those nearest to a training image"), (any_of_them, "the first samples")):
        samples, nearest = drawn[rows], dataset.images[found.rows[rows]]
        both = np.concatenate([channels_last(samples), channels_last(nearest)], axis=1)
        farthest, closest = distances[rows].max(), distances[rows].min()
        text = f"{len(rows)} samples, each above its nearest training image: {which}"
        caption = f"{text}; {closest:.1f} to {farthest:.1f} grey levels away."
        figures.append(_figure(assemble_grid(both, columns=_ROW, padding=3), alt=text, caption=caption))
    return _pair(*figures)


def _telling(full: FullEvaluation) -> str:
    """Return the section with the samples that show what the figures of `--full` mean, and which are left out."""
    telling = full.telling
    shown = [
        (telling.given_away, "that a new network tells most surely from real images"),
        (telling.passing, "that it takes most surely for real images"),
    ]
    if telling.misread is not None and len(telling.misread):
        shown.append((telling.misread, "that a classifier of real images is surest belong to another class"))
    grids = [
        _grid(images, alt=f"{len(images)} samples {words}", caption=f"The {len(images)} samples {words}.")
        for images, words in shown
    ]
    if telling.nearest is not None and telling.training is not None:
        both = np.concatenate([channels_last(telling.nearest), channels_last(telling.training)], axis=1)
        text = f"{len(both)} samples, each above its nearest training image: those with the smallest ratio of distances"
        grids.append(_figure(assemble_grid(both, columns=_ROW, padding=3), alt=text, caption=f"{text}."))
    missing = "".join(f"<p>{escape(describe_missing(name, reason))}</p>\n" for name, reason in full.missing.items())
    head = '<section aria-labelledby="telling">\n<h2 id="telling">Telling samples</h2>'
    return f"{head}\n{missing}{_pair(*grids)}\n</section>"


def _opinions(evaluation: Evaluation) -> str:
    logits = evaluation.logits
    order = torch.from_numpy(logits["samples"]).argsort(descending=True, stable=True)
    n = min(LIKED, max(1, len(order) // 2))
    best, least = (
        _grid(evaluation.samples[rows], alt=f"{n} samples that {words}", caption=f"The {n} samples that {words}")
        for rows, words in ((order[:n], "D likes best"), (order[-n:].flip(0), "D likes least"))
    )
    names = {"held_out": "held-out images", "samples": "samples", "varied": "varied held-out digits"}
    first = {name: logits[kind] for kind, name in names.items() if kind in logits}
    rest = {kind: of_kind for kind, of_kind in logits.items() if kind not in names}
    chart = draw_histograms(
        first | rest,
        {"held-out images": "real", "samples": "model"},
        title="Histograms of D’s logits of held-out images, of samples, and of pictures that are not real images",
    )
    caption = (
        "D’s logits. The farther to the right, the more real D finds a picture; at the dashed line (0), D says ½. "
        "Each histogram is scaled to its fullest bin; values beyond the axis are counted in the outermost bins."
    )
    return _pair(best, least) + f"\n<figure>{chart}<figcaption>{caption}</figcaption></figure>"


def _origin(origin: Origin) -> str:
    terms = {
        "Command": f"<code>{escape(origin.command)}</code>",
        "Commit": f"<code>{escape(origin.commit)}</code>",
        "Date": f'<time datetime="{origin.made.isoformat()}">{origin.made:%d %B %Y, %H:%M %Z}</time>',
        "Machine": f"{escape(origin.machine)}; the evaluation took {origin.seconds:.0f} s",
    }
    return "\n".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in terms.items())


def _table(group: Group) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS[1:])
    rows = [
        f'<tr><th scope="row">{escape(row.name)}</th><td>{row.model}</td><td>{row.real}</td><td>{row.best}</td></tr>'
        for row in group.rows
    ]
    return (
        f'<table><caption>{escape(group.question)}</caption>\n<thead><tr><th scope="col">figure</th>{head}</tr></thead>'
        f"\n<tbody>\n{chr(10).join(rows)}\n</tbody></table>"
    )


def _grid(images: torch.Tensor, *, alt: str, caption: str) -> str:
    return _figure(assemble_grid(channels_last(images), columns=_ROW, padding=2), alt=alt, caption=caption)


def _figure(picture: NDArray[np.uint8], *, alt: str, caption: str) -> str:
    data = base64.b64encode(encode_png(picture)).decode()
    height, width = picture.shape[:2]
    return (
        f'<figure><img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{escape(alt)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _pair(*figures: str) -> str:
    return f'<div class="pair">\n{chr(10).join(figures)}\n</div>'
