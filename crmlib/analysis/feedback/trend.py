"""Is a theme complained about more than before, and what do the new complaints name? Eight weeks against a year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.feedback.causes import Cause, causes
from crmlib.analysis.feedback.quotes import quotes
from crmlib.analysis.feedback.rates import period_of
from crmlib.analysis.feedback.redaction import shorten
from crmlib.analysis.feedback.texts import Readings
from crmlib.analysis.feedback.themes import OWNERS, THEMES
from crmlib.findings import Action, Change, Chart, Metric, Part, Signal
from crmlib.formats import Estimate
from crmlib.stats import Floats, adjust, dispersion, rate_interval, rate_ratio, surely

RECENT_WEEKS, BEFORE_WEEKS, SMOOTH_WEEKS = 8, 52, 4
HISTORY = 15  # times four weeks in the line of a tile
ACT_WITHIN_DAYS = 14
STALE_DAYS = 14  # how far the last whole week may lie behind as_of before it is named by its date
_RATES = ["recent", "before", "recent_rate", "before_rate", "ratio", "low", "high"]
_CHANGES = ["theme", *_RATES, "p_value", "p_adjusted", "change"]


@dataclass(frozen=True, kw_only=True)
class Trend:
    """Complaints and ratings by week, and the last weeks against those before.

    weeks    week (first day), orders, texts, one column a theme; rated, unhappy (one or two stars), stars (their sum),
             read, negative (as read); oldest first, whole weeks up to the last day that has orders (or texts)
    changes  theme, recent, before (complaints), recent_rate, before_rate (per 1,000 orders or texts), ratio, low, high
             (95 % for all themes at once), p_value, p_adjusted, change ('rose', 'fell', 'no clear change'); no rows
             with too few weeks
    per      what complaints are counted against: orders, or texts where orders do not cover the same time
    """

    __repr__ = formats.outline
    weeks: pd.DataFrame
    changes: pd.DataFrame
    recent_weeks: int
    causes: tuple[Cause, ...] = ()
    per: str = "orders"
    as_of: date | None = None

    @property
    def before_weeks(self) -> int:
        """How many weeks the last ones are held against."""
        return max(0, min(BEFORE_WEEKS, len(self.weeks) - self.recent_weeks))

    @property
    def since(self) -> pd.Timestamp:
        """First day of the last weeks."""
        return pd.Timestamp(self.weeks["week"].iloc[-self.recent_weeks])

    @property
    def end(self) -> pd.Timestamp:
        """The day after the last week."""
        return pd.Timestamp(self.weeks["week"].iloc[-1]) + pd.Timedelta(weeks=1)

    @property
    def lately(self) -> str:
        """The last weeks in words: 'the last eight weeks', or to which day where that is long past."""
        span = wording.span(7 * self.recent_weeks)
        if not self.as_of or self.weeks.empty or (pd.Timestamp(self.as_of) - self.end).days <= STALE_DAYS:
            return f"the last {span}"
        return f"the {span} to {formats.day((self.end - pd.Timedelta(days=1)).date())}"

    @property
    def against(self) -> str:
        """What the last weeks are held against, in words."""
        whole = self.before_weeks == BEFORE_WEEKS
        return "the year before" if whole else f"the {wording.span(7 * self.before_weeks)} before"

    @property
    def rose(self) -> list[str]:
        """The themes that rose, in the order of THEMES."""
        found = set(self.changes.loc[self.changes["change"] == "rose", "theme"])
        return [theme for theme in THEMES if theme in found]

    @property
    def moved(self) -> pd.DataFrame:
        """The themes that rose, largest rise first, then those that fell; indexed by theme."""
        clear = self.changes[self.changes["change"] != "no clear change"].set_index("theme")
        fell = clear["change"] == "fell"
        return clear.iloc[np.lexsort((np.where(fell, clear["ratio"], -clear["ratio"]), fell))]

    @property
    def leading(self) -> list[str]:
        """Up to three themes worth naming: those that rose first, then by number."""
        totals = self.weeks[list(THEMES)]
        if len(self.changes):
            totals = totals.tail(self.recent_weeks + self.before_weeks)
        by_number = totals.sum().sort_values(ascending=False, kind="stable").index
        return sorted(by_number, key=lambda theme: theme not in self.rose)[:3]

    def cause(self, theme: str) -> Cause | None:
        """The word behind a theme's rise, if one is clear."""
        return next((cause for cause in self.causes if cause.theme == theme), None)


def trend(readings: Readings, orders: pd.DataFrame, *, recent_weeks: int = RECENT_WEEKS) -> Trend:
    """Did complaints about a theme rise against orders in the last weeks, and what do they name?

    The last `recent_weeks` whole weeks against up to 52 before: `stats.rate_ratio` with the earlier weeks' own scatter,
    p-values by Holm over all themes. Where orders end before the texts do, or span too few weeks, complaints are
    counted against texts. Undated texts count in no week.
    """
    texts = readings.texts
    dated = texts["day"].dropna()
    period, per = period_of(readings, orders), "orders"
    if len(dated):
        whole = dated.min().date(), min(readings.as_of, dated.max().date() + timedelta(days=1))
        least, seen = timedelta(weeks=2 * recent_weeks), whole[1] - whole[0]
        if not period or whole[1] - period[1] > timedelta(weeks=1) or period[1] - period[0] < least <= seen:
            period, per = whole, "texts"
    start, end = (pd.Timestamp(day) for day in period or (readings.as_of, readings.as_of))
    count = (end - start).days // 7
    first = end - pd.Timedelta(weeks=count)
    weeks = pd.DataFrame({"week": pd.date_range(first, periods=count, freq="7D")})

    def per_week(days: pd.Series, weights: pd.Series | None = None) -> Floats:
        kept = ((days >= first) & (days < end)).to_numpy()
        index = ((days[kept] - first).dt.days // 7).to_numpy(np.int64)
        weight = np.ones(len(index)) if weights is None else weights.to_numpy(float)[kept]
        return np.bincount(index, weights=weight, minlength=count).astype(np.float64)[:count]

    weeks["orders"] = per_week(orders["day"], orders["orders"]).astype("int64")
    weeks["texts"] = per_week(texts["day"]).astype("int64")
    days, said = texts["day"], readings.mentions[readings.mentions["complaint"]]
    for theme in THEMES:
        weeks[theme] = per_week(days.iloc[said.loc[said["theme"] == theme, "row"]]).astype("int64")
    weeks["rated"] = per_week(days, texts["rating"].notna())
    weeks["unhappy"] = per_week(days, texts["rating"] <= 2)
    weeks["stars"] = per_week(days, texts["rating"].fillna(0))
    weeks["read"] = per_week(days, texts["outcome"] == "read")
    weeks["negative"] = per_week(days, (texts["outcome"] == "read") & (texts["polarity"] < 0))
    moved = changes(weeks, recent_weeks, per=per)
    found = Trend(weeks=weeks, changes=moved, recent_weeks=recent_weeks, per=per, as_of=readings.as_of)
    if moved.empty:
        return found
    first_week = weeks["week"].iloc[max(0, len(weeks) - recent_weeks - BEFORE_WEEKS)]
    named = causes(readings, found.rose, start=first_week, since=found.since, end=found.end)
    return replace(found, causes=named)


def compared(
    weeks: pd.DataFrame, names: Sequence[str], *, per: str, recent_weeks: int
) -> tuple[pd.DataFrame, tuple[float, float]] | None:
    """The last weeks' counts against the earlier ones', as `Trend.changes` has them, and what each are out of.

    None with fewer weeks before than lately, or with nothing to count against.
    """
    recent, before = weeks.iloc[-recent_weeks:], weeks.iloc[:-recent_weeks].iloc[-BEFORE_WEEKS:]
    exposed = float(recent[per].sum()), float(before[per].sum())
    if len(before) < recent_weeks or min(exposed) == 0:
        return None
    now, then = recent[list(names)].sum().to_numpy(float), before[list(names)].sum().to_numpy(float)
    scatter, freedom = dispersion(before[list(names)].to_numpy(float), before[per].to_numpy(float))
    found = rate_ratio(now, then, exposed=exposed, scatter=scatter, freedom=freedom, comparisons=len(names))
    counts, rates = (now.astype(np.int64), then.astype(np.int64)), (1000 * now / exposed[0], 1000 * then / exposed[1])
    return pd.DataFrame(dict(zip([*_RATES, "p_value"], (*counts, *rates, *found), strict=True))), exposed


def changes(weeks: pd.DataFrame, recent_weeks: int, *, per: str = "orders") -> pd.DataFrame:
    """Each theme's last weeks against the earlier ones, as `Trend.changes` has it."""
    found = compared(weeks, THEMES, per=per, recent_weeks=recent_weeks)
    if found is None:
        return pd.DataFrame(columns=_CHANGES)
    adjusted = adjust(found[0]["p_value"], method="holm")
    words = np.where(adjusted >= 0.05, "no clear change", np.where(found[0]["ratio"] > 1, "rose", "fell"))
    return found[0].assign(theme=THEMES, p_adjusted=adjusted, change=words)[_CHANGES]


def blocks(trend: Trend) -> pd.DataFrame:
    """Sums of four weeks each, counted back from the last, oldest first; `week` is the first day of each."""
    back = trend.weeks.iloc[::-1].reset_index(drop=True)
    sums = {"week": "last", **dict.fromkeys(back.columns.drop("week"), "sum")}
    return back.groupby(lambda row: row // SMOOTH_WEEKS).agg(sums)[::-1]


def lately(trend: Trend, theme: str, *, headline: bool) -> Metric | None:
    """A theme's complaints per 1,000 orders or texts in the last weeks beside those before; None without both."""
    if trend.changes.empty:
        return None
    change, per = trend.changes.set_index("theme").loc[theme], trend.per
    total = int(trend.weeks[per].iloc[-trend.recent_weeks :].sum())
    low, high = (float(end) for end in rate_interval(change["recent"], total / 1000))
    sums = blocks(trend).tail(HISTORY)
    line = [(f"{row['week']:%Y-%m-%d}", 1000 * row[theme] / row[per]) for _, row in sums.iterrows() if row[per]]
    rate = Estimate(value=float(change["recent_rate"]), unit="complaints", n=total, low=low, high=high)
    definition = (
        f"complaints of the theme in the last {trend.recent_weeks} whole weeks per 1,000 {per} of those weeks; "
    )
    past = {"before": float(change["before_rate"]), "against": trend.against, "history": tuple(line)}
    said = {"definition": f"{definition}Garwood's 95 % interval of the count", "headline": headline}
    label = f"{theme.capitalize()} complaints per 1,000 {per}"
    return Metric.of(rate, id=f"{theme}_complaints_lately", label=label, **past, **said)


def part_trend(readings: Readings, trend: Trend) -> Part:
    """Which themes rose or fell in the last weeks? Lines of the leading themes, four weeks at a time."""
    moved, first = trend.moved, trend.leading[0]
    by = wording.working_day(readings.as_of, ACT_WITHIN_DAYS)
    others = (lately(trend, theme, headline=False) for theme in moved.index if theme != first)
    method = f"A theme is said to have risen or fallen by p-values with Holm's correction for all {len(THEMES)} "
    method += "themes, against the scatter of the earlier weeks; ranges carry Bonferroni's."
    changed, signals = [], []
    for theme, row in moved.iterrows():
        name, better = f"{theme.capitalize()} complaints", bool(row["ratio"] < 1)
        text = f"{name} {risen(row['ratio'])}: {row['recent_rate']:.1f} per 1,000 {trend.per} in {trend.lately}, "
        text += f"{row['before_rate']:.1f} in {trend.against}."
        changed.append(Change(text=text, size=surely(row["low"], row["high"]), better=better))
        gone = f"{name} are no longer clearly {'below' if better else 'above'} the year before."
        text = f"{name} have {'fallen' if better else 'risen'}."
        signals.append(Signal(id=f"{row['change']}:{theme}", text=text, gone=gone))
    return Part(
        title=_title(trend),
        sentence=_sentence(trend, foremost(quotes_of(readings, trend), trend)),
        chart=_chart(trend),
        metrics=[metric for metric in others if metric],
        changes=changed,
        signals=signals,
        actions=[_action(theme, moved.loc[theme], trend, by=by) for theme in moved.index if theme in trend.rose],
        method=[method] if len(trend.changes) else [],
    )


def risen(ratio: float) -> str:
    """How a number of things has grown or shrunk, as a verb.

    >>> risen(2.1), risen(4.1), risen(1.3), risen(0.5), risen(0.7), risen(6)
    ('have doubled', 'have quadrupled', 'have risen', 'have halved', 'have fallen', 'are up about sixfold')
    """
    if ratio >= 4.5:
        return "have risen more than tenfold" if ratio > 10.5 else f"are up about {wording.small(round(ratio))}fold"
    for least, verb in ((3.5, "quadrupled"), (2.5, "tripled"), (1.85, "doubled"), (1, "risen"), (0.55, "fallen")):
        if ratio >= least:
            return f"have {verb}"
    return "have halved" if ratio >= 0.45 else "have fallen by more than half"


def share_naming(trend: Trend, theme: str) -> str:
    """How many of a theme's last complaints name whom: 'over half name DHL'; '' where no name stands behind them."""
    cause = trend.cause(theme)
    if not cause or not cause.is_name:
        return ""
    portion = cause.texts / trend.moved.loc[theme, "recent"]
    return f"{'all' if portion == 1 else 'over half' if portion > 0.5 else 'some'} name {cause.word}"


def _title(trend: Trend) -> str:
    if trend.changes.empty:
        return "Too few weeks to say whether complaints are rising"
    moved = trend.moved
    if moved.empty:
        return f"No theme is complained about more or less than in {trend.against}"
    verb = moved["change"].iloc[0]
    names = wording.listed(moved.index[moved["change"] == verb])
    if len(moved) > 1:
        return f"{names.capitalize()} complaints {verb}"
    return f"{names.capitalize()} complaints {risen(moved['ratio'].iloc[0])}"


def _sentence(trend: Trend, quote: str) -> str:
    if trend.changes.empty:
        return "A comparison needs at least sixteen whole weeks of dated texts."
    moved = trend.moved
    if moved.empty:
        count = int(trend.changes["recent"].sum())
        return f"With {wording.counted(count, 'complaint')} in {trend.lately}, only a large change would show."
    theme, cause = moved.index[0], trend.cause(moved.index[0])
    said = f"One wrote: ‘{shorten(quote, limit=120)}’" if quote else ""
    if cause is None:
        if theme not in trend.rose:
            return f"That is against {trend.against}."
        return said or "No single word stands behind it."
    name = cause.word if cause.is_name else f"the word ‘{cause.word}’"
    who = f"{formats.number(cause.recent)} of {wording.counted(cause.recent_all, 'writer')}"
    earlier = f"{formats.number(cause.before)} of {formats.number(cause.before_all)} did before"
    return wording.sentences(f"{who} {wording.noun(cause.recent, 'names', 'name')} {name}; {earlier}.", said)


def _action(theme: str, row: pd.Series, trend: Trend, *, by: date) -> Action:
    cause, count = trend.cause(theme), int(row["recent"])
    texts = these(count, theme)
    what = f"Read {texts} and find the cause"
    why = f"The texts of {trend.lately} are listed."
    if cause and cause.is_name:
        texts = "complaint that names" if cause.texts == 1 else f"{formats.number(cause.texts)} complaints that name"
        what, count = f"Ask {cause.word} about the {texts} it", cause.texts
        why = f"{why[:-1]}, those that name {cause.word} first."
    elif cause:
        what = f"Read {texts}, those with ‘{cause.word}’ first"
    if cause:
        why += (
            f" {cause.recent:,} of {cause.recent_all:,} people name ‘{cause.word}’; before, {cause.before:,} of "
            f"{cause.before_all:,} did. Being named is no proof of fault: read the texts first."
        )
    return Action(what=what, why=why, count=count, by=by, owner=OWNERS[theme], file="lists/complaints.csv")


def _chart(trend: Trend) -> Chart | None:
    """The leading themes per 1,000 orders or texts, four weeks at a time, the first with its band."""
    weeks, names, per = trend.weeks, trend.leading, trend.per
    rolled = weeks[[per, *THEMES]].rolling(SMOOTH_WEEKS).sum().assign(week=weeks["week"] + pd.Timedelta(days=6))
    rolled = rolled[rolled[per] > 0].tail(BEFORE_WEEKS + trend.recent_weeks)
    if rolled.empty:
        return None
    lines = []
    for name in names[::-1]:
        line = rolled[["week"]].assign(theme=name.capitalize(), rate=1000 * rolled[name] / rolled[per])
        low, high = rate_interval(rolled[name], rolled[per] / 1000)
        first = name == names[0]
        lines.append(line.assign(low=low if first else np.nan, high=high if first else np.nan))
    shown = rolled.iloc[::-SMOOTH_WEEKS]
    shown = shown.assign(until=shown["week"].dt.strftime("%d %b %Y"))
    labels = {"until": "Four weeks to", per: per.capitalize()} | {theme: theme.capitalize() for theme in THEMES}
    forms = {per: formats.number} | dict.fromkeys(THEMES, formats.people)
    caption = "Complaints by theme in four weeks each, newest first"
    table = figures.tabulate(shown, caption=caption, labels=labels, formats=forms)
    mark = (trend.since, f"last {trend.recent_weeks} weeks") if len(trend.changes) else None
    caption = f"Four weeks at a time; the band shows how far chance may move {names[0]}."
    columns: dict[str, Any] = {"x": "week", "y": "rate", "group": "theme", "low": "low", "high": "high"}
    said: dict[str, Any] = {"what": f"Complaints per 1,000 {per}", "form": formats.number, "mark": mark, "table": table}
    drawn, strong = pd.concat(lines, ignore_index=True), names[0].capitalize()
    return figures.line(drawn, strong=strong, caption=caption, **columns, **said)


def these(count: int, theme: str) -> str:
    """So many complaints, as one points at them: 'these 12 fit complaints'."""
    return f"this {theme} complaint" if count == 1 else f"these {formats.number(count)} {theme} complaints"


def quotes_of(readings: Readings, trend: Trend) -> pd.DataFrame:
    """What people wrote, of themes that rose what they wrote in those weeks first."""
    return quotes(readings, rose=trend.rose, from_day=trend.since if trend.rose else None)


def foremost(found: pd.DataFrame, trend: Trend) -> str:
    """The quote to lead with: of the theme that rose most and naming its cause, where there is one."""
    order = [*(theme for theme in trend.moved.index if theme in trend.rose), *found["theme"]] if len(found) else []
    for theme in order:
        texts = found.loc[found["theme"] == theme, "text"]
        cause = trend.cause(theme)
        named = texts[texts.str.contains(cause.word, case=False, regex=False)] if cause else texts
        if len(texts):
            return str((named if len(named) else texts).iloc[0])
    return ""
