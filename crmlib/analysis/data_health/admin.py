"""Why is this not the number in your shop system? Its own definitions beside ours, and the difference by cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.findings import Part
from crmlib.shop import facts
from crmlib.shop.shop import Shop

_NO_SHOPS = ("Stripe", "PayPal", "")  # which say what was paid, not what was sold
_MONEY = "decimal(18, 4)"
# Orders that another tool may leave out; here they count unless they were cancelled.
_KINDS = {"guests": "Orders of nobody known", "zero": "Orders of no value", "tests": "Test orders"}


@dataclass(frozen=True)
class Bridge:
    """From the platform's figures to ours: `steps` (step, amount, total: is it a figure?) add up to the last cent.

    rates  what, theirs, ours: orders, the average order, the share of customers who ordered more than once, and how
           many orders of a kind each side counts; their_money, our_money: what those of a kind came to, after refunds
    ratios of, step, amount: from their average order and share of returning customers (in percent) to ours; the steps
           between add up as they are rounded
    month  step, amount: the same for the last full month, where refunds have a day and days a time zone
    """

    __repr__ = formats.outline

    platform: str
    steps: pd.DataFrame
    rates: pd.DataFrame
    month: pd.DataFrame
    ratios: pd.DataFrame

    @property
    def difference(self) -> float:
        """Ours less the platform's total sales."""
        figures_ = self.steps[self.steps["total"]].set_index("step")["amount"]
        return float(figures_.iloc[-1] - figures_["Total sales"])


def platform_of(shop: Shop) -> str:
    """The shop system whose exports the orders are from; empty where they are from none, or from several."""
    found = {one.platform for one in shop.exports.recognised if "orders" in one.tables}
    return next(iter(found - set(_NO_SHOPS))) if len(found - set(_NO_SHOPS)) == 1 else ""


def amounts(shop: Shop) -> ir.Table:
    """Grain: an order of the export, cancelled ones included. What it came to in the platform's terms, and in ours.

    Columns order_id, customer_id, their_customer, day, their_day, total, goods (after discounts), discount, shipping,
    tax (on top), refunded, back_on (day or empty), test (paid by a gateway for tests), ours (empty where it does not
    count).
    """
    orders = shop.table("orders")
    zero = ibis.literal(0).cast(_MONEY)
    discount = orders["discount"].fill_null(zero).abs()
    if shop.has("order_lines", "discount"):
        lines = shop.table("order_lines")
        off = lines.group_by(_of="order_id").aggregate(_off=lines["discount"].sum())
        orders = orders.mutate(_discount=discount).left_join(off, orders["order_id"] == off["_of"])
        discount, off_goods = orders["_discount"], orders["_off"].fill_null(zero)
    else:
        off_goods = discount
    # A code that takes nothing off the goods has paid the shipping.
    shipping = orders["shipping"].fill_null(zero) - (discount - off_goods)
    total = orders["total"].fill_null(zero)
    # Without a subtotal all tax is taken to be on top.
    subtotal = orders["subtotal"].try_cast(_MONEY) if "subtotal" in orders.columns else ibis.null(_MONEY)
    goods = subtotal.fill_null(total - shipping - orders["tax"].fill_null(zero))
    day = orders["ordered_at"].date()
    theirs = orders["their_day"].try_cast("date").fill_null(day) if "their_day" in orders.columns else day
    whose = orders["their_customer"] if "their_customer" in orders.columns else orders["customer_id"]
    paid_by = orders["payment_method"] if "payment_method" in orders.columns else ibis.null("string")
    trial = paid_by.cast("string").lower().contains("bogus")
    told = orders.select(
        "order_id", "customer_id", their_customer=whose, day=day, their_day=theirs, total=total, goods=goods,
        shipping=shipping, discount=off_goods, tax=total - goods - shipping,
        refunded=orders["refunded"].fill_null(zero), back_on=orders["refunded_at"].date(), test=trial.fill_null(False),
    )  # fmt: skip
    counted = facts.net_orders(shop).select("order_id", ours="revenue")
    return told.left_join(counted, "order_id").drop("order_id_right")


def measure_admin(shop: Shop) -> Bridge | None:
    """What does the platform itself call sales, and by which steps does that become our figure?

    None where orders are from no platform's export, or have no totals. Every step is a sum over orders, so that
    they add up to the cent; what no other step explains is a step of its own.
    """
    platform = platform_of(shop)
    if not platform or not shop.has("orders", "total"):
        return None
    rows = shop.keep(amounts(shop))
    sums = _sums(shop, rows)
    sold = facts.sales(shop)
    ours = float(shop.fetch(sold.aggregate(revenue=sold["revenue"].sum()))["revenue"].iloc[0])
    net, whole = sums["goods"] - sums["refunded"], sums["total"] - sums["refunded"]
    steps = [
        ("Gross sales", sums["goods"] + sums["discount"], True), ("Discounts", -sums["discount"], False),
        ("Refunds", -sums["refunded"], False), ("Net sales", net, True), ("Shipping", sums["shipping"], False),
        ("Tax on top", sums["tax"], False), ("Total sales", whole, True),
        ("Cancelled orders, not given back", -sums["out"], False),
        ("Credit notes and refunds by state alone", ours - (whole - sums["out"]), False),
        ("Net sales here", ours, True),
    ]  # fmt: skip
    frame = pd.DataFrame(steps, columns=["step", "amount", "total"])
    keep = frame["total"] | (frame["amount"].abs() >= 0.005)
    rates, shares = _rates(sums, ours), _shares(shop, rows)
    rates.loc[len(rates), ["what", "theirs", "ours"]] = ["Customers with more than one order", shares[0], shares[-1]]
    return Bridge(
        platform, frame[keep].reset_index(drop=True), rates, _month(shop, rows), _ratios(sums, ours, shares)
    )  # fmt: skip


def _sums(shop: Shop, rows: ir.Table) -> pd.Series:
    """Amounts of all orders, and as `in_…` of those that count here; how many of each of _KINDS, and their money."""
    stands = rows["ours"].notnull()
    theirs = rows["total"] - rows["refunded"]
    of_kind = {"guests": rows["customer_id"].isnull(), "zero": rows["total"] == 0, "tests": rows["test"]}
    kinds = {
        name: value.fill_null(0)
        for kind, it in of_kind.items()
        for name, value in ((f"n_{kind}", it.sum()), (f"in_n_{kind}", (it & stands).sum()),
                            (f"of_{kind}", theirs.sum(where=it)), (f"in_of_{kind}", rows["ours"].sum(where=it)))
    }  # fmt: skip
    amounts_ = {name: rows[name] for name in ("goods", "discount", "shipping", "tax", "refunded", "total")}
    found = shop.fetch(rows.aggregate(
        n=rows.count(), out=theirs.sum(where=~stands).fill_null(0),
        counted=rows["ours"].count(), **kinds,
        **{name: amount.sum().fill_null(0) for name, amount in amounts_.items()},
        **{f"in_{name}": amount.sum(where=stands).fill_null(0) for name, amount in amounts_.items()},
    ))  # fmt: skip
    return found.iloc[0].astype(float)


def _rates(sums: pd.Series, ours: float) -> pd.DataFrame:
    """How many orders, how much each, and how many are of a kind: what, theirs, ours, their_money, our_money."""
    n, counted, no = max(sums["n"], 1), max(sums["counted"], 1), float("nan")
    kinds = [
        (what, *(sums[f"{side}{kind}"] for side in ("n_", "in_n_", "of_", "in_of_"))) for kind, what in _KINDS.items()
    ]
    return pd.DataFrame(
        [("Orders", sums["n"], sums["counted"], no, no), ("Average order", sums["goods"] / n, ours / counted, no, no),
         *kinds], columns=["what", "theirs", "ours", "their_money", "our_money"],
    )  # fmt: skip


def _counts(bridge: Bridge) -> pd.DataFrame:
    """How many orders each side counts, and of each kind that there is: month (of what), step, amount, orders."""
    asked = bridge.rates["what"].isin(_KINDS.values()) & (bridge.rates["theirs"] > 0)
    rows = []
    for what, theirs, ours, money, our_money in bridge.rates[asked | (bridge.rates["what"] == "Orders")].itertuples(
        index=False
    ):
        rows += [(what, bridge.platform, money, theirs), (what, "Here", our_money, ours)]
    return pd.DataFrame(rows, columns=["month", "step", "amount", "orders"])


def _shares(shop: Shop, rows: ir.Table) -> tuple[float, float, float]:
    """The share of customers with more than one order: theirs, theirs with accounts and guests as people, and ours."""
    asked = {"their_customer": rows["total"].notnull(), "customer_id": rows["total"].notnull()}
    found = []
    for column, counts in (*asked.items(), ("customer_id", rows["ours"].notnull())):
        known = rows.filter(counts & rows[column].notnull())
        each = known.group_by(column).aggregate(n=known.count())
        share = shop.fetch(each.aggregate(share=(each["n"] > 1).mean()))["share"].iloc[0]
        found.append(0.0 if pd.isna(share) else float(share))
    return found[0], found[1], found[2]


def _ratios(sums: pd.Series, ours: float, shares: tuple[float, float, float]) -> pd.DataFrame:
    """The average order and the share of returning customers, cause by cause: each is the ratio after it, less before.

    What stands is rounded first, and then subtracted, so that the rounded steps leave nothing over.
    """
    n, counted = max(sums["n"], 1), max(sums["counted"], 1)
    goods, refunds = sums["in_goods"], sums["in_refunded"]
    orders = [
        ("", sums["goods"] / n), ("Cancelled orders", goods / counted),
        ("Shipping", (goods + sums["in_shipping"]) / counted), ("Tax on top", sums["in_total"] / counted),
        ("Refunds", (sums["in_total"] - refunds) / counted),
        ("Credit notes and refunds by state alone", ours / counted),
    ]  # fmt: skip
    people = [("", shares[0]), ("Accounts and guest orders of one person", shares[1]), ("Cancelled orders", shares[2])]
    rows: list[tuple[str, str, float]] = []
    for of, path in (("Average order", orders), ("Returning customers, %", [(s, 100 * v) for s, v in people])):
        stands = [round(value, 2) for _, value in path]
        steps = [
            (of, step, round(after - before, 2))
            for (step, _), before, after in zip(path[1:], stands, stands[1:], strict=False)
        ]
        rows += [(of, "In the platform", stands[0]), *(row for row in steps if row[2]), (of, "Here", stands[-1])]
    return pd.DataFrame(rows, columns=["of", "step", "amount"])


def _month(shop: Shop, rows: ir.Table) -> pd.DataFrame:
    """The last full month: from their total sales, each refund on its own day, to our figure for its orders."""
    through = min(shop.as_of, (shop.data_through or shop.as_of) + timedelta(days=1))
    last = (pd.Timestamp(through).to_period("M") - 1).start_time.date()
    first, after = (
        ibis.date(last.isoformat()),
        ibis.date((pd.Timestamp(last) + pd.DateOffset(months=1)).date().isoformat()),
    )

    def within(day: ir.Value) -> ir.BooleanValue:
        return ((day >= first) & (day < after)).fill_null(False)

    here, there = within(rows["day"]), within(rows["their_day"])
    given = within(rows["back_on"])
    undated = rows["back_on"].isnull()
    standing = rows["ours"].notnull()
    total, back = rows["total"], rows["refunded"]
    sums = {
        "theirs": total.sum(where=there) - back.sum(where=given | (undated & there)).fill_null(0),
        "zone": total.sum(where=here & ~there).fill_null(0)
        - total.sum(where=there & ~here).fill_null(0)
        + back.sum(where=undated & there & ~here).fill_null(0)
        - back.sum(where=undated & here & ~there).fill_null(0),
        "earlier": back.sum(where=given & ~here).fill_null(0),
        "later": -back.sum(where=here & ~undated & ~given).fill_null(0),
        "cancelled": -(total - back).sum(where=here & ~standing).fill_null(0),
        "ours": rows["ours"].sum(where=here).fill_null(0),
    }
    found = shop.fetch(rows.aggregate(**sums)).iloc[0].astype(float).fillna(0)
    explained = found["theirs"] + found["zone"] + found["earlier"] + found["later"] + found["cancelled"]
    steps = [
        ("Total sales", found["theirs"]), ("Days of another time zone", found["zone"]),
        ("Refunds of earlier months' orders", found["earlier"]), ("Refunds given later", found["later"]),
        ("Cancelled orders, not given back", found["cancelled"]),
        ("Credit notes and refunds by state alone", found["ours"] - explained), ("Net sales here", found["ours"]),
    ]  # fmt: skip
    frame = pd.DataFrame(steps, columns=["step", "amount"])
    ends = frame.index.isin([0, len(frame) - 1])
    return frame[ends | (frame["amount"].abs() >= 0.005)].assign(month=f"{last:%B %Y}").reset_index(drop=True)


def part_admin(bridge: Bridge | None, *, currency: str) -> Part | None:
    """Why is this not the number in your shop system? None where there is none to compare with."""
    if bridge is None:
        return None
    amount = wording.rounded_money(abs(bridge.difference), currency)
    same = abs(bridge.difference) < 0.005
    how = "the same as" if same else f"{amount} {'above' if bridge.difference > 0 else 'below'}"
    ratios = bridge.ratios.rename(columns={"of": "month"}).replace({"step": {"In the platform": bridge.platform}})
    both = pd.concat(
        [bridge.steps.assign(month="All orders"), bridge.month, ratios, _counts(bridge)], ignore_index=True
    )
    return Part(
        title=f"Net sales here are {how} {bridge.platform}'s total sales",
        sentence="The table goes from its figures to ours, step by step."
        if not same
        else f"{bridge.platform} may still date refunds and days in another way than these pages.",
        detail=True,
        chart=figures.table(
            both[["month", "step", "amount", "orders"]],
            caption=f"From {bridge.platform}'s figures to ours, cause by cause",
            labels={"month": "Of", "step": "Step", "amount": "Amount", "orders": "Orders"},
            formats={"amount": lambda value: formats.number(value, digits=2), "orders": formats.number},
        ),
        tables={
            "admin": bridge.steps,
            "admin_rates": bridge.rates,
            "admin_month": bridge.month,
            "admin_ratios": bridge.ratios,
        },
    )
