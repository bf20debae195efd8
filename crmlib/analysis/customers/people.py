"""Who are they? Kinds with what they bring, one list of everybody, and whom to speak to."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.customers.facts import YEAR, Profiles
from crmlib.analysis.customers.rfm import BEST_QUIET, Cuts, called, kinds, rules, separates, stages
from crmlib.analysis.customers.score import Score, Tested
from crmlib.analysis.outreach import contactable
from crmlib.findings import Action, Metric, Part, Signal, Watch
from crmlib.formats import Estimate
from crmlib.shop.shop import Shop
from crmlib.stats.intervals import rate_interval
from crmlib.stats.ranking import top_share_range

_WITHIN_DAYS = 7


def table(today: Profiles, at: Cuts, tested: Tested | None, *, currency: str) -> pd.DataFrame:
    """Contract's segments.csv: segment, rule, customers, revenue (of a year), orders_later, low, high, brought_later.

    `orders_later` is what customers of that kind, as they were when the test began, bought on average in the days of
    the test, with a 95 % range, and `brought_later` the margin (or sales) of it; empty without a test.
    """
    said, frame = rules(at, currency), today.frame
    by = frame.groupby(kinds(frame, at), observed=False).agg(
        customers=("customer_id", "size"), revenue=("sales_year", "sum")
    )
    rows = by.reindex(list(said)).rename_axis("segment").reset_index()
    rows.insert(1, "rule", list(said.values()))
    if tested is None:
        return rows.assign(orders_later=np.nan, low=np.nan, high=np.nan, brought_later=np.nan)
    was = kinds(tested.before.frame, at)
    then = tested.orders.groupby(was, observed=False).agg(["mean", "sem", "size"]).reindex(list(said))
    mean, half = then["mean"].to_numpy(), 1.96 * then["sem"].to_numpy()
    # Where nobody bought, what a count of none leaves open.
    most = rate_interval(0, then["size"].clip(lower=1))[1]
    return rows.assign(
        orders_later=mean,
        low=np.maximum(mean - half, 0),
        high=np.where(mean > 0, mean + half, np.where(mean == 0, most, np.nan)),
        brought_later=tested.brought.groupby(was, observed=False).mean().reindex(list(said)).to_numpy(),
    )


def everybody(today: Profiles, at: Cuts, score: Score | None) -> pd.DataFrame:
    """One row a customer: customer_id, segment, stage, score with its four parts, purchases, silent_days, sales."""
    frame = today.frame
    rows = pd.DataFrame({"customer_id": frame["customer_id"], "segment": kinds(frame, at), "stage": stages(frame, at)})
    if score is not None:
        points = score.points(frame)
        rows["score"] = points.sum(axis=1).round(1)
        rows = rows.join(points.round(1).add_prefix("score_"))
    more = frame[["purchases", "silent_days", "sales", "sales_year"]].round(2)
    return rows.join(more).sort_values(["segment", "sales_year", "customer_id"], ascending=[True, False, True])


def part_kinds(
    today: Profiles, at: Cuts, *, tested: Tested | None = None, earlier: Profiles | None = None, shop: Shop
) -> Part:
    """The finding: which kinds there are, how many people in each, and what each brings in a year."""
    found = table(today, at, tested, currency=shop.currency)
    share = _top(today)
    metrics = [
        Metric(id="customers", label="Customers who ever bought", value=len(today.frame), unit="customers",
               definition="customers with an order before this day; guests are not counted"),
        Metric(id="segments", label="Groups of customers", value=int((found["customers"] > 0).sum()), unit="groups",
               definition="groups with somebody in them"),
    ]  # fmt: skip
    if share is not None:
        before = _top(earlier) if earlier is not None and earlier.whole else None
        metrics.append(
            Metric.of(share, id="top_tenth_share", label="Sales from the best tenth", headline=True,
                      before=before.value if before else None,
                      against=_against(earlier, today) if earlier and before else "",
                      definition="share of the last 365 days' sales from the tenth of buyers who bought most")
        )  # fmt: skip
    shown = found.assign(name=[f"{wording.upper(row.segment)}" for row in found.itertuples()])
    chart = figures.bars(
        shown, label="name", value="revenue" if found["revenue"].sum() else "customers",
        what="sales of the last 365 days" if found["revenue"].sum() else "customers",
        form=lambda v: wording.rounded_money(v, shop.currency) if found["revenue"].sum() else formats.number(v),
        table=figures.tabulate(
            shown, caption="Groups of customers, each in exactly one",
            labels={"name": "Group", "rule": "Rule", "customers": "Customers", "revenue": "Sales of a year",
                    "orders_later": f"Purchases in {tested.days} days" if tested else "Purchases later",
                    "brought_later": f"{wording.upper(today.brought)} in them"},
            formats={"customers": formats.people, "revenue": formats.number,
                     "orders_later": lambda v: formats.number(v, digits=2),
                     "brought_later": lambda v: formats.money(v, shop.currency)},
            file="tables/segments.csv",
        ),
    )  # fmt: skip
    alike = not separates(today.frame, at)
    watch = Watch(table="customers", key=("customer_id", "segment"), label="customers by group")
    return Part(
        title="All customers are in one group" if alike else _title(found),
        sentence="Nothing in their purchases separates them yet." if alike else "",
        chart=chart, metrics=metrics, tables={"segments": found},
        watches=[watch], certain=[later] if (later := _later(found, tested)) else [],
    )  # fmt: skip


def _against(earlier: Profiles, today: Profiles) -> str:
    return "the year before" if (today.day - earlier.day).days == YEAR else wording.day(earlier.day)


def _top(today: Profiles) -> Estimate | None:
    sales = today.frame["sales_year"].to_numpy(float)
    sales = sales[sales > 0]
    if len(sales) < 20:
        return None
    value, low, high = top_share_range(sales, seed=0)
    return Estimate(value=value, low=low, high=high, unit="share", n=len(sales))


def _title(found: pd.DataFrame) -> str:
    """The kind that brings most, or has most people where there is no money. The headline speaks of the best."""
    by = found.set_index("segment")
    if not by["revenue"].sum() > 0:
        return f"Most customers are in one group: {by['customers'].idxmax()}"
    top = str(by["revenue"].idxmax())
    share = formats.share(by.loc[top, "revenue"] / by["revenue"].sum())
    return f"‘{wording.upper(top)}’ customers bring most: {share} of sales"


def _later(found: pd.DataFrame, tested: Tested | None) -> str:
    """Which kinds bought most and least afterwards, where their ranges are apart, and which are out of order."""
    if tested is None:
        return "There is not enough history to test what each group buys later."
    known = found.dropna(subset=["orders_later", "low", "high"])
    if len(known) < 2:
        return ""
    top, last = known.loc[known["orders_later"].idxmax()], known.loc[known["orders_later"].idxmin()]
    if top["low"] <= last["high"]:
        return f"In the last {tested.days} days the groups did not clearly differ in how often they bought."
    often, seldom = (formats.number(row["orders_later"], digits=1) for row in (top, last))
    rarely = f"{seldom} times" if last["orders_later"] >= 0.05 else "hardly at all"
    said = f"In {tested.days} days ‘{top['segment']}’ bought {often} times each, ‘{last['segment']}’ {rarely}."
    turned = [
        (low["segment"], high["segment"])
        for (_, high), (_, low) in itertools.combinations(known.iterrows(), 2)
        if low["low"] > high["high"]
    ]
    more = f"‘{turned[0][0]}’ bought more often than ‘{turned[0][1]}’, which stands above it." if turned else ""
    return wording.sentences(said, more)


def part_list(today: Profiles, at: Cuts, score: Score | None, *, shop: Shop) -> Part:
    """Everybody with kind, stage and score as a list, and whom to speak to: the best who went quiet."""
    rows = everybody(today, at, score)
    quiet = rows["segment"] == BEST_QUIET
    lists, actions = {"customers": rows}, []
    found = contactable(shop, rows[quiet].sort_values("sales", ascending=False), name="best_gone_quiet")
    if n := len(found.write):
        who = f"{n:,} best customers" if n > 1 else "the best customer gone quiet"
        lists["best_gone_quiet"] = found.frame
        actions.append(
            Action(
                what=f"Learn why {who} stopped{found.proviso}",
                owner="service", by=wording.working_day(shop.as_of, _WITHIN_DAYS), file="lists/best_gone_quiet.csv",
                count=n, why=wording.sentences("Ask to learn what went wrong, not to win them back.", found.note),
            )
        )  # fmt: skip
    gone = int(quiet.sum())
    signal = Signal(
        id="best_quiet", text=f"{wording.upper(called(BEST_QUIET, gone))}.", gone="No best customer has gone quiet."
    )
    return Part(lists=lists, actions=actions, signals=[signal] if gone else [])


def part_cuts(at: Cuts, *, currency: str) -> Part:
    """The rules as they are printed, folded."""
    said = rules(at, currency)
    frame = pd.DataFrame({"kind": list(said), "rule": list(said.values())})
    return Part(
        title="Where one group ends and the next begins",
        sentence=f"Half of repeat purchases came within {wording.counted(at.late_days, 'day')}, 95% within "
        f"{at.quiet_days}, each customer counted once. The settings quiet_days and regular move these lines.",
        detail=True,
        chart=figures.table(frame, caption="Rules of the groups", labels={"kind": "Group", "rule": "Rule"}),
    )
