"""Why is this not the number in your shop system? Its own definitions beside ours, and the difference by cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.findings import Part
from crmlib.shop import facts

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_NO_SHOPS = ("Stripe", "PayPal", "")  # which say what was paid, not what was sold
_MONEY = "decimal(18, 4)"


@dataclass(frozen=True)
class Bridge:
    """From the platform's figures to ours: `steps` (step, amount, total: is it a figure?) add up to the last cent.

    rates  what, theirs, ours: the average order and the share of customers who ordered more than once
    month  step, amount: the same for the last full month, where refunds have a day and days a time zone
    """

    platform: str
    steps: pd.DataFrame
    rates: pd.DataFrame
    month: pd.DataFrame

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

    Columns order_id, customer_id, day, their_day, total, goods (after discounts), discount, shipping, tax (on top),
    refunded, back_on (day or empty), ours (empty where it does not count).
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
    told = orders.select(
        "order_id", "customer_id", day=day, their_day=theirs, total=total, goods=goods, shipping=shipping,
        discount=off_goods, tax=total - goods - shipping, refunded=orders["refunded"].fill_null(zero),
        back_on=orders["refunded_at"].date(),
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
    out = rows["ours"].isnull()
    sums = shop.fetch(rows.aggregate(
        n=rows.count(), goods=rows["goods"].sum(), discount=rows["discount"].sum(), shipping=rows["shipping"].sum(),
        tax=rows["tax"].sum(), refunded=rows["refunded"].sum(), total=rows["total"].sum(),
        out=(rows["total"] - rows["refunded"]).sum(where=out).fill_null(0), ours=rows["ours"].sum().fill_null(0),
        counted=rows["ours"].count(), zero=(rows["total"] == 0).sum().fill_null(0),
        guests=rows["customer_id"].isnull().sum().fill_null(0),
    )).iloc[0].astype(float)  # fmt: skip
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
    return Bridge(platform, frame[keep].reset_index(drop=True), _rates(shop, rows, sums, ours), _month(shop, rows))


def _rates(shop: Shop, rows: ir.Table, sums: pd.Series, ours: float) -> pd.DataFrame:
    """The average order, and the share of customers who ordered more than once: what, theirs, ours."""
    known = rows.filter(rows["customer_id"].notnull())
    each = known.group_by("customer_id").aggregate(all=known.count(), ours=known["ours"].count())
    twice = shop.fetch(each.aggregate(
        theirs=(each["all"] > 1).mean(), ours=(each["ours"] > 1).sum() / (each["ours"] > 0).sum().nullif(0)
    )).iloc[0]  # fmt: skip
    n, counted = max(sums["n"], 1), max(sums["counted"], 1)
    return pd.DataFrame(
        [("Orders", sums["n"], sums["counted"]), ("Average order", sums["goods"] / n, ours / counted),
         ("Customers with more than one order", twice["theirs"], twice["ours"]),
         ("Orders of nobody known", sums["guests"], sums["guests"]),
         ("Orders of no value", sums["zero"], sums["zero"])],
        columns=["what", "theirs", "ours"],
    )  # fmt: skip


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
    order = bridge.rates.set_index("what").loc["Average order"]
    theirs, ours = (formats.money(order[whose], currency, digits=2) for whose in ("theirs", "ours"))
    both = pd.concat([bridge.steps.assign(month="All orders"), bridge.month], ignore_index=True)
    return Part(
        title=f"Net sales here are {how} {bridge.platform}'s total sales",
        sentence="The table goes from its figures to ours, step by step."
        if not same
        else f"{bridge.platform} may still date refunds and days in another way than these pages.",
        detail=True,
        chart=figures.table(
            both[["month", "step", "amount"]],
            caption=f"From {bridge.platform}'s figures to ours. Its average order is {theirs}, ours {ours}.",
            labels={"month": "Of", "step": "Step", "amount": "Amount"},
            formats={"amount": lambda value: formats.number(value, digits=2)},
        ),
        tables={"admin": bridge.steps, "admin_rates": bridge.rates, "admin_month": bridge.month},
    )
