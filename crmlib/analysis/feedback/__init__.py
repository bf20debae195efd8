"""What do customers complain about, how often, and is it getting worse?

store = crm.connect("data/demo")
texts = feedback.facts(store)                                     one row a text, lazily
learning = feedback.learn(store, texts, reader=feedback.Reader())   does a model of the shop's own stars read better?
readings = feedback.score(store, texts, reader=learning.reader)     every text read once
validation = feedback.validate(readings)                          against the shop's own stars
rates = feedback.rates(readings, orders)                          complaints per 1,000 orders
trend = feedback.trend(readings, orders)                          the last eight weeks against before
products = feedback.products(readings, store, orders)             which products stand out
ahead = feedback.ahead(readings, orders, trend=trend)             what the next weeks should bring
"""

from __future__ import annotations

from crmlib.analysis.feedback.breakdown import Groups, Products, groups, products
from crmlib.analysis.feedback.causes import Cause, causes
from crmlib.analysis.feedback.comparisons import figure_products, figure_readers, table_ahead, table_groups
from crmlib.analysis.feedback.drawings import figure_rates, figure_stars, figure_trend, table_outcomes, table_quotes
from crmlib.analysis.feedback.page import findings
from crmlib.analysis.feedback.predictions import Ahead, ahead, grade, predictions
from crmlib.analysis.feedback.rates import (
    Rates,
    Share,
    Trend,
    Validation,
    complaints,
    quotes,
    rates,
    reply_queue,
    trend,
    validate,
)
from crmlib.analysis.feedback.readers import Learning, learn
from crmlib.analysis.feedback.reading import Reader, Reading, is_english
from crmlib.analysis.feedback.redaction import redact
from crmlib.analysis.feedback.texts import Readings, facts, order_days, orders_by_day, score
from crmlib.analysis.feedback.themes import THEMES, names_fault, themes_of

__all__ = [
    "THEMES", "Ahead", "Cause", "Groups", "Learning", "Products", "Rates", "Reader", "Reading", "Readings", "Share", "Trend", "Validation",
    "ahead", "causes", "complaints", "facts", "figure_products", "figure_rates", "figure_readers", "figure_stars", "figure_trend", "findings", "grade", "groups",
    "is_english", "learn", "names_fault", "order_days", "orders_by_day", "predictions", "products", "quotes", "rates", "redact", "reply_queue",
    "score", "table_ahead", "table_groups", "table_outcomes", "table_quotes", "themes_of", "trend", "validate",
]  # fmt: skip
