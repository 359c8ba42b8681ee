"""How kernels are compiled: cached on disk also when the package is installed read-only, and audibly the first time.

Imports Numba, so only `feature_defs.engine.compiled` may import this module, and that only inside functions.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import event


def cache_directory() -> Path:
    """Where compiled kernels are kept: beside the source, or in `NUMBA_CACHE_DIR`, or in `CT_HOME`.

    Numba notices that a kernel's own file changed but not that one it calls did, so the directory is named by all.
    """
    source = Path(__file__).parent / "compiled"
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(source.glob("*.py")))).hexdigest()[:16]
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(given) / digest
    if os.access(source, os.W_OK):
        return source / "__pycache__" / digest
    return Path(os.environ.get("CT_HOME", ".ct")).absolute() / "numba" / digest


class _Announcement(event.Listener):  # type: ignore[misc]
    """Says once per process that kernels are being compiled; silent when they come from the cache."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:  # noqa: ARG002 the listener's signature
        if not self.said:
            self.said = True
            print("Compiling the feature kernels, once; this takes half a minute ...", file=sys.stderr)  # noqa: T201

    def on_end(self, event: Any) -> None:
        """Nothing to say: the caller goes on."""


event.register("numba:compile", _Announcement())
_CACHE = str(cache_directory())


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` on first use; cached on disk, without the interpreter lock, IEEE arithmetic as written."""
    others, numba.config.CACHE_DIR = numba.config.CACHE_DIR, _CACHE
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, fastmath=False)(function)
    finally:
        numba.config.CACHE_DIR = others
    return compiled
