"""Did the level of orders shift, and when? In the last weeks too, or 'too recent to tell'."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from crmlib import figures, formats, wording
from crmlib.analysis.seasons.facts import TOTAL, WEEK, Days
from crmlib.analysis.seasons.normal import design
from crmlib.findings import Part, Signal
from crmlib.formats import Estimate
from crmlib.stats.intervals import Floats

ALPHA = 0.05  # the share of quiet shops in which a shift is announced
RECENT_DAYS = 28
_MOST, _DRAWS, _LEAST_STEPS, _EDGE_DAYS, _END_DAYS = 3, 300, 26, 28, 14
_SPARSE = 5.0  # orders a day below which weeks are looked at
_MOST_STEPS = 1300
_OUTLIER = 4.0  # usual deviations beyond which a day counts as no further off
_SLOW, _DRIFT = 0.995, 0.015  # a drift forgets half of itself in five months; every shop drifts by so much


@dataclass(frozen=True, kw_only=True)
class Shift:
    """A step of the level: the first day of the new one with its 95 % interval, and the ratio of new to old."""

    day: date
    first: date
    last: date
    ratio: Estimate
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Shifts:
    """The steps found, oldest first, and what the last four weeks can say of a step in them.

    `recent` is the level of the last 28 days beside that before; `step_days` how finely days were looked at;
    `seasonal` whether a season of the year was allowed for.
    """

    __repr__ = formats.outline

    found: tuple[Shift, ...]
    recent: Estimate
    step_days: int
    seasonal: bool
    looked: int


@dataclass(frozen=True)
class _Steps:
    """Logarithms of orders by step, what explains them besides a shift, and every shift there may be."""

    start: pd.DatetimeIndex
    y: Floats
    off: Floats  # takes out what the other columns explain
    steps: Floats  # a row for each candidate
    places: np.ndarray


def shifts(days: Days, *, yearly: bool, seed: int = 0) -> Shifts:
    """Since when do more or fewer orders come than before, beyond season, growth and closures?

    One step at a time, at every day that leaves four weeks before it and two after it (four where orders are few),
    least squares on logarithms beside weekday, holiday, season and a bent line of growth. How large the largest of all
    steps is by chance is told by series without any that are as alike from day to day and drift as slowly; which days
    the step may lie on by series with the one that was found. Sources: Andrews 1993 (sup-Wald), Bai 1997 (the date).

    >>> shifts(measure(store), yearly=False).looked > 0
    True
    """
    if days.lacks:
        return Shifts(found=(), recent=Estimate(value=None, unit="index"), step_days=1, seasonal=yearly, looked=0)
    rng = np.random.default_rng(seed)
    rows = _steps(days, yearly=yearly)
    step_days = 1 if len(rows.y) and rows.start[1] - rows.start[0] == pd.Timedelta(days=1) else WEEK
    found: list[Shift] = []
    off = rows.off
    while len(found) < _MOST and len(rows.y) >= _LEAST_STEPS:
        one, column = _largest(rows, off, rng)
        if one is None:
            break
        found.append(one)
        column = off @ column
        off = off - np.outer(column, column) / (column @ column)
    return Shifts(found=tuple(sorted(found, key=lambda one: one.day)), recent=_recent(rows, off), step_days=step_days,
                  seasonal=yearly, looked=len(rows.places))  # fmt: skip


def _steps(days: Days, *, yearly: bool) -> _Steps:
    counts = days.series[TOTAL]
    daily = counts.median() >= _SPARSE and len(counts) <= _MOST_STEPS
    every = 1 if daily else WEEK
    size = len(counts) // every * every
    frame = days.frame.iloc[len(counts) - size :]
    season, level = (part[len(counts) - size :] for part in design(days, yearly=yearly))
    if not daily:
        season = season[:, WEEK:]
    x = np.column_stack([np.ones(size), season, level[:, 0], level[:, 0] ** 2, level[:, -1]])
    y = counts.to_numpy(float)[-size:].reshape(-1, every).sum(axis=1)
    open_ = days.open[-size:].reshape(-1, every).all(axis=1)
    x = x.reshape(-1, every, x.shape[1]).mean(axis=1)[open_]
    start = frame.index[::every][open_]
    off = np.eye(len(x)) - x @ np.linalg.pinv(x)
    edge = max(1, _EDGE_DAYS // every)
    end = _END_DAYS if daily else edge
    places = np.arange(edge, max(len(x) - end + 1, edge))
    steps = (np.arange(len(x))[None, :] >= places[:, None]).astype(float)
    log = np.log(y[open_] + 0.5)
    rest = off @ log
    # A day that stands alone, as Christmas does, is no shift of level.
    reach = _OUTLIER * 1.4826 * float(np.median(np.abs(rest))) if len(rest) else 0.0
    return _Steps(start, log - rest + np.clip(rest, -reach, reach), off, steps, places)


def _scan(rows: _Steps, off: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Effect of each candidate (series × candidates), and how much of the squares it takes away."""
    step = rows.steps @ off
    inside = np.einsum("ij,ij->i", step, step)
    fine = inside > 0.02 * np.minimum(rows.places, len(rows.y) - rows.places)  # not what the season explains already
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(fine, y @ step.T / inside, 0.0)
    return effect, effect**2 * np.where(fine, inside, 0.0)


def _largest(rows: _Steps, off: Floats, rng: np.random.Generator) -> tuple[Shift | None, Floats]:
    effect, gain = _scan(rows, off, rows.y[None, :])
    at = int(gain[0].argmax())
    column = rows.steps[at]
    rest = off @ (rows.y - effect[0, at] * column)
    column_off = off @ column
    drawn = _scatter(rng, off - np.outer(column_off, column_off) / (column_off @ column_off), rest)
    null = _scan(rows, off, drawn)[1].max(axis=1)
    p_value = float((1 + (null >= gain[0, at]).sum()) / (1 + _DRAWS))
    if p_value >= ALPHA:
        return None, column
    moved = _scan(rows, off, drawn + effect[0, at] * column)
    # Every day is inside at which the step explains no less than the true day may by chance, beside the best.
    short = np.quantile(moved[1].max(axis=1) - moved[1][:, at], 0.95)
    inside = rows.places[gain[0] >= gain[0, at] - short]
    half = 1.96 * float(np.std(moved[0][:, at]))
    ends = [float(np.exp(effect[0, at] + side * half)) for side in (0, -1, 1)]
    return Shift(
        day=rows.start[rows.places[at]].date(), first=rows.start[inside.min()].date(),
        last=rows.start[inside.max()].date(),
        ratio=Estimate(value=ends[0], low=ends[1], high=ends[2], unit="index"), p_value=p_value,
    ), column  # fmt: skip


def _scatter(rng: np.random.Generator, off: Floats, rest: Floats) -> Floats:
    """Series without a shift that scatter as `rest` does, which is what `off` has left of such a one.

    Days that are like their neighbours, and a slow drift. How much drift there is, is told by the means of four weeks:
    as much more than days alone would leave in them, beside what `off` leaves there of a drift.
    """
    size, block = len(rest), min(28, len(rest) // 6)
    white = rng.standard_normal((2, _DRAWS, size + 400))
    slow = lfilter([np.sqrt(1 - _SLOW**2)], [1.0, -_SLOW], white[0], axis=1)[:, 400:]

    def low(series: Floats) -> Floats:
        cut = series[..., : size // block * block]
        return np.mean(np.mean(cut.reshape(*cut.shape[:-1], -1, block), axis=-1) ** 2, axis=-1)

    left = slow @ off
    left_low, left_all, left_next = (
        float(low(left).mean()),
        float(np.mean(left**2)),
        float(np.mean(left[:, 1:] * left[:, :-1])),
    )
    drift, rho = _DRIFT**2, 0.0
    for _ in range(4):
        own = max(float(np.mean(rest**2)) - drift * left_all, 1e-6)
        rho = min(max((float(np.mean(rest[1:] * rest[:-1])) - drift * left_next) / own + 3 / size, 0.0), 0.9)
        fast = lfilter([np.sqrt(1 - rho**2)], [1.0, -rho], white[1], axis=1)[:, 400:]
        gone = fast @ off
        own /= float(np.mean(gone**2))
        drift = max((float(low(rest)) - own * float(low(gone).mean())) / left_low, _DRIFT**2)
    return np.asarray(np.sqrt(own) * fast + np.sqrt(drift) * slow)


def _recent(rows: _Steps, off: Floats) -> Estimate:
    """The level of the last four weeks beside what was to be expected, with its range."""
    nothing = Estimate(value=None, unit="index")
    if len(rows.y) < _LEAST_STEPS:
        return nothing
    column = (rows.start >= rows.start[-1] - timedelta(days=RECENT_DAYS - 1)).astype(float)
    step = off @ column
    inside = float(step @ step)
    if inside < 0.02 * column.sum():
        return nothing
    effect = float(step @ rows.y) / inside
    without = off - np.outer(step, step) / inside
    drawn = _scatter(np.random.default_rng(0), without, without @ rows.y)
    half = 1.96 * float(np.std(drawn @ step)) / inside
    ends = [float(np.exp(effect + side * half)) for side in (0, -1, 1)]
    return Estimate(value=ends[0], low=ends[1], high=ends[2], unit="index")


def part_shifts(found: Shifts, *, days: Days) -> Part:
    """The finding: since when the level is another, or what can be said of the last weeks."""
    if not found.looked:
        return Part()
    lately = _lately(found, days)
    if not found.found:
        return Part(title="No shift of level before the last four weeks", sentence=lately, detail=True)
    rows = pd.DataFrame({
        "name": [wording.upper(wording.day(one.day)) for one in found.found],
        "between": [between(one) for one in found.found],
        **{end: [getattr(one.ratio, end) for one in found.found] for end in ("value", "low", "high")},
    })  # fmt: skip
    newest = found.found[-1]
    return Part(
        title=said(newest), detail=True,
        sentence=wording.sentences(
            f"The change lies {between(newest)}." if newest.first < newest.last else "", _doubt(found), lately
        ),
        chart=figures.table(
            rows, caption="Shifts of the level of orders",
            labels={"name": "From", "between": "Lies", "value": "Times as many", "low": "At least", "high": "At most"},
            formats=dict.fromkeys(("value", "low", "high"), lambda value: formats.number(value, digits=2)),
        ),
        signals=[Signal(id=f"shift_{newest.day:%Y_%m}", text=f"{said(newest)}.",
                        gone=f"A shift of orders in {newest.day:%B %Y} no longer shows.")],
    )  # fmt: skip


def said(one: Shift) -> str:
    """A shift in a clause: 'Since 2 March 2026 a fifth fewer orders come'."""
    ratio = one.ratio.value or 1.0
    size = formats.share(abs(ratio - 1))
    return f"Since {wording.day(one.day)}, {size} {'more' if ratio > 1 else 'fewer'} orders come"


def between(one: Shift) -> str:
    """Where a shift lies, in words."""
    return f"between {wording.day(one.first, near=one.last)} and {wording.day(one.last)}"


def _doubt(found: Shifts) -> str:
    return "" if found.seasonal else "It may be the season: that is not known yet."


def _lately(found: Shifts, days: Days) -> str:
    """What the last four weeks can say; never that nothing has changed."""
    border = days.as_of - timedelta(days=RECENT_DAYS)
    if any(one.day >= border for one in found.found):
        return ""
    recent = found.recent
    if recent.low is None or recent.high is None:
        return "The last four weeks are too recent to tell."
    ends = [_beside(value) for value in (recent.low, recent.high)]
    return f"The last four weeks are too recent to tell: they lie between {ends[0]} and {ends[1]} expected."


def _beside(ratio: float) -> str:
    size = formats.share(abs(ratio - 1))
    return f"{size} {'more' if ratio >= 1 else 'fewer'} orders than"
