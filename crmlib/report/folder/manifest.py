"""What a run says of itself, typed, and where in a reports folder the runs lie."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any

from crmlib.findings import Action, Change, Findings, Grade, Part, Signal, Watch, from_json
from crmlib.report.statuses import GOOD

FILE = "manifest.json"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NEEDED = {"run_id", "report", "variant", "as_of", "status"}
_TYPED = ("changes", "actions", "signals", "watches", "grades")
_OLD = {"lead": "headline", "headlines": "tiles"}  # how runs of earlier versions called it


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One run: what it found, what it was made from, and its files with their hashes.

    `tiles` are the headline numbers as the page shows them. `changes` compare periods, `came`, `went` and `missed` this
    run with the last comparable one, and `compared` is the whole of that comparison. `signals` is None for runs of
    earlier versions, which told none. `running` are the ids of metrics that only grow, `actions` the first five,
    `predicts` the days on which predictions come due. `inputs` are the shop's tables as its passport names them.
    """

    run_id: str
    report: str
    as_of: date
    status: str
    variant: str = ""
    title: str = ""
    order: str = ""
    reason: str = ""
    headline: str = ""
    tiles: tuple[Mapping[str, Any], ...] = ()
    changes: tuple[Change, ...] = ()
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    compared: Mapping[str, Any] | None = None
    signals: tuple[Signal, ...] | None = None
    running: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    ahead: tuple[str, ...] = ()
    watches: tuple[Watch, ...] = ()
    predicts: tuple[date, ...] = ()
    grades: tuple[Grade, ...] = ()
    shop: Mapping[str, str] = field(default_factory=dict)
    data_through: str | None = None
    stale: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    made_from: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Mapping[str, Any], ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    page: str = "report.html"
    summary: str = "summary.txt"
    started_at: str = ""
    seconds: float = 0.0
    command: str = ""
    code: Mapping[str, Any] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The name of the run's folder."""
        return slug_of(self.report, self.variant)

    @property
    def good(self) -> bool:
        """Is it complete, and an answer?"""
        return self.status in GOOD

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: days as text, an outcome that is not finite is null, and no folder of this machine."""
        carried: dict[str, Any] = {name: getattr(self, name) or () for name in _TYPED}
        typed = Findings(report=self.report, headline="", parts=(Part(**carried),)).to_json()
        said = {item.name: getattr(self, item.name) for item in fields(self)} | {name: typed[name] for name in _TYPED}
        said |= {name: list(value) for name, value in said.items() if isinstance(value, tuple)}
        said["signals"] = said["signals"] if self.signals is not None else None
        said["as_of"], said["predicts"] = str(self.as_of), [str(day) for day in self.predicts]
        for grade in said["grades"]:
            grade["due"]["lists"] = None
            grade["actual"] = grade["actual"] if math.isfinite(grade["actual"]) else None
        return said

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Manifest:
        """A manifest as its file tells it, those of earlier versions included: what they did not say is empty."""
        said = {_OLD.get(name, name): value for name, value in said.items()}
        if not isinstance(said.get("changes", []), list):
            said["compared"] = said.pop("changes")
        grades = [
            {"due": grade.get("due", grade), "actual": math.nan if grade["actual"] is None else grade["actual"]}
            for grade in said.get("grades", ())
        ]
        carried = {name: said.get(name) or () for name in ("changes", "actions", "signals", "watches")}
        typed = from_json(
            {"report": said["report"], "headline": "", "status": "published", "grades": grades, **carried}
        )
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in said.items() if name in known
        }
        values |= {name: getattr(typed, name) for name in _TYPED}
        values["as_of"] = date.fromisoformat(said["as_of"])
        values["predicts"] = tuple(date.fromisoformat(day) for day in said.get("predicts", ()))
        values["signals"] = typed.signals if said.get("signals") is not None else None
        return cls(**values)


def slug_of(report: str, variant: str = "") -> str:
    """The name of a report's folder; a variant lives beside the report, never in its place."""
    return f"{report}@{variant}" if variant else report


def read_manifest(folder: Path) -> Manifest | None:
    """A run's manifest, or None where there is none to be read; one that has not changed is read once."""
    try:
        stamp = (folder / FILE).stat()
        return _read(folder, (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino))
    except OSError:
        return None


@functools.cache
def _read(folder: Path, _: tuple[int, ...]) -> Manifest | None:
    try:
        said = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Manifest.from_json(said) if set(said) >= _NEEDED else None
    except (ValueError, TypeError, KeyError):
        return None


def place_of(reports: Path, manifest: Manifest) -> Path:
    """Where a run stands once it is published."""
    return reports / manifest.as_of.isoformat() / manifest.slug


def run_folders(reports: Path) -> Iterator[Path]:
    """The folders of all dated runs, whole or not, in no order."""
    for day in reports.glob("*"):
        if _DAY.fullmatch(day.name):
            yield from (folder for folder in day.iterdir() if folder.is_dir())


def dated_runs(reports: Path) -> list[Manifest]:
    """All runs that stand, newest day first, in the order of the notebooks within a day."""
    found = [manifest for folder in run_folders(reports) if (manifest := read_manifest(folder))]
    found.sort(key=lambda manifest: (manifest.order, manifest.report, manifest.variant))
    return sorted(found, key=lambda manifest: manifest.as_of, reverse=True)


def earlier_runs(reports: Path, slug: str, as_of: date) -> Iterator[Manifest]:
    """A report's good runs of days before `as_of`, newest first: what a new run can look back on."""
    days = (day for day in reports.glob("*") if _DAY.fullmatch(day.name) and day.name < as_of.isoformat())
    for day in sorted(days, reverse=True):
        manifest = read_manifest(day / slug)
        if manifest and manifest.good:
            yield manifest


def set_aside(reports: Path, kind: str) -> list[tuple[Path, Manifest]]:
    """The runs under superseded/ or failed/ with their folders, newest first."""
    found = [(folder, manifest) for folder in (reports / kind).glob("*") if (manifest := read_manifest(folder))]
    return sorted(found, key=lambda pair: pair[1].started_at, reverse=True)


def holder(reports: Path) -> dict[str, str]:
    """The shop a reports folder belongs to, as its index says; empty where there is none."""
    try:
        held: dict[str, str] = json.loads((reports / "index.json").read_text(encoding="utf-8"))["shop"]
    except (OSError, ValueError, KeyError):
        return {}
    return held


def is_listed(reports: Path, manifest: Manifest) -> bool:
    """Does the index know this run? Not if its runner was killed between the publication and the index."""
    try:
        runs = json.loads((reports / "index.json").read_text(encoding="utf-8"))["runs"]
    except (OSError, ValueError, KeyError):
        return False
    forwards = not manifest.good or (reports / "latest" / f"{manifest.slug}.html").is_file()
    return forwards and (reports / "index.html").is_file() and any(r["run_id"] == manifest.run_id for r in runs)


def sha256(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> dict[str, Any]:
    """What a manifest says of a file: its size and its sha256."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def damage(place: Path, manifest: Manifest) -> list[tuple[str, str]]:
    """The files of a run that are not what its manifest says: path and fault. It tells damage, not forgery."""
    faults = []
    for path, said in manifest.files.items():
        try:
            if fingerprint(place / path) != said:
                faults.append((path, "is not as it was published"))
        except FileNotFoundError:
            faults.append((path, "is missing"))
        except OSError as error:
            faults.append((path, f"cannot be read: {error.strerror}"))
    return faults


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
