"""How many complaints will the next weeks bring, within which band, and how did earlier such numbers turn out?

The band bounds the count itself: negative binomial, as scattered as the same forecast's errors at earlier days were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from crmlib import figures, formats, wording
from crmlib.analysis.feedback.rates import period_of
from crmlib.analysis.feedback.texts import Readings
from crmlib.analysis.feedback.themes import THEMES
from crmlib.analysis.feedback.trend import Trend
from crmlib.analysis.forecasts import count_band
from crmlib.findings import Due, Grade, Part, Prediction
from crmlib.stats import Floats

HORIZONS = (30, 90)
RECENT_DAYS, LONG_DAYS = 56, 364
ORIGIN_STEP = 28  # days between the earlier days at which a forecast is tried
MOST_ORIGINS, FEWEST_ORIGINS = 18, 4
METHODS = {
    "year": "as in the last year",
    "recent": "as in the last eight weeks",
    "year by orders": "as often per order as in the last year, orders as a year ago",
    "recent by orders": "as often per order as in the last eight weeks, orders as a year ago",
}


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """Complaints by theme in the days from as_of on.

    frame    theme, horizon_days, expected, low, high (of the count, 95 %), method, scatter (variance over mean of
             earlier errors)
    origins  earlier days at which the forecasts were tried
    """

    frame: pd.DataFrame
    origins: int
    as_of: date


def ahead(readings: Readings, orders: pd.DataFrame, *, trend: Trend) -> Ahead:
    """How many complaints about each theme are to be expected in the next 30 and 90 days?

    Of four plain forecasts the one that erred least at earlier days is used, the simplest of equals (2 %); a theme that
    clearly rose or fell is carried on at its recent rate. Empty with too short a past for four such trials.
    """
    period = period_of(readings, orders)
    rows: list[tuple[Any, ...]] = []
    tried: list[int] = []
    if period and period[1] == readings.as_of:
        daily = _daily(readings, orders, start=period[0])
        changed = set(trend.moved.index) if len(trend.changes) else set()
        for horizon in HORIZONS:
            if origins := _origins(len(daily), horizon):
                tried.append(len(origins))
                rows += _forecasts(daily, horizon, origins, changed=changed)
    frame = pd.DataFrame(rows, columns=["theme", "horizon_days", "expected", "low", "high", "method", "scatter"])
    return Ahead(frame=frame, origins=max(tried, default=0), as_of=readings.as_of)


def _origins(size: int, horizon: int) -> list[int]:
    """Earlier days to try forecasts at, the latest first; none where they are too few."""
    origins = list(range(size - horizon, LONG_DAYS - 1, -ORIGIN_STEP))[:MOST_ORIGINS]
    # Forecasts by orders need two years before the day; where enough such days are left, only those are tried.
    two_years = [at for at in origins if at >= 2 * LONG_DAYS]
    origins = two_years if len(two_years) > FEWEST_ORIGINS else origins
    return origins if len(origins) >= FEWEST_ORIGINS else []


def _forecasts(daily: pd.DataFrame, horizon: int, origins: list[int], *, changed: set[str]) -> list[tuple[Any, ...]]:
    """Try the methods at earlier days and forecast by the best: rows of `Ahead.frame`."""
    counts, rows = daily[list(THEMES)].to_numpy(), []
    actual = np.array([counts[at : at + horizon].sum(axis=0) for at in origins], dtype=float)
    able = [method for method in METHODS if "orders" not in method or min(origins) >= 2 * LONG_DAYS]
    said = {one: np.array([_forecast(daily, at, horizon=horizon, method=one) for at in origins]) for one in able}
    deviance = {method: _deviance(actual, found) for method, found in said.items()}
    method = next(name for name in said if deviance[name] <= 1.02 * min(deviance.values()))
    # Few earlier errors measure their own spread badly: Student's margin over the normal one, for periods apart.
    apart = max(2.0, (origins[0] - origins[-1]) / max(horizon, ORIGIN_STEP) + 1)
    margin = (stats.t.ppf(0.975, apart) / stats.norm.ppf(0.975)) ** 2
    for place, theme in enumerate(THEMES):
        used = method if theme not in changed or method.startswith("recent") else method.replace("year", "recent")
        expected = float(_forecast(daily, len(daily), horizon=horizon, method=used)[place])
        own = slice(place, place + 1)
        scatter = max(1.0, margin * max(_scatter(actual, said[used]), _scatter(actual[:, own], said[used][:, own])))
        low, high = count_band(expected, scatter=scatter)
        rows.append((theme, horizon, expected, low, high, used, scatter))
    return rows


def predictions(found: Ahead) -> tuple[Prediction, ...]:
    """The same as a later run will grade them: 'delivery_complaints_30d' and its like."""
    made = []
    for row in found.frame.itertuples():
        label = f"{row.theme.capitalize()} complaints in the next {row.horizon_days} days"
        span: dict[str, Any] = {"start": found.as_of, "end": found.as_of + timedelta(days=int(row.horizon_days))}
        said: dict[str, Any] = {"value": round(float(row.expected), 2), "low": float(row.low), "high": float(row.high)}
        id_ = f"{row.theme}_complaints_{row.horizon_days}d"
        made.append(Prediction(id=id_, label=label, unit="complaints", **said, **span))
    return tuple(made)


def grade(readings: Readings, due: Sequence[Due]) -> tuple[Grade, ...]:
    """What came of the complaints that earlier runs expected? Those whose days have all passed by this run's as_of.

    Counted by today's reading, so a reader that has changed since counts as error of the forecast.
    """
    grades = []
    of_id = {f"{theme}_complaints_{days}d": theme for theme in THEMES for days in HORIZONS}
    said = readings.mentions[readings.mentions["complaint"]]
    days = readings.texts["day"].to_numpy()[said["row"].to_numpy()]
    for one in due:
        theme = of_id.get(one.prediction.id)
        if theme is None or one.prediction.end > readings.as_of:
            continue
        inside = (days >= np.datetime64(one.prediction.start)) & (days < np.datetime64(one.prediction.end))
        grades.append(Grade(due=one, actual=float((inside & (said["theme"] == theme).to_numpy()).sum())))
    return tuple(grades)


def _daily(readings: Readings, orders: pd.DataFrame, *, start: date) -> pd.DataFrame:
    """One row a day from `start` to the day before as_of: orders, and complaints by theme."""
    index = pd.date_range(start, readings.as_of, inclusive="left")
    frame = pd.DataFrame(index=index)
    frame["orders"] = orders.set_index("day")["orders"].reindex(index, fill_value=0)
    said = readings.mentions[readings.mentions["complaint"]]
    days = readings.texts["day"].to_numpy()[said["row"].to_numpy()]
    for theme in THEMES:
        counted = pd.Series(days[(said["theme"] == theme).to_numpy()]).value_counts()
        frame[theme] = counted.reindex(index, fill_value=0)
    return frame


def _forecast(daily: pd.DataFrame, at: int, *, horizon: int, method: str) -> Floats:
    """Expected complaints by theme in the `horizon` days from row `at` on, from rows before it alone."""
    back = min(RECENT_DAYS if method.startswith("recent") else LONG_DAYS, at)
    past = daily.iloc[at - back : at]
    seen = past[list(THEMES)].sum().to_numpy(float)
    if "orders" not in method:
        found: Floats = seen / back * horizon
        return found
    volume = daily["orders"].to_numpy(float)
    # The same weekdays a year ago, grown as the last half year grew over the half year before it a year earlier.
    half = LONG_DAYS // 2
    growth = volume[at - half : at].sum() / max(volume[at - half - LONG_DAYS : at - LONG_DAYS].sum(), 1.0)
    to_come = growth * volume[at - LONG_DAYS : at - LONG_DAYS + horizon].sum()
    scaled: Floats = seen / max(float(past["orders"].sum()), 1.0) * to_come
    return scaled


def _deviance(actual: Floats, expected: Floats) -> float:
    """Mean Poisson deviance; a forecast of nothing counts as a tenth of an event."""
    mean = np.maximum(expected, 0.1)
    return float(2 * (special.xlogy(actual, actual / mean) - (actual - mean)).mean())


def _scatter(actual: Floats, expected: Floats) -> float:
    """Mean of squared errors over forecasts: how much wider than Poisson the outcomes fell."""
    mean = np.maximum(expected, 0.1)
    return float(((actual - mean) ** 2 / mean).mean())


def part_ahead(readings: Readings, orders: pd.DataFrame, trend: Trend, due: Sequence[Due] = ()) -> Part:
    """How many complaints are to be expected, and how did earlier such numbers (`due`) turn out?"""
    found, grades = ahead(readings, orders, trend=trend), grade(readings, due)
    part = Part(
        title="We can't say how many complaints the next weeks bring",
        sentence="That needs a year and a half of dated texts and orders up to this day.",
        detail=True,
        grades=grades,
        certain=_marked(grades),
        tables={"ahead": found.frame},
    )
    if found.frame.empty:
        return part
    shown = found.frame.assign(
        name=found.frame["theme"].str.capitalize(),
        span=[f"next {days} days" for days in found.frame["horizon_days"]],
        how=found.frame["method"].map(METHODS),
    )
    row = next(found.frame[found.frame["theme"] == trend.leading[0]].itertuples())
    count = wording.counted(round(row.expected), f"{row.theme} complaint")
    expect = f"Expect {'about ' if round(row.expected) else ''}{count} in the next {row.horizon_days} days"
    labels = {"name": "Theme", "span": "When", "expected": "Expected", "low": "From", "high": "To", "how": "If"}
    forms: dict[str, Any] = dict.fromkeys(("low", "high"), formats.number)
    forms["expected"] = lambda value: formats.number(value, digits=0 if value >= 10 else 1)
    caption = "Complaints to be expected by theme; 'from' and 'to' bound the count itself (95 %)"
    return replace(
        part,
        title=expect,
        sentence=f"Between {row.low:.0f} and {row.high:.0f} would be no surprise; a later run says what came.",
        chart=figures.table(shown, caption=caption, labels=labels, formats=forms, file="tables/ahead.csv"),
        ahead=[f"{expect} ({row.low:.0f} to {row.high:.0f})."],
        predictions=predictions(found),
        method=[
            f"The numbers ahead come from the plainest forecast that erred least at {found.origins} earlier days; "
            "their bands are as wide as those errors."
        ],
    )


def _marked(grades: Sequence[Grade]) -> list[str]:
    """How earlier predictions turned out, as a sentence; none where none was due."""
    ranges = [(one.due.prediction.low, one.actual, one.due.prediction.high) for one in grades]
    inside = sum(low is not None and high is not None and low <= actual <= high for low, actual, high in ranges)
    if not grades:
        return []
    if len(grades) == 1:
        return [f"The one earlier forecast that came due was {'inside' if inside else 'outside'} its range."]
    return [f"Of {len(grades)} earlier forecasts, {inside or 'none'} came true within their range; 95 in 100 should."]
