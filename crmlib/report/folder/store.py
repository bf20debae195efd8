"""Where runs are put: staged out of sight, moved into place in one step, and never half there.

A reports folder holds one shop. Dated runs are its memory; `latest` and the index are derived from their manifests,
so they can be rebuilt at any time and a run that fails changes neither the newest good report nor an earlier one.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from crmlib.errors import Locked, UsageError
from crmlib.report.folder.manifest import FILE, Manifest, holder, place_of, read_manifest, write_json

RUN_ID = re.compile(r"\d{8}-\d{6}-(.+)-[0-9a-f]{4}")


def new_run_id(slug: str, now: datetime) -> str:
    """A name for one run of one report: when, which, and four letters against coincidence."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{slug}-{secrets.token_hex(2)}"


def claim(reports: Path, *, shop: Mapping[str, str]) -> None:
    """Make sure the folder belongs to this shop: of two that begin together in a new one, the first has it.

    UsageError when it holds another one's reports.
    """
    with lock(reports, "@claim", wait=True, sign=False):
        held = holder(reports)
        if not held.get("folder"):
            write_json(reports / "index.json", {"shop": dict(shop), "runs": []})
    if held.get("folder") and held["folder"] != shop["folder"]:
        raise UsageError(
            f"{reports.name}/ holds the reports of the shop {held.get('name') or held['folder']!r} in "
            f"{held['folder']}, not of {shop['folder']}; one shop a reports folder: choose another with --reports"
        )


@contextmanager
def lock(reports: Path, name: str, *, wait: bool = False, sign: bool = True) -> Iterator[None]:
    """Hold a name against every other process. Raises Locked at once, or waits.

    Without `sign` the holder's process id is not written down: who only looks leaves no trace.
    """
    folder = reports / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            file.seek(0)
            process = file.read().strip()
            who = f" (process {process})" if process.isdigit() else ""
            raise Locked(f"{name} is being run by another process{who}; wait for it, or stop it") from error
        if sign:
            sign_lock(reports, name)
        try:
            yield
        finally:
            if os.fstat(file.fileno()).st_size:
                file.truncate(0)


def sign_lock(reports: Path, name: str) -> None:
    """Say who holds a lock; its holder alone may."""
    (reports / ".locks" / f"{name}.lock").write_text(str(os.getpid()), encoding="utf-8")


def stage(reports: Path, run_id: str) -> Path:
    """A fresh folder for a run, out of every reader's sight."""
    hidden = reports / ".staging"
    hidden.mkdir(parents=True, exist_ok=True)
    # Until a run is published its lists have not been restricted.
    hidden.chmod(0o700)
    folder = hidden / run_id
    folder.mkdir()
    return folder


def recover(reports: Path, slug: str) -> None:
    """Finish or clear away what an interrupted run of this report left; the caller holds the report's lock."""
    for folder in sorted((reports / ".staging").glob("*")):
        match = RUN_ID.fullmatch(folder.name)
        if not match or match[1] != slug:
            continue
        manifest = read_manifest(folder)
        if manifest is None:
            shutil.rmtree(folder, ignore_errors=True)
        elif manifest.run_id != folder.name:
            # The new run took this one's place, and was then stopped before putting it away.
            _supersede(reports, folder, manifest.run_id)
        elif not (target := place_of(reports, manifest)).exists():
            # The old run was put away, and the new one not yet put in its place.
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def publish(reports: Path, staging: Path, manifest: Manifest) -> Path:
    """Move a finished run to its day; what stood there is kept under superseded/. Returns the new place."""
    target = place_of(reports, manifest)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The manifest comes last: a staging folder that has one is complete.
    write_json(staging / FILE, manifest.to_json())
    _settle(staging)
    if not target.exists():
        staging.rename(target)
        return target
    there = read_manifest(target)
    held = there.run_id if there else f"unknown-{manifest.run_id}"
    if _exchange(staging, target):
        _supersede(reports, staging, held)
    else:
        _supersede(reports, target, held)
        staging.rename(target)
    return target


def keep_failure(reports: Path, staging: Path, manifest: Manifest, *, html: str) -> Path:
    """Move what a run left that may not stand out of the way of the good ones, with a page that says why."""
    for part in ("tables", "lists"):
        shutil.rmtree(staging / part, ignore_errors=True)
    (staging / "report.html").write_text(html, encoding="utf-8")
    write_json(staging / FILE, manifest.to_json())
    target = reports / "failed" / manifest.run_id
    target.parent.mkdir(parents=True, exist_ok=True)
    staging.rename(target)
    return target


def _settle(folder: Path) -> None:
    """Have the disk hold a run's files before its name does: a power cut leaves the old run or the new, never half."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_file() or path.is_dir():
            number = os.open(path, os.O_RDONLY)
            try:
                os.fsync(number)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
                    raise
            finally:
                os.close(number)


def _supersede(reports: Path, folder: Path, run_id: str) -> None:
    place = reports / "superseded" / run_id
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place = place.with_name(f"{run_id}-{secrets.token_hex(2)}")
    folder.rename(place)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step where the system can (renameat2 on Linux); False where it cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2
    result = renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange)
    if result and ctypes.get_errno() not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(one))
    return bool(result == 0)
