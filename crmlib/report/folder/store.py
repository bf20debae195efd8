"""Where reports stand: moved into place in one step, forwarded to, listed, and never half there.

A reports folder holds one shop. Dated runs are its memory; `latest` and the index are derived from their manifests,
so they can be rebuilt at any time and a run that fails changes neither the newest good report nor an earlier one.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from crmlib import formats
from crmlib.errors import Locked, UsageError
from crmlib.report.page import index as overview
from crmlib.report.page import page
from crmlib.report.page.rules import validate
from crmlib.report.statuses import GOOD

SHOWN_FAILURES = 20
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_RUN_ID = re.compile(r"\d{8}-\d{6}-(.+)-[0-9a-f]{4}")


def new_run_id(slug: str, now: datetime) -> str:
    """A name for one run of one report: when, which, and four letters against coincidence."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{slug}-{secrets.token_hex(2)}"


def slug_of(report: str, variant: str = "") -> str:
    """The name of a report's folder; a variant lives beside the report, never in its place."""
    return f"{report}@{variant}" if variant else report


def _slug(manifest: Mapping[str, Any]) -> str:
    return slug_of(str(manifest["report"]), str(manifest["variant"]))


def claim(reports: Path, *, shop: Mapping[str, str]) -> None:
    """Make sure the folder belongs to this shop. UsageError when it holds another one's reports."""
    held = holder(reports)
    if held.get("folder") and held["folder"] != shop["folder"]:
        raise UsageError(
            f"{reports.name}/ holds the reports of the shop {held.get('name') or held['folder']!r} in {held['folder']}, "
            f"not of {shop['folder']}; one shop a reports folder: choose another with --reports"
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
            holder = file.read().strip()
            who = f" (process {holder})" if holder.isdigit() else ""
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
    folder = reports / ".staging" / run_id
    folder.mkdir(parents=True)
    return folder


def recover(reports: Path, slug: str) -> None:
    """Finish or clear away what an interrupted run of this report left; the caller holds the report's lock."""
    for folder in sorted((reports / ".staging").glob("*")):
        match = _RUN_ID.fullmatch(folder.name)
        if not match or match[1] != slug:
            continue
        manifest = read_manifest(folder)
        if manifest is None:
            shutil.rmtree(folder, ignore_errors=True)
        elif manifest["run_id"] != folder.name:
            # The new run took this one's place, and was then stopped before putting it away.
            _supersede(reports, folder, manifest["run_id"])
        elif not (target := place_of(reports, manifest)).exists():
            # The old run was put away, and the new one not yet put in its place.
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def publish(reports: Path, staging: Path, manifest: Mapping[str, Any]) -> Path:
    """Move a finished run to its day; what stood there is kept under superseded/. Returns the new place."""
    target = place_of(reports, manifest)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The manifest comes last: a staging folder that has one is complete.
    write_json(staging / "manifest.json", manifest)
    if not target.exists():
        staging.rename(target)
        return target
    held = read_manifest(target) or {"run_id": f"unknown-{manifest['run_id']}"}
    if _exchange(staging, target):
        _supersede(reports, staging, held["run_id"])
    else:
        _supersede(reports, target, held["run_id"])
        staging.rename(target)
    return target


def keep_failure(reports: Path, staging: Path, manifest: Mapping[str, Any], *, html: str) -> Path:
    """Move what a run left that may not stand out of the way of the good ones, with a page that says why."""
    for part in ("tables", "lists"):
        shutil.rmtree(staging / part, ignore_errors=True)
    (staging / "report.html").write_text(html, encoding="utf-8")
    write_json(staging / "manifest.json", manifest)
    target = reports / "failed" / str(manifest["run_id"])
    target.parent.mkdir(parents=True, exist_ok=True)
    staging.rename(target)
    return target


def rebuild(reports: Path, *, shop: Mapping[str, str]) -> None:
    """Derive latest/, latest.json, index.json and index.html from the manifests there are."""
    with lock(reports, "index", wait=True):
        runs = list(dated_runs(reports))
        _write_latest(reports, runs)
        failed = list(_failures(reports, runs))
        listed = [overview.listed(said, slug=_slug(said), stands=True) for said in runs]
        listed += [overview.listed(said, slug=_slug(said), stands=False) for said in failed]
        write_json(reports / "index.json", {"shop": dict(shop), "runs": listed})
        by_slug: dict[str, list[dict[str, Any]]] = {}
        for said in runs:
            by_slug.setdefault(_slug(said), []).append(said)
        html = page.render_template("overview.html.j2", **overview.model(shop, listed, by_slug))
        validate(html)
        write_text(reports / "index.html", html)


def dated_runs(reports: Path) -> Iterator[dict[str, Any]]:
    """The manifests of all runs that stand, newest day first, in the order of the notebooks within a day."""
    days: dict[str, list[Path]] = {}
    for folder in run_folders(reports):
        days.setdefault(folder.parent.name, []).append(folder)
    for day in sorted(days, reverse=True):
        found = [manifest for folder in days[day] if (manifest := read_manifest(folder))]
        yield from sorted(found, key=lambda manifest: (manifest["order"], manifest["report"], manifest["variant"]))


def place_of(reports: Path, manifest: Mapping[str, Any]) -> Path:
    """Where a run stands once it is published."""
    return reports / str(manifest["as_of"]) / slug_of(str(manifest["report"]), str(manifest["variant"]))


def earlier_runs(reports: Path, slug: str, as_of: date) -> Iterator[dict[str, Any]]:
    """The manifests of a report's good runs of days before `as_of`, newest first: what a new run can look back on."""
    days = (day for day in reports.glob("*") if _DAY.fullmatch(day.name) and day.name < as_of.isoformat())
    for day in sorted(days, reverse=True):
        manifest = read_manifest(day / slug)
        if manifest and manifest["status"] in GOOD:
            yield manifest


def is_listed(reports: Path, manifest: Mapping[str, Any]) -> bool:
    """Does the index know this run? Not if its runner was killed between the publication and the index."""
    try:
        runs = json.loads((reports / "index.json").read_text(encoding="utf-8"))["runs"]
    except (OSError, ValueError, KeyError):
        return False
    slug = slug_of(manifest["report"], manifest["variant"])
    forwards = manifest["status"] not in GOOD or (reports / "latest" / f"{slug}.html").is_file()
    return forwards and (reports / "index.html").is_file() and any(r["run_id"] == manifest["run_id"] for r in runs)


def run_folders(reports: Path) -> Iterator[Path]:
    """The folders of all dated runs, whole or not, in no order."""
    for day in reports.glob("*"):
        if _DAY.fullmatch(day.name):
            yield from (folder for folder in day.iterdir() if folder.is_dir())


def holder(reports: Path) -> dict[str, str]:
    """The shop a reports folder belongs to, as its index says; empty where there is none."""
    try:
        held: dict[str, str] = json.loads((reports / "index.json").read_text(encoding="utf-8"))["shop"]
    except (OSError, ValueError, KeyError):
        return {}
    return held


def fingerprint(path: Path) -> dict[str, Any]:
    """What a manifest says of a file: its size and its sha256."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def damage(place: Path, manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The files of a run that are not what its manifest says: path and fault. It tells damage, not forgery."""
    faults = []
    for path, said in manifest.get("files", {}).items():
        try:
            if fingerprint(place / path) != said:
                faults.append((path, "is not as it was published"))
        except FileNotFoundError:
            faults.append((path, "is missing"))
        except OSError as error:
            faults.append((path, f"cannot be read: {error.strerror}"))
    return faults


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """A run's manifest, or None where there is none to be read."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if {"run_id", "report", "variant", "as_of", "status"} <= set(manifest) else None


def write_json(path: Path, value: Any) -> None:
    """Plain JSON with a stable order; numbers that are none become null beforehand, or this raises ValueError."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file in one step; one that says so already is left alone."""
    data = text.encode("utf-8", "replace")
    try:
        if path.read_bytes() == data:
            return
    except OSError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        # A full disk leaves half a file, which is nobody's.
        beside.unlink(missing_ok=True)


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


def _write_latest(reports: Path, runs: list[dict[str, Any]]) -> None:
    newest: dict[str, dict[str, Any]] = {}
    for manifest in runs:
        if manifest["status"] in GOOD:
            newest.setdefault(slug_of(manifest["report"], manifest["variant"]), manifest)
    folder = reports / "latest"
    said = {}
    for slug, manifest in sorted(newest.items()):
        path = f"{manifest['as_of']}/{slug}/report.html"
        said[slug] = {key: manifest[key] for key in ("as_of", "status", "run_id")} | {"path": path}
        day = formats.day(date.fromisoformat(manifest["as_of"]))
        html = page.render_template("forward.html.j2", title=manifest["title"], target=f"../{path}", as_of=day)
        validate(html)
        write_text(folder / f"{slug}.html", html)
    for stray in folder.glob("*.html"):
        if stray.stem not in newest:
            stray.unlink()
    if said or (reports / "latest.json").exists():
        write_json(reports / "latest.json", said)


def _failures(reports: Path, runs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Failed runs that no later run of the same report and day has made good, newest first."""
    good = {(m["report"], m["variant"], m["as_of"]): m["started_at"] for m in runs}
    found = [manifest for folder in (reports / "failed").glob("*") if (manifest := read_manifest(folder))]
    found.sort(key=lambda manifest: manifest["started_at"], reverse=True)
    seen = set()
    for manifest in found:
        key = (manifest["report"], manifest["variant"], manifest["as_of"])
        if key not in seen and manifest["started_at"] > good.get(key, ""):
            yield manifest
        seen.add(key)
        if len(seen) == SHOWN_FAILURES:
            return
