"""How a test looked on each day, week by week, and early and late after the change was first seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd
from scipy import stats

from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.facts import Facts, assigned_units, measured, moments
from crmlib.analysis.experiments.novelty import since_seen
from crmlib.analysis.experiments.results import Results, Rule, comparison
from crmlib.stats import adjust

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_DAYS = [
    "experiment",
    "metric",
    "variant",
    "control",
    "day",
    "n",
    "n_control",
    "kind",
    "effect",
    "low",
    "high",
    "naive_low",
    "naive_high",
]
_WEEKS = [
    "experiment",
    "metric",
    "variant",
    "control",
    "week",
    "first_day",
    "n",
    "n_control",
    "kind",
    "effect",
    "low",
    "high",
]
_CHANGES = ["experiment", "variant", "what", "value", "p_value", "p_adjusted"]


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The primary measure of each sound test, as it grew; none of a test that is still running and read once, at its end, nor of
    a ratio or a quantile.

    days     experiment, metric, variant, control, day, n, n_control, kind, effect, low, high (always valid: they hold at all days
             at once), naive_low, naive_high (would hold for one look only); units are those who had arrived by that day and
             whose window has closed
    weeks    the effect among the arrivals of one week each (low and high for one look)
    changes  experiment, variant, what ('by week of arrival', 'since first seen'), value (early less late effect; for weeks
             Cochran's Q), p_value, p_adjusted (Holm over all of the run)
    since    where outcomes are orders, the effect on orders a day of each unit by the days since it first saw the change (the
             first is 1): experiment, variant, control, first_day, last_day, n, n_control, effect, low, high (each for one look)
    """

    days: pd.DataFrame
    weeks: pd.DataFrame
    changes: pd.DataFrame
    since: pd.DataFrame

    def __repr__(self) -> str:
        return f"Looks({len(self.days)} looks at {self.days['experiment'].nunique()} experiments)"


def by_day(shop: Shop, facts: Facts, checks: Checks, results: Results) -> Looks:
    """What would each look have said, and does the effect wear off?

    Grain that crosses: an experiment's primary metric, arm and day (and week) of arrival. Without orders nothing tells
    what a unit did on each day since it first saw the change, so novelty is then looked for among early and late arrivals.
    """
    outcomes = primary_outcomes(shop, facts, checks, results)
    since, faded = since_seen(shop, facts, checks, results)
    days, weeks = pd.DataFrame(columns=_DAYS), pd.DataFrame(columns=[*_WEEKS, "error"])
    if outcomes is not None:
        days, weeks = _followed(shop, outcomes, checks, results)
    frame = pd.DataFrame(_over_weeks(weeks) + faded, columns=[name for name in _CHANGES if name != "p_adjusted"])
    frame["p_adjusted"] = adjust(frame["p_value"], method="holm") if len(frame) else pd.Series(dtype=float)
    return Looks(days=days, weeks=weeks.drop(columns="error"), changes=frame, since=since)


def _followed(shop: Shop, outcomes: ir.Table, checks: Checks, results: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """By day and by week of arrival."""
    days = _days(moments(shop, outcomes, by=["day"], cumulated=True), checks, results)
    first = outcomes["day"].min().over(ibis.window(group_by="experiment"))
    weekly = outcomes.mutate(week=outcomes["day"].delta(first, unit="day") // 7, first_day=first)
    return days, _weeks(moments(shop, weekly, by=["week", "first_day"]), checks, results)


def primary_outcomes(shop: Shop, facts: Facts, checks: Checks, results: Results) -> ir.Table | None:
    """The outcomes that decide, of tests whose split is sound and that may be read by now; None where there are none. Ratios and
    quantiles are no outcomes of a unit."""
    plain = set(facts.moments["metric"])
    kept = {
        name: metric
        for name, metric in results.primary.items()
        if metric in plain and not checks.is_blocked(name, metric) and not results.is_waiting(name)
    }
    if not kept:
        return None
    outcomes = shop.keep(measured(shop, units=shop.keep(assigned_units(shop)), window_days=facts.window_days))
    chosen = [(outcomes["experiment"] == name) & (outcomes["metric"] == metric) for name, metric in kept.items()]
    return outcomes.filter(ibis.or_(*chosen))


def _days(frame: pd.DataFrame, checks: Checks, results: Results) -> pd.DataFrame:
    rows = []
    for (experiment, metric), mine in frame.groupby(["experiment", "metric"], sort=True):
        control = checks.controls[str(experiment)]
        days = sorted(set(mine["day"]))
        # A day on which an arm got nobody stands where the arm stood the day before.
        arms = {arm: part.set_index("day").reindex(days).ffill() for arm, part in mine.groupby("variant")}
        if control not in arms:
            continue
        rule = results.rules[(str(experiment), str(metric))]
        always = Rule(level=rule.level, reading="always", planned=rule.planned)
        once = Rule(level=results.confidence, reading="fixed", planned=rule.planned)
        binary = bool(mine["off_binary"].sum() == 0)
        for arm, part in arms.items():
            if arm == control:
                continue
            seen = -1.0
            for day in days:
                pair = part.loc[day], arms[control].loc[day]
                closed = sum(float(row["n"]) for row in pair)
                if not closed > seen:
                    continue
                seen = closed
                found, naive = (comparison(*pair, binary=binary, rule=one) for one in (always, once))
                if found is None or naive is None:
                    continue
                rows.append((experiment, metric, arm, control, day, int(pair[0]["n"]), int(pair[1]["n"]), results.kind_of(str(experiment), str(metric)),
                             found.effect, found.low, found.high, naive.low, naive.high))  # fmt: skip
    return pd.DataFrame(rows, columns=_DAYS)


def _weeks(frame: pd.DataFrame, checks: Checks, results: Results) -> pd.DataFrame:
    rows = []
    for (experiment, metric, week), mine in frame.groupby(["experiment", "metric", "week"], sort=True):
        control, arms = checks.controls[str(experiment)], mine.set_index("variant")
        rule = Rule(level=results.confidence, reading="fixed", planned=1)
        binary = bool(frame.loc[(frame["experiment"] == experiment), "off_binary"].sum() == 0)
        for arm in arms.index:
            if arm == control or control not in arms.index:
                continue
            found = comparison(arms.loc[arm], arms.loc[control], binary=binary, rule=rule)
            if found is not None:
                start = pd.Timestamp(mine["first_day"].iloc[0]) + pd.Timedelta(weeks=int(week))
                rows.append((experiment, metric, arm, control, int(week) + 1, start.date(), int(arms.loc[arm, "n"]), int(arms.loc[control, "n"]),
                             results.kind_of(str(experiment), str(metric)), found.effect, found.low, found.high, found.error))  # fmt: skip
    return pd.DataFrame(rows, columns=[*_WEEKS, "error"])


def _over_weeks(weeks: pd.DataFrame) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for (experiment, arm), mine in weeks.groupby(["experiment", "variant"], sort=True):
        if len(mine) > 1:
            q, p = heterogeneity(mine["effect"], mine["error"])
            found.append((experiment, arm, "by week of arrival", q, p))
    return found


def heterogeneity(effects: pd.Series, errors: pd.Series) -> tuple[float, float]:
    """Do several effects differ from one another? Cochran's Q (1954) and its p-value."""
    weights = 1 / errors.astype(float) ** 2
    middle = (weights * effects).sum() / weights.sum()
    q = float((weights * (effects - middle) ** 2).sum())
    return q, float(stats.chi2.sf(q, len(effects) - 1))
