"""The loop on a real Dagster instance, lake, registry and Bento store: turned once, and asked to do wrong."""

from datetime import timedelta

import dagster as dg
import polars as pl
import pytest
from dagster import RunsFilter

from ct_assets.release import ledger, plan
from ct_assets.release.records import ModelVersion
from ct_assets.training import selection, training

pytestmark = [pytest.mark.xdist_group("loop"), pytest.mark.slow]


def reasons(result: dg.ExecuteInProcessResult) -> str:
    failures = result.filter_events(lambda event: event.is_step_failure)
    return "\n".join(event.event_specific_data.error.to_string() for event in failures)


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}


def shuffled(turning, seed: int) -> ModelVersion:
    """A version that learnt nothing, on the rows of the newest version."""
    newest = ledger.newest(turning.lake)
    data = selection.select(turning.lake, turning.task, turning.lake.watermark())
    assert data.manifest.holdout_to >= newest.holdout_to
    return training.train(
        turning.lake, turning.registry, turning.task, data.shuffled(seed), trigger="hand", run_id="a test"
    )


def evaluated(turning, version: int) -> dict:
    return {"ops": {"card_fraud__evaluation": {"config": {"version": version}}}}


def test_once_around_promotes_the_first_version(turning) -> None:
    champion = ledger.champion(turning.lake)
    assert champion.version == 1
    assert champion.metrics["average_precision"] > 0.3
    assert turning.registry.aliases("card_fraud") == {"champion": 1}
    assert plan.read(turning.home.serving("card_fraud")).version == 1
    assert [row.outcome for row in ledger.promotions(turning.lake)] == ["promoted"]


def test_the_training_window_ends_where_the_holdout_begins_and_the_holdout_where_labels_mature(turning) -> None:
    champion = ledger.champion(turning.lake)
    assert champion.window_to == champion.holdout_from
    assert champion.holdout_to == champion.as_of - timedelta(days=7)
    assert champion.holdout_to - champion.holdout_from == timedelta(days=7)


def test_assets_show_plots_and_counts(turning) -> None:
    def metadata(asset: str) -> dict:
        key = dg.AssetKey(["card_fraud", asset])
        return turning.instance.get_latest_materialization_event(key).asset_materialization.metadata

    assert metadata("events")["stored"].value > 10_000
    shown = metadata("evaluation")
    for picture in ("precision_recall", "calibration"):
        assert shown[picture].value.startswith("![")
        assert "data:image/png;base64," in shown[picture].value
    assert "importance" in metadata("candidate")
    assert shown["verdicts"].records[0].data["outcome"] == "pass"


def test_the_same_data_again_is_the_same_version(turning) -> None:
    versions = len(ledger.versions(turning.lake))
    champion = ledger.champion(turning.lake)
    result = turning.materialize("training_set", "candidate")
    assert result.success
    trained = result.output_for_node("card_fraud__candidate")
    assert (trained.version, trained.sha256) == (champion.version, champion.sha256)
    assert len(ledger.versions(turning.lake)) == versions


def test_a_candidate_that_learnt_nothing_is_refused_and_that_is_written_down(turning) -> None:
    bad = shuffled(turning, 1)
    result = turning.run("evaluate", evaluated(turning, bad.version))
    assert not result.success
    assert "release" not in materialized(result)
    assert "bento" not in materialized(result)
    decision = next(
        row for row in reversed(ledger.decisions(turning.lake)) if row.version == bad.version and row.kind == "decision"
    )
    assert decision.outcome == "refused"
    assert "quality" in decision.detail
    assert ledger.champion(turning.lake).version != bad.version


@pytest.mark.parametrize("checks", [True, False], ids=["with checks", "without checks"])
def test_a_refused_version_is_not_promoted_by_hand(turning, checks: bool) -> None:
    bad = shuffled(turning, 2)
    turning.run("evaluate", evaluated(turning, bad.version))
    result = turning.materialize("release", checks=checks)
    assert not result.success
    assert f"version {bad.version} is not promoted" in reasons(result)
    assert ledger.champion(turning.lake).version != bad.version


def test_selecting_evaluation_and_release_without_checks_promotes_nothing(turning) -> None:
    bad = shuffled(turning, 3)
    selection_ = dg.AssetSelection.assets(["card_fraud", "evaluation"], ["card_fraud", "release"]).without_checks()
    job = dg.define_asset_job("no_checks", selection_)
    merged = dg.Definitions.merge(turning.defs, dg.Definitions(jobs=[job]))
    result = merged.resolve_job_def("no_checks").execute_in_process(
        instance=turning.instance, run_config=evaluated(turning, bad.version), raise_on_error=False
    )
    assert not result.success
    assert "gate 'quality' says fail" in reasons(result)
    assert ledger.champion(turning.lake).version != bad.version


def test_a_refusal_is_not_tried_again(turning) -> None:
    """A refused candidate is an answer: the step fails once, whatever the retry policy says."""
    bad = shuffled(turning, 4)
    result = turning.run("evaluate", evaluated(turning, bad.version))
    assert not [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]


def test_a_file_that_breaks_its_contract_is_set_aside_and_stops_the_run(turning, small_world) -> None:
    events, _ = small_world.between(51, 52)
    offered = turning.offer("events", "broken.parquet", events.drop("amount"))
    before = turning.lake.version("events")
    result = turning.run("ingest")
    assert not result.success
    assert not offered.exists()
    reason = (offered.parent / "refused" / "broken.parquet.reason.txt").read_text()
    assert "broken.parquet" in reason
    assert "amount" in reason
    assert turning.lake.version("events") == before
    assert "features" not in materialized(result)
    # The next delivery is not held up by it.
    assert turning.run("ingest").success


def test_faulty_rows_are_quarantined_with_their_reason_and_counted(turning, small_world) -> None:
    events, _ = small_world.between(51, 52)
    broken = events.with_columns(
        amount=pl.when(pl.int_range(pl.len()) < 3).then(-1.0).otherwise("amount"),
        customer_id=pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("customer_id"),
    )
    turning.offer("events", "faulty.parquet", broken)
    turning.offer("events", "again.parquet", broken)
    assert turning.run("ingest").success
    refused = turning.lake.read("quarantine", where=pl.col("source").str.contains("faulty")).collect()
    assert sorted(refused["rules"].explode().to_list()) == ["amount.between"] * 3 + ["customer_id.not_null"]
    sums = turning.lake.read("deliveries").select(pl.col("offered", "stored", "quarantined", "duplicates").sum())
    offered, stored, quarantined, duplicates = sums.collect().row(0)
    assert offered == stored + quarantined + duplicates


def test_runs_carry_their_task(turning) -> None:
    assert turning.instance.get_runs_count(RunsFilter(tags={"ct/task": "card_fraud"})) > 0
