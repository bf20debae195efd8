"""What the page says: numbers, actions, how sure, when not to trust it; every sentence built from what was computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import formats
from crmlib.analysis.feedback.breakdown import ANY, Groups, Products
from crmlib.analysis.feedback.causes import Cause
from crmlib.analysis.feedback.predictions import Ahead, predictions
from crmlib.analysis.feedback.rates import FEW, REPLY_DAYS, Rates, Trend, Validation, action_themes
from crmlib.analysis.feedback.readers import Learning
from crmlib.analysis.feedback.reliability import (
    FIRST,
    HARD_DEVELOPMENT,
    HARD_FRESH,
    HARD_FRESH_FIRST,
    MEASURED,
    SENTENCES,
    together,
)
from crmlib.analysis.feedback.texts import Readings
from crmlib.analysis.feedback.themes import OWNERS, THEMES
from crmlib.analysis.feedback.words import (
    all_positive,
    over,
    product_words,
    rate_words,
    reader_words,
    span_words,
    standing_out,
    trend_words,
)
from crmlib.findings import Action, Caveat, Check, Findings, Grade, Metric
from crmlib.stats import rate_interval

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop


def findings(
    readings: Readings,
    *,
    validation: Validation,
    rates: Rates,
    trend: Trend,
    quotes: pd.DataFrame,
    queue: pd.DataFrame,
    complaints: pd.DataFrame,
    learning: Learning,
    products: Products,
    groups: Groups,
    ahead: Ahead,
    causes: Sequence[Cause] = (),
    grades: Sequence[Grade] = (),
    shop: Shop,
) -> Findings:
    """What a shop's owner should know of what customers wrote."""
    frame = rates.frame
    texts, read = len(readings.texts), len(readings.read)
    share = validation.share
    checks = _checks(validation, name=readings.reader.name, texts=texts, read=read)
    rose = list(trend.changes.loc[trend.changes["change"] == "rose"].sort_values("ratio", ascending=False)["theme"])
    top = (
        str(frame.sort_values(["negative", "theme"], ascending=[False, True])["theme"].iloc[0])
        if frame["negative"].any()
        else ""
    )
    tables = frame.drop(columns="in_period")
    share_text = f"{formats.quantity(share.value, 'share', low=share.low, high=share.high)} ({formats.interval(share.low, share.high, 'share')})"
    span = span_words(rates.start, rates.end)
    # Nearly all of the texts are of the time that has orders too, or it is not theirs.
    of_span = f" of {span}" if span and rates.texts >= 0.95 * texts else ""
    told = {
        "corrected": f"Of the texts{of_span} we could read, {share_text} are negative.",
        "stars": f"Of the rated texts{of_span}, {share_text} carry one or two stars; the reading is too weak to say more.",
        "raw": f"Of the texts{of_span} we could read, {share_text} read as negative; there are too few stars to correct that for the reader's errors.",
    }[share.method]
    silent = _silent_lean(validation)
    answered = shop.has("tickets", "first_reply_at")
    trend_text = trend_words(trend, causes)
    stands = standing_out(products)
    if top and rates.orders:
        row = frame.set_index("theme").loc[top]
        about = (
            f"{_sentence(f'{over(rates)}{top} draws')} the most complaints we can find: {row['per_1000_orders']:.1f} per 1,000 orders "
            f"({row['low']:.1f}{formats.DASH}{row['high']:.1f})."
        )
    elif top:
        about = f"{top.capitalize()} draws the most complaints we can find: {int(frame['negative'].max()):,} texts."
    else:
        about = "No complaint about any of the seven themes was found."
    return Findings(
        report="feedback",
        lead=f"{trend_text[0]}. {told}" if len(trend.changes) else f"{told} {about}",
        status="warnings" if any(check.verdict != "ok" for check in checks) else "published",
        metrics=_metrics(
            readings,
            validation=validation,
            rates=rates,
            queue=queue,
            changes=trend.changes,
            weeks=trend.recent_weeks,
            first=(rose or [top])[0],
            learning=learning,
            answered=answered,
        ),
        so_what=(
            told + silent,
            about + (f" {product_words(products)[0]}." if len(stands) else ""),
            trend_text[1]
            if len(trend.changes)
            else "Whether complaints are rising cannot be said without dated texts and orders over sixteen weeks.",
        ),
        how_sure=_how_sure(
            validation,
            rates,
            trend,
            ahead=ahead,
            grades=grades,
        ),
        for_experts=_for_experts(readings, validation, trend, learning=learning, products=products, groups=groups),
        caveats=_caveats(readings, rates, share_method=share.method),
        actions=_actions(
            readings,
            rates=rates,
            trend=trend,
            quotes=quotes,
            queue=queue,
            complaints=complaints,
            answered=answered,
            products=products,
            causes=causes,
        ),
        checks=checks,
        tables={
            "themes": tables,
            "products": products.frame,
            "groups": masked(groups),
            "readers": learning.contest,
            "ahead": ahead.frame,
        },
        lists={"reply_queue": queue} | ({"complaints": complaints} if len(complaints) else {}),
        predictions=predictions(ahead),
        grades=tuple(grades),
    )


def _metrics(
    readings: Readings,
    *,
    validation: Validation,
    rates: Rates,
    queue: pd.DataFrame,
    changes: pd.DataFrame,
    weeks: int,
    first: str,
    learning: Learning,
    answered: bool,
) -> tuple[Metric, ...]:
    texts, read, share = len(readings.texts), len(readings.read), validation.share
    per_orders = ""
    if rates.orders:
        some = "" if rates.texts == texts else f"{rates.texts:,} of them while there are orders, "
        per_orders = f"; {some}{formats.number(1000 * rates.texts / rates.orders)} per 1,000 orders"
    label = {
        "corrected": "Negative, corrected",
        "stars": "One or two stars",
        "raw": "Read as negative, uncorrected",
    }[share.method]
    definition = {
        "corrected": "share of the readable texts that are negative (would carry one or two stars), corrected for the reader's errors on "
        "rated texts; 95 % interval over customers",
        "stars": "share of one and two stars among readable rated texts; the reading is too weak to be corrected",
        "raw": "share of the readable texts that read as negative, not corrected; 95 % interval of the count",
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
               high=share.raw_high, definition="share of the readable texts that read as negative"),
        *_grades_of_readers(learning),
        Metric(id="macro_f1_readable", label=f"Macro F1 of {readings.reader.name} where it reads", value=validation.macro_f1, unit="index",
               n=validation.graded, low=validation.low, high=validation.high,
               definition="mean F1 of negative (1–2 stars) and positive (4–5), 3 left out, on readable rated texts; 95 % interval over distinct texts; "
                   "a learnt model reads each text without having seen its phrasing"),
        Metric(id="mixed_share", label="Praise and blame in one text", value=float(readings.read["mixed"].mean()), unit="share", n=read,
               definition="share of the readable texts with clauses of opposite mood"),
        Metric(id="unanswered", label=f"Negative texts, last {REPLY_DAYS} days", value=len(queue), unit="texts", n=len(queue), headline=True,
               note="without a ticket reply since" if answered else "the data do not say which were answered",
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
            if row.theme in moved.index:
                metrics.append(_lately(row.theme, moved.loc[row.theme], weeks=weeks, headline=row.theme == first))
            note = f"{row.in_period:,} complaints found in {rates.orders:,} orders"
            metrics.append(Metric(
                id=f"{row.theme}_complaints", label=f"{row.theme.capitalize()} complaints per 1,000 orders", value=row.per_1000_orders,
                unit="complaints", n=rates.orders, low=row.low, high=row.high, headline=row.theme == first and first not in moved.index,
                note=note,
                definition="texts that speak negatively of the theme (not with four or five stars), name one of its faults, or mention it without praise "
                    "under one or two stars, per 1,000 orders of the period; Garwood's 95 % interval of the count",
            ))  # fmt: skip
    return tuple(metrics)


def _lately(theme: str, change: pd.Series, *, weeks: int, headline: bool) -> Metric:
    """Where a theme's complaints stand in the last weeks, when they are not what they were."""
    orders = 1000 * change["recent"] / change["recent_rate"] if change["recent_rate"] else float("nan")
    low, high = (float(end) for end in rate_interval(change["recent"], orders / 1000))
    return Metric(
        id=f"{theme}_complaints_lately", label=f"{theme.capitalize()} complaints per 1,000 orders, last {weeks} weeks",
        value=float(change["recent_rate"]), unit="complaints", n=round(orders) if orders == orders else None,
        low=low if orders == orders else None, high=high if orders == orders else None, headline=headline,
        note=f"{int(change['recent']):,} complaints found; {change['before_rate']:.1f} in the year before",
        definition=f"complaints of the theme in the last {weeks} whole weeks per 1,000 orders of those weeks; Garwood's 95 % interval of the count",
    )  # fmt: skip


def _grades_of_readers(learning: Learning) -> list[Metric]:
    """Macro F1 of each reader on the same texts; None where it was not judged."""
    if learning.origins:
        days = ", ".join(formats.day(day) for day in learning.origins)
        where = f"on rated texts later than training (from {days}) in phrasings left out of training, 3 stars left out; 95 % interval over phrasings"
    else:
        where = "on all rated English texts, 3 stars left out; 95 % interval over phrasings"
    labels = {
        "model": ("macro_f1", "Macro F1 of a model of this shop"),
        "rules": ("macro_f1_rules", "Macro F1 of TextBlob with rules"),
        "textblob": ("macro_f1_textblob", "Macro F1 of TextBlob"),
        "vader": ("macro_f1_vader", "Macro F1 of VADER"),
    }
    found = []
    for reader, (name, label) in labels.items():
        value, low, high = learning.of(reader)
        graded = Metric(id=name, label=label, value=value, unit="index", n=learning.tested if value is not None else None, low=low, high=high,
                        definition=where if value is not None else learning.reason)  # fmt: skip
        if reader == "model" and value is not None and not learning.chosen:
            # A grade of a model that does not read says nothing of this page's readings.
            found.append(replace(graded, value=None, n=None, low=None, high=None, definition=learning.reason))
            graded = replace(graded, id="macro_f1_tried", label=f"{label}, tried and not used")
        found.append(graded)
    return found


def _silent_lean(validation: Validation) -> str:
    """Whether those that could not be read lean another way, by their stars, as a sentence; '' where that is not clear."""
    row = validation.outcomes.set_index("outcome")
    read, silent = row.loc["read"], row.loc["no_signal"]
    if min(read["rated"], silent["rated"]) < FEW or (silent["low"] <= read["high"] and silent["high"] >= read["low"]):
        return ""
    way = "higher" if silent["low"] > read["high"] else "lower"
    little = "a little " if silent["texts"] < read["texts"] / 4 else ""
    return (
        f" Another {silent['texts']:,.0f} texts could not be classed; {formats.share(silent['low_stars'])} of those with stars gave one or two, against "
        f"{formats.share(read['low_stars'])} of those that could, so the true share is {little}{way}."
    )


def _how_sure(
    validation: Validation,
    rates: Rates,
    trend: Trend,
    *,
    ahead: Ahead,
    grades: Sequence[Grade],
) -> tuple[str, ...]:
    share, every, first = validation.share, together(MEASURED), together(FIRST)
    lines = [_plainly(validation)]
    if share.method == "corrected":
        lines.append(
            f"As read, {formats.share(share.raw, digits=1)} are negative; the reader finds {formats.share(share.sensitivity)} of the readable texts with one or "
            f"two stars and wrongly calls {formats.share(1 - (share.specificity or 0))} of the others negative. That is taken out; unrated texts are "
            "assumed to be misread as often as rated ones."
        )
    elif share.method == "stars":
        lines.append(
            "The share cannot be corrected: the reader tells one and two stars hardly better from the rest than a coin."
        )
    found = [f"{theme} {MEASURED[theme].right} of {MEASURED[theme].complaints}" for theme in THEMES]
    lines.append(
        f"On {SENTENCES} test sentences written for this, not by this shop's customers, the words alone, without stars, find {every.recall} complaints and are "
        f"right in {every.precision}; before the patterns were last improved {first.right} were found, so the later figure flatters. By theme: {', '.join(found)}."
    )
    if len(trend.changes):
        lines.append(
            f"The last {trend.recent_weeks} weeks are held against the {trend.before_weeks} before, against orders. Where complaints scatter from week to week more than "
            "chance would have it, that widens the range of ‘times as many’; the ranges of single rates are of the count alone."
        )
    if len(ahead.frame):
        lines.append(
            f"The numbers ahead come from the plainest forecast that erred least at {int(ahead.tried['origins'].max())} earlier days; their bands are as wide as "
            "those errors."
        )
    if grades:
        inside = sum(
            grade.due.prediction.low is not None and grade.due.prediction.high is not None
            and grade.due.prediction.low <= grade.actual <= grade.due.prediction.high
            for grade in grades
        )  # fmt: skip
        lines.append(
            f"Of {len(grades)} earlier predictions that came due, {inside} fell inside their band; 95 of 100 should."
        )
    if rates.undated:
        lines.append(f"{rates.undated:,} texts without a date count in no rate.")
    return tuple(lines)


def _for_experts(
    readings: Readings,
    validation: Validation,
    trend: Trend,
    *,
    learning: Learning,
    products: Products,
    groups: Groups,
) -> tuple[str, ...]:
    """What only a statistician asks for."""
    name = readings.reader.name
    title, sentence = reader_words(learning)
    lines = []
    if products.searched or groups.searched:
        lines.append(
            f"Products are held against the others in {products.searched:,} pairs with a theme, groups and channels in {groups.searched:,}; what is called "
            "different holds at a false discovery rate of 5 %. A writer counts once for each."
        )
    if len(trend.changes):
        lines.append(
            f"That a theme rose or fell is said by p-values with Holm's correction for all {len(THEMES)} themes; the ranges of ‘times as many’ carry Bonferroni's."
        )
    lines.append(f"{title}. {sentence}" if learning.of("model")[0] is not None else sentence)
    if validation.macro_f1 is not None:
        lines.append(
            f"Where it reads, on {validation.graded:,} rated texts ({validation.distinct:,} distinct; three stars left out), macro F1 of {name} is "
            f"{validation.macro_f1:.2f} ({validation.low:.2f}{formats.DASH}{validation.high:.2f}); 1 is perfect, and calling every text positive gives "
            f"{all_positive(validation):.2f}."
        )
    else:
        lines.append(
            "The reading could not be graded: fewer than twenty readable texts with one or two, or with four or five stars."
        )
    hard, seen = HARD_FRESH, HARD_DEVELOPMENT
    lines.append(
        f"Of {hard.sentences} hard sentences (negation, ‘but’, polite complaints, sizing, late delivery, sarcasm) written apart from its rules, "
        f"TextBlob with rules reads {hard.right} right, {hard.wrong} wrong and says nothing of {hard.silent}; before its rules were last improved "
        f"{HARD_FRESH_FIRST.right} were right, so the later figure flatters. TextBlob alone reads {hard.textblob} right. Of the {seen.sentences} that shaped the rules it reads {seen.right}."
    )
    return tuple(lines)


def _plainly(validation: Validation) -> str:
    """How far the reading can be trusted, in one sentence for whoever runs the shop."""
    if validation.macro_f1 is None:
        return "Too few texts carry stars to check the reading, so take every count here as rough."
    found = validation.accuracy.set_index("kind")
    unhappy, happy = found.loc["negative"], found.loc["positive"]
    return (
        f"Checked against the stars people gave, the reading recognises {formats.share(unhappy['share_all'])} of all unhappy texts and {formats.share(happy['share_all'])} of all happy "
        f"ones; of those it can read at all, {formats.share(unhappy['share'])} and {formats.share(happy['share'])}. So trust changes over time more than single counts."
    )


def _caveats(readings: Readings, rates: Rates, *, share_method: str) -> tuple[Caveat, ...]:
    every = together(MEASURED)
    weakest = sorted(THEMES, key=lambda theme: MEASURED[theme].right / MEASURED[theme].complaints)[:2]
    other = int((readings.texts["outcome"] == "other_language").sum())
    lines = [
        "Those who write are not all customers; the share says nothing of the silent.",
        "Sarcasm, mixed feelings and far-reaching ‘not’ are often misread; a single text's reading is a hint.",
        f"The patterns miss complaints in words they do not know, about {10 * every.missed / every.complaints:.0f} in 10 of the test sentences and most of all about "
        f"{' and '.join(weakest)}: compare a theme's rate over time, less so between themes.",
        f"Texts in other languages ({other:,} here) are counted and left out; where the shop gives no language it is guessed from frequent words.",
        f"Under {FEW} complaints about a theme: read the quotes, do not compare.",
        "Names, addresses and numbers are taken out of quotes by patterns; a name that is not the writer's own can stay.",
    ]
    if rates.orders:
        lines.append("A text counts on the day it was written, its order was often placed a week or two earlier.")
    if share_method == "raw":
        lines.append(
            "Uncorrected shares are usually too low: on 1,000 restaurant sentences, half of them negative, TextBlob alone reads a quarter as negative."
        )
    return tuple(Caveat(text=line) for line in lines)


def _checks(validation: Validation, *, name: str, texts: int, read: int) -> tuple[Check, ...]:
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
                text=f"{name[:1].upper()}{name[1:]} {words} calling every text positive (macro F1).",
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
    complaints: pd.DataFrame,
    answered: bool,
    products: Products,
    causes: Sequence[Cause],
) -> tuple[Action, ...]:
    actions = []
    if len(queue):
        known = "without a ticket reply since" if answered else "the shop's tables do not say which were answered"
        actions.append(
            Action(
                what="Answer negative feedback",
                why=f"one or two stars, or read as negative, in the last {REPLY_DAYS} days; {known}",
                count=len(queue),
                counted="texts",
                by=formats.day(readings.as_of + timedelta(days=3)),
                owner="Service",
                file="lists/reply_queue.csv",
            )
        )
    changes = trend.changes.set_index("theme")
    frame = rates.frame.set_index("theme")
    for theme in action_themes(rates, trend):
        row = frame.loc[theme]
        count = int((complaints["theme"] == theme).sum())
        cause = next((cause for cause in causes if cause.theme == theme), None)
        if theme in trend.rose:
            change = changes.loc[theme]
            why = (
                f"rose to {change['recent_rate']:.1f} per 1,000 orders in the last {trend.recent_weeks} weeks, from {change['before_rate']:.1f} in the "
                f"{trend.before_weeks} weeks before; listed: the texts of those {trend.recent_weeks} weeks"
            )
            why += f"; {cause.recent:,} of {cause.recent_all:,} people name ‘{cause.word}’" if cause else ""
        elif rates.orders:
            why = (
                f"{over(rates).lower()}{row['per_1000_orders']:.1f} complaints per 1,000 orders ({row['low']:.1f}{formats.DASH}{row['high']:.1f}); "
                "listed: the texts of the last year"
            )
        else:
            why = "among the most frequent complaints"
        shown = int((quotes["theme"] == theme).sum())
        actions.append(
            Action(
                what=_reading_task(theme, count, cause),
                why=f"{why}; {shown} {'quote' if shown == 1 else 'quotes'} below" if shown else why,
                count=count,
                counted="texts",
                by=formats.day(readings.as_of + timedelta(days=14)),
                owner=OWNERS[theme],
                file="lists/complaints.csv",
            )
        )
    span = span_words(products.start, products.end)
    for product in standing_out(products).head(3).itertuples():
        actions.append(
            Action(
                what=f"Check {product.name}: {'runs ' + product.runs if product.runs else 'complaints' if product.theme == ANY else product.theme + ' complaints'}",
                why=f"{f'in {span}: ' if span else ''}{rate_words(product)}",
                count=int(product.complaints),
                counted="customers",
                by=formats.day(readings.as_of + timedelta(days=14)),
                owner=OWNERS.get(product.theme, "Purchasing"),
                file="tables/products.csv",
            )
        )
    return tuple(actions)


def _reading_task(theme: str, count: int, cause: Cause | None) -> str:
    """What to do about a theme. A word that is written like a name is somebody to ask, another is where to begin."""
    texts = f"this {theme} complaint" if count == 1 else f"these {count:,} {theme} complaints"
    if cause is None:
        return f"Read {texts} and find the cause"
    if cause.word[:1].isupper():
        return f"Read {texts}, then ask {cause.word} what happened"
    return f"Read {texts}, those with ‘{cause.word}’ first, and find the cause"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def masked(groups: Groups) -> pd.DataFrame:
    """The comparison of groups as a file: counts from one to four as '<5', and no rate that would give them away."""
    frame = groups.frame.astype({"complaints": object})
    hidden = (groups.frame["complaints"] > 0) & (groups.frame["complaints"] < 5)
    frame.loc[hidden, "complaints"] = "<5"
    frame.loc[hidden, ["rate", "low", "high", "ratio", "p_value", "q_value"]] = float("nan")
    return frame
