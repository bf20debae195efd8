"""What may customers be written to about, given what they have?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import wording
from crmlib.analysis.baskets.facts import Baskets, Flags, Ints, tally
from crmlib.analysis.baskets.mining import cells, column_sums
from crmlib.analysis.baskets.nextitem import because, households, likeness, next_items, owned
from crmlib.analysis.baskets.relatives import relatives
from crmlib.analysis.outreach import contactable, lots, shows
from crmlib.findings import Action, Part

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

OWNERS = "owns_one_side"  # lists/owns_one_side.csv
ACTIVE = pd.Timedelta(days=365)  # customers who bought nothing for longer are written to by nobody
FRESH = timedelta(days=30)  # that a list or a pair is good for
COLUMNS = ("customer_id", "lot", "owns_id", "owns", "tested", "last_bought", "suggest_id", "suggest", "share",
           "bestseller_id",
           "bestseller")  # fmt: skip


def owns_not(suggestions: pd.DataFrame, baskets: Baskets, *, shop: Shop) -> pd.DataFrame:
    """What could each customer be written to about? One row a customer of the last twelve months, the likest first.

    What is suggested goes best with all he ever bought (`nextitem`), and he never bought it. Columns customer_id, lot
    ('write' or 'leave alone', by the shop's key: what writing adds is told by those left alone), owns_id, owns (what
    it goes with: an item of a tested pair where there is one), tested, last_bought (day), suggest_id, suggest, share
    (of baskets with the one that hold the other), bestseller_id, bestseller (the most popular item this customer never
    bought). Guests are not in it.
    """
    last = baskets.days.groupby(baskets.customers).max() if baskets.customer_ids else pd.Series(dtype="datetime64[ns]")
    last = last[(last.index < len(baskets.customer_ids)) & (last > last.max() - ACTIVE)]
    has = owned(baskets)
    here = last.index.to_numpy(dtype=np.int64)
    here = here[np.diff(has.indptr)[here] > 0]
    if suggestions.empty or not len(here):
        return pd.DataFrame(columns=list(COLUMNS))
    has, tested = has[here], set(suggestions["pair"])
    alike = likeness(households(baskets))
    wanted, best = next_items(alike, has, popular=by_popularity(baskets))
    shown = because(alike, has, wanted, tested=tested)
    customers = [baskets.customer_ids[c] for c in here]
    table = pd.DataFrame({"customer_id": customers, "lot": lots(customers, shop=shop)})
    for name, items in (("owns", shown), ("suggest", wanted), ("bestseller", best)):
        table[f"{name}_id"], table[name] = [baskets.ids[i] for i in items], [baskets.names[i] for i in items]
    table["last_bought"] = list(last.reindex(here).dt.date)
    table["tested"] = [(min(pair), max(pair)) in tested for pair in zip(shown.tolist(), wanted.tolist(), strict=True)]
    joint = cells(baskets.held.T @ baskets.held, shown, wanted)
    table["share"] = joint / np.maximum(column_sums(baskets.held)[shown], 1)
    # Who has all items has nothing left to be told of.
    left = np.diff(has.indptr) < len(baskets.ids)
    table = table.loc[left, list(COLUMNS)]
    return table.sort_values(["tested", "share", "customer_id"], ascending=[False, False, True], ignore_index=True)


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
    for item, kin in relatives(baskets, sorted(set(place.get_indexer(wanted)))).items():
        alike = kin + [b if a == item else a for a, b in zip(*ends, strict=True) if item in (a, b)]
        rows = np.flatnonzero(place.get_indexer(wanted) == item)
        alikes = has[customers[rows]][:, np.array(alike, dtype=np.int64)]
        answer[rows] = np.asarray(alikes.sum(axis=1)).ravel() > 0
    return answer


def part_owners(
    owners: pd.DataFrame, baskets: Baskets, *, matching: bool | None, shop: Shop, replaced: pd.DataFrame | None = None
) -> Part:
    """The list of owners who may be written to, about the `matching` product or a bestseller; nothing to see.

    Left out is who owns another size of that product, or one of the `replaced` pairs with it, and whose match is only
    the bestseller they lack. None writes to nobody: neither was clearly bought more often.
    """
    column = "suggest" if matching else "bestseller"
    same = (owners["suggest_id"] == owners["bestseller_id"]).to_numpy() & bool(matching)
    off = replaces_owned(owners, baskets, column=column, replaced=replaced) & ~same
    people = contactable(shop, owners[~(off | same)].assign(reason="bought " + owners["owns"]), name=OWNERS)
    write = len(people.write) if matching is not None else 0
    alike = "".join(
        f"{wording.upper(wording.counted(n, 'customer'))} {who} {wording.noun(n, 'is')} left out. "
        for n, who in ((int(off.sum()), f"who {wording.noun(int(off.sum()), 'owns', 'own')} one that replaces it"),
                       (int(same.sum()), "whose match is only the bestseller")) if n
    )  # fmt: skip
    # What was bought unprompted does not measure letters.
    more, tells = "whether a letter brings more", shows(len(people.write), len(people.frame) - len(people.write))
    more = f"only those left alone can tell {more}" if tells else f"{more} is not known"
    about = "the matching product" if matching else "a bestseller"
    action = Action(
        what=f"E-mail {wording.counted(write, 'customer')} about {about}{people.proviso}", worth="untested",
        owner="marketing", by=wording.working_day(shop.as_of, FRESH.days) if write else None,
        file=f"lists/{OWNERS}.csv", count=write,
        why=f"They bought something in the last year; what to write about is in column {column}. {alike}"
        f"This rests on what people buy next unprompted; {more}. {people.note}",
    )  # fmt: skip
    definition = "Known customers of the last twelve months for whom there is something they never bought."
    count, known = len(owners), len(baskets.customer_ids)
    metric = tally("owners", "Customers something can be suggested to", count, known, definition, unit="customers")
    return Part(metrics=[metric], actions=[action] if write else [], lists={OWNERS: people.frame})


def by_popularity(baskets: Baskets) -> Ints:
    """The items' positions, those in most baskets first."""
    return np.argsort(-column_sums(baskets.held), kind="stable")
