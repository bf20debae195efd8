"""Who bought one product of a pair and never the other, and what may they be written to about?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import wording
from crmlib.analysis.baskets.facts import Baskets, Ints, tally
from crmlib.analysis.baskets.mining import column_sums
from crmlib.analysis.baskets.relatives import related
from crmlib.analysis.outreach import LEAVE, WRITE, contactable, lots
from crmlib.findings import Action, Part

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

Flags = NDArray[np.bool_]

OWNERS = "owns_one_side"  # lists/owns_one_side.csv
FRESH = timedelta(days=30)  # that a list or a pair is good for
COLUMNS = ("customer_id", "lot", "owns_id", "owns", "last_bought", "suggest_id", "suggest", "share", "bestseller_id",
           "bestseller")  # fmt: skip


def owns_not(suggestions: pd.DataFrame, baskets: Baskets, *, shop: Shop) -> pd.DataFrame:
    """Who bought one side of a pair and never the other? One row a customer, the pair most often taken together first.

    Columns customer_id, lot ('write' or 'leave alone', by the shop's key: what writing adds is told by the half left
    alone), owns_id, owns, last_bought (day), suggest_id, suggest, share (of baskets with the one that hold
    the other), bestseller_id, bestseller (the most popular item this customer never bought). Guests are not in it.
    """
    if suggestions.empty or not baskets.customer_ids:
        return pd.DataFrame(columns=list(COLUMNS))
    has = owned(baskets)
    chosen, shown, wanted = one_side(suggestions, baskets.ids, has)
    best = best_not_owned(has[chosen], by_popularity(baskets))
    customers = [baskets.customer_ids[c] for c in chosen]
    share = dict(zip(suggestions["pair"], suggestions["share"], strict=True))
    table = pd.DataFrame({"customer_id": customers, "lot": lots(customers, shop=shop)})
    for name, items in (("owns", shown), ("suggest", wanted), ("bestseller", best)):
        table[f"{name}_id"], table[name] = [baskets.ids[i] for i in items], [baskets.names[i] for i in items]
    table["last_bought"] = _last_bought(baskets, chosen, shown)
    table["share"] = [share[min(a, b), max(a, b)] for a, b in zip(shown.tolist(), wanted.tolist(), strict=True)]
    return table[list(COLUMNS)].sort_values(["share", "customer_id"], ascending=[False, True], ignore_index=True)


def replaces_owned(
    owners: pd.DataFrame, baskets: Baskets, *, column: str, replaced: pd.DataFrame | None = None
) -> Flags:
    """Whose item in `column` ('suggest', 'bestseller') is only another size or set of what they own, or replaces it?

    `replaced` is the table of substitutes, with first and second (names). One flag a row of owners.
    """
    wanted, who = list(owners[f"{column}_id"]), list(owners["customer_id"])
    names, place = pd.Index(baskets.names), pd.Index(baskets.ids)
    pairs = replaced[["first", "second"]] if replaced is not None else pd.DataFrame(columns=["first", "second"])
    ends = [names.get_indexer(list(pairs[side])) for side in ("first", "second")]
    customers, has = pd.Index(baskets.customer_ids).get_indexer(who), owned(baskets)
    answer = np.zeros(len(owners), dtype=bool)
    for item in sorted(set(place.get_indexer(wanted))):
        alike = [other for other in range(len(place)) if other != item and related(baskets, item, other)]
        alike += [b if a == item else a for a, b in zip(*ends, strict=True) if item in (a, b)]
        rows = np.flatnonzero(place.get_indexer(wanted) == item)
        answer[rows] = has[np.ix_(customers[rows], np.array(alike, dtype=np.int64))].any(axis=1)
    return answer


def part_owners(
    owners: pd.DataFrame, baskets: Baskets, *, matching: bool | None, shop: Shop, replaced: pd.DataFrame | None = None
) -> Part:
    """The list of owners who may be written to, about the `matching` product or a bestseller; nothing to see.

    Left out is who owns another size of that product, or one of the `replaced` pairs with it. None writes to nobody:
    neither was clearly bought more often.
    """
    column = "suggest" if matching else "bestseller"
    off = replaces_owned(owners, baskets, column=column, replaced=replaced)
    people = contactable(shop, owners[~off].assign(reason="bought " + owners["owns"]), name=OWNERS)
    write = int((people.frame["lot"] == WRITE).sum()) if matching is not None else 0
    alike = ""
    if off.any():
        alike = f"{wording.upper(wording.counted(int(off.sum()), 'customer'))} who "
        alike += f"{wording.noun(int(off.sum()), 'owns', 'own')} one that replaces it "
        alike += f"{wording.noun(int(off.sum()), 'is')} left out. "
    action = Action(
        what=f"E-mail {wording.counted(write, 'customer')} about "
        f"{'the matching product' if matching else 'a bestseller'}",
        worth="untested",
        by=wording.working_day(shop.as_of, FRESH.days) if write else None,
        owner="marketing",
        file=f"lists/{OWNERS}.csv",
        count=write,
        why="They own one product of a pair; what to write about is in column "
        f"{column}. {alike}Those marked '{LEAVE}' show what the e-mail adds. {people.note}",
    )
    definition = "Customers who bought one side of a suggested pair and never the other."
    count, known = len(owners), len(baskets.customer_ids)
    metric = tally("owners", "Customers with one product of a pair", count, known, definition, unit="customers")
    return Part(metrics=[metric], actions=[action] if write else [], lists={OWNERS: people.frame})


def owned(baskets: Baskets) -> Flags:
    """Known customers × items: has this customer ever bought it?"""
    known = np.flatnonzero(baskets.customers < len(baskets.customer_ids))
    answer = np.zeros((len(baskets.customer_ids), len(baskets.ids)), dtype=bool)
    held = baskets.held[known].tocoo()
    answer[baskets.customers[known][held.row], held.col] = True
    return answer


def one_side(pairs: pd.DataFrame, ids: tuple[str, ...], has: Flags) -> tuple[Ints, Ints, Ints]:
    """For everybody with a side of a pair and not the other: customer, the side owned, the side to suggest."""
    place = {item: position for position, item in enumerate(ids)}
    ordered = pairs.sort_values("share", ascending=False, kind="stable")
    shown, wanted = (np.full(len(has), -1, dtype=np.int64) for _ in range(2))
    for a, b in zip(ordered["item_id"], ordered["suggest_id"], strict=True):
        first, second = place[a], place[b]
        here = has[:, first] & ~has[:, second] & (shown < 0)
        shown[here], wanted[here] = first, second
    chosen = np.flatnonzero(shown >= 0)
    return chosen, shown[chosen], wanted[chosen]


def by_popularity(baskets: Baskets) -> Ints:
    """The items' positions, those in most baskets first."""
    return np.argsort(-column_sums(baskets.held), kind="stable")


def best_not_owned(has: Flags, best: Ints) -> Ints:
    """The first of `best` that each row does not own; the very first for somebody who owns everything."""
    return np.asarray(best[np.argmin(has[:, best], axis=1)])


def _last_bought(baskets: Baskets, customers: Ints, items: Ints) -> list[object]:
    held = baskets.held.tocoo()
    bought = pd.DataFrame(
        {"customer": baskets.customers[held.row], "item": held.col, "day": baskets.days.to_numpy()[held.row]}
    )
    last = bought.groupby(["customer", "item"])["day"].max()
    return list(last.reindex(pd.MultiIndex.from_arrays([customers, items])).dt.date)
