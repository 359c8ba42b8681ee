"""Where the running code comes from."""

import subprocess
from importlib.metadata import version
from pathlib import Path


def code_revision() -> str:
    """The commit that this code is checked out at, with `-dirty` when it was edited; the release when installed."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return f"continual-training {version('continual-training')}"
    return described.stdout.strip()
