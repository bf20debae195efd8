"""How many customers are unhappy now, beside the year before? By their stars, or by their words where stars are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.feedback.learning import MIN_RATED
from crmlib.analysis.feedback.trend import HISTORY, SMOOTH_WEEKS, Trend, blocks, compared, lately
from crmlib.findings import Chart, Metric, Part, Signal
from crmlib.formats import Estimate, outline
from crmlib.stats import share_interval

Basis = Literal["stars", "words"]
# Ratings needed in both periods, and texts that must be understood before words stand in for stars.
_LEAST: dict[Basis, int] = {"stars": MIN_RATED, "words": 50}
_ONE = {"stars": "One or two stars", "words": "Negative"}
_COLUMNS = {"stars": ("unhappy", "rated"), "words": ("negative", "read")}


@dataclass(frozen=True, kw_only=True)
class Satisfaction:
    """The unhappy share in the last weeks and in those before; None without enough dated texts in both.

    `basis` says what was counted: ratings of one and two stars, or texts that read as negative (not corrected).
    `change` is what holds at 5 % against the scatter of the earlier weeks; `stars` and `stars_before` are mean ratings.
    """

    __repr__ = outline

    basis: Basis
    recent: Estimate
    before: float
    ratio: float
    p_value: float
    change: Literal["rose", "fell", "no clear change"]
    stars: float | None
    stars_before: float | None

    @property
    def noun(self) -> str:
        """What is counted, in words."""
        return "one- and two-star ratings" if self.basis == "stars" else "texts that read as negative"


def satisfaction(trend: Trend) -> Satisfaction | None:
    """Is a larger share of customers unhappy in the last weeks than in the year before?

    Given their sum, unhappy texts of the last weeks are binomial with these weeks' share of all rated (or read) texts.
    """
    sums = trend.weeks.drop(columns="week")
    recent = sums.tail(trend.recent_weeks).sum()
    before = sums.iloc[: -trend.recent_weeks].tail(trend.before_weeks).sum()
    for basis, least in _LEAST.items():
        count, per = _COLUMNS[basis]
        found = compared(trend.weeks, [count], per=per, recent_weeks=trend.recent_weeks)
        if found is None or min(found[1]) < least:
            continue
        row, (now, then) = found[0].iloc[0], found[1]
        low, high = (float(end) for end in share_interval(recent[count], now))
        share, earlier = float(recent[count] / now), float(before[count] / then)
        clear = row["p_value"] < 0.05 and share != earlier
        stars, stars_before = float(recent["stars"] / now), float(before["stars"] / then)
        return Satisfaction(
            basis=basis,
            recent=Estimate(value=share, low=low, high=high, unit="share", n=int(now)),
            before=earlier,
            ratio=float(row["ratio"]),
            p_value=float(row["p_value"]),
            change=("rose" if share > earlier else "fell") if clear else "no clear change",
            stars=stars if basis == "stars" else None,
            stars_before=stars_before if basis == "stars" else None,
        )
    return None


def part_unhappy(found: Satisfaction | None, trend: Trend) -> Part | None:
    """How many are unhappy, week by week, and which theme rose; None without enough dated texts."""
    if found is None:
        theme = lately(trend, trend.leading[0], headline=True)
        return Part(metrics=[theme]) if theme else None
    noun = found.noun
    title, signals = f"No clear change in {noun}", []
    if found.change != "no clear change":
        common, way = ("more common", "up") if found.change == "rose" else ("rarer", "down")
        title = f"{wording.upper(noun)} are {way} since {trend.since:%B}"
        text = f"{wording.upper(noun)} are {common} than in {trend.against}."
        gone = f"The share of {noun} is again about what it was."
        signals.append(Signal(id=f"unhappy:{found.change}", text=text, gone=gone))
    method = f"The last {trend.recent_weeks} weeks are held against the {trend.before_weeks} before. Where counts "
    method += "scatter from week to week more than chance would have it, a change must be larger to be called one."
    chart, metrics = _chart(found, trend), _metrics(found, trend)
    return Part(title=title, chart=chart, glance=True, metrics=metrics, signals=signals, method=[method])


def _metrics(found: Satisfaction, trend: Trend) -> list[Metric]:
    count, per = _COLUMNS[found.basis]
    theme = lately(trend, trend.leading[0], headline=True)
    weeks, common = f"last {trend.recent_weeks} whole weeks", {"against": trend.against}
    what = f"share of {found.noun} in the {weeks}; Wilson's 95 % interval"
    said = {"label": wording.upper(found.noun), "before": found.before, "history": _history(trend, count, per)}
    metrics = [Metric.of(found.recent, id="unhappy_lately", headline=True, definition=what, **said, **common)]
    metrics += [theme] if theme else []
    if found.stars is not None:
        stars = Estimate(value=found.stars, unit="index", n=found.recent.n)
        said = {"label": "Average stars", "before": found.stars_before, "history": _history(trend, "stars", "rated")}
        what = f"mean of the ratings of the {weeks}"
        metrics.append(Metric.of(stars, id="stars_lately", definition=what, **said, **common))
    return metrics


def _history(trend: Trend, count: str, per: str) -> tuple[tuple[str, float], ...]:
    rows = [row for _, row in blocks(trend).tail(HISTORY).iterrows() if row[per]]
    return tuple((f"{row['week']:%Y-%m-%d}", float(row[count] / row[per])) for row in rows)


def _chart(found: Satisfaction, trend: Trend) -> Chart:
    count, per = _COLUMNS[found.basis]
    rolled = trend.weeks[[count, per]].rolling(SMOOTH_WEEKS).sum()
    rolled = rolled.assign(week=trend.weeks["week"] + pd.Timedelta(days=6), share=rolled[count] / rolled[per])
    rolled = rolled[rolled[per] > 0].tail(trend.before_weeks + trend.recent_weeks)
    rose = trend.moved[trend.moved["change"] == "rose"]
    name = f": {rose.index[0].capitalize()} complaints rose" if len(rose) and found.change == "rose" else ""
    four = blocks(trend).tail(HISTORY)[::-1]
    four = four.assign(name=four["week"].dt.strftime("%d %b %Y"), share=four[count] / four[per].replace(0, np.nan))
    labels = {"name": "Four weeks from", per: "Counted", count: _ONE[found.basis], "share": "Share"}
    forms: dict[str, Any] = {per: formats.number, count: formats.people, "share": formats.share}
    caption = f"{wording.upper(found.noun)} in four weeks each, newest first"
    table = figures.tabulate(four, caption=caption, labels=labels, formats=forms)
    what = f"Share of {found.noun}, four weeks at a time"
    mark = (trend.since, f"last {trend.recent_weeks} weeks{name}")
    return figures.line(rolled, x="week", y="share", what=what, form=formats.share, mark=mark, table=table)
