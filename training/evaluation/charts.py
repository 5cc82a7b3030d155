"""Charts as inline SVG, 360 units wide. The page's style sheet colours the classes `model`, `real` and `other`."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

WIDTH = 360
BINS = 60

_LEFT, _TOP, _HEIGHT = 34, 8, 130  # margins and height of the bars' plot
_LABELS, _ROW = 104, 30  # width of the histograms' labels, height of a row


def draw_shares(model: Sequence[float], real: Sequence[float], *, title: str) -> str:
    """Draw two bars for each class: its share (0–1) among the samples, and among real images."""
    step = 0.05 if max(*model, *real) <= 0.4 else 0.2
    top = math.ceil(max(*model, *real) / step) * step
    bottom = _TOP + _HEIGHT
    marks = []
    for tick in range(round(top / step) + 1):
        y = bottom - tick * step / top * _HEIGHT
        marks.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="{_LEFT - 4}" y="{y + 4:.1f}" text-anchor="end">{tick * step:.0%}</text>')
    slot = (WIDTH - _LEFT) / len(model)
    for index, shares in enumerate(zip(model, real, strict=True)):
        left = _LEFT + (index + 0.12) * slot
        for side, (kind, whose) in enumerate((("model", "samples"), ("real", "real images"))):
            height = shares[side] / top * _HEIGHT
            marks.append(
                f'<rect class="{kind}" x="{left + side * slot * 0.38:.1f}" y="{bottom - height:.1f}" '
                f'width="{slot * 0.36:.1f}" height="{height:.1f}"><title>{index}: {shares[side]:.1%} of the {whose}'
                "</title></rect>"
            )
        marks.append(f'<text x="{left + slot * 0.37:.1f}" y="{bottom + 14}" text-anchor="middle">{index}</text>')
    return _svg(marks, height=bottom + 20, title=title)


def draw_histograms(values: Mapping[str, NDArray[np.float32]], classes: Mapping[str, str], *, title: str) -> str:
    """Draw a histogram for each set of values, one above the other, with one common axis.

    Args:
        values: each set of values, [n] float32, by its label. The first two sets decide the range of the axis; values
            outside it are counted in the outermost bins.
        classes: the CSS class of each histogram, by label; `other` if a label is missing.
        title: the text for screen readers.
    """
    low, high = _range(list(values.values())[:2])

    def place(value: float) -> float:
        return _LABELS + (value - low) / (high - low) * (WIDTH - _LABELS)

    bottom = len(values) * _ROW + 4
    marks = []
    for tick in _ticks(low, high):
        x = place(tick)
        kind = "zero" if tick == 0 else "grid"
        anchor = "end" if x > WIDTH - 12 else "middle"
        label = f"{tick:g}".replace("-", "−")
        marks.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{bottom}"/>')
        marks.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="{anchor}">{label}</text>')
    for row, (name, of_set) in enumerate(values.items()):
        counts, edges = np.histogram(np.clip(of_set, low, high), bins=BINS, range=(low, high))
        base = (row + 1) * _ROW
        heights = base - counts / counts.max() * (_ROW - 5)
        steps = "".join(f"V{y:.1f}H{place(edge):.1f}" for y, edge in zip(heights, edges[1:], strict=True))
        marks.append(f'<text x="0" y="{base - 4}">{escape(name)}</text>')
        marks.append(f'<path class="{classes.get(name, "other")}" d="M{_LABELS},{base}{steps}V{base}Z"/>')
    return _svg(marks, height=bottom + 20, title=title)


def _range(values: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Return the range of all values, extended on each side by half its width to show images that are not real."""
    low = float(min(of_set.min() for of_set in values))
    high = float(max(of_set.max() for of_set in values))
    margin = max((high - low) / 2, 1e-3)
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Return about three to six round numbers between `low` and `high`."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(index * step, 12) for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _svg(marks: Sequence[str], *, height: int, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(marks)}</svg>"
    )
