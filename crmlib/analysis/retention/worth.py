"""What is winning back worth? The chance that writing saves somebody comes from an experiment, or is not known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import ibis
import numpy as np
import pandas as pd
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from crmlib import formats, wording
from crmlib.analysis.outreach import kept
from crmlib.analysis.retention.back import Back
from crmlib.analysis.retention.facts import AHEAD, MAX_CUSTOMERS, returns
from crmlib.analysis.retention.left import Left
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate
from crmlib.shop import consent
from crmlib.shop.facts import contact_cost, purchase_days
from crmlib.shop.shop import Shop
from crmlib.stats import compare

WIN_BACK = "win_back"
_LEAST = 30  # in each arm, and of customers who came back, below which nothing is said
_HANDED_WITHIN = 30  # days after a list was made, within which it counts as sent
_MOST = 0.95  # a chance beyond which no writing lifts anybody
_WORTHWHILE = 0.03  # a rise worth finding, where costs do not say how large it must be


@dataclass(frozen=True)
class Tried:
    """What writing to those who left did: bought within AHEAD days, of those written to and of those left alone."""

    source: Literal["lists", "experiment"]
    written: int
    came: int
    alone: int
    came_alone: int

    @property
    def takers(self) -> float:
        """Share of those written to who bought, and took the offer whether it won them or not."""
        return self.came / self.written

    @property
    def saved(self) -> Estimate:
        """How much larger was the chance to buy for those written to?"""
        low, high = compare.difference_interval(self.came, self.written, self.came_alone, self.alone)
        return Estimate(
            value=self.came / self.written - self.came_alone / self.alone, low=low, high=high, unit="share",
            n=self.written + self.alone,
        )  # fmt: skip


@dataclass(frozen=True)
class Worth:
    """What writing to one customer who left brings: chance saved × `year` − offers to all takers − contact.

    tried    what an experiment showed; None where there was none
    year     what customers who came back brought in the year from then on; without a value where too few did
    contact  cost of writing to one of them;  offer  cost of the offer to whoever takes it
    base     chance to come back unasked within AHEAD days, of those who left in the last span
    """

    __repr__ = formats.outline

    tried: Tried | None
    year: Estimate
    contact: float
    offer: float
    base: float | None

    @property
    def each(self) -> Estimate:
        """Worth of writing to one of them; without a value until an experiment says what writing saves."""
        if self.tried is None or self.year.value is None:
            return Estimate(value=None, unit=self.year.unit)
        cost = self.offer * self.tried.takers + self.contact
        saved, year = self.tried.saved, self.year
        chance, money = saved.value or 0.0, self.year.value

        def half(side: str, other: str) -> float:
            # The two are independent: what each may be off by adds up in squares.
            of_money = getattr(year, side if chance > 0 else other) - money
            return float(np.hypot((getattr(saved, side) - chance) * money, of_money * chance))

        value = chance * money
        ends = value - half("low", "high") - cost, value + half("high", "low") - cost
        return Estimate(value=value - cost, low=ends[0], high=ends[1], unit=year.unit, n=saved.n)

    @property
    def needed(self) -> int | None:
        """How many to write to, to show whether it pays; None where that is known, or no writing could show it."""
        open_ = self.tried is None and self.base is not None and self.base + self.least <= _MOST
        return units_needed(self.base or 0.0, self.least) if open_ else None

    @property
    def must_bring(self) -> float:
        """What somebody must have brought in their last year to be worth writing to, if writing saves all it may."""
        if self.tried is None:
            return self.contact + self.offer
        cost = self.contact + self.offer * self.tried.takers
        most = self.tried.saved.high or 0.0
        return float(cost / most) if most > 0 else np.inf

    @property
    def least(self) -> float:
        """The rise in the chance to buy that pays for itself, or one worth finding where nothing is known to cost."""
        if self.year.value and self.year.value > self.offer and (self.contact or self.offer):
            return float((self.contact + self.offer * (self.base or 0.0)) / (self.year.value - self.offer))
        return _WORTHWHILE


def worth(
    shop: Shop, found: Left, likely: Back, *, contact: float = 0.0, offer: float = 0.0, experiment: str = WIN_BACK
) -> Worth:
    """What does winning back bring? `contact` and `offer` are costs for each; 0 takes the shop's own.

    The chance saved comes from the shop's experiment of that name, whose units are customers, else from earlier
    win-back lists, of which some were left alone.

    >>> worth(store, found, likely).each.value is None
    True
    """
    unit, kinds = shop.currency or "amount", ("contact",) if offer else ("contact", "offer", "gift")
    year = Estimate(value=None, unit=unit)
    base = None
    if not found.at.few:
        row = shop.fetch(returns(shop, found.at)).iloc[0]
        if row["n"] >= _LEAST and np.isfinite(row["mean"]):
            half = 1.96 * float(row["deviation"]) / np.sqrt(row["n"])
            mean = float(row["mean"])
            year = Estimate(value=mean, low=mean - half, high=mean + half, unit=unit, n=int(row["n"]))
        chances = likely.chance[found.people["over"] <= found.at.span].dropna()
        base = float(chances.mean()) if len(chances) else None
    return Worth(tried(shop, experiment), year, contact or contact_cost(shop, kinds=kinds), offer, base)


def tried(shop: Shop, experiment: str) -> Tried | None:
    """What an experiment, or halves of earlier lists, say of writing to those who left; None where there is too little.

    Of lists, only those that were handed over count: `exported.csv` has who was written to, `held_out.csv` who was not.
    Everybody counts once, from the first day on, once AHEAD days are over.
    """
    for source, rows in (("experiment", _assigned(shop, experiment)), ("lists", _listed())):
        rows = rows.sort_values("day").drop_duplicates("customer_id")
        rows = rows[rows["day"] + timedelta(days=AHEAD) <= shop.as_of] if len(rows) else rows
        if not len(rows) or rows["written"].value_counts().reindex([True, False], fill_value=0).min() < _LEAST:
            continue
        came = _bought(shop, rows)
        n, alone = int(rows["written"].sum()), int((~rows["written"]).sum())
        return Tried(
            "experiment" if source == "experiment" else "lists", n, int(came[rows["written"]].sum()), alone,
            int(came[~rows["written"]].sum()),
        )  # fmt: skip
    return None


def _assigned(shop: Shop, experiment: str) -> pd.DataFrame:
    if not (experiment and shop.has("assignments")):
        return pd.DataFrame(columns=["customer_id", "day", "written"])
    rows = shop.table("assignments").filter(lambda t: t["experiment"] == experiment)
    days = purchase_days(shop)
    first = days.group_by(unit_id="customer_id").aggregate(first=days["day"].min())
    rows = rows.inner_join(first, "unit_id")
    # Units that had not bought before are no customers who left.
    rows = rows.filter(rows["first"] < rows["assigned_at"].date())
    asked = rows.select(
        customer_id="unit_id", day=rows["assigned_at"].date(), written=rows["variant"] != "control"
    )  # fmt: skip
    frame = shop.fetch(asked, max_rows=MAX_CUSTOMERS)
    # Whoever is in two arms tells nothing of either.
    both = frame.groupby("customer_id")["written"].transform("nunique") > 1
    return frame[~both].assign(day=pd.to_datetime(frame["day"]).dt.date)


def _listed() -> pd.DataFrame:
    """Who was written to, and who was left alone by a list that was handed over within a month."""

    def days_of(name: str, column: str) -> list[tuple[str, date]]:
        return [(row["customer_id"], date.fromisoformat(row[column])) for row in kept(name) if row["list"] == WIN_BACK]

    written = days_of(consent.EXPORTED, "day")
    days = sorted({day for _, day in written})
    found = [(who, day, True) for who, day in written]
    for who, since in days_of(consent.HELD, "since"):
        day = next((day for day in days if since <= day <= since + timedelta(days=_HANDED_WITHIN)), None)
        if day is not None:
            found.append((who, day, False))
    return pd.DataFrame(found, columns=["customer_id", "day", "written"])


def _bought(shop: Shop, rows: pd.DataFrame) -> pd.Series:
    """Did each buy within AHEAD days?"""
    days = purchase_days(shop).filter(lambda t: t["day"] >= ibis.literal(rows["day"].min()))
    bought = shop.fetch(days.select("customer_id", bought="day"), max_rows=50_000_000)
    both = rows.reset_index().merge(bought, on="customer_id")
    apart = (pd.to_datetime(both["bought"]) - pd.to_datetime(both["day"])).dt.days
    return pd.Series(rows.index.isin(both.loc[(apart >= 0) & (apart < AHEAD), "index"]), index=rows.index)


def units_needed(base: float, least: float) -> int:
    """How many written to show a rise of `least` over the share `base`, four times in five, with a quarter as many
    left alone?

    By statsmodels, at 95 %, two-sided.

    >>> 1000 < units_needed(0.05, 0.05) < 1200
    True
    """
    need = samplesize_proportions_2indep_onetail(least, base, 0.8, ratio=0.25, alpha=0.05, alternative="two-sided")
    return int(np.ceil(need))


def part_worth(found: Worth, *, listed: int) -> Part:
    """What winning back is worth for the `listed` people to be written to, or which experiment would tell."""
    each = found.each
    ends = [None if end is None else end * listed for end in (each.value, each.low, each.high)]
    total = Estimate(value=ends[0], low=ends[1], high=ends[2], unit=each.unit, n=listed)
    known = each.value is not None
    metric = Metric.of(
        total, id="worth_winning_back", label="Worth of winning back", headline=known, spread=known, signed=known,
        note="" if known else "needs an experiment",
        definition="people to be written to × (chance saved × what one who came back brings in a year − offers to all "
        "takers − cost of a contact); the chance saved comes from an experiment only",
    )  # fmt: skip
    if known:
        earlier = "Some whom writing brought back may only have bought earlier than they would have."
        return Part(
            title=_worth_title(total), sentence=_saved(found), metrics=[metric], certain=[earlier],
            method=[_formula(found)],
        )  # fmt: skip
    return Part(
        title="What winning back brings is not known yet", sentence=_plan(found, listed=listed), metrics=[metric],
        method=[_formula(found)],
    )  # fmt: skip


def _worth_title(total: Estimate) -> str:
    low, high = total.low or 0.0, total.high or 0.0
    ends = [wording.rounded_money(abs(end), total.unit if len(total.unit) == 3 else "") for end in (low, high)]
    if low > 0:
        return f"Writing to those who left earns between {ends[0]} and {ends[1]} a year"
    if high < 0:
        return f"Writing to those who left loses between {ends[1]} and {ends[0]}"
    return f"Writing to those who left could lose {ends[0]} or earn {ends[1]}"


def _saved(found: Worth) -> str:
    assert found.tried is not None
    one = found.tried
    where = "earlier lists" if one.source == "lists" else "the experiment"
    return (
        f"In {where}, {formats.share(one.takers, digits=1)} of those written to bought within {AHEAD} days, and "
        f"{formats.share(one.came_alone / one.alone, digits=1)} of those left alone."
    )


def _plan(found: Worth, *, listed: int) -> str:
    """The experiment that would tell, and how many it takes."""
    if found.base is not None and found.base > 0.5:
        return f"{formats.share(found.base)} come back unasked within {AHEAD} days: many need no letter."
    if found.base is None or not listed:
        return "Only a list of which some are left alone would tell; there is nobody to write to."
    if found.base + found.least > _MOST:
        return "Writing costs more than those who come back bring: better not."
    need = units_needed(found.base, found.least)
    rise = f"{formats.number(100 * found.least, digits=0 if found.least >= 0.02 else 1)} points"
    few = ": repeat it and pool results" if 2 * listed >= need else " to tell within a year"
    few = "" if listed >= need else f"; {listed:,} {wording.noun(listed, 'is')} too few{few}"
    return (
        f"A fifth of the list is left alone. Showing a rise of {rise} within {AHEAD} days takes "
        f"{formats.number(need)} customers written to{few}."
    )


def _formula(found: Worth) -> str:
    year, unit = found.year, found.year.unit if len(found.year.unit) == 3 else ""
    costs = [
        f"{formats.money(amount, unit, digits=2)} for {what}"
        for amount, what in ((found.offer, "each taker of the offer"), (found.contact, "each contact"))
        if amount
    ]
    brings = "too few came back to say what one brings"
    if year.value is not None:
        brings = f"who came back brought {formats.money(year.value, unit)} in the year from then on"
        brings += f" ({wording.counted(year.n or 0, 'customer')})"
    less = wording.listed(costs) or "costs, of which none were given"
    return (
        f"Worth is chance saved × what one who came back brings in a year − {less}; {brings}. Chances have "
        "Miettinen–Nurminen intervals; sizes are at 95% and four times in five."
    )
