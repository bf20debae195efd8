"""How well are texts read, by the stars the same people gave, and what is the negative share without misreadings?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.feedback.learning import MIN_RATED, cells, macro_f1
from crmlib.analysis.feedback.rates import FEW, author
from crmlib.analysis.feedback.reliability import HARD_DEVELOPMENT, HARD_FRESH, HARD_FRESH_FIRST
from crmlib.analysis.feedback.taught import NAME
from crmlib.analysis.feedback.texts import OUTCOMES, Readings
from crmlib.findings import Caveat, Check, Metric, Part
from crmlib.formats import Estimate, outline
from crmlib.stats import Floats, share_interval
from crmlib.stats.resampling import resampled

MIN_INFORMATION = 0.1  # sensitivity + specificity − 1 below which a correction blows up
_OUTCOME_WORDS = {"read": "Understood", "no_signal": "No clear direction", "other_language": "Not English"}


@dataclass(frozen=True, kw_only=True)
class Share:
    """The negative share of the texts that could be read, and how it was come by.

    'corrected': the raw share freed of the reader's errors on rated texts (Rogan and Gladen 1978). 'stars': the
    correction is unstable, so the rated texts' own share of one and two stars. 'raw': as read, nothing to grade it on.
    """

    method: Literal["corrected", "stars", "raw"]
    estimate: Estimate
    raw: Estimate
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The reading against the shop's own stars: 1 and 2 negative, 4 and 5 positive, 3 left out of the grade.

    by_star    stars, texts, read, negative, share, low, high (of the read texts)
    outcomes   outcome, texts, rated, mean_stars, low_stars (share of one and two stars among the rated), low, high
    accuracy   kind (negative, positive), n, right, share, low, high (of the texts it could read); n_all, share_all (of
               all rated)
    """

    __repr__ = outline

    graded: int
    distinct: int
    macro_f1: float | None
    low: float | None
    high: float | None
    share: Share
    stars: Estimate  # the mean of all ratings; its n are these
    by_star: pd.DataFrame
    outcomes: pd.DataFrame
    accuracy: pd.DataFrame


def validate(readings: Readings, *, seed: int = 0, draws: int = 2000) -> Validation:
    """Does the reading agree with the stars the same people gave, and what is the negative share without its errors?

    Macro F1 with a percentile interval over distinct texts, since a phrase written twice grades the reader once; shares
    with one over customers (a text without one stands for itself). `seed` draws the resamples.
    """
    rng = np.random.default_rng(seed)
    read = readings.read.assign(said=lambda t: t["polarity"] < 0)
    rated = readings.texts[readings.texts["rating"].notna()]
    graded = read[(read["rating"] <= 2) | (read["rating"] >= 4)].assign(bad=lambda t: t["rating"] <= 2)
    counted = cells(graded["bad"], graded["said"])
    f1 = low = high = None
    if min(graded["bad"].sum(), (~graded["bad"]).sum()) >= MIN_RATED:
        f1 = float(macro_f1(counted.sum(axis=0)))
        drawn = macro_f1(resampled(counted, graded["key"], rng=rng, draws=draws))
        low, high = (float(end) for end in np.nanquantile(drawn, (0.025, 0.975)))
    grade: dict[str, Any] = {"graded": len(graded), "macro_f1": f1, "low": low, "high": high}
    return Validation(
        **grade,
        distinct=int(graded["key"].nunique()),
        share=_negative_share(read, rng=rng, draws=draws),
        stars=_mean_by_customer(rated),
        by_star=_by_star(rated),
        outcomes=_outcomes(readings.texts),
        accuracy=_accuracy(graded, rated),
    )


def corrected(counts: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Rogan and Gladen's share from (hit, missed, false, clear, unrated negative, unrated positive), with its parts."""
    hit, missed, false, clear, unrated_bad, unrated_good = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity, specificity = hit / (hit + missed), clear / (clear + false)
        said = (hit + false + unrated_bad) / (hit + missed + false + clear + unrated_bad + unrated_good)
        information = sensitivity + specificity - 1
        share = np.clip(np.nan_to_num((said - (1 - specificity)) / information, nan=0.0), 0, 1)
    return share, sensitivity, specificity, information


def _negative_share(read: pd.DataFrame, *, rng: np.random.Generator, draws: int) -> Share:
    n, said = len(read), int(read["said"].sum())
    raw = _share(said, n)
    rated = read["rating"].notna().to_numpy()
    bad = read["rating"].to_numpy() <= 2
    if min((rated & bad).sum(), (rated & ~bad).sum()) < MIN_RATED:
        return Share(method="raw", estimate=raw, raw=raw)
    counted = np.zeros((n, 6))
    counted[rated, :4] = cells(bad[rated], read["said"][rated])
    counted[~rated, 4], counted[~rated, 5] = read["said"][~rated], ~read["said"][~rated]
    value, sensitivity, specificity, information = corrected(counted.sum(axis=0))
    drawn, _, _, informed = corrected(resampled(counted, author(read), rng=rng, draws=draws))
    graded: dict[str, Any] = {"raw": raw, "sensitivity": float(sensitivity), "specificity": float(specificity)}
    least = np.quantile(informed, 0.025)
    if information < MIN_INFORMATION or not least > 0 or (not rated.all() and least < 0.05):
        stars = _share(int((rated & bad).sum()), int(rated.sum()))
        return Share(method="stars", estimate=replace(stars, n=n), **graded)
    low, high = (float(end) for end in np.quantile(drawn, (0.025, 0.975)))
    return Share(method="corrected", estimate=replace(raw, value=float(value), low=low, high=high), **graded)


def _share(part: int, n: int) -> Estimate:
    low, high = (float(end) for end in share_interval(part, n))
    return Estimate(value=part / n, low=low, high=high, unit="share", n=n)


def _mean_by_customer(rated: pd.DataFrame) -> Estimate:
    """The mean rating with Student's interval over customers, where there are two of them."""
    n = len(rated)
    mean = float(rated["rating"].mean()) if n else None
    off = (rated["rating"] - (mean or 0)).groupby(author(rated).to_numpy()).sum()
    if mean is None or len(off) < 2:
        return Estimate(value=mean, unit="stars", n=n)
    half = stats.t.ppf(0.975, len(off) - 1) * float(np.sqrt((off**2).sum() * len(off) / (len(off) - 1))) / n
    return Estimate(value=mean, low=max(1.0, float(mean - half)), high=min(5.0, float(mean + half)), unit="stars", n=n)


def _by_star(rated: pd.DataFrame) -> pd.DataFrame:
    stars = rated.assign(stars=rated["rating"].round().astype("int64"), read=rated["outcome"] == "read")
    stars["negative"] = stars["read"] & (stars["polarity"] < 0)
    frame = stars.groupby("stars").agg(texts=("read", "size"), read=("read", "sum"), negative=("negative", "sum"))
    if len(rated):
        frame = frame.reindex(range(1, 6), fill_value=0)
    frame = frame.rename_axis("stars").reset_index()
    low, high = share_interval(frame["negative"], frame["read"])
    with np.errstate(divide="ignore", invalid="ignore"):
        return frame.assign(share=frame["negative"] / frame["read"], low=low, high=high)


def _outcomes(texts: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for outcome in OUTCOMES:
        part = texts[texts["outcome"] == outcome]
        stars = part["rating"].dropna()
        bad = int((stars <= 2).sum())
        low, high = (float(end) for end in share_interval(bad, len(stars)))
        mean, share = (stars.mean(), bad / len(stars)) if len(stars) else (np.nan, np.nan)
        rows.append((outcome, len(part), len(stars), mean, share, low, high))
    return pd.DataFrame(rows, columns=["outcome", "texts", "rated", "mean_stars", "low_stars", "low", "high"])


def _accuracy(graded: pd.DataFrame, rated: pd.DataFrame) -> pd.DataFrame:
    rows = []
    everything = {"negative": int((rated["rating"] <= 2).sum()), "positive": int((rated["rating"] >= 4).sum())}
    for kind, n in everything.items():
        part = graded[graded["bad"] == (kind == "negative")]
        size, right = len(part), int((part["said"] == (kind == "negative")).sum())
        low, high = (float(end) for end in share_interval(right, size))
        # What it says nothing of is not recognised either.
        rows.append((kind, size, right, right / size if size else np.nan, low, high, n, right / n if n else np.nan))
    return pd.DataFrame(rows, columns=["kind", "n", "right", "share", "low", "high", "n_all", "share_all"])


def all_positive(validation: Validation) -> float:
    """Macro F1 of the laziest reader, who calls everything positive."""
    n = validation.accuracy.set_index("kind")["n"]
    return float(n["positive"] / (2 * n["positive"] + n["negative"]))


def part_reading(readings: Readings, validation: Validation) -> Part:
    """Can the reading be trusted? The share read as negative by the stars given with the texts."""
    stars = validation.by_star[validation.by_star["read"] > 0]
    stars = stars.assign(name=[wording.counted(int(star), "star") for star in stars["stars"]], low_=stars["stars"] <= 2)
    title = "The software could not be checked against stars"
    sentence = "Too few of the texts it understood carry one or two, or four or five stars."
    if validation.macro_f1 is not None:
        unhappy, happy = (validation.accuracy.set_index("kind").loc[kind] for kind in ("negative", "positive"))
        title = f"The software recognises {formats.share(unhappy['share_all'])} of unhappy texts"
        sentence = f"Of happy ones it recognises {formats.share(happy['share_all'])}."
    labels = {"stars": "Stars", "texts": "Texts", "read": "Understood", "negative": "Read as negative",
              "share": "Share", "low": "From", "high": "To"}  # fmt: skip
    forms: dict[str, Any] = dict.fromkeys(("texts", "read", "negative"), formats.people)
    forms |= dict.fromkeys(("share", "low", "high"), formats.share)
    caption = "How the texts of each star were read"
    table = figures.tabulate(validation.by_star, caption=caption, labels=labels, formats=forms)
    columns: dict[str, Any] = {"label": "name", "value": "share", "low": "low", "high": "high", "strong": "low_"}
    what, caption = "Share read as negative", "Of the texts that could be understood, by the stars given with them."
    chart = figures.bars(stars, what=what, form=formats.share, caption=caption, table=table, **columns)
    return Part(
        title=title,
        sentence=sentence,
        detail=True,
        chart=chart,
        metrics=_metrics(readings, validation),
        checks=_checks(readings, validation),
        certain=_certain(readings, validation),
        method=_method(readings, validation),
    )


def part_outcomes(validation: Validation) -> Part:
    """What became of the texts, and do those that could not be understood lean negative?"""
    frame = validation.outcomes.assign(name=validation.outcomes["outcome"].map(_OUTCOME_WORDS))
    frame["of_all"] = frame["texts"] / frame["texts"].sum()
    row = frame.set_index("outcome")
    labels = {"name": "What became of it", "texts": "Texts", "of_all": "Share"}
    if validation.stars.n:
        labels |= {"rated": "With stars", "mean_stars": "Mean stars", "low_stars": "One or two stars"}
        labels |= {"low": "From", "high": "To"}
    silent, other = int(row.loc["no_signal", "texts"]), int(row.loc["other_language", "texts"])
    forms: dict[str, Any] = dict.fromkeys(("of_all", "low_stars", "low", "high"), formats.share)
    forms |= dict.fromkeys(("texts", "rated"), formats.people) | {"mean_stars": "{:.1f}".format}
    caption = "What became of the texts; 'from' and 'to' bound the share of one or two stars (95 %)"
    sentence = f"{wording.counted(silent, 'text')} {wording.noun(silent, 'says', 'say')} nothing clear."
    foreign = f"{wording.upper(wording.counted(other, 'text'))} in other languages {wording.noun(other, 'is')}"
    return Part(
        title=f"{formats.share(row.loc['read', 'of_all'])} of the texts could be understood",
        sentence=sentence if silent else "Every English text says something clear.",
        detail=True,
        chart=figures.table(frame, caption=caption, labels=labels, formats=forms),
        caveats=[Caveat(text=f"{foreign} counted and left out.")] if other else [],
    )


def _metrics(readings: Readings, validation: Validation) -> list[Metric]:
    texts, read, share = len(readings.texts), len(readings.read), validation.share
    definition = {
        "corrected": "share of the readable texts that are negative (would carry one or two stars), corrected for the "
        "reader's errors on rated texts; 95 % interval over customers",
        "stars": "share of one and two stars among readable rated texts; the reading is too weak to be corrected",
        "raw": "share of the readable texts that read as negative, not corrected; 95 % interval of the count",
    }[share.method]
    graded = "mean F1 of negative (1–2 stars) and positive (4–5), 3 left out, on readable rated texts; 95 % interval "
    graded += "over distinct texts; a learnt model reads each text without having seen its phrasing"
    first, name = readings.texts["day"].min(), readings.reader.name
    coverage = Estimate(value=read / texts, unit="share", n=texts)
    mixed = Estimate(value=float(readings.read["mixed"].mean()), unit="share", n=read)
    ends = {"low": validation.low, "high": validation.high}
    f1 = Estimate(value=validation.macro_f1, unit="index", n=validation.graded, **ends)
    uncorrected = "share of the readable texts that read as negative"
    rows = [
        ("negative_share", "Unhappy, of texts understood", share.estimate, definition),
        ("coverage", "Understood", coverage, "texts read and not abstained from / texts"),
        ("negative_share_raw", "Read as negative, uncorrected", share.raw, uncorrected),
        ("macro_f1_readable", f"Macro F1 of {name} where it reads", f1, graded),
        ("mixed_share", "Praise and blame in one text", mixed, "share with clauses of opposite mood"),
    ]
    if validation.stars.value is not None:
        definition = "mean of all ratings given with a text; interval over customers"
        rows.append(("mean_stars", "Average stars, all texts", validation.stars, definition))
    count = Estimate(value=texts, unit="texts", n=texts)
    since = f"since {first:%B %Y}" if first is not pd.NaT else ""
    what = "kept texts before as_of; rates count those of the period with orders"
    counted = Metric.of(count, id="texts", label="Reviews and messages", running=True, note=since, definition=what)
    return [counted, *(Metric.of(value, id=one, label=label, definition=what) for one, label, value, what in rows)]


def _checks(readings: Readings, validation: Validation) -> list[Check]:
    coverage = len(readings.read) / len(readings.texts)
    text = f"{formats.share(coverage)} of the texts could be understood."
    checks = [Check(name="coverage", verdict="ok" if coverage >= 0.5 else "warning", text=text)]
    if validation.low is not None:
        better = validation.low > all_positive(validation)
        words = "does better than" if better else "is not clearly better than"
        text = f"{wording.upper(readings.reader.name)} {words} calling every text positive (macro F1)."
        checks.append(Check(name="reading", verdict="ok" if better else "warning", text=text))
    return checks


def _certain(readings: Readings, validation: Validation) -> list[str]:
    """How far the reading can be trusted, for whoever runs the shop."""
    line = f"The software understood {formats.share(len(readings.read) / len(readings.texts))} of texts"
    if validation.macro_f1 is None:
        lines = [f"{line}; too few carry stars to check it, so take counts as rough."]
    else:
        unhappy, happy = (formats.share(share) for share in validation.accuracy["share"])
        line += f". Of these it recognises {unhappy} of the unhappy and {happy} of the happy"
        lines = [f"{line}: trust changes more than single counts."]
    row = validation.outcomes.set_index("outcome")
    read, silent = row.loc["read"], row.loc["no_signal"]
    apart = silent["low"] > read["high"] or silent["high"] < read["low"]
    if min(read["rated"], silent["rated"]) >= FEW and apart:
        way, low = "less" if silent["high"] < read["low"] else "more", formats.share(silent["low_stars"])
        line = f"Writers it did not understand are {way} often unhappy: {low} gave one or two stars"
        lines.append(f"{line}, of the others {formats.share(read['low_stars'])}.")
    dated = readings.texts[readings.texts["day"].notna()]
    again = int(dated.duplicated(["key", "day", "rating", "product_id", "customer_id"]).sum())
    twice = (
        f"{wording.upper(wording.counted(again, 'text'))} {wording.noun(again, 'copies', 'copy')} another of that day"
    )
    return lines + [f"{twice} word for word, and {wording.noun(again, 'counts', 'count')} too."] * bool(again)


def _method(readings: Readings, validation: Validation) -> list[str]:
    share, hard = validation.share, HARD_FRESH
    value = share.estimate
    come_by = {
        "corrected": f"As read, {formats.share(share.raw.value, digits=1)} are negative; the reader finds "
        f"{formats.share(share.sensitivity)} of the readable texts with one or two stars and wrongly calls "
        f"{formats.share(1 - (share.specificity or 0))} of the others negative. That is taken out: {value.text} "
        f"({value.span}); unrated texts are assumed to be misread as often.",
        "stars": "The share cannot be corrected: the reader tells low stars hardly better from the rest than a coin.",
        "raw": "With few stars the share is not corrected: it holds the reader's errors. A lexicon's is usually too "
        "low: on 1,000 restaurant sentences, half of them negative, TextBlob alone reads a quarter as negative.",
    }[share.method]
    graded = "The reading could not be graded: fewer than twenty readable texts with low, or with high stars."
    if validation.macro_f1 is not None:
        span = f"{validation.macro_f1:.2f} ({validation.low:.2f}{formats.DASH}{validation.high:.2f})"
        graded = f"Where it reads, on {validation.graded:,} rated texts ({validation.distinct:,} distinct; three stars "
        graded += f"left out), macro F1 of {readings.reader.name} is {span}; 1 is perfect, calling every text positive "
        graded += f"gives {all_positive(validation):.2f}."
    return [
        come_by,
        graded,
        f"Of {hard.sentences} hard sentences (negation, ‘but’, polite complaints, sizing, late delivery, sarcasm) "
        f"written apart from the rules, {NAME} reads {hard.right} right, {hard.wrong} wrong and says "
        f"nothing of {hard.silent}; at their first reading, by TextBlob with rules, {HARD_FRESH_FIRST.right} were "
        f"right, so the later figure flatters. TextBlob alone reads {hard.textblob} right. Of the "
        f"{HARD_DEVELOPMENT.sentences} that shaped the rules {HARD_DEVELOPMENT.right} are read right.",
    ]
