"""Whom to call: lists that can be worked through, and the lot that says who is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crmlib.analysis.lifetime_value.scoring import Scores

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

QUIET, WHOLESALE = "quiet_customers", "wholesale_customers"
CALL, LEAVE = "call", "leave alone"
LEAST_FOR_A_LOT = 20  # halves of fewer tell nothing, so all are called
_COLUMNS = ["customer_id", "past_revenue", "days_since_last_order", "p_no_order", "expected_orders", "expected_value"]


def quiet_customers(shop: Shop, scores: Scores) -> pd.DataFrame:
    """Good customers who will probably not order, the best by past sales first, each in a half by lot.

    Columns customer_id, half ('call' or 'leave alone'), past_revenue, days_since_last_order, p_no_order, expected_orders,
    expected_value, value_if_back (over the horizon, if they bought again as before). The lot depends on the shop's key and
    the customer alone: whoever is drawn stays in that half in every later report.
    """
    people = scores.customers[scores.customers["quiet"]]
    people = people.sort_values(["past_revenue", "customer_id"], ascending=[False, True], ignore_index=True)
    halves = [CALL] * len(people)
    if len(people) >= LEAST_FOR_A_LOT:
        halves = [CALL if shop.lot(who, of=QUIET) else LEAVE for who in people["customer_id"]]
    listed = people[_COLUMNS].assign(value_if_back=people["if_active"])
    listed.insert(1, "half", halves)
    return listed


def wholesale_customers(scores: Scores) -> pd.DataFrame:
    """Buyers whose orders are far larger than anybody else's, the largest by past sales first. Columns as above, without half."""
    people = scores.customers[scores.customers["wholesale"]]
    return people.sort_values(["past_revenue", "customer_id"], ascending=[False, True], ignore_index=True)[_COLUMNS]
