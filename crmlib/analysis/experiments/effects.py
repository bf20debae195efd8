"""How large is one arm's effect against control, and how far may it lie from what was counted?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scipy import optimize, stats

from crmlib.stats.compare import (
    difference_interval,
    exact_range,
    exact_test,
    fieller,
    mover,
    mover_ratio,
    ratio_interval,
    score_test,
)
from crmlib.stats.sequential import always_valid_p, widening

Sums = Mapping[str, float]
Ends = tuple[float, float]


@dataclass(frozen=True)
class Effect:
    """A difference to control with its interval, test, and the same relative to control's mean.

    error     the difference's standard error; means and variances (of the means) are control's, then the arm's
    """

    effect: float
    low: float
    high: float
    p_value: float
    relative: float
    relative_low: float
    relative_high: float
    method: str
    gain: float = math.nan
    error: float = math.nan
    means: tuple[float, float] = (math.nan, math.nan)
    variances: tuple[float, float] = (math.nan, math.nan)


def share_effect(events: int, n: int, events_control: int, n_control: int, *, confidence: float) -> Effect:
    """How far apart are two shares? Score intervals, and the score test they invert: all three agree on zero.

    Source: Miettinen and Nurminen 1985. Relative to control, where both arms have events.

    >>> found = share_effect(56, 70, 48, 80, confidence=0.95)
    >>> round(found.effect, 2), round(found.low, 4), round(found.high, 4)
    (0.2, 0.0528, 0.3382)
    """
    counts = (events, n, events_control, n_control)
    ends, ratios = difference_interval(*counts, confidence=confidence), ratio_interval(*counts, confidence=confidence)
    means = events_control / n_control, events / n
    variances = means[0] * (1 - means[0]) / n_control, means[1] * (1 - means[1]) / n
    found = _of(means[1] - means[0], ends, score_test(*counts), (ratios[0] - 1, ratios[1] - 1), "score")
    return _with(found, means, variances)


def rare_effect(events: int, n: int, events_control: int, n_control: int, *, confidence: float) -> Effect:
    """How far apart are two shares of few events, or of none at all? Errs at most as often as it says.

    Two exact intervals put together (MOVER, Zou and Donner 2008), off zero only where Fisher's exact test is clear too;
    p is the larger of the two, so that all say the same. `error` is the half width over its normal quantile: rough, and
    used for planning only. Source: Fisher 1935; Clopper and Pearson 1934.

    >>> found = rare_effect(9, 1_000, 0, 1_000, confidence=0.95)
    >>> round(found.effect, 3), round(found.low, 4), round(found.high, 4), round(found.p_value, 4)
    (0.009, 0.0038, 0.017, 0.0039)
    """

    def ranges(level: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        return exact_range(events, n, confidence=level), exact_range(events_control, n_control, confidence=level)

    difference = events / n - events_control / n_control

    def reach(p: float) -> float:
        ends = mover(*ranges(1 - p))
        return ends[0] if difference > 0 else -ends[1]

    p = exact_test(events, n, events_control, n_control)
    if difference and p < 1 and reach(p) < 0:
        p = float(optimize.brentq(reach, p, 1 - 1e-9)) if reach(1 - 1e-9) > 0 else 1.0
    one, other = ranges(confidence)
    ends, shares = mover(one, other), mover_ratio(one, other)
    if p >= 1 - confidence:
        ends, shares = ((min(low, 0.0), max(high, 0.0)) if low == low else (low, high) for low, high in (ends, shares))
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    found = _of(difference, ends, p, shares, "exact")
    relative = one[0] / other[0] - 1 if math.isfinite(found.relative_low) else math.nan
    return replace(found, relative=relative, error=(ends[1] - ends[0]) / (2 * z))


def mean_effect(arm: Sums, control: Sums, *, confidence: float, adjusted: bool) -> Effect:
    """How far apart are two means? Welch's t by tea-tasting, `adjusted` by pre_value (CUPED).

    `arm` and `control` hold n, mean, var and, if adjusted, pre_mean, pre_var and cov. Source: Welch 1947; Deng, Xu,
    Kohavi and Walker 2013; Fieller 1954 for the relative interval, which agrees with the absolute one on zero.
    """
    import tea_tasting as tt

    metric = tt.Mean("value", "pre" if adjusted else None, confidence_level=confidence, equal_var=False, use_t=True)
    groups = [_aggregates(row, adjusted=adjusted) for row in (control, arm)]
    shift = 0.0
    try:
        result = metric.analyze_aggregates(*groups)
    except OverflowError:
        # Its interval of the ratio, not used here, overflows for a mean beside zero; a difference minds no shift.
        shift = max(abs(row["mean"]) + 10 * math.sqrt(row["var"]) for row in (control, arm))
        moved = ({**row, "mean": row["mean"] + shift} for row in (control, arm))
        result = metric.analyze_aggregates(*(_aggregates(row, adjusted=adjusted) for row in moved))
    gain = math.nan
    variances = [row["var"] / row["n"] for row in (control, arm)]
    if adjusted:
        total = groups[0] + groups[1]
        theta = total.cov("value", "pre") / total.var("pre")
        plain = sum(variances)
        variances = [
            (row["var"] + theta**2 * row["pre_var"] - 2 * theta * row["cov"]) / row["n"] for row in (control, arm)
        ]
        gain = 1 - sum(variances) / plain
    means = result.control - shift, result.treatment - shift
    found = _tested(result, means, (variances[0], variances[1]), "CUPED" if adjusted else "Welch")
    return replace(found, gain=gain)


def ratio_effect(arm: Sums, control: Sums, *, confidence: float) -> Effect:
    """How far apart are two ratios of sums, such as revenue per order? The delta method, by tea-tasting.

    `arm` and `control` hold n, top_mean, below_mean, top_var, below_var and cov. Source: Deng, Knoblich and Lu 2018.
    """
    import tea_tasting as tt
    from tea_tasting.aggr import Aggregates

    metric = tt.RatioOfMeans("top", "below", confidence_level=confidence, equal_var=False, use_t=True)
    groups = []
    for row in (control, arm):
        means, spreads = ({name: row[f"{name}_{what}"] for name in ("top", "below")} for what in ("mean", "var"))
        cov = {("below", "top"): row["cov"]}
        groups.append(Aggregates(count_=int(row["n"]), mean_=means, var_=spreads, cov_=cov))
    result = metric.analyze_aggregates(*groups)
    variances = [
        (row["top_var"] - 2 * r * row["cov"] + r * r * row["below_var"]) / row["below_mean"] ** 2 / row["n"]
        for row, r in ((control, result.control), (arm, result.treatment))
    ]
    return _tested(result, (result.control, result.treatment), (variances[0], variances[1]), "delta")


def quantile_effect(arm: Sums, control: Sums, *, confidence: float) -> Effect:
    """How far apart are two quantiles? Two order-statistic intervals put together (MOVER, Zou and Donner 2008).

    `arm` and `control` hold middle, low and high. Relative to control, where its interval is above 0, by the same two
    intervals (MOVER-R), which holds 1 exactly where that of the difference holds 0. `error` is the half width over its
    normal quantile: rough, and used for planning only.
    """
    one, other = ((row["middle"], row["low"], row["high"]) for row in (arm, control))
    difference = one[0] - other[0]
    # Not the ends less the middle, which would lose digits.
    down, up = math.hypot(one[0] - one[1], other[2] - other[0]), math.hypot(one[2] - one[0], other[0] - other[1])
    towards = down if difference > 0 else up
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    # The p-value whose interval would end at 0, so that both say the same.
    p = 2 * float(stats.norm.sf(z * abs(difference) / towards)) if towards > 0 else math.nan
    found = _of(difference, mover(one, other), p, mover_ratio(one, other), "order statistics")
    relative = one[0] / other[0] - 1 if math.isfinite(found.relative_low) else math.nan
    return replace(found, relative=relative, error=(down + up) / (2 * z))


def at_every_look(found: Effect, *, n: float, n_control: float, confidence: float, planned: float) -> Effect:
    """The same effect with an interval and a p-value that hold whenever one looks (`sequential.widening`).

    Neither where both arms are constant, all none against all one: no spread is known that the width could rest on.
    """
    if not found.error > 0:
        nan = math.nan
        return replace(found, low=nan, high=nan, p_value=nan, relative=nan, relative_low=nan, relative_high=nan)
    rule = {"alpha": 1 - confidence, "planned": planned}
    factor = float(widening(n, n_control, **rule))
    p_value = float(always_valid_p(found.effect / found.error, n, n_control, **rule))
    low, high = fieller(*found.means, *found.variances, factor=factor)
    relative, half = found.relative if math.isfinite(low) else math.nan, factor * found.error
    found = replace(found, low=found.effect - half, high=found.effect + half, p_value=p_value)
    return replace(found, relative=relative, relative_low=low, relative_high=high)


def _of(effect: float, ends: Ends, p_value: float, relative: Ends, method: str) -> Effect:
    return Effect(effect, *ends, p_value, math.nan, *relative, method)


def _with(found: Effect, means: Ends, variances: Ends) -> Effect:
    """The same with what it was made of."""
    relative = means[1] / means[0] - 1 if math.isfinite(found.relative_low) else math.nan
    return replace(found, relative=relative, error=math.sqrt(sum(variances)), means=means, variances=variances)


def _tested(result: Any, means: Ends, variances: Ends, method: str) -> Effect:
    """What tea-tasting found, with the relative interval by Fieller at the same number of errors."""
    factor = (result.effect_size_ci_upper - result.effect_size) / math.sqrt(sum(variances))
    ends = result.effect_size_ci_lower, result.effect_size_ci_upper
    shares = fieller(*means, *variances, factor=factor)
    return _with(_of(result.effect_size, ends, result.pvalue, shares, method), means, variances)


def _aggregates(row: Sums, *, adjusted: bool) -> Any:
    from tea_tasting.aggr import Aggregates

    means, variances = {"value": row["mean"]}, {"value": row["var"]}
    if not adjusted:
        return Aggregates(count_=int(row["n"]), mean_=means, var_=variances)
    means["pre"], variances["pre"] = row["pre_mean"], row["pre_var"]
    return Aggregates(count_=int(row["n"]), mean_=means, var_=variances, cov_={("value", "pre"): row["cov"]})
