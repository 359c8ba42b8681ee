"""Plots are small PNG files, also of holdouts with nothing to show."""

import numpy as np
import pytest

from ct_assets.gates import plots


@pytest.mark.parametrize("size", [0, 1, 400])
def test_plots_are_png_files_of_any_holdout(size: int) -> None:
    random = np.random.default_rng(0)
    labels = random.random(size) < 0.3
    scores = {"champion": random.random(size), "candidate": random.random(size)}
    for picture in (
        plots.precision_recall(labels, scores),
        plots.reliability(labels, scores),
        plots.importance({"amount": 0.75, "share": 0.25}),
    ):
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 60_000


def test_equal_numbers_give_equal_pictures() -> None:
    assert plots.importance({"amount": 1.0}) == plots.importance({"amount": 1.0})
