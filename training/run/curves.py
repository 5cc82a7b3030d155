"""Draw the curves of a run as one picture, with lines at the values that theory gives for the optimum."""

import io
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.model_folder.history import EpochRecord

LOG_2 = math.log(2)
"""Each cross-entropy at the optimum, where D(x) = ½: −log ½."""

VALUE_AT_OPTIMUM = -math.log(4)
"""V(G, D) at the optimum (theorem 1 of the 2014 paper)."""

_BLUE, _ORANGE, _GREY = "#2563a8", "#c2571a", "#6b7280"


def draw_curves(records: Sequence[EpochRecord], *, title: str) -> bytes:
    """Draw a PNG with the losses, D's outputs and V(G, D) over the epochs, under the heading `title`."""
    figure = Figure(figsize=(9, 9), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    losses, outputs, values = figure.subplots(3, 1, sharex=True)
    epochs = [record.epoch for record in records]
    marker = "." if len(records) < 30 else None  # a single point is invisible without a marker
    figure.suptitle(title)

    losses.plot(epochs, [r.loss_d for r in records], color=_BLUE, marker=marker, label="D's loss, (real + fake)/2")
    losses.plot(epochs, [r.loss_g for r in records], color=_ORANGE, marker=marker, label="G's loss")
    _theory(losses, LOG_2, "log 2")
    losses.set_ylabel("loss")

    outputs.plot(epochs, [r.d_real for r in records], color=_BLUE, marker=marker, label="D(x), real images")
    outputs.plot(epochs, [r.d_fake for r in records], color=_ORANGE, marker=marker, label="D(G(z)), G's images")
    _theory(outputs, 0.5, "0.5")
    outputs.set_ylim(0, 1)
    outputs.set_ylabel("mean output of D")

    values.plot(epochs, [r.value for r in records], color=_BLUE, marker=marker, label="V(G, D)")
    _theory(values, VALUE_AT_OPTIMUM, "−log 4")
    values.set_ylabel("value of the game")
    values.set_xlabel("epoch")

    for axes in (losses, outputs, values):
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False
        )  # above the curves, so that it does not hide them
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _theory(axes: Axes, level: float, name: str) -> None:
    axes.axhline(level, color=_GREY, linestyle="--", linewidth=1, label=f"at the optimum: {name}")
