"""What a file was read into stays beside the shop's reports, so that a later run reads only files that are new.

An entry is one file's rows after the first reading, as Parquet, and a note of what they were read from. Its name is a
hash of all that the reading depends on: the file's bytes, its columns, this code, the engine, and who was erased.
What depends on other rows, or on as_of, is worked out anew each time, from all rows.
"""

from __future__ import annotations

import bisect
import fcntl
import hashlib
import itertools
import json
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

FORMAT = 1
VARIABLE = "CRM_INTAKE"  # names the folder; without it nothing is kept
_LOCK, _LOG, _COMMON = ".lock", "log.txt", "common.json"


@dataclass(frozen=True)
class Part:
    """One file's rows as they were read: where they lie, and how many."""

    name: str
    path: Path
    rows: int


def holding(parts: Sequence[Part], rows: Iterable[int]) -> set[Part]:
    """The parts in which rows stand, that are counted from 1 through all of them."""
    ends = list(itertools.accumulate(part.rows for part in parts))
    return {parts[bisect.bisect_left(ends, row)] for row in rows}


@dataclass
class Kept:
    """The entries of one folder during one intake, which others may share, but nobody clears meanwhile.

    What is read anew lies there under names that are not trusted, until `settle`.
    """

    folder: Path
    about: str
    used: dict[str, Path] = field(default_factory=dict)
    new: dict[str, tuple[Path, dict[str, Any]]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)  # the bytes of files that did not have to be read
    read: list[str] = field(default_factory=list)  # the names of those that had to be
    leave: set[str] = field(default_factory=set)  # entries that nobody may find again
    common: list[tuple[set[str], set[int]]] = field(default_factory=list)  # entries, and marks that several have

    def part(self, key: Mapping[str, Any], file: str, write: Callable[[Path], None]) -> Part:
        """The rows that a file is known to have, else those that `write` now puts into a file; `key` holds its sha256
        and whatever else the reading depends on."""
        told = json.dumps({"about": self.about, **key}, sort_keys=True)
        name = hashlib.sha256(told.encode()).hexdigest()[:32]
        path = self.new[name][0] if name in self.new else self.folder / f"{name}.parquet"
        note = self.new[name][1] if name in self.new else self._note(name, told, file)
        if note is None:
            path = self.folder / f"new-{name}-{secrets.token_hex(4)}.parquet"
            write(path)
            path.chmod(0o600)
            note = {"key": told, "rows": _rows(path), "size": path.stat().st_size, "sha256": _hash(path)}
            self.new[name] = path, note
            self.read.append(file)
        elif name not in self.new:
            self.known.add(key["sha256"])
        self.used[name] = path
        return Part(name, path, int(note["rows"]))

    def _note(self, name: str, told: str, file: str) -> dict[str, Any] | None:
        """What an entry says of itself, where it is sound; a fault is told, and the entry read anew."""
        path, beside = self.folder / f"{name}.parquet", self.folder / f"{name}.json"
        if not beside.exists() and not beside.is_symlink():
            return None
        try:
            note = json.loads(_own(beside).read_bytes())
            if note.pop("seal") != _seal(note) or note["key"] != told:
                raise ValueError("its note is damaged")
            if _own(path).stat().st_size != note["size"] or _hash(path) != note["sha256"]:
                raise ValueError("its rows are damaged")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            say(self.folder, f"what was kept of {file} is not trusted ({why}): the file is read anew")
            return None
        return dict(note)

    def compared(self, parts: Sequence[Part]) -> tuple[set[str], set[int]]:
        """Which of these were compared before, and all marks that several of those have?"""
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            said = json.loads(_own(self.folder / _COMMON).read_bytes())
            if said.pop("seal") == _seal(said):
                names = {part.name for part in parts}
                known = max(said["common"], key=lambda each: len(names & set(each["names"])), default=None)
                return (names & set(known["names"]), set(known["marks"])) if known else (set(), set())
        return set(), set()

    def settle(self) -> None:
        """Once all is read and no longer asked: what was read anew is now an entry, but for what is to `leave`."""
        for name in self.leave & set(self.used):
            (self.folder / f"{name}.json").unlink(missing_ok=True)
            del self.used[name]
        for name, (path, note) in self.new.items():
            if name in self.used:
                path.replace(self.folder / f"{name}.parquet")
                # What counts is the note, which comes last.
                self._write(f"{name}.json", note)
        common = [{"names": sorted(names), "marks": sorted(marks)} for names, marks in self.common]
        self._write(_COMMON, {"common": common})

    def _write(self, name: str, said: dict[str, Any]) -> None:
        begun = self.folder / f"new-{secrets.token_hex(8)}"
        begun.touch(mode=0o600)
        begun.write_text(json.dumps({**said, "seal": _seal(said)}), encoding="utf-8")
        begun.replace(self.folder / name)


@contextmanager
def opened(about: str) -> Iterator[Kept | None]:
    """The entries of the folder that VARIABLE names; None without one. `about` is what all readings depend on.

    After an intake that went well, what it did not use is removed, unless another one is under way.
    """
    named = os.environ.get(VARIABLE, "")
    if not named or not (folder := Path(named)).is_absolute() or not _sound(folder):
        yield None
        return
    kept = Kept(folder, f"{FORMAT} {_code()} {about}")
    with _lock(folder) as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield kept
        finally:
            for path, _ in kept.new.values():
                path.unlink(missing_ok=True)
    with _alone(folder) as alone:
        if alone:
            _clear(folder, {f"{name}.{kind}" for name in kept.used for kind in ("parquet", "json")} | {_COMMON, _LOG})


def drop(folder: Path) -> None:
    """Remove all entries, once no intake is under way."""
    if folder.is_dir() and not folder.is_symlink():
        with _alone(folder, wait=True):
            _clear(folder, set())


def say(folder: Path, line: str) -> None:
    """One line in the folder's log."""
    number = os.open(folder / _LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(number, "a", encoding="utf-8") as file:
        file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {line}\n")


@contextmanager
def _alone(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Nobody else is at these entries; False where somebody is, unless it is to be waited for."""
    with _lock(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def _lock(folder: Path) -> IO[str]:
    return os.fdopen(os.open(folder / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w")


def _sound(folder: Path) -> bool:
    """Is the folder there, and ours alone? What lay where others could write is cleared away."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if folder.is_symlink() or found.st_uid != os.getuid():
            return False
        if found.st_mode & 0o077:
            folder.chmod(0o700)
            with _alone(folder, wait=True):
                _clear(folder, set())
            say(folder, "what was kept is not trusted (others could reach it): all files are read anew")
    except OSError:
        return False
    return True


def _clear(folder: Path, but: Collection[str]) -> None:
    for path in folder.iterdir():
        if path.name in but or path.name == _LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _own(path: Path) -> Path:
    """A file, where it is one, and ours alone."""
    found = path.lstat()
    if path.is_symlink() or not path.is_file() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ValueError("others could write it")
    return path


def _seal(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows(path: Path) -> int:
    from pyarrow import parquet

    return int(parquet.read_metadata(path).num_rows)


@cache
def _code() -> str:
    """The code that reads, and the engine's version."""
    digest = hashlib.sha256(version("duckdb").encode())
    place = Path(__file__).parent.parent
    for path in sorted([*place.glob("*.py"), *place.glob("intake/*.py"), *place.glob("engines/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
