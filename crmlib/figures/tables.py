"""Frames as the page shows them: chosen columns, formatted, with the CSV that holds all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from crmlib.findings import Chart

SHOWN_ROWS = 50


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


def missing(value: Any) -> bool:
    """Is there nothing to show in a cell?"""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)


def _cell(value: Any, form: Callable[[Any], str] | None) -> str:
    if missing(value):
        return "\N{EN DASH}"
    return form(value) if form else str(value)
