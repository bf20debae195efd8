"""Which alerts are new? What was raised before and still lasts is kept beside the lists, and not raised again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from crmlib.report.folder import kept, store

FILE = "alerts.json"
_APART_DAYS, _KEPT_DAYS = 3, 400  # days between two events of the same thing; how long one is remembered


def new(reports: Path, found: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The rows of alerts.csv that were not raised yet, which they are from now on.

    An alert is known where one of the same thing and direction, whose days reach within three of its own, was raised
    before: the same event, however long it lasts.
    """
    with store.lock(reports, "@kept", wait=True, sign=False):
        place = kept.folder(reports) / FILE
        known = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else []
        fresh = []
        for row in found:
            more = float(row["actual"]) > float(row["expected"])
            event = {"what": row["what"], "more": more, "first": row["first"], "last": row["last"]}
            same = next((one for one in known if _same(one, event)), None)
            if same is None:
                known.append(event)
                fresh.append(row)
            else:
                same["first"], same["last"] = min(same["first"], row["first"]), max(same["last"], row["last"])
        newest = max((one["last"] for one in known), default="")
        if newest:
            oldest = str(date.fromisoformat(newest) - timedelta(days=_KEPT_DAYS))
            known = [one for one in known if one["last"] >= oldest]
        kept.private_text(place, json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    return fresh


def _same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    if (one["what"], one["more"]) != (other["what"], other["more"]):
        return False
    first, last = (date.fromisoformat(str(other[end])) for end in ("first", "last"))
    apart = timedelta(days=_APART_DAYS)
    return (
        date.fromisoformat(str(one["first"])) <= last + apart and date.fromisoformat(str(one["last"])) >= first - apart
    )
