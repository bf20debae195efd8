"""Where a run keeps what nobody may find after it: a folder of its own, gone with it, or swept by the next one."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "crm-"
_OWNER = "owner"
_YOUNGEST = 60.0  # seconds after which a folder that nobody holds has surely been left


@contextmanager
def private() -> Iterator[Path]:
    """A folder that only this run reads: engines' scratch files, sockets, what workers say; customers' rows among it.

    It is held by a lock that the system takes back however the run ends, so that the next one knows what was left. A
    process that dies here leaves no picture of its memory either.
    """
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with (folder / _OWNER).open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Clear away what runs of this user left that were killed together with their workers."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # Another user's folder, or a link to somewhere else, is not ours to clear.
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid() or time.time() - _born(folder) < _YOUNGEST:
                continue
            clear(folder)


def clear(folder: Path) -> None:
    """Remove the folder of a run that is gone; OSError where the run still holds it, or there is none."""
    with (folder / _OWNER).open("r+") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


def _born(folder: Path) -> float:
    return (folder / _OWNER).stat().st_mtime
