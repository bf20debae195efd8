"""What does a euro of marketing bring back? Margin of the newcomers a channel brought, against what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import figures, formats, wording
from crmlib.analysis.teams.judge import ERROR, LEAST
from crmlib.analysis.teams.measure import Judged
from crmlib.findings import Action, Part
from crmlib.shop.facts import has_costs, net_orders, order_margins

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_YEAR, _BEFORE, _WITHIN_DAYS = 365, 180, 14


@dataclass(frozen=True, kw_only=True)
class Returns:
    """What channels brought back within a year of those they won the year before last, for each unit they cost.

    table   channel, n (newcomers), cost, earned (in their first year), back with low and high (for all channels at
            once), stands (1 pays, −1 does not, 0 cannot be told)
    called  what `earned` holds: margin, or net sales where no costs are known
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    called: str
    currency: str

    def action(self, found: Judged) -> Action | None:
        """What to do about the channel that loses most; None where none is sure to lose."""
        losing = self.table[self.table["stands"] < 0]
        if losing.empty:
            return None
        lost = losing["cost"] - losing["earned"]
        row = losing.loc[lost.idxmax()]
        name = row["channel"].replace("_", " ")
        return Action(
            what=f"Move budget from {name} to channels that pay", owner="marketing", count=int(row["n"]),
            worth=f"about {wording.rounded_money(float(lost.max()), self.currency)} a year", weight=float(lost.max()),
            by=wording.working_day(found.as_of, _WITHIN_DAYS), file="tables/marketing.csv",
            why=f"Those it won brought back {formats.money(row['back'], self.currency, digits=2)} of {self.called} in "
            "their first year for each spent. Some earn more later, some would have come anyway: a pause in half "
            "of the regions tells.",
        )  # fmt: skip


def won(shop: Shop) -> ir.Table:
    """Grain: a channel. Columns channel, n (customers whose first order is 731 to 366 days old), earned (margin of
    their first year, or net sales where no costs are known), squares (of it, by customer). Not enough for months."""
    orders = net_orders(shop).filter(lambda t: t["customer_id"].notnull())
    first = orders.group_by("customer_id").aggregate(first=orders["day"].min())
    if has_costs(shop):
        money = order_margins(shop).select("customer_id", "day", money=lambda t: t["margin"].fill_null(0.0))
    else:
        money = orders.select("customer_id", "day", money=orders["revenue"].cast("float64").fill_null(0.0))
    rows = money.inner_join(first, "customer_id")
    rows = rows.filter(rows["day"].delta(rows["first"], unit="day") < _YEAR)
    each = rows.group_by("customer_id", "first").aggregate(_money=rows["money"].sum())
    people = shop.table("customers").select("customer_id", channel=lambda t: t["acquisition_channel"].strip())
    each = each.inner_join(people.filter(people["channel"].notnull()), "customer_id")
    end = shop.as_of - timedelta(days=_YEAR)
    begin = ibis.literal(end - timedelta(days=_YEAR))
    each = each.filter((each["first"] >= begin) & (each["first"] < ibis.literal(end)))
    return each.group_by("channel").aggregate(
        n=each.count(), earned=each["_money"].sum(), squares=(each["_money"] ** 2).sum()
    )


def spent(shop: Shop) -> ir.Table:
    """Grain: a channel with acquisition costs of the same year. Columns channel, cost."""
    end = shop.as_of - timedelta(days=_YEAR)
    costs = shop.table("costs").filter(lambda t: (t["kind"].lower() == "acquisition").fill_null(False))
    day = costs["valid_from"].date()
    inside = (day >= ibis.literal(end - timedelta(days=_YEAR))) & (day < ibis.literal(end))
    rows = costs.filter(inside & costs["acquisition_channel"].notnull())
    return rows.group_by(channel=rows["acquisition_channel"].strip()).aggregate(
        cost=rows["amount"].sum().cast("float64")
    )


def returns(shop: Shop) -> Returns | None:
    """What did each channel bring back of what it cost? None where the shop does not say, or not for long enough.

    The customers of a whole year, each seen for a whole year; a history that begins under half a year before them
    would take old customers for new ones. Ranges by the customers' own spread, costs as they are billed.

    >>> sorted(returns(store).table.columns)
    ['back', 'channel', 'cost', 'earned', 'high', 'low', 'n', 'stands']
    """
    if not (shop.has("costs", "valid_from", "acquisition_channel") and shop.has("customers", "acquisition_channel")
            and shop.has("orders", "customer_id")):  # fmt: skip
        return None
    begun = shop.fetch(net_orders(shop).aggregate(day=lambda t: t["day"].min()))["day"].iloc[0]
    if pd.isna(begun) or (shop.as_of - pd.Timestamp(begun).date()).days < 2 * _YEAR + _BEFORE:
        return None
    table = shop.fetch(won(shop)).merge(shop.fetch(spent(shop)), on="channel")
    table = table[(table["n"] >= LEAST) & (table["cost"] > 0)].sort_values("channel").reset_index(drop=True)
    if table.empty:
        return None
    n = table["n"].to_numpy(float)
    spread = np.sqrt(np.maximum(table["squares"] / n - (table["earned"] / n) ** 2, 0) * n) / table["cost"]
    z = distributions.norm.isf(ERROR / 2 / len(table))
    back = table["earned"] / table["cost"]
    table = table.assign(back=back, low=back - z * spread, high=back + z * spread).drop(columns="squares")
    table["stands"] = (table["low"] > 1).astype(int) - (table["high"] < 1).astype(int)
    return Returns(table=table, called="margin" if has_costs(shop) else "net sales", currency=shop.currency)


def part_returns(found: Returns | None) -> Part:
    """The finding: which channels bring back what they cost, which do not."""
    if found is None:
        return Part()

    def money(value: float) -> str:
        return formats.money(value, found.currency, digits=0 if value == 1 else 2)

    table = found.table.assign(name=[name.replace("_", " ") for name in found.table["channel"]])
    losing = list(table.loc[table["stands"] < 0, "name"])
    head = "No channel is sure to lose money in a customer's first year"
    if losing:
        does = wording.noun(len(losing), "does", "do")
        head = f"{wording.upper(wording.listed(losing, most=3))} {does} not earn back the cost in a year"
    whole = money(table["earned"].sum() / table["cost"].sum())
    table["label"] = [f"{wording.upper(row.name)} ({wording.counted(int(row.n), 'newcomer')})"
                      for row in table[["name", "n"]].itertuples(index=False, name="Row")]  # fmt: skip
    return Part(
        title=head, tables={"marketing": found.table},
        sentence=f"In sum {money(1)} brought back {whole} of {found.called} in the first year. Who would have come "
        "anyway is in it: only a test tells, and none of a channel is in the data.",
        chart=figures.dots(
            table.assign(strong=table["stands"] != 0), label="label", value="back", low="low", high="high",
            reference=1.0, strong="strong", form=money, what=f"{found.called} brought back for {money(1)}",
        ),
        method=["Marketing: newcomers of a year, each followed for a year; 95% ranges that hold for all channels at "
                "once. What platforms claim is in no table: costs with the sales each claims would show by how much "
                "their sum exceeds the shop's."],
    )  # fmt: skip
