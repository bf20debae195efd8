"""Is a report up to date, and if not, what has changed since the run that stands?

A run's manifest says, in hashes, what it was made from: the shop's files, the notebook, the code, the installed
packages, its parameters, and the earlier runs it looked back on. A run whose every answer is the same would write the
same again, so it is spared. Whatever cannot be told counts as changed.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crmlib.report.folder import store as publish
from crmlib.report.parameters import Report, Value
from crmlib.report.runner.finish import Plan

LARGE = 64_000_000  # bytes from which a file's hash is remembered
SHOWN = 3  # changed packages that a reason names
_SETTLED = 2.0  # seconds a file must have been left alone before its size and times stand for its content
_STAMPS = ".stamps.json"
_WORDS = {
    "notebook": "the notebook changed",
    "code": "the code changed",
    "engine": "the engine changed",
    "memory": "earlier runs changed or came in",
}


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What all reports of a run are made from. `inputs` maps file name -> sha256; `stamps` are those of large files."""

    inputs: Mapping[str, str]
    code: str
    environment: Mapping[str, str]
    stamps: Mapping[str, list[Any]]

    @staticmethod
    def look(plan: Plan) -> Basis:
        """Hash it all, now: before a kernel starts, so that what changes meanwhile is seen as changed by the next run."""
        inputs, stamps = _inputs(plan)
        return Basis(inputs=inputs, code=_code(), environment=_environment(), stamps=stamps)

    def of(self, report: Report, plan: Plan) -> dict[str, Any]:
        """What one report's manifest keeps under made_from."""
        slug = publish.slug_of(report.name, plan.variant)
        return {
            "inputs": dict(self.inputs),
            "notebook": _sha(report.notebook),
            "code": self.code,
            "engine": plan.engine,
            "environment": dict(self.environment),
            "memory": _memory(plan, slug),
        }

    def remember(self, plan: Plan) -> None:
        """Keep the hashes of large files for the next run; after a run only, for who is up to date writes nothing."""
        if self.stamps:
            publish.write_json(plan.reports / _STAMPS, dict(self.stamps))


def standing(plan: Plan, report: Report) -> tuple[Path, dict[str, Any] | None]:
    """Where the report's run of this day stands, or would, and its manifest."""
    place = plan.reports / plan.as_of.isoformat() / publish.slug_of(report.name, plan.variant)
    return place, publish.read_manifest(place)


def why(plan: Plan, report: Report, values: Mapping[str, Value], made: Mapping[str, Any]) -> list[str]:
    """The reasons for a run, in words; none when the run that stands is up to date and whole."""
    place, manifest = standing(plan, report)
    if manifest is None:
        return ["no run of this day yet"]
    if plan.force:
        return ["--force"]
    was = manifest.get("made_from")
    if not isinstance(was, dict):
        return ["the run that stands does not say what it was made from"]
    reasons = list(_changed(was.get("inputs", {}), made["inputs"], show=False))
    reasons += _changed(manifest.get("parameters", {}), values)
    reasons += [words for key, words in _WORDS.items() if was.get(key) != made[key]]
    packages = list(_changed(was.get("environment", {}), made["environment"]))
    reasons += packages[:SHOWN] + ([f"{len(packages) - SHOWN} more packages"] if len(packages) > SHOWN else [])
    return reasons or [f"{path} {fault}" for path, fault in publish.damage(place, manifest)]


def _changed(was: Mapping[str, Value], now: Mapping[str, Value], *, show: bool = True) -> Iterator[str]:
    for name in sorted({*was, *now}):
        if name not in now:
            yield f"{name} is gone"
        elif name not in was:
            yield f"{name} is new"
        elif was[name] != now[name]:
            yield f"{name} was {was[name]}, is {now[name]}" if show else f"{name} changed"


def _inputs(plan: Plan) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """The shop's tables and its shop.toml, each read whole. A large file whose size, times and inode are as they were
    when its hash was remembered is not read again: no program but one that sets the clock back can change it unseen."""
    remembered = _remembered(plan)
    hashes, stamps = {}, {}
    for path in sorted((plan.project / plan.shop).iterdir()):
        if not path.is_file() or (path.suffix.lower() not in (".csv", ".parquet") and path.name != "shop.toml"):
            continue
        looked = time.time()
        state = path.stat()
        stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
        known = remembered.get(path.name, [])
        hashes[path.name] = known[4] if known[:4] == stamp else _sha(path)
        settled = looked - max(state.st_mtime, state.st_ctime) > _SETTLED
        if state.st_size >= LARGE and settled:
            stamps[path.name] = [*stamp, hashes[path.name]]
    return hashes, stamps


def _remembered(plan: Plan) -> dict[str, list[Any]]:
    try:
        known: dict[str, list[Any]] = json.loads((plan.reports / _STAMPS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: stamp for name, stamp in known.items() if len(stamp) == 5}


def _code() -> str:
    """All of crmlib, the page's template included."""
    package = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(package).as_posix()} {_sha(path)}\n".encode())
    return digest.hexdigest()


def _environment() -> dict[str, str]:
    """Python and every package it can import, by the names of their metadata folders: no need to read a thousand files."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for folder in map(Path, sys.path):
        names = sorted(info.name for info in folder.glob("*.dist-info")) if folder.is_dir() else []
        for name in names:
            package, _, version = name.removesuffix(".dist-info").partition("-")
            if package != "crmlib":
                # What stands first on the path is what an import finds.
                found.setdefault(package, version)
    return found


def _memory(plan: Plan, slug: str) -> str:
    """The earlier runs a page may be compared with: their days, parameters and numbers, not when they were made."""
    digest = hashlib.sha256()
    for manifest in publish.earlier_runs(plan.reports, slug, plan.as_of):
        files = manifest.get("files", {})
        kept = {path: said for path, said in files.items() if path.startswith(("tables/", "lists/", "metrics"))}
        made = {key: said for key, said in manifest.get("made_from", {}).items() if key != "memory"}
        digest.update(json.dumps([manifest["as_of"], manifest.get("parameters"), made, kept], sort_keys=True).encode())
    return digest.hexdigest()


def _sha(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
