import pytest

from bento import configuration

DIGEST = "0" * 64


def test_the_environment_says_how_to_serve(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("CT_HOME", str(tmp_path))
    monkeypatch.setenv("CT_TASK", "card_fraud")
    monkeypatch.setenv("CT_PLAN_SECONDS", "0.5")
    monkeypatch.setenv("CT_TOKENS", f"predict:{DIGEST} admin:{DIGEST}")
    made = configuration.read()
    assert made.home.root == tmp_path
    assert made.name == "card-fraud"
    assert made.plan_seconds == 0.5
    assert made.tokens == (("predict", DIGEST), ("admin", DIGEST))


@pytest.mark.parametrize("seconds", ["", "soon", "0", "nan", "inf"])
def test_an_interval_that_is_none_is_refused(monkeypatch, seconds: str) -> None:
    monkeypatch.setenv("CT_PLAN_SECONDS", seconds)
    with pytest.raises(ValueError, match="CT_PLAN_SECONDS"):
        configuration.read()


@pytest.mark.parametrize("tokens", ["open-sesame", f"root:{DIGEST}", "predict:123", f"predict:{DIGEST},admin:{DIGEST}"])
def test_tokens_that_are_none_are_refused_and_not_repeated(monkeypatch, tokens: str) -> None:
    monkeypatch.setenv("CT_TOKENS", tokens)
    with pytest.raises(ValueError, match="sha256sum") as refused:
        configuration.read()
    assert tokens not in str(refused.value)


def test_an_unknown_task_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("CT_TASK", "hotel")
    with pytest.raises(KeyError, match="card_fraud"):
        configuration.read()
