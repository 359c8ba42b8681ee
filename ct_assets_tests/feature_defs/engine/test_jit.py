"""Kernels are compiled once, audibly, into a cache that need not be beside the source."""

import os
import subprocess
import sys

CALL = """
import sys
import feature_defs.engine.offline, feature_defs.engine.online
assert "numba" not in sys.modules, "importing the engine must stay cheap"
from feature_defs.engine.compiled.exact import quotient
assert quotient(2**62 + 1, 3) == (2**62 + 1) / 3
"""


def run(**environment):
    return subprocess.run(
        [sys.executable, "-c", CALL], env=os.environ | environment, capture_output=True, text=True, check=True
    ).stderr


def test_the_first_compile_is_announced_and_the_second_process_finds_it_in_the_cache(tmp_path):
    assert "Compiling the feature kernels" in run(NUMBA_CACHE_DIR=str(tmp_path))
    assert list(tmp_path.rglob("*.nbi"))
    assert run(NUMBA_CACHE_DIR=str(tmp_path)) == ""


def test_a_read_only_install_keeps_its_kernels_in_the_home(tmp_path, monkeypatch):
    from feature_defs.engine import jit

    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("CT_HOME", str(tmp_path / "home"))
    beside = jit.cache_directory()
    assert beside.parent.name == "__pycache__"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert jit.cache_directory() == tmp_path / "home" / "numba" / beside.name
