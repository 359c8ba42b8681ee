"""Pictures of a candidate beside its champion, as small PNG files. The numbers in them come from `metrics`.

Matplotlib is imported inside functions and drawn without a display; no global figure is left behind.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ct_assets.gates import metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (4.6, 3.2)
DPI = 80
COLOURS = {"candidate": "#1f6fb2", "champion": "#9aa0a6"}


def precision_recall(labels: ArrayLike, scores: Mapping[str, ArrayLike]) -> bytes:
    """Precision over recall, one line per name in `scores` ("candidate", "champion") with its average precision.

    Without positives there is nothing to draw, and the axes stay empty.
    """
    figure, axes = _figure("recall", "precision")
    for name, values in scores.items():
        points = metrics.curve(labels, values)
        if not np.any(points.positives):
            continue
        recall, precision = points.positives / points.positives[-1], points.positives / points.rows
        found = metrics.average_precision(labels, values)
        axes.step(recall, precision, where="post", color=COLOURS.get(name), label=f"{name} {found:.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), title="Precision and recall on the holdout")
    return _png(figure, axes)


def reliability(labels: ArrayLike, scores: Mapping[str, ArrayLike]) -> bytes:
    """Observed rate over mean score, on logarithmic axes: rare classes live near zero."""
    figure, axes = _figure("mean score", "observed rate")
    lowest = 1.0
    for name, values in scores.items():
        found = metrics.reliability(labels, values)
        seen = (found.observed > 0) & (found.predicted > 0)
        axes.plot(found.predicted[seen], found.observed[seen], "o-", markersize=3, color=COLOURS.get(name), label=name)
        lowest = min([lowest, *found.predicted[seen], *found.observed[seen]])
    axes.plot([lowest, 1], [lowest, 1], linestyle=":", color="#5f6368", label="calibrated")
    axes.set(xscale="log", yscale="log", title="Calibration on the holdout")
    return _png(figure, axes)


def importance(shares: Mapping[str, float]) -> bytes:
    """Share of the total gain per feature, the largest on top."""
    figure, axes = _figure("share of gain", "")
    names = sorted(shares, key=lambda name: shares[name])
    figure.set_size_inches(SIZE[0], max(1.6, 0.2 * len(names) + 0.8))
    axes.barh(np.arange(len(names)), [shares[name] for name in names], color=COLOURS["candidate"])
    axes.set_yticks(np.arange(len(names)), names, fontsize=7)
    axes.set_title("Feature importance")
    return _png(figure, axes)


def _figure(x: str, y: str) -> "tuple[Figure, Axes]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: "Figure", axes: "Axes") -> bytes:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False)
    axes.title.set_fontsize(9)
    content = BytesIO()
    # Without the library's version in it, equal pictures are equal bytes.
    metadata: dict[str, Any] = {"Software": None}
    figure.savefig(content, format="png", metadata=metadata)
    return content.getvalue()
