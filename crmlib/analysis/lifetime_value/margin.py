"""What is left of sales after discounts, refunds and product costs?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from crmlib import formats, wording
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

_TAX = {
    None: "It is with the tax in prices, if they hold any: shop.toml does not say (prices_include_tax).",
    True: "The tax in prices is taken off.",
    False: "Prices hold no tax.",
}


@dataclass(frozen=True, kw_only=True)
class Margin:
    """What is left of sales: `share` of net sales; `known_share` of sales have a cost; where it comes from.

    `at_risk` is the part of the margin that goes if nothing that was refunded came back fit for sale.
    """

    share: float
    known_share: float
    source: Literal["costs", "parameter", "none"]
    at_risk: float = 0.0
    taxed: bool | None = None  # whether prices include tax; None where the shop does not say

    @property
    def called(self) -> str:
        """What amounts after it are called."""
        return "net sales" if self.source == "none" else "margin"

    def sentence(self) -> str:
        """How it was worked out, for who recomputes it."""
        if self.source == "costs":
            returns = "Refunded goods are taken to have come back fit for sale; if none had, the margin would be "
            returns += f"{formats.share(self.at_risk, digits=1)} lower."
            return wording.sentences(
                f"Margin is {formats.share(self.share)} of net sales: line prices less discounts, refunds and unit "
                f"costs, known for {formats.share(self.known_share)} of goods sold.",
                returns if self.at_risk >= 0.001 else "", _TAX[self.taxed], "Shipping earns nothing.",
            )  # fmt: skip
        if self.source == "parameter":
            return f"No unit costs are known; a margin of {formats.share(self.share)} of sales was given."
        return "No unit costs are known, so the page shows net sales; tax and shipping are in as the shop counts them."


def margin_of(shop: Shop, *, assumed: float) -> Margin:
    """What share of net sales is left after discounts and product costs? From last year's lines with a unit cost.

    `assumed` counts only where no cost is known; 1 means that sales are shown instead of margin.
    """
    nothing = Margin(share=assumed, known_share=0.0, source="parameter" if assumed < 1 else "none")
    if not shop.has("orders") or not shop_facts.has_costs(shop):
        return nothing
    orders = shop_facts.order_margins(shop)
    orders = orders.filter(orders["day"] >= shop.as_of - timedelta(days=365))
    costed = orders["margin"].notnull()
    sums = shop.fetch(
        orders.aggregate(
            goods=orders["goods"].sum(), known=orders["known"].sum(), margin=orders["margin"].sum(),
            revenue=orders["revenue"].sum(where=costed), back=orders["returned_cost"].sum().fill_null(0),
        )
    ).iloc[0]  # fmt: skip
    if not sums["known"] > 0 or not sums["revenue"] > 0:
        return nothing
    share, known = float(sums["margin"] / sums["revenue"]), float(sums["known"] / sums["goods"])
    at_risk = float(sums["back"] / sums["margin"]) if sums["margin"] > 0 else 0.0
    taxed = shop.settings.prices_include_tax
    return Margin(share=share, known_share=known, source="costs", at_risk=at_risk, taxed=taxed)
