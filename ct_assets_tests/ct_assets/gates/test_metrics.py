"""Metrics against scikit-learn, and the handbook's card precision against a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from ct_assets.gates import metrics

# Few distinct scores, so that ties are the rule.
ROWS = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 3)), min_size=2, max_size=40
).filter(lambda rows: len({label for label, _, weight in rows if weight}) == 2)


@settings(deadline=None)
@given(ROWS)
def test_ranking_metrics_agree_with_scikit_learn(rows: list[tuple[bool, float, int]]) -> None:
    labels, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    found = metrics.average_precision(labels, scores, weights)
    assert found == pytest.approx(oracle.average_precision_score(labels, scores, sample_weight=weights))
    assert metrics.roc_auc(labels, scores, weights) == pytest.approx(
        oracle.roc_auc_score(labels, scores, sample_weight=weights)
    )
    assert metrics.logloss(labels, scores, weights) == pytest.approx(
        oracle.log_loss(labels, scores, sample_weight=weights, labels=[0, 1])
    )


@settings(deadline=None)
@given(ROWS, st.randoms())
def test_the_order_of_rows_does_not_matter(rows: list[tuple[bool, float, int]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for metric in (metrics.average_precision, metrics.roc_auc):
        assert metric(*zip(*rows, strict=True)) == pytest.approx(metric(*zip(*shuffled, strict=True)))


def test_without_positives_there_is_no_ranking() -> None:
    assert np.isnan(metrics.average_precision([0, 0], [0.1, 0.2]))
    assert np.isnan(metrics.roc_auc([0, 0], [0.1, 0.2]))
    assert np.isnan(metrics.average_precision([], []))


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 scores"):
        metrics.average_precision([0, 1], [0.1, np.nan])
    with pytest.raises(ValueError, match="shape"):
        metrics.average_precision([0, 1], [0.1])


@pytest.mark.parametrize("seed", range(5))
def test_card_precision_blocks_the_cards_it_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    size, top = 400, 5
    cards, days = random.integers(0, 40, size), np.sort(random.integers(0, 6, size))
    labels, scores = random.random(size) < 0.1, random.random(size)
    blocked: set[int] = set()
    shares = []
    for day in range(6):
        best: dict[int, float] = {}
        bad = set()
        for row in range(size):
            if days[row] == day and cards[row] not in blocked:
                best[cards[row]] = max(best.get(cards[row], 0.0), scores[row])
                if labels[row]:
                    bad.add(cards[row])
        found = set(sorted(best, key=lambda card: -best[card])[:top]) & bad
        blocked |= found
        shares.append(len(found) / top)
    assert metrics.card_precision(labels, scores, cards, days, top=top) == pytest.approx(np.mean(shares))


def test_reliability_accounts_for_every_row() -> None:
    random = np.random.default_rng(0)
    scores = random.beta(0.5, 20, 20_000)
    labels = random.random(20_000) < scores
    found = metrics.reliability(labels, scores)
    assert found.rows.sum() == 20_000
    assert found.predicted @ found.rows == pytest.approx(scores.sum())
    assert found.observed @ found.rows == pytest.approx(labels.sum())
    assert (np.diff(found.predicted) > 0).all()
    # Labels drawn from the scores are calibrated: each bin within four standard errors.
    error = np.sqrt(found.predicted * (1 - found.predicted) / found.rows)
    assert (np.abs(found.observed - found.predicted) < 4 * error).all()


@pytest.mark.parametrize("scores", [[], [0.0, 0.0], [0.5, 0.5, 0.5]])
def test_reliability_of_odd_scores(scores: list[float]) -> None:
    found = metrics.reliability([0] * len(scores), scores)
    assert found.rows.sum() in (0, len(scores))
