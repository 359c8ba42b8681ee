"""The paired cluster bootstrap against a loop over scikit-learn, and against what clustering must do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from ct_assets.gates.bootstrap import difference

REPLICATES = 20


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 4), st.integers(0, 5)), min_size=2, max_size=25
    ).filter(lambda rows: any(row[0] for row in rows))
)
def test_replicates_agree_with_a_loop(rows: list[tuple[bool, int, int, int]]) -> None:
    labels, before, after, cluster = (np.array(column) for column in zip(*rows, strict=True))
    found = difference(labels, before, after, clusters={"unit": cluster}, replicates=REPLICATES, seed=3)
    _, unit = np.unique(cluster, return_inverse=True)
    draws = np.random.default_rng(3).poisson(1.0, (REPLICATES, unit.max() + 1))
    expected = [
        average_precision_score(labels, after, sample_weight=weights)
        - average_precision_score(labels, before, sample_weight=weights)
        for weights in draws[:, unit]
        if weights[labels].sum() > 0
    ]
    if len(expected) > 1:
        assert found.standard_error == pytest.approx(np.std(expected, ddof=1), abs=1e-12)
    else:
        assert found.standard_error == np.inf
    assert found.estimate == pytest.approx(
        average_precision_score(labels, after) - average_precision_score(labels, before)
    )


def scored(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.random(size) < 0.1
    signal = labels + random.normal(0, 0.6, size)
    return labels, signal + random.normal(0, 0.3, size), signal + random.normal(0, 0.3, size)


def test_the_larger_error_over_the_clusterings_decides() -> None:
    # Every row four times: the copies say nothing new, which only the clustering by original row knows.
    labels, before, after = (np.repeat(column, 4) for column in scored(800))
    copies = {"original": np.repeat(np.arange(800), 4), "row": np.arange(3_200)}
    found = difference(labels, before, after, clusters=copies, replicates=400)
    assert found.deciding == "original"
    assert found.standard_error == found.errors["original"]
    assert found.errors["original"] / found.errors["row"] == pytest.approx(2.0, rel=0.25)
    alone = difference(*scored(800), clusters={"row": np.arange(800)}, replicates=400)
    assert found.standard_error == pytest.approx(alone.standard_error, rel=0.25)
    assert found.clusters == {"original": 800, "row": 3_200}


def test_the_error_is_that_of_fresh_samples() -> None:
    deltas = []
    for seed in range(200):
        labels, before, after = scored(1_000, seed)
        deltas.append(average_precision_score(labels, after) - average_precision_score(labels, before))
    found = difference(*scored(1_000, 1), clusters={"row": np.arange(1_000)}, replicates=400)
    assert found.standard_error == pytest.approx(np.std(deltas), rel=0.35)


def test_blocks_of_replicates_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"clusters": {"row": np.arange(500)}, "replicates": 100}
    whole = difference(*scored(500), **arguments)
    monkeypatch.setattr("ct_assets.gates.bootstrap.BLOCK", 500 * 7)
    assert difference(*scored(500), **arguments) == whole


def test_equal_scores_differ_by_nothing() -> None:
    labels, before, _ = scored(500)
    found = difference(labels, before, before, clusters={"row": np.arange(500)}, replicates=50)
    assert (found.estimate, found.standard_error) == (0.0, 0.0)


def test_a_difference_needs_positives_and_a_clustering() -> None:
    with pytest.raises(ValueError, match="positive"):
        difference([0, 0], [0, 1], [1, 0], clusters={"row": [0, 1]}, replicates=10)
    with pytest.raises(ValueError, match="clustering"):
        difference([0, 1], [0, 1], [1, 0], clusters={}, replicates=10)
