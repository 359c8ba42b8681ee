"""How kernels are compiled: cached on disk also when the package is installed read-only, and audibly the first time.

Imports Numba, so only `feature_defs.engine.compiled` may import this module, and that only inside functions.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _cache_directory() -> Path | None:
    """Where compiled kernels may be kept, or None when Numba's own place (beside the source) is writable."""
    beside = Path(__file__).parent / "compiled"
    if "NUMBA_CACHE_DIR" in os.environ or os.access(beside, os.W_OK):
        return None
    return Path(os.environ.get("CT_HOME", ".ct")).absolute() / "numba"


if (_directory := _cache_directory()) is not None:
    os.environ["NUMBA_CACHE_DIR"] = str(_directory)  # Numba reads it once, at import.

import numba  # noqa: E402
from numba.core import event  # noqa: E402


class _Announcement(event.Listener):  # type: ignore[misc]
    """Says once per process that kernels are being compiled; silent when they come from the cache."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:  # noqa: ARG002 the listener's signature
        if not self.said:
            self.said = True
            print("Compiling the feature kernels, once per machine; this takes a minute ...", file=sys.stderr)  # noqa: T201

    def on_end(self, event: Any) -> None:
        """Nothing to say: the caller goes on."""


event.register("numba:compile", _Announcement())


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` on first use; cached on disk, without the interpreter lock, IEEE arithmetic as written."""
    compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, fastmath=False)(function)
    return compiled
