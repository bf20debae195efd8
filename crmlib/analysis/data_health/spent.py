"""Do the totals that a customer list carries itself agree with the orders?"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib import wording
from crmlib.findings import Part
from crmlib.shop import facts
from crmlib.shop.shop import Shop

_NAMES = ("totalspent", "totalspend", "amountspent", "moneyspent", "lifetimespend", "ordertotal", "totalsales")
_CENT = 0.005


def own_totals(shop: Shop, column: str) -> ir.Table:
    """Grain: one row. Columns customers (whose own total, in `column`, can be read), apart (of them, those whose orders
    come to another amount), theirs, ours."""
    listed = shop.table("customers")
    said = listed[column]
    if isinstance(said, ir.StringValue):
        # What may be a decimal comma is left out rather than read wrong.
        said = said.re_replace(r"^[^0-9+.-]+|[^0-9]+$", "")
        said = ibis.ifelse(said.re_search(r"^-?[0-9]{1,3}(,[0-9]{3})+[.][0-9]+$"), said.replace(",", ""), said)
    theirs = listed.select("customer_id", theirs=said.try_cast("decimal(18, 4)")).filter(lambda t: t.theirs.notnull())
    sold = facts.sales(shop)
    ours = sold.group_by("customer_id").aggregate(ours=sold["revenue"].sum())
    both = theirs.left_join(ours, "customer_id")
    return both.aggregate(
        customers=both.count(),
        apart=((both["theirs"] - both["ours"].fill_null(0)).abs() > _CENT).sum().fill_null(0),
        theirs=both["theirs"].sum(),
        ours=both["ours"].sum(),
    )


def part_spent(shop: Shop) -> Part | None:
    """How far is what the shop system says each customer spent from their orders here?

    None without such a column (`total_spent`, `Total Spent` …), without money, or as of a day before the export's.
    """
    if not shop.has("customers") or not shop.has("orders", "customer_id") or shop.audits["orders"].after_as_of:
        return None
    columns = [name for name in shop.table("customers").columns if _plain(name) in _NAMES]
    if not columns:
        return None
    found = shop.fetch(own_totals(shop, columns[0])).iloc[0]
    customers, apart = int(found["customers"]), int(found["apart"])
    if not customers or pd.isna(found["ours"]):
        return None
    theirs, ours = float(found["theirs"]), float(found["ours"])
    said, counted = (wording.rounded_money(value, shop.currency) for value in (theirs, ours))
    title = f"The customer list's ‘{columns[0]}’ agrees with the orders"
    if apart:
        who = wording.counted(customers, "customer")
        title = f"‘{columns[0]}’ differs from the orders of {apart:,} of {who}"
    return Part(
        title=title,
        sentence=f"It comes to {said}, their orders to {counted} after refunds; pages use the orders."
        if apart
        else f"Both come to {counted}.",
        detail=apart <= customers / 10,
    )


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
