"""Every metric of every arm against control: which estimate, which interval, and when there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from crmlib import wording
from crmlib.analysis.experiments import effects
from crmlib.analysis.experiments.effects import Effect, mean_effect, share_effect
from crmlib.analysis.experiments.enough import LEAST_UNITS, is_rare, lacking, unfit
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.measures import kind_of, parts_of
from crmlib.analysis.experiments.split import Checks
from crmlib.errors import UsageError, nearest
from crmlib.stats import adjust
from crmlib.stats.sequential import PLANNED_UNITS

CLEAR = 0.05  # a corrected p below it is called a difference
LEAST_GAIN = 0.01  # share of variance that adjusting must take away to be worth its words
READINGS = ("fixed", "always")
CONTRACT = ["experiment", "metric", "variant", "control", "n", "n_control", "mean", "mean_control", "effect", "low",
            "high", "p_value", "p_adjusted", "method", "q_value", "guardrail", "state"]  # fmt: skip
_ESTIMATES = ("effect", "low", "high", "p_value", "relative", "relative_low", "relative_high", "error")
_COLUMNS = [*CONTRACT, "reason", "primary", "kind", "level", "gain", "relative", "relative_low", "relative_high",
            "error", "limit", "open", "missing", "capped_effect", "capped_low", "capped_high"]  # fmt: skip
_NEEDS = {
    "mean": ("n", "mean", "var", "pre_n", "pre_mean", "pre_var", "cov"),
    "ratio": ("n", "top_mean", "below_mean", "top_var", "below_var", "cov"),
    "quantile": ("middle", "low", "high"),
}
_METHODS = {"score": "score interval of two shares", "Welch": "Welch's t", "delta": "ratio of sums, delta method",
            "order statistics": "quantiles, order statistics", "exact": "Fisher's exact test"}  # fmt: skip
_WRITTEN = re.compile(r"^(?P<metric>.+?)\s+(?P<sign>[+\-\u2212])\s*(?P<size>\d*\.?\d+)\s*(?P<unit>%|points?)?$")


@dataclass(frozen=True, kw_only=True)
class Guardrail:
    """What may not get worse: how far a metric may rise (`limit` above 0) or fall (below 0) against control.

    relative  is `limit` a share of control's mean, else in the metric's own unit
    """

    metric: str
    limit: float
    relative: bool
    text: str

    def verdict(self, row: Mapping[str, Any]) -> str:
        """holds, where the whole interval is on the safe side of the limit; broken, where all is beyond; else unclear.

        All guardrails must hold, so none is corrected for the others (an intersection–union test, Berger 1982).
        """
        ends = ("relative_low", "relative_high") if self.relative else ("low", "high")
        # A fall is judged as a rise, mirrored.
        low, high = sorted(math.copysign(1, self.limit) * float(row[end]) for end in ends)
        if math.isnan(low) or math.isnan(high):
            return "unclear"
        return "holds" if high < abs(self.limit) else "broken" if low > abs(self.limit) else "unclear"


def read_guardrails(text: str) -> tuple[Guardrail, ...]:
    """'refunded +0.5 points, margin -2 %' as limits: refunds may rise by half a point, margin may fall by two per cent.

    `points` are percentage points of a share, `%` is of control's mean, a bare number is in the metric's own unit.
    Raises UsageError for what is not written so, a limit of 0 too: no test can show that nothing at all got worse.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _WRITTEN.match(part)
        size = float(match["size"]) if match else 0.0
        if match is None or not size > 0:
            written = "guardrails are written as refunded +0.5 points, margin -2 %, with limits other than 0"
            raise UsageError(f"{written}; '{part}' is not")
        sign, unit = (1 if match["sign"] == "+" else -1), match["unit"] or ""
        shown = f"{match['size']}%" if unit == "%" else f"{match['size']} {unit}".strip()
        text, limit = f"may {'rise' if sign > 0 else 'fall'} by at most {shown}", sign * (size / 100 if unit else size)
        found.append(Guardrail(metric=match["metric"].strip(), limit=limit, relative=unit == "%", text=text))
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one comparison is read: at which level, once or always, and for how many planned units."""

    level: float
    reading: str = "fixed"
    planned: float = 1

    @property
    def words(self) -> str:
        """The interval's kind."""
        always = "always-valid " if self.reading == "always" else ""
        return f"{always}{100 * self.level:.4g} % interval"


@dataclass(frozen=True, kw_only=True)
class Results:
    """One row per experiment, metric (ratio, quantile) and arm other than control.

    table       the columns of results.csv with state (ok, void, unfit, too_few, running, unread), reason, primary, kind
                (share, money, number), level (of low and high), gain (share of variance that adjusting took away; empty
                where there was nothing to adjust by), relative, relative_low, relative_high (of control's mean; empty
                where that is not clearly above 0), error (standard error), limit (of a guardrail, in words), open,
                missing, capped_effect, capped_low, capped_high (Welch, with the outermost thousandth of values cut
                back: a check that decides nothing)
    primary     experiment -> its primary metric
    named       was the primary measure named by the caller?
    reading     'fixed': intervals hold for one look, at the end; 'always': at every look
    guardrails  what may not get worse
    rules       (experiment, metric) -> how it is read
    """

    checks: Checks
    table: pd.DataFrame
    primary: Mapping[str, str]
    named: bool
    confidence: float
    reading: str
    guardrails: tuple[Guardrail, ...]
    rules: Mapping[tuple[str, str], Rule]

    @property
    def facts(self) -> Facts:
        """What the results rest on."""
        return self.checks.facts

    @property
    def once(self) -> Rule:
        """One level for what only explains, at one look."""
        return Rule(level=self.confidence)

    def is_waiting(self, experiment: str) -> bool:
        """Is this a test read once, at its end, whose primary measure is not complete yet?"""
        mine = self.table[(self.table["experiment"] == experiment) & self.table["primary"]]
        return self.reading == "fixed" and bool((mine["open"] > 0).any())

    def kind_of(self, experiment: str, metric: str) -> str:
        """share, money or number; '' where nothing was compared."""
        return self._kinds.get((experiment, metric), "")

    @cached_property
    def _kinds(self) -> dict[tuple[str, str], str]:
        first = self.table.drop_duplicates(["experiment", "metric"])
        names = zip(first["experiment"].astype(str), first["metric"].astype(str), strict=True)
        return dict(zip(names, first["kind"].astype(str), strict=True))

    def __repr__(self) -> str:
        return f"Results({len(self.table)} comparisons in {self.table['experiment'].nunique()} experiments)"


def fit(
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
    (CUPED), a choice that does not look at the effect. Metrics and experiments that `checks` blocked have no effect;
    arms with too few units neither, nor has a test with open windows that is read once, at its end. What is blocked or
    waiting has no means either. p_adjusted is Holm's over all metrics and arms of an experiment, q_value Benjamini and
    Hochberg's over all that only explains. low and high of the primary measure and of `guardrails` hold for all arms
    together (Bonferroni). With reading 'always' intervals and p-values hold at every look; `planned_units`, in all
    arms, is where they are narrowest. `primary` may be a ratio or a quantile of the facts; a quantile only where it is
    read once. Raises UsageError for a metric that no experiment has.
    """
    facts = checks.facts
    if reading not in READINGS:
        raise UsageError(f"reading is one of {', '.join(READINGS)}; not '{reading}'")
    chosen, named = _primary(facts, primary)
    if reading == "always" and primary in set(facts.quantiles["metric"]):
        instead = "give reading=fixed, or a mean, a share or a ratio as the primary measure, which reading=always can"
        raise UsageError(f"{primary} is a quantile, which is read once, at the planned end: {instead} decide by")
    limits = {limit.metric: limit for limit in read_guardrails(guardrails)}
    known = {metric for _, _, metric, _ in measured_arms(facts)}
    for metric in limits if known else ():
        if metric not in known:
            raise UsageError(f"no experiment has a metric '{metric}'; {nearest(metric, known)}")
    rows: list[dict[str, Any]] = []
    rules = {}
    for kind, experiment, metric, by_arm in measured_arms(facts):
        control = checks.controls[experiment]
        others = [arm for arm in by_arm.index if arm != control]
        if control not in by_arm.index:
            continue
        is_primary = chosen.get(experiment) == metric
        decides, several = is_primary or metric in limits, max(1, len(others))
        level = 1 - (1 - confidence) / several if decides else confidence
        planned = (planned_units or PLANNED_UNITS * (1 + len(others)) / 2) * 2 / (1 + several)
        rules[(experiment, metric)] = rule = Rule(level=level, reading=reading, planned=planned)
        if kind == "quantile" and decides:
            by_arm = by_arm.assign(low=by_arm["low_all"], high=by_arm["high_all"])
        said: dict[str, Any] = {"kind": kind, "metric": metric, "rule": rule, "limit": limits.get(metric)}
        found = [row_of(checks, by_arm.loc[[control, arm]], **said) for arm in others]
        rows += [row | {"experiment": experiment, "primary": is_primary} for row in found]
    table = _corrected(pd.DataFrame(rows, columns=[name for name in _COLUMNS if name not in ("p_adjusted", "q_value")]))
    read: dict[str, Any] = {"confidence": confidence, "reading": reading, "guardrails": tuple(limits.values())}
    return Results(checks=checks, table=table, primary=chosen, named=named, rules=rules, **read)


def row_of(
    checks: Checks, pair: pd.DataFrame, *, kind: str, metric: str, rule: Rule, limit: Guardrail | None
) -> dict[str, Any]:
    """One arm against control; the frame's first row is control's."""
    a, b = pair.iloc[0], pair.iloc[1]
    experiment = str(a["experiment"])
    # A ratio falls with either of its metrics, a quantile with its own.
    blocked = any(checks.is_blocked(experiment, part) for part in parts_of(metric))
    row = {"metric": metric, "variant": b.name, "control": a.name, "n": int(b["n"]), "n_control": int(a["n"]),
           "mean": b["mean"], "mean_control": a["mean"], "kind": kind_of(metric, binary=kind == "share"),
           "level": rule.level} | {name: int(a[name] + b[name]) for name in ("open", "missing")}  # fmt: skip
    row |= _compare(b, a, kind=kind, blocked=blocked, rule=rule, unit=checks.facts.unit)
    if row["state"] == "void" or (rule.reading == "fixed" and row["open"]):
        row |= {"mean": math.nan, "mean_control": math.nan}  # two means are an effect to whoever subtracts them
    row |= _capped(checks.facts, experiment, row)
    known = limit.verdict(row) if limit and row["state"] != "running" else ""
    return row | {"guardrail": known, "limit": limit.text if limit else ""}


def holm(table: pd.DataFrame) -> pd.DataFrame:
    """With p_adjusted: Holm's over the p_values of each experiment."""
    table = table.assign(p_adjusted=math.nan)
    for _, mine in table.groupby("experiment"):
        tested = mine.index[mine["p_value"].notna()]
        table.loc[tested, "p_adjusted"] = adjust(table.loc[tested, "p_value"], method="holm")
    return table


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """With p_adjusted (Holm, in each experiment) and q_value (false-discovery rate, over all that only explains)."""
    table = holm(table).assign(q_value=math.nan, primary=table["primary"].astype(bool))
    explains = table.index[table["p_value"].notna() & ~table["primary"] & (table["guardrail"] == "")]
    table.loc[explains, "q_value"] = adjust(table.loc[explains, "p_value"], method="fdr_bh")
    keys = ["experiment", "primary", "metric", "variant"]
    return table[_COLUMNS].sort_values(keys, ascending=[True, False, True, True], ignore_index=True)


def measured_arms(facts: Facts) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Kind (share, mean, ratio or quantile), experiment, metric, and its arms."""
    quantiles = facts.quantiles.rename(columns={"middle": "mean"})
    for kind, frame in (("mean", facts.moments), ("ratio", facts.ratios), ("quantile", quantiles)):
        for (experiment, metric), arms in frame.groupby(["experiment", "metric"], sort=True):
            binary = kind == "mean" and bool((arms["off_binary"].sum() == 0) and arms["n"].sum() > 0)
            yield "share" if binary else kind, str(experiment), str(metric), arms.set_index("variant")


def _primary(facts: Facts, wanted: str) -> tuple[dict[str, str], bool]:
    """By experiment: the metric, ratio or quantile that was named, else the first metric whose name begins with
    'conver', else the first by name."""
    metrics = {str(name): sorted(set(rows["metric"])) for name, rows in facts.moments.groupby("experiment")}
    measured = {(experiment, metric) for _, experiment, metric, _ in measured_arms(facts)}
    known = {metric for _, metric in measured}
    if wanted and known and wanted not in known:
        raise UsageError(f"no experiment has a metric '{wanted}'; {nearest(wanted, known)}")
    chosen = {}
    for name, mine in metrics.items():
        rule = next((metric for metric in mine if metric.casefold().startswith("conver")), mine[0])
        chosen[name] = wanted if (name, wanted) in measured else rule
    return chosen, bool(wanted) and all(metric == wanted for metric in chosen.values())


def _compare(arm: pd.Series, control: pd.Series, *, kind: str, blocked: bool, rule: Rule, unit: str) -> dict[str, Any]:
    waiting = int(arm["open"] + control["open"])

    def nothing(state: str, reason: str, method: str = "") -> dict[str, Any]:
        none = dict.fromkeys((*_ESTIMATES, "gain"), math.nan)
        return none | {"state": state, "reason": reason, "method": method or reason}

    if blocked:
        return nothing("void", "the arms cannot be compared", "void: the arms cannot be compared")
    if reason := unfit(arm, control, kind=kind, unit=unit):
        known = {"effect": arm["mean"] - control["mean"]}
        return nothing("unfit", reason, f"not judged: {reason}") | (known if not waiting else {})
    exact = kind == "share" and rule.reading == "fixed" and is_rare(arm, control)
    if reason := lacking(arm, control, kind=kind, unit=unit, exact=exact):
        return nothing("too_few", reason, f"too few to conclude: {reason}")
    if kind == "quantile" and rule.reading == "always":
        return nothing("unread", "a quantile is read once, at the planned end")
    if waiting and rule.reading == "fixed":
        # An effect that may not be acted on yet is not shown: whoever sees it stops on a good day.
        reason = f"read once, at the planned end; {wording.counted(waiting, 'window')} still open"
        return nothing("running", reason, f"running: {reason}")
    found, method, gain = estimate(arm, control, kind=kind, rule=rule)
    method += f"; {rule.words}" + (f"; {wording.counted(waiting, 'window')} still open" if waiting else "")
    estimates = {key: getattr(found, key) for key in _ESTIMATES}
    return estimates | {"gain": gain, "state": "ok", "reason": "", "method": method}


def _capped(facts: Facts, experiment: str, row: Mapping[str, Any]) -> dict[str, float]:
    """The effect with the largest values cut back; empty for shares and where nothing is shown."""
    rows = facts.capped[(facts.capped["experiment"] == experiment) & (facts.capped["metric"] == row["metric"])]
    pair = rows.set_index("variant").reindex([row["variant"], row["control"]])
    if row["state"] != "ok" or row["kind"] == "share" or pair["n"].isna().any() or not pair["var"].sum() > 0:
        return dict.fromkeys(("capped_effect", "capped_low", "capped_high"), math.nan)
    both = _numbers([pair.iloc[0], pair.iloc[1]], ("n", "mean", "var"))
    found = mean_effect(*both, confidence=row["level"], adjusted=False)
    return {"capped_effect": found.effect, "capped_low": found.low, "capped_high": found.high}


def comparison(arm: pd.Series, control: pd.Series, *, binary: bool, rule: Rule) -> Effect | None:
    """One metric in two groups of units, wherever they come from; None where they are too few."""
    kind = "share" if binary else "mean"
    if unfit(arm, control, kind=kind) or lacking(arm, control, kind=kind):
        return None
    return estimate(arm, control, kind=kind, rule=rule)[0]


def within(frame: pd.DataFrame, results: Results, *keys: str) -> pd.DataFrame:
    """Each arm against control in each group of moments, at one look: what explains and does not decide.

    Columns experiment, metric, variant, control, `keys`, n, n_control, kind, effect, low, high, p_value, error; empty
    where an arm has too few units, or none.
    """
    rows = []
    arms = frame.groupby("experiment")["variant"].unique()
    off_binary = frame.groupby("experiment")["off_binary"].sum()
    for (experiment, metric, *level), one in frame.groupby(["experiment", "metric", *keys], sort=True):
        control, there = results.checks.controls[experiment], one.set_index("variant")
        for arm in sorted(set(arms[experiment]) - {control}):
            found = None
            if {arm, control} <= set(there.index):
                binary = bool(off_binary[experiment] == 0)
                found = comparison(there.loc[arm], there.loc[control], binary=binary, rule=results.once)
            sizes = (int(there["n"].get(side, 0)) for side in (arm, control))
            ends = (found.effect, found.low, found.high, found.p_value, found.error) if found else (math.nan,) * 5
            kind = results.kind_of(experiment, metric)
            rows.append((experiment, metric, arm, control, *level, *sizes, kind, *ends))
    names = ["experiment", "metric", "variant", "control", *keys, "n", "n_control", "kind", "effect", "low", "high"]
    return pd.DataFrame(rows, columns=[*names, "p_value", "error"])


def estimate(arm: pd.Series, control: pd.Series, *, kind: str, rule: Rule) -> tuple[Effect, str, float]:
    """The effect, its method in words, and the gain of adjusting (empty where there was nothing to adjust by)."""
    if kind == "share" and is_rare(arm, control):
        (events, n), (events_control, n_control) = ((round(row["mean"] * row["n"]), row["n"]) for row in (arm, control))
        counts = int(events), int(n), int(events_control), int(n_control)
        found = effects.rare_effect(*counts, confidence=rule.level)
        return found, _METHODS[found.method], math.nan
    plain, adjusted = _estimates(arm, control, kind=kind, level=rule.level)
    use = adjusted is not None and adjusted.gain >= LEAST_GAIN
    effect = adjusted if adjusted is not None and use else plain
    method = f"CUPED, Welch's t; variance \N{MINUS SIGN}{100 * effect.gain:.0f} %" if use else _METHODS[effect.method]
    if rule.reading == "always":
        sizes = {"n": arm["n"], "n_control": control["n"]}
        effect = effects.at_every_look(effect, **sizes, confidence=rule.level, planned=rule.planned)
        method = method.replace(_METHODS["score"], "difference of two shares").replace(_METHODS["Welch"], "means")
    if adjusted is not None and not use:
        method += "; CUPED did not help"
    return effect, method, adjusted.gain if adjusted is not None else math.nan


def _estimates(arm: pd.Series, control: pd.Series, *, kind: str, level: float) -> tuple[Effect, Effect | None]:
    rows = _numbers((arm, control), _NEEDS["mean" if kind == "share" else kind])
    if kind == "quantile":
        return effects.quantile_effect(*rows, confidence=level), None
    if kind == "ratio":
        return effects.ratio_effect(*rows, confidence=level), None
    if kind == "share":
        events = [round(row["mean"] * row["n"]) for row in rows]
        plain = share_effect(events[0], int(rows[0]["n"]), events[1], int(rows[1]["n"]), confidence=level)
    else:
        plain = mean_effect(*rows, confidence=level, adjusted=False)
    if min(row["pre_n"] for row in rows) < LEAST_UNITS or not max(row["pre_var"] for row in rows) > 0:
        return plain, None
    return plain, mean_effect(*rows, confidence=level, adjusted=True)


def _numbers(rows: Sequence[pd.Series], names: Sequence[str]) -> list[dict[str, float]]:
    return [{name: float(row["mean" if name == "middle" else name]) for name in names} for row in rows]
