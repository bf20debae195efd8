"""What is bought after what: B in a later basket of the same customer, within a window after A?

Activity, taste and season would all put B after A. Each customer is therefore compared with himself: how often B came
after A, against how often it came before A within the same time. Order within a customer is what is left. A rising or
a seasonal item would come after everything, so both counts are held against what the items' sales in each month and
size of basket would give. So would an item that something else brings, such as a refill: it is rare in first orders, and
hence late beside whatever its buyers hold. What an item is late beside most others is taken off too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy import stats as distributions

from crmlib import figures, formats, stats, wording
from crmlib.analysis.baskets import clusters
from crmlib.analysis.baskets.facts import Baskets, Floats, Ints, Matrix
from crmlib.analysis.baskets.relatives import related
from crmlib.analysis.baskets.rules import LEAST_CUSTOMERS, Rules
from crmlib.analysis.outreach import WRITE, contactable, lots
from crmlib.findings import Action, Chart, Metric, Part

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

COLUMNS = ("pair", "first", "then", "relation", "after", "before", "customers", "times", "times_low", "times_high",
           "share_after", "share_any", "baskets_first", "p_value", "q_value")  # fmt: skip
REMINDERS = "reminders"  # lists/reminders.csv, by whose name its lots are drawn
_CHUNK = 200
_FRESH = 7  # days in which a reminder is still one


@dataclass(frozen=True)
class Sequences:
    """What comes after what. `why` says why nothing could be compared, else ''.

    table     one row a sequence found, clearest first: pair (positions), first, then (names), relation, after (times that
              then was in a later basket within the window), before (that it was in an earlier one), customers, times (after
              over before, beyond what sales and each item's lateness give) with its range, share_after (of the baskets with first that a later one
              with then followed), share_any (the same of all baskets, first or not), baskets_first (baskets the share is of:
              known customers', with the whole window over), p_value, q_value
    searched  pairs of items compared, each in both directions at once
    """

    table: pd.DataFrame
    window_days: int
    searched: int
    why: str = ""

    def __repr__(self) -> str:
        return self.why or f"Sequences({len(self.table)} found among {self.searched:,} pairs, {self.window_days} days)"


def sequences(
    baskets: Baskets, rules: Rules, *, window_days: int = 60, least_customers: int = LEAST_CUSTOMERS
) -> Sequences:
    """Which items come after others within `window_days`, more often than before them, beyond how late each is beside all others?

    An event is a pair of baskets of one customer on two days at most `window_days` apart. Tested by the binomial share of
    events in which the order is A, B, and by a t-test with customers as clusters, whichever is less sure; Benjamini and
    Hochberg over all pairs of frequent items, two-sided. At least `least_customers` customers showed the sequence.
    """
    empty = pd.DataFrame(columns=list(COLUMNS))
    if baskets.days.isna().any() or not baskets.customer_ids:
        why = "Orders have no days or no customers here, so what comes after what cannot be seen."
        return Sequences(table=empty, window_days=window_days, searched=0, why=why)
    items = np.flatnonzero(np.asarray(baskets.held.sum(axis=0)).ravel() >= rules.least)
    follows = later_baskets(baskets, window_days=window_days)
    held = sparse.csr_array(baskets.held[:, items])
    after_it = sparse.csr_array(follows @ held)  # in how many later baskets of the window is each item
    events = (held.T @ after_it).toarray().astype(np.int64)
    searched = len(items) * (len(items) - 1) // 2
    if not events.sum():
        return Sequences(table=empty, window_days=window_days, searched=searched)

    # What sales alone would give: shares of each month's and size's baskets, on both sides of each pair of baskets.
    stratum = pd.factorize(
        baskets.months.astype(str) + " " + pd.Series(baskets.classes.astype(str), baskets.months.index)
    )[0]
    count = np.bincount(stratum)
    inside = sparse.csr_array((np.ones(baskets.n), (stratum, np.arange(baskets.n))), shape=(len(count), baskets.n))
    share = (inside @ held).toarray() / count[:, None]
    expected = share.T @ ((inside @ follows) @ inside.T @ share)
    late = np.exp(lateness(events, expected))
    expected = expected * np.sqrt(late[None, :] / late[:, None])

    first, then = np.nonzero(events + events.T > 0)
    once = (first < then) & (expected[first, then] > 0) & (expected[then, first] > 0)
    first, then = first[once], then[once]
    forward, back = events[first, then], events[then, first]
    by_sales = expected[first, then] / (expected[first, then] + expected[then, first])
    p = 2 * np.minimum(
        distributions.binom.cdf(forward, forward + back, by_sales),
        distributions.binom.sf(forward - 1, forward + back, by_sales),
    )
    hopeful = np.flatnonzero(stats.adjust(np.minimum(p, 1.0), method="fdr_bh", searched=searched) <= rules.rate)
    if not len(hopeful):
        return Sequences(table=empty, window_days=window_days, searched=searched)
    first, then, forward, back, p = (values[hopeful] for values in (first, then, forward, back, p))
    # Read each in the direction that is more frequent than sales alone.
    turned = forward / np.maximum(forward + back, 1) < by_sales[hopeful]
    first, then = np.where(turned, then, first), np.where(turned, first, then)
    forward, back = np.where(turned, back, forward), np.where(turned, forward, back)
    by_sales = np.where(turned, 1 - by_sales[hopeful], by_sales[hopeful])

    se, freedom, low, high = (np.empty(len(first)) for _ in range(4))
    customers, followed = np.empty(len(first), dtype=np.int64), np.empty(len(first))
    # A guest's basket is never seen to be followed, nor one whose time is not over.
    whole = np.flatnonzero(closed(baskets, window_days=window_days))
    counted = np.asarray(held[whole].sum(axis=0)).ravel()
    anyhow = np.asarray((after_it[whole] > 0).sum(axis=0)).ravel() / max(len(whole), 1)
    who = clusters.by_customer(baskets)
    by_item, by_after = sparse.csc_array(held), sparse.csc_array(after_it)
    for start in range(0, len(first), _CHUNK):
        piece = slice(start, start + _CHUNK)
        a, b = first[piece], then[piece]
        ahead = by_item[:, a].multiply(by_after[:, b])
        behind = by_item[:, b].multiply(by_after[:, a])
        ahead_by, behind_by = (who @ ahead).toarray(), (who @ behind).toarray()
        # What each customer brings beyond what sales give.
        se[piece], freedom[piece] = clusters.errors(ahead_by * (1 - by_sales[piece]) - behind_by * by_sales[piece])
        low[piece], high[piece] = order_range(ahead_by, behind_by, by_sales[piece])
        customers[piece] = (ahead_by > 0).sum(axis=0)
        followed[piece] = np.asarray((ahead > 0).tocsr()[whole].sum(axis=0)).ravel() / np.maximum(counted[a], 1)
    # Tested as if there were no order. A test of the logarithm of times would be as unsure as the few events on the wrong
    # side are, which is where a sequence is clearest.
    total = forward + back
    distance = (forward - total * by_sales) / np.maximum(se, np.sqrt(total * by_sales * (1 - by_sales)))
    p = np.maximum(np.minimum(p, 1.0), 2 * distributions.t.sf(distance, freedom))
    # Half an event on either side, so that 'never before' has a number.
    times = (forward + 0.5) / (back + 0.5) * (1 - by_sales) / by_sales
    pairs = [(int(items[a]), int(items[b])) for a, b in zip(first, then, strict=True)]
    table = pd.DataFrame(
        {
            "pair": pairs,
            "first": [baskets.names[a] for a, _ in pairs],
            "then": [baskets.names[b] for _, b in pairs],
            "relation": [related(baskets, a, b) for a, b in pairs],
            "after": forward,
            "before": back,
            "customers": customers,
            "times": times,
            "times_low": low,
            "times_high": high,
            "share_after": np.where(counted[first] > 0, followed, np.nan),
            "share_any": anyhow[then],
            "baskets_first": counted[first].astype(np.int64),
            "p_value": p,
            "q_value": stats.adjust(p, method="fdr_bh", searched=searched),
        }
    )
    found = (table["q_value"] <= rules.rate) & (table["times_low"] > 1) & (table["customers"] >= least_customers)
    table = table[found].sort_values(["times_low", "pair"], ascending=[False, True], ignore_index=True)
    return Sequences(table=table, window_days=window_days, searched=searched)


def closed(baskets: Baskets, *, window_days: int) -> NDArray[np.bool_]:
    """Which baskets are a known customer's, and had the whole window to be followed in?"""
    last = pd.Timestamp(_as_of(baskets)) - pd.Timedelta(days=window_days)
    return np.asarray((baskets.days < last) & (baskets.customers < len(baskets.customer_ids)))


def reminders(found: Sequences, baskets: Baskets, *, shop: Shop) -> pd.DataFrame:
    """Who bought the first of a sequence within the window and not the second since? One row a customer and sequence.

    Columns customer_id, lot ('write' or 'leave alone', by the shop's key), bought_id, bought, last_bought, remind_of_id,
    remind_of, by (the day the window ends). What comes first of the sequences first, then who must be reminded soonest.
    """
    columns = ["customer_id", "lot", "bought_id", "bought", "last_bought", "remind_of_id", "remind_of", "by"]
    window, parts = pd.Timedelta(days=found.window_days), []
    for first, then in found.table["pair"]:
        bought, since = (_last_day(baskets, item) for item in (first, then))
        due = bought[bought + window >= pd.Timestamp(_as_of(baskets))]
        due = due[~(since.reindex(due.index) >= due)].sort_values(kind="stable")
        ids = [baskets.customer_ids[customer] for customer in due.index]
        parts.append(
            pd.DataFrame(
                {
                    "customer_id": ids, "lot": lots(ids, shop=shop, of=REMINDERS), "bought_id": baskets.ids[first],
                    "bought": baskets.names[first], "last_bought": due.dt.date.to_numpy(), "remind_of_id": baskets.ids[then],
                    "remind_of": baskets.names[then], "by": (due + window).dt.date.to_numpy(),
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _last_day(baskets: Baskets, item: int) -> pd.Series[pd.Timestamp]:
    """The last day on which each known customer bought an item, by the customer's number."""
    here = np.flatnonzero(np.asarray(baskets.held[:, [item]].sum(axis=1)).ravel() > 0)
    here = here[baskets.customers[here] < len(baskets.customer_ids)]
    days = pd.Series(baskets.days.to_numpy()[here], index=baskets.customers[here])
    return days.groupby(level=0).max()


def _as_of(baskets: Baskets) -> date:
    return baskets.as_of or baskets.days.max().date() + timedelta(days=1)


def lateness(events: Ints, expected: Floats) -> Floats:
    """By how much each item is later beside most others than sales give: log-odds, 0 where that may be chance.

    The median over partners, weighted by events, so that the few items which do bring or follow it do not move it.
    """
    both = (expected > 0) & (expected.T > 0) & ~np.eye(len(events), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = np.log(events + 0.5) - np.log(events.T + 0.5) - np.log(expected) + np.log(expected.T)
    weight = np.where(both, events + events.T, 0).astype(float)
    order = np.argsort(np.where(both, odds, np.inf), axis=0)
    reached = np.cumsum(np.take_along_axis(weight, order, axis=0), axis=0)
    middle = (reached >= reached[-1] / 2).argmax(axis=0)
    found = np.take_along_axis(odds, np.take_along_axis(order, middle[None, :], axis=0), axis=0)[0]
    found = np.where(reached[-1] > 0, found, 0.0)
    # Twice the chance of a pooled log-odds: a median knows less, and a customer's events are not independent.
    doubt = 2 * (1 / (np.where(both, events, 0).sum(axis=0) + 0.5) + 1 / (np.where(both, events, 0).sum(axis=1) + 0.5))
    return found * np.maximum(1 - doubt / np.maximum(np.square(found), 1e-12), 0.0)


def order_range(ahead: Floats, behind: Floats, by_sales: Floats) -> tuple[Floats, Floats]:
    """The 95 % range of the odds of an order, over the odds that sales alone give it.

    `ahead` and `behind` are the events of each customer, customers × pairs. Jeffreys' range, for as many events as would be
    as sure if each were another customer's.
    """
    forward, back = ahead.sum(axis=0), behind.sum(axis=0)
    share = (forward + 0.5) / (forward + back + 1)
    se = clusters.errors(ahead * (1 - share) - behind * share)[0]
    inflation = np.maximum(1.0, se**2 / ((forward + back) * share * (1 - share)))
    tail = (1 - clusters.CONFIDENCE) / 2
    ends = [distributions.beta.ppf(end, forward / inflation + 0.5, back / inflation + 0.5) for end in (tail, 1 - tail)]
    low, high = (end / (1 - end) * (1 - by_sales) / by_sales for end in ends)
    return low, high


def later_baskets(baskets: Baskets, *, window_days: int) -> Matrix:
    """Baskets × baskets: 1 where the second is the same customer's, 1 to `window_days` days after the first."""
    known = np.flatnonzero(baskets.customers < len(baskets.customer_ids))
    day = baskets.days.to_numpy().astype("datetime64[D]").astype(np.int64)
    order = known[np.lexsort((day[known], baskets.customers[known]))]
    # One number that grows over customers and days, customers further apart than any window.
    gap = int(day.max() - day.min()) + timedelta(days=window_days).days + 1
    place = baskets.customers[order] * gap + day[order] - day.min()
    start = np.searchsorted(place, place, side="right")
    end = np.searchsorted(place, place + window_days, side="right")
    count = end - start
    rows = np.repeat(np.arange(len(order)), count)
    columns = _ranges(start, count)
    return sparse.csr_array(
        (np.ones(len(rows), dtype=np.int32), (order[rows], order[columns])), shape=(baskets.n, baskets.n)
    )


def _ranges(start: Ints, count: Ints) -> Ints:
    """start[0], start[0] + 1, … count[0] of them, then the same of the next."""
    ends = np.cumsum(count)
    return np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - count, count) + np.repeat(start, count)


def part_sequences(baskets: Baskets, rules: Rules, *, shop: Shop, window_days: int = 60) -> Part:
    """What is bought after what, and who can be reminded of it? Nothing to see where no sequence was found."""
    found = sequences(baskets, rules, window_days=window_days)
    return part_of(found, reminders(found, baskets, shop=shop), rules, shop=shop)


def part_of(found: Sequences, due: pd.DataFrame, rules: Rules, *, shop: Shop) -> Part:
    """The part on sequences and on who is to be reminded of them."""
    table = found.table
    metric = Metric(
        id="sequences", label="Sequences: one bought after the other", value=None if found.why else len(table),
        unit="pairs", n=found.searched or None, definition="Pairs bought in one order more often than in the other within "
        f"{found.window_days} days by the same customers, sales and how late each item is beside all others held equal; "
        f"false-discovery rate {rules.rate:g}.",
    )  # fmt: skip
    tables = {"sequences": table.drop(columns="pair")}
    if table.empty:
        return Part(metrics=[metric], tables=tables)
    people = contactable(shop, due)
    listed = people.frame
    write = int(listed.loc[listed["lot"] == WRITE, "customer_id"].nunique())
    top, actions = table.iloc[0], []
    if write:
        about = f"{top['then']}" if len(table) == 1 else "the product that usually comes next"
        actions = [
            Action(
                what=f"Remind {wording.counted(write, 'customer')} of {about}",
                by=wording.working_day(shop.as_of, _FRESH),
                owner="marketing",
                file=f"lists/{REMINDERS}.csv",
                count=write,
                worth="untested",
                why=f"They bought the first product in the last {found.window_days} days and not the second since. Those "
                f"marked 'leave alone' show what a reminder adds. {people.note}",
            )
        ]
    any_order = formats.share(top["share_any"], digits=0 if top["share_any"] >= 0.015 else 1)
    return Part(
        title=_title(top, found.window_days),
        sentence=f"After any order it is {any_order}. Time a reminder by it; whether it sells more, only a test can tell.",
        chart=_chart(found),
        metrics=[metric],
        tables=tables,
        lists={REMINDERS: listed} if len(due) else {},
        actions=actions,
        method=[
            "Sequences compare each customer with himself: how often B came after A against before it, with sales by month "
            "and basket size, and how late each product is beside all others, held equal."
        ],
    )


def _title(row: pd.Series[float], days: int) -> str:
    share = row["share_after"]
    if not share > 0:
        return f"{row['then']} usually comes after {row['first']}"
    one_in = round(1 / share)
    if 2 <= one_in <= 10 and abs(share * one_in - 1) <= 0.06:
        lead = f"One in {wording.small(one_in)} orders with {row['first']} is"
    else:
        lead = f"{formats.share(share)} of orders with {row['first']} are"
    return f"{lead} followed by {row['then']} within {days} days"


def _chart(found: Sequences) -> Chart:
    named = found.table.assign(name=found.table["first"] + ", then " + found.table["then"])
    return figures.bars(
        named,
        label="name",
        value="share_after",
        what=f"share of orders followed within {found.window_days} days",
        form=formats.share,
        rows=10,
        table=figures.tabulate(
            named,
            caption="What comes in a later order of the same customer",
            labels={"first": "After", "then": "Comes", "share_after": "Follows its orders", "share_any": "Follows any order",
                    "after": "Times after", "before": "Times before", "customers": "Customers",
                    "times": "After over before", "times_low": "From", "times_high": "To"},
            formats=dict.fromkeys(("after", "before", "customers"), formats.number)
            | dict.fromkeys(("share_after", "share_any"), lambda v: formats.share(v, digits=1))
            | dict.fromkeys(("times", "times_low", "times_high"), formats.multiple),
            rows=12,
            file="tables/sequences.csv",
        ),
    )  # fmt: skip
