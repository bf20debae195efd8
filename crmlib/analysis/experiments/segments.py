"""Does the change do more for some than for others, and are the arms made of the same people?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd
from scipy import stats

from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.effects import Effect
from crmlib.analysis.experiments.facts import Facts, assigned_units, moments
from crmlib.analysis.experiments.looks import heterogeneity, primary_outcomes
from crmlib.analysis.experiments.measures import title, words
from crmlib.analysis.experiments.results import Results, Rule, comparison
from crmlib.analysis.experiments.split import Row, split_of_groups
from crmlib.errors import UsageError, nearest
from crmlib.shop.facts.orders import net_orders
from crmlib.shop.tables import TABLES
from crmlib.stats import adjust

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

USUAL = ("device", "acquisition_channel", "country", "new_or_returning")
MOST_LEVELS = 12  # a column with more is no segmentation
LEAST_SHOWN = 5  # counts of people below it are not shown
UNKNOWN = "unknown"
_EFFECTS = ["experiment", "metric", "variant", "control", "segment", "level", "n", "n_control", "kind", "effect", "low", "high", "p_value",
            "p_adjusted"]  # fmt: skip
_TESTS = ["experiment", "variant", "segment", "levels", "q", "p_value", "p_adjusted", "total", "reweighted", "reversed", "apart",
          "apart_low", "apart_high"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Segments:
    """The primary effect within each level of each segment column.

    effects  one row per experiment, arm, segment and level: effect, low, high, p_value, p_adjusted (Holm over all levels and arms
             of the experiment); empty where a level has too few units
    tests    one row per experiment, arm and segment: do its levels differ (Cochran's q, p_value, p_adjusted by Holm over the
             segments of the experiment)? total is the effect over all levels, reweighted the same with both arms given
             one mix of levels; `reversed` says that the mix, not the change, makes the total what it is (Simpson); apart,
             apart_low, apart_high: the first level's effect less the second's, where there are two
    splits   check rows: the split of each level, corrected, and mixes that turn a total round
    left_out columns that had too many levels, or one
    """

    effects: pd.DataFrame
    tests: pd.DataFrame
    splits: pd.DataFrame
    left_out: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Segments({self.tests['segment'].nunique()} segments, {len(self.effects)} effects)"


def by_segment(shop: Shop, facts: Facts, checks: Checks, results: Results, *, columns: str = "") -> Segments:
    """What did the change do within each segment?

    `columns` of assignments or customers, separated by commas, or new_or_returning (had ordered before; where outcomes are
    orders); empty: those there are of device, acquisition_channel, country and new_or_returning. Grain that crosses: an
    experiment's primary metric, arm, segment and level. Raises UsageError for a column there is not.
    """
    outcomes = primary_outcomes(shop, facts, checks, results)
    told = _told(shop, facts, columns)
    if outcomes is None or not told:
        return Segments(
            effects=pd.DataFrame(columns=_EFFECTS),
            tests=pd.DataFrame(columns=_TESTS),
            splits=pd.DataFrame(),
            left_out=(),
        )
    parts = []
    for name, levels in told.items():
        keys = [key for key in ("experiment", "unit_id") if key in levels.columns]
        rows = outcomes.left_join(levels, keys)
        rows = rows.drop(*(f"{key}_right" for key in keys if f"{key}_right" in rows.columns))
        parts.append(rows.mutate(segment=ibis.literal(name), level=rows["level"].fill_null(UNKNOWN)))
    frame = moments(shop, ibis.union(*parts) if len(parts) > 1 else parts[0], by=["segment", "level"])
    effects, tests, splits, left_out = [], [], [], set()
    for experiment, mine in frame.groupby("experiment", sort=True):
        groups: dict[str, dict[str, int]] = {}
        for segment, part in mine.groupby("segment", sort=True):
            if not 1 < part["level"].nunique() <= MOST_LEVELS:
                left_out.add(str(segment))
                continue
            effects += _within(str(experiment), str(segment), part, checks, results)
            tests += _tested(str(experiment), str(segment), part, checks, results)
            present = part.assign(units=part["n"] + part["missing"] + part["open"])
            groups |= {f"{segment} {level}": dict(zip(one["variant"], one["units"], strict=True))
                       for level, one in present.groupby("level")}  # fmt: skip
        splits += split_of_groups(str(experiment), groups, plan=checks.plans[str(experiment)])
        splits += _turned(tests, str(experiment))
    return Segments(
        effects=_corrected(pd.DataFrame(effects, columns=_EFFECTS)),
        tests=_corrected(pd.DataFrame(tests, columns=_TESTS)),
        splits=pd.DataFrame(splits, columns=["experiment", "check", "value", "p_value", "verdict", "text"]),
        left_out=tuple(sorted(left_out - {str(row[2]) for row in tests})),
    )


def _told(shop: Shop, facts: Facts, columns: str) -> dict[str, ir.Table]:
    """Segment -> a table of unit_id (and experiment, where it was said at assignment) and level."""
    assignments = shop.table("assignments")
    own = [name for name in assignments.columns if name not in TABLES["assignments"].names]
    theirs = (
        [name for name in shop.table("customers").columns if name != "customer_id"] if shop.has("customers") else []
    )
    known = [*own, *theirs, *(["new_or_returning"] if facts.source == "orders" else [])]
    wanted = [name.strip() for name in columns.split(",") if name.strip()] or [name for name in USUAL if name in known]
    found = {}
    for name in wanted:
        if name not in known:
            raise UsageError(f"there is no column '{name}' in assignments or customers; {nearest(name, known)}")
        if name in own:
            level = assignments[name].cast("string")
            found[name] = assignments.group_by("experiment", "unit_id").aggregate(level=level.min())
        elif name in theirs:
            customers = shop.table("customers")
            found[name] = customers.select(unit_id="customer_id", level=customers[name].cast("string"))
        else:
            found[name] = _new_or_returning(shop)
    return found


def _new_or_returning(shop: Shop) -> ir.Table:
    units = shop.keep(assigned_units(shop))
    orders = net_orders(shop).filter(lambda t: t.customer_id.notnull())
    first = orders.group_by("customer_id").aggregate(first_at=orders["ordered_at"].min())
    rows = units.left_join(first, units["unit_id"] == first["customer_id"])
    returning = (rows["first_at"] < rows["assigned_at"]).fill_null(False)
    return rows.select("experiment", "unit_id", level=ibis.ifelse(returning, "returning", "new"))


def _within(
    experiment: str, segment: str, part: pd.DataFrame, checks: Checks, results: Results
) -> list[tuple[object, ...]]:
    control, rows = checks.controls[experiment], []
    metric = results.primary[experiment]
    rule = _rule(results)
    for level, one in part.groupby("level", sort=True):
        arms = one.set_index("variant")
        base = arms.loc[control] if control in arms.index else None
        for arm in sorted(set(part["variant"]) - {control}):
            found = None
            if base is not None and arm in arms.index:
                found = comparison(arms.loc[arm], base, binary=bool(part["off_binary"].sum() == 0), rule=rule)
            sizes = [int(arms["n"].get(name, 0)) for name in (arm, control)]
            numbers = (found.effect, found.low, found.high, found.p_value) if found else (math.nan,) * 4
            rows.append(
                (
                    experiment,
                    metric,
                    arm,
                    control,
                    segment,
                    str(level),
                    *sizes,
                    results.kind_of(experiment, metric),
                    *numbers,
                    math.nan,
                )
            )
    return rows


def _tested(
    experiment: str, segment: str, part: pd.DataFrame, checks: Checks, results: Results
) -> list[tuple[object, ...]]:
    control = checks.controls[experiment]
    rows: list[tuple[object, ...]] = []
    rule = _rule(results)
    binary = bool(part["off_binary"].sum() == 0)
    for arm in sorted(set(part["variant"]) - {control}):
        pairs, found = [], []
        for _, one in part.groupby("level", sort=True):
            arms = one.set_index("variant")
            if arm in arms.index and control in arms.index and min(arms["n"][arm], arms["n"][control]) > 0:
                pairs.append((arms.loc[arm], arms.loc[control]))
                if (effect := comparison(*pairs[-1], binary=binary, rule=rule)) is not None:
                    found.append(effect)
        if len(pairs) < 2:
            continue
        total, reweighted, turned = mixes(pairs)
        q, p = math.nan, math.nan
        if len(found) > 1:
            q, p = heterogeneity(pd.Series([one.effect for one in found]), pd.Series([one.error for one in found]))
        between = apart(found[0], found[1], confidence=rule.level) if len(found) == 2 else (math.nan,) * 3
        rows.append((experiment, arm, segment, len(found), q, p, math.nan, total, reweighted, turned, *between))
    return rows


def apart(one: Effect, other: Effect, *, confidence: float) -> tuple[float, float, float]:
    """One level's effect less the other's, with its interval: zero is outside where Cochran's p is below 1 − confidence."""
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * math.hypot(one.error, other.error)
    return one.effect - other.effect, one.effect - other.effect - half, one.effect - other.effect + half


def _turned(tests: list[tuple[object, ...]], experiment: str) -> list[Row]:
    """A warning for each segment whose mix turns the total round."""
    found: list[Row] = []
    for row in tests:
        one = dict(zip(_TESTS, row, strict=True))
        if one["experiment"] == experiment and one["reversed"]:
            text = (
                f"{title(experiment)}: the arms hold different mixes by {words(str(one['segment']))}, and that alone turns the total round; with one mix "
                "in both, the effect has the other sign (Simpson's paradox)."
            )
            off = float(str(one["total"])) - float(str(one["reweighted"]))
            found.append((experiment, f"mix: {one['segment']}, {one['variant']}", off, math.nan, "warning", text))
    return found


def mixes(pairs: list[tuple[pd.Series, pd.Series]]) -> tuple[float, float, bool]:
    """Total effect, the effect with one mix of levels in both arms, and whether the mix alone turns it round (Simpson).

    Turned round: the two have different signs, and lie further apart than the total's standard error.
    """
    n, n_control = (sum(float(pair[side]["n"]) for pair in pairs) for side in (0, 1))
    means = [
        sum(float(pair[side]["n"] * pair[side]["mean"]) for pair in pairs) / size
        for side, size in ((0, n), (1, n_control))
    ]
    share = [float(arm["n"] + base["n"]) / (n + n_control) for arm, base in pairs]
    level = [float(arm["mean"] - base["mean"]) for arm, base in pairs]
    reweighted = sum(weight * effect for weight, effect in zip(share, level, strict=True))
    error = math.sqrt(sum(w**2 * float(arm["var"] / arm["n"] + base["var"] / base["n"])
                          for w, (arm, base) in zip(share, pairs, strict=True) if min(arm["n"], base["n"]) > 1))  # fmt: skip
    total = means[0] - means[1]
    return total, reweighted, total * reweighted < 0 and abs(total - reweighted) > error


def _rule(results: Results) -> Rule:
    """One level for every segment, at one look: segments explain, they do not decide."""
    return Rule(level=results.confidence, reading="fixed", planned=1)


def _corrected(frame: pd.DataFrame) -> pd.DataFrame:
    for _, mine in frame.groupby("experiment"):
        tested = mine.index[mine["p_value"].notna()]
        frame.loc[tested, "p_adjusted"] = adjust(frame.loc[tested, "p_value"], method="holm")
    return frame
