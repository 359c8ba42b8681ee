"""Promotion stands on stored verdicts of exactly this version, against exactly this champion, and happens once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import msgspec
import pytest

from ct_assets.gates.verdict import Outcome, Verdict
from ct_assets.lake.lake import Lake
from ct_assets.learners.boosted_trees import BoostedTreesModel
from ct_assets.release import ledger, promotion
from ct_assets.release.entry import Entry
from ct_assets.release.ledger import UnknownVersionError
from ct_assets.release.promotion import RefusedError, conclude, promote
from ct_assets.release.records import Decision, ModelVersion, from_verdict
from ct_assets.release.registry import Registry
from ct_assets_tests.ct_assets.release import worlds

NOW = datetime(2024, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)

Enter = Callable[[], int]
Judge = Callable[..., None]


@pytest.fixture
def enter(lake: Lake, registry: Registry) -> Enter:
    """Enters another version in registry and ledger, returns its number."""
    features = worlds.learnable(lake.task, 3)[1].select("amount")
    labels = worlds.learnable(lake.task, 3)[0]["label"].to_numpy()
    model = BoostedTreesModel.fit(features, labels, lake.task.learner)

    def another() -> int:
        digest = f"digest-{len(ledger.versions(lake))}"
        entry = Entry(digest=digest, run_name="r", params={}, metrics={}, tags={}, datasets={})
        registered, file = registry.register(lake.task.name, model, entry)
        row = ModelVersion(
            task=lake.task.name,
            version=registered.version,
            digest=digest,
            **dict.fromkeys(
                ("as_of", "window_from", "window_to", "data_from", "holdout_from", "holdout_to", "label_cutoff"), NOW
            ),
            **dict.fromkeys(("rows", "positives", "holdout_rows", "holdout_positives", "seed"), 1),
            feature_hash=lake.task.feature_hash,
            feature_names=["amount"],
            table_versions={},
            learner="boosted_trees",
            parameters={},
            threads=1,
            trigger="hand",
            evidence={},
            metrics={},
            code_revision="",
            run_id=registered.run_id,
            model_id=registered.model_id,
            sha256=file.sha256,
            size=file.size,
        )
        assert ledger.record_version(lake, row, run_id="run")
        return row.version

    return another


@pytest.fixture
def judge(lake: Lake) -> Judge:
    """Stores verdicts: `judge(2, contract="pass", quality="fail", champion=1)`."""

    def store(version: int, *, champion: int | None = None, as_of: datetime = NOW, **outcomes: Outcome) -> None:
        rows = [
            from_verdict(
                Verdict(name=name, outcome=outcome, method="by hand", detail=f"{name} is {outcome}"),
                task=lake.task.name,
                version=version,
                champion=champion,
                as_of=as_of,
                run_id="run",
            )
            for name, outcome in outcomes.items()
        ]
        ledger.record_verdicts(lake, rows, run_id="run")

    return store


def passed(judge: Judge, version: int, champion: int | None = None, as_of: datetime = NOW) -> None:
    judge(version, champion=champion, as_of=as_of, contract="pass", quality="pass")


def test_a_version_with_all_verdicts_becomes_champion_and_the_old_one_previous(
    lake: Lake, registry: Registry, enter: Enter, judge: Judge
) -> None:
    assert ledger.champion(lake) is None
    passed(judge, enter())
    first = promote(lake, registry, 1, decided_at=NOW, run_id="run")
    assert (first.outcome, first.champion, first.decided_at) == ("promoted", None, NOW)
    assert registry.aliases("card_fraud") == {"champion": 1}
    passed(judge, enter(), champion=1)
    assert ledger.rival(lake, 2) == ledger.version(lake, 1)
    conclude(lake, registry, 2, decided_at=NOW + DAY, run_id="run")
    assert ledger.champion(lake) == ledger.version(lake, 2)
    assert ledger.rival(lake, 2) == ledger.version(lake, 1)
    assert ledger.rival(lake, 1) is None
    assert registry.aliases("card_fraud") == {"champion": 2, "previous": 1}


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [
        ({}, "no verdict of gate 'contract' .* no verdict of gate 'quality'"),
        ({"contract": "pass"}, "no verdict of gate 'quality' is stored"),
        ({"contract": "pass", "quality": "fail"}, "gate 'quality' says fail: quality is fail"),
        ({"contract": "pass", "quality": "inconclusive"}, "gate 'quality' says inconclusive"),
        ({"contract": "fail", "quality": "pass"}, "gate 'contract' says fail"),
        ({"contract": "pass", "quality": "pass", "segments": "fail"}, "gate 'segments' says fail"),
    ],
)
def test_nothing_is_promoted_without_its_verdicts(
    lake: Lake, registry: Registry, enter: Enter, judge: Judge, verdicts: dict[str, Outcome], reason: str
) -> None:
    judge(enter(), **verdicts)
    with pytest.raises(RefusedError, match=reason):
        promote(lake, registry, 1, decided_at=NOW, run_id="run")
    assert ledger.champion(lake) is None
    assert registry.aliases("card_fraud") == {}


def test_verdicts_of_another_version_do_not_count(lake: Lake, registry: Registry, enter: Enter, judge: Judge) -> None:
    passed(judge, enter())
    with pytest.raises(RefusedError, match="version 2 is not promoted: no verdict"):
        promote(lake, registry, enter(), decided_at=NOW, run_id="run")
    with pytest.raises(UnknownVersionError, match="no version 7 in the ledger; there is: 1, 2"):
        promote(lake, registry, 7, decided_at=NOW, run_id="run")


def test_verdicts_against_another_champion_are_stale(
    lake: Lake, registry: Registry, enter: Enter, judge: Judge
) -> None:
    passed(judge, enter())
    passed(judge, enter())
    promote(lake, registry, 1, decided_at=NOW, run_id="run")
    for act in (promote, conclude):
        with pytest.raises(RefusedError, match="judged it against nobody, but the champion is version 1"):
            act(lake, registry, 2, decided_at=NOW + DAY, run_id="run")
    judge(2, quality="fail", contract="pass")
    with pytest.raises(RefusedError, match="not"):
        conclude(lake, registry, 2, decided_at=NOW + DAY, run_id="run")
    assert ledger.champion(lake) == ledger.version(lake, 1)


@pytest.mark.parametrize(("quality", "outcome"), [("fail", "refused"), ("inconclusive", "retained")])
def test_an_evaluation_that_does_not_promote_is_a_recorded_decision(
    lake: Lake, registry: Registry, enter: Enter, judge: Judge, quality: Outcome, outcome: str
) -> None:
    judge(enter(), contract="pass", quality=quality)
    made = conclude(lake, registry, 1, decided_at=NOW, run_id="run")
    again = conclude(lake, registry, 1, decided_at=NOW + DAY, run_id="another")
    assert made == again
    assert (made.outcome, made.detail) == (outcome, f"quality: quality is {quality}")
    assert [row for row in ledger.decisions(lake) if row.kind == "decision"] == [made]
    assert set(made.sample) == {"contract", "quality"}


def test_a_retained_version_may_pass_later_a_refused_one_never(
    lake: Lake, registry: Registry, enter: Enter, judge: Judge
) -> None:
    judge(enter(), contract="pass", quality="inconclusive")
    judge(enter(), contract="pass", quality="fail")
    for version in (1, 2):
        conclude(lake, registry, version, decided_at=NOW, run_id="run")
        passed(judge, version, as_of=NOW + DAY)
    with pytest.raises(RefusedError, match="it was refused at 2024-05-01 00:00 UTC: train a new version"):
        conclude(lake, registry, 2, decided_at=NOW + DAY, run_id="run")
    assert conclude(lake, registry, 1, decided_at=NOW + DAY, run_id="run").outcome == "promoted"


def test_a_kill_between_decision_and_aliases_is_healed(
    lake: Lake, registry: Registry, enter: Enter, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed(judge, enter())

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(promotion, "align", die)
        with pytest.raises(KeyboardInterrupt):
            promote(lake, registry, 1, decided_at=NOW, run_id="run")
    assert registry.aliases("card_fraud") == {}
    made = promote(lake, registry, 1, decided_at=NOW + DAY, run_id="again")
    assert (made.decided_at, made.run_id) == (NOW, "run")
    assert registry.aliases("card_fraud") == {"champion": 1}
    assert ledger.promotions(lake) == [made]


def test_repeating_an_old_promotion_does_not_bring_the_old_champion_back(
    lake: Lake, registry: Registry, enter: Enter, judge: Judge
) -> None:
    passed(judge, enter())
    old = promote(lake, registry, 1, decided_at=NOW, run_id="run")
    passed(judge, enter(), champion=1)
    promote(lake, registry, 2, decided_at=NOW, run_id="run")
    assert promote(lake, registry, 1, decided_at=NOW + DAY, run_id="run") == old
    assert registry.aliases("card_fraud") == {"champion": 2, "previous": 1}


def test_a_promotion_cannot_lie_before_the_last_one(lake: Lake, registry: Registry, enter: Enter, judge: Judge) -> None:
    passed(judge, enter())
    promote(lake, registry, 1, decided_at=NOW, run_id="run")
    passed(judge, enter(), champion=1)
    with pytest.raises(RefusedError, match="lies before the last promotion"):
        promote(lake, registry, 2, decided_at=NOW - DAY, run_id="run")


def test_of_two_promotions_at_once_one_is_made(lake: Lake, registry: Registry, enter: Enter, judge: Judge) -> None:
    for version in (enter(), enter()):
        passed(judge, version)
    start = Barrier(2)

    def attempt(version: int) -> Decision | RefusedError:
        start.wait()
        try:
            return promote(lake, registry, version, decided_at=NOW, run_id="run")
        except RefusedError as refused:
            return refused

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(attempt, (1, 2)))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Decision", "RefusedError"]
    (made,) = ledger.promotions(lake)
    assert registry.aliases("card_fraud") == {"champion": made.version}


def test_rows_come_back_as_they_were_stored(lake: Lake, enter: Enter) -> None:
    version = ledger.version(lake, enter())
    verdict = Verdict(
        name="quality",
        outcome="inconclusive",
        method="m",
        detail="d",
        estimate=0.1,
        low=-0.1,
        high=0.3,
        margin=0.02,
        sample={"rows": 3, "clusters": {"customer": 2}},
        needs=10,
    )
    row = from_verdict(verdict, task=version.task, version=1, champion=None, as_of=NOW, run_id="run")
    for _ in range(2):
        ledger.record_verdicts(lake, [row], run_id="run")
    (found,) = ledger.decisions(lake)
    assert found == row
    assert msgspec.json.decode(msgspec.json.encode(found), type=Decision) == row
    assert not ledger.record_version(lake, version, run_id="run")
    assert ledger.by_digest(lake, version.digest) == version
