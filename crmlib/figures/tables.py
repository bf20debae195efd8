"""Frames as the page shows them: chosen columns, formatted, with the CSV that holds all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from crmlib.findings import Chart
from crmlib.formats import FEW_PEOPLE, people

SHOWN_ROWS = 60


def tabulate(
    frame: pd.DataFrame,
    *,
    caption: str,
    labels: Mapping[str, str],
    formats: Mapping[str, Callable[[Any], str]] | None = None,
    rows: int = SHOWN_ROWS,
    file: str = "",
) -> dict[str, Any]:
    """A frame as the page shows it: chosen columns in the order of `labels`, formatted, at most `rows` of them.

    The first column heads its row. `file` names the CSV that has all rows.
    """
    formats = formats or {}
    shown = frame.loc[:, list(labels)].head(min(rows, SHOWN_ROWS))
    columns = [
        {"label": label, "numeric": pd.api.types.is_numeric_dtype(frame[name])} for name, label in labels.items()
    ]
    cells = [
        [_cell(value, formats.get(name)) for name, value in zip(labels, row, strict=True)]
        for row in shown.itertuples(index=False, name=None)
    ]
    return {"caption": caption, "columns": columns, "rows": cells, "total": len(frame), "file": file}


def table(frame: pd.DataFrame, **said: Any) -> Chart:
    """A finding that is best read as a table; takes what `tabulate` takes."""
    return Chart(table=tabulate(frame, **said))


def masked(frame: pd.DataFrame, *, count: str, rates: Sequence[str]) -> pd.DataFrame:
    """A frame for others' eyes: a `count` of one to four people is hidden, and so is each rate that would give it away.

    >>> masked(pd.DataFrame({"people": [3, 9], "rate": [0.1, 0.3]}), count="people", rates=["rate"])["rate"].tolist()
    [nan, 0.3]
    """
    few = (frame[count] > 0) & (frame[count] < FEW_PEOPLE)
    shown = frame.astype({count: object})
    shown.loc[few, count] = people(1)
    shown.loc[few, list(rates)] = float("nan")
    return shown


def missing(value: Any) -> bool:
    """Is there nothing to show in a cell?"""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)


def _cell(value: Any, form: Callable[[Any], str] | None) -> str:
    if missing(value):
        return "\N{EN DASH}"
    return form(value) if form else str(value)
