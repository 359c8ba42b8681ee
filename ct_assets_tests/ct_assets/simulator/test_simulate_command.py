"""`ct simulate` writes files with the same bytes for the same seed."""

import hashlib
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from ct_assets.cli.simulate import simulate


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(simulate)
    return app


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_same_arguments_give_the_same_files(app: typer.Typer, tmp_path: Path) -> None:
    arguments = ["--days", "3", "--seed", "4", "--null-burst", "1:1", "--duplicated", "0.1"]
    for name in ("a", "b"):
        result = CliRunner().invoke(app, ["--out", str(tmp_path / name), *arguments])
        assert result.exit_code == 0, result.output
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    assert list(_digests(tmp_path / "a")) == ["events.parquet", "labels.parquet"]
    assert pl.read_parquet(tmp_path / "a" / "events.parquet")["amount"].null_count() > 100


@pytest.mark.parametrize("text", ["3", "a:b", "3:0", "3:-1", ":2"])
def test_a_wrong_span_is_explained(app: typer.Typer, tmp_path: Path, text: str) -> None:
    result = CliRunner().invoke(app, ["--out", str(tmp_path), "--unit-bug", text])
    assert result.exit_code == 2
    assert "FIRST:DAYS" in result.output
