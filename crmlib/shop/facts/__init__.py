"""Lazy tables that several analyses share; each says its grain and what it is not enough for."""

from crmlib.shop.facts.baskets import basket_items, goods, item_money
from crmlib.shop.facts.customers import (
    customer_history,
    customer_traits,
    first_orders,
    history_patterns,
    later_purchases,
    purchase_days,
)
from crmlib.shop.facts.families import families
from crmlib.shop.facts.gaps import gap_lengths, gaps, since
from crmlib.shop.facts.holidays import public_holidays
from crmlib.shop.facts.letters import letters
from crmlib.shop.facts.orders import (
    contact_cost,
    credit_notes,
    has_costs,
    line_money,
    lone_credits,
    may_have_credits,
    monthly,
    net_orders,
    order_margins,
    order_money,
    sales,
    told,
)

__all__ = [
    "basket_items",
    "contact_cost",
    "credit_notes",
    "customer_history",
    "customer_traits",
    "families",
    "first_orders",
    "gap_lengths",
    "gaps",
    "goods",
    "has_costs",
    "history_patterns",
    "item_money",
    "later_purchases",
    "letters",
    "line_money",
    "lone_credits",
    "may_have_credits",
    "monthly",
    "net_orders",
    "order_margins",
    "order_money",
    "public_holidays",
    "purchase_days",
    "sales",
    "since",
    "told",
]
