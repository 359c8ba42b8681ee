"""Once around: select, train, evaluate, conclude; on real tables, a real registry, real boosters."""

from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest

from ct_assets.lake.lake import Lake
from ct_assets.release import ledger
from ct_assets.release.evaluation import EvaluationError, evaluate
from ct_assets.release.promotion import conclude
from ct_assets.release.registry import Registry
from ct_assets.training import training
from ct_assets.training.selection import select
from ct_assets_tests.ct_assets.release.worlds import Fill
from feature_defs.feature import Row
from feature_defs.task import Task

DAY = timedelta(days=1)


def version(lake: Lake, registry: Registry, as_of: datetime, *, shuffle: bool = False) -> int:
    data = select(lake, lake.task, as_of)
    data = data.shuffled(0) if shuffle else data
    return training.train(lake, registry, lake.task, data, trigger="hand", run_id="run").version


def test_good_versions_follow_each_other_and_a_shuffled_one_is_refused(
    lake: Lake, registry: Registry, task: Task, fill: Fill
) -> None:
    end = fill(40)
    decisions = []
    for number, (as_of, shuffle) in enumerate([(end - 7 * DAY, False), (end, False), (end, True)], start=1):
        assert version(lake, registry, as_of, shuffle=shuffle) == number
        found = evaluate(lake, registry, task, number, as_of=as_of, run_id="run")
        assert [verdict.name for verdict in found.verdicts] == ["contract", "quality"]
        assert found.passed is not shuffle
        quality = found.verdicts[1]
        assert quality.sample["rows"] == len(found.labels) == len(found.scores)  # type: ignore[arg-type]
        assert quality.sample["average_precision"] == ledger.version(lake, number).metrics["average_precision"]
        decisions.append(conclude(lake, registry, number, decided_at=as_of, run_id="run").outcome)
    assert decisions == ["promoted", "promoted", "refused"]
    assert registry.aliases("card_fraud") == {"champion": 2, "previous": 1}
    assert ledger.verdicts(lake, 3)["quality"].champion == 2


def test_evaluating_again_stores_nothing_new_even_after_promotion(
    lake: Lake, registry: Registry, task: Task, fill: Fill
) -> None:
    as_of = fill(25)
    number = version(lake, registry, as_of)
    first = evaluate(lake, registry, task, number, as_of=as_of, run_id="run")
    conclude(lake, registry, number, decided_at=as_of, run_id="run")
    again = evaluate(lake, registry, task, number, as_of=as_of, run_id="another")
    assert again.verdicts == first.verdicts
    assert again.champion is None
    assert len(ledger.decisions(lake)) == 3


def test_a_version_is_not_judged_on_rows_it_learnt_from(lake: Lake, registry: Registry, task: Task, fill: Fill) -> None:
    end = fill(40)
    number = version(lake, registry, end)
    with pytest.raises(EvaluationError, match="learnt from events up to"):
        evaluate(lake, registry, task, number, as_of=end - DAY, run_id="run")


def test_a_version_of_another_feature_set_is_never_promoted(
    lake: Lake, registry: Registry, task: Task, fill: Fill
) -> None:
    as_of = fill(25)
    number = version(lake, registry, as_of)
    edited = replace(task, features=(*task.features, Row("amount_again", pl.col("amount"))))
    other = Lake(lake.path, edited)
    vectors = lake.read("features").with_columns(
        amount_again=pl.col("amount"), feature_hash=pl.lit(edited.feature_hash)
    )
    other.append("features", vectors.collect(), "test", 1)
    found = evaluate(other, registry, edited, number, as_of=as_of, run_id="run")
    assert [verdict.outcome for verdict in found.verdicts] == ["fail", "inconclusive"]
    assert "the candidate reads another feature set" in found.verdicts[1].detail
    assert found.scores is None
    assert conclude(other, registry, number, decided_at=as_of, run_id="run").outcome == "refused"
