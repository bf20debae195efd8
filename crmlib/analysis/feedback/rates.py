"""How good is the reading, how large is the negative share, what do people complain about, and is it rising?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy import special, stats

from crmlib.analysis.feedback.redaction import shorten
from crmlib.analysis.feedback.shares import MIN_RATED, cells, corrected, macro_f1, resampled
from crmlib.analysis.feedback.texts import OUTCOMES, Readings
from crmlib.analysis.feedback.themes import THEMES
from crmlib.stats import Floats, adjust, rate_interval, share_interval

if TYPE_CHECKING:
    from crmlib.analysis.feedback.causes import Cause

MIN_INFORMATION = 0.1  # sensitivity + specificity − 1 below which a correction blows up
RECENT_WEEKS, BEFORE_WEEKS = 8, 52
REPLY_DAYS = 30  # how far back the reply queue looks
QUOTE_DAYS = 365
FEW = 20  # complaints below which a theme is better read than counted


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


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Complaints by theme, as themes.csv has them, over [start, end) with `orders` orders (None without a common period).

    frame  theme, texts (that mention it), negative (that complain of it), per_1000_orders, low, high, in_period
    """

    frame: pd.DataFrame
    texts: int
    orders: int | None
    start: date | None
    end: date | None
    undated: int


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Complaints by week, and the last weeks against those before.

    weeks    week (first day), orders, one column a theme; oldest first, whole weeks up to `end`
    changes  theme, recent, before (complaints), recent_rate, before_rate (per 1,000 orders), ratio, low, high (95 % for all themes
             at once), p_value, p_adjusted, change ('rose', 'fell', 'no clear change'); no rows with too few weeks
    """

    weeks: pd.DataFrame
    changes: pd.DataFrame
    recent_weeks: int

    @property
    def before_weeks(self) -> int:
        """How many weeks the last ones are held against."""
        return max(0, min(BEFORE_WEEKS, len(self.weeks) - self.recent_weeks))

    @property
    def since(self) -> pd.Timestamp:
        """First day of the last weeks."""
        return pd.Timestamp(self.weeks["week"].iloc[-self.recent_weeks])

    @property
    def rose(self) -> list[str]:
        """The themes that rose, in the order of THEMES."""
        found = set(self.changes.loc[self.changes["change"] == "rose", "theme"])
        return [theme for theme in THEMES if theme in found]


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


def rates(readings: Readings, orders: pd.DataFrame) -> Rates:
    """How often is each theme complained about, per 1,000 orders of the same period?

    The period runs from the first day that has both texts and orders behind it to the last. Complaints in it are a Poisson
    count (Garwood's interval); without orders or dates the rates are empty.
    """
    found, texts = readings.mentions, readings.texts
    per_theme = (
        found.groupby("theme").agg(texts=("row", "size"), negative=("complaint", "sum")).reindex(THEMES, fill_value=0)
    )
    frame = per_theme.astype("int64").rename_axis("theme").reset_index()
    dated = texts["day"].notna()
    period = period_of(readings, orders)
    frame = frame.assign(per_1000_orders=np.nan, low=np.nan, high=np.nan, in_period=frame["negative"])
    total = None
    inside = dated
    if period:
        start, end = (pd.Timestamp(day) for day in period)
        inside = (texts["day"] >= start) & (texts["day"] < end)
        total = int(orders.loc[(orders["day"] >= start) & (orders["day"] < end), "orders"].sum())
        counted = (
            found[found["complaint"] & inside.to_numpy()[found["row"]]]
            .groupby("theme")
            .size()
            .reindex(THEMES, fill_value=0)
        )
        low, high = rate_interval(counted.to_numpy(), total / 1000)
        frame = frame.assign(
            per_1000_orders=1000 * counted.to_numpy() / total,
            low=low,
            high=high,
            in_period=counted.to_numpy(),
        )
    return Rates(
        frame=frame,
        texts=int(inside.sum()),
        orders=total,
        start=period[0] if period else None,
        end=period[1] if period else None,
        undated=int((~dated).sum()),
    )


def trend(readings: Readings, orders: pd.DataFrame, *, recent_weeks: int = RECENT_WEEKS) -> Trend:
    """Did complaints about a theme rise against orders in the last weeks?

    The last `recent_weeks` whole weeks against up to 52 before: given their sum, recent complaints are binomial with the
    orders' share. Counts are first divided by how much more the earlier weeks scatter than Poisson counts would; that is
    estimated, so Student's t is the reference, and p-values are Holm's over all themes. Source: Przyborowski and Wilenski
    1940; McCullagh and Nelder 1989, section 6.2.3.
    """
    period = period_of(readings, orders)
    if not period:
        empty = pd.DataFrame({"week": pd.Series(dtype="datetime64[s]"), "orders": pd.Series(dtype="int64")})
        return Trend(
            weeks=empty.assign(**dict.fromkeys(THEMES, 0)),
            changes=_changes(empty, recent_weeks),
            recent_weeks=recent_weeks,
        )
    start, end = (pd.Timestamp(day) for day in period)
    count = (end - start).days // 7
    first = end - pd.Timedelta(weeks=count)
    weeks = pd.DataFrame({"week": [first + pd.Timedelta(weeks=i) for i in range(count)]})

    def per_week(days: pd.Series, weights: pd.Series | None = None) -> Floats:
        kept = (days >= first) & (days < end)
        index = ((days[kept] - first).dt.days // 7).to_numpy()
        weight = np.ones(len(index)) if weights is None else weights[kept].to_numpy(float)
        return np.bincount(index, weights=weight, minlength=count).astype(np.float64)

    weeks["orders"] = per_week(orders["day"], orders["orders"]).astype("int64")
    days = readings.texts["day"]
    for theme in THEMES:
        rows = readings.mentions.loc[readings.mentions["complaint"] & (readings.mentions["theme"] == theme), "row"]
        weeks[theme] = per_week(days.iloc[rows]).astype("int64")
    return Trend(weeks=weeks, changes=_changes(weeks, recent_weeks), recent_weeks=recent_weeks)


def quotes(readings: Readings, trend: Trend | None = None, *, per_theme: int = 3) -> pd.DataFrame:
    """What did people write? Up to `per_theme` redacted quotes a theme: theme, text, rating, day, polarity.

    Rule: texts of the last year that read negative about the theme, never abstained from, not given four or
    five stars; only those with one or two stars where a theme has any; of a theme that rose by `trend`, those of the weeks it rose in
    first; then those about one theme alone, the most negative, the newest; no wording much like another.
    """
    clear = readings.mentions["polarity"].map(readings.reader.direction) < 0
    found = readings.mentions[readings.mentions["complaint"] & clear]
    texts = readings.texts.iloc[found["row"]].reset_index(drop=True)
    joined = texts.assign(theme=found["theme"].to_numpy(), polarity=found["polarity"].to_numpy())
    recent = joined["day"].isna() | (joined["day"] >= pd.Timestamp(readings.as_of) - pd.Timedelta(days=QUOTE_DAYS))
    joined = joined[recent & ~(joined["rating"] >= 4) & (joined["outcome"] == "read") & (joined["text"] != "")]
    joined = joined.assign(unsure=~(joined["rating"] <= 2), order=joined["theme"].map(THEMES.index))
    # Without stars a text may be praise that was misread, so it is quoted only where there is nothing surer.
    joined = joined[~joined["unsure"] | joined.groupby("theme")["unsure"].transform("all")]
    risen: set[str] = set()
    since = pd.Timestamp(readings.as_of)
    if trend is not None and len(trend.changes):
        risen = set(trend.changes.loc[trend.changes["change"] == "rose", "theme"])
        since = trend.weeks["week"].iloc[-trend.recent_weeks]
    joined["before"] = joined["theme"].isin(risen) & ~(joined["day"] >= since)
    several = joined["feedback_id"].map(texts["feedback_id"].value_counts())
    joined = joined.assign(several=several).sort_values(
        ["order", "before", "several", "polarity", "day", "feedback_id"],
        ascending=[True, True, True, True, False, True],
        na_position="last",
    )
    chosen: list[int] = []
    words: list[set[str]] = []
    taken = dict.fromkeys(THEMES, 0)
    for row in joined.itertuples():
        own = set(re.findall(r"\w+", row.text.casefold()))
        if taken[row.theme] < per_theme and all(len(own & other) < 0.6 * len(own | other) for other in words):
            chosen.append(row.Index)
            words.append(own)
            taken[row.theme] += 1
    best = joined.loc[chosen]
    return best.assign(text=best["text"].map(shorten))[["theme", "text", "rating", "day", "polarity"]].reset_index(
        drop=True
    )


def reply_queue(readings: Readings, *, days: int = REPLY_DAYS) -> pd.DataFrame:
    """Whom does the shop still owe an answer? Negative texts of the last `days` without a ticket reply since, newest first.

    Columns feedback_id, customer_id, created_at, rating, theme, text (redacted). Stars decide where there are any (one or two),
    else the reading; texts without a date are kept in. Names customers: belongs into lists/.
    """
    texts = readings.texts
    unclear = texts["rating"].isna() | ((texts["rating"] > 2) & (texts["rating"] < 4))
    read_negative = (texts["outcome"] == "read") & (texts["polarity"] < 0)
    recent = texts["day"].isna() | (texts["day"] >= pd.Timestamp(readings.as_of) - pd.Timedelta(days=days))
    queue = texts[((texts["rating"] <= 2) | (unclear & read_negative)) & recent & ~texts["answered"]]
    named = readings.mentions[readings.mentions["complaint"]].groupby("row")["theme"].agg(", ".join)
    queue = queue.assign(theme=named.reindex(queue.index).fillna(""))
    queue = queue.sort_values(["created_at", "feedback_id"], ascending=[False, True], na_position="last")
    return queue[["feedback_id", "customer_id", "created_at", "rating", "theme", "text"]].reset_index(drop=True)


def action_themes(rates: Rates, trend: Trend) -> list[str]:
    """Which themes are worth a cause: those that rose, then the two with most complaints, if these are enough to count."""
    frame = rates.frame.set_index("theme")
    loudest = frame["negative"].sort_values(ascending=False, kind="stable")
    return list(dict.fromkeys([*trend.rose, *loudest[loudest >= FEW].index[:2]]))


def complaints(readings: Readings, *, rates: Rates, trend: Trend, causes: Sequence[Cause] = ()) -> pd.DataFrame:
    """Which texts must be read to find the cause? Those of a theme that rose from the weeks it rose in, else the last year's.

    One row a text and theme of `action_themes`, as many as the trend counts: theme, date, feedback_id, order_id, customer_id, rating,
    names (the word behind the rise, where this text names it), text (redacted). Those that name it first, then the newest.
    Of a theme without a text of the last year, all. Names customers: belongs into lists/.
    """
    columns = ["theme", "date", "feedback_id", "order_id", "customer_id", "rating", "names", "text"]
    said = readings.mentions[readings.mentions["complaint"]]
    word = {cause.theme: cause.word for cause in causes}
    parts = []
    for theme in action_themes(rates, trend):
        texts = readings.texts.iloc[said.loc[said["theme"] == theme, "row"]]
        if theme in trend.rose:
            inside = (texts["day"] >= trend.since) & (
                texts["day"] < trend.weeks["week"].iloc[-1] + pd.Timedelta(weeks=1)
            )
        else:
            inside = texts["day"] >= pd.Timestamp(readings.as_of) - pd.Timedelta(days=QUOTE_DAYS)
        texts = texts[inside] if inside.any() else texts
        named = pd.Series(False, index=texts.index)
        if theme in word:
            named = texts["text"].str.contains(rf"(?i)\b{re.escape(word[theme])}\b")
        texts = texts.assign(theme=theme, date=texts["day"].dt.date, names=np.where(named, word.get(theme, ""), ""))
        order = texts.assign(later=~named).sort_values(["later", "day", "feedback_id"], ascending=[True, False, True])
        parts.append(order[columns])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def period_of(readings: Readings, orders: pd.DataFrame) -> tuple[date, date] | None:
    """From the first day that has both texts and orders behind it to the last, [start, end); None without."""
    days = readings.texts["day"].dropna()
    if days.empty or orders.empty:
        return None
    start = max(days.min(), orders["day"].min()).date()
    end = min(readings.as_of, orders["day"].max().date() + timedelta(days=1))
    counted = orders["day"].between(pd.Timestamp(start), pd.Timestamp(end), inclusive="left")
    return (start, end) if orders.loc[counted, "orders"].sum() > 0 else None


def _changes(weeks: pd.DataFrame, recent_weeks: int) -> pd.DataFrame:
    columns = [
        "theme",
        "recent",
        "before",
        "recent_rate",
        "before_rate",
        "ratio",
        "low",
        "high",
        "p_value",
        "p_adjusted",
        "change",
    ]
    recent, before = weeks.iloc[-recent_weeks:], weeks.iloc[:-recent_weeks].iloc[-BEFORE_WEEKS:]
    exposed = float(recent["orders"].sum()), float(before["orders"].sum())
    if len(before) < recent_weeks or min(exposed) == 0:
        return pd.DataFrame(columns=columns)
    names = list(THEMES)
    now, then = recent[names].sum().to_numpy(float), before[names].sum().to_numpy(float)
    scatter, freedom = _scatter(before[names].to_numpy(float), before["orders"].to_numpy(float))
    ratio, low, high, p = _rate_ratio(
        now, then, exposed=exposed, scatter=scatter, freedom=freedom, comparisons=len(names)
    )
    adjusted = adjust(p, method="holm")
    words = np.where(adjusted >= 0.05, "no clear change", np.where(ratio > 1, "rose", "fell"))
    found = (names, now.astype("int64"), then.astype("int64"), 1000 * now / exposed[0], 1000 * then / exposed[1], ratio, low, high, p, adjusted, words)  # fmt: skip
    return pd.DataFrame(dict(zip(columns, found, strict=True)))


def _scatter(counts: Floats, exposure: Floats) -> tuple[Floats, Floats]:
    """Pearson's dispersion of weekly counts around a constant rate, at least 1, and how many degrees of freedom it is worth.

    One column a theme. Weeks with long tails measure their own scatter badly: with an excess kurtosis of κ, n weeks are worth
    2n / (2 + κ) normal ones. Source: Box 1953.
    """
    counts, exposure = counts[exposure > 0], exposure[exposure > 0]
    n = len(counts)
    if n < 2:
        return np.ones(counts.shape[1:]), np.full(counts.shape[1:], np.inf)
    share = (exposure / exposure.sum()).reshape((n,) + (1,) * (counts.ndim - 1))
    expected = share * counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = (counts - expected) ** 2 / expected
        scatter = np.where(expected.any(axis=0), off.sum(axis=0) / (n - 1), 1.0)
        tails = np.nan_to_num((off**2).mean(axis=0) / off.mean(axis=0) ** 2 - 3)
    return np.maximum(1.0, scatter), np.clip(2 * n / (2 + np.maximum(tails, 0)), 4, n - 1)


def _rate_ratio(
    now: Floats,
    then: Floats,
    *,
    exposed: tuple[float, float],
    scatter: Floats,
    freedom: Floats,
    comparisons: int = 1,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Ratio of two rates with its conditional 95 % interval and two-sided p: exact for Poisson counts (`scatter` 1).

    The intervals of so many `comparisons` hold all at once (Bonferroni); p is of each alone.
    Scattered counts are divided by their scatter; since that is an estimate, Student's t takes the place of the normal.
    """
    odds = exposed[0] / exposed[1]
    null = exposed[0] / (exposed[0] + exposed[1])
    some = 1e-12  # stands for no complaint, whose end of the interval and whose tail are known

    def ends(share: float, wider: Floats) -> tuple[Floats, Floats]:
        one, other = now / (scatter * wider), then / (scatter * wider)
        low = np.where(now > 0, stats.beta.ppf(share, np.maximum(one, some), other + 1), 0.0)
        return low, np.where(then > 0, stats.beta.isf(share, one + 1, np.maximum(other, some)), 1.0)

    one, other = now / scatter, then / scatter
    above = np.where(now > 0, special.betainc(np.maximum(one, some), other + 1, null), 1.0)
    below = np.where(then > 0, special.betainc(np.maximum(other, some), one + 1, 1 - null), 1.0)
    p = np.minimum(1.0, 2 * np.minimum(above, below))
    spread = scatter > 1
    p = np.where(spread, np.minimum(1.0, 2 * stats.t.sf(stats.norm.isf(p / 2), freedom)), p)
    tail = 0.025 / comparisons
    wider = np.where(spread, (stats.t.isf(tail, freedom) / stats.norm.isf(tail)) ** 2, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (share / (1 - share) / odds for share in ends(tail, wider))
        return np.divide(now, then) / odds, low, high, p


def author(rows: pd.DataFrame) -> pd.Series:
    """Who wrote each text: its customer, or the text itself where that is unknown."""
    alone = "text " + rows["feedback_id"].astype(str)
    return ("customer " + rows["customer_id"].astype(str)).where(rows["customer_id"].notna(), alone)


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
    frame = (
        frame.reindex(range(1, 6), fill_value=0).rename_axis("stars").reset_index()
        if len(rated)
        else frame.reset_index()
    )
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
        share = bad / len(stars) if len(stars) else np.nan
        rows.append((outcome, len(part), len(stars), stars.mean() if len(stars) else np.nan, share, low, high))
    return pd.DataFrame(rows, columns=["outcome", "texts", "rated", "mean_stars", "low_stars", "low", "high"])


def _accuracy(graded: pd.DataFrame, rated: pd.DataFrame) -> pd.DataFrame:
    rows = []
    everything = {"negative": int((rated["rating"] <= 2).sum()), "positive": int((rated["rating"] >= 4).sum())}
    for kind, truth in (("negative", True), ("positive", False)):
        part = graded[graded["bad"] == truth]
        right = int((part["said"] == truth).sum())
        low, high = (float(end) for end in share_interval(right, len(part)))
        n = everything[kind]
        # What it says nothing of is not recognised either.
        rows.append(
            (
                kind,
                len(part),
                right,
                right / len(part) if len(part) else np.nan,
                low,
                high,
                n,
                right / n if n else np.nan,
            )
        )
    return pd.DataFrame(rows, columns=["kind", "n", "right", "share", "low", "high", "n_all", "share_all"])
