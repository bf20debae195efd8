"""All that a shop lets one compare, judged together so that the page's chance of a false name is held."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import formats
from crmlib.analysis.teams import facts
from crmlib.analysis.teams.hours import working
from crmlib.analysis.teams.judge import LEAST, Cells, Verdict, judge
from crmlib.errors import NotAvailable, UsageError

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmlib.shop.shop import Shop

KINDS = ("team", "carrier", "supplier", "department")
_ASKED = {
    "team": "staff.team with tickets.staff_id", "carrier": "shipments.carrier and shipped_at",
    "supplier": "products.supplier and order_lines with orders.refunded or tickets.customer_id",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Teams, carriers and suppliers beside what others would have had with the same cases.

    verdicts   one a comparison, in the order of the page
    cases      kind, team, n: what there is of each, whether enough or not
    medians    what (reply, close, delivery), how (clock, work; days for deliveries), now, before (nan: not known), n
    limits     from which on something is late: hours for reply and close, days for a parcel
    hours      when the shop works, as shop.toml says it; '' means that all hours count
    missing    what could not be compared, by the columns that would be needed
    unmarked   closed tickets of the window without a mark; `unassigned`: tickets of no known team
    """

    __repr__ = formats.outline

    verdicts: tuple[Verdict, ...]
    cases: pd.DataFrame
    medians: pd.DataFrame
    limits: dict[str, float]
    hours: str
    missing: dict[str, str]
    unmarked: int
    unassigned: int
    as_of: date
    within_days: int

    def of(self, kind: str) -> list[Verdict]:
        """The comparisons of one kind."""
        return [one for one in self.verdicts if one.kind == kind]

    @property
    def outside(self) -> pd.DataFrame:
        """Who is outside, once each: kind, team."""
        rows = [(one.kind, name) for one in self.verdicts for name in one.table.loc[one.table["outside"] != 0, "team"]]
        return pd.DataFrame(rows, columns=["kind", "team"]).drop_duplicates(ignore_index=True)


def measure(shop: Shop, *, within_days: int = 365, reply_hours: float = 0.0) -> Judged:
    """Who does well after a fair adjustment, and where is help needed?

    Compares the last `within_days` (90 to 1,095). An answer is late after `reply_hours` of work; 0: three of four come
    sooner. Departments are compared without the teams that already stand out. NotAvailable where the shop says neither
    who served whom, nor who carried or supplied what.

    >>> sorted({one.kind for one in measure(store).verdicts})
    ['carrier', 'department', 'supplier', 'team']
    """
    if not 90 <= within_days <= 1095:
        raise UsageError(f"within_days is {within_days}; it has to lie between 90 and 1095")
    there = {
        "team": shop.has("tickets", "staff_id") and (shop.has("staff", "team") or shop.has("staff", "department")),
        "carrier": shop.has("shipments", "carrier", "shipped_at"),
        "supplier": shop.has("products", "supplier") and shop.has("order_lines") and shop.has("orders")
        and (shop.has("orders", "refunded") or shop.has("tickets", "customer_id") and shop.has("orders", "customer_id")),
    }  # fmt: skip
    if not any(there.values()):
        raise NotAvailable(f"needs {', or '.join(_ASKED.values())}; this shop has {', '.join(shop.audits)}")
    how, limits, medians, cells = "work" if shop.settings.team.hours else "clock", {}, [], []
    rows: ir.Table | None = None
    if there["team"]:
        rows = shop.keep(facts.tickets(shop, within_days=within_days))
        medians, limits = _times(shop, rows, how)
        limits |= {"reply": reply_hours} if reply_hours > 0 and "reply" in limits else {}
        cells += facts.ticket_cells(shop, rows, group="team", limits=limits, how=how)
    if there["carrier"]:
        sent = shop.keep(facts.parcels(shop, within_days=within_days))
        found, late, days = facts.parcel_cells(shop, sent)
        cells, limits = [*cells, *found], limits | ({"parcel": late} if late == late else {})
        medians += [("delivery", "days", *days)]
    if there["supplier"]:
        cells += facts.supplier_cells(shop, within_days=within_days)
    kinds = len({one.kind for one in cells}) + 1  # and departments
    verdicts = judge([_now(one) for one in cells], kinds=kinds)
    if rows is not None:
        out = [name for one in verdicts if one.kind == "team" for name in one.table.loc[one.table["outside"] != 0, "team"]]
        others = facts.ticket_cells(
            shop, rows.filter(~rows["team"].isin(out)), group="department", limits=limits, how=how
        )
        cells += others
        verdicts += judge([_now(one) for one in others], kinds=kinds)
    unmarked, unassigned = _left(shop, rows) if rows is not None else (0, 0)
    return Judged(
        verdicts=tuple(verdicts), cases=_cases(cells), limits=limits, hours=working(shop), unmarked=unmarked,
        medians=pd.DataFrame(medians, columns=["what", "how", "now", "before", "n"]), unassigned=unassigned,
        missing={kind: _ASKED[kind] for kind, known in there.items() if not known}, as_of=shop.as_of,
        within_days=within_days,
    )  # fmt: skip


def _now(one: Cells) -> Cells:
    return replace(one, frame=one.frame[one.frame["block"] < facts.BLOCKS])


def _cases(cells: list[Cells]) -> pd.DataFrame:
    """The most cases that any comparison of a group has."""
    rows = [
        (one.kind, name, int(n))
        for one in cells
        for name, n in _now(one).frame.groupby("team")["n"].sum().items()
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["kind", "team", "n"])
    return frame.groupby(["kind", "team"], as_index=False)["n"].max()


def _times(shop: Shop, rows: ir.Table, how: str) -> tuple[list[tuple[str, str, float, float, int]], dict[str, float]]:
    """Medians in hours, now and in the window before, and from which hours on an answer or a closing is late."""
    medians, limits = [], {}
    for what, column in (("reply", "first_reply_at"), ("close", "closed_at")):
        if not shop.has("tickets", column):
            continue
        for unit in ("work", "clock") if how == "work" else ("clock",):
            counts = shop.fetch(facts.waits(rows, what, unit))
            now, before = (counts[counts["recent"] == recent] for recent in (True, False))
            n = int(now["n"].sum())
            ends = [facts.reached(part, 0.5) / 10 if part["n"].sum() >= LEAST else math.nan for part in (now, before)]
            medians.append((what, unit, *ends, n))
            late = facts.reached(now, 0.75)
            if unit == how and late == late:
                limits[what] = float(math.ceil((late + 1) / 10))
    return medians, limits


def _left(shop: Shop, rows: ir.Table) -> tuple[int, int]:
    """Closed tickets without a mark, and tickets of no known team, in the window."""
    recent = rows.filter((rows["block"] >= 0) & (rows["block"] < facts.BLOCKS))
    unmarked = (recent["closed"] & recent["mark"].isnull()).cast("int64").sum().fill_null(0)
    unknown = (recent["team"] == facts.NOBODY).cast("int64").sum().fill_null(0)
    found = shop.fetch(recent.aggregate(unmarked=unmarked, unknown=unknown)).iloc[0]
    return (int(found["unmarked"]) if shop.has("tickets", "satisfaction") else 0), int(found["unknown"])
