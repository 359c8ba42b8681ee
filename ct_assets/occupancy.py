"""Who works in a home: one `ct demo` or `ct up` at a time. Runs of Dagster and readers are not kept out.

The lock is the kernel's: it goes with its process, kill -9 included.
"""

import fcntl
import os

from ct_assets.settings import Home


class OccupiedError(Exception):
    """Somebody else works in the home."""


class Occupancy:
    """Holds a home until `close`, or until the process ends.

    Raises:
        OccupiedError: another process holds it.
    """

    def __init__(self, home: Home) -> None:
        home.root.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise OccupiedError(
                f"a `ct demo` or `ct up` is running in {home.root}; end it, or name another folder in CT_HOME"
            ) from None

    def close(self) -> None:
        """Let the next one in."""
        os.close(self._lock)
