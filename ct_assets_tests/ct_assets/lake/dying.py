"""A process that works on a lake and dies, if told to, right before one of its commits.

    dying.py (file PATH | drain STORE | derive LAKE) LAKE COMMITS

`COMMITS` is how many commits it may make; -1 is as many as it likes. It prints "ready" once it has started to work.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import polars as pl

from ct_assets.lake import drain, ingest, materialize, snapshot
from ct_assets.lake.lake import Lake
from ct_assets.lake.sources import Batch
from feature_defs.card_fraud import task

ROWS = 40


def main(what: str, origin: Path, lake: Lake, commits: int) -> None:
    left, write = commits, snapshot.write_deltalake

    def commit(*args: Any, **kwargs: Any) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        write(*args, **kwargs)

    snapshot.write_deltalake = commit
    drain.BATCH_RECORDS = materialize.CHUNK_ROWS = ROWS
    print("ready", flush=True)
    if what == "file":
        frame = pl.read_parquet(origin)
        for stream in ("events", "labels"):
            batches = (Batch(frame[first : first + ROWS], first) for first in range(0, len(frame), ROWS))
            ingest.deliver(lake, stream, batches, "history", run_id="test")  # type: ignore[arg-type]
    elif what == "derive":
        now = lake.watermark()
        assert now is not None
        materialize.labeled(lake, now)
        materialize.features(lake, now)
    else:
        for kind in ("labels", "events", "predictions"):
            drain.drain(lake, origin, kind, run_id="test")  # type: ignore[arg-type]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Lake(Path(sys.argv[3]), task), int(sys.argv[4]))
