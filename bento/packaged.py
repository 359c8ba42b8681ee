"""What a Bento carries: its task, and its model by exact tag. Outside of a Bento there is nothing of the kind.

The note is written where Bentos are built, `ct_assets.release.package`.
"""

from pathlib import Path
from typing import Any

import msgspec

NOTE = Path(__file__).with_name("package.json")


class Packaged(msgspec.Struct, frozen=True):
    """The task that a Bento serves and the tag of its model in BentoML's model store."""

    task: str
    model: str


def read() -> Packaged | None:
    """The note beside this file, None when this is not a Bento."""
    if not NOTE.exists():
        return None
    return msgspec.json.decode(NOTE.read_bytes(), type=Packaged)


def folder(model: Any) -> Path:
    """The serving folder, a plan and the model it names, inside a model of BentoML's store."""
    return Path(model.path)
