"""A spreadsheet: the list itself, to be opened by a double click and worked through by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from crmlib.handover.table import Person, Target
from crmlib.publishing import list_text

# What a spreadsheet of a country takes for a comma: those that write 1,5 part cells by semicolons.
_COMMA = ("de", "at", "fr", "es", "it", "nl", "be", "pt", "br", "pl", "cz", "dk", "se", "no", "fi", "ru", "tr", "gr")
FORMS = {"": (",", "."), "excel-en": (",", "."), **{f"excel-{country}": (";", ",") for country in _COMMA}}
_HIDDEN = ("channel", "list")


def _kept(column: str, text: str) -> str:
    """An id that a spreadsheet would take for a number and write otherwise, with a quote that makes it a text."""
    return f"'{text}" if _is_id(column) and re.fullmatch(r"0\d+|\d{12,}|\d+[eE]\d+", text) else text


def _is_id(column: str) -> bool:
    return column.endswith("_id") or column in ("phone", "postcode")


def _written(people: Sequence[Person], options: Mapping[str, str]) -> str:
    import pandas as pd

    separator, decimal = FORMS[options.get("for", "")]
    columns = [name for name in (people[0] if people else ()) if name not in _HIDDEN]
    frame = pd.DataFrame([{name: _kept(name, person[name]) for name in columns} for person in people], columns=columns)
    numbers = [name for name in columns if not _is_id(name) and frame[name].str.fullmatch(r"-?\d+(\.\d+)?|").all()]
    frame[numbers] = frame[numbers].apply(lambda column: column.str.replace(".", decimal))
    return list_text(frame, separator=separator, numbers=frozenset(numbers))


TARGET = Target(
    name="spreadsheet",
    notice="A list by hand: whoever unsubscribes after today is still in it.",
    write=_written,
)
