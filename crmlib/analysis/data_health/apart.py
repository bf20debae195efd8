"""What is neither an order nor goods: credit notes, and postage, fees and gift cards among the order lines."""

from __future__ import annotations

import ibis

from crmlib import figures, formats, wording
from crmlib.errors import NotAvailable
from crmlib.findings import Part
from crmlib.shop import facts
from crmlib.shop.shop import Shop

_PAIR, _ALONE, _REFUND = "order and credit note that cancel out", "credit note on its own day", "refund of an order"
_KINDS = {"shipping": "postage", "fee": "fee", "gift_card": "gift card", "not_goods": "as shop.toml says"}
_MOST_SHOWN = 20


def _money(value: float) -> str:
    return formats.number(value, digits=2)


def part_credits(shop: Shop) -> Part | None:
    """How many orders do credit notes undo, how many notes stand alone, and what do they come to? None without any."""
    if not facts.may_have_credits(shop):
        return None
    notes = facts.credit_notes(shop)
    kind = ibis.cases((notes["reduces"].notnull(), _REFUND), (notes["cancels"].notnull(), _PAIR), else_=_ALONE)
    each = notes.group_by(what=kind).aggregate(number=notes.count(), money=notes["amount"].sum().cast("float64"))
    found = shop.fetch(each.order_by("what"))
    if found.empty:
        return None
    n = dict(zip(found["what"], found["number"].astype(int), strict=True))
    return Part(
        title="; ".join(_said(what, n[what]) for what in (_PAIR, _ALONE, _REFUND) if what in n),
        sentence="Such a row is no order; what it gives back is taken off sales.",
        detail=True,
        chart=figures.table(
            found, caption="Orders below zero", labels={"what": "What", "number": "Number", "money": "Money"},
            formats={"what": wording.upper, "number": formats.number, "money": _money},
        ),
    )  # fmt: skip


def _said(what: str, n: int) -> str:
    if what == _PAIR:
        notes = wording.noun(n, "its credit note", "their credit notes")
        return f"{wording.counted(n, 'order')} {wording.noun(n, 'is')} undone by {notes}"
    if what == _ALONE:
        return f"{wording.counted(n, 'credit note')} {wording.noun(n, 'stands', 'stand')} alone"
    rows = wording.noun(n, "has a row of its own", "have rows of their own")
    return f"{wording.counted(n, 'refund')} {rows}"


def part_not_goods(shop: Shop) -> Part | None:
    """Which products are postage, fees or gift cards, and what do their lines come to? None where none was sold."""
    if not shop.not_goods or not shop.has("order_lines"):
        return None
    lines = shop.table("order_lines")
    try:
        amount: ibis.Value = facts.line_money(shop)
    except NotAvailable:
        amount = ibis.null("decimal(18, 4)")
    lines = lines.mutate(_money=amount).filter(lines["product_id"].isin(list(shop.not_goods)))
    lines = lines.semi_join(facts.sales(shop), "order_id") if shop.has("orders") else lines
    each = lines.group_by("product_id").aggregate(lines=lines.count(), money=lines["_money"].sum().cast("float64"))
    found = shop.fetch(each.order_by(each["money"].desc(), "product_id"))
    if found.empty:
        return None
    kinds = found["product_id"].map(shop.not_goods)
    found.insert(1, "kind", kinds.map(_KINDS).fillna(kinds))
    n, count = int(found["lines"].sum()), len(found)
    named = wording.listed([f"‘{name}’" for name in found["product_id"]], most=2, rest="product")
    lines_ = f"{'Its' if count == 1 else 'Their'} {wording.noun(n, 'line')} {wording.noun(n, 'is', 'are')}"
    worth = ""
    if found["money"].notna().any():
        amount_ = wording.rounded_money(found["money"].sum(), shop.currency)
        worth = f" {wording.noun(n, 'It comes', 'They come')} to {amount_}."
    return Part(
        title=f"{named} {wording.noun(count, 'counts', 'count')} as money, not as goods",
        sentence=f"{lines_} in sales, not in baskets.{worth}",
        detail=True,
        tables={"not_goods": found},
        chart=figures.table(
            found.head(_MOST_SHOWN), caption="Postage, fees and the like",
            labels={"product_id": "Product", "kind": "Kind", "lines": "Lines", "money": "Money"},
            formats={"lines": formats.number, "money": _money},
        ),
    )  # fmt: skip
