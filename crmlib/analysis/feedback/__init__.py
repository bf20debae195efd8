"""What do customers complain about, how often, and is it getting worse?

shop = crm.connect("data/demo")
texts, orders = feedback.facts(shop), feedback.orders_by_day(shop)
learning = feedback.learn(shop, texts, reader=feedback.Reader())   does a model of the shop's own stars read better?
readings = feedback.score(shop, texts, reader=learning.reader)     every text read once
validation = feedback.validate(readings)                            against the shop's own stars
trend = feedback.trend(readings, orders)                            the last eight weeks against the year before
unhappy = feedback.satisfaction(trend)                              how many are unhappy, now and before
feedback.page(unhappy, trend, validation, [feedback.part_unhappy(unhappy, trend), …])
"""

from __future__ import annotations

from crmlib.analysis.feedback.breakdown import part_groups, part_products
from crmlib.analysis.feedback.lists import part_answers, part_quotes
from crmlib.analysis.feedback.page import page
from crmlib.analysis.feedback.predictions import part_ahead
from crmlib.analysis.feedback.rates import part_rates
from crmlib.analysis.feedback.readers import learn, part_readers
from crmlib.analysis.feedback.reading import Reader
from crmlib.analysis.feedback.satisfaction import part_unhappy, satisfaction
from crmlib.analysis.feedback.texts import facts, orders_by_day, score
from crmlib.analysis.feedback.trend import part_trend, trend
from crmlib.analysis.feedback.validation import part_outcomes, part_reading, validate

__all__ = [
    "Reader", "facts", "learn", "orders_by_day", "page", "part_ahead", "part_answers", "part_groups", "part_outcomes",
    "part_products", "part_quotes", "part_rates", "part_readers", "part_reading", "part_trend", "part_unhappy",
    "satisfaction", "score", "trend", "validate",
]  # fmt: skip
