"""Experiments: who counts, what is compared, when a test may be believed, and what the page says of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import crmlib as crm
from crmlib.analysis import experiments as ex
from crmlib.analysis.earned import Earned
from crmlib.analysis.experiments import effects, moments
from crmlib.analysis.experiments import split as splits
from crmlib.analysis.experiments.facts import Facts, assigned_days, assigned_units, order_outcomes, recorded_outcomes
from crmlib.analysis.experiments.looks import Looks
from crmlib.analysis.experiments.measures import effect_text
from crmlib.analysis.experiments.results import Results
from crmlib.analysis.experiments.segments import Segments
from crmlib.analysis.experiments.split import Checks
from crmlib.analysis.experiments.verdicts import Verdicts
from crmlib.analysis.experiments.worth import Worth
from crmlib.errors import NotAvailable, NotEnoughData, UsageError
from crmlib.findings import Findings
from crmlib.publishing import csv_text
from crmlib.stats import compare

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
RESULTS = [
    "experiment",
    "metric",
    "variant",
    "control",
    "n",
    "n_control",
    "mean",
    "mean_control",
    "effect",
    "low",
    "high",
    "p_value",
    "p_adjusted",
    "method",
    "q_value",
    "guardrail",
    "state",
]
CHECKS = ["experiment", "check", "value", "p_value", "verdict"]

# Six units: a, b in control, c, d in new, e in both, f assigned twice to new; g was never assigned.
ASSIGNMENTS = [
    {"experiment": "x", "unit_id": "a", "variant": "control", "assigned_at": "2026-01-01 10:00"},
    {"experiment": "x", "unit_id": "b", "variant": "control", "assigned_at": "2026-01-01 11:00"},
    {"experiment": "x", "unit_id": "c", "variant": "new", "assigned_at": "2026-01-02 10:00"},
    {"experiment": "x", "unit_id": "d", "variant": "new", "assigned_at": "2026-01-02 11:00"},
    {"experiment": "x", "unit_id": "e", "variant": "control", "assigned_at": "2026-01-01 12:00"},
    {"experiment": "x", "unit_id": "e", "variant": "new", "assigned_at": "2026-01-03 12:00"},
    {"experiment": "x", "unit_id": "f", "variant": "new", "assigned_at": "2026-01-05 09:00"},
    {"experiment": "x", "unit_id": "f", "variant": "new", "assigned_at": "2026-01-04 09:00"},
]
OUTCOMES = [
    {
        "experiment": "x",
        "unit_id": "a",
        "metric": "spent",
        "value": 10,
        "observed_at": "2026-01-08 10:00",
        "pre_value": 4,
    },
    {
        "experiment": "x",
        "unit_id": "a",
        "metric": "spent",
        "value": 10,
        "observed_at": "2026-01-08 10:00",
        "pre_value": 4,
    },
    {
        "experiment": "x",
        "unit_id": "b",
        "metric": "spent",
        "value": 0,
        "observed_at": "2026-01-08 11:00",
        "pre_value": "",
    },
    {
        "experiment": "x",
        "unit_id": "c",
        "metric": "spent",
        "value": 5,
        "observed_at": "2026-01-09 10:00",
        "pre_value": 2,
    },
    {
        "experiment": "x",
        "unit_id": "c",
        "metric": "spent",
        "value": 6,
        "observed_at": "2026-01-09 10:00",
        "pre_value": 2,
    },
    {
        "experiment": "x",
        "unit_id": "d",
        "metric": "spent",
        "value": "",
        "observed_at": "2026-01-09 11:00",
        "pre_value": 3,
    },
    {
        "experiment": "x",
        "unit_id": "e",
        "metric": "spent",
        "value": 99,
        "observed_at": "2026-01-09 11:00",
        "pre_value": 9,
    },
    {
        "experiment": "x",
        "unit_id": "f",
        "metric": "spent",
        "value": 8,
        "observed_at": "2026-01-11 09:00",
        "pre_value": 6,
    },
    {
        "experiment": "x",
        "unit_id": "g",
        "metric": "spent",
        "value": 7,
        "observed_at": "2026-01-09 11:00",
        "pre_value": 1,
    },
]


def page(
    shop: crm.Shop,
    *,
    experiment="",
    window_days=14,
    control="",
    split="",
    primary="",
    worthwhile=0.0,
    ratios="",
    quantiles="",
    reading="fixed",
    planned_units=0,
    guardrails="",
    offer_cost=0.0,
    units_a_month=0.0,
    segments="",
    unit="",
):
    """The whole notebook: facts, checks, results, verdicts, findings, and worth, looks, segments."""
    also = ", ".join(filter(None, [ratios, quantiles, primary]))
    facts = ex.facts(shop, experiment=experiment, window_days=window_days, also=also, unit=unit)
    checks = ex.validate(facts, control=control, split=split)
    results = ex.fit(checks, primary=primary, reading=reading, planned_units=planned_units, guardrails=guardrails)
    worth = ex.worth(results, offer_cost=offer_cost, units_a_month=units_a_month)
    verdicts = ex.score(results, worth, worthwhile=worthwhile)
    looks = ex.by_day(shop, results)
    groups = ex.by_segment(shop, results, columns=segments)
    findings = ex.page(verdicts, looks=looks, segments=groups)
    return Page(facts, checks, results, verdicts, findings, worth, looks, groups)


class Page(NamedTuple):
    facts: Facts
    checks: Checks
    results: Results
    verdicts: Verdicts
    findings: Findings
    worth: Worth
    looks: Looks
    groups: Segments


def sections(found: Page):
    """The parts that are shown; each has a title."""
    return [part for part in found.findings.parts if part.shown]


def arms(
    rng: np.random.Generator, sizes: dict[str, int], *, name: str = "x", first: str = "2026-01-01", days: int = 10
):
    """Assignments of so many units to each arm."""
    variant = np.repeat(list(sizes), list(sizes.values()))
    at = pd.Timestamp(first) + pd.to_timedelta(rng.integers(0, days * 86_400, len(variant)), unit="s")
    units = [f"{name}{number}" for number in range(len(variant))]
    return pd.DataFrame({"experiment": name, "unit_id": units, "variant": variant, "assigned_at": at})


def outcomes_of(assigned: pd.DataFrame, days: int = 7, **metrics: np.ndarray) -> pd.DataFrame:
    base = assigned[["experiment", "unit_id"]].assign(observed_at=assigned["assigned_at"] + pd.Timedelta(days=days))
    return pd.concat(
        [base.assign(metric=metric, value=values) for metric, values in metrics.items()], ignore_index=True
    )


# ---- who counts, by hand -------------------------------------------------------------------------------------------


def test_units_counted_by_hand(write_shop):
    shop = crm.connect(write_shop(assignments=ASSIGNMENTS, outcomes=OUTCOMES), as_of="2026-02-01")
    facts = ex.facts(shop)
    assert facts.arms[["variant", "units"]].to_numpy().tolist() == [["control", 2], ["new", 3]]
    assert facts.apart.iloc[0].tolist() == ["x", 1, 1, 1, 1]  # e in two arms, f repeated, g never assigned: one row
    found = facts.moments.set_index("variant")
    assert found.loc["control", ["n", "mean", "var", "missing", "pre_n"]].tolist() == [2, 5.0, 50.0, 0, 1]
    # c has two rows, which are 11 together, d's is empty; a's row stands twice, to the second, and counts once.
    assert found.loc["new", ["n", "mean", "missing", "several", "pre_n"]].tolist() == [2, 9.5, 1, 1, 2]
    # b has no pre-value and takes the mean of 4, 2 and 6.
    assert found.loc["control", "pre_mean"] == pytest.approx((4 + 4) / 2)
    assert facts.days["units"].sum() == 5


def test_what_lists_earned_is_part_of_the_page_where_a_list_was_used(write_shop, rng):
    assigned = arms(rng, {"control": 60, "new": 60})
    folder = write_shop(assignments=assigned, outcomes=outcomes_of(assigned, kept=rng.normal(10, 3, 120)))
    shop = crm.connect(folder, as_of="2026-02-01")
    made = page(shop)
    row = {"list": "due", "written": 160, "left_alone": 40, "waiting": 0, "contacted": 0, "answered": 0, "contaminated": 0, "split_p": 0.5,
           "mean": 30.0, "mean_alone": 20.0, "each": 10.0, "low": 4.0, "high": 16.0, "verdict": "earns", "answer_by": None}  # fmt: skip
    more = {"looks": made.looks, "segments": made.groups}
    used, none = (
        ex.page(
            made.verdicts, lists=Earned(pd.DataFrame(rows, columns=list(row)), "margin", "EUR", 1.0, shop.as_of), **more
        )
        for rows in ([row], [])
    )
    assert "Due earns more than nothing done would" in [part.title for part in used.parts]
    assert "earned" in used.tables and "earned" not in {metric.id for part in used.parts for metric in part.metrics}
    assert [part.title for part in none.parts] == [part.title for part in made.findings.parts]


def test_an_empty_value_is_never_counted_in_n(write_shop, rng):
    assigned = arms(rng, {"control": 60, "new": 60})
    values = rng.normal(10, 3, 120)
    full = outcomes_of(assigned, kept=values)
    holed = full.assign(value=full["value"].astype(object))
    holed.loc[holed.index % 6 == 0, "value"] = ""
    shop = crm.connect(write_shop(assignments=assigned, outcomes=holed), as_of="2026-02-01")
    row = page(shop)[2].table.iloc[0]
    left = [values[(assigned["variant"] == arm).to_numpy() & (full.index % 6 != 0)] for arm in ("new", "control")]
    assert (row["n"], row["n_control"]) == (50, 50)
    rounded = [np.round(part, 4) for part in left]
    assert row["p_value"] == pytest.approx(stats.ttest_ind(*rounded, equal_var=False).pvalue, rel=1e-6)


def test_orders_count_within_each_units_own_window(write_shop):
    at = "2026-01-01 12:00"
    assigned = [
        {"experiment": "x", "unit_id": unit, "variant": variant, "assigned_at": at}
        for unit, variant in (("a", "control"), ("b", "control"), ("c", "new"), ("d", "new"))
    ]
    # Its window closes exactly when as_of begins, and the last one's a second later.
    assigned += [
        {"experiment": "x", "unit_id": "e", "variant": "new", "assigned_at": "2026-01-11 00:00:00"},
        {"experiment": "x", "unit_id": "f", "variant": "new", "assigned_at": "2026-01-11 00:00:01"},
    ]
    orders = [
        {
            "order_id": 1,
            "customer_id": "a",
            "ordered_at": "2026-01-01 11:59:59",
            "total": 100,
            "cancelled_at": "",
        },  # before
        {
            "order_id": 2,
            "customer_id": "b",
            "ordered_at": "2026-01-01 12:00:00",
            "total": 20,
            "cancelled_at": "",
        },  # at once
        {
            "order_id": 3,
            "customer_id": "b",
            "ordered_at": "2026-01-11 11:59:59",
            "total": 5,
            "cancelled_at": "",
        },  # last second
        {
            "order_id": 4,
            "customer_id": "c",
            "ordered_at": "2026-01-11 12:00:00",
            "total": 50,
            "cancelled_at": "",
        },  # too late
        {"order_id": 5, "customer_id": "d", "ordered_at": "2026-01-05", "total": 70, "cancelled_at": "2026-01-06"},
        {"order_id": 6, "customer_id": "", "ordered_at": "2026-01-05", "total": 70, "cancelled_at": ""},
        {"order_id": 7, "customer_id": "e", "ordered_at": "2026-01-12", "total": 8, "cancelled_at": ""},
        {"order_id": 8, "customer_id": "f", "ordered_at": "2026-01-12", "total": 9, "cancelled_at": ""},
    ]
    shop = crm.connect(write_shop(assignments=assigned, orders=orders), as_of="2026-01-21")
    facts = ex.facts(shop, window_days=10)
    found = facts.moments.set_index(["metric", "variant"])
    # control: a bought nothing in time, b twice for 25; new: c and d nothing, e once for 8, f still open.
    assert found.loc[("orders", "control"), ["n", "mean"]].tolist() == [2, 1.0]
    assert found.loc[("revenue", "control"), "mean"] == 12.5
    assert found.loc[("converted", "new"), ["n", "mean", "open", "missing"]].tolist() == [3, pytest.approx(1 / 3), 1, 0]
    assert found.loc[("revenue", "new"), "mean"] == pytest.approx(8 / 3)
    assert facts.source == "orders"


# ---- oracle pairs: each expression, and pandas that says the same ---------------------------------------------------


def units_in_pandas(assigned: pd.DataFrame) -> pd.DataFrame:
    groups = assigned.groupby(["experiment", "unit_id"])
    found = groups.agg(assigned_at=("assigned_at", "min"), arms=("variant", "nunique"), rows=("variant", "size"))
    return found.assign(variant=groups["variant"].min()).reset_index()


def outcomes_in_pandas(assigned: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    units = units_in_pandas(assigned).query("arms == 1")
    rows = outcomes.drop_duplicates().merge(units, on=["experiment", "unit_id"]).dropna(subset="value")
    rows = rows[rows["observed_at"] >= rows["assigned_at"]]
    groups = rows.groupby(["experiment", "metric", "variant", "unit_id"])
    found = groups.agg(value=("value", "sum"), pre_value=("pre_value", "min")).reset_index()
    # Who did it twice did it.
    ever = found["metric"] == "converted"
    return found.assign(value=found["value"].where(~ever, found["value"].clip(upper=1)))


def orders_in_pandas(assigned: pd.DataFrame, orders: pd.DataFrame, *, as_of: str, days: int) -> pd.DataFrame:
    units = units_in_pandas(assigned).query("arms == 1")
    units = units[units["assigned_at"] + pd.Timedelta(days=days) <= pd.Timestamp(as_of)]
    rows = units.merge(orders, left_on="unit_id", right_on="customer_id")
    wait = rows["ordered_at"] - rows["assigned_at"]
    rows = rows[(wait >= pd.Timedelta(0)) & (wait < pd.Timedelta(days=days))]
    sums = rows.groupby(["experiment", "unit_id"])["total"].agg(["size", "sum"])
    joined = units.join(sums, on=["experiment", "unit_id"]).fillna({"size": 0, "sum": 0})
    metrics = {"converted": (joined["size"] > 0).astype(float), "orders": joined["size"], "revenue": joined["sum"]}
    return pd.concat([joined.assign(metric=name, value=values, pre_value=np.nan) for name, values in metrics.items()])


def moments_in_pandas(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.assign(
        filled=rows["pre_value"].fillna(rows.groupby(["experiment", "metric"])["pre_value"].transform("mean"))
    )
    found = {}
    for key, part in rows.groupby(["experiment", "metric", "variant"]):
        value = part["value"].astype(float)
        found[key] = {
            "n": len(value),
            "mean": value.mean(),
            "var": value.var(),
            "skew3": ((value - value.mean()) ** 3).mean(),
            "nonzero": (value != 0).sum(),
            "largest": value.max(),
            "off_binary": (~value.isin([0, 1])).sum(),
            "pre_n": part["pre_value"].notna().sum(),
            "pre_mean": part["filled"].mean(),
            "pre_var": part["filled"].var(),
            "cov": value.cov(part["filled"]),
        }
    frame = pd.DataFrame.from_dict(found, orient="index")
    frame.index.names = ["experiment", "metric", "variant"]
    return frame.reset_index()


def untidy(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Assignments and outcomes with everything that goes wrong."""
    tables = []
    for name, sizes in (("x", {"control": 40, "new": 45}), ("y", {"control": 30, "a": 35, "b": 33})):
        assigned = arms(rng, sizes, name=name)
        again = assigned.sample(12, random_state=1)
        other = again.assign(variant=list(sizes)[-1], assigned_at=again["assigned_at"] + pd.Timedelta(days=2))
        tables.append(pd.concat([assigned, assigned.sample(5, random_state=2), other], ignore_index=True))
    assigned = pd.concat(tables, ignore_index=True)
    units = assigned.drop_duplicates(["experiment", "unit_id"])
    size = len(units)
    found = outcomes_of(
        units, converted=(rng.random(size) < 0.4).astype(float), revenue=rng.lognormal(3, 1, size).round(2)
    )
    found["pre_value"] = np.where(rng.random(len(found)) < 0.7, rng.gamma(2, 10, len(found)).round(2), np.nan)
    found.loc[found.index % 17 == 0, "value"] = np.nan
    found.loc[found.index % 23 == 0, "observed_at"] -= pd.Timedelta(days=60)
    differing = found[found.index % 29 == 0].assign(
        value=lambda rows: rows["value"].where(rows["metric"] == "revenue", 1)
    )
    stray = found.head(7).assign(unit_id="nobody")
    return assigned, pd.concat([found, found.head(9), differing, stray], ignore_index=True)


def test_units_and_moments_of_outcomes_equal_pandas(write_shop, rng):
    assigned, outcomes = untidy(rng)
    shop = crm.connect(write_shop(assignments=assigned, outcomes=outcomes), as_of="2026-03-01")
    units = assigned_units(shop)
    ours = shop.fetch(units.order_by("experiment", "unit_id"))
    theirs = units_in_pandas(assigned).sort_values(["experiment", "unit_id"], ignore_index=True)
    pd.testing.assert_frame_equal(ours, theirs[ours.columns], check_dtype=False)
    rows = recorded_outcomes(shop, units=units, window_days=14)
    expected = moments_in_pandas(outcomes_in_pandas(assigned, outcomes))
    got = moments.moments(shop, rows)
    pd.testing.assert_frame_equal(got[expected.columns], expected, check_dtype=False, rtol=1e-9)
    # Every unit of one arm has a row for every metric: it counts, is missing, or is open.
    single = theirs[theirs["arms"] == 1].groupby(["experiment", "variant"]).size()
    for row in got.itertuples():
        assert row.n + row.missing + row.open == single[(row.experiment, row.variant)]


def test_moments_of_orders_equal_pandas(write_shop, rng):
    assigned, _ = untidy(rng)
    ids = assigned["unit_id"].unique()
    orders = pd.DataFrame({
        "order_id": range(400), "customer_id": rng.choice(ids, 400),
        "ordered_at": pd.Timestamp("2025-12-25") + pd.to_timedelta(rng.integers(0, 40 * 86_400, 400), unit="s"),
        "total": rng.lognormal(3, 0.5, 400).round(2),
    })  # fmt: skip
    shop = crm.connect(write_shop(assignments=assigned, orders=orders), as_of="2026-01-16")
    rows = order_outcomes(shop, units=assigned_units(shop), window_days=10)
    expected = moments_in_pandas(
        orders_in_pandas(assigned[assigned["assigned_at"] < "2026-01-16"], orders, as_of="2026-01-16", days=10)
    )
    compared = ["experiment", "metric", "variant", "n", "mean", "var", "skew3", "nonzero", "largest", "off_binary"]
    pd.testing.assert_frame_equal(
        moments.moments(shop, rows)[compared], expected[compared], check_dtype=False, rtol=1e-9
    )


def test_a_variance_far_below_the_mean_survives_the_sums(write_shop, rng):
    assigned = arms(rng, {"control": 200, "new": 200})
    values = np.round(1e9 + rng.normal(0, 0.01, 400), 4)
    shop = crm.connect(write_shop(assignments=assigned, outcomes=outcomes_of(assigned, at=values)), as_of="2026-02-01")
    found = ex.facts(shop).moments.set_index("variant")["var"]
    # Of the distances from 1e9, exact in ten-thousandths: squares of the values themselves have no digits left for it.
    small = pd.Series(np.round((values - 1e9) * 1e4)).groupby(assigned["variant"]).var() / 1e8
    assert found.to_dict() == pytest.approx(small.to_dict(), rel=1e-9)


def test_days_equal_pandas(write_shop, rng):
    assigned, outcomes = untidy(rng)
    shop = crm.connect(write_shop(assignments=assigned, outcomes=outcomes), as_of="2026-03-01")
    ours = shop.fetch(assigned_days(assigned_units(shop)))
    units = units_in_pandas(assigned).query("arms == 1")
    theirs = units.groupby(["experiment", units["assigned_at"].dt.date.rename("day"), "variant"]).size()
    assert ours["units"].tolist() == theirs.tolist()


# ---- look-ahead -----------------------------------------------------------------------------------------------------


def test_future_rows_change_no_number(write_shop, rng):
    assigned = arms(rng, {"control": 80, "new": 80})
    outcomes = outcomes_of(assigned, spent=rng.normal(10, 3, 160).round(2))
    later = assigned.head(40).assign(variant="new", assigned_at=pd.Timestamp("2026-03-05"))
    more = outcomes.head(40).assign(value=1000.0, observed_at=pd.Timestamp("2026-03-02"))
    then = crm.connect(write_shop("then", assignments=assigned, outcomes=outcomes), as_of="2026-03-01")
    now = crm.connect(
        write_shop("now", assignments=pd.concat([later, assigned]), outcomes=pd.concat([more, outcomes])),
        as_of="2026-03-01",
    )
    pages = [page(shop)[4] for shop in (then, now)]
    assert pages[0].to_json() == pages[1].to_json()
    for name in ("results", "checks"):
        assert csv_text(pages[0].tables[name]) == csv_text(pages[1].tables[name])


def test_a_test_with_open_windows_is_not_decided(write_shop, rng):
    assigned = arms(rng, {"control": 400, "new": 400}, days=30)
    lifted = np.where(assigned["variant"] == "new", 14.0, 10.0)
    outcomes = outcomes_of(assigned, spent=rng.normal(lifted, 3).round(2))
    folder = write_shop(assignments=assigned, outcomes=outcomes)
    early = page(crm.connect(folder, as_of="2026-02-01"))
    assert early[3].table["state"].tolist() == ["running"]
    shown = early[2].table.iloc[0]
    assert (
        "still open" in shown["method"]
        and shown[["mean", "mean_control", "effect", "low", "high", "p_value"]].isna().all()
    )
    assert early.looks.days.empty and early.groups.effects.empty and not early[4].predictions
    assert early[4].tables["results"]["state"].tolist() == ["running"]
    assert (
        early[4]["running"].value == 1 and early[4]["decided"].value == 0 and early[4]["primary_effect"].value is None
    )
    assert not ex.part_effects(early.verdicts).chart.wide  # no effect is drawn before the end
    done = page(crm.connect(folder, as_of=early[3].table["by"].iloc[0]))
    assert done[3].table["state"].tolist() == ["higher"]


# ---- the split -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arm", "control"), [(20_000, 20_000), (3_000, 9_000)])
def test_the_loss_that_could_go_unseen_is_warned_of_four_times_in_five(rng, arm, control):
    """Each of 20,000 tests as planned, but for the loss; the check's own chi-square, by brute force."""
    planned = arm / (arm + control)
    for part, wanted in ((1, 0.8), (0.5, 0.19)):  # 0.19: a normal beyond 2.576 whose mean is half of 2.576 + 0.842
        sent = rng.binomial(arm + control, planned, 20_000)
        kept = rng.binomial(sent, 1 - part * splits.loss_found(arm, control))
        counted = kept + arm + control - sent
        statistic = (kept - counted * planned) ** 2 / (counted * planned * (1 - planned))
        warned = (stats.chi2.sf(statistic, 1) < splits.WARNED).mean()
        assert warned == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize(
    ("sizes", "split", "verdict"),
    [
        ({"control": 5000, "new": 5000}, "", "ok"),
        ({"control": 5000, "new": 4730}, "", "warning"),
        ({"control": 5000, "new": 4600}, "", "failed"),
        ({"control": 9000, "new": 1000}, "", "failed"),
        ({"control": 9000, "new": 1000}, "control=9, new=1", "ok"),
        ({"control": 9000, "new": 1150}, "control=9, new=1", "failed"),
        ({"control": 3000, "a": 3000, "b": 2700}, "", "failed"),
    ],
)
def test_the_split_is_judged_before_any_effect(write_shop, rng, sizes, split, verdict):
    assigned = arms(rng, sizes)
    shop = crm.connect(
        write_shop(assignments=assigned, outcomes=outcomes_of(assigned, spent=rng.normal(9, 1, len(assigned))))
    )
    _, checks, results, verdicts, findings, *_ = page(shop, split=split)
    row = checks.table[checks.table["check"] == "sample_ratio"].iloc[0]
    planned = np.array(
        [
            float(dict(p.split("=") for p in split.replace(" ", "").split(",")).get(arm, 1)) if split else 1
            for arm in sizes
        ]
    )
    expected = planned / planned.sum() * len(assigned)
    assert row["p_value"] == pytest.approx(stats.chisquare(list(sizes.values()), expected).pvalue)
    assert row["verdict"] == verdict
    void = verdict == "failed"
    assert results.table["effect"].isna().all() == void
    assert (verdicts.table["state"] == "void").all() == void
    assert findings["void"].value == int(void)
    if void:
        assert findings["primary_effect"].value is None
        assert findings.tables["results"][["effect", "low", "high", "p_value", "p_adjusted"]].isna().all(axis=None)


def test_values_missing_more_in_one_arm_void_their_metric(write_shop, rng):
    assigned = arms(rng, {"control": 1000, "new": 1000})
    outcomes = outcomes_of(assigned, converted=(rng.random(2000) < 0.3).astype(float), rated=rng.normal(4, 1, 2000))
    lost = (outcomes["metric"] == "rated") & outcomes["unit_id"].isin(assigned.loc[1000:1150, "unit_id"])
    shop = crm.connect(write_shop(assignments=assigned, outcomes=outcomes[~lost]), as_of="2026-02-01")
    _, checks, results, verdicts, *_ = page(shop)
    table = results.table.set_index("metric")
    assert table["state"].to_dict() == {"converted": "ok", "rated": "void"}
    assert checks.table.set_index("check").loc["missing: rated", ["value", "verdict"]].tolist() == [151.0, "failed"]
    assert verdicts.table["state"].tolist() == ["open"]
    assert page(shop, primary="rated")[3].table["state"].tolist() == ["void"]


# ---- the estimates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0528, 0.3382),
        ((9, 10, 3, 10), 0.1700, 0.8406),
        ((6, 7, 2, 7), 0.0342, 0.8534),
        ((5, 56, 0, 29), -0.0326, 0.1933),
        ((0, 10, 0, 20), -0.1658, 0.2844),
        ((10, 10, 0, 10), 0.6636, 1.0000),
    ],
)
def test_score_interval_of_a_difference_as_published(counts, low, high):
    # Newcombe 1998, Statistics in Medicine 17:873–890, table II, method 6 (Miettinen and Nurminen).
    found = compare.difference_interval(*counts)
    assert found == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    swapped = compare.difference_interval(*counts[2:], *counts[:2])
    assert swapped == (pytest.approx(-found[1], abs=1e-9), pytest.approx(-found[0], abs=1e-9))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_intervals_of_shares_agree_with_their_test(data):
    n, m = (data.draw(st.integers(5, 3000)) for _ in range(2))
    x, y = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    low, high = compare.difference_interval(x, n, y, m)
    assert -1 <= low <= x / n - y / m + 1e-9 and x / n - y / m - 1e-9 <= high <= 1
    p = compare.score_test(x, n, y, m)
    if abs(p - 0.05) > 1e-6:
        assert (low > 0 or high < 0) == (p < 0.05)
        if x and y:
            ends = compare.ratio_interval(x, n, y, m)
            assert (ends[0] > 1 or ends[1] < 1) == (p < 0.05)
    if 0 < x + y < n + m:
        pooled = stats.chi2_contingency([[x, n - x], [y, m - y]], correction=False).statistic
        assert p == pytest.approx(stats.chi2.sf(pooled * (n + m - 1) / (n + m), 1), abs=1e-9)


def sums(value: np.ndarray, pre: np.ndarray | None = None) -> dict[str, float]:
    found = {"n": len(value), "mean": value.mean(), "var": value.var(ddof=1)}
    if pre is not None:
        found |= {"pre_mean": pre.mean(), "pre_var": pre.var(ddof=1), "cov": np.cov(value, pre)[0, 1]}
    return found


def test_means_are_welchs_and_cuped_is_the_textbooks(rng):
    pre = [rng.gamma(2, 10, size) for size in (300, 420)]
    value = [p * 0.8 + rng.normal(gain, 9, len(p)) for p, gain in zip(pre, (1.5, 0), strict=True)]
    plain = effects.mean_effect(sums(value[0]), sums(value[1]), confidence=0.95, adjusted=False)
    theirs = stats.ttest_ind(*value, equal_var=False)
    assert plain.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (plain.low, plain.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-9)
    # Deng et al. 2013: y − θ (x − mean x), θ = cov / var over both arms; then Welch on what is left.
    both = np.concatenate(value), np.concatenate(pre)
    theta = np.cov(*both)[0, 1] / both[1].var(ddof=1)
    left = [v - theta * (p - both[1].mean()) for v, p in zip(value, pre, strict=True)]
    adjusted = effects.mean_effect(sums(value[0], pre[0]), sums(value[1], pre[1]), confidence=0.95, adjusted=True)
    theirs = stats.ttest_ind(*left, equal_var=False)
    assert adjusted.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (adjusted.low, adjusted.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-9)
    narrower = (adjusted.high - adjusted.low) / (plain.high - plain.low)
    assert adjusted.gain == pytest.approx(1 - narrower**2, abs=0.01)


@settings(max_examples=100, deadline=None)
@given(st.floats(0.5, 50), st.floats(-3, 3), st.floats(0.2, 4), st.integers(30, 500), st.integers(30, 500))
def test_relative_and_absolute_intervals_agree_on_zero(mean, shift, spread, n, m):
    arm = {"n": n, "mean": mean + shift, "var": spread**2}
    control = {"n": m, "mean": mean, "var": (1.3 * spread) ** 2}
    found = effects.mean_effect(arm, control, confidence=0.95, adjusted=False)
    if not math.isnan(found.relative_low) and min(abs(found.low), abs(found.high)) > 1e-9:
        assert (found.low > 0) == (found.relative_low > 0) and (found.high < 0) == (found.relative_high < 0)
        assert found.relative_low <= found.relative <= found.relative_high


def test_a_mean_beside_zero_has_its_difference_all_the_same():
    arm, control = {"n": 200, "mean": 1e-5, "var": 4.0}, {"n": 150, "mean": 3.0, "var": 5.0}
    found = effects.mean_effect(arm, control, confidence=0.95, adjusted=False)
    theirs = stats.ttest_ind_from_stats(1e-5, 2, 200, 3.0, 5**0.5, 150, equal_var=False)
    assert found.effect == pytest.approx(1e-5 - 3) and found.p_value == pytest.approx(theirs.pvalue, rel=1e-6)
    assert found.means == pytest.approx((3.0, 1e-5))


def test_holms_correction_runs_over_all_metrics_and_arms(write_shop, rng):
    from statsmodels.stats.multitest import multipletests

    assigned = arms(rng, {"control": 300, "a": 300, "b": 300})
    better = (assigned["variant"] == "b").to_numpy()
    outcomes = outcomes_of(
        assigned,
        converted=(rng.random(900) < 0.3 + 0.15 * better).astype(float),
        spent=rng.gamma(2, 5, 900) + 2 * better,
    )
    shop = crm.connect(write_shop(assignments=assigned, outcomes=outcomes), as_of="2026-02-01")
    _, _, results, verdicts, findings, *_ = page(shop)
    table = results.table
    assert len(table) == 4 and (table["control"] == "control").all()
    assert table["p_adjusted"].to_numpy() == pytest.approx(multipletests(table["p_value"], method="holm")[1])
    # The primary measure decides for two arms at once: each interval at 97.5 %.
    primary = table[table["primary"]]
    assert primary["metric"].unique().tolist() == ["converted"] and primary["level"].unique() == pytest.approx(0.975)
    b = primary[primary["variant"] == "b"].iloc[0]
    events = [round(b[mean] * b[n]) for mean, n in (("mean", "n"), ("mean_control", "n_control"))]
    assert (b["low"], b["high"]) == pytest.approx(
        compare.difference_interval(events[0], 300, events[1], 300, confidence=0.975)
    )
    assert verdicts.table["state"].tolist() == ["open", "higher"]
    assert findings["experiments"].value == findings["decided"].value == 1


def test_an_a_a_test_errs_at_the_declared_rate(rng):
    found = 0
    looks = 600
    for _ in range(looks):
        a, b = (np.where(rng.random(1500) < 0.1, rng.lognormal(3, 0.8, 1500), 0.0) for _ in range(2))
        found += effects.mean_effect(sums(a), sums(b), confidence=0.95, adjusted=False).p_value < 0.05
    low, high = stats.binom.interval(0.999, looks, 0.05)
    assert low <= found <= high
    found = 0
    for x, y in rng.binomial(800, 0.06, (looks, 2)):
        found += compare.score_test(int(x), 800, int(y), 800) < 0.05
    assert found <= stats.binom.ppf(0.9995, looks, 0.05)


# ---- real data and planted truth -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cookie_cats(tmp_path_factory) -> crm.Shop:
    path = SHARED / "cookie_cats.csv"
    if not path.is_file():
        pytest.skip("../shared/data is not here")
    raw = pd.read_csv(path)
    folder = tmp_path_factory.mktemp("cookie_cats")
    base = pd.DataFrame({"experiment": "gate", "unit_id": raw["userid"]})
    base.assign(variant=raw["version"], assigned_at="2026-01-01").to_csv(folder / "assignments.csv", index=False)
    metrics = {
        "retention_1": raw["retention_1"].astype(int),
        "retention_7": raw["retention_7"].astype(int),
        "rounds": raw["sum_gamerounds"],
    }
    pd.concat([base.assign(metric=name, value=value) for name, value in metrics.items()]).to_csv(
        folder / "outcomes.csv", index=False
    )
    return crm.connect(folder, as_of="2026-02-01")


def test_cookie_cats_comes_out_as_published(cookie_cats):
    # ../shared/METHODS.md, 'Experiments'; gate_40 against gate_30, 45,489 and 44,700 players.
    with pytest.raises(UsageError, match=r"'gate_30', 'gate_40'"):
        page(cookie_cats)
    _, checks, results, verdicts, findings, *_ = page(cookie_cats, control="gate_30", primary="retention_7")
    ratio = checks.table.set_index("check").loc["sample_ratio"]
    assert (ratio["verdict"], round(ratio["p_value"], 4)) == ("warning", 0.0086)
    table = results.table.set_index("metric")
    assert table.loc["retention_1", ["n_control", "n"]].tolist() == [44_700, 45_489]
    means = table[["mean_control", "mean"]].round(4)
    assert means.loc["retention_1"].tolist() == [0.4482, 0.4423] and means.loc["retention_7"].tolist() == [
        0.1902,
        0.1820,
    ]
    assert table["p_value"].round(4).drop("retention_7").to_dict() == {"retention_1": 0.0744, "rounds": 0.3759}
    assert table.loc["retention_7", "p_value"] == pytest.approx(0.00155, abs=5e-6)
    assert table["mean_control"]["rounds"] == pytest.approx(52.46, abs=0.005)
    # One player of 49,854 rounds: a heavy tail, and said so.
    assert checks.table.set_index("check").loc["heavy_tail: rounds", "verdict"] == "warning"
    assert verdicts.table["state"].tolist() == ["lower"] and verdicts.table["decision"].tolist() == ["stop"]
    assert findings.status == "warnings"
    # Read, but with a doubt that stands open on the page.
    assert findings.headline == "Gate lowers retention 7."
    split = ex.part_split(checks)
    assert split.title == "The split in gate is doubtful: read it with care" and not split.detail
    assert findings.actions[0].what == "End gate: keep the old version"
    assert findings.actions[0].why.endswith("Its split is doubtful.")


def test_the_demo_shops_tests_are_read_rightly(demo_shop, demo_folder):
    truth = json.loads((demo_folder / "truth.json").read_text())["experiments"]
    found = page(demo_shop)
    facts, _checks, results, verdicts, findings, *_ = found
    states = verdicts.table.set_index("experiment")["state"].to_dict()
    assert states == {
        "free_shipping": "open",
        "gift_note": "running",
        "new_header": "open",
        "sorting": "void",
    }
    two = facts.apart.set_index("experiment")["two_arms"].to_dict()
    assert two == {name: len(one["units_in_two_arms"]) for name, one in truth.items()}
    assert [findings[name].value for name in ("experiments", "decided", "void", "running")] == [4, 0, 1, 1]
    rows = verdicts.table.set_index("experiment")
    assert rows.loc["free_shipping", ["decision", "said"]].tolist() == [
        "open",
        "Free shipping sells more, but we can't tell if it pays",
    ]
    assert findings["open"].value == 2 and rows.loc["new_header", "decision"] == "open"
    assert [(action.what, action.worth) for action in findings.actions] == [
        ("Decide whether to keep free shipping", "€1,800 margin a month, uncertain"),
        ("Ignore the sorting test: 1,200 visitors are missing from the new version", ""),
        ("Let the gift note test run to its end", ""),
        ("Leave new header out, or plan a longer test", ""),
    ]
    assert "A clear answer would take about nine months more." in findings.actions[0].why
    assert findings.actions[0].why.endswith("There is 1 chance in 7 that it loses money.")
    part = next(part for part in findings.parts if "worth" in part.tables)
    shown = {row[0]: row for row in part.chart.table["rows"]}
    assert shown["free shipping"][-1] == "1 chance in 7" and "(" in shown["free shipping"][2]
    # Of a test that shows no difference no money is told.
    assert "new header" not in shown and "new_header" in set(found.worth.table["experiment"])
    assert all(action.by and action.by.weekday() < 5 for action in findings.actions)
    assert findings.ahead == ("The gift note test can be read from 14\N{NO-BREAK SPACE}October 2026.",)
    assert findings["primary_effect"].note == "from 6.4%" and findings["margin_a_month"].spread
    # The split of each test stands on the page, the heavy tail of one that shows no effect does not.
    names = [check.name for check in findings.checks]
    assert "split" in names and not any("heavy tail" in name and "gift note" in name for name in names)
    assert findings["decided"].note == "of 4"
    # The method's own terms are folded.
    assert all(any(word in line for line in findings.method) for word in ("Holm", "CUPED", "q-value"))
    assert not any(word in " ".join(findings.certain) for word in ("Holm", "CUPED", "q-value"))
    # Nothing of the running test's effect is anywhere in what is published.
    assert not [
        name for name in ("looks", "segments", "worth") if "gift_note" in set(findings.tables[name]["experiment"])
    ]
    gift = findings.tables["results"].query("experiment == 'gift_note'")
    assert (gift["state"] == "running").all()
    assert (
        gift[["mean", "mean_control", "effect", "low", "high", "p_value", "p_adjusted", "q_value"]]
        .isna()
        .all(axis=None)
    )
    assert not [text for text in _checks.table.query("experiment == 'gift_note'")["text"] if "the mean of" in text]
    title = ex.part_checks(_checks, found.groups.splits).title
    assert title == f"4 of {len(findings.tables['checks'])} checks found a problem"
    tested = results.table[results.table["state"] == "ok"]
    assert (tested["gain"] > 0.2).all() and tested["method"].str.startswith("CUPED").all()
    assert all(figure.title for figure in sections(found))


@pytest.mark.slow
def test_planted_effects_lie_within_the_intervals_of_most_seeds():
    from crmlib.shop.samples.demo.experiments import experiments

    held, found_new, void = {"converted": 0, "revenue_per_visitor": 0, "margin_per_visitor": 0}, 0, 0
    for seed in range(20):
        assigned, outcomes, truth = experiments(np.random.default_rng(100 + seed))
        read = (outcomes["experiment"] == "free_shipping") | (outcomes["metric"] == "converted")
        facts = facts_in_pandas(assigned, outcomes[read])
        checks = ex.validate(facts)
        results = ex.fit(checks)
        table = results.table.set_index(["experiment", "metric"])
        for metric in held:
            row = table.loc[("free_shipping", metric)]
            held[metric] += row["low"] <= truth["free_shipping"]["effects"][metric] <= row["high"]
        found_new += table.loc[("new_header", "converted"), "p_value"] < 0.05
        void += ("sorting", "") in checks.blocked
    assert min(held.values()) >= 17, held
    assert found_new <= stats.binom.ppf(0.999, 20, 0.05)
    assert void == 20


def facts_in_pandas(assigned: pd.DataFrame, outcomes: pd.DataFrame) -> Facts:
    """Facts without an engine, for many seeds: the demo's outcomes are one row a unit and metric already."""
    counts = assigned.groupby(["experiment", "unit_id"])["variant"].transform("nunique")
    single = assigned[counts == 1]
    arms_ = (
        single.groupby(["experiment", "variant"])["assigned_at"]
        .agg(units="size", first_at="min", last_at="max")
        .reset_index()
    )
    names = sorted(assigned["experiment"].unique())
    apart = pd.DataFrame(
        {"experiment": names, "two_arms": 0, "repeats": 0, "unassigned_rows": 0, "unassigned_units": 0}
    )
    rows = outcomes.merge(single[["experiment", "unit_id", "variant"]], on=["experiment", "unit_id"])
    moments = moments_in_pandas(rows).assign(missing=0, open=0, several=0, early=0, window_low=14.0, window_high=14.0)
    days = (
        single.groupby(["experiment", single["assigned_at"].dt.date.rename("day"), "variant"])
        .size()
        .rename("units")
        .reset_index()
    )
    capped = moments[["experiment", "metric", "variant", "largest", "n", "mean", "var"]]
    return Facts(
        as_of=pd.Timestamp("2026-10-01").date(),
        source="outcomes",
        window_days=14,
        currency="EUR",
        dated=True,
        arms=arms_,
        apart=apart,
        days=days,
        moments=moments,
        ratios=pd.DataFrame(columns=["experiment", "metric"]),
        quantiles=pd.DataFrame(columns=["experiment", "metric"]),
        capped=capped,
    )


# ---- what cannot be answered -----------------------------------------------------------------------------------------


def test_five_customers_are_too_few_and_the_page_says_so_with_numbers(write_shop):
    assigned = [
        {
            "experiment": "tiny",
            "unit_id": unit,
            "variant": "control" if unit < 4 else "new",
            "assigned_at": "2026-01-01",
        }
        for unit in range(1, 6)
    ]
    orders = [
        {"order_id": unit, "customer_id": unit, "ordered_at": "2026-01-02", "total": 10 * unit} for unit in range(1, 4)
    ]
    shop = crm.connect(write_shop(assignments=assigned, orders=orders), as_of="2026-03-01")
    found = page(shop)
    _facts, _checks, _results, verdicts, findings, *_ = found
    assert findings.status == "too_few"
    assert findings.headline == "The tiny test is too small to tell."
    assert findings["too_few"].value == 1 and findings["primary_effect"].value is None
    assert verdicts.table["why"].iloc[0] == "It needs 30 customers in each arm, has 2."
    assert findings.actions[0].what == "Collect more customers before reading tiny"
    assert findings.tables["results"]["effect"].isna().all()
    assert findings.tables["results"].loc[0, ["n", "n_control", "mean"]].tolist() == [2, 3, 0.0]
    assert all(figure.title for figure in sections(found))
    crm.publish(findings, shop=shop)


def test_few_events_are_judged_exactly_and_at_no_look_before_the_end(write_shop, rng):
    assigned = arms(rng, {"control": 500, "new": 500})
    rare = np.zeros(1000)
    rare[[3, 4, 700]] = 1
    shop = crm.connect(
        write_shop(assignments=assigned, outcomes=outcomes_of(assigned, converted=rare)), as_of="2026-02-01"
    )
    facts = ex.validate(ex.facts(shop))
    row = ex.fit(facts).table.iloc[0]
    assert (
        row["state"] == "ok" and row["method"].startswith("Fisher's exact test") and row["p_value"] == pytest.approx(1)
    )
    row = ex.fit(facts, reading="always").table.iloc[0]
    assert row["state"] == "too_few" and "needs 10 expected units with it in each arm, has 1.5" in row["method"]


def test_one_arm_alone_or_the_same_value_for_all(write_shop, rng):
    alone = arms(rng, {"control": 50}, name="alone")
    same = arms(rng, {"control": 50, "new": 50}, name="same")
    outcomes = pd.concat([outcomes_of(alone, spent=rng.normal(5, 1, 50)), outcomes_of(same, spent=np.full(100, 7.5))])
    shop = crm.connect(write_shop(assignments=pd.concat([alone, same]), outcomes=outcomes), as_of="2026-02-01")
    found = page(shop)
    _facts, _checks, results, verdicts, findings, *_ = found
    assert verdicts.table["state"].tolist() == ["too_few", "unfit"]
    assert results.table["reason"].tolist() == ["is 7.50 for all units, in either version"]
    assert findings.status == "too_few"
    assert all(figure.title for figure in sections(found))


def test_a_test_without_outcomes_is_waiting_or_was_never_measured(write_shop, rng):
    quiet = arms(rng, {"control": 50, "new": 50}, name="quiet")
    other = arms(rng, {"control": 50, "new": 50}, name="other")
    folder = write_shop(assignments=pd.concat([quiet, other]), outcomes=outcomes_of(other, spent=rng.normal(5, 1, 100)))
    late = page(crm.connect(folder, as_of="2026-03-01"))
    assert late[3].table.set_index("experiment")["state"].to_dict() == {
        "other": "open",
        "quiet": "no_outcomes",
    }
    early = page(crm.connect(folder, as_of="2026-01-13"))
    assert early[3].table.set_index("experiment")["state"].to_dict() == {"other": "running", "quiet": "running"}
    assert all(figure.title for figure in sections(early))


def test_only_units_in_two_arms_leave_nothing_to_compare(write_shop):
    rows = [
        {"experiment": "x", "unit_id": unit, "variant": arm, "assigned_at": "2026-01-01"}
        for unit in "ab"
        for arm in ("control", "new")
    ]
    outcomes = [{"experiment": "x", "unit_id": "a", "metric": "spent", "value": 1, "observed_at": "2026-01-05"}]
    found = page(crm.connect(write_shop(assignments=rows, outcomes=outcomes), as_of="2026-02-01"))
    assert found[3].table["state"].tolist() == ["too_few"] and found[4]["experiments"].value == 1
    assert all(figure.title for figure in sections(found))


def test_what_is_missing_or_misnamed_is_named(write_shop, rng):
    assigned = arms(rng, {"old": 40, "new": 40}, name="colour")
    outcomes = outcomes_of(assigned, spent=rng.normal(5, 1, 80))
    with pytest.raises(NotAvailable, match="but not tests"):
        ex.facts(crm.connect(write_shop("a", outcomes=outcomes)))
    with pytest.raises(NotAvailable, match="needs outcomes, or orders"):
        ex.facts(crm.connect(write_shop("b", assignments=assigned)))
    shop = crm.connect(write_shop("c", assignments=assigned, outcomes=outcomes), as_of="2026-02-01")
    with pytest.raises(UsageError, match="no experiment 'color'; did you mean 'colour'"):
        ex.facts(shop, experiment="color")
    with pytest.raises(UsageError, match="no arm named 'control'; it has 'new', 'old'"):
        page(shop)
    with pytest.raises(UsageError, match="no arm 'control'"):
        page(shop, control="control")
    with pytest.raises(UsageError, match="no experiment has a metric 'spend'; did you mean 'spent'"):
        page(shop, control="old", primary="spend")
    with pytest.raises(UsageError, match="the arms of no experiment"):
        page(shop, control="old", split="old=1, blue=1")
    with pytest.raises(UsageError, match="sizes above 0"):
        page(shop, control="old", split="old, new")
    assert page(shop, control="OLD")[1].controls == {"colour": "old"}


def test_before_the_first_assignment_there_is_too_little(write_shop, rng):
    assigned = arms(rng, {"control": 40, "new": 40})
    folder = write_shop(assignments=assigned, outcomes=outcomes_of(assigned, spent=rng.normal(5, 1, 80)))
    with pytest.raises(NotEnoughData, match="before 2025-01-01"):
        ex.facts(crm.connect(folder, as_of="2025-01-01"))


# ---- the page --------------------------------------------------------------------------------------------------------


def test_the_primary_measure_is_chosen_by_name_alone(write_shop, rng):
    assigned = arms(rng, {"control": 60, "new": 60})
    values = {name: rng.normal(5, 1, 120) for name in ("average_basket", "conversion", "zeal")}
    shop = crm.connect(write_shop(assignments=assigned, outcomes=outcomes_of(assigned, **values)), as_of="2026-02-01")
    _, _, results, _, findings, *_ = page(shop)
    assert results.primary == {"x": "conversion"} and not results.named
    assert any("Nobody named the measure" in caveat.text for caveat in findings.caveats)
    _, _, results, _, findings, *_ = page(shop, primary="zeal")
    assert results.primary == {"x": "zeal"} and results.named and results.table["metric"].iloc[0] == "zeal"
    assert not any("Nobody named the measure" in caveat.text for caveat in findings.caveats)


@pytest.mark.parametrize(
    ("margin", "state", "decision", "said"),
    [
        (1.0, "higher", "ship", "X sells more and pays"),
        (-1.0, "higher", "stop", "X sells more, but loses money"),
        (0.0, "open", "open", "X sells more, but we can't tell if it pays"),
    ],
)
def test_selling_more_at_a_loss_is_not_shipped(write_shop, margin, state, decision, said):
    rng = np.random.default_rng(5)
    assigned = arms(rng, {"control": 2000, "new": 2000})
    new = (assigned["variant"] == "new").to_numpy()
    earned = rng.normal(10, 3, 4000)
    earned -= (
        np.where(new, earned[new].mean(), earned[~new].mean()) - 10 - margin * new
    )  # the difference is exactly the margin
    outcomes = outcomes_of(assigned, converted=(rng.random(4000) < 0.1 + 0.06 * new).astype(float), margin=earned)
    verdict = page(crm.connect(write_shop(assignments=assigned, outcomes=outcomes), as_of="2026-02-01"))[3].table.iloc[
        0
    ]
    assert verdict[["state", "decision", "said"]].tolist() == [state, decision, said]


def test_no_difference_says_how_large_one_could_still_be(write_shop):
    rng = np.random.default_rng(6)
    assigned = arms(rng, {"control": 2000, "new": 2000})
    shop = crm.connect(
        write_shop(assignments=assigned, outcomes=outcomes_of(assigned, converted=np.tile([1.0, 0, 0, 0], 1000))),
        as_of="2026-02-01",
    )

    def read(**more):
        found = page(shop, **more)
        return found.results.table.iloc[0], found.verdicts.table.iloc[0]

    row, verdict = read()
    # Nothing is worth having or not until somebody says so: both ends, as the table beside it has them, and no
    # decision.
    assert verdict["said"] == "X shows no clear difference"
    assert (verdict["state"], verdict["decision"]) == ("open", "open")
    assert 2.65 < 100 * row["high"] < 2.75 and 2.65 < -100 * row["low"] < 2.75
    assert effect_text(row, "").endswith("points (−2.7 to 2.7)")
    row, verdict = read(worthwhile=0.2)  # five points of 25: excluded on both sides
    assert "Any effect is smaller than 2.7 points; 5.0 points would be worth having." in verdict["why"]
    assert (verdict["state"], verdict["decision"]) == ("no_difference", "stop")
    _, wide = read(worthwhile=0.05)  # an effect of 1.25 points is not excluded
    assert (wide["state"], wide["decision"]) == ("open", "open")
    # Lehr's rule: about 16 times the variance over the squared effect, in each arm.
    needed = int(wide["why"].split("takes about ")[1].split(" units")[0].replace(",", ""))
    assert needed == pytest.approx(15.7 * 0.25 * 0.75 / 0.0125**2, rel=0.01)


def test_findings_keep_the_contract(demo_shop):
    findings = page(demo_shop).findings
    assert findings["experiments"].value == 4
    assert sorted(findings.tables) == ["checks", "looks", "results", "segments", "since_seen", "worth"]
    assert (
        findings.tables["results"].columns.tolist() == RESULTS and findings.tables["checks"].columns.tolist() == CHECKS
    )
    assert not findings.lists
    # The first tile says what was found, and none counts what only grows.
    assert [metric.id for metric in findings.tiles] == ["primary_effect", "decided", "margin_a_month"]
    assert findings["primary_effect"].label == "Free shipping: conversion" and findings["primary_effect"].signed
    assert (
        findings.headline == "Free shipping sells more, but we can't tell if it pays. "
        "New header shows no clear difference; the sorting test is unusable."
    )
    assert findings["units"].label == "Visitors assigned"
    assert findings.certain[0].startswith("About 95 of 100 such tests") and len(findings.certain[0]) < 200
    void = findings.tables["results"].query("state == 'void'")
    assert len(void) == 3 and void[["mean", "mean_control", "effect", "low", "high", "p_value"]].isna().all(axis=None)
    json.dumps(findings.to_json(), allow_nan=False)
    said = json.dumps(findings.to_json()).lower()
    for never in ("no effect.", "the split is fine", "settle", "set aside", "reckoned"):
        assert never not in said
    assert page(demo_shop)[4].to_json() == findings.to_json()


def test_names_from_the_shop_cannot_break_a_page(write_shop, rng):
    name = "<b>$x$ & $y_{1}$</b> " + "verylongname" * 8
    assigned = arms(rng, {"control": 80, "$new$ <i>": 80}, name="n").assign(experiment=name)
    outcomes = outcomes_of(assigned, **{"$a^2$ <script>": rng.normal(9, 1, 160)})
    found = page(crm.connect(write_shop(assignments=assigned, outcomes=outcomes), as_of="2026-02-01"))
    for part in sections(found):
        for drawing in (part.chart.wide, part.chart.narrow) if part.chart else ():
            assert "<script>" not in drawing and "<b>" not in drawing
        shown = part._repr_mimebundle_()["text/html"]
        assert "<script>" not in shown and "<i>" not in shown
    drawn = ex.part_effects(found.verdicts).chart
    assert "$a^2$" in drawn.wide and drawn.alt
