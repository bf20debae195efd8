"""The numbers a shop is run by: its own dictionary, beside last month, last year and target."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.overview.measure import YEAR, Measured
from crmlib.errors import UsageError, nearest
from crmlib.findings import ROLES, Metric, Part
from crmlib.shop.shop import resolve

if TYPE_CHECKING:
    from crmlib.publishing import Run
    from crmlib.shop.shop import Shop

FILE = "kpis.toml"
_KEYS = ("name", "from", "definition", "target", "owner", "better")
_SIDES = ("now", "before", "last_year", "so_far")
_MONTH_DAYS, _YEAR_DAYS = 25, 360  # how long ago a report must have run to stand for the month, or the year, before
_SHIPPED = Path(__file__).with_name(FILE)

# Of a month's row: unit ('' money), and how it is worked out.
MEASURES: dict[str, tuple[str, Callable[[pd.Series], float]]] = {
    "revenue": ("", lambda m: m["revenue"]),
    "orders": ("orders", lambda m: m["orders"]),
    "average_order": ("", lambda m: _by(m["revenue"], m["orders"])),
    "customers": ("customers", lambda m: m["customers"]),
    "new_customers": ("customers", lambda m: m["new"]),
    "returning_share": ("share", lambda m: _by(m["customers"] - m["new"], m["customers"])),
    "orders_per_customer": ("index", lambda m: _by(m["orders"] - m["guests"], m["customers"])),
    "guest_share": ("share", lambda m: _by(m["guests"], m["orders"])),
    "pieces_per_order": ("index", lambda m: _by(m["pieces"], m["filled"])),
    "refund_share": ("share", lambda m: _by(m["refunded"], m["revenue"] + m["refunded"])),
    "discount_share": ("share", lambda m: _by(m["discount"], m["revenue"] + m["discount"])),
    "margin": ("", lambda m: m["margin"]),
    "margin_share": ("share", lambda m: _by(m["margin"], m["costed"])),
}


def _by(top: float, below: float) -> float:
    return float(top / below) if below else float("nan")


def dictionary(shop: Shop) -> pd.DataFrame:
    """What this shop's kpis.toml holds, else the twenty that ship.

    Columns id, name, source (one of MEASURES, or a report and its metric: 'retention.left_share'), definition, target
    (NaN without one), owner, lower (is less better?). UsageError for a file that cannot be read and for words in it
    that are none, with the nearest.

    >>> len(dictionary(store))
    20
    """
    path = resolve(shop.folder) / FILE
    path = path if path.is_file() else _SHIPPED
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE} cannot be read: {error}") from None
    columns = ["id", "name", "source", "definition", "target", "owner", "lower"]
    rows = pd.DataFrame([_checked(name, said) for name, said in raw.items()], columns=columns)
    return rows.astype({"target": float, "lower": bool})


def _checked(name: str, said: Any) -> tuple[Any, ...]:
    if not isinstance(said, dict):
        raise UsageError(f'{FILE}: write each number as [sales] and below it name = "Sales" and from = "revenue"')
    if wrong := [key for key in said if key not in _KEYS]:
        raise UsageError(f"{FILE}: [{name}] has no setting '{wrong[0]}'; {nearest(wrong[0], _KEYS)}")
    texts = {key: said.get(key, "") for key in _KEYS if key != "target"}
    if wrong := [key for key, text in texts.items() if not isinstance(text, str)]:
        raise UsageError(f"{FILE}: [{name}] {wrong[0]} must be text in quotes")
    target = said.get("target", np.nan)
    if isinstance(target, bool) or not isinstance(target, int | float):
        raise UsageError(f"{FILE}: [{name}] target must be a number, not {target!r}")
    if "." not in (source := texts["from"]) and source not in MEASURES:
        raise UsageError(f"{FILE}: [{name}] is from '{source}', which is no measure; {nearest(source, MEASURES)}")
    for key, words in (("owner", ROLES), ("better", ("lower", "higher"))):
        if texts[key] and texts[key] not in words:
            raise UsageError(f"{FILE}: [{name}] {key} cannot be '{texts[key]}'; {nearest(texts[key], words)}")
    return name, texts["name"] or name, source, texts["definition"], target, texts["owner"], texts["better"] == "lower"


def kpis(shop: Shop, found: Measured, runs: Sequence[Run] = ()) -> pd.DataFrame:
    """The dictionary's numbers of the last full month, or as the newest run of another report has them.

    Columns as `dictionary`, and now, before (a month earlier), last_year, so_far (the month in progress, which is
    compared with nothing), unit, reached (the target, 1 or 0; NaN without one). What is not known is NaN. UsageError
    for a metric that a report does not publish and the twenty do not name.

    >>> len(kpis(store, measure(store)))
    20
    """
    table, months = dictionary(shop), _rows(found)
    rows = []
    for name, source in zip(table["id"], table["source"], strict=True):
        if source in MEASURES:
            unit, worked = MEASURES[source]
            values = {side: worked(row) if row is not None else np.nan for side, row in months.items()}
            rows.append({**values, "unit": unit or found.unit})
        else:
            rows.append(_read(name, source, runs))
    table = table.join(pd.DataFrame(rows, columns=[*_SIDES, "unit"])).astype(dict.fromkeys(_SIDES, float))
    hit = np.where(table["lower"], table["now"] <= table["target"], table["now"] >= table["target"]).astype(float)
    return table.assign(reached=np.where(table["target"].notna() & table["now"].notna(), hit, np.nan))


def _rows(found: Measured) -> dict[str, pd.Series | None]:
    """The months that are shown; sales of earlier ones as they were known then, as everywhere on the page."""
    full, rows = found.full, {}
    for side, back, name in (("now", 0, ""), ("before", 1, "month"), ("last_year", YEAR, "year")):
        row = full.iloc[-1 - back].astype(object).copy() if len(full) > back else None
        if row is not None and name in found.changes:
            # What was given back later had not been given back then.
            row["refunded"] -= found.changes[name].before - row["revenue"]
            row["revenue"] = found.changes[name].before
        rows[side] = row
    going = found.months[found.months["month"].dt.to_period("M") == pd.Timestamp(found.as_of).to_period("M")]
    rows["so_far"] = going.iloc[-1] if len(going) and not going["whole"].iloc[-1] else None
    return rows


def _read(name: str, source: str, runs: Sequence[Run]) -> dict[str, Any]:
    report, metric = source.rsplit(".", 1)
    own = [run for run in runs if run.report == report]
    if not own:
        return {"unit": ""}
    values: dict[str, Any] = {}
    if metric not in own[0].metrics:
        # A report leaves out what this shop is too young for; a wrong word can only be the shop's own.
        if source in {said["from"] for said in tomllib.loads(_SHIPPED.read_text(encoding="utf-8")).values()}:
            return {"unit": ""}
        raise UsageError(f"{FILE}: [{name}] {report} publishes no '{metric}'; {nearest(metric, own[0].metrics)}")
    for side, days in (("now", 0), ("before", _MONTH_DAYS), ("last_year", _YEAR_DAYS)):
        run = next((run for run in own if run.as_of <= own[0].as_of - timedelta(days=days)), None)
        values[side] = run.metrics[metric].value if run is not None and metric in run.metrics else None
    return values | {"unit": own[0].metrics[metric].unit}


def missed(table: pd.DataFrame) -> pd.DataFrame:
    """The numbers that miss their target, the furthest off first."""
    rows = table[table["reached"] == 0]
    off = (rows["now"] / rows["target"] - 1).abs()
    return rows.assign(off=off).sort_values("off", ascending=False, kind="stable")


def part_kpis(table: pd.DataFrame, found: Measured) -> Part:
    """The finding: the dictionary beside last month, last year and target."""
    rows = table[table["now"].notna()]
    if rows.empty or found.last is None:
        return Part()
    aimed = int(rows["reached"].notna().sum())
    good = int(rows["reached"].sum())
    title = f"{good} of {wording.counted(aimed, 'target')} reached" if aimed else "The shop's numbers, without targets"
    lacks = len(table) - len(rows)
    text = wording.sentences(
        f"Each is of {found.last:%B}, or as its report last had it. Other months are as known when they ended.",
        f"{wording.upper(wording.counted(lacks, 'number'))} could not be worked out here." if lacks else "",
        "" if aimed else f"Write yours, with targets, into {FILE} beside the shop's tables.",
    )
    sides = [*_SIDES, "target"]
    shown = pd.DataFrame({"name": rows["name"], **{side: [_said(v, unit) for v, unit in
                          zip(rows[side], rows["unit"], strict=True)] for side in sides}})  # fmt: skip
    labels = {"name": "Number", "now": f"{found.last:%B}", "before": "Month before", "last_year": "Year before"}
    labels |= {"target": "Target"} if aimed else {}
    if rows["so_far"].notna().any():
        labels["so_far"] = f"{found.as_of:%B}, not over"
    metrics = [
        Metric(id=f"kpi_{row.id}", label=row.name, value=float(row.now), unit=row.unit, definition=row.definition)
        for row in rows.itertuples(index=False)
    ]
    return Part(title=title, sentence=text, detail=True, metrics=metrics, tables={"kpis": table.round(6)},
                chart=figures.table(shown, caption="The numbers this shop is run by", labels=labels,
                                    file="tables/kpis.csv"))  # fmt: skip


def _said(value: float, unit: str) -> str:
    return formats.quantity(value, unit) if value == value else formats.DASH


def unread(table: pd.DataFrame, runs: Sequence[Run]) -> list[str]:
    """Reports that the dictionary names and that have published nothing yet.

    >>> unread(pd.DataFrame({"source": ["orders", "retention.left_share"]}), ())
    ['retention']
    """
    asked: Mapping[str, None] = dict.fromkeys(source.rsplit(".", 1)[0] for source in table["source"] if "." in source)
    return [report for report in asked if report not in {run.report for run in runs}]
