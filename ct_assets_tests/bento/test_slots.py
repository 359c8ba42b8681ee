"""Which model answers: what is taken up, what is refused, and that the old one keeps answering."""

import msgspec
import numpy as np
import pytest

from bento.slots import Slots
from ct_assets.learners.boosted_trees import BoostedTreesModel
from ct_assets.learners.files import ModelFile
from ct_assets.release import plan as plans
from ct_assets.settings import Home
from ct_assets_tests.bento import worlds
from feature_defs.card_fraud import task

VECTORS = np.random.default_rng(0).normal(size=(20, len(task.feature_names)))


def slots(home: Home, packaged=None) -> Slots:
    made = Slots(task, home.serving(task.name), packaged)
    made.refresh()
    return made


def test_a_slot_scores_as_the_file_does_and_decides_by_the_plans_threshold(home: Home) -> None:
    champion = slots(home).champion
    direct = BoostedTreesModel.load(worlds.model(1).path, worlds.model(1).sha256).predict(VECTORS)
    scored = champion.score(VECTORS)
    assert [row.score for row in scored] == direct.tolist()
    assert [row.decision for row in scored] == (direct >= 0.3).tolist()
    assert 0 < sum(row.decision for row in scored) < len(scored)


def test_a_new_plan_is_another_slot_and_an_unchanged_one_the_same(home: Home) -> None:
    made = slots(home)
    first = made.champion
    made.refresh()
    assert made.champion is first
    worlds.promote(home, 2)
    made.refresh()
    assert made.champion.version == 2
    assert first.version == 1


WRONG = {
    "of another task": {"task": "hotel"},
    "of another feature set": {"feature_hash": "0" * 16},
    "of other features": {"feature_names": ("amount",)},
    "with another digest": {"sha256": "0" * 64},
    "without its file": {"model": "models/77.ubj"},
    "outside of the folder": {"model": "../../model.ubj"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_plan_of_a_model_is_refused(home: Home, change) -> None:
    made = slots(home)
    bad = worlds.plan(2, **change)
    folder = home.serving(task.name)
    (folder / plans.model_path(2)).write_bytes(worlds.model(2).path.read_bytes())
    (folder / plans.FILE).write_bytes(msgspec.json.encode(bad))
    made.refresh()
    assert made.champion.version == 1
    assert made.refused is not None
    assert made.describe()["refused"]["reason"]
    worlds.promote(home, 2)
    made.refresh()
    assert made.champion.version == 2
    assert made.refused is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"task": "card_fraud"}', b"\x00" * 40])
def test_a_plan_that_is_not_one_is_refused(home: Home, content: bytes) -> None:
    made = slots(home)
    (home.serving(task.name) / plans.FILE).write_bytes(content)
    made.refresh()
    assert made.champion.version == 1
    assert "plan.json" in made.refused.reason


def test_a_model_file_that_is_no_model_is_refused_even_with_the_right_digest(home: Home, tmp_path) -> None:
    made = slots(home)
    garbage = tmp_path / "garbage.ubj"
    garbage.write_bytes(b"{L" + b"\x01" * 300)
    digest = ModelFile.of(garbage).sha256
    plans.publish(home.serving(task.name), worlds.plan(2, sha256=digest), garbage)
    made.refresh()
    assert made.champion.version == 1
    assert made.refused is not None


def test_the_packaged_model_answers_until_there_is_a_plan(tmp_path) -> None:
    carried = tmp_path / "carried"
    plans.publish(carried, worlds.plan(3), worlds.model(3).path)
    home = Home(tmp_path / "home")
    made = slots(home, carried)
    assert made.champion.version == 3
    assert made.describe()["champion"]["packaged"] is True
    worlds.promote(home, 1)
    made.refresh()
    assert made.champion.version == 1
    assert made.describe()["champion"]["packaged"] is False
