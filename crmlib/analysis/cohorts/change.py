"""Do newcomers come back more or less than those before them, and since which month?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import figures, formats
from crmlib.analysis.cohorts.facts import LEAST, Newcomers
from crmlib.findings import Metric, Part, Signal
from crmlib.formats import Estimate
from crmlib.stats.compare import difference_interval
from crmlib.stats.intervals import Floats, share_interval

ALPHA = 0.05  # the share of quiet shops in which a change is announced
RECENT = 3  # months that are called newest
_DRAWS, _YEAR, _LEAST_MONTHS = 2_000, 12, 6


@dataclass(frozen=True, kw_only=True)
class Shift:
    """The likeliest month from which on newcomers come back more or less, and how likely chance alone shows as much.

    `month` is None where there are too few months to look; `effect` is the difference of shares after it, in season:
    each calendar month against the same month of other years, where there are two years (`seasonal`).
    """

    __repr__ = formats.outline

    month: pd.Timestamp | None
    effect: float
    low: float
    high: float
    p_value: float
    seasonal: bool

    @property
    def likely(self) -> bool:
        """Is it more than chance?"""
        return self.month is not None and self.p_value < ALPHA

    @property
    def found(self) -> bool:
        """Is it more than chance and more than the season?"""
        return self.likely and self.seasonal


def shift(months: pd.DataFrame, *, seed: int = 0) -> Shift:
    """From which month on do newcomers come back more or less? One step, looked for at every month.

    `months` is `Newcomers.months()`. Weighted least squares of the monthly shares on a step, after the means of the
    calendar months where all of them were seen twice; errors are binomial, widened by what the months scatter beyond
    that. The chance of the largest of all steps comes from months drawn without any: the declared rate of false alarms
    holds for the search, where months scatter at random. Source: Andrews 1993 (sup-Wald).

    >>> quiet = pd.DataFrame({"first": pd.date_range("2024-01-01", periods=12, freq="MS"), "n": 100, "share": .5,
    ...                       "back": 50})
    >>> shift(quiet).found
    False
    """
    rows = months[months["n"] > 0].sort_values("first", ignore_index=True)
    n, share = rows["n"].to_numpy(float), rows["share"].to_numpy(float)
    none = Shift(month=None, effect=np.nan, low=np.nan, high=np.nan, p_value=1.0, seasonal=False)
    if len(rows) < _LEAST_MONTHS or n.sum() < 2 * LEAST:
        return none
    usual = float(rows["back"].sum() / n.sum())
    if not 0 < usual < 1:
        return none
    of_year = rows["first"].dt.month.to_numpy()
    seasonal = len(rows) >= 2 * _YEAR and len(np.unique(of_year)) == _YEAR
    groups = of_year if seasonal else np.zeros(len(rows), dtype=int)
    steps = _steps(len(rows))
    weights = n / (usual * (1 - usual))
    rng = np.random.default_rng(seed)
    level = _means(share[None], weights, groups)[0]
    beyond = float(((share - level) ** 2 @ weights) / max(len(rows) - len(np.unique(groups)), 1))
    drawn = rng.binomial(n.astype(int), np.clip(level, 0.0, 1.0), size=(_DRAWS, len(rows))) / n
    drawn = drawn + np.sqrt(max(beyond - 1, 0.0) / weights) * rng.standard_normal(drawn.shape)
    effects, errors, scatter = _fits(np.vstack([share, drawn]), weights, groups, steps)
    z = np.abs(effects) / errors / np.sqrt(scatter)
    largest = np.nan_to_num(z).max(axis=1)
    at = int(np.nan_to_num(z[0]).argmax())
    effect, half = float(effects[0, at]), float(1.96 * errors[at] * np.sqrt(scatter[0, at]))
    return Shift(
        month=rows["first"].iloc[int(np.flatnonzero(steps[at])[0])], effect=effect, low=effect - half,
        high=effect + half, p_value=float((1 + (largest[1:] >= largest[0]).sum()) / (1 + _DRAWS)), seasonal=seasonal,
    )  # fmt: skip


def _steps(count: int) -> NDArray[np.bool_]:
    """Every step that leaves two months on either side: a row each, true from the month on."""
    return np.arange(count)[None, :] >= np.arange(2, count - 1)[:, None]


def _means(values: Floats, weights: Floats, groups: NDArray[np.int64]) -> Floats:
    """The weighted mean of each row's group, at every place."""
    member = (groups[:, None] == np.unique(groups)[None, :]).astype(float)
    return np.asarray(((values * weights) @ member / (weights @ member)) @ member.T)


def _fits(values: Floats, weights: Floats, groups: NDArray[np.int64], steps: NDArray[np.bool_]) -> tuple[Floats, ...]:
    """Effect (rows of values × steps), its error (steps), and how much more than chance the rest scatters."""
    apart = values - _means(values, weights, groups)
    step = steps - _means(steps.astype(float), weights, groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (step**2) @ weights
        effects = (apart * weights) @ step.T / inside
        rest = ((apart**2) @ weights)[:, None] - effects**2 * inside
        freedom = max(values.shape[1] - len(np.unique(groups)) - 1, 1)
        return effects, 1 / np.sqrt(inside), np.maximum(rest / freedom, 1.0)


@dataclass(frozen=True, kw_only=True)
class Newest:
    """The newest months that can be judged beside the same months a year before (None: not enough of them)."""

    months: pd.DataFrame
    now: Estimate
    before: Estimate | None
    low: float = np.nan
    high: float = np.nan

    @property
    def differs(self) -> bool:
        """Does the range of the difference leave zero out?"""
        return bool(self.low > 0 or self.high < 0)


def newest(months: pd.DataFrame) -> Newest | None:
    """How many of the newest newcomers came back, and of those a year before? None below 30 newcomers."""
    if months.empty:
        return None
    last = months["first"].max()
    wanted = [last - pd.DateOffset(months=back) for back in range(RECENT)]
    now = months[months["first"].isin(wanted)]
    if now["n"].sum() < LEAST:
        return None
    then = months[months["first"].isin([day - pd.DateOffset(years=1) for day in now["first"]])]
    counted = [int(frame[name].sum()) for frame in (now, then) for name in ("back", "n")]
    if len(then) < len(now) or counted[3] < LEAST:
        return Newest(months=now, now=_share(*counted[:2]), before=None)
    low, high = difference_interval(*counted)
    return Newest(months=now, now=_share(*counted[:2]), before=_share(*counted[2:]), low=low, high=high)


def moved(step: Shift, latest: Newest | None) -> bool:
    """Do the newest come back more or less than others did? One question decides, so that chance has one try.

    With two years of months that is the step; with fewer, the newest beside the same months a year before.
    """
    return step.found if step.seasonal else bool(latest and latest.before and latest.differs)


def _share(back: int, n: int) -> Estimate:
    low, high = share_interval(back, n)
    return Estimate(value=back / n, low=float(low), high=float(high), unit="share", n=n)


def month_name(day: pd.Timestamp) -> str:
    return f"{day:%B %Y}"


def part_change(found: Newcomers, step: Shift, latest: Newest | None) -> Part:
    """The finding: the share of newcomers who came back, month by month, and where it changed."""
    months = found.months()
    if months.empty:
        return Part()
    shown = months[months["n"] >= formats.FEW_PEOPLE]  # a share of fewer could name somebody
    low, high = share_interval(shown["back"], shown["n"])
    frame = shown.assign(low=low, high=high)
    days = found.within_days
    history = tuple((f"{row.first:%Y-%m-%d}", float(row.share)) for row in months.tail(24).itertuples())
    metrics = []
    if latest is not None:
        # Where it moved the headline has both numbers.
        was = None if moved(step, latest) else latest.before
        metrics.append(
            Metric.of(latest.now, id="repeat_soon", label=f"Newest customers back within {days} days", headline=True,
                      before=was.value if was else None, against="a year before" if was else "",
                      history=history,
                      definition=f"share of those whose first order was in the newest {len(latest.months)} months that "
                      f"can be judged, who bought again within {days} days")
        )  # fmt: skip
    return Part(
        title=_title(step), sentence=_sentence(step), metrics=metrics, detail=step.month is None,
        chart=figures.line(
            frame, x="first", y="share", low="low", high="high", form=formats.share,
            what=f"share who came back within {days} days, by month of the first order",
            mark=(step.month, f"from {month_name(step.month)}") if step.found and step.month is not None else None,
        ),
        signals=[
            Signal(id="newcomers_changed", text=f"{_title(step)}.",
                   gone="Newcomers come back as those before them did.")
        ] if step.found else [],
        certain=["Ranges hold in 19 of 20 cases; in 1 of 20 shops where nothing changed, this page would still report "
                 "a change."],
        method=[_method(step)],
    )  # fmt: skip


def _title(step: Shift) -> str:
    if step.month is None:
        return "Too few months to see a change"
    if not step.likely:
        return "No change is large enough to be seen"
    if not step.found:
        return f"Newcomers since {month_name(step.month)} come back {_less(step)}, or it is the season"
    return f"Customers won since {month_name(step.month)} come back {_less(step)}"


def _sentence(step: Shift) -> str:
    if step.month is None:
        return "Six months of newcomers are needed, each known long enough."
    if not step.likely:
        return f"The largest difference, from {month_name(step.month)} on, may be chance."
    if not step.found:
        return "Two years of newcomers are needed to tell a change from the season."
    ends = sorted(abs(round(100 * end)) for end in (step.low, step.high))
    span = f"between {ends[0]} and {ends[1]}" if step.low * step.high > 0 else f"up to {ends[1]}"
    fewer = "more" if step.effect > 0 else "fewer"
    return f"Against the same months of other years, {span} in 100 {fewer}."


def _less(step: Shift) -> str:
    return "more" if step.effect > 0 else "less"


def _method(step: Shift) -> str:
    said = "A step is looked for at every month (largest Wald statistic, its chance from simulated months without one"
    return f"{said}; each calendar month against the same month of other years)." if step.seasonal else f"{said})."
