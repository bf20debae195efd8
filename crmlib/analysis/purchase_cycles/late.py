"""Who is late for their own rhythm? A gap longer than 95 % of gaps were beside the rhythm before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.outreach import Contactable, contactable
from crmlib.analysis.purchase_cycles.chances import AHEAD, Chances, grade, predictions
from crmlib.analysis.purchase_cycles.facts import MAX_CUSTOMERS
from crmlib.findings import Action, Caveat, Due, Metric, Part
from crmlib.formats import Estimate
from crmlib.shop.facts.gaps import PRIOR_GAPS, gaps, since
from crmlib.shop.shop import Shop
from crmlib.stats.intervals import Floats, share_interval

DECLARED = 0.05
_LEAST_GAPS = 100
_YEAR = 365
_CLASSES = (3, 6, 11)  # purchases: the more there were, the better the rhythm is known
_FAR = 10**9  # hundredths beyond any ratio
_WITHIN_DAYS = 7
_LIKELY = 0.5
_GONE = 2  # times as long as late: who is silent for longer has gone, and is not asked what keeps them


@dataclass(frozen=True)
class Late:
    """When silence means something: points in multiples of the own rhythm, by how well that rhythm is known.

    points     a row for each class of purchases (3, 6, 11 and more), the gap beside the rhythm by which 25, 50, 75 and
               95 % of gaps were closed; a silence beyond the last is late
    false      share of later gaps that were closed although they had passed that point: measured on the last year
    regularity k of Wheat and Morrison 1990: 1 is chance alone, more is regular
    """

    __repr__ = formats.outline

    points: Floats
    false: Estimate
    regularity: float | None

    def of(self, purchases: pd.Series) -> Floats:
        """The four points for each number of purchases."""
        return np.asarray(self.points[np.searchsorted(_CLASSES, purchases.to_numpy(), side="right").clip(1) - 1])


def late(shop: Shop) -> Late | None:
    """From which silence on, beside their own rhythm, is a customer late? None below 100 gaps with a rhythm before.

    The point is the one beyond which 5 % of closed gaps lay, each customer counted once, in the time up to a year ago;
    how often it raises a false alarm is counted on gaps that began since and were closed.

    >>> (late(shop).points[:, 3] > 1).all()
    np.True_
    """
    # A rhythm is known from the third purchase on.
    rows = gaps(shop, day=shop.as_of).filter(lambda t: t["closed"] & (t["number"] >= _CLASSES[0]))
    closed = shop.fetch(rows.group_by("gap").aggregate(n=rows.count()).order_by("gap"))
    total = int(closed["n"].sum())
    if total < _LEAST_GAPS:
        return None
    middle = np.searchsorted(closed["n"].cumsum().to_numpy(), [(total + 1) // 2, total // 2 + 1])
    shops = float(closed["gap"].iloc[middle].mean())
    # The rhythm before each gap: number − 1 gaps over `behind` days, drawn to the shop's.
    usual = (rows["behind"] + PRIOR_GAPS * shops) / (rows["number"] - 1 + PRIOR_GAPS)
    kind = ibis.cases(*((rows["number"] >= _CLASSES[at], at) for at in (2, 1)), else_=0)
    rows = rows.mutate(usual=usual, ratio=rows["gap"] / usual, kind=kind)
    cut, end = ibis.literal(shop.as_of - timedelta(days=_YEAR)), ibis.literal(shop.as_of)
    found = Late(_points(shop, rows, cut), Estimate(value=None, unit="share"), _regularity(shop))
    point = ibis.cases(*((rows["kind"] == at, found.points[at, 3]) for at in range(len(_CLASSES))))
    after = rows.filter(rows["day"] >= cut).mutate(limit=point * rows["usual"])
    # Only gaps that began long enough ago to have been called late. Each customer counts once, or daily buyers would
    # speak for all.
    could = after.filter(end.delta(after["day"], unit="day").cast("int64") > after["limit"])
    each = could.group_by("customer_id").aggregate(wrong=(could["gap"] > could["limit"]).mean())
    shares = shop.fetch(each.group_by("wrong").aggregate(n=each.count()).order_by("wrong"))
    if shares.empty:
        return found
    wrong, n = float(shares["wrong"] @ shares["n"]), int(shares["n"].sum())
    low, high = share_interval(wrong, n)
    return replace(found, false=Estimate(value=wrong / n, low=float(low), high=float(high), unit="share", n=n))


def _points(shop: Shop, rows: ir.Table, cut: ir.Scalar) -> Floats:
    """The points of each class, of gaps begun before `cut` if there are enough; one with too few takes those of all."""
    n = shop.fetch(rows.group_by("kind", old=rows["day"] < cut).aggregate(n=rows.count()))
    if n.loc[n["old"], "n"].sum() >= _LEAST_GAPS:
        rows, n = rows.filter(rows["day"] < cut), n[n["old"]]
    enough = n.groupby("kind")["n"].sum().reindex(range(len(_CLASSES)), fill_value=0) >= _LEAST_GAPS
    each = _reached(shop, rows)
    every = [] if enough.all() else _reached(shop, rows.mutate(kind=ibis.literal(0)))[0]
    return np.array([each[at] if enough[at] else every for at in range(len(_CLASSES))])


def _reached(shop: Shop, rows: ir.Table) -> dict[int, list[float]]:
    """The ratios by which 25, 50, 75 and 95 % of each kind's gaps lay, each customer's weighing 1 in all.

    Counted by hundredths first, then ratio by ratio within those hundredths alone where a point lies.
    """
    each = 1.0 / rows.count().over(ibis.window(group_by=["customer_id", "kind"]))
    at = rows["kind"].cast("int64") * _FAR + (100 * rows["ratio"]).floor().cast("int64")
    weighed = shop.keep(rows.select(weight=each, at=at, ratio="ratio"))
    rough = shop.fetch(weighed.group_by("at").aggregate(w=weighed["weight"].sum()).order_by("at"), max_rows=1_000_000)

    def where(part: pd.DataFrame) -> pd.DataFrame:
        reached = (part["w"].cumsum() / part["w"].sum()).to_numpy()
        return part.iloc[np.searchsorted(reached, np.array([0.25, 0.5, 0.75, 1 - DECLARED]) - 1e-9)]

    near = sorted({int(one) for _, part in rough.groupby(rough["at"] // _FAR) for one in where(part)["at"]})
    close = weighed.filter(weighed["at"].isin(near))
    exact = shop.fetch(close.group_by("at", "ratio").aggregate(w=close["weight"].sum()), max_rows=1_000_000)
    both = pd.concat([rough[~rough["at"].isin(near)], exact]).sort_values(["at", "ratio"], ignore_index=True)
    return {int(kind): where(part)["ratio"].tolist() for kind, part in both.groupby(both["at"] // _FAR)}


def _regularity(shop: Shop) -> float | None:
    """k from the shares that the last gap has in the sum of the last two, over customers (Wheat and Morrison 1990)."""
    rows = gaps(shop, day=shop.as_of).filter(lambda t: t["closed"] & (t["number"] >= t["of"] - 2) & (t["of"] > 2))
    last = rows["gap"].sum(where=rows["number"] == rows["of"] - 1)
    each = rows.group_by("customer_id").aggregate(share=last / rows["gap"].sum())
    counted = each.group_by("share").aggregate(n=each.count()).order_by("share")
    pairs = shop.fetch(counted, max_rows=MAX_CUSTOMERS)
    if pairs["n"].sum() < 20:
        return None
    spread = float(np.var(np.repeat(pairs["share"].to_numpy(float), pairs["n"]), ddof=1))
    return (1 - 4 * spread) / (8 * spread) if 0 < spread < 0.25 else None


def table(found: Chances, at: Late | None, *, shop: Shop) -> pd.DataFrame:
    """Everybody's chances and rhythm: customer_id, chance_…, usual_days, silent_days, late, expected_from, expected_to.

    The two days hold the middle half of when the next order comes, given the silence so far; none lies before as_of.
    Empty where the silence has passed them, and without a rhythm.
    """
    rows = found.customers.copy()
    rows["usual_days"] = rows["usual"].round(1)
    rows["late"] = False
    rows["expected_from"] = rows["expected_to"] = pd.Series(pd.NaT, index=rows.index)
    if at is not None:
        again, silent = rows["purchases"] >= 3, rows["silent_days"]
        days = at.of(rows["purchases"]) * rows[["usual"]].to_numpy()
        rows["late"] = again & (silent > days[:, 3]) & (silent <= _GONE * days[:, 3])
        due = again & (days[:, 2] > silent)
        for name, point in (("expected_from", 0), ("expected_to", 2)):
            ahead = (days[:, point] - silent).round().clip(lower=0).where(due)
            rows[name] = (pd.Timestamp(shop.as_of) + pd.to_timedelta(ahead, unit="D")).dt.date
    chances = [name for name in rows if str(name).startswith("chance_")]
    rows[chances] = rows[chances].round(4)
    keep = ["customer_id", *chances, "purchases", "silent_days", "usual_days", "late", "expected_from", "expected_to"]
    return rows[keep]


def part_due(found: Chances, at: Late | None, *, shop: Shop, due: tuple[Due, ...] = ()) -> Part:
    """The finding: who is due in the next weeks, who is late for their own rhythm, and a dated list of both."""
    rows = table(found, at, shop=shop)
    n = int(rows["late"].sum())
    metrics = _metrics(at, n)
    begins = pd.to_datetime(rows["expected_from"])
    soon = rows[~rows["late"] & (begins < pd.Timestamp(shop.as_of + timedelta(days=AHEAD)))]
    likely = "chance_30d" in rows
    soon, order = (soon[soon["chance_30d"] >= _LIKELY], "chance_30d") if likely else (soon, "usual_days")
    # Who is late and will all the same probably buy is not asked what stopped them.
    calm = rows["late"] & (rows["chance_30d"] >= _LIKELY) if likely else rows["late"] & False
    # Each with a count of its own of those who may not be written to.
    reached = {reason: contactable(shop, part.assign(reason=reason).sort_values(order, ascending=False), name="due")
               for reason, part in (("due", soon), ("late", rows[rows["late"] & ~calm]))}  # fmt: skip
    frames = [one.frame for one in reached.values() if len(one.frame)]
    after, _ = since(shop)
    old = f"Who bought first before {wording.day(after or shop.as_of)} may be an old customer, and is not called new."
    carried: dict[str, Any] = {
        "metrics": metrics, "lists": {"due": pd.concat(frames, ignore_index=True)} if frames else {},
        "grades": grade(shop, due),
        "actions": _actions(reached, late=n, calm=int(calm.sum()), likely=likely, shop=shop),
        "predictions": predictions(found, shop=shop),
        "caveats": [Caveat(text=old)] if after else [],
    }  # fmt: skip
    if at is None:
        return Part(**carried)
    return Part(
        title=f"{wording.upper(wording.counted(n, 'customer'))} {wording.noun(n, 'is')} late for their own rhythm",
        sentence=f"{wording.upper(wording.counted(len(soon), 'other'))} {wording.noun(len(soon), 'is')} due"
        f"{': more likely than not to buy' if likely else ''} within {AHEAD} days.",
        certain=[
            f"{formats.share(at.false.value)} of those who came back had been called late."
        ] if at.false.value is not None else [],
        chart=figures.bars(
            _bands(found.customers, at), label="band", value="customers", what="customers with a rhythm",
            form=formats.number,
        ),
        **carried,
    )  # fmt: skip


def _metrics(at: Late | None, n: int) -> list[Metric]:
    return [
        Metric(
            id="late", label="Late for their own rhythm", value=n if at else None, unit="customers",
            headline=at is not None,
            definition="customers with three purchases or more whose silence beside their rhythm is longer than 95% of "
            f"gaps were, and at most {_GONE} times as long; longer is called gone",
        ),
        Metric.of(
            at.false if at else Estimate(value=None, unit="share"), id="false_alarm_rate", label="Late, and yet came",
            definition="share of gaps begun in the last year and closed that had passed the point of being late",
        ),
        Metric(
            id="regularity", label="Regularity of gaps", value=at.regularity if at else None, unit="index",
            definition="k of Wheat and Morrison 1990: 1 as by chance, more is more regular",
        ),
    ]  # fmt: skip


def _bands(rows: pd.DataFrame, at: Late) -> pd.DataFrame:
    """Customers with three purchases or more by how their silence stands beside their rhythm."""
    again = rows[rows["purchases"] >= 3]
    silent, points = again["silent_days"].to_numpy(), at.of(again["purchases"]) * again[["usual"]].to_numpy()
    names = ("bought lately", "could buy now", "expected now", "overdue", "late", "gone")
    ends = [*(points[:, i] for i in range(4)), _GONE * points[:, 3]]
    chosen = np.select([silent <= end for end in ends], names[:5], names[5])
    counted = pd.Series(chosen).value_counts().reindex(list(names), fill_value=0)
    return counted.rename_axis("band").reset_index(name="customers")


def _actions(reached: Mapping[str, Contactable], *, late: int, calm: int, likely: bool, shop: Shop) -> list[Action]:
    made = []
    for reason, one in reached.items():
        n = len(one.write)
        more = f"{'Most' if likely else 'Many'} of them would buy without a reminder."
        who = "will probably buy" if likely else f"{wording.noun(n, 'is')} due"
        what = f"Remind {wording.counted(n, 'customer')} who {who} within {AHEAD} days"
        if reason == "late":
            some = "" if late == 1 else f"{n:,} " if n == late else f"{late:,} "
            of, more = f"{n:,} of " if n < late else "", ""
            what = f"Ask {of}the {some}late {wording.noun(late, 'customer')} what stopped them"
            if calm:
                will = f"{wording.noun(calm, 'is', 'are')} likelier than not to buy within {AHEAD} days and left alone."
                more = f"{wording.upper(wording.counted(calm, 'other'))} {will}"
        if n:
            made.append(
                Action(what=what + one.proviso, owner="marketing", file="lists/due.csv", count=n,
                       why=wording.sentences(one.note, more), by=wording.working_day(shop.as_of, _WITHIN_DAYS))
            )  # fmt: skip
    return made
