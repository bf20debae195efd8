"""How large is one arm's effect against control, and how far may it lie from what was counted?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scipy import stats

from crmlib.analysis.experiments.sequential import always_valid_p, widening
from crmlib.analysis.experiments.shares import difference_interval, ratio_interval, score_test


@dataclass(frozen=True, kw_only=True)
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
    """
    counts = (events, n, events_control, n_control)
    low, high = difference_interval(*counts, confidence=confidence)
    ratio = events / n / (events_control / n_control) if events_control and events else math.nan
    ends = ratio_interval(*counts, confidence=confidence)
    means = events_control / n_control, events / n
    variances = means[0] * (1 - means[0]) / n_control, means[1] * (1 - means[1]) / n
    return Effect(
        effect=events / n - events_control / n_control,
        low=low,
        high=high,
        p_value=score_test(*counts),
        relative=ratio - 1,
        relative_low=ends[0] - 1,
        relative_high=ends[1] - 1,
        method="score",
        error=math.sqrt(sum(variances)),
        means=means,
        variances=variances,
    )


def mean_effect(arm: Mapping[str, float], control: Mapping[str, float], *, confidence: float, adjusted: bool) -> Effect:
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
    base, treated = result.control - shift, result.treatment - shift
    half = result.effect_size_ci_upper - result.effect_size
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
    low, high = _fieller(base, treated, *variances, factor=half / math.sqrt(sum(variances)))
    relative = treated / base - 1 if math.isfinite(low) else math.nan
    return Effect(effect=result.effect_size, low=result.effect_size_ci_lower, high=result.effect_size_ci_upper,
                  p_value=result.pvalue, relative=relative, relative_low=low, relative_high=high,
                  method="CUPED" if adjusted else "Welch", gain=gain, error=math.sqrt(sum(variances)),
                  means=(base, treated), variances=(variances[0], variances[1]))  # fmt: skip


def ratio_effect(arm: Mapping[str, float], control: Mapping[str, float], *, confidence: float) -> Effect:
    """How far apart are two ratios of sums, such as revenue per order? The delta method, by tea-tasting.

    `arm` and `control` hold n, top_mean, below_mean, top_var, below_var and cov. Source: Deng, Knoblich and Lu 2018.
    """
    import tea_tasting as tt
    from tea_tasting.aggr import Aggregates

    metric = tt.RatioOfMeans("top", "below", confidence_level=confidence, equal_var=False, use_t=True)
    groups = [
        Aggregates(
            count_=int(row["n"]),
            mean_={"top": row["top_mean"], "below": row["below_mean"]},
            var_={"top": row["top_var"], "below": row["below_var"]},
            cov_={("below", "top"): row["cov"]},
        )
        for row in (control, arm)
    ]
    result = metric.analyze_aggregates(*groups)
    variances = [
        (row["top_var"] - 2 * r * row["cov"] + r * r * row["below_var"]) / row["below_mean"] ** 2 / row["n"]
        for row, r in ((control, result.control), (arm, result.treatment))
    ]
    error = math.sqrt(sum(variances))
    factor = (result.effect_size_ci_upper - result.effect_size) / error
    low, high = _fieller(result.control, result.treatment, *variances, factor=factor)
    return Effect(effect=result.effect_size, low=result.effect_size_ci_lower, high=result.effect_size_ci_upper,
                  p_value=result.pvalue, relative=result.rel_effect_size if math.isfinite(low) else math.nan,
                  relative_low=low, relative_high=high, method="delta", error=error,
                  means=(result.control, result.treatment), variances=(variances[0], variances[1]))  # fmt: skip


def quantile_effect(arm: Mapping[str, float], control: Mapping[str, float], *, confidence: float) -> Effect:
    """How far apart are two quantiles? Two order-statistic intervals put together (MOVER, Zou and Donner 2008).

    `arm` and `control` hold middle, low and high. Relative to control, where its interval is above 0, by the same two
    intervals (MOVER-R, Donner and Zou 2012), which holds 1 exactly where that of the difference holds 0. `error` is the half
    width over its normal quantile: rough, and used for planning only.
    """
    difference = arm["middle"] - control["middle"]
    down = math.hypot(arm["middle"] - arm["low"], control["high"] - control["middle"])
    up = math.hypot(arm["high"] - arm["middle"], control["middle"] - control["low"])
    towards = down if difference > 0 else up
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    # The p-value whose interval would end at 0, so that both say the same.
    p = 2 * float(stats.norm.sf(z * abs(difference) / towards)) if towards > 0 else math.nan
    ends = _mover_ratio(arm, control)
    return Effect(effect=difference, low=difference - down, high=difference + up, p_value=p,
                  relative=arm["middle"] / control["middle"] - 1 if math.isfinite(ends[0]) else math.nan,
                  relative_low=ends[0], relative_high=ends[1], method="order statistics", error=(down + up) / (2 * z))  # fmt: skip


def _mover_ratio(arm: Mapping[str, float], control: Mapping[str, float]) -> tuple[float, float]:
    """Ends of arm / control − 1; (nan, nan) where control's interval is not above zero, or the arm's below it."""
    if not (control["low"] > 0 and arm["low"] >= 0):
        return math.nan, math.nan
    a, b = arm["middle"], control["middle"]
    ends = []
    for near, far, side in ((arm["low"], control["high"], -1), (arm["high"], control["low"], 1)):
        below = far * (2 * b - far)
        inside = (a * b) ** 2 - near * (2 * a - near) * below
        # 2b − far can fall to 0 or under where control's interval is very lopsided: then there is no such end.
        if not below > 0:
            return math.nan, math.nan
        ends.append((a * b + side * math.sqrt(max(inside, 0.0))) / below - 1)
    return ends[0], ends[1]


def at_every_look(found: Effect, *, n: float, n_control: float, confidence: float, planned: float) -> Effect:
    """The same effect with an interval and a p-value that hold whenever one looks (`sequential.widening`)."""
    alpha = 1 - confidence
    factor = float(widening(n, n_control, alpha=alpha, planned=planned))
    low, high = _fieller(*found.means, *found.variances, factor=factor)
    return replace(
        found,
        low=found.effect - factor * found.error,
        high=found.effect + factor * found.error,
        p_value=float(always_valid_p(found.effect / found.error, n, n_control, alpha=alpha, planned=planned)),
        relative=found.relative if math.isfinite(low) else math.nan,
        relative_low=low,
        relative_high=high,
    )


def _aggregates(row: Mapping[str, float], *, adjusted: bool):  # type: ignore[no-untyped-def]
    from tea_tasting.aggr import Aggregates

    means, variances = {"value": row["mean"]}, {"value": row["var"]}
    if not adjusted:
        return Aggregates(count_=int(row["n"]), mean_=means, var_=variances)
    means["pre"], variances["pre"] = row["pre_mean"], row["pre_var"]
    return Aggregates(count_=int(row["n"]), mean_=means, var_=variances, cov_={("value", "pre"): row["cov"]})


def _fieller(
    control: float, treatment: float, var_control: float, var_treatment: float, *, factor: float
) -> tuple[float, float]:
    """Ends of treatment / control − 1; (nan, nan) where control is not clearly above zero."""
    a = control**2 - factor**2 * var_control
    if not (control > 0 and a > 0):
        return math.nan, math.nan
    b = control * treatment
    root = math.sqrt(max(b * b - a * (treatment**2 - factor**2 * var_treatment), 0.0))
    return (b - root) / a - 1, (b + root) / a - 1
