"""What is normal: the shape of a week, of a year where a later year shows it again, and of public holidays."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from sklearn.linear_model import PoissonRegressor

from crmlib import figures, formats, wording
from crmlib.analysis.seasons.facts import TOTAL, WEEK, YEAR, Days
from crmlib.findings import Part
from crmlib.stats.corrections import adjust
from crmlib.stats.intervals import Floats

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
CONFIRMED = 0.05  # the share of shops without a season in which one is claimed
HARMONICS = 12  # waves of a year: a peak of about two weeks is the sharpest
_DRAWS, _LAG = 400, 28
_PRIOR_PRECISION = 6.0  # of log effects: a standard deviation of about a half, with days half as scattered again
_YEAR_DAYS = 365.25
_COLUMNS = ["kind", "name", "at", "value", "low", "high", "days"]


@dataclass(frozen=True, kw_only=True)
class Normal:
    """Indices beside the average day: 1.2 is a fifth more.

    table    kind (weekday, week, holiday), name, at (place in its kind), value, low, high (95 %), days
    yearly   a season of the year was seen in earlier years and again in the last one
    p_value  how often a season of another phase would fit the last year as well; 1 where there are not two years
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    yearly: bool
    p_value: float
    years: int

    def of(self, kind: str) -> pd.DataFrame:
        """The indices of one kind."""
        return self.table[self.table["kind"] == kind].reset_index(drop=True)


def design(days: Days, *, yearly: bool) -> tuple[Floats, Floats]:
    """Columns of log-linear effects by day: those of the season, and those of the level that moves below it."""
    index = days.frame.index
    at = np.arange(len(index)) / YEAR
    week = np.eye(WEEK)[index.day_of_week] - 1 / WEEK
    holiday = days.frame["holiday"]
    names = [name for name in sorted(set(holiday)) if name]
    columns = [week, *((holiday == name).to_numpy(float)[:, None] for name in names)]
    if names:
        columns.append((holiday != "").to_numpy(float)[:, None])  # what they have in common
    if yearly:
        columns.append(waves(index))
    bends = [np.maximum(at - year, 0.0) for year in range(1, max(days.years, 1))]
    # A young shop grows fast at first.
    return np.hstack(columns), np.column_stack([at, *bends, np.log1p(at * YEAR / 30)])


def waves(index: pd.DatetimeIndex) -> Floats:
    """Sines and cosines of the time of year."""
    angle = 2 * np.pi * (index.day_of_year.to_numpy() - 0.5) / _YEAR_DAYS
    return np.column_stack([wave(k * angle) for k in range(1, HARMONICS + 1) for wave in (np.sin, np.cos)])


def shape(days: Days, counts: Floats, *, use: NDArray[np.bool_], yearly: bool) -> Floats:
    """The factor by which each day is above or below its level, from the days of `use` alone.

    A Poisson regression on weekday, holiday and time of year, whose effects are drawn towards none as by a prior with
    a standard deviation of a half, so that few days and small groups say little.
    """
    season, level = design(days, yearly=yearly)
    if counts[use].sum() < 1:
        return np.ones(len(counts))
    model = PoissonRegressor(alpha=_PRIOR_PRECISION / use.sum(), solver="newton-cholesky", max_iter=50)
    model.fit(np.hstack([season, level])[use], counts[use])
    return np.asarray(np.exp(np.clip(season @ model.coef_[: season.shape[1]], -4, 4)))


def confirmed(days: Days, *, seed: int = 0) -> float:
    """How often would a season of another phase fit the last year as well as that of the years before it does?

    The season is fitted before the last 365 days and held against their weeks, without their own straight trend. What
    chance would do is told by the same waves with their phases drawn anew. 1 under two whole years, and where the last
    year is not nearer to the season than to none.
    """
    if days.years < 2:
        return 1.0
    counts, index = days.series[TOTAL].to_numpy(), days.frame.index
    before = days.open & (np.arange(len(index)) < len(index) - YEAR)
    if before.sum() < YEAR / 2:
        return 1.0
    season, level = design(days, yearly=True)
    model = PoissonRegressor(alpha=_PRIOR_PRECISION / before.sum(), solver="newton-cholesky", max_iter=50)
    model.fit(np.hstack([season, level])[before], counts[before])
    coef, size = model.coef_[: season.shape[1]], 2 * HARMONICS
    week_part = np.exp(np.clip(season[:, :-size] @ coef[:-size], -4, 4))
    last = slice(len(index) - 52 * WEEK, None)
    weight = np.where(days.open, week_part, 0.0)[last].reshape(52, WEEK).sum(axis=1)
    came = np.where(days.open, counts, 0.0)[last].reshape(52, WEEK).sum(axis=1)
    seen = weight > 0
    actual = np.log((came[seen] + 0.5) / weight[seen])
    line = np.column_stack([np.ones(seen.sum()), np.arange(52)[seen]])
    off = np.eye(len(line)) - line @ np.linalg.pinv(line)
    actual = off @ actual
    wave, pairs = waves(index[last])[WEEK // 2 :: WEEK][seen], coef[-size:].reshape(HARMONICS, 2)
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, 2 * np.pi, (_DRAWS, HARMONICS))
    lengths, angles = np.hypot(*pairs.T), np.arctan2(pairs[:, 1], pairs[:, 0])
    drawn = np.stack([lengths * np.cos(angles + turn), lengths * np.sin(angles + turn)], axis=2).reshape(_DRAWS, size)
    curves = np.vstack([pairs.reshape(1, size), drawn]) @ wave.T @ off
    fits = curves @ actual / np.maximum(np.linalg.norm(curves, axis=1), 1e-9)
    nearer = np.sum((actual - curves[0]) ** 2) < np.sum(actual**2)
    return float((1 + (fits[1:] >= fits[0]).sum()) / (1 + _DRAWS)) if nearer else 1.0


def normal(days: Days) -> Normal:
    """How much above or below the average are weekdays, weeks of the year and public holidays?

    Quasi-Poisson indices; their 95 % ranges allow for neighbouring days that are alike (Newey and West, 28 days). Weeks
    only where a season of the year was seen again in the last year.

    >>> normal(measure(store)).of("weekday")["value"].between(0, 5).all()
    np.True_
    """
    if days.lacks:
        return Normal(table=pd.DataFrame(columns=_COLUMNS), yearly=False, p_value=1.0, years=days.years)
    p_value = confirmed(days)
    yearly = p_value < CONFIRMED
    index, holiday = days.frame.index, days.frame["holiday"]
    _, level = design(days, yearly=False)
    names = [name for name in sorted(set(holiday[days.open])) if name]
    parts = {"weekday": np.eye(WEEK)[index.day_of_week][:, 1:] - np.eye(WEEK)[index.day_of_week][:, :1]}
    if names:
        parts["holiday"] = np.column_stack([(holiday == name).to_numpy(float) for name in names])
    if yearly:
        parts["week"] = waves(index)
    coef, cov, starts = _glm(days, parts, level)
    eye = np.eye(WEEK - 1)
    looks = {"weekday": (np.vstack([-np.ones(WEEK - 1), eye]), list(WEEKDAYS))}
    if names:
        looks["holiday"] = (np.eye(len(names)), names)
    if yearly:
        year = pd.date_range("2025-01-04", periods=52, freq="7D")  # the middles of 52 weeks
        looks["week"] = (waves(year), [f"Week {week}" for week in range(1, 53)])
    rows = []
    for kind, (look, called) in looks.items():
        at = slice(starts[kind], starts[kind] + look.shape[1])
        middle = look @ coef[at]
        spread = [np.einsum("ij,jk,ik->i", look, one[at, at], look) for one in cov]
        # Three days tell little of how days scatter: a holiday's range is no narrower than what other days show.
        half = 1.96 * np.sqrt(np.maximum(*spread) if kind == "holiday" else spread[0])
        counted = _days_of(days, kind, called)
        for place, name in enumerate(called):
            ends = np.exp([middle[place], middle[place] - half[place], middle[place] + half[place]])
            rows.append((kind, name, place, *ends, counted[place]))
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return Normal(table=table, yearly=yearly, p_value=p_value, years=days.years)


def _glm(
    days: Days, parts: dict[str, Floats], level: Floats
) -> tuple[Floats, tuple[Floats, Floats], dict[str, int]]:  # fmt: skip
    """Effects on the log scale, their covariances (Newey and West's; quasi-Poisson's), and where each part begins."""
    import statsmodels.api as sm

    use = days.open
    x = np.hstack([np.ones((len(level), 1)), level, *parts.values()])[use]
    model = sm.GLM(days.series[TOTAL].to_numpy()[use], x, family=sm.families.Poisson())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of days that are all alike: their ranges are as narrow as that
        found = model.fit(cov_type="HAC", cov_kwds={"maxlags": min(_LAG, int(use.sum()) // 4)})
    starts, at = {}, 1 + level.shape[1]
    for kind, columns in parts.items():
        starts[kind], at = at, at + columns.shape[1]
    scatter = found.pearson_chi2 / found.df_resid
    covariances = np.asarray(found.cov_params()), scatter * np.asarray(found.normalized_cov_params)
    return np.asarray(found.params), covariances, starts


def _days_of(days: Days, kind: str, called: list[str]) -> list[int]:
    frame = days.frame[days.open]
    if kind == "holiday":
        return [int((frame["holiday"] == name).sum()) for name in called]
    place = frame.index.day_of_week if kind == "weekday" else np.minimum((frame.index.day_of_year - 1) // WEEK, 51)
    return np.bincount(place, minlength=len(called)).tolist()


def part_year(found: Normal) -> Part:
    """The finding: whether the year has a season, and which weeks are above and below."""
    weeks, tables = found.of("week"), {"indices": found.table}
    if found.table.empty:
        return Part(tables=tables)
    if weeks.empty:
        title = (
            "No season of the year is claimed: two whole years are needed" if found.years < 2
            else "No season of the year came back in the last year"
        )  # fmt: skip
        return Part(title=title, sentence="Only weekdays are taken as a rhythm.", tables=tables, detail=True)
    top, low = weeks.loc[weeks["value"].idxmax()], weeks.loc[weeks["value"].idxmin()]
    return Part(
        title=f"The year peaks in {_month(top)}, at {formats.number(top['value'], digits=1)} times the average",
        sentence=f"The quietest weeks are in {_month(low)}, {formats.share(1 - low['value'])} below it. The last year "
        "showed the season of the years before again.",
        chart=figures.line(
            weeks, x="at", y="value", low="low", high="high", form=_index, x_form=lambda at: formats.number(at + 1),
            what="orders beside the average week", across="Week of the year", reference=1.0,
        ),
        tables=tables,
    )  # fmt: skip


def part_week(found: Normal) -> Part:
    """The finding: which weekdays are above and below the average day."""
    if found.table.empty:
        return Part()
    rows = found.of("weekday").assign(clear=lambda t: (t["low"] > 1) | (t["high"] < 1))
    best = rows.loc[rows["value"].idxmax()]
    clear = bool(best["clear"])
    return Part(
        title=f"{best['name']}s bring {formats.share(best['value'] - 1)} more orders than the average day" if clear
        else "No weekday stands out",
        detail=True,
        chart=figures.dots(
            rows, label="name", value="value", low="low", high="high", form=_index, reference=1.0,
            what="orders beside the average day",
        ),
    )  # fmt: skip


def part_holidays(found: Normal, days: Days) -> Part:
    """The finding: what public holidays do to orders."""
    rows = found.of("holiday")
    rows = rows[rows["days"] >= 2].assign(low=lambda t: t["low"].clip(0.01)).sort_values("value")
    if rows.empty:
        return Part()
    z = 2 * 1.96 * np.log(rows["value"].clip(0.001)).abs() / np.log(rows["high"] / rows["low"])
    apart = rows[adjust(2 * stats.norm.sf(z), method="holm") < 0.05]
    names = wording.listed([str(name) for name in apart["name"]], most=3)
    return Part(
        title=f"Orders differ on {names}" if len(apart) else "Public holidays bring orders as other days do",
        sentence=f"Each public holiday in {days.country} beside a usual day of its week and season.",
        detail=True,
        chart=figures.dots(
            rows, label="name", value="value", low="low", high="high", form=_index, reference=1.0,
            what="orders beside a usual day", rows=20,
        ),
    )  # fmt: skip


def _index(value: float) -> str:
    return formats.number(value, digits=2)


def _month(row: pd.Series) -> str:
    return f"{pd.Timestamp('2025-01-04') + pd.Timedelta(days=7 * int(row['at'])):%B}"
