"""The quality gate: who passes, who fails, who waits, and how often."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ct_assets.gates.quality import better_than_constant, non_inferior
from ct_assets.gates.verdict import Verdict

SETTINGS = {"replicates": 120, "confidence": 0.95}


def world(size: int, seed: int, *, blur: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores of a champion, scores of a challenger with its own `blur`, customers with several rows each."""
    random = np.random.default_rng(seed)
    labels = random.random(size) < 0.08
    signal = 2 * labels + random.normal(0, 0.8, size)
    champion = signal + random.normal(0, 0.3, size)
    return labels, champion, signal + random.normal(0, blur, size), random.integers(0, size // 4, size)


def judge(size: int, seed: int, margin: float, *, blur: float = 0.3) -> Verdict:
    labels, champion, challenger, customer = world(size, seed, blur=blur)
    return non_inferior(labels, champion, challenger, clusters={"customer": customer}, margin=margin, **SETTINGS)


def test_an_equal_challenger_passes_as_often_as_planned() -> None:
    verdicts = [judge(2_500, seed, 0.0) for seed in range(120)]
    error = float(np.mean([(verdict.high - verdict.low) / 2 / 1.645 for verdict in verdicts]))  # type: ignore[operator]
    passed = [verdict.low > -2.5 * error for verdict in verdicts]  # type: ignore[operator]
    # At a margin of 2.5 standard errors the plan is 80 %: the bounds are four Monte Carlo errors away.
    assert 0.65 < np.mean(passed) < 0.95
    # Without any margin an equal challenger passes in 5 % of cases, and fails in as many.
    assert np.mean([verdict.outcome == "pass" for verdict in verdicts]) < 0.13
    assert np.mean([verdict.outcome == "fail" for verdict in verdicts]) < 0.13


def test_a_challenger_worse_by_the_margin_rarely_passes() -> None:
    labels, champion, challenger, _ = world(400_000, 0, blur=0.5)
    loss = average_precision_score(labels, champion) - average_precision_score(labels, challenger)
    outcomes = [judge(2_500, seed, float(loss), blur=0.5).outcome for seed in range(120)]
    assert np.mean([outcome == "pass" for outcome in outcomes]) < 0.13


def test_a_challenger_that_is_clearly_worse_fails_and_a_better_one_passes() -> None:
    assert judge(6_000, 1, 0.02, blur=3.0).outcome == "fail"
    assert judge(6_000, 1, 0.02, blur=0.05).outcome == "pass"


def test_too_few_labels_wait_and_say_how_many_would_do() -> None:
    verdict = judge(1_200, 2, 0.02)
    assert verdict.outcome == "inconclusive"
    assert verdict.needs is not None
    assert verdict.needs > 1_200
    # Planned for 80 %.
    assert sum(judge(verdict.needs, seed, 0.02).outcome == "pass" for seed in range(10, 20)) >= 5


def test_a_verdict_carries_its_numbers() -> None:
    verdict = judge(2_500, 0, 0.05)
    assert verdict.low < verdict.estimate < verdict.high  # type: ignore[operator]
    sample = verdict.sample
    assert verdict.estimate == pytest.approx(sample["average_precision"] - sample["champion_average_precision"])
    assert sample["rows"] == 2_500
    assert "customer" in verdict.method


@pytest.mark.parametrize("seed", range(8))
def test_scores_that_know_nothing_always_fail(seed: int) -> None:
    labels, champion, _, customer = world(5_000, seed)
    noise = np.random.default_rng(seed).random(5_000)
    setting = {"clusters": {"customer": customer}, "margin": 0.03, **SETTINGS}
    assert non_inferior(labels, champion, noise, **setting).outcome == "fail"
    assert better_than_constant(labels, noise, **setting).outcome != "pass"
    assert better_than_constant(labels, np.zeros(5_000), **setting).outcome == "fail"
    assert better_than_constant(labels, champion, **setting).outcome == "pass"


def test_the_same_model_again_passes() -> None:
    labels, champion, _, customer = world(2_000, 0)
    verdict = non_inferior(labels, champion, champion, clusters={"c": customer}, margin=0.001, **SETTINGS)
    assert (verdict.outcome, verdict.estimate) == ("pass", 0.0)


def test_without_positives_nothing_is_decided() -> None:
    scores = np.arange(50.0)
    for verdict in (
        non_inferior(np.zeros(50), scores, scores, clusters={"row": scores}, margin=0.01, **SETTINGS),
        better_than_constant(np.zeros(50), scores, clusters={"row": scores}, margin=0.01, **SETTINGS),
        better_than_constant([], [], clusters={"row": []}, margin=0.01, **SETTINGS),
    ):
        assert verdict.outcome == "inconclusive"
        assert verdict.sample["positives"] == 0


def test_frauds_of_a_few_customers_are_too_few() -> None:
    labels = np.zeros(1_000, dtype=bool)
    labels[:60] = True
    customer = np.arange(1_000)
    customer[:60] = np.arange(60) % 3
    scores = labels + np.linspace(0, 0.1, 1_000)
    verdict = better_than_constant(labels, scores, clusters={"customer": customer}, margin=0.01, **SETTINGS)
    assert verdict.outcome == "inconclusive"
    assert "only 3 independent units" in verdict.detail
