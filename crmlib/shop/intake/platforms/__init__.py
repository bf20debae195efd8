"""Which platform wrote a file? One module each: a table of columns, and functions where a table cannot say it."""

from __future__ import annotations

from collections.abc import Iterable

from crmlib.shop.intake.platforms import (
    amazon,
    databases,
    ebay,
    etsy,
    etsy_items,
    experiments,
    klaviyo,
    magento,
    mailing,
    payments,
    prestashop,
    reviews,
    shopify,
    shopify_lists,
    square,
    tickets,
    woocommerce,
    woocommerce_core,
    woocommerce_more,
)
from crmlib.shop.intake.platforms.base import Export, Identity, Made

__all__ = ["EXPORTS", "Export", "Identity", "Made", "nearest_export", "recognise"]

_MODULES = (
    shopify, shopify_lists, woocommerce, woocommerce_core, woocommerce_more, magento, prestashop,
    etsy, etsy_items, amazon, ebay, square, payments,
    reviews, tickets, experiments, databases, mailing, klaviyo,
)  # fmt: skip
EXPORTS: tuple[Export, ...] = tuple(
    value for module in _MODULES for value in vars(module).values() if isinstance(value, Export)
)


def recognise(header: Iterable[str]) -> Export | None:
    """The export that a header is of: of those whose needs it meets, the one that needs most, in any order.

    >>> recognise(["Lineitem price", "NAME", "Created at", "Lineitem name", "Lineitem quantity"]).what
    'orders'
    """
    there = {name.strip().casefold() for name in header}
    met = [export for export in EXPORTS if there >= export.needed]
    return max(met, key=lambda export: len(export.needs), default=None)


def nearest_export(header: Iterable[str]) -> tuple[Export, list[str]] | None:
    """The export that a header is nearest to, and what it lacks; None where it has less than half of any."""
    there = {name.strip().casefold() for name in header}
    found = [(sum(name.casefold() in there for name in e.needs) / len(e.needs), e) for e in EXPORTS]
    share, export = max(found, key=lambda pair: pair[0], default=(0.0, None))
    if export is None or share < 0.5:
        return None
    return export, [name for name in export.needs if name.casefold() not in there]
