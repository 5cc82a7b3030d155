"""Draw the curves of a run as one picture, with lines at the values that theory gives for the optimum of its game."""

import io
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.model_folder.game_rules import Optimum
from models.model_folder.history import EpochRecord

_BLUE, _ORANGE, _GREY = "#2563a8", "#c2571a", "#6b7280"


def draw_curves(records: Sequence[EpochRecord], *, title: str, game: str, optimum: Optimum | None) -> bytes:
    """Draw a PNG with the losses, D's outputs and V(G, D) over the epochs; and with the augmentation, if it is adapted.

    Args:
        records: the records of the epochs.
        title: the heading.
        game: the sentence below the curves that says which game was played.
        optimum: the values that theory gives for this game, which become dashed lines; None draws none.
    """
    adapted = [record for record in records if "augmentation" in record.metrics]
    panels = 4 if adapted else 3
    figure = Figure(figsize=(9, 3 * panels), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(panels, 1, sharex=True)
    losses, outputs, values = all_axes[:3]
    epochs = [record.epoch for record in records]
    marker = "." if len(records) < 30 else None  # a single point is invisible without a marker
    figure.suptitle(title)
    figure.supxlabel(textwrap.fill(game, 110), fontsize="small")

    losses.plot(epochs, [r.loss_d for r in records], color=_BLUE, marker=marker, label="D's loss")
    losses.plot(epochs, [r.loss_g for r in records], color=_ORANGE, marker=marker, label="G's loss")
    losses.set_ylabel("loss")

    outputs.plot(epochs, [r.d_real for r in records], color=_BLUE, marker=marker, label="D(x), real images")
    outputs.plot(epochs, [r.d_fake for r in records], color=_ORANGE, marker=marker, label="D(G(z)), G's images")
    outputs.set_ylim(0, 1)
    outputs.set_ylabel("mean output of D")

    values.plot(epochs, [r.value for r in records], color=_BLUE, marker=marker, label="V(G, D)")
    values.set_ylabel("V(G, D), equation 1")
    all_axes[-1].set_xlabel("epoch")
    if adapted:
        _draw_augmentation(all_axes[-1], adapted, marker)

    if optimum is not None:
        _theory(losses, optimum.loss, f"log 2, the optimum of {optimum.game}")
        _theory(outputs, optimum.output, f"½, the optimum of {optimum.game}")
        _theory(values, optimum.value, f"−log 4, the optimum of {optimum.game}")
    for axes in all_axes:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False
        )  # above the curves, so that it does not hide them
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_augmentation(axes: Axes, records: Sequence[EpochRecord], marker: str | None) -> None:
    epochs = [record.epoch for record in records]
    for name, label, color in (("augmentation", "probability", _BLUE), ("overfitting", "overfitting of D", _ORANGE)):
        axes.plot(epochs, [r.metrics[name] for r in records], color=color, marker=marker, label=label)
    axes.set_ylabel("adaptive augmentation")


def _theory(axes: Axes, level: float | None, name: str) -> None:
    if level is not None:
        axes.axhline(level, color=_GREY, linestyle="--", linewidth=1, label=name)
