"""Whom does the shop owe an answer, and which texts must be read?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.feedback.quotes import QUOTE_DAYS, naming, since
from crmlib.analysis.feedback.rates import FEW
from crmlib.analysis.feedback.texts import Readings
from crmlib.analysis.feedback.themes import OWNERS, THEMES
from crmlib.analysis.feedback.trend import ACT_WITHIN_DAYS, Trend, quotes_of, these
from crmlib.analysis.outreach import reached
from crmlib.findings import Action, Metric, Part
from crmlib.formats import Estimate
from crmlib.shop.shop import Shop

REPLY_DAYS = 30  # how far back the reply queue looks
REPLY_WITHIN_DAYS = 3
MISREAD = 0.2  # share of a theme's rated complaints with four or five stars from which its texts are no task
_SORTED = "They were sorted by words, so some may be about something else."


def reply_queue(readings: Readings, *, days: int = REPLY_DAYS) -> pd.DataFrame:
    """Whom does the shop still owe an answer? Negative texts of the last `days` without a reply since, newest first.

    Columns feedback_id, customer_id, created_at, rating, theme, text (redacted). Stars decide where there are any (one
    or two), else the reading; texts without a date are never recent. Names customers: belongs into lists/.
    """
    texts = readings.texts
    unclear = texts["rating"].isna() | ((texts["rating"] > 2) & (texts["rating"] < 4))
    read_negative = (texts["outcome"] == "read") & (texts["polarity"] < 0)
    recent = texts["day"] >= since(readings, days)
    queue = texts[((texts["rating"] <= 2) | (unclear & read_negative)) & recent & ~texts["answered"]]
    named = readings.mentions[readings.mentions["complaint"]].groupby("row")["theme"].agg(", ".join)
    queue = queue.assign(theme=named.reindex(queue.index).fillna(""))
    queue = queue.sort_values(["created_at", "feedback_id"], ascending=[False, True], na_position="last")
    return queue[["feedback_id", "customer_id", "created_at", "rating", "theme", "text"]].reset_index(drop=True)


def complaints(readings: Readings, trend: Trend) -> pd.DataFrame:
    """Which texts must be read to find the cause? Of a theme that rose, those of the weeks it rose in, else a year's.

    One row a text and theme of those that rose and the two most frequent: theme, date, feedback_id, order_id,
    customer_id, rating, names (the word behind the rise, where this text names it), text (redacted). Those that name it
    first, then the newest. Of a theme without a text of the last year, all. Names customers: belongs into lists/.
    """
    columns = ["theme", "date", "feedback_id", "order_id", "customer_id", "rating", "names", "text"]
    said = readings.mentions[readings.mentions["complaint"]]
    counts = said["theme"].value_counts().reindex(THEMES, fill_value=0).sort_values(ascending=False, kind="stable")
    parts = []
    for theme in dict.fromkeys([*trend.rose, *counts[counts >= FEW].index[:2]]):
        texts = readings.texts.iloc[said.loc[said["theme"] == theme, "row"]]
        inside = texts["day"] >= since(readings, QUOTE_DAYS)
        if theme in trend.rose:
            inside = (texts["day"] >= trend.since) & (texts["day"] < trend.end)
        texts = texts[inside] if inside.any() else texts
        cause = trend.cause(theme)
        named = naming(texts["text"], cause.word) if cause else pd.Series(False, index=texts.index)
        names = np.where(named, cause.word if cause else "", "")
        texts = texts.assign(theme=theme, date=texts["day"].dt.date, names=names, later=~named)
        order = texts.sort_values(["later", "day", "feedback_id"], ascending=[True, False, True])
        parts.append(order[columns])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def part_answers(readings: Readings, *, tickets: bool, shop: Shop | None = None) -> Part:
    """How many unhappy customers of the last month wait for an answer? `tickets`: does the data say who got one?

    With a `shop` the list says how they are called and reached: an answer to what somebody wrote needs no consent, and
    the `lot` is empty, for nobody is left alone without one.
    """
    queue = reply_queue(readings)
    about = (" about " + queue["theme"].astype(str).str.replace("_", " ")).mask(queue["theme"] == "", "")
    queue = queue.assign(lot="", reason="unhappy" + about + ", no answer on record")
    queue = reached(shop, queue) if shop is not None else queue
    dated = readings.texts.empty or bool(readings.texts["day"].notna().any())
    count = len(queue) if dated else None
    what = "texts with one or two stars, or read as negative without clear stars, without a ticket reply since"
    said: dict[str, Any] = {"headline": dated, "note": f"last {REPLY_DAYS} days", "definition": what}
    unanswered = Estimate(value=count, unit="texts", n=count)
    texts = "this unhappy text" if count == 1 else f"these {formats.number(count)} unhappy texts"
    why = f"Written in the last {REPLY_DAYS} days, newest first: one or two stars; with three or none, unhappy words."
    action = Action(
        what=f"Answer {texts}" + ("" if tickets else ", where still open"),
        why=wording.sentences(why, "" if tickets else "The data does not say which were answered.", _again(queue)),
        count=count,
        by=wording.working_day(readings.as_of, REPLY_WITHIN_DAYS),
        owner="service",
        file="lists/reply_queue.csv",
    )
    metric = Metric.of(unanswered, id="unanswered", label="Negative texts to answer", **said)
    return Part(metrics=[metric], actions=[action] if count else [], lists={"reply_queue": queue})


def _again(texts: pd.DataFrame) -> str:
    """How many texts say what another says, word for word: one person sent twice, or a file put together twice."""
    said = texts["text"].dropna()
    n = int(said[said != ""].duplicated().sum())
    texts_ = f"{wording.upper(wording.counted(n, 'text'))} {wording.noun(n, 'repeats', 'repeat')}"
    return f"{texts_} another word for word." if n else ""


def part_quotes(readings: Readings, trend: Trend) -> Part:
    """What do people write? Quotes by theme, and the complaints that are worth reading."""
    found, listed = quotes_of(readings, trend), complaints(readings, trend)
    frame = found.assign(
        name=found["theme"].str.capitalize(),
        stars=[formats.number(value) if value == value else "none" for value in found["rating"]],
        month=[f"{day:%B %Y}" if day is not pd.NaT else "undated" for day in found["day"]],
    )
    labels = {"name": "Theme", "text": "What was written", "stars": "Stars", "month": "When"}
    caption = "Up to three quotes a theme, with one or two stars where there are any"
    chart = figures.table(frame, caption=caption, labels=labels)
    actions = [action for theme in listed["theme"].unique() if theme not in trend.rose
               if (action := _reading_task(theme, listed[listed["theme"] == theme], readings))]  # fmt: skip
    return Part(
        title="In their own words" if len(frame) else "No complaint is clear enough to quote",
        sentence="Quotes by theme; personal data is taken out, a machine chose them." if len(frame) else "",
        detail=True,
        chart=chart if len(frame) else None,
        actions=actions,
        lists={"complaints": listed} if len(listed) else {},
    )


def _reading_task(theme: str, texts: pd.DataFrame, readings: Readings) -> Action | None:
    """Reading the complaints of a frequent theme; None where stars say that many of them were misread."""
    rated = texts["rating"].dropna()
    misread = float((rated >= 4).mean()) if len(rated) else 0.0
    if misread >= MISREAD:
        return None
    count = len(texts)
    happy, recent = int((rated >= 4).sum()), bool((pd.to_datetime(texts["date"]) >= since(readings, QUOTE_DAYS)).all())
    stars = f"{happy:,} of {wording.counted(len(rated), 'rated text')} {wording.noun(len(rated), 'carries', 'carry')}"
    stars = f"{stars} four or five stars." if len(rated) else "None carries stars."
    return Action(
        what=f"Read {these(count, theme)} and find the cause",
        why=wording.sentences("Of the last year." if recent else "", stars, _SORTED, _again(texts)),
        count=count,
        by=wording.working_day(readings.as_of, ACT_WITHIN_DAYS),
        owner=OWNERS[theme],
        file="lists/complaints.csv",
    )
