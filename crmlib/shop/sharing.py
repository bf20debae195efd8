"""The notebooks of a run read the same shop: the first takes its files in, the others find what it took.

The runner names a folder of its own in CRM_SHARED, for its kernels only, and clears it away when the run ends. All
notebooks see the same rows then, even where a file is being replaced meanwhile. Without that folder, and on an engine
that cannot share, each takes the files in for itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path

from crmlib.shop import erased
from crmlib.shop import load as taking
from crmlib.shop.engines import FOLDER_VARIABLE, Engine, Sharing
from crmlib.shop.intake.kept import opened
from crmlib.shop.intake.settings import Settings
from crmlib.shop.load import Record, Taken

__all__ = ["FOLDER_VARIABLE", "take_in"]


def take_in(works: Engine, folder: Path, settings: Settings, *, as_of: date | None, scratch: Path) -> Taken:
    """`taking.take_in`, once for all notebooks of a run."""
    place = os.environ.get(FOLDER_VARIABLE, "")
    if not place or not isinstance(works, Sharing):
        return _take_in(works, folder, settings, as_of=as_of, scratch=scratch)
    name = hashlib.sha256(f"{folder.resolve()} {as_of} {settings}".encode()).hexdigest()[:16]
    rows, words = (Path(place) / f"{name}.{kind}" for kind in ("rows", "words"))
    with _turn(Path(place) / f"{name}.lock"):
        if not words.exists():
            # What a kernel that was killed has left is begun anew.
            rows.unlink(missing_ok=True)
            with works.storing(rows):
                taken = _take_in(works, folder, settings, as_of=as_of, scratch=scratch)
            begun = words.with_suffix(".begun")
            begun.write_bytes(pickle.dumps(taken.record))
            begun.replace(words)
    # The folder is the runner's own, and so is what lies in it.
    record: Record = pickle.loads(words.read_bytes())
    stored = works.stored(rows, [*record.audits, taking.ASIDE])
    tables = {table: taking.without_ours(stored[table]) for table in record.audits}
    return Taken(record, tables, stored[taking.ASIDE])


def _take_in(works: Engine, folder: Path, settings: Settings, *, as_of: date | None, scratch: Path) -> Taken:
    """With what an earlier run has read, where CRM_INTAKE names a folder for it."""
    keeps = isinstance(works, Sharing) and not settings.database
    with opened(erased.about(folder)) if keeps else nullcontext() as kept:
        return taking.take_in(works, folder, settings, as_of=as_of, scratch=scratch, kept=kept)


@contextmanager
def _turn(lock: Path) -> Iterator[None]:
    """One kernel at a time; the system ends the turn of one that is killed."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
