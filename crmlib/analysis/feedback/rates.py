"""How often is each theme complained about, and which leads?"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.feedback import reliability
from crmlib.analysis.feedback.quotes import quoted
from crmlib.analysis.feedback.reliability import FIRST, MEASURED, OBLIQUE, OBLIQUE_FIRST, SENTENCES, together
from crmlib.analysis.feedback.texts import Readings
from crmlib.analysis.feedback.themes import THEMES
from crmlib.findings import Caveat, Chart, Metric, Part
from crmlib.formats import Estimate
from crmlib.stats import rate_interval

CLEAR = 0.975  # share of draws in which a theme must be the most common to be called so
FEW = 20  # complaints below which a theme is better read than counted


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Complaints by theme, as in themes.csv, over [start, end) with `orders` orders (None without a common period).

    frame  theme, texts (that mention it), negative (that complain of it), per_1000_orders, low, high, per_1000_texts,
           actual_low, actual_high (of the rate per 1,000 orders, or per 1,000 texts without them, with the reader's own
           errors), in_period
    first  the theme that is most common beyond chance and misreading, '' where none is clear
    """

    frame: pd.DataFrame
    first: str
    texts: int
    orders: int | None
    start: date | None
    end: date | None
    undated: int


def rates(readings: Readings, orders: pd.DataFrame, *, seed: int = 0) -> Rates:
    """How often is each theme complained about, per 1,000 orders of the same period?

    The period runs from the first day that has both texts and orders behind it to the last. Complaints in it are a
    Poisson count (Garwood's interval); without orders or dates these rates are empty and texts are what is counted
    against. `seed` draws the readers' errors.
    """
    found, texts = readings.mentions, readings.texts
    counts = found.groupby("theme").agg(texts=("row", "size"), negative=("complaint", "sum"))
    frame = counts.reindex(THEMES, fill_value=0).astype("int64").rename_axis("theme").reset_index()
    frame = frame.assign(per_1000_orders=np.nan, low=np.nan, high=np.nan, in_period=frame["negative"])
    dated, period = texts["day"].notna(), period_of(readings, orders)
    inside, total = dated, None
    if period:
        start, end = (pd.Timestamp(day) for day in period)
        inside = (texts["day"] >= start) & (texts["day"] < end)
        total = int(orders.loc[(orders["day"] >= start) & (orders["day"] < end), "orders"].sum())
        said = found[found["complaint"] & inside.to_numpy()[found["row"]]].groupby("theme").size()
        counted = said.reindex(THEMES, fill_value=0).to_numpy()
        low, high = rate_interval(counted, total / 1000)
        frame = frame.assign(per_1000_orders=1000 * counted / total, low=low, high=high, in_period=counted)
    counted, out_of = frame["in_period"].to_numpy(float), total or max(len(texts), 1)
    frame = frame.assign(per_1000_texts=1000 * frame["negative"] / max(len(texts), 1))
    drawn = 1000 * reliability.actual(counted, THEMES, rng=np.random.default_rng(seed)) / out_of
    frame["actual_low"], frame["actual_high"] = np.quantile(drawn, (0.025, 0.975), axis=0)
    ahead = np.bincount(drawn.argmax(axis=1), minlength=len(THEMES)) / len(drawn)
    first = THEMES[int(ahead.argmax())] if ahead.max() >= CLEAR and counted.any() else ""
    frame = frame.assign(in_period=frame.pop("in_period"))
    count: dict[str, Any] = {"texts": int(inside.sum()), "orders": total, "undated": int((~dated).sum())}
    start_day, end_day = period or (None, None)
    return Rates(frame=frame, first=first, start=start_day, end=end_day, **count)


def period_of(readings: Readings, orders: pd.DataFrame) -> tuple[date, date] | None:
    """From the first day that has both texts and orders behind it to the last, [start, end); None without."""
    days = readings.texts["day"].dropna()
    if days.empty or orders.empty:
        return None
    start = max(days.min(), orders["day"].min()).date()
    end = min(readings.as_of, orders["day"].max().date() + timedelta(days=1))
    counted = orders["day"].between(pd.Timestamp(start), pd.Timestamp(end), inclusive="left")
    return (start, end) if orders.loc[counted, "orders"].sum() > 0 else None


def author(rows: pd.DataFrame) -> pd.Series:
    """Who wrote each text: its customer, or the text itself where that is unknown."""
    alone = "text " + rows["feedback_id"].astype(str)
    return ("customer " + rows["customer_id"].astype(str)).where(rows["customer_id"].notna(), alone)


def part_rates(readings: Readings, orders: pd.DataFrame) -> Part:
    """What is complained about most? Complaints by theme per 1,000 orders, or per 1,000 texts without orders."""
    found = rates(readings, orders)
    column, per = ("per_1000_orders", "orders") if found.orders else ("per_1000_texts", "texts")
    frame = found.frame.sort_values([column, "theme"], ascending=[False, True]).reset_index(drop=True)
    frame["name"], frame["first"] = frame["theme"].str.capitalize(), frame.index == 0
    top = frame.iloc[0]
    title = "No complaint about any of the seven themes was found"
    sentence, chart = "Customers may use words the software does not know.", Chart(table=_table(frame, found))
    if frame["in_period"].any():
        # Themes are missed unequally often, so no order below the first is told.
        clear = top["theme"] == found.first
        rank = "the most common complaint" if clear else "found most often; others may be missed more"
        title = f"{top['name']} is {rank}"
        span = f" over {wording.span((found.end - found.start).days)}" if found.start and found.end else ""
        most = f"{formats.number(top['negative'])} of {wording.counted(len(readings.texts), 'text')}"
        if found.orders:
            most = f"{formats.number(top[column], digits=1)} per 1,000 orders{span}"
        sentence = wording.sentences(f"{wording.upper(most)}.", quoted(readings, str(top["theme"])))
        caption = "Bars: complaints found. Lines: how many there may be, with those missed and misread."
        ends: dict[str, Any] = {"label": "name", "low": "actual_low", "high": "actual_high", "strong": "first"}
        what, form = f"Complaints per 1,000 {per}", functools.partial(formats.number, digits=1)
        chart = figures.bars(frame, value=column, what=what, form=form, caption=caption, table=chart.table, **ends)
    return Part(
        title=title,
        sentence=sentence,
        chart=chart,
        metrics=_metrics(found),
        caveats=_caveats(),
        method=[one for one in (_measured(found), readings.reader.labelled.sentence()) if one],
        tables={"themes": found.frame.drop(columns="in_period")},
    )


def _metrics(found: Rates) -> list[Metric]:
    if not found.orders:
        return []
    definition = "texts that speak negatively of the theme or name one of its faults (with four or five stars only a "
    definition += "fault in a text that reads negative as a whole), or mention it without praise under one or two "
    definition += "stars, per 1,000 orders of the period; Garwood's 95 % interval of the count"
    texts = Estimate(value=1000 * found.texts / found.orders, unit="texts", n=found.orders)
    per_order, what = "Texts per 1,000 orders", "texts of the period / orders of the period × 1,000"
    metrics = [Metric.of(texts, id="texts_per_1000_orders", label=per_order, definition=what)]
    for row in found.frame.itertuples():
        rate = replace(texts, value=row.per_1000_orders, low=row.low, high=row.high, unit="complaints")
        note = f"{row.in_period:,} in {wording.counted(found.orders, 'order')}"
        label = f"{row.theme.capitalize()} complaints per 1,000 orders, all time"
        metrics.append(Metric.of(rate, id=f"{row.theme}_complaints", label=label, note=note, definition=definition))
    return metrics


def _table(frame: pd.DataFrame, found: Rates) -> dict[str, Any]:
    labels = {"name": "Theme", "texts": "Texts that mention it", "negative": "Complaints"}
    if not (frame["in_period"] == frame["negative"]).all():
        labels["in_period"] = "Of them while there are orders"
    rated = {"per_1000_orders": "Per 1,000 orders"} if found.orders else {"per_1000_texts": "Per 1,000 texts"}
    labels |= rated | {"actual_low": "If read as in the test, from", "actual_high": "To"}
    labels |= {"precision": "Test: right of found", "recall": "Test: found of all"}
    tested = {name: [getattr(MEASURED[theme], name) for theme in frame["theme"]] for name in ("precision", "recall")}
    forms: dict[str, Any] = dict.fromkeys(("texts", "negative", "in_period"), formats.people)
    forms |= dict.fromkeys((*rated, "actual_low", "actual_high"), functools.partial(formats.number, digits=2))
    caption = f"Complaints by theme; the test is of words alone, on {SENTENCES} sentences written for it"
    frame = frame.assign(**tested)
    return figures.tabulate(frame, caption=caption, labels=labels, formats=forms, file="tables/themes.csv")


def _caveats() -> list[Caveat]:
    right, _, missed = np.array([reliability.mean_score(theme) for theme in THEMES]).T
    weakest = [THEMES[i] for i in np.argsort(right / (right + missed), kind="stable")[:2]]
    silent = "Those who write are not all customers; nothing here speaks for the silent."
    share = f"About {10 * (missed / (right + missed)).mean():.0f} in 10 complaints are missed, most about "
    share += f"{wording.listed(weakest)}: compare a theme with itself over time, not with others."
    irony = "Sarcasm is often misread; a single text's reading is a hint."
    return [Caveat(text=text) for text in (silent, share, irony)]


def _measured(found: Rates) -> str:
    """How well the words find complaints on sentences written for it."""
    every, first, oblique = together(MEASURED), together(FIRST), together(OBLIQUE)
    themes = [f"{theme} {MEASURED[theme].right} of {MEASURED[theme].complaints}" for theme in THEMES]
    count = wording.noun(found.undated, "counts", "count")
    undated = f" {wording.counted(found.undated, 'text')} without a date {count} in no rate."
    return (
        f"On {SENTENCES} test sentences, not written by this shop's customers, the words alone, without stars, find "
        f"{every.recall} complaints and are right in {every.precision}; before the patterns were last improved "
        f"{first.right} were found, so the later figure flatters. By theme: {', '.join(themes)}. Of "
        f"{oblique.complaints} worded away from the patterns on purpose, about price and the website, "
        f"{together(OBLIQUE_FIRST).right} were found at first and {oblique.right} since. Under {FEW} "
        "complaints about a theme, read the quotes and compare nothing. A text counts on the day it was written; its "
        "order was often placed a week or two earlier." + (undated if found.undated else "")
    )
