"""What does a euro of marketing bring back? Margin of the newcomers a channel brought, against what it cost."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import figures, formats, wording
from crmlib.analysis.teams.judge import ERROR, LEAST
from crmlib.analysis.teams.measure import Judged
from crmlib.findings import Action, Part
from crmlib.shop.facts import contact_cost, has_costs, net_orders, order_margins, sales
from crmlib.shop.shop import Shop

_YEAR, _BEFORE, _WITHIN_DAYS = 365, 180, 14
_COLUMNS = ["channel", "n", "cost", "earned", "back", "low", "high", "stands"]


@dataclass(frozen=True, kw_only=True)
class Returns:
    """What channels brought back within a year of those they won the year before last, for each unit they cost.

    table   channel, n (newcomers), cost, earned (in their first year), back with low and high (for all channels at
            once), stands (1 pays, −1 does not, 0 cannot be told)
    called  what `earned` holds: margin, or net sales where no costs are known
    tests   experiments that name a channel of the table: channel -> their names
    year    of the last year: kind (acquisition, campaign, contact) -> what it cost; a contact cost is of one contact,
            and so NaN where the shop keeps no touches that were sent
    claimed what channels and campaigns say they sold in that year, NaN where none says; sold: what the shop did
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    called: str
    currency: str
    tests: dict[str, list[str]] = field(default_factory=dict)
    year: dict[str, float] = field(default_factory=dict)
    claimed: float = float("nan")
    sold: float = 0.0

    def action(self, found: Judged) -> Action | None:
        """What to do about the channel that loses most; None where none is sure to lose."""
        losing = self.table[self.table["stands"] < 0]
        if losing.empty:
            return None
        lost = losing["cost"] - losing["earned"]
        row = losing.loc[lost.idxmax()]
        name = row["channel"].replace("_", " ")
        tells = "its test is on the experiments page" if row["channel"] in self.tests else (
            "a pause in half of the regions tells"
        )  # fmt: skip
        return Action(
            what=f"Move budget from {name} to channels that pay", owner="marketing", count=int(row["n"]),
            worth=f"about {wording.rounded_money(float(lost.max()), self.currency)} a year", weight=float(lost.max()),
            by=wording.working_day(found.as_of, _WITHIN_DAYS), file="tables/marketing.csv",
            why=f"Those it won brought back {formats.money(row['back'], self.currency, digits=2)} of {self.called} in "
            f"their first year for each spent. Some earn more later, some would have come anyway: {tells}.",
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


def billed(shop: Shop) -> ir.Table:
    """Grain: a kind of marketing cost, of the last year. Columns kind, cost, claimed (sales its rows say they made)."""
    rows = shop.table("costs").mutate(kind=lambda t: t["kind"].strip().lower(), _day=lambda t: t["valid_from"].date())
    rows = rows.filter(rows["kind"].isin(["acquisition", "campaign"]), rows["_day"] >= _begin(shop))
    return rows.group_by("kind").aggregate(
        cost=rows["amount"].sum().cast("float64"), claimed=rows["claimed"].sum().cast("float64")
    )


def _begin(shop: Shop) -> ir.DateScalar:
    return ibis.literal(shop.as_of - timedelta(days=_YEAR))


def returns(shop: Shop) -> Returns | None:
    """What did marketing bring back of what it cost, channel by channel and in all? None without dated costs.

    `table` is empty where no channel can be judged. The customers of a whole year, each seen for a whole year; a
    history that begins under half a year before them would take old customers for new ones. Ranges by the customers'
    own spread, costs as they are billed.

    >>> sorted(returns(store).table.columns)
    ['back', 'channel', 'cost', 'earned', 'high', 'low', 'n', 'stands']
    """
    if not (shop.has("costs", "valid_from") and shop.has("orders")):
        return None
    bills = shop.fetch(billed(shop)).sort_values("kind")
    year, sold = dict(zip(bills["kind"], bills["cost"], strict=True)), sales(shop)
    if one := contact_cost(shop):
        year["contact"] = one * _sent(shop)
    if not year:
        return None
    lately = shop.fetch(sold.filter(sold["day"] >= _begin(shop)).aggregate(sold=sold["revenue"].sum().cast("float64")))
    table = _judged(shop)
    return Returns(table=table, called="margin" if has_costs(shop) else "net sales", currency=shop.currency,
                   tests=_tests(shop, list(table["channel"])), year=year, sold=float(lately["sold"].fillna(0).iloc[0]),
                   claimed=float(bills["claimed"].sum(min_count=1)))  # fmt: skip


def _sent(shop: Shop) -> float:
    """Contacts of the last year; NaN where no touch says that it was sent."""
    if not shop.has("touches", "kind"):
        return float("nan")
    touches = shop.table("touches").filter(lambda t: (t["kind"].strip().lower() == "sent").fill_null(False))
    lately = (touches["at"].date() >= _begin(shop)).ifelse(1, 0).sum()
    return float(shop.fetch(touches.aggregate(n=lately.cast("float64")))["n"].iloc[0])


def _tests(shop: Shop, channels: list[str]) -> dict[str, list[str]]:
    """The experiments whose name, or a version's, names a channel, in whole words."""
    tables = [shop.table(name).select("experiment", "variant").distinct()
              for name in ("assignments", "results") if shop.has(name)]  # fmt: skip
    rows = pd.concat([shop.fetch(table, max_rows=100_000) for table in tables]) if tables else pd.DataFrame()
    said = [(str(row.experiment), _plain(f"{row.experiment} {row.variant}")) for row in rows.itertuples()]
    named = {one: sorted({name for name, words in said if _plain(one) in words}) for one in channels}
    return {one: names for one, names in named.items() if names}


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", f" {text.lower()} ")


def _judged(shop: Shop) -> pd.DataFrame:
    """The channels of `Returns.table`."""
    none = pd.DataFrame(columns=_COLUMNS)
    if not (shop.has("costs", "acquisition_channel") and shop.has("customers", "acquisition_channel")
            and shop.has("orders", "customer_id")):  # fmt: skip
        return none
    begun = shop.fetch(net_orders(shop).aggregate(day=lambda t: t["day"].min()))["day"].iloc[0]
    if pd.isna(begun) or (shop.as_of - pd.Timestamp(begun).date()).days < 2 * _YEAR + _BEFORE:
        return none
    table = shop.fetch(won(shop)).merge(shop.fetch(spent(shop)), on="channel")
    table = table[(table["n"] >= LEAST) & (table["cost"] > 0)].sort_values("channel").reset_index(drop=True)
    if table.empty:
        return none
    n = table["n"].to_numpy(float)
    spread = np.sqrt(np.maximum(table["squares"] / n - (table["earned"] / n) ** 2, 0) * n) / table["cost"]
    z = distributions.norm.isf(ERROR / 2 / len(table))
    back = table["earned"] / table["cost"]
    table = table.assign(back=back, low=back - z * spread, high=back + z * spread)
    table["stands"] = (table["low"] > 1).astype(int) - (table["high"] < 1).astype(int)
    return table[_COLUMNS]


def _in_all(found: Returns) -> str:
    """All that marketing cost in a year beside what the shop sold, and beside what the channels say they sold."""
    known = {kind: cost for kind, cost in found.year.items() if not np.isnan(cost)}
    whole = sum(known.values())
    kinds = wording.listed(f"{wording.rounded_money(cost, found.currency)} {kind}" for kind, cost in known.items())
    said = [f"All marketing of the last 12 months cost {wording.rounded_money(whole, found.currency)}"
            + (f" ({kinds})" if len(known) > 1 else f" (all {next(iter(known))})")
            + (f"; the shop sold {formats.money(found.sold / whole, found.currency, digits=2)} for each "
               f"{formats.money(1, found.currency)} of it." if whole > 0 else ".")] if known else []  # fmt: skip
    if len(known) < len(found.year):
        said.append("What contacts cost is not known: no touch says that it was sent.")
    if not np.isnan(found.claimed):
        claimed, sold = (wording.rounded_money(value, found.currency) for value in (found.claimed, found.sold))
        more = ": more than there was to claim" if found.claimed > found.sold else ""
        said.append(f"The channels claim together {claimed} of sales, the shop sold {sold}{more}.")
    return " ".join(said)


def part_returns(found: Returns | None) -> Part:
    """The finding: which channels bring back what they cost, which do not."""
    if found is None:
        return Part()
    if found.table.empty:
        return Part(title="What all marketing cost and the shop sold", sentence=_in_all(found), detail=True)

    def money(value: float) -> str:
        return formats.money(value, found.currency, digits=0 if value == 1 else 2)

    table = found.table.assign(name=[name.replace("_", " ") for name in found.table["channel"]])
    losing, short = (list(table.loc[which, "name"]) for which in (table["stands"] < 0, table["back"] < 1))
    head = "Every channel earned back its cost in a customer's first year"
    if short:
        head = f"{wording.upper(wording.listed(short, most=3))} brought back less than the cost, which may be chance"
    if losing:
        does = wording.noun(len(losing), "does", "do")
        head = f"{wording.upper(wording.listed(losing, most=3))} {does} not earn back the cost in a year"
    whole = money(table["earned"].sum() / table["cost"].sum())
    table["label"] = [f"{wording.upper(row.name)} ({wording.counted(int(row.n), 'newcomer')})"
                      for row in table[["name", "n"]].itertuples(index=False, name="Row")]  # fmt: skip
    names = sorted({name for tests in found.tests.values() for name in tests})
    test = "only a test tells, and none in the data names a channel"
    if names:
        says, of = wording.noun(len(names), "says", "say"), (one.replace("_", " ") for one in found.tests)
        test = f"what {wording.listed(names, most=3)} {says} of {wording.listed(of)} is on the experiments page"
    return Part(
        title=head, tables={"marketing": found.table},
        sentence=f"In sum {money(1)} brought back {whole} of {found.called} in the first year. Who would have come "
        f"anyway is in it: {test}. {_in_all(found)}",
        chart=figures.dots(
            table.assign(strong=table["stands"] != 0), label="label", value="back", low="low", high="high",
            reference=1.0, strong="strong", form=money, what=f"{found.called} brought back for {money(1)}",
        ),
        method=["Marketing: newcomers of a year, each followed for a year; 95% ranges that hold for all channels at "
                "once. All marketing: acquisition and campaign costs dated in the last 365 days, and the price of a "
                "contact times the touches sent, beside net sales. Channels claim sales in costs.claimed."],
    )  # fmt: skip
