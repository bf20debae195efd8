"""Who moved up and who slid, between two days and by the same cuts?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.customers.ahead import BUYING
from crmlib.analysis.customers.facts import YEAR, Profiles
from crmlib.analysis.customers.rfm import KINDS, Cuts, kinds
from crmlib.findings import Change, Metric, Part
from crmlib.stats import compare, surely

_BANDS = (1, 2, 3, 5, 10)


@dataclass(frozen=True)
class Moves:
    """Customers known on both days, by their kind then and now.

    table  before, now (kinds), customers, sales_before, sales_now (each of the 365 days before its day), once (how many
           of them have bought on one day only)
    grid   recency, frequency (bands), customers, revenue, customers_before, revenue_before: everybody, on both days
    whole  whether the data holds the whole year before the earlier day: else sales are not compared
    """

    then: date
    now: date
    table: pd.DataFrame
    grid: pd.DataFrame
    whole: bool = True

    def moved(self, way: int) -> pd.DataFrame:
        """Rows of `table` whose kind is better now (`way` 1) or worse (−1) than then."""
        step = self.table["before"].cat.codes - self.table["now"].cat.codes
        return self.table[np.sign(step) == way]

    @property
    def since(self) -> str:
        """The time between the two days, as a sentence has it."""
        days = (self.now - self.then).days
        return "in the past year" if days == YEAR else f"since {wording.day(self.then, near=self.now)}"

    @property
    def known(self) -> int:
        """Customers known on both days."""
        return int(self.table["customers"].sum())

    def could(self, way: int) -> int:
        """How many of them could move that way: the best cannot move up, who was quiet already cannot drop."""
        able = self.table["before"].ne(KINDS[0]) if way > 0 else self.table["before"].isin(BUYING)
        return int(self.table.loc[able, "customers"].sum())

    def share(self, way: int) -> float:
        """Which share of those who could moved that way?"""
        return float(self.moved(way)["customers"].sum()) / max(self.could(way), 1)


def moves(earlier: Profiles | None, today: Profiles, at: Cuts) -> Moves:
    """How did customers move between two days? Without an earlier day the table is empty and the grid has one day.

    >>> moves(profiles, profiles, cuts(profiles)).moved(1).empty
    True
    """
    frame = today.frame.assign(now=kinds(today.frame, at))
    grid = _grid(today.frame, at).rename(columns={"sales_year": "revenue"})
    if earlier is None:
        nobody = pd.DataFrame(columns=["before", "now", "customers", "sales_before", "sales_now", "once"])
        nobody = nobody.astype({"before": frame["now"].dtype, "now": frame["now"].dtype})
        return Moves(today.day, today.day, nobody,
                     grid.assign(customers_before=np.nan, revenue_before=np.nan).reset_index())  # fmt: skip
    was = earlier.frame.assign(before=kinds(earlier.frame, at))[["customer_id", "before", "sales_year"]]
    now = frame.assign(once=frame["purchases"] == 1)[["customer_id", "now", "sales_year", "once"]]
    both = was.rename(columns={"sales_year": "sales_before"}).merge(now, on="customer_id")
    table = both.groupby(["before", "now"], observed=True).agg(
        customers=("customer_id", "size"),
        sales_before=("sales_before", "sum"),
        sales_now=("sales_year", "sum"),
        once=("once", "sum"),
    )
    before = _grid(earlier.frame, at).set_axis(["customers_before", "revenue_before"], axis=1)
    grid = grid.join(before, how="outer").fillna(0).astype({"customers": int, "customers_before": int})
    return Moves(earlier.day, today.day, table.reset_index(), grid.reset_index(), earlier.whole)


def _grid(frame: pd.DataFrame, at: Cuts) -> pd.DataFrame:
    names = [
        f"at most {wording.counted(at.late_days, 'day')}",
        f"{at.late_days + 1} to {wording.counted(at.quiet_days, 'day')}",
        f"over {wording.counted(at.quiet_days, 'day')}",
    ]
    recency = pd.Categorical(
        np.select([frame["silent_days"] <= at.late_days, frame["silent_days"] <= at.quiet_days], names[:2], names[2]),
        categories=list(dict.fromkeys(names)), ordered=True,
    )  # fmt: skip
    ends = [
        *(f"{a}" if b == a + 1 else f"{a}–{b - 1}" for a, b in itertools.pairwise(_BANDS)),
        f"{_BANDS[-1]}+",
    ]
    often = pd.cut(frame["purchases"], [*_BANDS, np.inf], right=False, labels=ends)
    by = frame.assign(recency=recency, frequency=often).groupby(["recency", "frequency"], observed=True)
    return by.agg(customers=("customer_id", "size"), sales_year=("sales_year", "sum"))


def part_moves(found: Moves, previous: Moves | None = None, *, currency: str) -> Part:
    """The finding: how many customers moved up, how many slid, beside the year before, and the money that went along.

    Whoever is known can go quiet, and nobody new can: more slide than move up in any shop, so that only the `previous`
    moves, between the two days before, say whether that is much.
    """
    before = previous if previous is not None and len(previous.table) else None
    metrics = [_metric(found, before, way) for way in (1, -1)]
    tables = {"grid": found.grid}
    if found.table.empty:
        return Part(metrics=metrics, tables=tables)
    gained = [float((part["sales_now"] - part["sales_before"]).sum()) for part in map(found.moved, (1, -1))]
    told = found.whole and any(gained)
    slipped, said = found.share(-1), _slipped(found, before)
    if before is not None and slipped:
        said += f": {formats.share(slipped)} of those not yet quiet, against {formats.share(before.share(-1))}"
    if once := _once(found):
        said += f"; {formats.number(once)} of them ordered once and not again"
    up, down = (_more(amount, currency) for amount in gained)
    shown = found.table[found.table["before"] != found.table["now"]].sort_values("customers", ascending=False)
    shown = shown.assign(**{name: shown[name].astype(str).map(wording.upper) for name in ("before", "now")})
    sides = [side for one in (found, before) if one for side in (int(one.moved(-1)["customers"].sum()), one.could(-1))]
    ends = compare.ratio_interval(*sides) if before is not None and min(sides) > 0 else (1.0, 1.0)
    better = slipped < before.share(-1) if before is not None else None
    change = Change(text=f"{said}.", size=surely(*ends), better=better)
    return Part(
        title=f"Those who dropped a group bring {down} a year, those who moved up {up}" if told else said,
        sentence=wording.sentences(
            "" if found.whole else "The year before is not whole: sales are not compared.",
            "New customers are not in this.",
        ),
        chart=figures.table(
            shown, caption=f"Who moved {found.since}, by group{', with their sales of a year' if found.whole else ''}",
            labels={"before": "From", "now": "To", "customers": "Customers"}
            | ({"sales_before": "Sales before", "sales_now": "Sales now"} if found.whole else {}),
            formats={"customers": formats.people, "sales_before": formats.number, "sales_now": formats.number}, rows=8,
        ),
        metrics=metrics, tables=tables | {"moves": found.table}, changes=[change] if told else [],
    )  # fmt: skip


def _slipped(found: Moves, before: Moves | None) -> str:
    slid = int(found.moved(-1)["customers"].sum())
    if not slid:
        return f"Nobody dropped to a weaker group {found.since}"
    if before is None:
        return f"{wording.upper(wording.counted(slid, 'customer'))} dropped to a weaker group {found.since}"
    low, high = compare.difference_interval(
        slid, found.could(-1), int(before.moved(-1)["customers"].sum()), before.could(-1)
    )
    if low > 0:
        return "More customers dropped to a weaker group, such as ‘gone quiet’, than the year before"
    few = high < 0
    who = "Fewer customers" if few else "About as many customers"
    return f"{who} dropped to a weaker group, such as ‘gone quiet’, {'than' if few else 'as'} the year before"


def _once(found: Moves) -> int:
    """How many of those who dropped had a single order, which only grew old; 0 unless that is most of them."""
    fell = found.moved(-1)
    return int(fell["once"].sum()) if 2 * fell["once"].sum() > fell["customers"].sum() else 0


def _metric(found: Moves, before: Moves | None, way: int) -> Metric:
    better, known, once = way > 0, found.known, _once(found) if len(found.table) else 0
    of, then = ("", "the year before") if better else (" of those not quiet", "before")
    note = f"{formats.share(found.share(way))}{of}; {formats.share(before.share(way))} {then}" if before else ""
    return Metric(
        id="moved_up" if better else "moved_down", label="Moved up a group" if better else "Dropped a group",
        value=float(found.moved(way)["customers"].sum()) if known else None, unit="customers", n=known or None,
        headline=bool(known),
        note=note or (f"{formats.number(once)} after a single order" if once and not better else found.since),
        definition=f"customers known then and now whose group is {'better' if better else 'less'} now, in this order: "
        f"{'; '.join(KINDS)}",
    )  # fmt: skip


def _more(amount: float, currency: str) -> str:
    if abs(amount) < 0.5:
        return "as much as before"
    return f"{wording.rounded_money(abs(amount), currency)} {'more' if amount > 0 else 'less'}"


def part_grid(found: Moves) -> Part:
    """The picture: customers by how recently and how often they bought, then and now, and what each cell brought."""
    grid = found.grid.astype({"recency": str, "frequency": str})
    # The longest silence last, the fewest purchases first, whatever is empty.
    silences = sorted(set(grid["recency"]), key=lambda name: (name.startswith("over"), name[0].isdigit()))
    often = sorted(set(grid["frequency"]), key=lambda name: int("".join(itertools.takewhile(str.isdigit, name))))
    every = pd.MultiIndex.from_product([silences, often], names=["recency", "frequency"])
    grid = grid.set_index(["recency", "frequency"]).reindex(every).reset_index()
    share = grid.loc[grid["recency"].str.startswith("over"), "customers"].sum() / max(grid["customers"].sum(), 1)
    labels = {
        "recency": "Last purchase",
        "frequency": "Purchase days",
        "customers": "Customers",
        "revenue": "Sales of a year",
    }
    across, before = "Last purchase", ""
    if grid["customers_before"].notna().any():
        labels |= {"customers_before": f"Customers on {wording.day(found.then)}", "revenue_before": "Sales of its year"}
        across, before = f"Last purchase; below: change since {wording.day(found.then)}", "customers_before"
    return Part(
        title=f"{formats.share(share)} of customers have been silent for {silences[-1]}: they count as quiet"
        if share else "No customer has been silent for long",
        chart=figures.grid(
            grid, row="frequency", column="recency", value="customers", what="customers", form=formats.people,
            across=across, down="Purchase days", before=before,
            table=figures.tabulate(
                grid, caption="Customers by last purchase and number of purchase days", labels=labels,
                formats={"customers": formats.people, "customers_before": formats.people}
                | dict.fromkeys(["revenue", "revenue_before"], formats.number),
                rows=40, file="tables/grid.csv",
            ),
        ),
    )  # fmt: skip
