"""What is kept of single customers from run to run, for its owner alone: who is left alone until when, who was handed
over to whom, who asked to be erased, and a log that names nobody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from crmlib.lots import LEAVE, WINDOW_DAYS, half_year
from crmlib.publishing import csv_rows
from crmlib.report.folder import store
from crmlib.report.folder.manifest import write_text

FOLDER = "lists"
INTAKE = ".intake"  # what was read of the shop's files, beside the lists: customers' rows
VARIABLE = "CRM_KEPT"  # by which kernels find the folder
HELD, EXPORTED, ASSIGNED = "held_out.csv", "exported.csv", "assigned.csv"
ERASED, AUDIT = "erased.json", "audit.jsonl"
_COLUMNS = {
    HELD: ("customer_id", "list", "since", "until"),
    EXPORTED: ("customer_id", "list", "channel", "day", "answered", "personal"),
    ASSIGNED: ("customer_id", "list", "lot", "day"),
}


def folder(reports: Path) -> Path:
    """The folder itself, which nobody but its owner may read."""
    place = reports / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o700)
    return place


def rows(reports: Path, name: str) -> list[dict[str, str]]:
    """The rows of HELD, EXPORTED or ASSIGNED; none where there are none yet."""
    return csv_rows(reports / FOLDER / name)


def hold(reports: Path, lists: Path, as_of: date) -> None:
    """Keep whom the lists of a run leave alone: one row a customer, list and month, until a window has passed."""
    found = {
        (row["customer_id"], file.stem)
        for file in sorted(lists.glob("*.csv"))
        for row in csv_rows(file)
        if row.get("lot") == LEAVE and row.get("customer_id")
    }
    if not found:
        return
    with store.lock(reports, "@kept", wait=True, sign=False):
        known = {(row["customer_id"], row["list"], row["since"][:7]): row for row in rows(reports, HELD)}
        day, until = str(as_of), str(as_of + timedelta(days=WINDOW_DAYS))
        for who, name in found:
            new = {"customer_id": who, "list": name, "since": day, "until": until}
            row = known.setdefault((who, name, day[:7]), new)
            row["since"], row["until"] = min(row["since"], day), max(row["until"], until)
        keep(reports, HELD, list(known.values()))


def held(reports: Path, as_of: date) -> set[str]:
    """Whom some list leaves alone on a day."""
    return {row["customer_id"] for row in rows(reports, HELD) if row["since"] <= str(as_of) <= row["until"]}


def elsewhere(reports: Path, name: str, as_of: date, *, days: int) -> set[str]:
    """Who was handed over with another list than `name` less than so many days before or after a day."""
    near = {str(as_of + timedelta(days=n)) for n in range(1 - days, days)}
    return {row["customer_id"] for row in rows(reports, EXPORTED) if row["list"] != name and row["day"] in near}


def remember(reports: Path, export: Mapping[str, str], customers: Sequence[str]) -> None:
    """Keep who was handed over: `export` has list, channel and day."""
    contacted(reports, [{**export, "customer_id": who} for who in customers])


def contacted(reports: Path, found: Sequence[Mapping[str, str]]) -> None:
    """Keep who was contacted, by list, channel and day; `answered` is yes, no or '' where nobody said, `personal` is
    yes where it was an answer that no lot holds back.
    """
    key = _COLUMNS[EXPORTED][:4]
    with store.lock(reports, "@kept", wait=True, sign=False):
        known = {tuple(row[name] for name in key): row for row in rows(reports, EXPORTED)}
        for row in found:
            had = known.setdefault(tuple(row[name] for name in key), dict(row))
            had["answered"] = row.get("answered") or had.get("answered", "")
        keep(reports, EXPORTED, list(known.values()))


def assign(reports: Path, name: str, rows_: Sequence[Mapping[str, str]], day: date) -> None:
    """Keep whom a list that is used writes to and whom it leaves alone: the loop compares the two, whoever was reached.

    Everybody counts from the first day on, once a list and half-year. A row with a column `list` is of that list.
    """
    drawn = [row for row in rows_ if row.get("lot") and row.get("customer_id")]
    if not drawn:
        return
    with store.lock(reports, "@kept", wait=True, sign=False):
        known = {
            (r["customer_id"], r["list"], half_year(date.fromisoformat(r["day"]))): r for r in rows(reports, ASSIGNED)
        }
        for row in drawn:
            who, list_ = row["customer_id"], row.get("list") or name
            new = {"customer_id": who, "list": list_, "lot": row["lot"], "day": str(day)}
            had = known.setdefault((who, list_, half_year(day)), new)
            had["day"] = min(had["day"], str(day))
        keep(reports, ASSIGNED, list(known.values()))


def keep(reports: Path, name: str, found: Sequence[Mapping[str, str]]) -> None:
    """Write HELD, EXPORTED or ASSIGNED anew, in an order that does not depend on who came first."""
    import pandas as pd

    from crmlib.publishing import list_text

    columns = list(_COLUMNS[name])
    frame = pd.DataFrame([{key: row.get(key, "") for key in columns} for row in found], columns=columns, dtype=str)
    private_text(folder(reports) / name, list_text(frame.sort_values(columns).drop_duplicates()))


def private_text(path: Path, text: str) -> None:
    """Write a file in one step that only its owner can read, at no moment anybody else."""
    mask = os.umask(0o077)
    try:
        write_text(path, text)
    finally:
        os.umask(mask)


def note(reports: Path, what: str, **said: Any) -> None:
    """One line of the audit log: what was done, when, with which counts. It names nobody."""
    line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), "what": what, **said}, ensure_ascii=False)
    number = os.open(folder(reports) / AUDIT, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(number, "a", encoding="utf-8") as file:
        file.write(line + "\n")
