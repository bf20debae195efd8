"""Which texts does the shop have, and how does each read? Facts, and the one pass over the rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from html import unescape
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib import wording
from crmlib.analysis.feedback.labels import taught_by
from crmlib.analysis.feedback.normalising import bounded
from crmlib.analysis.feedback.reading import Reader, Reading, text_key
from crmlib.analysis.feedback.redaction import redact
from crmlib.analysis.feedback.themes import own_words
from crmlib.errors import NotEnoughData
from crmlib.formats import outline
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

MIN_READ = 50  # texts that must be readable before any share is reported
OUTCOMES = ("read", "no_signal", "other_language")
SEGMENTS = ("acquisition_channel", "country", "gender", "age")  # what is known of customers, beside each text
_CARRIED = ("feedback_id", "customer_id", "order_id", "product_id", "channel")
_MARKS = ("answered", "mixed")
AGES = (25, 35, 45, 55, 65)  # years at which a new age band begins


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What became of every text.

    texts     one row a text, by feedback_id: feedback_id, customer_id, order_id, product_id, channel, the SEGMENTS,
              day (NaT where undated), rating (NaN where unrated), outcome (one of OUTCOMES), polarity, key (of the
              distinct text), answered, mixed (praise and blame in one), text (redacted, and kept only where it may be
              quoted or answered: read negative, complaining, or one or two stars; else '')
    mentions  one row a text and theme: row (of `texts`), theme, polarity, complaint
    """

    __repr__ = outline

    texts: pd.DataFrame
    mentions: pd.DataFrame
    reader: Reader
    as_of: date

    @property
    def read(self) -> pd.DataFrame:
        """The texts that were read and not abstained from."""
        return self.texts[self.texts["outcome"] == "read"]


def facts(shop: Shop) -> ir.Table:
    """Grain: one kept text. The smallest table a reader of texts can do with: the rows themselves.

    Columns feedback_id, text, created_at, day, customer_id, order_id, product_id, channel, rating, language,
    first_name, last_name (of that very customer, to be taken out of quotes), the customer's SEGMENTS, answered (a
    ticket of the customer was first replied to at or after the text). Empty where the shop lacks them. Raises
    NotAvailable without feedback.
    """
    texts = shop.table("feedback", "text").select(
        "feedback_id", "text", "created_at", "customer_id", "order_id", "product_id", "channel",
        day=lambda t: t.created_at.date(), rating=lambda t: t.rating.cast("float64"), language=lambda t: t.language,
    )  # fmt: skip
    if shop.has("customers"):
        people = with_segments(shop, shop.table("customers").select("customer_id", "first_name", "last_name"))
        texts = texts.left_join(people, "customer_id").drop("customer_id_right")
    else:
        texts = texts.mutate(**dict.fromkeys(("first_name", "last_name", *SEGMENTS), ibis.null("string")))
    if shop.has("tickets", "customer_id", "first_reply_at"):
        tickets = shop.table("tickets").filter(lambda t: t.customer_id.notnull())
        replies = tickets.group_by("customer_id").aggregate(_replied=tickets["first_reply_at"].max())
        texts = texts.left_join(replies, "customer_id").drop("customer_id_right")
        texts = texts.mutate(answered=(texts["_replied"] >= texts["created_at"]).fill_null(False)).drop("_replied")
    else:
        texts = texts.mutate(answered=ibis.literal(False))
    return texts.order_by("feedback_id")


def with_segments(shop: Shop, people: ir.Table) -> ir.Table:
    """Customers with what is known of them, as text: acquisition_channel, country, gender, age (a band at as_of)."""
    known = shop.table("customers")
    born = known["birth_date"].cast("date")
    years = ibis.literal(shop.as_of.year) - born.year() - (
        (born.month() * 100 + born.day()) > shop.as_of.month * 100 + shop.as_of.day
    ).cast("int32")  # fmt: skip
    middle = [f"{low}\N{EN DASH}{high - 1}" for low, high in itertools.pairwise(AGES)]
    bands = zip(AGES, [f"under {AGES[0]}", *middle], strict=True)
    band = ibis.cases(*((years < limit, name) for limit, name in bands), else_=f"{AGES[-1]} and over")
    columns = ("customer_id", "acquisition_channel", "country", "gender")
    segments = known.select(*columns, age=ibis.ifelse(born.isnull(), ibis.null("string"), band))
    return people.left_join(segments, "customer_id").drop("customer_id_right")


def order_days(shop: Shop) -> ir.Table:
    """Grain: a day with orders that were not cancelled. Columns day, orders. Raises NotAvailable without orders.

    Enough for rates per 1,000 orders over any days; not for who ordered what.
    """
    orders = shop_facts.net_orders(shop)
    return orders.group_by("day").aggregate(orders=orders.count()).order_by("day")


def orders_by_day(shop: Shop) -> pd.DataFrame:
    """Against how many orders are complaints counted? One row a day: day, orders; no rows without orders."""
    if not shop.has("orders"):
        return pd.DataFrame({"day": pd.Series(dtype="datetime64[s]"), "orders": pd.Series(dtype="int64")})
    days = shop.fetch(order_days(shop))
    return days.assign(day=pd.to_datetime(days["day"]))


def score(shop: Shop, texts: ir.Table, *, reader: Reader, at_least: int = MIN_READ) -> Readings:
    """How does each text read? Row by row, once, each distinct text scored once; themes by our words and the shop's, or
    as its labels taught.

    Raises NotEnoughData where fewer than `at_least` texts could be read.
    """
    known: dict[tuple[int, str], Reading] = {}
    reader = replace(reader, words=own_words(shop.settings.words)) if shop.settings.words else reader
    reader = replace(reader, labelled=taught_by(shop, texts, words=reader.words))
    own = shop_words(shop)
    rows: list[tuple[Any, ...]] = []
    mentions: list[tuple[int, str, float, bool]] = []
    for chunk in shop.stream(texts):
        records = chunk.astype(object).where(chunk.notna(), None).to_dict("records")
        keys = [(text_key(record["text"]), (record["language"] or "").strip().casefold()) for record in records]
        new = {at: record["text"] for at, record in zip(keys, records, strict=True) if at not in known}
        found = reader.read_all(list(new.values()), languages=[language for _, language in new])
        known.update(zip(new, found, strict=True))
        for (key, language), record in zip(keys, records, strict=True):
            reading = known[key, language]
            against = reading.complaints(rating=record["rating"])
            mentions += [(len(rows), name, mood, name in against) for name, mood in reading.themes.items()]
            rows.append(_row(record, reading, reader=reader, key=key, complains=bool(against), own=own))
    columns = [*_CARRIED, *SEGMENTS, "created_at", "day", "rating", "outcome", "polarity", "key", *_MARKS, "text"]
    frame = pd.DataFrame(rows, columns=columns)
    frame = frame.assign(day=pd.to_datetime(frame["day"]), rating=pd.to_numeric(frame["rating"]))
    frame = frame.astype({"rating": "float64", "polarity": "float64", "answered": bool, "mixed": bool})
    counts = frame["outcome"].value_counts()
    if counts.get("read", 0) < at_least:
        read, silent, other = (f"{counts.get(outcome, 0):,}" for outcome in OUTCOMES)
        raise NotEnoughData(
            f"needs {at_least} texts it can read; of {wording.counted(len(frame), 'text')} {read} could be read, "
            f"{silent} had no clear direction and {other} {wording.noun(counts.get(OUTCOMES[2], 0), 'is')} not English"
        )
    found = pd.DataFrame(mentions, columns=["row", "theme", "polarity", "complaint"])
    found = found.astype({"row": "int64", "theme": "object", "polarity": "float64", "complaint": "bool"})
    return Readings(texts=frame, mentions=found, reader=reader, as_of=shop.as_of)


def shop_words(shop: Shop) -> frozenset[str]:
    """Which words written like a name belong to the shop: those of its products, brands and carriers, in lower case."""
    words: set[str] = set()
    for table, columns in (("products", ("name", "brand", "category")), ("shipments", ("carrier",))):
        for column in columns:
            if shop.has(table, column):
                values = shop.table(table).select(column).filter(lambda t, name=column: t[name].notnull())
                for chunk in shop.stream(values.distinct().order_by(column)):
                    words.update(word for value in chunk[column] for word in re.findall(r"\w+", str(value).casefold()))
    return frozenset(words)


def _row(
    record: Mapping[str, Any], reading: Reading, *, reader: Reader, key: int, complains: bool, own: frozenset[str]
) -> tuple[Any, ...]:
    negative = reading.outcome == "read" and reader.direction(reading.polarity) < 0
    disliked = record["rating"] is not None and record["rating"] <= 2
    text = ""
    if negative or disliked or complains:
        names, ids = (record["first_name"], record["last_name"]), (record["order_id"], record["customer_id"])
        # Names and whole texts end here; only what is redacted goes on.
        text = redact(bounded(unescape(record["text"])), names=names, ids=ids, known=own)
    known = [record[name] for name in (*_CARRIED, *SEGMENTS, "created_at", "day", "rating")]
    return (*known, reading.outcome, reading.polarity, key, bool(record["answered"]), reading.mixed, text)
