"""Whom to win back, with a reason for each, and whom not to chase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.outreach import WRITE, contactable
from crmlib.analysis.retention.back import LIST, Back
from crmlib.analysis.retention.common import Common
from crmlib.analysis.retention.exposures import ASKED
from crmlib.analysis.retention.facts import MAX_CUSTOMERS
from crmlib.analysis.retention.left import Left
from crmlib.analysis.retention.worth import WIN_BACK, Worth
from crmlib.findings import Action, Metric, Part
from crmlib.shop.shop import Shop

_WITHIN_DAYS = 14
_RETURNED, _LEAST_RETURNS = 0.5, 2
LONG, RETURNER, POOR = "left long ago", "sent back most of what they bought", "brought no more than writing costs"
COMPLAINT = "wait for an answer to a complaint"


@dataclass(frozen=True)
class Lists:
    """`people` are all who left: customer_id, reason, not_chased ('' for whom to win back), and what is known of them;
    `win_back` those who may be contacted, with lot; `note` says who was left out, `proviso` what comes first;
    `chased_not` counts by reason; most come back `unasked`.
    """

    __repr__ = formats.outline

    people: pd.DataFrame
    win_back: pd.DataFrame
    note: str
    chased_not: pd.DataFrame
    unasked: bool = False
    proviso: str = ""

    @property
    def written(self) -> int:
        """How many are to be written to."""
        return int((self.win_back["lot"] == WRITE).sum()) if len(self.win_back) else 0


def given_back(shop: Shop) -> ir.Table:
    """Grain: a customer with a refund. Columns customer_id, refunds, returned (share of money given back)."""
    orders = shop.table("orders").filter(lambda t: t["customer_id"].notnull() & (t["total"] > 0))
    back = orders["refunded"].fill_null(0)
    by = orders.group_by("customer_id").aggregate(
        refunds=(back > 0).sum().cast("int64"), _back=back.sum().cast("float64"),
        _paid=orders["total"].sum().cast("float64"),
    )  # fmt: skip
    return by.filter(by["refunds"] > 0).select("customer_id", "refunds", returned=by["_back"] / by["_paid"])


def lists(shop: Shop, found: Left, shared: Common, likely: Back, value: Worth) -> Lists:
    """Whom to win back, best first, and whom not to chase?

    Best is whose return is worth most: the chance that they come back, times what they brought in the last year (how
    often they bought, where no money is known). Not chased are those who left longer ago than the span, who sent back
    at least half of their money's worth in two refunds or more, and who brought no more in their last year than would
    pay for writing; nor, of course, who may not be contacted.

    >>> {"customer_id", "lot", "reason"} <= set(lists(store, found, shared, likely, value).win_back.columns)
    True
    """
    if found.at.few or found.people.empty:
        empty = pd.DataFrame({"customer_id": [], "lot": []})
        return Lists(empty, empty, "", pd.DataFrame(columns=["reason", "customers"]))
    people = found.people.assign(chance_back=likely.chance.round(4))
    people["not_chased"] = _not_chased(shop, people, span=found.at.span, least=value.must_bring)
    people["reason"] = _reasons(people, shared)
    people["_worth"] = people["money" if found.paid else "purchases"] * likely.chance.fillna(1.0)
    people = people.sort_values(["_worth", "customer_id"], ascending=[False, True])
    brought = f"{found.called}_last_year"
    people[brought], people["usual_days"] = people["money"].round(2), people["usual_days"].round(1)
    people = people[["customer_id", "reason", "purchases", "last_day", "silent_days", "usual_days",
                     *([brought] if found.paid else []), "chance_back", "not_chased"]]  # fmt: skip
    chosen = people[people["not_chased"] == ""].drop(columns="not_chased")
    may = contactable(shop, chosen, name=WIN_BACK)
    listed = may.frame
    counts = people.loc[people["not_chased"] != "", "not_chased"].value_counts()
    if waiting := may.left_out.get("complaint", 0):
        counts[COMPLAINT] = waiting
    left_out = counts.rename_axis("reason").reset_index(name="customers")
    return Lists(people.reset_index(drop=True), listed, may.note, left_out, likely.most, may.proviso)


def _not_chased(shop: Shop, people: pd.DataFrame, *, span: int, least: float) -> np.ndarray:
    returner = np.zeros(len(people), dtype=bool)
    if shop.has("orders", "refunded", "total"):
        back = shop.fetch(given_back(shop), max_rows=MAX_CUSTOMERS)
        who = back.loc[(back["refunds"] >= _LEAST_RETURNS) & (back["returned"] >= _RETURNED), "customer_id"]
        returner = people["customer_id"].isin(set(who)).to_numpy()
    poor = people["money"].to_numpy(float) <= least
    return np.select([people["over"] > span, returner, poor], [LONG, RETURNER, POOR], default="")


def _reasons(people: pd.DataFrame, shared: Common) -> pd.Series:
    """Why somebody is on the list: what they had in common with others who left, where that stands out; the silence."""
    usual = people["usual_days"].round().astype(int).astype(str)
    silent = "silent for " + people["silent_days"].astype(str) + " days"
    said = silent + np.where(people["purchases"] > 1, "; usually bought after " + usual, " after a single order")
    clear = shared.clear[shared.clear["key"].isin(list(ASKED))]
    has = shared.people.set_index("customer_id").reindex(people["customer_id"])
    for row in clear[::-1].itertuples():
        mine = has[str(row.key)].fillna(False).to_numpy(bool)
        said = said.where(~mine, f"{row.reason}; " + silent)
    return said


def part_lists(found: Lists, value: Worth, *, shop: Shop) -> Part:
    """The win-back list, a fifth of it left alone, where anybody is to be written to, and whom not to chase and why."""
    rows = found.chased_not
    n = int(rows["customers"].sum()) if len(rows) else 0
    metric = Metric(
        id="not_chased", label="Not to chase", value=n if len(found.people) else None, unit="customers",
        definition=f"of all who ever left, those who {LONG}, {RETURNER}, {POOR}, or {COMPLAINT}",
    )  # fmt: skip
    kept = {LIST: found.people} if len(found.people) else {}
    actions = _actions(found, value, shop=shop)
    carried: dict[str, Any] = {
        "metrics": [metric], "tables": {"not_to_chase": rows}, "actions": actions,
        "lists": kept | ({WIN_BACK: found.win_back} if actions else {}),
    }  # fmt: skip
    if not n:
        return Part(**carried)
    return Part(
        title=f"{wording.upper(wording.counted(n, 'customer'))} who left should not be chased", detail=True,
        sentence="They are in the list of all who left, each with the reason.",
        chart=figures.table(
            rows.assign(reason=[wording.upper(text) for text in rows["reason"]]),
            caption="Of all who ever left, whom not to chase",
            labels={"reason": "Why not", "customers": "Customers"}, formats={"customers": formats.people},
            file="tables/not_to_chase.csv",
        ),
        **carried,
    )  # fmt: skip


def _actions(found: Lists, value: Worth, *, shop: Shop) -> list[Action]:
    n = found.written
    each = value.each
    # No list where most come back by themselves, or writing loses money.
    if not n or (found.unasked and each.value is None) or (each.high is not None and each.high <= 0):
        return []
    known = each.value is not None and (each.low or 0.0) > 0
    amount = float(each.value or 0.0) * n if known else 0.0
    apart = int(found.chased_not.set_index("reason")["customers"].reindex([RETURNER, POOR]).sum())
    need = value.needed or n
    why = wording.sentences(
        # The best of the list come back more often by themselves: of them it would take more.
        f"{formats.number(need)} of them drawn at random are enough to show whether it pays." if need < n else "",
        "First come those who may come back and bought most, each with a reason.",
        found.note,
        f"{formats.number(apart)} more {wording.noun(apart, 'is')} not to be chased." if apart else "",
        "Some may be on other pages' lists, too: the second list that is exported leaves them out.",
    )  # fmt: skip
    return [
        Action(
            what=f"Write to {wording.counted(n, 'customer')} who left, best first{found.proviso}",
            worth=wording.rounded_money(amount, shop.currency) if known else "", weight=max(amount, 0.0),
            by=wording.working_day(shop.as_of, _WITHIN_DAYS), owner="marketing", file=f"lists/{WIN_BACK}.csv", count=n,
            why=why,
        )
    ]  # fmt: skip
