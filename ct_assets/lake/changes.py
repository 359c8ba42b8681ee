"""Which days of events the commits since a table version have touched, from the notes that every commit carries."""

import json
from datetime import date

from ct_assets.lake.lake import Lake
from ct_assets.lake.snapshot import TOUCHED

# Commits of these kinds move or describe rows and change none.
_HARMLESS = {"CREATE TABLE", "OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "ADD COLUMN"}


def since(lake: Lake, table: str, version: int) -> dict[date, int] | None:
    """Event dates of the rows added after `version` (-1: ever), with their earliest arrival in microseconds.

    None means "any date": the log does not reach back that far, or somebody wrote without a note.
    """
    if not lake.exists(table):
        return {}
    snapshot = lake.snapshot(table)
    if snapshot.version <= version:
        return {}
    commits = [entry for entry in snapshot.delta.history(snapshot.version - version) if entry["version"] > version]
    if len(commits) != snapshot.version - version:
        return None
    touched: dict[date, int] = {}
    for commit in commits:
        if TOUCHED in commit:
            for text, arrival in json.loads(commit[TOUCHED]).items():
                day = date.fromisoformat(text)
                touched[day] = min(arrival, touched.get(day, arrival))
        elif commit["operation"] not in _HARMLESS:
            return None
    return touched
