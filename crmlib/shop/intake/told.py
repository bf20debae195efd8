"""What taking in raw exports has found: which file was taken for what, and whether the platform's arithmetic holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """Something that was decided or noticed while a file was read, for whoever knows better: code, file and detail."""

    code: str
    file: str
    detail: str


@dataclass(frozen=True)
class Recognised:
    """A file, what it was taken for, the tables it makes, its rows, its columns that are used and those that are not.

    `again` are its records that a later file has too.
    """

    file: str
    platform: str
    what: str
    tables: tuple[str, ...]
    rows: int
    used: tuple[str, ...]
    left: tuple[str, ...]
    again: int = 0


@dataclass(frozen=True)
class Unknown:
    """A file that was not recognised, why, and the nearest of those that are."""

    file: str
    why: str = ""


@dataclass(frozen=True)
class Way:
    """One way in which orders come to an amount, and how many do; an empty `way` is none, and `money` what is apart."""

    platform: str
    of: str
    way: str
    orders: int
    money: float = 0.0


@dataclass(frozen=True)
class Told:
    """All that is to be told of raw exports."""

    recognised: tuple[Recognised, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    ways: tuple[Way, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()  # file and what was decided

    def notes(self) -> Iterator[Note]:
        """The same, a note each, but for the arithmetic."""
        for one in self.recognised:
            if one.platform:
                yield Note("platform", one.file, f"{one.platform} {one.what}")
            if one.again:
                yield Note("again", one.file, f"{one.again:,} {one.what} that a later file has too")
        for file, remark in self.remarks:
            yield Note("remark", file, remark)
        for unknown in self.unknown:
            yield Note("unread_file", unknown.file, unknown.why)
