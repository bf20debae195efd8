"""How large is each arm's effect against control, and how far may it lie from what was counted?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from crmlib.analysis.experiments.checks import Checks, words
from crmlib.analysis.experiments.reduction import Facts
from crmlib.analysis.experiments.shares import difference_interval, ratio_interval, score_test
from crmlib.analysis.stats import adjust
from crmlib.errors import UsageError, nearest

LEAST_UNITS = 30  # units an arm needs for a mean
LEAST_EVENTS = 10  # expected events and non-events an arm needs for a share; expected units other than zero for a mean
LEAST_GAIN = 0.01  # share of variance that adjusting must take away to be worth its words
_MOMENTS = ("n", "mean", "var", "pre_n", "pre_mean", "pre_var", "cov")
CONTRACT = ["experiment", "metric", "variant", "control", "n", "n_control", "mean", "mean_control", "effect", "low", "high",
            "p_value", "p_adjusted", "method"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Results:
    """One row per experiment, metric and arm other than control.

    table    the columns of results.csv, and state (ok, void, too_few, interim), reason, primary, kind (share, money, number), level
             (of low and high), gain (share of variance that adjusting took away; empty where it was not used), relative,
             relative_low, relative_high (of control's mean; empty where that is not clearly above 0), open, missing
    primary  experiment -> its primary metric
    named    was the primary measure named by the caller?
    """

    table: pd.DataFrame
    primary: Mapping[str, str]
    named: bool
    confidence: float

    def __repr__(self) -> str:
        return f"Results({len(self.table)} comparisons in {self.table['experiment'].nunique()} experiments)"


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A difference to control with its interval, test, and the same relative to control's mean."""

    effect: float
    low: float
    high: float
    p_value: float
    relative: float
    relative_low: float
    relative_high: float
    method: str
    gain: float = math.nan


def share_effect(events: int, n: int, events_control: int, n_control: int, *, confidence: float) -> Effect:
    """How far apart are two shares? Score intervals, and the score test they invert: all three agree on zero.

    Source: Miettinen and Nurminen 1985. Relative to control, where both arms have events.
    """
    counts = (events, n, events_control, n_control)
    low, high = difference_interval(*counts, confidence=confidence)
    ratio = events / n / (events_control / n_control) if events_control and events else math.nan
    ends = ratio_interval(*counts, confidence=confidence)
    return Effect(
        effect=events / n - events_control / n_control,
        low=low,
        high=high,
        p_value=score_test(*counts),
        relative=ratio - 1,
        relative_low=ends[0] - 1,
        relative_high=ends[1] - 1,
        method="score",
    )


def mean_effect(arm: Mapping[str, float], control: Mapping[str, float], *, confidence: float, adjusted: bool) -> Effect:
    """How far apart are two means? Welch's t by tea-tasting, `adjusted` by pre_value (CUPED).

    `arm` and `control` hold n, mean, var and, if adjusted, pre_mean, pre_var and cov. Source: Welch 1947; Deng, Xu,
    Kohavi and Walker 2013; Fieller 1954 for the relative interval, which agrees with the absolute one on zero.
    """
    import tea_tasting as tt

    metric = tt.Mean("value", "pre" if adjusted else None, confidence_level=confidence, equal_var=False, use_t=True)
    groups = [_aggregates(row, adjusted=adjusted) for row in (control, arm)]
    result = metric.analyze_aggregates(*groups)
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
    low, high = _fieller(result.control, result.treatment, *variances, factor=half / math.sqrt(sum(variances)))
    relative = result.rel_effect_size if math.isfinite(low) else math.nan
    return Effect(effect=result.effect_size, low=result.effect_size_ci_lower, high=result.effect_size_ci_upper,
                  p_value=result.pvalue, relative=relative, relative_low=low, relative_high=high,
                  method="CUPED" if adjusted else "Welch", gain=gain)  # fmt: skip


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


def fit(facts: Facts, checks: Checks, *, primary: str = "", confidence: float = 0.95) -> Results:
    """What did each arm change, in each metric, against control?

    Metrics of zeros and ones by score interval, others by Welch; where the shop brings pre-values that take away at
    least one per cent of the variance, adjusted by them (CUPED), a choice that does not look at the effect. Metrics and
    experiments that `checks` blocked have no effect; arms with too few units neither. p_adjusted is Holm's over all
    metrics and arms of an experiment. low and high of the primary measure hold for all arms together (Bonferroni).
    Raises UsageError for a primary measure that no experiment has.
    """
    chosen, named = _primary(facts, primary)
    rows = []
    for (experiment, metric), arms in facts.moments.groupby(["experiment", "metric"], sort=True):
        control = checks.controls[experiment]
        by_arm = arms.set_index("variant")
        others = [arm for arm in by_arm.index if arm != control]
        is_primary = chosen.get(experiment) == metric
        level = 1 - (1 - confidence) / max(1, len(others)) if is_primary else confidence
        if control not in by_arm.index:
            continue
        binary = bool((by_arm["off_binary"].sum() == 0) and by_arm["n"].sum() > 0)
        for arm in others:
            a, b = by_arm.loc[control], by_arm.loc[arm]
            base = {"experiment": experiment, "metric": metric, "variant": arm, "control": control, "n": int(b["n"]),
                    "n_control": int(a["n"]), "mean": b["mean"], "mean_control": a["mean"], "primary": is_primary,
                    "kind": _kind(metric, binary), "level": level, "open": int(a["open"] + b["open"]),
                    "missing": int(a["missing"] + b["missing"])}  # fmt: skip
            rows.append(
                base | _compare(b, a, binary=binary, blocked=checks.is_blocked(experiment, metric), level=level)
            )
    names = [*CONTRACT, "state", "reason", "primary", "kind", "level", "gain", "relative", "relative_low", "relative_high",
             "open", "missing"]  # fmt: skip
    table = pd.DataFrame(rows, columns=[name for name in names if name != "p_adjusted"])
    table["p_adjusted"] = math.nan
    table["primary"] = table["primary"].astype(bool)
    for _, mine in table.groupby("experiment"):
        tested = mine.index[mine["p_value"].notna()]
        table.loc[tested, "p_adjusted"] = adjust(table.loc[tested, "p_value"], method="holm")
    table = table[names].sort_values(
        ["experiment", "primary", "metric", "variant"], ascending=[True, False, True, True]
    )
    return Results(table=table.reset_index(drop=True), primary=chosen, named=named, confidence=confidence)


def _primary(facts: Facts, wanted: str) -> tuple[dict[str, str], bool]:
    """By experiment: the metric that was named, else the first whose name begins with 'conver', else the first by name."""
    metrics = {str(name): sorted(set(rows["metric"])) for name, rows in facts.moments.groupby("experiment")}
    known = {metric for names in metrics.values() for metric in names}
    if wanted and known and wanted not in known:
        raise UsageError(f"no experiment has a metric '{wanted}'; {nearest(wanted, known)}")
    chosen = {}
    for name, mine in metrics.items():
        rule = next((metric for metric in mine if metric.casefold().startswith("conver")), mine[0])
        chosen[name] = wanted if wanted in mine else rule
    return chosen, bool(wanted) and all(metric == wanted for metric in chosen.values())


def _compare(arm: pd.Series, control: pd.Series, *, binary: bool, blocked: bool, level: float) -> dict[str, object]:
    nothing = dict.fromkeys(
        ("effect", "low", "high", "p_value", "gain", "relative", "relative_low", "relative_high"), math.nan
    )
    if blocked:
        return nothing | {
            "state": "void",
            "reason": "the arms cannot be compared",
            "method": "void: the arms cannot be compared",
        }
    if reason := _too_few(arm, control, binary=binary):
        return nothing | {"state": "too_few", "reason": reason, "method": f"too few to conclude: {reason}"}
    plain, adjusted = _estimates(arm, control, binary=binary, level=level)
    use = adjusted is not None and adjusted.gain >= LEAST_GAIN
    effect = adjusted if adjusted is not None and use else plain
    method = "score interval of two shares" if effect.method == "score" else "Welch's t"
    if use:
        method = f"CUPED, Welch's t; variance \N{MINUS SIGN}{100 * effect.gain:.0f} %"
    elif adjusted is not None:
        method += "; CUPED did not help"
    method += f"; {100 * level:.4g} % interval"
    waiting = int(arm["open"] + control["open"])
    if waiting:
        method += f"; interim, {waiting:,} windows still open: not for a decision"
    keys = ("effect", "low", "high", "p_value", "relative", "relative_low", "relative_high")
    return {key: getattr(effect, key) for key in keys} | {
        "gain": adjusted.gain if adjusted is not None else math.nan, "state": "interim" if waiting else "ok", "reason": "", "method": method,
    }  # fmt: skip


def _estimates(arm: pd.Series, control: pd.Series, *, binary: bool, level: float) -> tuple[Effect, Effect | None]:
    rows = [{name: float(row[name]) for name in _MOMENTS} for row in (arm, control)]
    if binary:
        events = [round(row["mean"] * row["n"]) for row in rows]
        plain = share_effect(events[0], int(rows[0]["n"]), events[1], int(rows[1]["n"]), confidence=level)
    else:
        plain = mean_effect(*rows, confidence=level, adjusted=False)
    if min(row["pre_n"] for row in rows) < LEAST_UNITS or max(row["pre_var"] for row in rows) <= 0:
        return plain, None
    return plain, mean_effect(*rows, confidence=level, adjusted=True)


def _too_few(arm: pd.Series, control: pd.Series, *, binary: bool) -> str:
    """What is lacking, in words; '' where there is enough."""
    smallest = int(min(arm["n"], control["n"]))
    if smallest < LEAST_UNITS:
        return f"needs {LEAST_UNITS} units in each arm, has {smallest}"
    if binary:
        share = (arm["mean"] * arm["n"] + control["mean"] * control["n"]) / (arm["n"] + control["n"])
        expected = smallest * min(share, 1 - share)
        if expected < LEAST_EVENTS:
            kind = "units with it" if share <= 0.5 else "units without it"
            return f"needs {LEAST_EVENTS} expected {kind} in each arm, has {expected:.1f}"
        return ""
    if not arm["var"] + control["var"] > 0:
        return "every unit has the same value"
    expected = smallest * (arm["nonzero"] + control["nonzero"]) / (arm["n"] + control["n"])
    if expected < LEAST_EVENTS:
        return f"needs {LEAST_EVENTS} expected units other than zero in each arm, has {expected:.1f}"
    return ""


def _kind(metric: str, binary: bool) -> str:
    name = words(metric).casefold()
    money = ("revenue", "margin", "profit", "sales", "spend", "turnover")
    return "share" if binary else "money" if any(word in name for word in money) else "number"
