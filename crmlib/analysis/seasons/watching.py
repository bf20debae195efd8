"""When is a day no longer chance? A band over all that is watched, with a declared number of false alarms a year."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize
from threadpoolctl import threadpool_limits  # comes with scikit-learn

from crmlib import formats
from crmlib.analysis.seasons.facts import WEEK, Days
from crmlib.analysis.seasons.normal import shape
from crmlib.errors import UsageError
from crmlib.stats.intervals import Floats

JUDGED_DAYS = 28  # the newest days, which do not judge themselves
WINDOWS = (1, WEEK)  # a day by itself, and the last seven together
LEAST_DAYS, LEAST_CLUSTERS = 182, 5
_HALF_LIFE, _BURN_IN, _BLOCK = 21.0, 56, 91
_LEAST_EXPECTED = 3.0
_NOTICE, _GAP, _CENSORED = 0.92, 2, 0.05


@dataclass(frozen=True, kw_only=True)
class Watch:
    """All days held against what was expected the evening before.

    expected  by day and series, NaN where it is too early or the day is in a closure or campaign
    scores    how far the most surprising series was from it, in its own usual deviations, by day
    cells     the same of every series and window (series × windows × days), signed
    width     the usual deviation of each of them by day, on the scale of square roots
    notice    above it an episode lasts; `bar` is what its peak has to pass to be an alert
    years     of days by which both were set, in `clusters` episodes
    """

    __repr__ = formats.outline

    expected: pd.DataFrame
    scores: pd.Series
    notice: float
    bar: float
    rate: float
    years: float
    clusters: int
    cells: Floats = field(repr=False)
    width: Floats = field(repr=False)

    def episodes(self) -> list[tuple[int, int, int]]:
        """Runs of days above the notice, at most two days apart: first, last, peak (places of days)."""
        return episodes(self.scores.to_numpy(), self.notice)

    @property
    def passed(self) -> list[tuple[int, int, int]]:
        """The episodes that are alerts."""
        return [one for one in self.episodes() if self.scores.iloc[one[2]] > self.bar]


def episodes(scores: Floats, notice: float) -> list[tuple[int, int, int]]:
    """Runs of scores above `notice` with gaps of at most two: places of the first, the last and the highest.

    >>> episodes(np.array([0, 3, 0, 0, 4, 0, 0, 0, 5.0]), 2)
    [(1, 4, 4), (8, 8, 8)]
    """
    found: list[tuple[int, int, int]] = []
    at = np.flatnonzero(np.nan_to_num(scores) > notice)
    for run in np.split(at, np.flatnonzero(np.diff(at) > _GAP + 1) + 1) if len(at) else ():
        found.append((int(run[0]), int(run[-1]), int(run[np.argmax(scores[run])])))
    return found


def bar_of(scores: Floats, *, rate: float) -> tuple[float, float, int]:
    """From which score on does an episode come `rate` times a year? Notice, bar, and how many episodes set them.

    Peaks over a threshold: squares of scores have an exponential tail where scores are about normal, of whatever
    scale. The highest twentieth of episodes only counts as 'at least as high', so that a few shocks in the past do not
    hide the next. The bar is that of the predictive distribution (Lomax), which holds the rate on average over shops
    although the tail is estimated. Without 5 episodes to tell by there is no bar: infinite.
    """
    scores = scores[np.isfinite(scores)]
    notice = float(np.quantile(scores, _NOTICE)) if len(scores) else 0.0
    peaks = np.array([scores[top] ** 2 for _, _, top in episodes(scores, notice)]) - notice**2
    if len(peaks) < LEAST_CLUSTERS:
        return notice, np.inf, len(peaks)
    peaks = np.sort(peaks)
    seen = len(peaks) - int(np.ceil(_CENSORED * len(peaks)))
    mean = (peaks[:seen].sum() + (len(peaks) - seen) * peaks[seen - 1]) / seen
    ratio = max(len(peaks) / (len(scores) / 365.25) / rate, 1.0)
    return notice, float(np.sqrt(notice**2 + seen * mean * (ratio ** (1 / seen) - 1))), len(peaks)


@threadpool_limits.wrap(limits=1)  # hundreds of small fits: threads would wait for each other
def watch(
    days: Days, *, false_alarms_per_year: float = 1.0, yearly: bool, judged_days: int = JUDGED_DAYS
) -> Watch | None:
    """Which days were out of the ordinary, with so many false alarms a year over all that is watched?

    The last `judged_days` are judged by the days before them. Every day's expectation is its season, learnt from other
    parts of the time alone, times the level of the weeks before it. None under half a year of days to judge by, and
    where fewer than three orders come in a week. UsageError for a rate that is not between 0.1 and 50 a year.

    >>> watch(measure(store), yearly=False).bar > 0
    True
    """
    if not 0.1 <= false_alarms_per_year <= 50:
        raise UsageError(f"false_alarms_per_year is {false_alarms_per_year}; it has to lie between 0.1 and 50")
    size = len(days.frame)
    if days.lacks or size - judged_days < LEAST_DAYS:
        return None
    known = np.arange(size) < size - judged_days
    names, marks, wide, spread = list(days.series), [], [], []
    for name in names:
        counts = days.series[name].to_numpy(float)
        season = _seasons(days, counts, yearly=yearly, judged_days=judged_days)
        expected = _levels(days, counts, season) * season
        marks.append(expected)
        scored = [_scores(days, counts, season, known=known, window=window) for window in WINDOWS]
        wide.append([score for score, _ in scored])
        spread.append([width for _, width in scored])
    cells, width = np.array(wide), np.array(spread)
    judged = np.isfinite(cells[0]).any(axis=0)
    with np.errstate(invalid="ignore"):
        scores = np.where(judged, np.nanmax(np.abs(np.nan_to_num(cells)), axis=(0, 1)), np.nan)
    past = scores[known]
    notice, bar, clusters = bar_of(past, rate=false_alarms_per_year)
    if not np.isfinite(bar):
        # One great change may fill the tail of the past: then the newer half alone.
        past = past[len(past) // 2 :]
        notice, bar, clusters = bar_of(past, rate=false_alarms_per_year)
    if not np.isfinite(bar):
        return None
    index = days.frame.index
    return Watch(
        expected=pd.DataFrame(np.array(marks).T, index=index, columns=days.series.columns),
        scores=pd.Series(scores, index=index), notice=notice, bar=bar, rate=false_alarms_per_year,
        years=float(np.isfinite(past).sum() / 365.25), clusters=clusters, cells=cells, width=width,
    )  # fmt: skip


def _seasons(days: Days, counts: Floats, *, yearly: bool, judged_days: int) -> Floats:
    """Each quarter's season from all other days, that of the judged days from those before them."""
    size, season = len(counts), np.ones(len(counts))
    ends = [size, *range(size - judged_days, 0, -_BLOCK)]
    at = np.arange(size)
    for end, start in zip(ends, [*ends[1:], 0], strict=True):
        block = (at >= start) & (at < end)
        use = days.open & ~block & (at < size - judged_days)
        if block.any():
            season[block] = shape(days, counts, use=use, yearly=yearly)[block]
    return season


def _levels(days: Days, counts: Floats, season: Floats, *, behind: int = 1) -> Floats:
    """The level `behind` days before each day: weeks count less the longer ago they are."""
    held = {}
    for name, values in (("counts", counts), ("season", season)):
        rows = pd.Series(np.where(days.open, values, np.nan))
        held[name] = rows.ewm(halflife=_HALF_LIFE, ignore_na=True).mean().shift(behind).to_numpy()
    level = held["counts"] / held["season"]
    level[: _BURN_IN + behind - 1] = np.nan
    return np.asarray(level)


def _scores(
    days: Days, counts: Floats, season: Floats, *, known: NDArray[np.bool_], window: int
) -> tuple[Floats, Floats]:
    """How many usual deviations each day is off, and that deviation, both of square roots, which scatter alike."""
    use = days.open
    open_ = pd.Series(use.astype(float)).rolling(window).sum().to_numpy()
    came = pd.Series(np.where(use, counts, 0.0)).rolling(window).sum().to_numpy()
    share = pd.Series(np.where(use, season, 0.0)).rolling(window).sum().to_numpy()
    expected = share * _levels(days, counts, season, behind=window)
    fine = use & (open_ > window / 2) & np.isfinite(expected) & (expected >= _LEAST_EXPECTED)
    off = np.full(len(counts), np.nan)
    off[fine] = 2 * (np.sqrt(came[fine] + 0.375) - np.sqrt(expected[fine] + 0.375))
    width = np.full(len(counts), np.nan)
    learn = fine & known
    if learn.sum() < _BURN_IN:
        return width.copy(), width
    square = off[learn] ** 2
    square = np.minimum(square, 9 * np.median(square) / 0.455)
    # Chance alone scatters square roots alike; good and bad days scatter them with what is expected.
    parts, _ = optimize.nnls(np.column_stack([np.ones(learn.sum()), expected[learn]]), square)
    width[fine] = np.sqrt(np.maximum(parts[0] + parts[1] * expected[fine], 1e-9))
    width *= np.median(np.abs(off[learn]) / width[learn]) / 0.6745
    return off / width, width


def band(found: Watch, days: Days, *, series: int = 0) -> pd.DataFrame:
    """One of the numbers watched by day: day, actual, expected, low, high (the band that an alert of a day leaves)."""
    expected = found.expected.iloc[:, series].to_numpy()
    low, high = edges(expected, found.bar * found.width[series, 0])
    actual = days.series.iloc[:, series].to_numpy()
    return pd.DataFrame({"day": days.frame.index, "actual": actual, "expected": expected, "low": low, "high": high})


def edges(expected: Floats, reach: Floats) -> tuple[Floats, Floats]:
    """Where a count that is so far off on the scale of square roots would lie."""
    root = np.sqrt(np.asarray(expected) + 0.375)
    low, high = np.maximum(root - np.asarray(reach) / 2, 0.0) ** 2 - 0.375, (root + np.asarray(reach) / 2) ** 2 - 0.375
    return np.maximum(low, 0.0), high


def window_of(days: Days, found: Watch, series: int, window: int) -> tuple[Floats, Floats]:
    """What came and what was expected in the window that ends on each day."""
    use, counts = days.open, days.series.iloc[:, series].to_numpy(float)
    came = pd.Series(np.where(use, counts, 0.0)).rolling(WINDOWS[window]).sum().to_numpy()
    reach, cell = found.width[series, window], found.cells[series, window]
    root = np.sqrt(came + 0.375) - cell * reach / 2
    return came, root**2 - 0.375
