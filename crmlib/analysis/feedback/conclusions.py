"""What the page says: numbers, actions, how sure, when not to trust it; every sentence built from what was computed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import formats
from crmlib.analysis.feedback.measures import REPLY_DAYS, Rates, Trend, Validation
from crmlib.analysis.feedback.reliability import HELD_OUT, MEASURED
from crmlib.analysis.feedback.texts import Readings
from crmlib.analysis.feedback.themes import OWNERS, THEMES
from crmlib.analysis.feedback.words import FEW, all_positive, trend_words
from crmlib.findings import Action, Caveat, Check, Findings, Metric

if TYPE_CHECKING:
    from crmlib.shop.engine import Shop


def findings(
    readings: Readings,
    *,
    validation: Validation,
    rates: Rates,
    trend: Trend,
    quotes: pd.DataFrame,
    queue: pd.DataFrame,
    shop: Shop,
) -> Findings:
    """What a shop's owner should know of what customers wrote."""
    frame = rates.frame
    texts, read = len(readings.texts), len(readings.read)
    share = validation.share
    checks = _checks(validation, texts=texts, read=read)
    rose = list(trend.changes.loc[trend.changes["change"] == "rose"].sort_values("ratio", ascending=False)["theme"])
    top = (
        str(frame.sort_values(["negative", "theme"], ascending=[False, True])["theme"].iloc[0])
        if frame["negative"].any()
        else ""
    )
    tables = frame.drop(columns="in_period")
    share_text = f"{formats.quantity(share.value, 'share', low=share.low, high=share.high)} ({formats.interval(share.low, share.high, 'share')})"
    told = {
        "corrected": f"Of the texts we could read, {share_text} are negative.",
        "stars": f"Of the rated texts, {share_text} carry one or two stars; the reading is too weak to say more.",
        "raw": f"Of the texts we could read, {share_text} read as negative; there are too few stars to correct that for the reader's errors.",
    }[share.method]
    silent = _silent_lean(validation)
    trend_text = trend_words(trend)
    if top and rates.orders:
        row = frame.set_index("theme").loc[top]
        about = (
            f"{top.capitalize()} draws the most complaints we can find: {row['per_1000_orders']:.1f} per 1,000 orders "
            f"({row['low']:.1f}{formats.DASH}{row['high']:.1f})."
        )
    elif top:
        about = f"{top.capitalize()} draws the most complaints we can find: {int(frame['negative'].max()):,} texts."
    else:
        about = "No complaint about any of the seven themes was found."
    return Findings(
        report="feedback",
        lead=f"{told} {trend_text[0]}." if len(trend.changes) else f"{told} {about}",
        status="warnings" if any(check.verdict != "ok" for check in checks) else "published",
        metrics=_metrics(
            readings,
            validation=validation,
            rates=rates,
            queue=queue,
            changes=trend.changes,
            first=(rose or [top])[0],
        ),
        so_what=(
            told + silent,
            about,
            trend_text[1]
            if len(trend.changes)
            else "Whether complaints are rising cannot be said without dated texts and orders over sixteen weeks.",
        ),
        how_sure=_how_sure(validation, rates, trend),
        caveats=_caveats(readings, rates, share_method=share.method),
        actions=_actions(
            readings,
            rates=rates,
            trend=trend,
            quotes=quotes,
            queue=queue,
            answered=shop.has("tickets", "first_reply_at"),
        ),
        checks=checks,
        tables={"themes": tables},
        lists={"reply_queue": queue},
    )


def _metrics(
    readings: Readings,
    *,
    validation: Validation,
    rates: Rates,
    queue: pd.DataFrame,
    changes: pd.DataFrame,
    first: str,
) -> tuple[Metric, ...]:
    texts, read, share = len(readings.texts), len(readings.read), validation.share
    per_orders = f"; {1000 * rates.texts / rates.orders:.0f} per 1,000 orders" if rates.orders else ""
    label = {
        "corrected": "Negative, corrected",
        "stars": "One or two stars",
        "raw": "Read as negative, uncorrected",
    }[share.method]
    definition = {
        "corrected": "share of the readable texts that are negative (would carry one or two stars), corrected for the reader's errors on "
        "rated texts; 95 % interval over customers",
        "stars": "share of one and two stars among readable rated texts; the reading is too weak to be corrected",
        "raw": "share of the readable texts that TextBlob reads as negative, not corrected; 95 % interval of the count",
    }[share.method]
    note = f"of {share.n:,} readable texts" if share.method != "stars" else "of the readable rated texts"
    metrics = [
        Metric(id="texts", label="Texts", value=texts, unit="texts", n=texts, headline=True, note=f"all there are{per_orders}",
               definition="kept texts before as_of; rates count those of the period with orders"),
        Metric(id="negative_share", label=label, value=share.value, unit="share", n=share.n, low=share.low, high=share.high, headline=True,
               note=f"95 %, {note}", definition=definition),
        Metric(id="coverage", label="Could be read", value=read / texts, unit="share", n=texts, headline=True,
               note=f"{texts - read:,} texts could not", definition="texts read and not abstained from / texts"),
        Metric(id="negative_share_raw", label="Read as negative, uncorrected", value=share.raw, unit="share", n=share.n, low=share.raw_low,
               high=share.raw_high, definition="share of the readable texts that TextBlob reads as negative"),
        Metric(id="macro_f1", label="Macro F1 of a model of this shop", value=None, unit="index",
               definition="no model is learnt from this shop's own ratings"),
        Metric(id="macro_f1_textblob", label="Macro F1 of TextBlob", value=validation.macro_f1, unit="index", n=validation.graded,
               low=validation.low, high=validation.high,
               definition="mean F1 of negative (1–2 stars) and positive (4–5), 3 left out, on readable rated texts; 95 % interval over distinct texts"),
        Metric(id="unanswered", label="Negatives to answer", value=len(queue), unit="texts", n=len(queue), headline=True,
               note=f"of the last {REPLY_DAYS} days",
               definition="texts with one or two stars, or read as negative without clear stars, without a ticket reply since"),
    ]  # fmt: skip
    if validation.mean_stars is not None:
        metrics.insert(1, Metric(
            id="mean_stars", label="Mean stars", value=validation.mean_stars, unit="stars", n=validation.rated, low=validation.mean_stars_low,
            high=validation.mean_stars_high, headline=True, note=f"95 % of the mean, {validation.rated:,} ratings",
            definition="mean of all ratings given with a text; interval over customers",
        ))  # fmt: skip
    moved = changes[changes["change"] != "no clear change"].set_index("theme")
    if rates.orders:
        metrics.append(Metric(id="texts_per_1000_orders", label="Texts per 1,000 orders", value=1000 * rates.texts / rates.orders,
                              unit="texts", n=rates.orders, definition="texts of the period / orders of the period × 1,000"))  # fmt: skip
        for row in rates.frame.itertuples():
            note = f"95 %, {row.in_period:,} in {rates.orders:,} orders"
            if row.theme in moved.index:
                now, then = moved.loc[row.theme, ["recent_rate", "before_rate"]]
                note += f"; lately {now:.1f}, {then:.1f} before"
            metrics.append(Metric(
                id=f"{row.theme}_complaints", label=f"{row.theme.capitalize()} complaints per 1,000 orders", value=row.per_1000_orders,
                unit="complaints", n=rates.orders, low=row.low, high=row.high, headline=row.theme == first,
                note=note,
                definition="texts that speak negatively of the theme (not with four or five stars), name one of its faults, or mention it without praise "
                    "under one or two stars, per 1,000 orders of the period; Garwood's 95 % interval of the count",
            ))  # fmt: skip
    return tuple(metrics)


def _silent_lean(validation: Validation) -> str:
    """Whether those that could not be read lean another way, by their stars, as a sentence; '' where that is not clear."""
    row = validation.outcomes.set_index("outcome")
    read, silent = row.loc["read"], row.loc["no_signal"]
    if min(read["rated"], silent["rated"]) < FEW or (silent["low"] <= read["high"] and silent["high"] >= read["low"]):
        return ""
    way = "more" if silent["low"] > read["high"] else "less"
    return (
        f" Those without a clear direction carry low stars {way} often: {formats.share(silent['low_stars'])} have one or two, of those read "
        f"{formats.share(read['low_stars'])}."
    )


def _how_sure(validation: Validation, rates: Rates, trend: Trend) -> tuple[str, ...]:
    lines = []
    if validation.macro_f1 is not None:
        lines.append(
            f"Against the stars of {validation.graded:,} readable texts ({validation.distinct:,} distinct; three stars left out) TextBlob's macro F1 is "
            f"{validation.macro_f1:.2f} ({validation.low:.2f}{formats.DASH}{validation.high:.2f}); 1 is perfect, and calling every text positive gives "
            f"{all_positive(validation):.2f}."
        )
    else:
        lines.append(
            "The reading could not be graded: fewer than twenty readable texts with one or two, or with four or five stars."
        )
    share = validation.share
    if share.method == "corrected":
        lines.append(
            f"As read, {formats.share(share.raw, digits=1)} are negative; the reader finds {formats.share(share.sensitivity)} of the texts with one or "
            f"two stars and wrongly calls {formats.share(1 - (share.specificity or 0))} of the others negative. That is taken out; unrated texts are "
            "assumed to be misread as often as rated ones."
        )
    elif share.method == "stars":
        lines.append(
            "The share cannot be corrected: the reader tells one and two stars hardly better from the rest than a coin."
        )
    found = [f"{theme} {MEASURED[theme].recall}" for theme in THEMES]
    lines.append(
        f"On {HELD_OUT} test sentences written for this purpose, not by this shop's customers, the words alone, without stars, found so many of the complaints: "
        f"{', '.join(found)}."
    )
    if len(trend.changes):
        lines.append(
            f"The last {trend.recent_weeks} weeks are held against up to a year before, against orders; p-values carry Holm's correction for all "
            f"{len(THEMES)} themes, and weekly scatter beyond chance widens the intervals."
        )
    if rates.undated:
        lines.append(f"{rates.undated:,} texts without a date count in no rate.")
    return tuple(lines)


def _caveats(readings: Readings, rates: Rates, *, share_method: str) -> tuple[Caveat, ...]:
    other = int((readings.texts["outcome"] == "other_language").sum())
    lines = [
        "Those who write are not all customers; the share says nothing of the silent.",
        "Sarcasm, mixed feelings and 'not … nor' are often misread; a single text's reading is a hint.",
        "The patterns miss complaints in words they do not know, and misfile some: compare a theme's rate over time, less so between themes.",
        f"Texts in other languages ({other:,} here) are counted and left out; where the shop gives no language it is guessed from frequent words.",
        f"Themes with fewer than {FEW} complaints: read the quotes, do not compare.",
        "Names, addresses and numbers are taken out of quotes by patterns; a name that is not the writer's own can stay.",
    ]
    if rates.orders:
        lines.append("A text counts on the day it was written, its order was often placed a week or two earlier.")
    if share_method == "raw":
        lines.append(
            "Uncorrected shares are usually too low: on 1,000 restaurant sentences, half of them negative, TextBlob reads a quarter."
        )
    return tuple(Caveat(text=line) for line in lines)


def _checks(validation: Validation, *, texts: int, read: int) -> tuple[Check, ...]:
    coverage = read / texts
    text = f"{formats.share(coverage)} of the texts could be read."
    checks = [Check(name="coverage", verdict="ok" if coverage >= 0.5 else "warning", text=text)]
    if validation.macro_f1 is not None and validation.low is not None:
        better = validation.low > all_positive(validation)
        words = "does better than" if better else "is not clearly better than"
        checks.append(
            Check(
                name="reading",
                verdict="ok" if better else "warning",
                text=f"TextBlob {words} calling every text positive (macro F1).",
            )
        )
    return tuple(checks)


def _actions(
    readings: Readings,
    *,
    rates: Rates,
    trend: Trend,
    quotes: pd.DataFrame,
    queue: pd.DataFrame,
    answered: bool,
) -> tuple[Action, ...]:
    actions = []
    if len(queue):
        known = "without a ticket reply since" if answered else "the shop's tables do not say which were answered"
        actions.append(
            Action(
                what="Answer negative feedback",
                why=f"one or two stars, or read as negative, in the last {REPLY_DAYS} days; {known}",
                count=len(queue),
                by=formats.day(readings.as_of + timedelta(days=3)),
                owner="Service",
                file="lists/reply_queue.csv",
            )
        )
    changes = trend.changes.set_index("theme")
    frame = rates.frame.set_index("theme")
    rose = [theme for theme in THEMES if theme in changes.index and changes.loc[theme, "change"] == "rose"]
    loudest = [
        theme
        for theme in frame["negative"].sort_values(ascending=False, kind="stable").index
        if frame.loc[theme, "negative"] >= FEW
    ]
    for theme in dict.fromkeys([*rose, *loudest[:2]]):
        row = frame.loc[theme]
        if theme in rose:
            change = changes.loc[theme]
            why = f"rose to {change['recent_rate']:.1f} per 1,000 orders in {trend.recent_weeks} weeks, from {change['before_rate']:.1f}"
        elif rates.orders:
            why = f"{row['per_1000_orders']:.1f} complaints per 1,000 orders ({row['low']:.1f}{formats.DASH}{row['high']:.1f})"
        else:
            why = "among the most frequent complaints"
        shown = int((quotes["theme"] == theme).sum())
        actions.append(
            Action(
                what=f"Find the cause behind {theme} complaints",
                why=f"{why}; {shown} {'quote' if shown == 1 else 'quotes'} below" if shown else why,
                count=int(row["negative"]),
                by=formats.day(readings.as_of + timedelta(days=14)),
                owner=OWNERS[theme],
                file="tables/themes.csv",
            )
        )
    return tuple(actions)
