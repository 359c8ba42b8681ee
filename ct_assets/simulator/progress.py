"""A progress bar for work that turns out to take long: nothing is shown during the first two seconds."""

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.progress import Progress

_QUIET_SECONDS = 2.0

Item = TypeVar("Item")


def slow(items: Sequence[Item], description: str) -> Iterator[Item]:
    """Yields `items`, with a bar on the terminal from the third second on."""
    began = time.monotonic()
    progress = Progress(transient=True)
    bar = progress.add_task(description, total=len(items))
    try:
        for done, item in enumerate(items):
            progress.update(bar, completed=done)
            if not progress.live.is_started and time.monotonic() - began > _QUIET_SECONDS:
                progress.start()
            yield item
    finally:
        progress.stop()
