"""Does the change do more for some than for others, and are the arms made of the same people?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.facts import Facts, assigned_units
from crmlib.analysis.experiments.looks import primary_outcomes
from crmlib.analysis.experiments.measures import chart_of, effect_text, p_text, rounded, words
from crmlib.analysis.experiments.moments import moments
from crmlib.analysis.experiments.results import CLEAR, Results, holm, within
from crmlib.analysis.experiments.split import Row, split_of_groups, tabled
from crmlib.errors import UsageError, nearest
from crmlib.findings import Part
from crmlib.formats import FEW_PEOPLE
from crmlib.shop.facts import net_orders
from crmlib.shop.shop import Shop
from crmlib.shop.tables import TABLES
from crmlib.stats import heterogeneity
from crmlib.wording import upper

USUAL = ("device", "acquisition_channel", "country", "new_or_returning")
MOST_LEVELS = 12  # a column with more is no segmentation
UNKNOWN = "unknown"
SIZES = ("n", "n_control")
_EFFECTS = ["experiment", "metric", "variant", "control", "segment", "level", "n", "n_control", "kind", "effect", "low",
            "high", "p_value", "p_adjusted"]  # fmt: skip
_TESTS = ["experiment", "variant", "segment", "levels", "q", "p_value", "total", "reweighted", "reversed",
          "apart", "apart_low", "apart_high"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Segments:
    """The primary effect within each level of each segment column.

    effects  one row per experiment, arm, segment and level: effect, low, high, p_value, p_adjusted (Holm over all
             levels and arms of the experiment); empty where a level has too few units
    tests    one row per experiment, arm and segment: do its levels differ (Cochran's q, p_value, p_adjusted by Holm
             over the segments of the experiment)? total is the effect over all levels, reweighted the same with both
             arms given one mix of levels; `reversed` says that the mix, not the change, makes the total what it is
             (Simpson); apart, apart_low, apart_high: the first level's effect less the second's, where there are two
    splits   check rows: the split of each level, corrected, and mixes that turn a total round
    left_out columns that had too many levels, or one
    """

    results: Results
    effects: pd.DataFrame
    tests: pd.DataFrame
    splits: pd.DataFrame
    left_out: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Segments({self.tests['segment'].nunique()} segments, {len(self.effects)} effects)"


def by_segment(shop: Shop, results: Results, *, columns: str = "") -> Segments:
    """What did the change do within each segment?

    `columns` of assignments or customers, separated by commas, or new_or_returning (had ordered before; where outcomes
    are orders); empty: those there are of device, acquisition_channel, country and new_or_returning. Grain that
    crosses: an experiment's primary metric, arm, segment and level. Raises UsageError for a column there is not.
    """
    outcomes = primary_outcomes(shop, results)
    told = _told(shop, results.facts, columns) if outcomes is not None or columns else {}
    effects, tests, splits, left_out = [], [], [], set()
    frame = pd.DataFrame(columns=["experiment"]) if outcomes is None or not told else _levels(shop, outcomes, told)
    for experiment, mine in frame.groupby("experiment", sort=True):
        groups: dict[str, dict[str, int]] = {}
        mixed: list[Row] = []
        for segment, part in mine.groupby("segment", sort=True):
            if not 1 < part["level"].nunique() <= MOST_LEVELS:
                left_out.add(str(segment))
                continue
            found = within(part, results, "segment", "level")
            effects.append(found)
            more, turned = _tested(found, part.set_index(["variant", "level"]), confidence=results.confidence)
            tests += more
            present = part.assign(units=part["n"] + part["missing"] + part["open"])
            for level, one in present.groupby("level"):
                groups[f"{segment} {level}"] = dict(zip(one["variant"], one["units"], strict=True))
            mixed += turned
        splits += split_of_groups(str(experiment), groups, plan=results.checks.plans[str(experiment)]) + mixed
    return Segments(
        results=results,
        effects=holm(pd.concat(effects, ignore_index=True) if effects else pd.DataFrame(columns=_EFFECTS))[_EFFECTS],
        tests=holm(pd.DataFrame(tests, columns=_TESTS)),
        splits=tabled(splits),
        left_out=tuple(sorted(left_out - {str(row[2]) for row in tests})),
    )


def _levels(shop: Shop, outcomes: ir.Table, told: dict[str, ir.Table]) -> pd.DataFrame:
    """Moments of each segment and level."""
    parts = []
    for name, levels in told.items():
        keys = [key for key in ("experiment", "unit_id") if key in levels.columns]
        rows = outcomes.left_join(levels, keys)
        rows = rows.drop(*(f"{key}_right" for key in keys if f"{key}_right" in rows.columns))
        parts.append(rows.mutate(segment=ibis.literal(name), level=rows["level"].fill_null(UNKNOWN)))
    return moments(shop, ibis.union(*parts) if len(parts) > 1 else parts[0], by=["segment", "level"])


def _told(shop: Shop, facts: Facts, columns: str) -> dict[str, ir.Table]:
    """Segment -> a table of unit_id (and experiment, where it was said at assignment) and level."""
    assignments = shop.table("assignments")
    own = [name for name in assignments.columns if name not in TABLES["assignments"].names]
    customers = shop.table("customers") if shop.has("customers") else None
    theirs = [name for name in customers.columns if name != "customer_id"] if customers is not None else []
    known = [*own, *theirs, *(["new_or_returning"] if facts.source == "orders" else [])]
    wanted = [name.strip() for name in columns.split(",") if name.strip()] or [name for name in USUAL if name in known]
    found = {}
    for name in wanted:
        if name not in known:
            raise UsageError(f"there is no column '{name}' in assignments or customers; {nearest(name, known)}")
        if name in own:
            level = assignments[name].cast("string")
            found[name] = assignments.group_by("experiment", "unit_id").aggregate(level=level.min())
        elif customers is not None and name in theirs:
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


def _tested(effects: pd.DataFrame, moments_: pd.DataFrame, *, confidence: float) -> tuple[list[Any], list[Row]]:
    """Do the levels differ, and does their mix alone turn a total round? The tests, and a warning where it does."""
    rows: list[tuple[Any, ...]] = []
    warned: list[Row] = []
    for (experiment, arm, segment), mine in effects.groupby(["experiment", "variant", "segment"], sort=True):
        both = mine[(mine["n"] > 0) & (mine["n_control"] > 0)]
        if len(both) < 2:
            continue
        sides = [(arm, row.control, row.level) for row in both.itertuples()]
        pairs = [(moments_.loc[(one, level)], moments_.loc[(control, level)]) for one, control, level in sides]
        total, reweighted, turned = mixes(pairs)
        found = both.dropna(subset="effect")
        q, p = heterogeneity(found["effect"], found["error"]) if len(found) > 1 else (math.nan, math.nan)
        between = apart(found, confidence=confidence) if len(found) == 2 else (math.nan,) * 3
        rows.append((experiment, arm, segment, len(found), q, p, total, reweighted, turned, *between))
        if turned:
            said = f"the versions hold different mixes by {words(segment)}, and that alone turns the total round; "
            said += "with one mix in both, the effect has the other sign (Simpson's paradox)."
            warned.append(Row(experiment, "mix", total - reweighted, said, "warning", metric=f"{segment}, {arm}"))
    return rows, warned


def apart(two: pd.DataFrame, *, confidence: float) -> tuple[float, float, float]:
    """The first level's effect less the second's, with its interval, which holds zero unless Cochran's p is small."""
    (one, other), errors = two["effect"], two["error"]
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * math.hypot(*errors)
    return one - other, one - other - half, one - other + half


def mixes(pairs: list[tuple[pd.Series, pd.Series]]) -> tuple[float, float, bool]:
    """Total effect, the effect with one mix of levels in both arms, and whether the mix alone turns it round (Simpson).

    Turned round: the two have different signs, and lie further apart than the total's standard error.
    """
    n, n_control = (sum(float(pair[side]["n"]) for pair in pairs) for side in (0, 1))
    sums = [sum(float(pair[side]["n"] * pair[side]["mean"]) for pair in pairs) for side in (0, 1)]
    total, reweighted, squares = sums[0] / n - sums[1] / n_control, 0.0, 0.0
    for arm, base in pairs:
        weight = float(arm["n"] + base["n"]) / (n + n_control)
        reweighted += weight * float(arm["mean"] - base["mean"])
        if min(arm["n"], base["n"]) > 1:
            squares += weight**2 * float(arm["var"] / arm["n"] + base["var"] / base["n"])
    return total, reweighted, total * reweighted < 0 and abs(total - reweighted) > math.sqrt(squares)


def part_segments(segments: Segments) -> Part:
    """Does the change do more for some than for others? Open on the page only where it does."""
    facts, effects, tests = segments.results.facts, segments.effects, segments.tests
    shown = facts.told(effects).assign(
        group=[f"{words(row.segment)}: {words(row.level)}" for row in effects.itertuples()],
        units=[f"{formats.people(row.n)}, {formats.people(row.n_control)}" for row in effects.itertuples()],
        **_between(segments),
    )
    labels = {"group": "Segment", "test": "Test", "said": "Change", "units": f"{upper(facts.unit)}, in the old version"}
    labels |= {"spread": "First less second", "alike": "p, between segments"}
    caption = "The effect in each segment, and whether segments differ; p is corrected within each test"
    table = figures.tabulate(shown, caption=caption, labels=labels, file="tables/segments.csv")
    turned, differing = tests[tests["reversed"].astype(bool)], tests[tests["p_adjusted"] < CLEAR]
    stands_out = pd.concat([turned, differing]) if len(turned) else differing
    sizes = wording.counted(len(effects), "segment effect")
    method = [f"{sizes} were looked at, those of one test corrected for one another (Holm)."] if len(tests) else []
    if segments.left_out:
        names = wording.listed(words(name) for name in segments.left_out)
        method.append(f"Not used as segments, for having one level or too many: {names}.")
    tested = tests["p_adjusted"].notna().any()
    return Part(
        title=_title(facts, tests, stands_out, is_turned=len(turned) > 0),
        sentence="Look into enough segments, and one will shine by chance." if tested else "",
        chart=_chart(segments, stands_out, table),
        method=method,
        tables={"segments": _published(segments)},
        detail=stands_out.empty,
    )


def _title(facts: Facts, tests: pd.DataFrame, stands_out: pd.DataFrame, *, is_turned: bool) -> str:
    if stands_out.empty:
        tested = tests["p_adjusted"].notna().any()
        return "No segment differs reliably" if tested else "No segments that could be told apart"
    row = stands_out.iloc[0]
    name, segment = upper(facts.name(row["experiment"], row["variant"])), words(row["segment"])
    if is_turned:
        return f"{name}: the mix by {segment} alone makes the total what it is"
    return f"{name} does not do the same by {segment} ({p_text(row['p_adjusted'])}, corrected)"


def _chart(segments: Segments, stands_out: pd.DataFrame, table: dict[str, Any]) -> figures.Chart:
    """The levels of one test: the one that stands out, else the one with the most units."""
    facts = segments.results.facts
    drawable = segments.effects[segments.effects["effect"].notna()]
    if drawable.empty:
        return figures.Chart(table=table)
    sizes = (drawable["n"] + drawable["n_control"]).groupby(drawable["experiment"]).sum()
    first = str(sizes.idxmax()) if stands_out.empty else str(stands_out["experiment"].iloc[0])
    mine = drawable[drawable["experiment"] == first]
    levels = mine["segment"].map(words) + " " + mine["level"].map(words)
    if mine["variant"].nunique() > 1:
        levels += ", " + mine["variant"].map(words)
    caption = f"{upper(words(first))}. Each range at its own 95%, so one in twenty is expected to miss."
    return chart_of(mine.assign(label=levels), facts.currency, table=table, caption=caption)


def _between(segments: Segments) -> dict[str, list[str | None]]:
    """Beside each level, what was tested: do the levels of its segment differ? Said once, at the first."""
    tests = segments.tests.set_index(["experiment", "variant", "segment"])
    found: dict[str, list[str | None]] = {"spread": [], "alike": []}
    said = set()
    for row in segments.effects.itertuples():
        key = (row.experiment, row.variant, row.segment)
        test = tests.loc[key] if key in tests.index and key not in said else None
        said.add(key)
        known = test is not None and test["p_adjusted"] == test["p_adjusted"]
        found["alike"].append(p_text(test["p_adjusted"]) if test is not None and known else None)
        if test is None or test["apart"] != test["apart"]:
            found["spread"].append(None)
            continue
        one = {"effect": test["apart"], "low": test["apart_low"], "high": test["apart_high"], "kind": row.kind}
        found["spread"].append(effect_text(one, segments.results.facts.currency))
    return found


def _published(segments: Segments) -> pd.DataFrame:
    """No count of people under five; p of each level against zero named so, that between levels beside it."""
    keys = ["experiment", "variant", "segment"]
    tests = segments.tests[[*keys, "apart", "apart_low", "apart_high", "p_value", "p_adjusted"]]
    tests = tests.rename(columns={"p_value": "p_between", "p_adjusted": "p_between_adjusted"})
    shown = segments.effects.rename(columns={"p_value": "p_against_zero", "p_adjusted": "p_against_zero_adjusted"})
    shown = rounded(shown.merge(tests, on=keys, how="left"))
    few = {name: [f"<{FEW_PEOPLE}" if size < FEW_PEOPLE else str(size) for size in shown[name]] for name in SIZES}
    return shown.assign(**few)
