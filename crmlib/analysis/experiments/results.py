"""Every metric of every arm against control: which estimate, which interval, and when there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.effects import (
    Effect,
    at_every_look,
    mean_effect,
    quantile_effect,
    ratio_effect,
    share_effect,
)
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.guardrails import Guardrail, read_guardrails
from crmlib.analysis.experiments.measures import words
from crmlib.analysis.experiments.sequential import PLANNED_UNITS
from crmlib.errors import UsageError, nearest
from crmlib.stats import adjust

LEAST_UNITS = 30  # units an arm needs for a mean
LEAST_EVENTS = 10  # expected events and non-events an arm needs for a share; expected units other than zero for a mean
LEAST_GAIN = 0.01  # share of variance that adjusting must take away to be worth its words
READINGS = ("fixed", "always")
CONTRACT = ["experiment", "metric", "variant", "control", "n", "n_control", "mean", "mean_control", "effect", "low", "high",
            "p_value", "p_adjusted", "method", "q_value", "guardrail"]  # fmt: skip
_ESTIMATES = ("effect", "low", "high", "p_value", "relative", "relative_low", "relative_high", "error", "gain")
_COLUMNS = [*CONTRACT, "state", "reason", "primary", "kind", "level", "gain", "relative", "relative_low", "relative_high",
            "error", "limit", "open", "missing", "capped_effect", "capped_low", "capped_high"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one comparison is read."""

    level: float
    reading: str
    planned: float

    @property
    def words(self) -> str:
        always = "always-valid " if self.reading == "always" else ""
        return f"{always}{100 * self.level:.4g} % interval"

    def apply(self, found: Effect, *, n: float, n_control: float) -> Effect:
        if self.reading == "fixed":
            return found
        return at_every_look(found, n=n, n_control=n_control, confidence=self.level, planned=self.planned)


@dataclass(frozen=True, kw_only=True)
class Results:
    """One row per experiment, metric (ratio, quantile) and arm other than control.

    table       the columns of results.csv, and state (ok, void, too_few, running, unread), reason, primary, kind (share, money,
                number), level (of low and high), gain (share of variance that adjusting took away; empty where there was
                nothing to adjust by), relative, relative_low, relative_high (of control's mean; empty where that is not
                clearly above 0), error (standard error), limit (of a guardrail, in words), open, missing, capped_effect, capped_low,
                capped_high (Welch, with the outermost thousandth of values cut back: a check that decides nothing)
    primary     experiment -> its primary metric
    named       was the primary measure named by the caller?
    reading     'fixed': intervals hold for one look, at the end; 'always': at every look
    planned     units that were planned for two arms; where an always-valid interval is narrowest
    guardrails  what may not get worse
    rules       (experiment, metric) -> how it is read
    """

    table: pd.DataFrame
    primary: Mapping[str, str]
    named: bool
    confidence: float
    reading: str
    planned: float
    guardrails: tuple[Guardrail, ...]
    rules: Mapping[tuple[str, str], Rule]

    def is_waiting(self, experiment: str) -> bool:
        """Is this a test read once, at its end, whose primary measure is not complete yet?"""
        mine = self.table[(self.table["experiment"] == experiment) & self.table["primary"]]
        return self.reading == "fixed" and bool((mine["open"] > 0).any())

    def kind_of(self, experiment: str, metric: str) -> str:
        """share, money or number; '' where nothing was compared."""
        rows = self.table[(self.table["experiment"] == experiment) & (self.table["metric"] == metric)]
        return "" if rows.empty else str(rows["kind"].iloc[0])

    def __repr__(self) -> str:
        return f"Results({len(self.table)} comparisons in {self.table['experiment'].nunique()} experiments)"


def fit(
    facts: Facts,
    checks: Checks,
    *,
    primary: str = "",
    confidence: float = 0.95,
    reading: str = "fixed",
    planned_units: int = 0,
    guardrails: str = "",
) -> Results:
    """What did each arm change, in each metric, against control?

    Metrics of zeros and ones by score interval, others by Welch, ratios by the delta method, quantiles by order
    statistics; where the shop brings pre-values that take away at least one per cent of the variance, adjusted by them
    (CUPED), a choice that does not look at the effect. Metrics and experiments that `checks` blocked have no effect; arms
    with too few units neither, nor has a test with open windows that is read once, at its end. What is blocked or waiting has
    no means either. p_adjusted is Holm's over all metrics and arms of an experiment, q_value Benjamini and
    Hochberg's over all that only explains. low and high of the primary measure and of `guardrails` hold for all arms
    together (Bonferroni). With reading 'always' intervals and p-values hold at every look; `planned_units`, in all
    arms, is where they are narrowest. `primary` may be a ratio or a quantile of `facts`; a quantile only where it is read once.
    Raises UsageError for a metric that no experiment has.
    """
    if reading not in READINGS:
        raise UsageError(f"reading is one of {', '.join(READINGS)}; not '{reading}'")
    chosen, named = _primary(facts, primary)
    if reading == "always" and primary in set(facts.quantiles["metric"]):
        raise UsageError(
            f"{primary} is a quantile, which is read once, at the planned end: give reading=fixed, or a mean, a share or a ratio "
            "as the primary measure, which reading=always can decide by"
        )
    limits = {limit.metric: limit for limit in read_guardrails(guardrails)}
    _all_known(facts, limits)
    rows, rules = [], {}
    for kind, experiment, metric, by_arm in _metrics(facts):
        control = checks.controls[experiment]
        others = [arm for arm in by_arm.index if arm != control]
        if control not in by_arm.index:
            continue
        decides = chosen.get(experiment) == metric or metric in limits
        rule = Rule(
            level=1 - (1 - confidence) / max(1, len(others)) if decides else confidence,
            reading=reading,
            planned=(planned_units or PLANNED_UNITS * (1 + len(others)) / 2) * 2 / (1 + max(1, len(others))),
        )
        rules[(experiment, metric)] = rule
        if kind == "quantile" and decides:
            by_arm = by_arm.assign(low=by_arm["low_all"], high=by_arm["high_all"])
        binary = kind == "mean" and bool((by_arm["off_binary"].sum() == 0) and by_arm["n"].sum() > 0)
        for arm in others:
            a, b = by_arm.loc[control], by_arm.loc[arm]
            base = {"experiment": experiment, "metric": metric, "variant": arm, "control": control, "n": int(b["n"]),
                    "n_control": int(a["n"]), "mean": b["mean"], "mean_control": a["mean"],
                    "primary": chosen.get(experiment) == metric, "kind": _kind(metric, binary), "level": rule.level,
                    "open": int(a["open"] + b["open"]), "missing": int(a["missing"] + b["missing"])}  # fmt: skip
            row = base | _compare(
                b,
                a,
                kind="share" if binary else kind,
                blocked=_blocked(checks, experiment, metric),
                rule=rule,
                unit=facts.unit,
            )
            if row["state"] == "void" or (reading == "fixed" and row["open"]):
                row |= {"mean": math.nan, "mean_control": math.nan}  # two means are an effect to whoever subtracts them
            limit = limits.get(metric)
            row |= _capped(facts, row)
            known = limit.verdict(row) if limit and row["state"] != "running" else ""
            rows.append(row | {"guardrail": known, "limit": limit.text if limit else ""})
    return Results(
        table=_corrected(
            pd.DataFrame(rows, columns=[name for name in _COLUMNS if name not in ("p_adjusted", "q_value")])
        ),
        primary=chosen,
        named=named,
        confidence=confidence,
        reading=reading,
        planned=float(planned_units),
        guardrails=tuple(limits.values()),
        rules=rules,
    )


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """With p_adjusted (Holm, in each experiment) and q_value (false-discovery rate, over all that only explains)."""
    table["p_adjusted"] = table["q_value"] = math.nan
    table["primary"] = table["primary"].astype(bool)
    for _, mine in table.groupby("experiment"):
        tested = mine.index[mine["p_value"].notna()]
        table.loc[tested, "p_adjusted"] = adjust(table.loc[tested, "p_value"], method="holm")
    explains = table.index[table["p_value"].notna() & ~table["primary"] & (table["guardrail"] == "")]
    table.loc[explains, "q_value"] = adjust(table.loc[explains, "p_value"], method="fdr_bh")
    table = table[_COLUMNS].sort_values(
        ["experiment", "primary", "metric", "variant"], ascending=[True, False, True, True]
    )
    return table.reset_index(drop=True)


def _metrics(facts: Facts) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """(mean, ratio or quantile), experiment, metric, and its arms."""
    quantiles = facts.quantiles.rename(columns={"middle": "mean"})
    for kind, frame in (("mean", facts.moments), ("ratio", facts.ratios), ("quantile", quantiles)):
        for (experiment, metric), arms in frame.groupby(["experiment", "metric"], sort=True):
            yield kind, str(experiment), str(metric), arms.set_index("variant")


def _all_known(facts: Facts, metrics: Mapping[str, Guardrail]) -> None:
    known = {metric for _, _, metric, _ in _metrics(facts)}
    for metric in metrics:
        if known and metric not in known:
            raise UsageError(f"no experiment has a metric '{metric}'; {nearest(metric, known)}")


def _blocked(checks: Checks, experiment: str, metric: str) -> bool:
    """A ratio falls with either of its metrics, a quantile with its own."""
    parts = [metric, *metric.split("/"), metric.rpartition("@")[0]]
    return any(checks.is_blocked(experiment, part) for part in parts)


def _primary(facts: Facts, wanted: str) -> tuple[dict[str, str], bool]:
    """By experiment: the metric, ratio or quantile that was named, else the first metric whose name begins with 'conver', else
    the first by name."""
    metrics = {str(name): sorted(set(rows["metric"])) for name, rows in facts.moments.groupby("experiment")}
    measured = {(experiment, metric) for _, experiment, metric, _ in _metrics(facts)}
    known = {metric for _, metric in measured}
    if wanted and known and wanted not in known:
        raise UsageError(f"no experiment has a metric '{wanted}'; {nearest(wanted, known)}")
    chosen = {}
    for name, mine in metrics.items():
        rule = next((metric for metric in mine if metric.casefold().startswith("conver")), mine[0])
        chosen[name] = wanted if (name, wanted) in measured else rule
    return chosen, bool(wanted) and all(metric == wanted for metric in chosen.values())


def _compare(
    arm: pd.Series, control: pd.Series, *, kind: str, blocked: bool, rule: Rule, unit: str
) -> dict[str, object]:
    nothing = dict.fromkeys(_ESTIMATES, math.nan)
    if blocked:
        return nothing | {
            "state": "void",
            "reason": "the arms cannot be compared",
            "method": "void: the arms cannot be compared",
        }
    if reason := _too_few(arm, control, kind=kind, unit=unit):
        return nothing | {"state": "too_few", "reason": reason, "method": f"too few to conclude: {reason}"}
    if kind == "quantile" and rule.reading == "always":
        reason = "a quantile is read once, at the planned end"
        return nothing | {"state": "unread", "reason": reason, "method": reason}
    waiting = int(arm["open"] + control["open"])
    if waiting and rule.reading == "fixed":
        # An effect that may not be acted on yet is not shown: whoever sees it stops on a good day.
        reason = f"read once, at the planned end; {waiting:,} windows still open"
        return nothing | {"state": "running", "reason": reason, "method": f"running: {reason}"}
    found, method, gain = estimate(arm, control, kind=kind, rule=rule)
    method += f"; {rule.words}"
    if waiting:
        method += f"; {waiting:,} windows still open"
    return {key: getattr(found, key) for key in _ESTIMATES} | {
        "gain": gain, "state": "ok", "reason": "", "method": method,
    }  # fmt: skip


def _capped(facts: Facts, row: Mapping[str, object]) -> dict[str, float]:
    """The effect with the largest values cut back; empty for shares and where nothing is shown."""
    names = ("capped_effect", "capped_low", "capped_high")
    rows = facts.capped[(facts.capped["experiment"] == row["experiment"]) & (facts.capped["metric"] == row["metric"])]
    pair = rows.set_index("variant").reindex([row["variant"], row["control"]])
    if row["state"] != "ok" or row["kind"] == "share" or pair["n"].isna().any() or not pair["var"].sum() > 0:
        return dict.fromkeys(names, math.nan)
    both = _numbers([pair.iloc[0], pair.iloc[1]], ("n", "mean", "var"))
    found = mean_effect(*both, confidence=float(str(row["level"])), adjusted=False)
    return dict(zip(names, (found.effect, found.low, found.high), strict=True))


def comparison(arm: pd.Series, control: pd.Series, *, binary: bool, rule: Rule) -> Effect | None:
    """One metric in two groups of units, wherever they come from; None where they are too few."""
    kind = "share" if binary else "mean"
    return None if _too_few(arm, control, kind=kind) else estimate(arm, control, kind=kind, rule=rule)[0]


def estimate(arm: pd.Series, control: pd.Series, *, kind: str, rule: Rule) -> tuple[Effect, str, float]:
    """The effect, its method in words, and the gain of adjusting (empty where there was nothing to adjust by)."""
    plain, adjusted = _estimates(arm, control, kind=kind, level=rule.level)
    use = adjusted is not None and adjusted.gain >= LEAST_GAIN
    effect = adjusted if adjusted is not None and use else plain
    found = rule.apply(effect, n=arm["n"], n_control=control["n"])
    method = {"score": "score interval of two shares", "Welch": "Welch's t", "delta": "ratio of sums, delta method",
              "order statistics": "quantiles, order statistics"}.get(effect.method, effect.method)  # fmt: skip
    if use:
        method = f"CUPED, Welch's t; variance \N{MINUS SIGN}{100 * effect.gain:.0f} %"
    if rule.reading == "always":
        method = method.replace("score interval of two shares", "difference of two shares").replace(
            "Welch's t", "means"
        )
    if adjusted is not None and not use:
        method += "; CUPED did not help"
    return found, method, adjusted.gain if adjusted is not None else math.nan


def _estimates(arm: pd.Series, control: pd.Series, *, kind: str, level: float) -> tuple[Effect, Effect | None]:
    if kind in ("ratio", "quantile"):
        compare, names = (ratio_effect, _RATIO) if kind == "ratio" else (quantile_effect, _QUANTILE)
        return compare(*_numbers((arm, control), names), confidence=level), None
    rows = _numbers((arm, control), _MOMENTS)
    if kind == "share":
        events = [round(row["mean"] * row["n"]) for row in rows]
        plain = share_effect(events[0], int(rows[0]["n"]), events[1], int(rows[1]["n"]), confidence=level)
    else:
        plain = mean_effect(*rows, confidence=level, adjusted=False)
    if min(row["pre_n"] for row in rows) < LEAST_UNITS or not max(row["pre_var"] for row in rows) > 0:
        return plain, None
    return plain, mean_effect(*rows, confidence=level, adjusted=True)


_MOMENTS = ("n", "mean", "var", "pre_n", "pre_mean", "pre_var", "cov")
_RATIO = ("n", "top_mean", "below_mean", "top_var", "below_var", "cov")
_QUANTILE = ("middle", "low", "high")


def _numbers(rows: Sequence[pd.Series], names: Sequence[str]) -> list[dict[str, float]]:
    return [{name: float(row["mean" if name == "middle" else name]) for name in names} for row in rows]


def _too_few(arm: pd.Series, control: pd.Series, *, kind: str, unit: str = "units") -> str:
    """What is lacking, in words, and how much would do; '' where there is enough."""
    smallest = int(min(arm["n"], control["n"]))
    if smallest < LEAST_UNITS:
        return f"needs {LEAST_UNITS} {unit} in each arm, has {smallest}"
    if kind == "quantile":
        return _too_few_for_a_quantile(arm, control, smallest, unit)
    if kind == "ratio":
        found = int(min(arm["nonzero"], control["nonzero"]))
        return f"needs {LEAST_UNITS} {unit} in each arm to divide by, has {found}" if found < LEAST_UNITS else ""
    if kind == "share":
        share = (arm["mean"] * arm["n"] + control["mean"] * control["n"]) / (arm["n"] + control["n"])
        rare = min(share, 1 - share)
        what = f"{unit} with it" if share <= 0.5 else f"{unit} without it"
    else:
        if not arm["var"] + control["var"] > 0:
            return f"all {unit} have the same value"
        rare, what = (arm["nonzero"] + control["nonzero"]) / (arm["n"] + control["n"]), f"{unit} other than zero"
    expected = smallest * rare
    if expected >= LEAST_EVENTS:
        return ""
    would = f"; about {math.ceil(LEAST_EVENTS / rare):,} {unit} in each arm would do" if rare > 0 else ""
    return f"needs {LEAST_EVENTS} expected {what} in each arm, has {expected:.1f}{would}"


def _too_few_for_a_quantile(arm: pd.Series, control: pd.Series, smallest: int, unit: str) -> str:
    rare = min(float(arm["share"]), 1 - float(arm["share"]))
    if smallest * rare < LEAST_EVENTS:
        return f"needs {math.ceil(LEAST_EVENTS / rare):,} {unit} in each arm for this quantile, has {smallest:,}"
    if any(row["low"] == row["high"] for row in (arm, control)):
        return f"so many {unit} share one value that this quantile cannot move"
    return ""


def _kind(metric: str, binary: bool) -> str:
    # Money per order is money, orders per unit of money are not.
    name = words(metric.partition("/")[0]).casefold()
    money = ("revenue", "margin", "profit", "sales", "spend", "turnover")
    return "share" if binary else "money" if any(word in name for word in money) else "number"
