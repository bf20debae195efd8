"""All that a shop lets one compare, judged together so that the page's chance of a false name is held."""

from __future__ import annotations

import math
from dataclasses import dataclass
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

ASKED = {
    "team": "staff.team with tickets.staff_id", "carrier": "shipments.carrier and shipped_at",
    "supplier": "products.supplier and order_lines with orders.refunded or tickets.customer_id",
}  # fmt: skip
_Median = tuple[str, str, float, float, int]


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
        rows = [(one.kind, name) for one in self.verdicts for name in one.far]
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
    named = shop.has("tickets", "customer_id") and shop.has("orders", "customer_id")
    there = {
        "team": shop.has("tickets", "staff_id") and (shop.has("staff", "team") or shop.has("staff", "department")),
        "carrier": shop.has("shipments", "carrier", "shipped_at"),
        "supplier": shop.has("products", "supplier") and shop.has("order_lines") and shop.has("orders")
        and (shop.has("orders", "refunded") or named),
    }  # fmt: skip
    if not any(there.values()):
        raise NotAvailable(f"needs {', or '.join(ASKED.values())}; this shop has {', '.join(shop.audits)}")
    how, cells = "work" if shop.settings.team.hours else "clock", list[Cells]()
    medians, limits = list[_Median](), dict[str, float]()
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
    verdicts, unmarked, unassigned = judge(cells, kinds=kinds), 0, 0
    if rows is not None:
        out = [name for one in verdicts if one.kind == "team" for name in one.far]
        others = facts.ticket_cells(
            shop, rows.filter(~rows["team"].isin(out)), group="department", limits=limits, how=how
        )
        cells, verdicts = [*cells, *others], [*verdicts, *judge(others, kinds=kinds)]
        unmarked, unassigned = facts.left_out(shop, rows)
    sums = [one.frame.groupby("team", as_index=False)["n"].sum().assign(kind=one.kind) for one in cells]
    cases = pd.concat(sums, ignore_index=True) if sums else pd.DataFrame(columns=["team", "n", "kind"])
    return Judged(
        verdicts=tuple(verdicts), cases=cases.groupby(["kind", "team"], as_index=False)["n"].max(), limits=limits,
        medians=pd.DataFrame(medians, columns=["what", "how", "now", "before", "n"]), hours=working(shop),
        missing={kind: ASKED[kind] for kind, known in there.items() if not known}, as_of=shop.as_of,
        within_days=within_days, unmarked=unmarked, unassigned=unassigned,
    )  # fmt: skip


def _times(shop: Shop, rows: ir.Table, how: str) -> tuple[list[_Median], dict[str, float]]:
    """Medians in hours, now and in the window before, and from which hours on an answer or a closing is late."""
    medians, limits = [], {}
    columns = [("reply", "first_reply_at"), ("close", "closed_at")]
    for what in (what for what, column in columns if shop.has("tickets", column)):
        for unit in ("work", "clock") if how == "work" else ("clock",):
            counts = shop.fetch(facts.waits(rows, what, unit))
            now, before = (counts[counts["recent"] == recent] for recent in (True, False))
            then = facts.reached(before, 0.5) / 10 if before["n"].sum() >= LEAST else math.nan
            medians.append((what, unit, facts.reached(now, 0.5) / 10, then, int(now["n"].sum())))
            late = facts.reached(now, 0.75)
            if unit == how and late == late:
                limits[what] = float(math.ceil((late + 1) / 10))
    return medians, limits
