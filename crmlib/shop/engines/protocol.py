"""What a shop asks of the engine that works out its expressions, and what all engines share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import ibis.expr.types as ir
import pandas as pd

from crmlib.shop.intake.files import Source
from crmlib.shop.intake.kept import Part

DUCKDB, SPARK = "duckdb", "spark"
FOLDER_VARIABLE = "CRM_SHARED"  # names the folder where the notebooks of a run share what one of them has read
BLANK = "blank_row"  # a row of separators, as spreadsheets save where somebody once wrote: it is none, and not counted
ENGINES = (DUCKDB, SPARK)


@dataclass(frozen=True)
class Raw:
    """A file's rows as they stand, before anything is read into them.

    rows    the file's columns under our names, and a yes/no column named by `flag` for each reason in `broken`; `_row`
            (from 1, in the order of the file) only where the engine does not keep rows in their order
    names   the file's column names -> ours: one that begins with an underscore, as working columns do, is 'column _id'
    broken  the reasons by which this file's rows may be broken; the first that applies counts
    """

    rows: ir.Table
    names: dict[str, str]
    broken: tuple[str, ...]


class Engine(Protocol):
    """Works out Ibis expressions over one shop's tables. All that leaves it leaves by `frame` and `stream`."""

    name: str
    fault: tuple[type[Exception], ...]  # what it raises for a file that it cannot read

    def raw(self, source: Source) -> Raw:
        """A file's rows as they stand; those of a CSV are texts, and empty only where a row is short."""

    def keep(self, name: str, expression: ir.Table) -> ir.Table:
        """Work out an expression once, and keep its rows under a name."""

    def store(self, name: str, expression: ir.Table) -> ir.Table:
        """The same for a table of the shop, which lasts as long as the shop is open, and longer where it is shared."""

    def keep_in_order(self, name: str, expression: ir.Table) -> ir.Table:
        """The same for raw rows that were read into something, with `_row`, from 1 in the order of the file."""

    def drop(self, name: str) -> None:
        """Forget what was kept, or was not."""

    def frame(self, expression: ir.Table) -> pd.DataFrame:
        """All rows in pandas; decimals, exact until here, become floats, which every library takes."""

    def write(self, expression: ir.Table, path: Path) -> None:
        """All rows as one Parquet file."""

    def stream(self, expression: ir.Table, *, chunk: int) -> Iterator[pd.DataFrame]:
        """All rows in frames of at most `chunk`, in the order of the expression."""


@runtime_checkable
class Sharing(Protocol):
    """An engine that can leave what it read of a shop where other processes find it."""

    def storing(self, file: Path) -> AbstractContextManager[None]:
        """What is stored meanwhile goes into this file; then it is closed, and complete."""

    def stored(self, file: Path, names: Iterable[str]) -> Mapping[str, ir.Table]:
        """Tables that were stored there, to be read by anybody and changed by nobody."""

    def side_by_side(self, name: str, parts: Sequence[Part]) -> ir.Table:
        """What is kept of files, one under the other, with `_row` from 1 and `_part` from 0; no copy is made."""


def flag(reason: str) -> str:
    """The raw column that says of each row whether it is broken for this reason."""
    return f"_is_{reason}"


def our_names(theirs: tuple[str, ...]) -> dict[str, str]:
    """The file's column names -> ours; `rowid` is the engine's own word for the place of a row."""
    return {name: f"column {name}" if name.startswith("_") or name.lower() == "rowid" else name for name in theirs}


def without_decimals(expression: ir.Table) -> ir.Table:
    """Sums are exact in the engine; what leaves it is floats."""
    exact = {name: expression[name].cast("float64") for name, kind in expression.schema().items() if kind.is_decimal()}
    return expression.mutate(**exact) if exact else expression
