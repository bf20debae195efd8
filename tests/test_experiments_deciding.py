"""Experiments: every verdict there is, and what decides where it is a ratio or a quantile."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import crmlib as crm
from crmlib.analysis import experiments as ex
from crmlib.analysis.experiments import judging, measures
from crmlib.analysis.experiments.planning import power_of
from crmlib.errors import UsageError
from crmlib.stats import sequential
from tests.test_experiments import arms, outcomes_of, page, sections

# ---- every verdict ---------------------------------------------------------------------------------------------------

# Units and conversions of the new version and of control, and what is to be said and done where a tenth of control's
# mean is
# the smallest effect worth having. By hand: with half converting, 4,000 units an arm give ±2.2 points, 600 give ±5.7,
# 400 ±6.9.
EVERY = {
    "higher": ((4_000, 2_400), (4_000, 2_000), "ship"),
    "lower": ((4_000, 1_600), (4_000, 2_000), "stop"),
    "no_difference": ((4_000, 2_000), (4_000, 2_000), "stop"),
    "no_gain": ((600, 288), (600, 300), "stop"),
    "open": ((400, 204), (400, 200), "open"),
    "void": ((3_400, 2_000), (4_000, 2_000), "void"),
    "too_few": ((20, 12), (20, 10), "extend"),
    "running": ((400, 200), (400, 200), "extend"),
    "no_outcomes": ((50, 0), (50, 0), "extend"),
    "unfit": ((60, 60), (60, 0), "extend"),
}


@pytest.fixture(scope="module")
def every(tmp_path_factory) -> crm.Shop:
    rng = np.random.default_rng(1)
    assigned, outcomes = [], []
    for name, (new, control, _) in EVERY.items():
        first = "2026-02-20" if name == "running" else "2026-01-01"
        one = arms(rng, {"new": new[0], "control": control[0]}, name=name, first=first)
        assigned.append(one)
        if name != "no_outcomes":
            converted = np.concatenate([np.arange(size) < events for size, events in (new, control)])
            spent = rng.normal(10, 1, len(one))
            spent[0] = 90_000.0  # of the new version: a heavy tail
            outcomes.append(outcomes_of(one, converted=converted.astype(float), spent=spent))
    folder = tmp_path_factory.mktemp("every")
    pd.concat(assigned).to_csv(folder / "assignments.csv", index=False)
    pd.concat(outcomes).to_csv(folder / "outcomes.csv", index=False)
    return crm.connect(folder, as_of="2026-03-03")


@pytest.fixture(scope="module")
def judged(every):
    return page(every, worthwhile=0.1, unit="players")


def test_every_state_there_is_is_reached_and_leads_to_what_it_should(judged):
    rows = judged.verdicts.table.set_index("experiment")
    assert rows["state"].to_dict() == {name: name for name in EVERY}
    assert rows["decision"].to_dict() == {name: decision for name, (*_, decision) in EVERY.items()}
    assert set(rows["state"]) == set(judging.State)
    assert set(rows["decision"]) == set(judging.Decision) - {"choose"}  # that takes several new versions
    assert rows["said"].to_dict() == {
        "higher": "Higher sells more",
        "lower": "Lower sells less",
        "no_difference": "No difference makes no difference worth having",
        "no_gain": "No gain brings no gain worth having",
        "open": "Open shows no clear difference",
        "void": "The void test is unusable",
        "too_few": "The too few test is too small to tell",
        "running": "The running test is still running",
        "no_outcomes": "Nothing was measured in the no outcomes test",
        "unfit": "The unfit test can't be judged by its measure",
    }
    assert (
        "At best it adds 4 points; 5.0 points would be worth having. A loss is still possible."
        in rows.loc["no_gain", "why"]
    )
    assert "Any effect is smaller than 2.2 points" in rows.loc["no_difference", "why"]
    assert judged.findings.headline == (
        "Higher sells more. Three other versions have a result too. "
        "Open shows no clear difference; the void test is unusable."
    )
    assert [action.what for action in judged.findings.actions] == [
        "Give higher to everybody",
        "End lower: keep the old version",
        "Keep the old version: at best no difference adds 2.2 points",
        "Keep the old version: at best no gain adds 4 points",
        "Ignore the void test: 600 players are missing from the new version",
        "Let the running test run to its end",
        "Choose another measure for unfit",
        "Bring the outcomes of no outcomes",
        "Collect more players before reading too few",
        "Leave open out, or plan a longer test",
    ]
    assert all(figure.title for figure in sections(judged))


def test_nothing_of_a_void_or_running_test_can_be_read_as_a_result(judged):
    results = judged.findings.tables["results"]
    hidden = results[results["state"].isin(["void", "running"])]
    assert set(hidden["experiment"]) == {"void", "running"}
    numbers = ["mean", "mean_control", "effect", "low", "high", "p_value", "p_adjusted", "q_value"]
    assert hidden[numbers].isna().all(axis=None) and (hidden["n"] > 0).all()
    texts = judged.checks.table[judged.checks.table["check"] == "heavy_tail: spent"].set_index("experiment")["text"]
    told = {name for name, text in texts.items() if "the mean of" in text}
    assert {"void", "running", "higher"} <= set(texts.index)
    assert "higher" in told and not told & {"void", "running"}


def test_what_was_assigned_is_called_by_its_name(every, judged):
    findings = judged.findings
    assert findings["units"].label == "Players assigned"
    table = ex.part_verdicts(judged.verdicts).chart.table
    assert "Players" in [column["label"] for column in table["columns"]]
    said = " ".join(
        [findings.headline, *(one.what + one.why for one in findings.actions), *findings.certain, *findings.method]
    )
    assert " units" not in said
    assert ex.facts(every, experiment="open").unit == "units"


@settings(max_examples=300, deadline=None)
@given(st.floats(-0.5, 0.5), st.floats(1e-5, 0.4), st.sampled_from(["share", "money", "number"]))
def test_a_sentence_and_the_table_round_alike(effect, half, kind):
    row = pd.Series({"effect": effect, "low": effect - half, "high": effect + half, "kind": kind})
    most = measures.most_text(row, "EUR")
    assert most.removesuffix(" points").lstrip("€") in measures.effect_text(row, "EUR").partition("(")[2]


def test_an_end_off_zero_does_not_read_as_zero():
    row = pd.Series({"effect": 0.0102, "low": 0.0004, "high": 0.02, "kind": "share"})
    assert measures.effect_text(row, "") == "+1.02 points (0.04 to 2.00)"


# ---- a ratio or a quantile that decides ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spending(tmp_path_factory):
    """Orders are the same in both arms, money an order a fifth more, and margin as it was."""
    rng = np.random.default_rng(2)
    assigned = arms(rng, {"control": 1_500, "new": 1_500}, days=28)
    new = (assigned["variant"] == "new").to_numpy()
    orders = 1.0 + rng.poisson(0.8, 3_000)
    revenue = (orders * rng.lognormal(3, 0.5, 3_000) * np.where(new, 1.2, 1.0)).round(2)
    early, late = outcomes_of(assigned, orders=orders), outcomes_of(assigned, days=14, revenue=revenue)
    folder = tmp_path_factory.mktemp("spending")
    assigned.to_csv(folder / "assignments.csv", index=False)
    more = outcomes_of(assigned, days=14, margin=rng.normal(5, 2, 3_000).round(2))
    pd.concat([early, late]).to_csv(folder / "outcomes.csv", index=False)
    margins = tmp_path_factory.mktemp("margins")
    assigned.to_csv(margins / "assignments.csv", index=False)
    pd.concat([early, late, more]).to_csv(margins / "outcomes.csv", index=False)
    return folder, margins


def test_a_ratio_decides(spending):
    shop = crm.connect(spending[0], as_of="2026-03-01")
    found = page(shop, primary="revenue/orders", worthwhile=0.05)
    row, verdict = found.results.table.iloc[0], found.verdicts.table.iloc[0]
    assert (row["metric"], row["primary"], found.results.named) == ("revenue/orders", True, True)
    # More money an order is not more sold.
    assert verdict[["state", "decision", "said"]].tolist() == ["higher", "ship", "X raises revenue / orders"]
    assert found.findings["primary_effect"].value == pytest.approx(row["effect"])
    assert found.looks.days.empty and found.groups.effects.empty
    # The planner: four times the units find half the effect; what the test had finds what it could.
    plan = power_of(found.results, worthwhile=0.05).iloc[0]
    assert plan["needed"] == pytest.approx(1_500 * (plan["detectable"] / plan["least"]) ** 2, rel=0.01)
    assert all(figure.title for figure in sections(found))
    always = page(shop, primary="revenue/orders", reading="always").results.table.iloc[0]
    factor = float(sequential.widening(1_500, 1_500, alpha=0.05, planned=sequential.PLANNED_UNITS))
    assert always["high"] - always["effect"] == pytest.approx(factor * row["error"])


def test_a_ratio_ends_with_the_later_of_its_two_metrics(spending):
    # Orders are complete after 7 days, revenue after 14: by 9 February all orders are known, and not all revenue. The
    # last came
    # on 28 January, and was followed to some hour of 11 February: the first day to read it is the 12th.
    shop = crm.connect(spending[0], as_of="2026-02-09")
    assert page(shop, primary="orders").verdicts.table["state"].tolist() == ["open"]
    fixed = page(shop, primary="revenue/orders")
    assert fixed.verdicts.table[["state", "by"]].iloc[0].tolist() == ["running", date(2026, 2, 12)]
    assert fixed.findings["primary_effect"].value is None
    early = page(shop, primary="revenue/orders", reading="always")
    assert early.verdicts.table["state"].tolist() == ["higher"] and early.verdicts.table["early"].all()
    assert not early.findings.predictions


def test_a_quantile_decides_where_it_is_read_once(spending):
    shop = crm.connect(spending[1], as_of="2026-03-01")
    found = page(shop, primary="revenue@0.8", worthwhile=0.05, units_a_month=1_000)
    row, verdict = found.results.table.iloc[0], found.verdicts.table.iloc[0]
    assert row["metric"] == "revenue@0.8" and row["low"] > 0 and row["relative_low"] > 0
    # Its money is that of the margin, which was measured and is not clear.
    assert (verdict["state"], verdict["decision"]) == ("open", "open")
    assert verdict["said"] == "X raises 80% quantile of revenue, but we can't tell if it pays"
    assert found.worth.table["metric"].tolist() == ["margin"]
    plan = power_of(found.results, worthwhile=0.05).iloc[0]
    assert plan["detectable"] == pytest.approx(2.8016 * (row["high"] - row["low"]) / 2 / 1.96, rel=1e-3)
    assert ex.part_effects(found.verdicts).chart.wide
    with pytest.raises(UsageError, match=r"quantile, which is read once.*reading=fixed, or a mean, a share or a ratio"):
        page(shop, primary="revenue@0.8", reading="always")
    with pytest.raises(UsageError, match="no experiment has a metric 'revenu'; did you mean 'revenue'"):
        page(shop, primary="revenu@0.8")


def test_a_quantile_of_several_arms_holds_for_all_of_them_together(write_shop):
    rng = np.random.default_rng(3)
    assigned = arms(rng, {"control": 900, "a": 900, "b": 900}, days=14)
    spent = rng.lognormal(3, 1, 2_700).round(2)
    shop = crm.connect(
        write_shop(assignments=assigned, outcomes=outcomes_of(assigned, spent=spent)), as_of="2026-03-01"
    )
    decides = page(shop, primary="spent@0.75").results.table.set_index(["metric", "variant"])
    explains = page(shop, primary="spent", quantiles="spent@0.75").results.table.set_index(["metric", "variant"])
    for arm in "ab":
        sides = []
        for name in (arm, "control"):
            ordered = np.sort(spent[(assigned["variant"] == name).to_numpy()])
            half = stats.norm.ppf(1 - 0.025 / 2) * math.sqrt(900 * 0.75 * 0.25)
            sides.append((ordered[round(675 - half) - 1], ordered[674], ordered[round(675 + half)]))
        (low, middle, high), (low0, middle0, high0) = sides
        row = decides.loc[("spent@0.75", arm)]
        assert row["level"] == pytest.approx(0.975) and row["effect"] == pytest.approx(middle - middle0)
        assert row["low"] == pytest.approx(middle - middle0 - math.hypot(middle - low, high0 - middle0))
        assert row["high"] == pytest.approx(middle - middle0 + math.hypot(high - middle, middle0 - low0))
        alone = explains.loc[("spent@0.75", arm)]
        assert alone["level"] == pytest.approx(0.95) and alone["high"] - alone["low"] < row["high"] - row["low"]


def test_a_test_of_ratios_and_quantiles_alone_has_no_margin_and_says_so():
    from crmlib.analysis.experiments.worth import margin_row

    rows = pd.DataFrame({"metric": ["margin/orders", "margin@0.5"], "primary": [True, False]})
    assert margin_row(rows) is None
    assert margin_row(pd.DataFrame({"metric": ["margin", "orders"], "primary": [False, True]}))["metric"] == "margin"
