"""What is bought after what: B in a later basket of the same customer, within a window after A?

Activity, taste and season would all put B after A. Each customer is therefore compared with himself: how often B came
after A, against how often it came before A within the same time. Order within a customer is what is left. A rising or a
seasonal item would come after everything, so both counts are held against what the items' sales in each month and size
of basket would give. So would an item that something else brings, such as a refill: it is rare in first orders, and
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
from crmlib.analysis.baskets.facts import Baskets, Floats, Ints, Matrix, tally
from crmlib.analysis.baskets.mining import column_sums
from crmlib.analysis.baskets.pairs import SHOWN
from crmlib.analysis.baskets.relatives import related
from crmlib.analysis.baskets.rules import LEAST_CUSTOMERS, Rules
from crmlib.analysis.outreach import contactable
from crmlib.findings import Action, Chart, Part

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

COLUMNS = ("pair", "first", "then", "relation", "after", "before", "customers", "times", "times_low", "times_high",
           "share_after", "share_any", "baskets_first", "p_value", "q_value")  # fmt: skip
_REMIND = ("customer_id", "bought_id", "bought", "last_bought", "remind_of_id", "remind_of", "by")
REMINDERS = "reminders"  # lists/reminders.csv
_CHUNK = 200
_FRESH = 7  # days in which a reminder is still one


@dataclass(frozen=True)
class Sequences:
    """What comes after what. `why` says why nothing could be compared, else ''.

    table     one row a sequence found, clearest first: pair (positions), first, then (names), relation, after (times
              that then was in a later basket within the window), before (that it was in an earlier one), customers,
              times (after over before, beyond what sales and each item's lateness give) with its range, share_after (of
              the baskets with first that a later one with then followed), share_any (the same of all baskets, first or
              not), baskets_first (baskets the share is of: known customers', with the whole window over), p_value,
              q_value
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
    """Which items come after others within `window_days`, more often than before them, beyond how late each is beside
    all others?

    An event is a pair of baskets of one customer on two days at most `window_days` apart. Tested by the binomial share
    of events in which the order is A, B, and by a t-test with customers as clusters, whichever is less sure; Benjamini
    and Hochberg over all pairs of frequent items, two-sided. At least `least_customers` customers showed the sequence.
    """
    empty = pd.DataFrame(columns=list(COLUMNS))
    if baskets.days.isna().any() or not baskets.customer_ids:
        why = "Orders have no days or no customers here, so what comes after what cannot be seen."
        return Sequences(table=empty, window_days=window_days, searched=0, why=why)
    seen = _follow(baskets, least=rules.least, window_days=window_days)
    searched = len(seen.items) * (len(seen.items) - 1) // 2
    found = _likely(seen, searched=searched, rate=rules.rate)
    if found.empty:
        return Sequences(table=empty, window_days=window_days, searched=searched)
    found = _measured(found, seen, baskets, whole=np.flatnonzero(closed(baskets, window_days=window_days)))
    found["q_value"] = stats.adjust(found["p_value"], method="fdr_bh", searched=searched)
    pairs = list(zip(seen.items[found["a"]].tolist(), seen.items[found["b"]].tolist(), strict=True))
    found = found.assign(
        pair=pairs,
        first=[baskets.names[a] for a, _ in pairs],
        then=[baskets.names[b] for _, b in pairs],
        relation=[related(baskets, a, b) for a, b in pairs],
    )
    clear = (found["q_value"] <= rules.rate) & (found["times_low"] > 1) & (found["customers"] >= least_customers)
    table = found.loc[clear, list(COLUMNS)]
    table = table.sort_values(["times_low", "pair"], ascending=[False, True], ignore_index=True)
    return Sequences(table=table, window_days=window_days, searched=searched)


@dataclass(frozen=True)
class _Seen:
    """What came after what. items: positions of the frequent ones; held, after: baskets × items, the second in how many
    later baskets of the window; events: items × items, how often the second came after the first; expected: by
    sales."""

    items: Ints
    held: Matrix
    after: Matrix
    events: Ints
    expected: Floats


def _follow(baskets: Baskets, *, least: int, window_days: int) -> _Seen:
    items = np.flatnonzero(column_sums(baskets.held) >= least)
    follows = later_baskets(baskets, window_days=window_days)
    held = sparse.csr_array(baskets.held[:, items])
    after = sparse.csr_array(follows @ held)
    events = (held.T @ after).toarray().astype(np.int64)
    # What sales alone would give: shares of each month's and size's baskets, on both sides of each pair of baskets.
    sizes = pd.Series(baskets.classes.astype(str), baskets.months.index)
    stratum = pd.factorize(baskets.months.astype(str) + " " + sizes)[0]
    count = np.bincount(stratum)
    inside = sparse.csr_array((np.ones(baskets.n), (stratum, np.arange(baskets.n))), shape=(len(count), baskets.n))
    share = (inside @ held).toarray() / count[:, None]
    expected = share.T @ ((inside @ follows) @ inside.T @ share)
    late = np.exp(lateness(events, expected)) if events.any() else np.ones(len(items))
    return _Seen(items, held, after, events, expected * np.sqrt(late[None, :] / late[:, None]))


def _likely(seen: _Seen, *, searched: int, rate: float) -> pd.DataFrame:
    """Pairs of items whose order sales do not explain: a, b (in the more frequent direction), after, before, by_sales
    (the share of a, b by sales), p_count. The test by customers can only raise p."""
    events, expected = seen.events, seen.expected
    a, b = np.nonzero(events + events.T > 0)
    once = (a < b) & (expected[a, b] > 0) & (expected[b, a] > 0)
    a, b = a[once], b[once]
    after, before = events[a, b], events[b, a]
    by_sales = expected[a, b] / (expected[a, b] + expected[b, a])
    n, binom = after + before, distributions.binom
    p = np.minimum(2 * np.minimum(binom.cdf(after, n, by_sales), binom.sf(after - 1, n, by_sales)), 1.0)
    turned = after / np.maximum(n, 1) < by_sales
    table = pd.DataFrame(
        {
            "a": np.where(turned, b, a),
            "b": np.where(turned, a, b),
            "after": np.where(turned, before, after),
            "before": np.where(turned, after, before),
            "by_sales": np.where(turned, 1 - by_sales, by_sales),
            "p_count": p,
        }
    )
    return table[stats.adjust(p, method="fdr_bh", searched=searched) <= rate].reset_index(drop=True)


def _measured(found: pd.DataFrame, seen: _Seen, baskets: Baskets, *, whole: Ints) -> pd.DataFrame:
    """With times and its range, customers, the shares that follow and p_value; `whole` are the baskets shares are
    of."""
    a, b, by_sales = (found[name].to_numpy() for name in ("a", "b", "by_sales"))
    counted = column_sums(seen.held[whole])
    anyhow = np.asarray((seen.after[whole] > 0).sum(axis=0)).ravel() / max(len(whole), 1)
    who = clusters.by_customer(baskets)
    held, later = sparse.csc_array(seen.held), sparse.csc_array(seen.after)
    se, freedom, low, high, followed = (np.empty(len(found)) for _ in range(5))
    customers = np.empty(len(found), dtype=np.int64)
    for start in range(0, len(found), _CHUNK):
        piece = slice(start, start + _CHUNK)
        ahead = held[:, a[piece]].multiply(later[:, b[piece]])
        behind = held[:, b[piece]].multiply(later[:, a[piece]])
        ahead_by, behind_by = (who @ ahead).toarray(), (who @ behind).toarray()
        # What each customer brings beyond what sales give.
        se[piece], freedom[piece] = clusters.errors(ahead_by * (1 - by_sales[piece]) - behind_by * by_sales[piece])
        low[piece], high[piece] = order_range(ahead_by, behind_by, by_sales[piece])
        customers[piece] = (ahead_by > 0).sum(axis=0)
        followed[piece] = column_sums((ahead > 0).tocsr()[whole]) / np.maximum(counted[a[piece]], 1)
    # Tested as if there were no order. A test of the logarithm of times would be as unsure as the few events on the
    # wrong side are, which is where a sequence is clearest.
    after, before = found["after"].to_numpy(), found["before"].to_numpy()
    total = after + before
    distance = (after - total * by_sales) / np.maximum(se, np.sqrt(total * by_sales * (1 - by_sales)))
    return found.assign(
        customers=customers,
        # Half an event on either side, so that 'never before' has a number.
        times=(after + 0.5) / (before + 0.5) * (1 - by_sales) / by_sales,
        times_low=low,
        times_high=high,
        share_after=np.where(counted[a] > 0, followed, np.nan),
        share_any=anyhow[b],
        baskets_first=counted[a].astype(np.int64),
        p_value=np.maximum(found["p_count"], 2 * distributions.t.sf(distance, freedom)),
    )


def closed(baskets: Baskets, *, window_days: int) -> NDArray[np.bool_]:
    """Which baskets are a known customer's, and had the whole window to be followed in?"""
    last = pd.Timestamp(_as_of(baskets)) - pd.Timedelta(days=window_days)
    return np.asarray((baskets.days < last) & (baskets.customers < len(baskets.customer_ids)))


def reminders(found: Sequences, baskets: Baskets) -> pd.DataFrame:
    """Who bought the first of a sequence within the window and not the second since? One row a customer.

    Columns customer_id, bought_id, bought, last_bought, remind_of_id, remind_of, by (the day the window ends). What
    comes first of the sequences first, then who must be reminded soonest; of several sequences a customer is reminded
    of the first.
    """
    window, parts = pd.Timedelta(days=found.window_days), [pd.DataFrame(columns=list(_REMIND))]
    for first, then in found.table["pair"]:
        bought, since = (_last_day(baskets, item) for item in (first, then))
        due = bought[bought + window >= pd.Timestamp(_as_of(baskets))]
        due = due[~(since.reindex(due.index) >= due)].sort_values(kind="stable")
        ids = [baskets.customer_ids[customer] for customer in due.index]
        days, ends = due.dt.date.to_numpy(), (due + window).dt.date.to_numpy()
        named = [words[item] for item in (first, then) for words in (baskets.ids, baskets.names)]
        said = (ids, *named[:2], days, *named[2:], ends)
        parts.append(pd.DataFrame(dict(zip(_REMIND, said, strict=True))))
    everyone = pd.concat(parts[1:] or parts, ignore_index=True)
    return everyone.drop_duplicates("customer_id", ignore_index=True)


def _last_day(baskets: Baskets, item: int) -> pd.Series[pd.Timestamp]:
    """The last day on which each known customer bought an item, by the customer's number."""
    here = np.flatnonzero(
        (column_sums(baskets.held[:, [item]].T) > 0) & (baskets.customers < len(baskets.customer_ids))
    )
    return pd.Series(baskets.days.to_numpy()[here], index=baskets.customers[here]).groupby(level=0).max()


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

    `ahead` and `behind` are the events of each customer, customers × pairs. Jeffreys' range, for as many events as
    would be as sure if each were another customer's.
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
    columns = np.arange(len(rows)) + np.repeat(start - np.cumsum(count) + count, count)
    return sparse.csr_array(
        (np.ones(len(rows), dtype=np.int32), (order[rows], order[columns])), shape=(baskets.n, baskets.n)
    )


def part_sequences(baskets: Baskets, rules: Rules, *, shop: Shop, window_days: int = 60) -> Part:
    """What is bought after what, and who can be reminded of it? Nothing to see where no sequence was found."""
    found = sequences(baskets, rules, window_days=window_days)
    return part_of(found, reminders(found, baskets), rules, shop=shop)


def part_of(found: Sequences, due: pd.DataFrame, rules: Rules, *, shop: Shop) -> Part:
    """The part on sequences and on who is to be reminded of them."""
    table = found.table
    metric = tally(
        "sequences", "Sequences: one bought after the other", None if found.why else len(table), found.searched or None,
        f"Pairs bought in one order more often than in the other within {found.window_days} days by the same "
        "customers, sales and how late each item is beside all others held equal; false-discovery rate "
        f"{rules.rate:g}.",
    )  # fmt: skip
    tables = {"sequences": table.drop(columns="pair")}
    if table.empty:
        return Part(metrics=[metric], tables=tables)
    people = contactable(shop, due.assign(reason="bought " + due["bought"]), name=REMINDERS)
    listed = people.frame
    write = len(people.write)
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
                why=f"They bought the first product in the last {found.window_days} days and not the second since. "
                f"{people.note}",
            )
        ]
    return Part(
        title=_title(top, found.window_days),
        sentence=_sentence(top),
        chart=_chart(found),
        metrics=[metric],
        tables=tables,
        lists={REMINDERS: listed} if len(due) else {},
        actions=actions,
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


def _sentence(row: pd.Series[float]) -> str:
    test = "Time a reminder by it, and test it."
    if not row["share_after"] > 0:
        return f"It came {row['after']:,} times after and {row['before']:,} times before. {test}"
    any_order = formats.share(row["share_any"], digits=0 if row["share_any"] >= 0.015 else 1)
    return f"After any order it is {any_order}. {test}"


def _chart(found: Sequences) -> Chart:
    named = found.table.assign(name=found.table["first"] + ", then " + found.table["then"])
    behind = figures.tabulate(
        named,
        caption="What comes in a later order of the same customer",
        labels={"first": "After", "then": "Comes", "share_after": "After its orders", "share_any": "After any order",
                "after": "Times after", "before": "Times before", "customers": "Customers", "times": "Times as often",
                "times_low": "From", "times_high": "To"},
        formats=dict.fromkeys(("after", "before", "customers"), formats.number)
        | dict.fromkeys(("share_after", "share_any"), formats.share)
        | dict.fromkeys(("times", "times_low", "times_high"), formats.multiple),
        rows=12,
        file="tables/sequences.csv",
    )  # fmt: skip
    seen = named[named["share_after"].notna()]
    what = f"share of orders followed within {found.window_days} days"
    return figures.bars(
        seen, label="name", value="share_after", what=what, form=formats.share, rows=SHOWN, table=behind
    )
