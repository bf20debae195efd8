"""Experiments as shops bring them: several rows of a unit, unequal arms, several new versions, rare and constant values."""

from __future__ import annotations

import functools
import importlib
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crmlib as crm
from crmlib.analysis import experiments as ex
from crmlib.analysis.experiments import checks, effects, enough, judging, versions
from crmlib.analysis.experiments.judging import Decision, Proviso, State, Verdict
from crmlib.errors import UsageError
from crmlib.stats.compare import exact_range, exact_test
from crmlib.stats.shrinkage import chance_below
from tests.conftest import ROOT
from tests.test_experiments import arms, outcomes_of, page

worth = importlib.import_module("crmlib.analysis.experiments.worth")  # the package's own name is its function
CASES = Path(os.environ.get("CRM_CASES") or ROOT.parent / "shared" / "cases")

# ---- several rows of a unit ------------------------------------------------------------------------------------------


def bought(rng: np.random.Generator, assigned: pd.DataFrame) -> pd.DataFrame:
    """One row for each purchase within two weeks; one to six of each unit."""
    who = np.repeat(np.arange(len(assigned)), 1 + rng.poisson(1, len(assigned)))
    at = assigned["assigned_at"].iloc[who] + pd.to_timedelta(rng.integers(0, 14 * 86_400, len(who)), unit="s")
    value = rng.lognormal(3, 0.5, len(who)).round(2)
    frame = {"experiment": "x", "unit_id": assigned["unit_id"].iloc[who], "metric": "revenue", "value": value}
    return pd.DataFrame(frame | {"observed_at": at}).reset_index(drop=True)


@pytest.mark.parametrize("kind", ["dated", "undated", "twice"])
def test_rows_of_a_unit_are_added_up_and_nobody_is_dropped(write_shop, rng, kind):
    assigned = arms(rng, {"control": 300, "new": 300})
    events = bought(rng, assigned)
    brought = {"dated": events, "undated": events.drop(columns="observed_at"), "twice": pd.concat([events, events])}
    shop = crm.connect(write_shop(assignments=assigned, outcomes=brought[kind]), as_of="2026-02-10")
    found = ex.facts(shop)
    theirs = events.groupby("unit_id")["value"].sum().groupby(assigned.set_index("unit_id")["variant"]).mean()
    ours = found.moments.set_index("variant")
    assert ours["n"].tolist() == [300, 300] and ours["missing"].tolist() == [0, 0]
    assert ours["mean"].to_dict() == pytest.approx(theirs.to_dict())
    several = (events.groupby("unit_id").size() > 1).sum()
    assert int(ours["several"].sum()) == several
    said = ex.validate(found).table.set_index("kind")["said"]
    assert said["several"] == f"{several} units have several rows of revenue; they are added up."
    assert "equal_windows" not in said.index


def test_who_did_it_twice_did_it_and_what_came_before_does_not_count(write_shop, rng):
    assigned = arms(rng, {"control": 50, "new": 50}, days=1)
    did = outcomes_of(assigned, converted=(np.arange(100) % 4 == 0).astype(float))
    again = did[did["value"] == 1].assign(observed_at=lambda rows: rows["observed_at"] - pd.Timedelta(days=1))
    before = again.head(5).assign(observed_at=pd.Timestamp("2025-12-01 10:00"))
    shop = crm.connect(write_shop(assignments=assigned, outcomes=pd.concat([did, again, before])), as_of="2026-02-10")
    found = ex.facts(shop)
    assert found.moments["mean"].to_numpy() == pytest.approx([0.26, 0.24])
    said = ex.validate(found).table.set_index("kind")["said"]
    assert said["several"] == "25 units have several rows of conversion; who ever did it counts once."
    assert said["early"].startswith("5 units have values of conversion from before the test")


def test_a_test_measured_on_one_day_ended_for_everybody_that_day(write_shop, rng):
    assigned = arms(rng, {"control": 200, "new": 200}, days=30)
    closed = outcomes_of(assigned, spent=rng.normal(10, 2, 400).round(2)).assign(observed_at="2026-02-01")
    found = ex.validate(ex.facts(crm.connect(write_shop(assignments=assigned, outcomes=closed), as_of="2026-02-02")))
    assert found.facts.moments[["n", "open"]].to_numpy().tolist() == [[200, 0]] * 2
    assert "equal_windows" in set(found.table["kind"])


# ---- unequal arms and large values -----------------------------------------------------------------------------------


def spent(rng: np.random.Generator, size: int) -> pd.Series:
    value = np.where(rng.random(size) < 0.03, rng.lognormal(3, 1.5, size), 0.0)
    third = float(((value - value.mean()) ** 3).mean())
    numbers = {"n": size, "mean": value.mean(), "var": value.var(ddof=1), "skew3": third}
    return pd.Series(numbers | {"nonzero": int((value > 0).sum())}, name="new")


def test_unequal_arms_with_large_values_decide_nothing():
    rng, p, told = np.random.default_rng(5), [], []
    for _ in range(300):
        control, new = spent(rng, 4_500), spent(rng, 500)
        numbers = [row[["n", "mean", "var"]].to_dict() for row in (new, control)]
        p.append(effects.mean_effect(*numbers, confidence=0.95, adjusted=False).p_value)
        told.append(enough.lacking(new, control, kind="mean"))
    # Two equal things: what Welch says of them is false far more often than one time in twenty.
    assert np.mean(np.array(p) < 0.05) > 0.1
    assert not [one for one, said in zip(p, told, strict=True) if one < 0.05 and not said]
    assert "which arms of 4,500 and 500 units cannot share out evenly" in told[0] or "expected" in told[0]
    # Equal arms cancel what is skew in both, and are judged.
    assert not enough.lacking(spent(rng, 4_000), spent(rng, 4_000), kind="mean")


# ---- several new versions --------------------------------------------------------------------------------------------


def three(write_shop, rng, shares: dict[str, float], size: int = 4_000):
    assigned = arms(rng, dict.fromkeys(shares, size))
    converted = np.concatenate([np.arange(size) < share * size for share in shares.values()]).astype(float)
    shop = crm.connect(write_shop(assignments=assigned, outcomes=outcomes_of(assigned, converted=converted)))
    return page(shop)


def test_two_versions_that_beat_the_old_one_are_not_both_given_to_everybody(write_shop, rng):
    found = three(write_shop, rng, {"control": 0.10, "blue": 0.14, "red": 0.145})
    rows = found.verdicts.table.set_index("variant")
    assert rows["decision"].tolist() == ["choose", "choose"] and rows["proviso"].tolist() == [Proviso.TIED] * 2
    assert [action.what for action in found.findings.actions] == [
        "Choose between blue and red for x: each beats the old version"
    ]
    assert found.findings.headline == "X: blue and red sell more, none clearly most."
    pair = found.findings.tables["versions"].iloc[0]
    one, other = effects.share_effect(580, 4_000, 560, 4_000, confidence=0.95), pair
    assert (pair["variant"], pair["against"]) == ("red", "blue")
    assert (other["effect"], other["low"], other["high"]) == pytest.approx((one.effect, one.low, one.high))


def test_the_version_that_clearly_beats_the_other_is_shipped_alone(write_shop, rng):
    found = three(write_shop, rng, {"control": 0.10, "blue": 0.13, "red": 0.18})
    rows = found.verdicts.table.set_index("variant")
    assert rows["decision"].to_dict() == {"blue": "stop", "red": "ship"}
    assert rows.loc["blue", "said"] == "X (blue) sells more, but less than red"
    assert [action.what for action in found.findings.actions] == [
        "Give x (red) to everybody",
        "End x (blue): red does more",
    ]


def test_what_is_open_beside_a_version_that_ships_is_left_out():
    ship = Verdict(variant="a", state=State.HIGHER, decision=Decision.SHIP, why="", side=1)
    waits = Verdict(variant="b", state=State.OPEN, decision=Decision.OPEN, why="")
    pairs = pd.DataFrame(columns=["variant", "against", "low", "high"])
    found = versions.settled([ship, waits], pairs, currency="EUR")
    assert [one.decision for one in found] == ["ship", "stop"]
    assert versions.settled([waits, waits], pairs, currency="EUR") == [waits, waits]


# ---- what is worth having --------------------------------------------------------------------------------------------


def test_the_old_one_is_kept_where_there_is_hardly_anything_to_gain(write_shop, rng):
    # As in the well-known landing-page test, a tenth of its size: 12.04 % v 11.88 %, at best a gain under a hundredth.
    size, events = 290_000, {"control": 34_916, "new": 34_452}
    row = effects.share_effect(events["new"], size, events["control"], size, confidence=0.95)
    assert row.low < 0 < row.high < judging.USUAL_LEAST * events["control"] / size
    assigned = arms(rng, {"control": 2_000, "new": 2_000})
    spend = np.concatenate([np.resize([99.0, 101.0], 2_000), np.resize([98.9, 101.0], 2_000)])
    found = page(crm.connect(write_shop(assignments=assigned, outcomes=outcomes_of(assigned, spent=spend))))
    verdict = found.verdicts.table.iloc[0]
    assert (verdict["state"], verdict["decision"]) == ("no_difference", "stop")
    assert found.findings.actions[0].what == "Keep the old version: at best x adds 0.01"


def test_a_gain_that_is_clear_and_too_small_is_not_shipped(write_shop, rng):
    assigned = arms(rng, {"control": 2_000, "new": 2_000})
    spend = np.concatenate([np.resize([99.0, 101.0], 2_000), np.resize([99.3, 101.3], 2_000)])
    shop = crm.connect(write_shop(assignments=assigned, outcomes=outcomes_of(assigned, spent=spend)))
    results = ex.fit(ex.validate(ex.facts(shop)))
    assert ex.score(results, ex.worth(results)).table["decision"].tolist() == ["ship"]
    small = ex.score(results, ex.worth(results), worthwhile=0.01).table.iloc[0]
    assert (small["decision"], small["proviso"]) == ("stop", Proviso.SMALL)
    assert small["said"] == "X raises spent, but too little to be worth having"


# ---- missing pre-values ----------------------------------------------------------------------------------------------


def test_units_without_a_past_are_a_group_of_their_own(write_shop, rng):
    assigned = arms(rng, {"control": 600, "new": 600})
    new = rng.random(1_200) < 0.4
    before = rng.gamma(2, 10, 1_200).round(2)
    value = np.where(new, 4.0, before + 30) + rng.normal(0, 8, 1_200)
    brought = outcomes_of(assigned, spent=value.round(2)).assign(pre_value=np.where(new, np.nan, before))
    row = ex.fit(ex.validate(ex.facts(crm.connect(write_shop(assignments=assigned, outcomes=brought))))).table.iloc[0]
    # Ordinary least squares on the pre-value and on whether there is one.
    treated = (assigned["variant"] == "new").to_numpy(dtype=float)
    design = np.column_stack([np.ones(1_200), treated, np.where(new, 0, before), new])
    slope, *_ = np.linalg.lstsq(design, value.round(2), rcond=None)
    assert row["effect"] == pytest.approx(slope[1], abs=0.05)
    left = value.round(2) - design[:, 2:] @ slope[2:]
    assert row["gain"] == pytest.approx(1 - left.var() / value.var(), abs=0.01)
    filled = np.where(new, before[~new].mean(), before)
    assert row["gain"] > np.corrcoef(filled, value)[0, 1] ** 2 + 0.2


# ---- the chance of a loss --------------------------------------------------------------------------------------------


def test_the_chance_of_a_loss_counts_what_other_tests_found():
    rng, flat, drawn, lost = np.random.default_rng(8), [], [], []
    for _ in range(600):
        error = rng.uniform(0.02, 0.06, 11)
        truth = rng.normal(0, 0.02, 11)
        seen = truth + rng.normal(0, error)
        flat.append(chance_below(seen[-1], error[-1]))
        drawn.append(chance_below(seen[-1], error[-1], past=seen[:-1], past_errors=error[:-1]))
        lost.append(truth[-1] < 0)
    one, other, came = np.array(flat), np.array(drawn), np.array(lost)
    assert ((other - came) ** 2).mean() < ((one - came) ** 2).mean()
    # Where a test taken alone promises little risk, it is the other chance that comes true.
    sure = one < 0.15
    assert abs(other[sure].mean() - came[sure].mean()) < 0.07 < abs(one[sure].mean() - came[sure].mean())
    assert chance_below(1.0, 1.0) == pytest.approx(stats.norm.cdf(-1.0))


def test_how_many_tests_a_chance_rests_on():
    row = pd.Series({"effect": 0.2, "error": 0.2, "mean_control": 2.0, "open": 0})
    margins = {(f"t{number}", "new"): row for number in range(4)}
    assert len(worth._past(margins, "t0")) == 3
    assert worth._past(dict(list(margins.items())[:3]), "t0") == []
    margins[("t3", "new")] = row.where(row.index != "open", 5)
    assert worth._past(margins, "t0") == []


# ---- rare and constant values ----------------------------------------------------------------------------------------


def test_rare_outcomes_are_judged_exactly():
    rng = np.random.default_rng(9)
    rare = functools.cache(lambda *counts: effects.rare_effect(*counts, confidence=0.95))
    for n, share, n_control, base in ((300, 0.01, 300, 0.01), (200, 0.01, 900, 0.01), (400, 0.02, 400, 0.004)):
        pairs = zip(rng.binomial(n, share, 400).tolist(), rng.binomial(n_control, base, 400).tolist(), strict=True)
        found = [(x, y, rare(x, n, y, n_control)) for x, y in pairs]
        assert np.mean([one.low <= share - base <= one.high for *_, one in found]) >= 0.95
        if share == base:
            assert np.mean([one.p_value < 0.05 for *_, one in found]) <= 0.05
        assert all((one.p_value < 0.05) == (one.low > 0 or one.high < 0) for *_, one in found)
        for x, y, one in found[:40]:
            tails = [
                stats.fisher_exact([[x, n - x], [y, n_control - y]], alternative=a)[1] for a in ("less", "greater")
            ]
            assert exact_test(x, n, y, n_control) == pytest.approx(min(1, 2 * min(tails)))
            assert one.p_value >= exact_test(x, n, y, n_control) - 1e-12
    assert exact_range(0, 100, confidence=0.95)[2] == pytest.approx(1 - 0.025 ** (1 / 100))
    assert effects.rare_effect(0, 500, 0, 500, confidence=0.95).p_value == 1


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not here")
@pytest.mark.parametrize(
    ("case", "measure", "state", "effect", "reason"),
    [
        ("46_ratio", "revenue/orders", "unfit", 0.0, "is 20 for all units, in either version"),
        ("46_ratio/sib_zero_both", "revenue/orders", "too_few", math.nan, "needs 30 units in each arm to divide by"),
        ("46_ratio/sib_zero_both", "orders", "ok", 0.0, ""),
        ("46_ratio/sib_zero_denominator", "revenue/orders", "too_few", math.nan, "needs 30 units in each arm"),
        ("46_ratio/sib_one_arm_constant", "revenue/orders", "ok", 3.162, ""),
        ("47_winsor_zero", "revenue@0.95", "too_few", math.nan, "has so many units that share one value"),
        ("49_constant", "items", "ok", 0.0, ""),
        ("49_constant/sib_one_two", "items", "unfit", 1.0, "is 1 for all units of control and 2 for all of new"),
        ("49_constant/sib_rounding", "items", "unfit", 0.0, "is 0.10 for all units"),
        ("49_constant/sib_all_none", "converted", "unfit", -1.0, "only says which version units saw"),
        ("49_constant/sib_nan_inf", "items", "void", math.nan, "the arms cannot be compared"),
        ("49_constant/sib_one_unit", "items", "void", math.nan, "the arms cannot be compared"),
        ("50_one_constant", "items", "ok", 0.5, ""),
    ],
)
def test_values_without_spread_are_judged_or_refused_in_words(case, measure, state, effect, reason):
    shop = crm.connect(CASES / case)
    also = {"46": {"ratios": "revenue/orders"}, "47": {"quantiles": "revenue@0.95"}}.get(case[:2], {})
    found = page(shop, **also)
    row = found.results.table.set_index("metric").loc[measure]
    assert row["state"] == state and row["reason"].startswith(reason)
    assert row["effect"] == pytest.approx(effect, abs=0.001, nan_ok=True)
    assert found.findings.headline and found.findings.actions
    if case == "50_one_constant":
        values = pd.read_csv(CASES / case / "outcomes.csv").merge(pd.read_csv(CASES / case / "assignments.csv"))
        new = values.loc[
            values["variant"] == "new", "value"
        ]  # control's 400 are all 1, with nothing to add to the error
        assert row["p_value"] == pytest.approx(stats.ttest_1samp(new, 1.0).pvalue)


# ---- names, and ratios by unit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "wanted", "control"),
    [
        (["new", "holdout"], "", "holdout"),
        (["Hold-Out", "new"], "", "Hold-Out"),
        (["held_out", "new"], "", "held_out"),
        (["baseline", "new"], "", "baseline"),
        (["Control", "new"], "", "Control"),
        (["control", "holdout", "new"], "holdout", "holdout"),
        (["a", "b"], "B", "b"),
    ],
)
def test_the_old_version_is_known_by_its_name(names, wanted, control):
    assert checks._control("x", names, wanted) == control


def test_the_old_version_is_asked_for_where_its_name_does_not_tell():
    with pytest.raises(UsageError, match="'control' and 'holdout' may each be the old version: say which"):
        checks._control("x", ["control", "holdout", "new"], "")
    with pytest.raises(UsageError, match="no arm named 'control'; it has 'a', 'b'"):
        checks._control("x", ["a", "b"], "")


def test_a_ratio_is_cut_back_by_unit(write_shop, rng):
    assigned = arms(rng, {"control": 1_500, "new": 1_500})
    orders = rng.poisson(1.5, 3_000).astype(float)
    orders[0] = 4_000.0  # a wholesale buyer, at the price of all others
    shop = crm.connect(
        write_shop(assignments=assigned, outcomes=outcomes_of(assigned, orders=orders, spent=20 * orders))
    )
    facts = ex.facts(shop, also="spent/orders")
    cut = facts.capped[facts.capped["metric"] == "spent/orders"]
    assert cut["mean"].to_numpy() == pytest.approx([20.0, 20.0], rel=1e-4)
    plain = facts.ratios.set_index("variant")
    assert plain["mean"].to_numpy() == pytest.approx([20.0, 20.0]) and plain["var"].max() < 1e-6
    # One order at the price of thousands weighs like the largest others do.
    outlier = np.where(np.arange(3_000) == 0, 90_000.0, 20 * np.minimum(orders, 9))
    brought = outcomes_of(assigned, orders=np.minimum(orders, 9), spent=outlier)
    cut = ex.facts(crm.connect(write_shop(assignments=assigned, outcomes=brought)), also="spent/orders").capped
    mean = cut[cut["metric"] == "spent/orders"].set_index("variant")["mean"]
    assert mean["control"] == pytest.approx(20, rel=0.02)
