"""Which way do newcomers come? First and last visit before the first order: what was seen, not what caused it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.cohorts.facts import LEAST, UNKNOWN, Newcomers
from crmlib.findings import Part

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_BEFORE_DAYS = 90


def paths(shop: Shop, people: ir.Table) -> ir.Table:
    """Grain: a newcomer of `people` with a touch in the 90 days before the first order.

    Columns customer_id, opening and closing (channel of the first and last touch), visits, lead_days (from the first to
    the order), known_days, second_days. Not enough to say what a channel caused.
    """
    touches = shop.table("touches").select("customer_id", "at", _way="channel")
    rows = people.inner_join(touches, "customer_id")
    rows = rows.filter(
        rows["at"] <= rows["ordered_at"], rows["at"] >= rows["ordered_at"] - ibis.interval(days=_BEFORE_DAYS)
    )
    rows = rows.mutate(_way=rows["_way"].fill_null(UNKNOWN))
    forth = ibis.window(group_by="customer_id", order_by=["at", "_way"])
    back = ibis.window(group_by="customer_id", order_by=[ibis.desc("at"), ibis.desc("_way")])
    rows = rows.mutate(_forth=ibis.row_number().over(forth), _back=ibis.row_number().over(back))
    return rows.group_by("customer_id").aggregate(
        opening=rows["_way"].max(where=rows["_forth"] == 0), closing=rows["_way"].max(where=rows["_back"] == 0),
        visits=rows.count(), known_days=rows["known_days"].max(),
        lead_days=rows["ordered_at"].max().date().delta(rows["at"].min().date(), unit="day").cast("int64"),
        second_days=rows["second_days"].max(),
    )  # fmt: skip


def ways(shop: Shop, found: Newcomers) -> pd.DataFrame:
    """How many newcomers came by which first and last visit?

    Columns opening, closing, n, visits, judged (known for `within_days`), back (of those), newcomers (with a path or
    without) and lead (median days from first visit to order, over all paths); empty where the shop knows no touches.

    >>> ways(store, measure(store))["n"].sum() <= 1e9
    np.True_
    """
    columns = ["opening", "closing", "n", "visits", "judged", "back", "newcomers", "lead"]
    if not shop.has("touches", "channel"):
        return pd.DataFrame(columns=columns)
    rows, within_days = paths(shop, found.people), found.within_days
    judged = rows["known_days"] >= within_days
    counted = rows.group_by("opening", "closing").aggregate(
        n=rows.count(), visits=rows["visits"].sum(), judged=judged.cast("int64").sum(),
        back=(judged & (rows["second_days"] <= within_days).fill_null(False)).cast("int64").sum(),
    )  # fmt: skip
    frame = shop.fetch(counted.order_by(ibis.desc("n"), "opening", "closing"))
    days = shop.fetch(rows.group_by("lead_days").aggregate(n=rows.count()).order_by("lead_days"))
    half = int(np.searchsorted(days["n"].cumsum(), days["n"].sum() / 2))
    return frame.assign(newcomers=found.total, lead=days["lead_days"].iloc[half] if len(days) else np.nan)[columns]


def part_paths(found: pd.DataFrame) -> Part:
    """The finding: how many have a path, where it began and where it ended."""
    n = int(found["n"].sum()) if len(found) else 0
    if n < LEAST:
        return Part()
    grid = found.assign(share=found["n"] / n, opening=found["opening"].map(_name), closing=found["closing"].map(_name))
    same = float(found.loc[found["opening"] == found["closing"], "n"].sum()) / n
    first = found.groupby("opening")["n"].sum().idxmax()
    lead = int(found["lead"].iloc[0])
    within = f"within {wording.counted(lead, 'day')} of" if lead else "on the day of"
    return Part(
        title=f"{formats.share(n / found['newcomers'].iloc[0])} of newcomers were seen before their first order",
        sentence=f"Most paths begin with {_name(first).lower()}; {formats.share(same)} end where they began. "
        f"Half order {within} the first visit seen. Who was seen where does not say what brought them: only a test "
        "with some left out can.",
        detail=True,
        chart=figures.grid(
            grid[grid["opening"].isin(_most(grid, "opening")) & grid["closing"].isin(_most(grid, "closing"))],
            row="opening", column="closing", value="share", form=formats.share, what="share of newcomers with a path",
            across="Last visit", down="First visit",
        ),
    )  # fmt: skip


def _most(grid: pd.DataFrame, name: str) -> list[str]:
    return list(grid.groupby(name)["n"].sum().nlargest(8).index)


def _name(channel: object) -> str:
    text = str(channel).replace("_", " ")
    return text[:1].upper() + text[1:]
