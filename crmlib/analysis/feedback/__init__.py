"""What do customers complain about, how often, and is it getting worse?

store = crm.connect("data/demo")
texts = feedback.facts(store)                                     one row a text, lazily
readings = feedback.score(store, texts, reader=feedback.Reader())   every text read once
validation = feedback.validate(readings)                          against the shop's own stars
rates = feedback.rates(readings, orders)                          complaints per 1,000 orders
trend = feedback.trend(readings, orders)                          the last eight weeks against before
"""

from __future__ import annotations

from crmlib.analysis.feedback.conclusions import findings
from crmlib.analysis.feedback.contest import Learning, learn
from crmlib.analysis.feedback.drawings import figure_rates, figure_stars, figure_trend, table_outcomes, table_quotes
from crmlib.analysis.feedback.measures import (
    Rates,
    Share,
    Trend,
    Validation,
    quotes,
    rates,
    reply_queue,
    trend,
    validate,
)
from crmlib.analysis.feedback.reading import Reader, Reading, is_english
from crmlib.analysis.feedback.redaction import redact
from crmlib.analysis.feedback.texts import Readings, facts, order_days, orders_by_day, score
from crmlib.analysis.feedback.themes import THEMES, names_fault, themes_of

__all__ = [
    "THEMES", "Learning", "Rates", "Reader", "Reading", "Readings", "Share", "Trend", "Validation", "facts", "figure_rates", "figure_stars",
    "figure_trend", "findings", "is_english", "learn", "names_fault", "order_days", "orders_by_day", "quotes", "rates", "redact",
    "reply_queue", "score", "table_outcomes", "table_quotes", "themes_of", "trend", "validate",
]  # fmt: skip
