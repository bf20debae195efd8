"""What is in each order of the demo shop, and what does it cost?

An order draws distinct products by popularity, without putting any back; then partners of the planted
pairs are added, one of two sizes is left out, and the obsessive customer's pair is put in.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.shop.samples.demo.catalogue import (
    AFFINITIES,
    OBSESSION,
    SEQUENCE_DAYS,
    SEQUENCES,
    SUBSTITUTES,
    Catalogue,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BIG_SHARE, BIG_FROM, BIG_TO = 0.03, 15, 40
EXTRA_ITEMS_MEAN = 1.05  # distinct products beyond the first, at spend level 1, before partners
EXTRA_UNITS_MEAN = 0.30  # units of a product of tea, coffee or sweets beyond the first, at spend level 1
OBSESSION_SHARE = 0.9
REPEATED_PRODUCT_SHARE = 0.004
LINE_DISCOUNT_SHARE, LINE_DISCOUNT = 0.04, 0.10
COUPON_SHARE = 0.06
SHIPPING, FREE_SHIPPING_FROM = 4.90, 39.0
TAX_FOOD, TAX_GOODS = 0.07, 0.19
_FOOD = ("Tea", "Coffee", "Sweets")


def basket_lines(
    rng: np.random.Generator,
    *,
    goods: Catalogue,
    month: Ints,
    spend: Floats,
    obsessive: Flags,
    wholesale: Flags,
) -> tuple[pd.DataFrame, Flags]:
    """Lines of all orders, and which orders are big baskets.

    The arguments have one entry per order: its month (1 to 12), the customer's spend level, whether it is the
    obsessive customer's, whether it is the wholesale buyer's. The frame has a row per line, sorted by order:
    order (its position), product (its position), quantity, unit_price, discount, line_total, unit_cost,
    line_no.
    """
    orders = len(month)
    big = (rng.random(orders) < BIG_SHARE) & ~obsessive & ~wholesale
    size = 1 + rng.poisson(EXTRA_ITEMS_MEAN * spend)
    size = np.where(big, rng.integers(BIG_FROM, BIG_TO + 1, orders), np.minimum(size, BIG_FROM - 3))
    size = np.where(wholesale, rng.integers(4, 9, orders), size)
    held = _drawn(rng, goods=goods, month=month, size=size)

    for first, partner, probability in AFFINITIES:
        a, b = goods.position(first), goods.position(partner)
        held[:, b] |= held[:, a] & (rng.random(orders) < probability)
    for small, large, probability in SUBSTITUTES:
        a, b = goods.position(small), goods.position(large)
        held[:, b] &= ~(held[:, a] & (rng.random(orders) < probability))
    again = obsessive & (rng.random(orders) < OBSESSION_SHARE)
    for name in OBSESSION:
        held[:, goods.position(name)] |= again

    order, product = np.nonzero(held)
    return _priced(rng, goods, order=order, product=product, spend=spend, big=big, wholesale=wholesale), big


def with_sequences(
    rng: np.random.Generator, *, lines: pd.DataFrame, goods: Catalogue, buyer: Ints, day: Ints
) -> pd.DataFrame:
    """The same lines, and one more in the next order of those who come back for what goes with an earlier purchase.

    `buyer` and `day` have one entry per order, orders being in order of time; those of no known customer are negative.
    """
    order = np.lexsort((day, buyer))
    nearest = np.full(len(buyer), -1)
    follows = (buyer[order][:-1] == buyer[order][1:]) & (buyer[order][:-1] >= 0)
    apart = day[order][1:] - day[order][:-1]
    follows &= (apart >= 1) & (apart <= SEQUENCE_DAYS)
    nearest[order[:-1][follows]] = order[1:][follows]
    product, at = lines["product"].to_numpy(), lines["order"].to_numpy()
    added = []
    for first, then, probability in SEQUENCES:
        a, b = goods.position(first), goods.position(then)
        holders = np.unique(at[product == a])
        back = nearest[holders[rng.random(len(holders)) < probability]]
        added += [(number, b) for number in np.setdiff1d(back[back >= 0], at[product == b])]
    more = pd.DataFrame(added, columns=["order", "product"], dtype=np.int64)
    price = goods.products["list_price"].to_numpy()[more["product"]]
    cost = goods.products["unit_cost"].to_numpy()[more["product"]]
    more = more.assign(quantity=1, unit_price=price, discount=0.0, line_total=price, unit_cost=cost, line_no=0)
    lines = pd.concat([lines, more[lines.columns]], ignore_index=True)
    lines = lines.sort_values(["order", "product"], kind="stable", ignore_index=True)
    return lines.assign(line_no=lines.groupby("order").cumcount() + 1)


def order_money(
    rng: np.random.Generator, *, lines: pd.DataFrame, goods: Catalogue, first_order: Flags, month: Ints
) -> pd.DataFrame:
    """total, coupon, discount, shipping and tax of each order; the total includes the tax."""
    orders = len(month)
    food = goods.products["category"].isin(_FOOD).to_numpy()[lines["product"].to_numpy()]
    cents = np.round(lines["line_total"].to_numpy() * 100)
    order = lines["order"].to_numpy()
    sums = np.bincount(order, weights=cents, minlength=orders)
    food_sums = np.bincount(order, weights=np.where(food, cents, 0), minlength=orders)

    used = rng.random(orders) < COUPON_SHARE
    welcome = first_order & (rng.random(orders) < 0.3)
    season = np.where(np.isin(month, [11, 12]), "ADVENT10", np.where(np.isin(month, [6, 7, 8]), "SUMMER10", "TEATIME5"))
    coupon = np.where(welcome, "WELCOME10", np.where(used, season, ""))
    share = np.where(coupon == "", 0.0, np.where(coupon == "TEATIME5", 0.05, 0.10))
    discount = np.round(sums * share)
    shipping = np.where(sums - discount < FREE_SHIPPING_FROM * 100, round(SHIPPING * 100), 0)
    total = sums - discount + shipping
    part = np.divide(food_sums, sums, out=np.zeros(orders), where=sums > 0)
    tax = total * (part * TAX_FOOD / (1 + TAX_FOOD) + (1 - part) * TAX_GOODS / (1 + TAX_GOODS))
    return pd.DataFrame(
        {
            "total": total / 100,
            "coupon": coupon,
            "discount": discount / 100,
            "shipping": shipping / 100,
            "tax": np.round(tax) / 100,
        }
    )


def _drawn(rng: np.random.Generator, *, goods: Catalogue, month: Ints, size: Ints) -> Flags:
    """Orders by products: the `size` products that arrive first, at rates given by their popularity."""
    products = goods.weights.shape[1]
    held = np.zeros((len(month), products), dtype=np.bool_)
    for number in range(1, 13):
        rows = np.flatnonzero(month == number)
        sold = np.flatnonzero(goods.weights[number - 1] > 0)
        arrival = rng.standard_exponential((len(rows), len(sold)), dtype=np.float32)
        arrival /= goods.weights[number - 1][sold].astype(np.float32)
        few = int(size[rows].max(initial=1))
        nearest = np.argpartition(arrival, few, axis=1)[:, :few] if few < len(sold) else np.argsort(arrival, axis=1)
        by_time = np.take_along_axis(nearest, np.argsort(np.take_along_axis(arrival, nearest, 1), axis=1), 1)
        taken = np.arange(by_time.shape[1]) < size[rows][:, None]
        held[np.repeat(rows, taken.sum(axis=1)), sold[by_time[taken]]] = True
    return held


def _priced(
    rng: np.random.Generator,
    goods: Catalogue,
    *,
    order: Ints,
    product: Ints,
    spend: Floats,
    big: Flags,
    wholesale: Flags,
) -> pd.DataFrame:
    consumed = goods.products["category"].isin(_FOOD).to_numpy()[product]
    quantity = 1 + rng.poisson(np.where(consumed & ~big[order], EXTRA_UNITS_MEAN * spend[order], 0.0))
    quantity = np.where(wholesale[order], rng.integers(20, 61, len(order)), quantity)
    # The same product on a second line: another gift wrap, another engraving.
    repeated = (rng.random(len(order)) < REPEATED_PRODUCT_SHARE) & ~big[order] & ~wholesale[order]
    lines = pd.DataFrame({"order": order, "product": product, "quantity": quantity})
    lines = pd.concat([lines, lines[repeated].assign(quantity=1)], ignore_index=True)
    lines = lines.sort_values(["order", "product"], kind="stable", ignore_index=True)

    price = goods.products["list_price"].to_numpy()[lines["product"]]
    cents = np.round(price * 100) * lines["quantity"].to_numpy()
    reduced = rng.random(len(lines)) < LINE_DISCOUNT_SHARE
    discount = np.where(reduced, np.round(cents * LINE_DISCOUNT), 0)
    lines["unit_price"] = price
    lines["discount"] = discount / 100
    lines["line_total"] = (cents - discount) / 100
    lines["unit_cost"] = goods.products["unit_cost"].to_numpy()[lines["product"]]
    lines["line_no"] = lines.groupby("order").cumcount() + 1
    return lines
