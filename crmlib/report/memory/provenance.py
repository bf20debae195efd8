"""What a run is made from, in hashes, and how two runs differ in it: data, parameters, code, environment."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from crmlib import formats, wording
from crmlib.report.folder import kept
from crmlib.report.folder.manifest import Manifest, earlier_runs, sha256, write_json
from crmlib.report.memory import others
from crmlib.report.parameters import Report
from crmlib.report.plan import Plan

Kind = Literal["data", "parameters", "code", "environment"]
KINDS: tuple[Kind, ...] = ("data", "parameters", "code", "environment")
LARGE = 64_000_000  # bytes from which a file's hash is remembered
_SETTLED = 2.0  # seconds a file must have been left alone before its size and times stand for its content
_READ = (  # what a shop may be read from
    ".csv", ".parquet", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".gz", ".zip", ".xlsx", ".xlsm", ".xls",
    ".sqlite", ".sqlite3", ".db", ".duckdb",
)  # fmt: skip
_STAMPS = ".stamps.json"


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The code a run is made with: crmlib's version, the commit and whether it was edited since, the packages."""

    version: str
    commit: str
    changed: bool
    packages: Mapping[str, str]

    @staticmethod
    def look(project: Path) -> Surroundings:
        """As they are now; 'unknown' and empty where they cannot be told."""
        from importlib import metadata

        try:
            version, needs = metadata.version("crmlib"), metadata.requires("crmlib") or []
        except metadata.PackageNotFoundError:
            version, needs = "unknown", ["papermill", "nbconvert", "pandas"]
        packages = {"python": platform.python_version()}
        for need in sorted(need for need in needs if "extra ==" not in need):
            name = re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]
            try:
                packages[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        commit = _git(project, "rev-parse", "--short=12", "HEAD")
        changed = bool(commit and _git(project, "status", "--porcelain", "--", "crmlib", "notebooks"))
        return Surroundings(version=version, commit=commit, changed=changed, packages=packages)

    @property
    def sentence(self) -> str:
        """The code as a page names it."""
        commit = f", commit {self.commit}" if self.commit else ""
        return f"Code: crmlib {self.version}{commit}{', with changes not committed' if self.changed else ''}."


def _git(project: Path, *args: str) -> str:
    line, environment = ["git", "-C", str(project), *args], os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=10, env=environment, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What all reports of a run are made from. `inputs` maps file name -> sha256; `stamps` are those of large files."""

    inputs: Mapping[str, str]
    code: str
    environment: Mapping[str, str]
    stamps: Mapping[str, list[Any]]

    @staticmethod
    def look(plan: Plan) -> Basis:
        """Hash it all, now: before a kernel starts, so that the next run sees as changed what changes meanwhile."""
        inputs, stamps = _inputs(plan)
        return Basis(inputs=inputs, code=_code(), environment=_environment(), stamps=stamps)

    def of(self, report: Report, plan: Plan, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What one report's manifest keeps under made_from."""
        read = {"others": others.memory(others.seen(plan, report.name, values or {}))} if report.after else {}
        return read | {
            "inputs": dict(self.inputs),
            "notebook": sha256(report.notebook),
            "code": self.code,
            "engine": plan.engine,
            "environment": dict(self.environment),
            "memory": _memory(plan, plan.slug(report)),
        }

    def remember(self, plan: Plan) -> None:
        """Keep the hashes of large files for the next run; after a run only, for who is up to date writes nothing."""
        if self.stamps:
            write_json(plan.reports / _STAMPS, dict(self.stamps))


def _inputs(plan: Plan) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """The shop's tables and its shop.toml, segments.toml and kpis.toml, each read whole.

    A large file whose size, times and inode are as they were when its hash was remembered is not read again: no program
    but one that sets the clock back can change it unseen.
    """
    try:
        remembered = json.loads((plan.reports / _STAMPS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        remembered = {}
    hashes, stamps = {}, {}
    if (erased := plan.reports / kept.FOLDER / kept.ERASED).is_file():
        hashes[kept.ERASED] = sha256(erased)
    if plan.database:
        hashes["the database"] = f"as of {time.time():.0f}"  # what it holds is seen by reading it
    for path in sorted((plan.project / plan.shop).iterdir()) if (plan.project / plan.shop).is_dir() else ():
        if not path.is_file() or (path.suffix.lower() not in (*_READ, ".toml")):
            continue
        looked, state = time.time(), path.stat()
        stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
        known = remembered.get(path.name, [])
        hashes[path.name] = known[4] if len(known) == 5 and known[:4] == stamp else sha256(path)
        if state.st_size >= LARGE and looked - max(state.st_mtime, state.st_ctime) > _SETTLED:
            stamps[path.name] = [*stamp, hashes[path.name]]
    return hashes, stamps


def _code() -> str:
    """All of crmlib, the page's template included."""
    package, digest = Path(__file__).parents[2], hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(package).as_posix()} {sha256(path)}\n".encode())
    return digest.hexdigest()


def _environment() -> dict[str, str]:
    """Python and every package it can import, by their metadata folders: no need to read a thousand files."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for folder in map(Path, sys.path):
        for name in sorted(info.name for info in folder.glob("*.dist-info")) if folder.is_dir() else []:
            package, _, version = name.removesuffix(".dist-info").partition("-")
            if package != "crmlib":
                # What stands first on the path is what an import finds.
                found.setdefault(package, version)
    return found


def _memory(plan: Plan, slug: str) -> str:
    """The earlier runs a page may be compared with: their days, parameters and numbers, not when they were made."""
    digest = hashlib.sha256()
    for run in earlier_runs(plan.reports, slug, plan.as_of):
        kept = {path: said for path, said in run.files.items() if path.startswith(("tables/", "lists/", "metrics"))}
        made = {key: said for key, said in run.made_from.items() if key not in ("memory", "others")}
        digest.update(json.dumps([str(run.as_of), run.parameters, made, kept], sort_keys=True).encode())
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not as it was, by its class."""

    kind: Kind
    text: str


def differences(before: Manifest, now: Manifest) -> list[Difference]:
    """How what a run was made from differs from an earlier one's; data first."""
    found: list[tuple[Kind, Iterator[str]]] = [
        ("data", _data(before, now)),
        ("parameters", changed(before.parameters, now.parameters)),
        ("code", _library(before, now)),
        ("environment", changed(before.packages, now.packages)),
    ]
    return [Difference(kind=kind, text=text) for kind, texts in found for text in texts]


def changed(was: Mapping[str, Any], now: Mapping[str, Any], *, show: bool = True) -> Iterator[str]:
    """What is new, gone or other in a mapping, a clause each; with `show` the values, too."""
    for name in sorted({*was, *now}):
        if name not in now:
            yield f"{name} is gone" + (f", was {was[name]}" if show else "")
        elif name not in was:
            yield f"{name} is new" + (f": {now[name]}" if show else "")
        elif was[name] != now[name]:
            yield f"{name} was {was[name]}, is {now[name]}" if show else f"{name} changed"


def _data(before: Manifest, now: Manifest) -> Iterator[str]:
    old, new = ({table["table"]: table for table in run.inputs} for run in (before, now))
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in new or name not in old:
            rows = wording.counted((new.get(name) or old[name])["kept"], "row")
            yield f"{name}: {'new' if name in new else 'gone'} ({rows})"
            continue
        moved = {key: new[name].get(key, 0) - old[name].get(key, 0) for key in ("kept", "set_aside", "read")}
        parts = [f"{_more(moved['kept'])} rows, now {formats.number(new[name]['kept'])}"] if moved["kept"] else []
        parts += [f"{_more(moved['set_aside'])} that could not be used"] if moved["set_aside"] else []
        if not any(moved.values()) and new[name]["sha256"] != old[name]["sha256"]:
            parts = ["rows were edited, as many as before"]
        if parts:
            yield f"{name}: {', '.join(parts)}"


def _more(count: int) -> str:
    return f"{formats.number(abs(count))} {'more' if count > 0 else 'fewer'}"


def _library(before: Manifest, now: Manifest) -> Iterator[str]:
    old, new = before.code, now.code
    if old.get("notebook") != new.get("notebook"):
        yield "the notebook was edited"
    # Every file of the library, hashed: a commit that touched none of them is no difference, an edit before one is.
    hashes = [run.made_from.get("code") for run in (before, now)]
    if all(hashes) and hashes[0] == hashes[1]:
        return
    names = [f"{code.get('version', 'unknown')} at {code.get('commit') or 'no commit'}" for code in (old, new)]
    if names[0] != names[1]:
        yield f"crmlib {names[0]} → {names[1]}"
    elif all(hashes):
        yield f"crmlib {names[1]} was edited between the runs"
    edited = [which for which, code in (("the earlier", old), ("this", new)) if code.get("changed")]
    if edited:
        yield f"{'both runs' if len(edited) == 2 else f'{edited[0]} run'} had changes that were not committed"
