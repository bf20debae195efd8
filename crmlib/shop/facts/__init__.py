"""Lazy tables that several analyses share; each says its grain and what it is not enough for."""

from crmlib.shop.facts.baskets import basket_items, item_money
from crmlib.shop.facts.customers import customer_history, history_patterns, later_purchases, purchase_days
from crmlib.shop.facts.orders import has_costs, line_money, monthly, net_orders, order_margins

__all__ = [
    "basket_items",
    "customer_history",
    "has_costs",
    "history_patterns",
    "item_money",
    "later_purchases",
    "line_money",
    "monthly",
    "net_orders",
    "order_margins",
    "purchase_days",
]
