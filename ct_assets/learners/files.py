"""Model files and their digests. What is inside a file belongs to its learner."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelFile:
    """A model on disk: where it is, the SHA-256 of its bytes in hex, its size in bytes."""

    path: Path
    sha256: str
    size: int

    @classmethod
    def of(cls, path: Path) -> "ModelFile":
        """The file as it is on disk now."""
        content = path.read_bytes()
        return cls(path, hashlib.sha256(content).hexdigest(), len(content))


class ModelFileError(ValueError):
    """A model file is missing, or is not the one that was asked for."""


def read_checked(path: Path, sha256: str) -> bytes:
    """The bytes of `path`, read once, after comparing their digest with `sha256`.

    Raises:
        ModelFileError: the file does not exist, or its bytes have another digest.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file; restore it from the registry or promote again")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelFileError(
            f"{path}: SHA-256 is {found}, the ledger says {sha256}; the file was changed or cut short: "
            "restore it from the registry, never load it"
        )
    return content
