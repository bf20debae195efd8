"""What runs and exports keep of single customers: found, taken away, and thinned once it is old."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from crmlib import stones
from crmlib.errors import Locked
from crmlib.publishing import csv_rows
from crmlib.report.folder import kept, store
from crmlib.report.folder.manifest import (
    FILE,
    Manifest,
    dated_runs,
    fingerprint,
    read_manifest,
    run_folders,
    write_json,
)

_NAMES = ("customer_id", "unit_id")
_TEXTS = ("executed.ipynb", "error.txt")
_LEAST = 4  # letters of an id that is looked for in running text; shorter ones stand for anything
_GONE = "[erased]"


@dataclass(frozen=True)
class Person:
    """Under which ids, and which addresses and numbers, a customer may stand somewhere."""

    ids: frozenset[str]
    contacts: frozenset[str] = frozenset()

    @cached_property
    def forms(self) -> frozenset[str]:
        """Addresses and numbers in every form in which we write them, hashed ones included."""
        plain = {_plain(contact) for contact in self.contacts} - {""}
        numbers = {f"+{form}" for form in plain if form.isdecimal()}
        return frozenset(plain | {hashlib.sha256(form.encode()).hexdigest() for form in plain | numbers})

    def has(self, row: Mapping[str, str]) -> bool:
        """Is a row of a list about this customer?"""
        if any(row.get(name) in self.ids for name in _NAMES if row.get(name)):
            return True
        return any(_plain(text) in self.forms for name, text in row.items() if text and name not in _NAMES)


def _plain(text: str) -> str:
    """An address in small letters, a number as its digits alone; other short texts as they are."""
    text = text.strip().casefold()
    digits = re.sub(r"[\s().+/-]", "", text)
    return digits if re.fullmatch(r"\d{7,15}", digits) else text


def of_person(reports: Path, person: Person) -> dict[str, list[dict[str, str]]]:
    """Every row of lists, tables and exports that is of this customer, by file."""
    found = {}
    for path in _files(reports):
        if path.suffix == ".csv" and (rows := [row for row in csv_rows(path) if person.has(row)]):
            found[path.relative_to(reports).as_posix()] = rows
    return found


def erase(reports: Path, person: Person) -> tuple[int, int, list[str]]:
    """Take every row and mention of a customer away: files changed, rows gone, and reports that are being run, whose
    runs were left alone.

    A manifest says anew what its changed files are, so that `crm verify` holds; one that was damaged stays so.
    """
    files, gone, locked = 0, 0, set[str]()
    with store.lock(reports, "@kept", wait=True, sign=False):
        for path in [*kept.folder(reports).rglob("*.csv")]:
            text, n = _without(_read(path), person)
            if n:
                kept.private_text(path, text)
                files, gone = files + 1, gone + n
    for folder, manifest in _held(reports, locked):
        _finish(folder, manifest)
        changed, n = _changes(folder, person)
        _put(folder, changed)
        files, gone = files + len(changed), gone + n
    locked |= {match[1] for path in (reports / ".staging").glob("*") if (match := store.RUN_ID.fullmatch(path.name))}
    return files, gone, sorted(locked)


def leave_out(reports: Path, staging: Path) -> None:
    """Take who was erased meanwhile out of a run that is about to be published."""
    known = stones.read(reports / kept.FOLDER / kept.ERASED)
    for path in [*staging.glob("lists/*.csv"), *staging.glob("tables/*.csv")] if known.key else ():
        ids = {row.get(name, "") for row in csv_rows(path) for name in _NAMES}
        if erased := frozenset(who for who in ids if known.holds(stones.ID, who)):
            path.write_bytes(_bytes(_without(_read(path), Person(erased))[0]))


def thin(reports: Path, before: date) -> int:
    """Remove the lists of runs made as of days before a day, and older exports; how many files went.

    A list without customers stays, and the one by which predictions are still to be graded.
    """
    gone = 0
    newest = max((run.as_of for run in dated_runs(reports)), default=before)
    for folder, manifest in _held(reports, set()):
        if manifest is None or manifest.as_of >= before:
            continue
        standing = folder.parent.name == str(manifest.as_of)
        waits = standing and any(day > newest for day in manifest.predicts)
        old: dict[str, bytes | None] = {
            f"lists/{path.name}": None
            for path in sorted((folder / "lists").glob("*.csv"))
            if not (waits and path.stem == "predictions") and "customer_id" in _header(path)
        }
        _put(folder, old)
        gone += len(old)
    for path in (reports / kept.FOLDER / "exports").glob("*"):
        if path.name[:10] < str(before):
            path.unlink()
            gone += 1
    return gone


def _held(reports: Path, locked: set[str]) -> Iterator[tuple[Path, Manifest | None]]:
    """Each run while its report is held; those of a report that is being run are left out, and named in `locked`."""
    for folder in _runs(reports):
        manifest = read_manifest(folder)
        slug = manifest.slug if manifest else folder.name
        with ExitStack() as held:
            try:
                held.enter_context(store.lock(reports, slug, sign=False))
            except Locked:
                locked.add(slug)
                continue
            yield folder, manifest


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def _runs(reports: Path) -> Iterator[Path]:
    yield from run_folders(reports)
    for kind in ("superseded", "failed"):
        yield from (folder for folder in (reports / kind).glob("*") if folder.is_dir())


def _files(reports: Path) -> Iterator[Path]:
    for folder in _runs(reports):
        yield from (path for part in ("lists", "tables") for path in sorted((folder / part).glob("*.csv")))
    yield from sorted((reports / kept.FOLDER).rglob("*.csv"))


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _without(text: str, person: Person) -> tuple[str, int]:
    """A CSV without a customer's rows, every other line as it was, and how many rows went."""
    lines = io.StringIO(text, newline="").readlines()
    if not lines:
        return text, 0
    delimiter = ";" if lines[0].count(";") > lines[0].count(",") else ","
    reader = csv.reader(iter(lines), delimiter=delimiter)
    header = [name.lstrip("\ufeff") for name in next(reader)]
    stay, gone, start = lines[: reader.line_num], 0, reader.line_num
    for cells in reader:
        # Both with the quote that we put before a formula and without.
        rows = [dict(zip(header, said, strict=False)) for said in (cells, [cell.removeprefix("'") for cell in cells])]
        if any(map(person.has, rows)):
            gone += 1
        else:
            stay += lines[start : reader.line_num]
        start = reader.line_num
    return "".join(stay), gone


def _changes(folder: Path, person: Person) -> tuple[dict[str, bytes | None], int]:
    changed: dict[str, bytes | None] = {}
    gone = 0
    for path in [*folder.glob("lists/*.csv"), *folder.glob("tables/*.csv")]:
        text, n = _without(_read(path), person)
        if n:
            changed[path.relative_to(folder).as_posix()] = _bytes(text)
            gone += n
    words = sorted((re.escape(v) for v in person.ids | person.contacts if len(v) >= _LEAST), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.@-])(?:{'|'.join(words)})(?![\w@-])", re.IGNORECASE) if words else None
    for name in _TEXTS if pattern else ():
        path = folder / name
        if path.is_file() and pattern and pattern.search(text := path.read_text(encoding="utf-8", errors="replace")):
            changed[name] = _cleaned(name, text, lambda found: pattern.sub(_GONE, found)).encode()
    return changed, gone


def _cleaned(name: str, text: str, clean: Callable[[str], str]) -> str:
    if not name.endswith(".ipynb"):
        return clean(text)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner) for inner in value]
        return clean(value) if isinstance(value, str) else value

    return json.dumps(walk(json.loads(text)), indent=1, ensure_ascii=False) + "\n"


def _finish(folder: Path, manifest: Manifest | None) -> None:
    """Bring to its end what a power cut left half done: a file that the manifest speaks of already takes its place."""
    for beside in folder.rglob("*.new"):
        path = beside.with_suffix("")
        said = manifest.files.get(path.relative_to(folder).as_posix()) if manifest else None
        if said == fingerprint(beside):
            beside.replace(path)
        else:
            beside.unlink()


def _put(folder: Path, changed: Mapping[str, bytes | None]) -> None:
    """Replace files of a run, or remove those that are None, with the manifest that says so.

    The manifest comes first, and new files lie beside the old ones by then: `_finish` can end what was begun.
    """
    if not changed:
        return
    try:
        said = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = None
    beside = {}
    for path, data in changed.items():
        whole = said is not None and said.get("files", {}).get(path) == fingerprint(folder / path)
        if data is not None:
            beside[path] = folder / f"{path}.new"
            beside[path].touch(mode=0o600)
            beside[path].write_bytes(data)
            beside[path].chmod((folder / path).stat().st_mode & 0o777)
            if whole:
                said["files"][path] = fingerprint(beside[path])
        elif whole:
            del said["files"][path]
        if whole and Path(path).stem in said.get("rows", {}):
            lines = io.StringIO((data or b"").decode("utf-8", "replace"), newline="")
            said["rows"][Path(path).stem] = max(0, sum(1 for _ in csv.reader(lines)) - 1)
    if said is not None:
        write_json(folder / FILE, said)
    for path, data in changed.items():
        if data is None:
            (folder / path).unlink(missing_ok=True)
        else:
            beside[path].replace(folder / path)
