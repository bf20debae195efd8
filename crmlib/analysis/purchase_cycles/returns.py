"""When do they buy again? Shares by days since the last purchase, with those who have not yet come back counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.purchase_cycles.facts import MOST_ORDERS
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate
from crmlib.stats.intervals import Floats
from crmlib.stats.survival import kaplan_meier

_SHOWN_DAYS = 365
_NEARLY_ALL = 0.95
_MOST_OF_THEM, _LEAST_BACK, _DRAWS = 0.9, 30, 300


@dataclass(frozen=True)
class Again:
    """Kaplan–Meier of the time to the next purchase: days, share (who bought again by then), low, high; and n.

    `closed_median` is the median of the gaps that were closed alone: what is found where open ones are forgotten.
    """

    __repr__ = formats.outline

    days: Floats
    share: Floats
    low: Floats
    high: Floats
    n: int
    closed_median: float

    def by(self, day: float) -> Estimate:
        """Which share had bought again within so many days?"""
        at = int(np.searchsorted(self.days, day, side="right")) - 1
        if at < 0:
            return Estimate(value=0.0, low=0.0, high=0.0, unit="share", n=self.n)
        return Estimate(
            value=float(self.share[at]), low=float(self.low[at]), high=float(self.high[at]), unit="share", n=self.n
        )

    @property
    def median(self) -> Estimate:
        """Days by which half had bought again; without a value where fewer ever did."""

        def first(curve: Floats) -> float | None:
            reached = np.flatnonzero(curve >= 0.5)
            return float(self.days[reached[0]]) if len(reached) else None

        return Estimate(value=first(self.share), low=first(self.high), high=first(self.low), unit="days", n=self.n)


def again(counts: pd.DataFrame, *, number: int | None = None) -> Again:
    """How long from the purchase of that number (all, where none is given) to the next? By Kaplan and Meier 1958.

    >>> again(counts, number=1).by(365).value <= 1
    True
    """
    rows = counts if number is None else counts[counts["number"] == number]
    rows = rows[rows["n"] > 0]
    if rows.empty or not rows["closed"].any():
        none = np.array([])
        return Again(none, none, none, none, int(rows["n"].sum()), float("nan"))
    days, share, low, high = kaplan_meier(*(rows[name].to_numpy(float) for name in ("gap", "closed", "n")))
    closed = rows[rows["closed"]].sort_values("gap")
    middle = int(np.searchsorted(closed["n"].cumsum().to_numpy(), closed["n"].sum() / 2))
    return Again(days, share, low, high, int(rows["n"].sum()), float(closed["gap"].iloc[middle]))


def followed(counts: pd.DataFrame) -> int:
    """For how many days, up to a year, is it known whether newcomers bought again?"""
    return int(min(_SHOWN_DAYS, counts.loc[counts["number"] == 1, "gap"].max()))


def within(days: int) -> str:
    """The time of `followed` in words, after 'within'."""
    return "a year" if days == _SHOWN_DAYS else wording.counted(days, "day")


def order_numbers(counts: pd.DataFrame) -> pd.DataFrame:
    """After each order, how many go on, and when? order, customers, share_on, low, high, median_days."""
    rows, days = [], followed(counts)
    for number in sorted(counts["number"].unique()):
        found = again(counts, number=int(number))
        year, median = found.by(days), found.median
        rows.append((int(number), found.n, year.value, year.low, year.high, median.value))
    return pd.DataFrame(rows, columns=["order", "customers", "share_on", "low", "high", "median_days"])


def wait(counts: pd.DataFrame) -> Estimate:
    """After how many days of silence does waiting longer for a second purchase bring little?

    By then nine in ten of all who buy again within a year have, open gaps counted; the range by drawing customers anew.
    Without a value below 30 who bought again within a year, or where nobody was followed for one; n counts the former.

    >>> wait(counts).value <= 365
    True
    """
    rows = counts[counts["number"] == 1]
    back = int(rows.loc[rows["closed"] & (rows["gap"] <= _SHOWN_DAYS), "n"].sum())
    if back < _LEAST_BACK or followed(counts) < _SHOWN_DAYS:
        return Estimate(value=None, unit="days", n=back)
    gap, closed, n = (rows[name].to_numpy(float) for name in ("gap", "closed", "n"))
    rng = np.random.default_rng(0)

    def day(weights: Floats) -> float:
        days, share, _, _ = kaplan_meier(gap[weights > 0], closed[weights > 0], weights[weights > 0])
        year = share[days <= _SHOWN_DAYS]
        return float(days[np.searchsorted(year, _MOST_OF_THEM * year[-1])])

    low, high = np.quantile([day(rng.poisson(n).astype(float)) for _ in range(_DRAWS)], [0.025, 0.975])
    return Estimate(value=day(n), low=float(low), high=float(high), unit="days", n=back)


def _waited(counts: pd.DataFrame) -> str:
    found = wait(counts)
    if (found.n or 0) >= _LEAST_BACK and found.value is None:
        return "How long to wait for them is not known yet: it takes newcomers watched for a year."
    if found.value is None:
        return f"How long to wait for them: too few to conclude (n = {formats.number(found.n)} back within a year)."
    ends = "" if found.low == found.high else f" (between {found.low:.0f} and {found.high:.0f})"
    return (
        f"Nine in ten of those who come back within a year have by day {found.value:.0f}{ends}: waiting longer brings "
        "little."
    )


def part_second(counts: pd.DataFrame) -> Part:
    """The finding: how many come back for a second order, and when."""
    found = again(counts, number=1)
    median, days = found.median, followed(counts)
    year = found.by(days) if days == _SHOWN_DAYS else Estimate(value=None, unit="share", n=found.n)
    keep = found.days <= 2 * _SHOWN_DAYS
    frame = pd.DataFrame(
        {"days": np.r_[0, found.days[keep]], "share": np.r_[0, found.share[keep]], "low": np.r_[0, found.low[keep]],
         "high": np.r_[0, found.high[keep]]}
    )  # fmt: skip
    metrics = [
        Metric.of(median, id="days_to_second_order", label="Days until half bought again",
                  definition="median days from the first purchase to the second, whoever has not bought again counted"),
        Metric(id="days_to_second_closed", label="The same, of those who did buy again",
               value=None if np.isnan(found.closed_median) else found.closed_median, unit="days",
               definition="median of closed gaps alone; too short, since the slow have not come back yet"),
        Metric.of(year, id="second_within_year", label="Back within a year, newcomers of all years",
                  headline=year.value is not None,
                  definition="share of all who ever bought with a second purchase within 365 days, open gaps counted"),
    ]  # fmt: skip
    return Part(
        title=_title(found),
        chart=figures.line(
            frame, x="days", y="share", low="low", high="high", what="share who bought again", form=formats.share,
            x_form=formats.number, across="Days since the first purchase",
            table=figures.tabulate(
                order_numbers(counts), caption=f"From each order to the next, within {within(days)}",
                labels={"order": "After order", "customers": "Orders", "share_on": "Buy again",
                        "median_days": "Median days"},
                formats={"order": lambda n: f"{n}+" if n == MOST_ORDERS else str(n), "customers": formats.people,
                         "share_on": formats.share, "median_days": formats.number},
                file="tables/order_numbers.csv",
            ),
        ),
        metrics=metrics, tables={"order_numbers": order_numbers(counts)},
    )  # fmt: skip


def _title(found: Again) -> str:
    if np.isnan(found.closed_median):
        return "Nobody has bought a second time yet"
    known = [day for day in (30, 90) if day <= found.days.max()] or [int(found.days.max())]
    said = [f"{formats.share(found.by(day).value)} within {wording.counted(day, 'day')}" for day in known]
    return f"Of all newcomers so far, {', '.join(said)} bought again"


def part_orders(counts: pd.DataFrame) -> Part:
    """The finding: after which order do fewest go on, where not nearly all do; and how long to wait for the second."""
    frame = order_numbers(counts)
    frame = frame[frame["customers"] >= 5]
    waited = Part(title="How long to wait for a second purchase", sentence=_waited(counts), detail=True)
    if len(frame) < 2:
        return waited
    shown = frame.assign(name=[f"After order {int(n)}{'+' if n == MOST_ORDERS else ''}" for n in frame["order"]])
    worst, best = (shown.loc[at] for at in (shown["share_on"].idxmin(), shown["share_on"].idxmax()))
    if worst["share_on"] > _NEARLY_ALL:
        return waited
    said, most = within(followed(counts)), formats.share(best["share_on"])
    step = "The first order" if worst["order"] == 1 else f"Order {int(worst['order'])}"
    return Part(
        title=f"{step} is the weakest step: {formats.share(worst['share_on'])} order again",
        sentence=f"Within {said}; {wording.lower(best['name'])}, {most} do. {_waited(counts)}",
        chart=figures.dots(
            shown, label="name", value="share_on", low="low", high="high", form=formats.share,
            what=f"share who buy again within {said}",
        ),
    )  # fmt: skip


def part_groups(counts: pd.DataFrame) -> Part:
    """The finding, folded: who goes on within a year after each of the first orders, by what the first was like."""
    rows = []
    for (kind, group), of in counts.groupby(["kind", "group"], sort=False):
        row: dict[str, object] = {"group": f"{wording.upper(str(kind))}: {group}"}
        for number, part in of.groupby("number"):
            found = again(part)
            # Of whom nobody has been followed for a year, a share within it is not known.
            if found.n >= _LEAST_BACK and part["gap"].max() >= _SHOWN_DAYS:
                row |= {f"on_{number}": found.by(_SHOWN_DAYS).value}
            if number == 1:
                row |= {"customers": found.n, "median": found.median.value}
        rows.append(row)
    named = {"customers": "Newcomers", "on_1": "Order 2", "on_2": "Order 3", "on_3": "Order 4", "median": "Median days"}
    shown = pd.DataFrame(rows, columns=["group", *named])
    if shown["on_1"].notna().sum() < 2:
        return Part()
    return Part(
        title="Who goes on, by the first order", detail=True,
        sentence="Of those with the order before, the share who place the next within a year.",
        chart=figures.table(shown, caption="By the first order's value, channel and year",
                            labels={"group": "First order"} | named,
                            formats={"customers": formats.people, "median": formats.number}
                            | dict.fromkeys(["on_1", "on_2", "on_3"], formats.share)),
    )  # fmt: skip
