"""One LMDB environment on disk: opened once per process, grown when full, safe to share between processes.

LMDB forbids opening an environment twice in a process, and a process only sees what another one has grown after
adopting its size; both are settled here. What is stored under which key is its users' business.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import lmdb

Durability = Literal["process", "disk"]
T = TypeVar("T")

MAP_SIZE = 2**30
MAX_DATABASES = 64


class Environment:
    """A shared handle. `acquire` it, `release` it as often; transactions run through `read` and `write`.

    `durability="process"` leaves a commit in the page cache, which outlives kill -9 of any process but not a power
    cut; `"disk"` also waits for the disk.
    """

    _handles: ClassVar[dict[tuple[int, Path], "Environment"]] = {}
    _registry: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: Path, map_size: int, durability: Durability) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._users = 0
        # Resizing must not meet a transaction of this process, so transactions take turns.
        self._turn = threading.RLock()
        self._env = lmdb.open(
            str(path), map_size=map_size, max_dbs=MAX_DATABASES, max_readers=512, sync=durability == "disk"
        )
        self._env.reader_check()
        self._databases: dict[str, Any] = {}

    @classmethod
    def acquire(cls, path: Path, *, map_size: int = MAP_SIZE, durability: Durability = "process") -> "Environment":
        """The process's handle for `path`, opened if need be."""
        key = (os.getpid(), path.resolve())
        with cls._registry:
            handle = cls._handles.get(key)
            if handle is None:
                handle = cls._handles[key] = cls(key[1], map_size, durability)
            handle._users += 1
            return handle

    def release(self) -> None:
        """Give the handle back; the last one closes the environment."""
        with self._registry:
            self._users -= 1
            if self._users == 0:
                del self._handles[(os.getpid(), self.path)]
                self._env.close()

    def database(self, name: str) -> Any:
        """The named database, created if need be. Not to be called inside a transaction."""
        with self._turn:
            if name not in self._databases:
                self._databases[name] = self._retried(lambda: self._env.open_db(name.encode()))
            return self._databases[name]

    def read(self, action: Callable[[Any], T]) -> T:
        """What `action` makes of one snapshot. Values are views that end with it."""
        with self._turn:
            return self._retried(lambda: self._run(action, write=False))

    def write(self, action: Callable[[Any], T]) -> T:
        """Run `action` in one write transaction: all of it is kept, or, if it raises, nothing.

        It runs again after the map had to grow, so it must not have effects elsewhere.
        """
        with self._turn:
            return self._retried(lambda: self._run(action, write=True))

    def _run(self, action: Callable[[Any], T], *, write: bool) -> T:
        with self._env.begin(write=write, buffers=True) as transaction:
            return action(transaction)

    def _retried(self, attempt: Callable[[], T]) -> T:
        while True:
            try:
                return attempt()
            except lmdb.MapFullError:
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            except lmdb.MapResizedError:
                self._env.set_mapsize(0)
