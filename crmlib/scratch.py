"""Where a run or an open shop keeps what nobody may find after it: a folder of its own, gone with it, or swept by the
next one."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_OWNER = "owner"
_YOUNGEST = 60.0  # seconds after which a folder that nobody holds has surely been left


class Scratch:
    """A folder for its owner alone: engines' scratch files, unpacked exports, sockets; customers' rows among it.

    It goes with the object or the process. A process that is killed leaves it, but not the lock on it, by which the
    next folder that is made knows what was left.

    >>> with Scratch() as folder:
    ...     folder.is_dir()
    True
    >>> folder.exists()
    False
    """

    def __init__(self, prefix: str = "crm-") -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        owner = (self.path / _OWNER).open("w")
        fcntl.flock(owner, fcntl.LOCK_EX)
        self.cleanup = weakref.finalize(self, _clear, self.path, owner)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.cleanup()


def _clear(folder: Path, owner: IO[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    owner.close()


@contextmanager
def private() -> Iterator[Path]:
    """The folder of a run; a process that dies in it leaves no picture of its memory either."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with Scratch() as folder:
        yield folder


def sweep() -> None:
    """Clear away what processes of this user left that were killed."""
    for folder in Path(tempfile.gettempdir()).glob("crm*-*"):
        # Another user's folder, or a link to somewhere else, is not ours to clear.
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid() or time.time() - _born(folder) < _YOUNGEST:
                continue
            clear(folder)


def clear(folder: Path) -> None:
    """Remove what a process that is gone has left; OSError where one still holds it, or there is none."""
    with (folder / _OWNER).open("r+") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


def _born(folder: Path) -> float:
    return (folder / _OWNER).stat().st_mtime
