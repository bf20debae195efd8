"""Tables of two runs beside each other, row by row: who entered, who left, what moved beyond its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crmlib import wording
from crmlib.findings import Watch
from crmlib.publishing import csv_rows

TOP = 0.1
_NAMED = 3  # rows named when few came or went

Row = Mapping[str, str]
Measure = tuple[str, str, str]  # the columns of a value and its two bounds


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """A table compared by key. `moved` counts rows beyond their uncertainty, or changed at all where none is given."""

    table: str
    label: str
    before: int
    now: int
    entered: int
    left: int
    moved: int
    measure: str
    names: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What became of it in a line; empty where it is as it was."""
        if not (self.entered or self.left or self.moved):
            return ""
        counts = f"{self.entered:,} entered, {self.left:,} left, {self.moved:,} moved"
        return f"{self.label or self.table}: {self.before:,} → {wording.counted(self.now, 'row')}; {counts}"


def between(before: tuple[float, float, float], now: tuple[float, float, float]) -> tuple[float, float]:
    """How far did a number move? A 95% interval from each side's value, low and high (Zou and Donner 2008, MOVER).

    It takes the two for independent. Runs share most of their data, so it errs on the side of 'no clear change'.

    >>> low, high = between((100, 90, 110), (120, 110, 130))
    >>> round(low, 1), round(high, 1)
    (5.9, 34.1)
    """
    (was, was_low, was_high), (value, low, high) = before, now
    moved = value - was
    return moved - math.hypot(value - low, was_high - was), moved + math.hypot(high - value, was - was_low)


def compare(old: Path, new: Path, watches: Sequence[Watch]) -> Iterator[TableChange]:
    """The tables and lists that both run folders hold and whose rows can be told apart; watched ones first."""
    for watch in watches:
        for place in ("lists", "tables"):
            before, now = (csv_rows(folder / place / f"{watch.table}.csv") for folder in (old, new))
            if before and now and {*watch.key, *filter(None, [watch.by])} <= {*before[0]} & {*now[0]}:
                rows = _top(before, watch.by, watch.top), _top(now, watch.by, watch.top)
                yield _table(watch.table, watch.label, rows, watch.key, named=place == "tables")
    watched = {watch.table for watch in watches}
    for path in sorted([*(new / "lists").glob("*.csv"), *(new / "tables").glob("*.csv")]):
        place = path.parent.name
        before, now = csv_rows(old / place / path.name), csv_rows(path)
        if path.stem in watched or not (key := _key(before, now)):
            continue
        label, measure = "", _measure(list(now[0]))
        if place == "lists" and measure:
            # Of a list with a value for each row, the best tenth is what a shop acts on.
            label = f"{path.stem}, top tenth by {measure[0]}".replace("_", " ")
        by = measure[0] if label and measure else ""
        sides = _top(before, by, TOP), _top(now, by, TOP)
        yield _table(path.stem, label, sides, key, named=place == "tables")


def _top(rows: Sequence[Row], by: str, top: float) -> Sequence[Row]:
    if not by:
        return rows
    ordered = sorted(rows, key=lambda row: -(_number(row[by]) or 0.0))
    return ordered[: math.ceil(top * len(ordered))]


def _key(before: Sequence[Row], now: Sequence[Row]) -> tuple[str, ...]:
    """The fewest leading columns that name each row in both runs, at most three; none where no such columns are."""
    if not before or not now or list(before[0]) != list(now[0]):
        return ()
    for count in (1, 2, 3):
        key = tuple(now[0])[:count]
        if all(len({_name(row, key) for row in rows}) == len(rows) for rows in (before, now)):
            return key
    return ()


def _name(row: Row, key: Sequence[str]) -> tuple[str, ...]:
    return tuple(row[column] for column in key)


def _table(
    table: str, label: str, sides: tuple[Sequence[Row], Sequence[Row]], key: Sequence[str], *, named: bool
) -> TableChange:
    old, new = ({_name(row, key): row for row in rows} for rows in sides)
    entered = [name for name in new if name not in old]
    measure = _measure(list(sides[1][0]) if sides[1] else [])
    shown = [" · ".join(name) for name in entered] if named and len(entered) <= _NAMED else []
    return TableChange(
        table=table,
        label=label,
        before=len(old),
        now=len(new),
        entered=len(entered),
        left=sum(name not in new for name in old),
        moved=sum(_moved(old[name], new[name], measure, key) for name in new if name in old),
        measure=measure[0] if measure else "",
        names=tuple(text for text in shown if len(text) <= 60 and "[" not in text),
    )


def _measure(columns: Sequence[str]) -> Measure | None:
    """The first value that is followed by its two bounds, as every table with an interval has them."""
    for value, low, high in zip(columns, columns[1:], columns[2:], strict=False):
        if "low" in low and high == low.replace("low", "high"):
            return value, low, high
    return None


def _moved(before: Row, now: Row, measure: Measure | None, key: Sequence[str]) -> bool:
    if measure is None:
        return any(before.get(column) != text for column, text in now.items() if column not in key)
    was, value = ([_number(row.get(column)) for column in measure] for row in (before, now))
    if None in was or None in value:
        return False
    low, high = between(tuple(was), tuple(value))  # type: ignore[arg-type]
    return not low <= 0 <= high


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
