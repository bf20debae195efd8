"""How well are texts read, against the stars the same people gave, and what is the negative share once errors are out?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.feedback.rates import FEW, author
from crmlib.analysis.feedback.reliability import HARD_DEVELOPMENT, HARD_FRESH, HARD_FRESH_FIRST
from crmlib.analysis.feedback.texts import OUTCOMES, Readings
from crmlib.findings import Caveat, Check, Metric, Part
from crmlib.formats import Estimate
from crmlib.stats import Floats, share_interval
from crmlib.stats.resampling import resampled

MIN_RATED = 20  # rated texts of either kind below which a reader is not graded and shares are not corrected
MIN_INFORMATION = 0.1  # sensitivity + specificity − 1 below which a correction blows up
_OUTCOME_WORDS = {"read": "Understood", "no_signal": "No clear direction", "other_language": "Not English"}


@dataclass(frozen=True, kw_only=True)
class Share:
    """The negative share of the texts that could be read, and how it was come by.

    'corrected': the raw share freed of the reader's errors on rated texts (Rogan and Gladen 1978). 'stars': the correction is
    unstable, so the rated texts' own share of one and two stars. 'raw': as read; nothing to grade it on.
    """

    method: Literal["corrected", "stars", "raw"]
    value: float
    low: float
    high: float
    n: int
    raw: float
    raw_low: float
    raw_high: float
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The reading against the shop's own stars: 1 and 2 negative, 4 and 5 positive, 3 left out of the grade.

    by_star    stars, texts, read, negative, share, low, high (of the read texts)
    outcomes   outcome, texts, rated, mean_stars, low_stars (share of one and two stars among the rated), low, high
    accuracy   kind (negative, positive), n, right, share, low, high (of the texts it could read); n_all, share_all (of all rated)
    """

    graded: int
    distinct: int
    macro_f1: float | None
    low: float | None
    high: float | None
    agreement: float | None
    share: Share
    mean_stars: float | None
    mean_stars_low: float | None
    mean_stars_high: float | None
    rated: int
    by_star: pd.DataFrame
    outcomes: pd.DataFrame
    accuracy: pd.DataFrame


def validate(readings: Readings, *, seed: int = 0, draws: int = 2000) -> Validation:
    """Does the reading agree with the stars the same people gave, and what is the negative share once its errors are out?

    Macro F1 with a percentile interval over distinct texts, since a phrase written twice grades the reader once; shares
    with one over customers (a text without one stands for itself). `seed` draws the resamples.
    """
    rng = np.random.default_rng(seed)
    read = readings.read.assign(said=lambda t: t["polarity"] < 0)
    rated = readings.texts[readings.texts["rating"].notna()]
    graded = read[(read["rating"] <= 2) | (read["rating"] >= 4)].assign(bad=lambda t: t["rating"] <= 2)
    counted = cells(graded["bad"], graded["said"])
    f1 = low = high = agreement = None
    if min(graded["bad"].sum(), (~graded["bad"]).sum()) >= MIN_RATED:
        f1 = float(macro_f1(counted.sum(axis=0)))
        drawn = macro_f1(resampled(counted, graded["key"], rng=rng, draws=draws))
        low, high = (float(end) for end in np.nanquantile(drawn, (0.025, 0.975)))
        agreement = float((graded["bad"] == graded["said"]).mean())
    mean, mean_low, mean_high = _mean_by_customer(rated)
    return Validation(
        graded=len(graded),
        distinct=int(graded["key"].nunique()),
        macro_f1=f1,
        low=low,
        high=high,
        agreement=agreement,
        share=_negative_share(read, rng=rng, draws=draws),
        mean_stars=mean,
        mean_stars_low=mean_low,
        mean_stars_high=mean_high,
        rated=len(rated),
        by_star=_by_star(rated),
        outcomes=_outcomes(readings.texts),
        accuracy=_accuracy(graded, rated),
    )


def cells(truly: ArrayLike, said: ArrayLike) -> Floats:
    """Indicator columns: truly and said negative, truly only, said only, neither."""
    true, heard = np.asarray(truly, dtype=bool), np.asarray(said, dtype=bool)
    return np.column_stack([true & heard, true & ~heard, ~true & heard, ~true & ~heard]).astype(float)


def macro_f1(counts: Floats) -> Floats:
    """The mean of both sides' F1 from (hit, missed, false, clear) in the last axis."""
    hit, missed, false, clear = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Floats = (2 * hit / (2 * hit + missed + false) + 2 * clear / (2 * clear + missed + false)) / 2
    return mean


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
    raw_low, raw_high = (float(end) for end in share_interval(said, n))
    base: dict[str, Any] = {"n": n, "raw": said / n, "raw_low": raw_low, "raw_high": raw_high}
    rated = read["rating"].notna().to_numpy()
    bad = read["rating"].to_numpy() <= 2
    if min((rated & bad).sum(), (rated & ~bad).sum()) < MIN_RATED:
        return Share(method="raw", value=said / n, low=raw_low, high=raw_high, **base)
    counted = np.zeros((n, 6))
    counted[rated, :4] = cells(bad[rated], read["said"][rated])
    counted[~rated, 4], counted[~rated, 5] = read["said"][~rated], ~read["said"][~rated]
    value, sensitivity, specificity, information = corrected(counted.sum(axis=0))
    drawn, _, _, informed = corrected(resampled(counted, author(read), rng=rng, draws=draws))
    base |= {"sensitivity": float(sensitivity), "specificity": float(specificity)}
    if (
        information < MIN_INFORMATION
        or not np.quantile(informed, 0.025) > 0
        or (not rated.all() and np.quantile(informed, 0.025) < 0.05)
    ):
        low, high = (float(end) for end in share_interval((rated & bad).sum(), rated.sum()))
        return Share(method="stars", value=float((rated & bad).sum() / rated.sum()), low=low, high=high, **base)
    low, high = (float(end) for end in np.quantile(drawn, (0.025, 0.975)))
    return Share(method="corrected", value=float(value), low=low, high=high, **base)


def _mean_by_customer(rated: pd.DataFrame) -> tuple[float | None, float | None, float | None]:
    if len(rated) < 2:
        return (float(rated["rating"].mean()), None, None) if len(rated) else (None, None, None)
    mean = float(rated["rating"].mean())
    off = (rated["rating"] - mean).groupby(author(rated).to_numpy()).sum()
    if len(off) < 2:
        return mean, None, None
    half = stats.t.ppf(0.975, len(off) - 1) * float(np.sqrt((off**2).sum() * len(off) / (len(off) - 1))) / len(rated)
    return mean, max(1.0, float(mean - half)), min(5.0, float(mean + half))


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
    stars = validation.by_star[validation.by_star["read"] > 0].assign(
        name=lambda t: [wording.counted(int(star), "star") for star in t["stars"]],
        strong=lambda t: t["stars"] <= 2,
    )
    title = "The software could not be checked against stars"
    sentence = "Too few of the texts it understood carry one or two, or four or five stars."
    if validation.macro_f1 is not None:
        negative, positive = (validation.accuracy.set_index("kind").loc[kind] for kind in ("negative", "positive"))
        title = f"The software recognises {formats.share(negative['share_all'])} of unhappy texts"
        sentence = (
            f"Of happy ones it recognises {formats.share(positive['share_all'])}; of those it understands at all, "
            f"{formats.share(negative['share'])} of the unhappy and {formats.share(positive['share'])} of the happy."
        )
    table = figures.tabulate(
        validation.by_star,
        caption="How the texts of each star were read",
        labels={
            "stars": "Stars",
            "texts": "Texts",
            "read": "Understood",
            "negative": "Read as negative",
            "share": "Share",
            "low": "From",
            "high": "To",
        },
        formats=dict.fromkeys(("share", "low", "high"), formats.share)
        | dict.fromkeys(("texts", "read", "negative"), formats.people),
    )
    return Part(
        title=title,
        sentence=sentence,
        detail=True,
        chart=figures.bars(
            stars,
            label="name",
            value="share",
            low="low",
            high="high",
            strong="strong",
            form=formats.share,
            what="Share read as negative",
            table=table,
            caption="Of the texts that could be understood, by the stars given with them.",
        ),
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
    if validation.rated:
        labels |= {"rated": "With stars", "mean_stars": "Mean stars", "low_stars": "One or two stars"}
        labels |= {"low": "From", "high": "To"}
    silent, other = int(row.loc["no_signal", "texts"]), int(row.loc["other_language", "texts"])
    return Part(
        title=f"{formats.share(row.loc['read', 'of_all'])} of the texts could be understood",
        sentence=f"{wording.upper(wording.counted(silent, 'text'))} {wording.noun(silent, 'has', 'have')} no word with a clear direction; "
        f"{formats.number(other) if other else 'none'} {wording.noun(other, 'is', 'are')} not in English.",
        detail=True,
        chart=figures.table(
            frame,
            caption="What became of the texts; 'from' and 'to' bound the share of one or two stars (95 %)",
            labels=labels,
            formats=dict.fromkeys(("of_all", "low_stars", "low", "high"), formats.share)
            | dict.fromkeys(("texts", "rated"), formats.people)
            | {"mean_stars": lambda value: formats.number(value, digits=1)},
        ),
        caveats=[
            Caveat(
                text=f"{wording.upper(wording.counted(other, 'text'))} in other languages {wording.noun(other, 'is', 'are')} counted and left out."
            )
        ]
        if other
        else [],
    )


def _metrics(readings: Readings, validation: Validation) -> list[Metric]:
    texts, read, share = len(readings.texts), len(readings.read), validation.share
    definition = {
        "corrected": "share of the readable texts that are negative (would carry one or two stars), corrected for the "
        "reader's errors on rated texts; 95 % interval over customers",
        "stars": "share of one and two stars among readable rated texts; the reading is too weak to be corrected",
        "raw": "share of the readable texts that read as negative, not corrected; 95 % interval of the count",
    }[share.method]
    first = readings.texts["day"].min()
    metrics = [
        Metric(id="texts", label="Reviews and messages", value=texts, unit="texts", n=texts, running=True,
               note=f"since {first:%B %Y}" if first is not pd.NaT else "",
               definition="kept texts before as_of; rates count those of the period with orders"),
        Metric(id="negative_share", label="Unhappy, over all texts", value=share.value, unit="share", n=share.n,
               low=share.low, high=share.high, definition=definition),
        Metric(id="coverage", label="Understood", value=read / texts, unit="share", n=texts,
               definition="texts read and not abstained from / texts"),
        Metric(id="negative_share_raw", label="Read as negative, uncorrected", value=share.raw, unit="share", n=share.n,
               low=share.raw_low, high=share.raw_high, definition="share of the readable texts that read as negative"),
        Metric(id="macro_f1_readable", label=f"Macro F1 of {readings.reader.name} where it reads",
               value=validation.macro_f1, unit="index", n=validation.graded, low=validation.low, high=validation.high,
               definition="mean F1 of negative (1–2 stars) and positive (4–5), 3 left out, on readable rated texts; 95 % "
               "interval over distinct texts; a learnt model reads each text without having seen its phrasing"),
        Metric(id="mixed_share", label="Praise and blame in one text", value=float(readings.read["mixed"].mean()),
               unit="share", n=read, definition="share of the readable texts with clauses of opposite mood"),
    ]  # fmt: skip
    if validation.mean_stars is not None:
        mean, low, high = validation.mean_stars, validation.mean_stars_low, validation.mean_stars_high
        definition = "mean of all ratings given with a text; interval over customers"
        metrics.append(
            Metric(
                id="mean_stars",
                label="Average stars, all texts",
                value=mean,
                unit="stars",
                n=validation.rated,
                low=low,
                high=high,
                definition=definition,
            )
        )
    return metrics


def _checks(readings: Readings, validation: Validation) -> list[Check]:
    coverage = len(readings.read) / len(readings.texts)
    text = f"{formats.share(coverage)} of the texts could be understood."
    checks = [Check(name="coverage", verdict="ok" if coverage >= 0.5 else "warning", text=text)]
    if validation.low is not None:
        better = validation.low > all_positive(validation)
        words = "does better than" if better else "is not clearly better than"
        name = wording.upper(readings.reader.name)
        text = f"{name} {words} calling every text positive (macro F1)."
        checks.append(Check(name="reading", verdict="ok" if better else "warning", text=text))
    return checks


def _certain(readings: Readings, validation: Validation) -> list[str]:
    """How far the reading can be trusted, for whoever runs the shop."""
    coverage = formats.share(len(readings.read) / len(readings.texts))
    if validation.macro_f1 is None:
        lines = [
            f"The software understood {coverage} of texts; too few carry stars to check it, so take counts as rough."
        ]
    else:
        right = validation.accuracy.set_index("kind")["share"]
        lines = [
            f"The software understood {coverage} of texts. Of these it recognises {formats.share(right['negative'])} of the "
            f"unhappy and {formats.share(right['positive'])} of the happy: trust changes more than single counts."
        ]
    row = validation.outcomes.set_index("outcome")
    read, silent = row.loc["read"], row.loc["no_signal"]
    apart = silent["low"] > read["high"] or silent["high"] < read["low"]
    if min(read["rated"], silent["rated"]) >= FEW and apart:
        way = "less" if silent["high"] < read["low"] else "more"
        lines.append(
            f"Writers it did not understand are {way} often unhappy: {formats.share(silent['low_stars'])} gave one or two "
            f"stars, of the others {formats.share(read['low_stars'])}."
        )
    return lines


def _method(readings: Readings, validation: Validation) -> list[str]:
    share, name, hard = validation.share, readings.reader.name, HARD_FRESH
    lines = {
        "corrected": f"As read, {formats.share(share.raw, digits=1)} are negative; the reader finds "
        f"{formats.share(share.sensitivity)} of the readable texts with one or two stars and wrongly calls "
        f"{formats.share(1 - (share.specificity or 0))} of the others negative. That is taken out: "
        f"{Estimate(value=share.value, low=share.low, high=share.high, unit='share').text} "
        f"({formats.interval(share.low, share.high, 'share')}); unrated texts are assumed to be misread as often.",
        "stars": "The share cannot be corrected: the reader tells one and two stars hardly better from the rest than a coin.",
        "raw": "With few stars the share is not corrected and usually too low: on 1,000 restaurant sentences, half of them "
        "negative, TextBlob alone reads a quarter as negative.",
    }[share.method]
    graded = "The reading could not be graded: fewer than twenty readable texts with low, or with high stars."
    if validation.macro_f1 is not None:
        span = f"{validation.low:.2f}{formats.DASH}{validation.high:.2f}"
        graded = (
            f"Where it reads, on {validation.graded:,} rated texts ({validation.distinct:,} distinct; three stars left "
            f"out), macro F1 of {name} is {validation.macro_f1:.2f} ({span}); 1 is perfect, and calling every text "
            f"positive gives {all_positive(validation):.2f}."
        )
    return [
        lines,
        graded,
        f"Of {hard.sentences} hard sentences (negation, ‘but’, polite complaints, sizing, late delivery, sarcasm) written "
        f"apart from its rules, TextBlob with rules reads {hard.right} right, {hard.wrong} wrong and says nothing of "
        f"{hard.silent}; before its rules were last improved {HARD_FRESH_FIRST.right} were right, so the later figure "
        f"flatters. TextBlob alone reads {hard.textblob} right. Of the {HARD_DEVELOPMENT.sentences} that shaped the rules "
        f"it reads {HARD_DEVELOPMENT.right}.",
    ]
