"""Whom to contact? The best customers who are wavering, those who are gone, and wholesale buyers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.lifetime_value.scoring import BEST_SHARE, Scores
from crmlib.analysis.lifetime_value.validation import Trust, Validation
from crmlib.analysis.outreach import WRITE, contactable
from crmlib.findings import Action, Metric, Part, Signal
from crmlib.shop.shop import Shop

WAVERING, WHOLESALE = "wavering_customers", "wholesale_customers"
GONE = 0.9  # from this chance of no order on, somebody counts as gone
_WITHIN_DAYS = 14
_DOUBTS = {Trust.TESTED: "", Trust.UNTESTED: "an untested chance", Trust.MISSED: "a chance that has not held"}
_COLUMNS = ["customer_id", "past_revenue", "days_since_last_order", "p_no_order", "expected_orders", "expected_value"]


@dataclass(frozen=True, kw_only=True)
class Outlooks:
    """How many of the best customers should order again, are wavering (10 to 50% chance left), or are gone."""

    best: int
    wavering: int
    gone: int

    @property
    def stopped(self) -> int:
        """Those likelier than not to order nothing more in the horizon."""
        return self.wavering + self.gone


def outlooks(scores: Scores) -> Outlooks:
    """The best fifth of customers by past sales, by their chance to order again; wholesale buyers count as ordering."""
    quiet = scores.customers.loc[scores.customers["quiet"], "p_no_order"]
    gone = int((quiet >= GONE).sum())
    return Outlooks(best=len(scores.best), wavering=len(quiet) - gone, gone=gone)


def wavering(scores: Scores) -> pd.DataFrame:
    """The best customers with a chance of 10 to 50% left to order again: those new to it first, then by past sales.

    Columns customer_id, past_revenue, days_since_last_order, p_no_order, expected_orders, expected_value, new (thirty
    days ago it was above 50%), value_if_back (over the horizon, if they bought again as before).
    """
    people = scores.customers[scores.customers["quiet"] & (scores.customers["p_no_order"] < GONE)]
    order = ["new", "past_revenue", "customer_id"]
    people = people.sort_values(order, ascending=[False, False, True], ignore_index=True)
    return people[[*_COLUMNS, "new"]].assign(value_if_back=people["if_active"])


def part_wavering(scores: Scores, validation: Validation, *, shop: Shop) -> Part:
    """The finding: how many of the best customers have probably stopped, and a list of those still worth a message.

    Where no forecast so long has held, nobody is said to have stopped, only that they may have; no money is
    set on the list then, and their number is no tile.
    """
    found, trust = outlooks(scores), validation.trust(scores.horizon_days)
    tested, doubt = trust is Trust.TESTED, _DOUBTS[trust]
    people = wavering(scores)
    silent = people["days_since_last_order"].astype(int).astype(str)
    people = people.assign(reason="one of the best fifth, silent for " + silent + " days")
    may = contactable(shop, people, name=WAVERING)
    listed = may.frame
    best, said = wording.counted(found.best, "customer"), f"{formats.number(found.stopped)} of your best"
    title, sentence = f"{said} {best} {wording.noun(found.stopped, 'has')} probably stopped", _sentence(found, scores)
    if tested and not found.stopped:
        title = f"All of your best {best} should order again"
    elif not tested:
        title, sentence = f"{said} {best} may have stopped", ""
        if not found.stopped:
            title = f"None of your best {best} is likelier than not to stay away"
    stopped = Metric(
        id="stopped_customers",
        label="Top-fifth customers who probably stopped" if tested else "Top-fifth customers who may have stopped",
        value=found.stopped, unit="customers", n=found.best, note=f"of {formats.number(found.best)}", headline=tested,
        definition=f"customers in the top {formats.share(BEST_SHARE)} by past {scores.best_by}, likelier than not to "
        f"order nothing in the {scores.ahead}{doubt and f' by {doubt}'}; wholesale buyers count as "
        "ordering",
    )  # fmt: skip
    return Part(
        title=title, sentence=sentence, chart=_chart(found, scores, doubt=doubt), metrics=[stopped],
        actions=_contact(listed, scores, shop=shop, note=may.note, tested=tested),
        signals=_signals(found, tested=tested), lists={WAVERING: listed} if len(listed) else {},
    )  # fmt: skip


def _contact(listed: pd.DataFrame, scores: Scores, *, shop: Shop, note: str, tested: bool) -> list[Action]:
    write = listed[listed["lot"] == WRITE]
    if write.empty:
        return []
    n = len(write)
    more = max(float((write["value_if_back"] - write["expected_value"]).sum()), 0.0) if tested else 0.0
    what = f"Contact {wording.counted(n, 'top-fifth customer')} who {wording.noun(n, 'wavers', 'waver')}"
    if not tested:
        what = f"Contact {wording.small(n)} of your top-fifth customers who may have stopped"
    who = f"{wording.noun(n, 'This customer is', 'They are')} among the best {formats.share(BEST_SHARE)} by past "
    who += f"{scores.best_by}, with a chance of 10 to 50% left to order in the {scores.ahead}"
    gone = outlooks(scores).gone
    lost = f"{wording.upper(wording.counted(gone, 'other'))} with less {wording.noun(gone, 'is')} left out."
    amount = f"The amount is the {scores.margin.called} they would bring beyond what is expected, if all bought again "
    why = wording.sentences(
        f"{who}." if tested else f"{who} by the model, which no test has borne out.",
        f"{amount}as before; untested." if more >= 1 else "",
        lost if gone and not tested else "", _newcomers(int(write["new"].sum())), note,
    )  # fmt: skip
    return [
        Action(
            what=what, worth=f"up to {wording.rounded_money(more, shop.currency)}" if more >= 1 else "",
            by=wording.working_day(shop.as_of, _WITHIN_DAYS), owner="service", file=f"lists/{WAVERING}.csv",
            count=n, why=why, weight=more,
        )
    ]  # fmt: skip


def _newcomers(n: int) -> str:
    if not n:
        return ""
    who, come = wording.upper(wording.small(n)), wording.noun(n, "comes", "come")
    return f"{who} {wording.noun(n, 'was', 'were')} still more likely than not to order 30 days ago and {come} first."


def _sentence(found: Outlooks, scores: Scores) -> str:
    if not found.stopped:
        return f"None is more likely than not to stay away for the {scores.ahead}."
    gone = f"{formats.number(found.gone)} almost certainly for good" if found.gone else ""
    still = f"{formats.number(found.wavering)} {wording.noun(found.wavering, 'is')} wavering" if found.wavering else ""
    advice = "; don't spend calls on those who are gone" if found.gone and found.wavering else ""
    return f"{wording.upper(wording.listed(filter(None, [gone, still])))}{advice}."


def _signals(found: Outlooks, *, tested: bool) -> list[Signal]:
    if found.stopped * 2 <= found.best:
        return []
    said = "have probably stopped" if tested else "may have stopped"
    gone = "Most of your best customers should order again."
    if not tested:
        gone = "Most of your best customers are likelier to order again than not."
    return [Signal(id="best_stopped", text=f"More than half of your best customers {said}.", gone=gone)]


def _chart(found: Outlooks, scores: Scores, *, doubt: str) -> figures.Chart:
    edges = np.linspace(0, 1, 11)
    names = [f"{round(100 * low)}–{round(100 * low + 10)}%" for low in edges[:-1]]
    counts = np.histogram(1 - scores.best["p_no_order"], bins=edges)[0]
    classes = pd.DataFrame({"chance": names, "customers": counts})
    rows = [("should order again", found.best - found.stopped, False), ("wavering", found.wavering, True),
            ("almost certainly gone", found.gone, False)]  # fmt: skip
    caption = f"Wavering: 10 to 50% likely to order in the {scores.ahead}."
    if doubt:
        rows = [("likelier to order than not", found.best - found.stopped, False),
                ("may have stopped", found.stopped, True)]  # fmt: skip
        caption = "May have stopped: under 50% likely to order, by a model that no test has borne out."
        caption = caption if found.stopped else ""
    return figures.bars(
        pd.DataFrame(rows, columns=["who", "customers", "strong"]),
        label="who", value="customers", strong="strong", what="best customers", form=formats.number,
        caption=f"Best {formats.share(BEST_SHARE)} by past {scores.best_by}. {caption}".rstrip(),
        table=figures.tabulate(
            classes,
            caption=f"Best customers by {doubt or 'their chance'} to order in the {scores.ahead}",
            labels={"chance": "Chance", "customers": "Customers"}, formats={"customers": formats.number},
        ),
    )  # fmt: skip


def part_wholesale(scores: Scores, *, shop: Shop, tested: bool = True) -> Part | None:
    """The wholesale buyers, whose orders are far larger than anybody else's: a list, and what hangs on them.

    What they should bring is said where a forecast so long was `tested`.
    """
    people = scores.customers[scores.customers["wholesale"]]
    if people.empty:
        return None
    people = people.sort_values(["past_revenue", "customer_id"], ascending=[False, True], ignore_index=True)
    value, whole = people["expected_value"].sum(), scores.customers["expected_value"].sum()
    part = f": {formats.share(value / whole)} of expected {scores.margin.called}" if whole > 0 and tested else ""
    who = "wholesale customer" if len(people) == 1 else wording.counted(len(people), "wholesale customer")
    worth = "" if part or not tested else wording.rounded_money(float(value), shop.currency)
    may = contactable(shop, people[_COLUMNS], name=WHOLESALE)
    action = Action(
        what=f"Look after your {who}{part}", worth=worth, by=wording.working_day(shop.as_of, _WITHIN_DAYS),
        owner="sales", file=f"lists/{WHOLESALE}.csv" if len(may.frame) else "",
        count=len(people), weight=max(float(people["if_active"].sum() - value), 0.0) if tested else 0.0,
        why="Their orders are far larger than anybody else's, so they are counted apart and forecast at their own "
        f"average. {may.note}",
    )  # fmt: skip
    return Part(actions=[action], lists={WHOLESALE: may.frame} if len(may.frame) else {})
