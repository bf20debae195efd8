"""Who was written to, by the shop's own record of contacts?"""

from __future__ import annotations

import operator
from functools import reduce

import ibis.expr.types as ir

from crmlib.shop.shop import Shop

_LETTERS = ("mail", "sms", "newsletter", "whatsapp", "push")


def letters(shop: Shop) -> ir.Table | None:
    """Grain: a letter to a customer, by mail, text message or push. Columns customer_id, at, letter.

    `letter` is its campaign, else its channel, with the day: what goes out on one day to many is one letter. Visits,
    bounces and who unsubscribed are no letters. None where the shop has no record of contacts by channel.
    """
    if not shop.has("touches", "channel"):
        return None
    touches = shop.table("touches")
    channel = touches["channel"].lower()
    letter = reduce(operator.or_, [channel.contains(word) for word in _LETTERS])
    if shop.has("touches", "kind"):
        letter &= ~touches["kind"].lower().isin(["visit", "bounce", "unsubscribe"]).fill_null(False)
    campaign = touches["campaign_id"].nullif("").fill_null(channel)
    day = touches["at"].date().cast("string")
    return touches.filter(letter.fill_null(False)).select("customer_id", "at", letter=campaign + " " + day)
