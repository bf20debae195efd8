"""Which customer is meant, and what do the shop's tables hold of them?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir

from crmlib.errors import UsageError
from crmlib.shop import consent
from crmlib.shop.tables import TABLES

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_BY_ORDER = ("order_lines", "shipments")


def find(shop: Shop, named: str) -> str | None:
    """The id of the customer with this id or e-mail address; None where no table knows one.

    UsageError where several have the address.
    """
    if "@" in named and shop.has("customers", "email"):
        found = sorted(consent.same_address(shop, "email", [consent.address_key(named)])["customer_id"])
        if len(found) > 1:
            raise UsageError(f"{len(found)} customers have this address: {', '.join(found[:20])}; name one by its id")
        if found:
            return str(found[0])
    return named if any(len(shop.fetch(found.limit(1))) for found in _of(shop, named).values()) else None


def contacts(shop: Shop, customer: str | None) -> list[str]:
    """Under which addresses and numbers is this customer known?"""
    if customer is None or not shop.has("customers"):
        return []
    row = consent.details(shop, [customer], ("email", "phone"))
    return [str(value).strip() for value in row.to_numpy().ravel() if isinstance(value, str) and value.strip()]


def rows(shop: Shop, customer: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that is this customer's, by table; columns without a value are left out."""
    told = {}
    for name, found in _of(shop, customer).items():
        frame = shop.fetch(found, max_rows=1_000_000)
        records = [{c: v for c, v in row.items() if v == v and v is not None} for row in frame.to_dict("records")]
        if records:
            told[name] = records
    return told


def _of(shop: Shop, customer: str) -> dict[str, ir.Table]:
    found = {}
    for name in TABLES:
        column = next((c for c in ("customer_id", "unit_id") if c in TABLES[name].names), "")
        if column and shop.has(name, column):
            table = shop.table(name)
            found[name] = table.filter(table[column] == customer)
    if "orders" in found:
        for name in _BY_ORDER:
            if shop.has(name):
                found[name] = shop.table(name).semi_join(found["orders"], "order_id")
    return found
