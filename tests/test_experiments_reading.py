"""Experiments: reading early, ratios and quantiles, guardrails, money, the planner, segments and novelty."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crmlib as crm
from crmlib.analysis import experiments as ex
from crmlib.analysis.experiments import predictions as foresight
from crmlib.analysis.experiments import results as estimates
from crmlib.analysis.experiments import segments
from crmlib.analysis.experiments.planning import power_of
from crmlib.errors import UsageError
from crmlib.findings import Due
from crmlib.stats import sequential
from tests.test_experiments import arms, outcomes_of, page, sections


def shop_of(write_shop, assigned: pd.DataFrame, outcomes: pd.DataFrame, *, as_of: str = "2026-03-01", **tables):
    return crm.connect(write_shop(assignments=assigned, outcomes=outcomes, **tables), as_of=as_of)


# ---- reading early ---------------------------------------------------------------------------------------------------


@pytest.fixture
def growing(write_shop):
    """A test of 28 days whose last windows are still open on 25 January, with a large effect."""
    rng = np.random.default_rng(1)
    assigned = arms(rng, {"control": 4_000, "new": 4_000}, days=28)
    lifted = 0.10 + 0.08 * (assigned["variant"] == "new")
    return shop_of(write_shop, assigned, outcomes_of(assigned, converted=(rng.random(8_000) < lifted).astype(float)),
                   as_of="2026-01-25")  # fmt: skip


def test_only_an_always_valid_reading_decides_before_the_end(growing):
    fixed = page(growing)
    assert fixed.verdicts.table["state"].tolist() == ["running"]
    assert fixed.results.table["state"].tolist() == ["running"] and not fixed.verdicts.table["early"].any()
    assert fixed.findings.certain[0].endswith("The ranges hold for one look, at the end.")
    always = page(growing, reading="always", planned_units=8_000)
    verdict, row = always.verdicts.table.iloc[0], always.results.table.iloc[0]
    assert (verdict["state"], verdict["decision"], verdict["early"]) == ("higher", "ship", True)
    assert "It was read before its end" in verdict["why"] and "always-valid 95 % interval" in row["method"]
    assert "on every day at once" in always.findings.certain[0]
    # By hand: the difference of the two shares, plus and minus so many standard errors.
    shares = row["mean"], row["mean_control"]
    error = math.sqrt(sum(p * (1 - p) / n for p, n in zip(shares, (row["n"], row["n_control"]), strict=True)))
    factor = float(sequential.widening(row["n"], row["n_control"], alpha=0.05, planned=8_000))
    assert row["low"] == pytest.approx(shares[0] - shares[1] - factor * error)
    with pytest.raises(UsageError, match="one of fixed, always"):
        page(growing, reading="often")


def test_the_last_day_of_the_band_is_what_the_always_valid_reading_says(growing):
    found = page(growing, reading="always", planned_units=8_000)
    last, row = found.looks.days.iloc[-1], found.results.table.iloc[0]
    assert last[["n", "n_control", "effect", "low", "high"]].tolist() == pytest.approx(
        row[["n", "n_control", "effect", "low", "high"]].tolist()
    )
    days = found.looks.days
    assert (days["low"] <= days["naive_low"]).all() and (days["n"].diff().dropna() >= 0).all()
    drawn = ex.part_looks(found.looks)
    assert drawn.chart.wide and "clearly higher" in drawn.title


def test_those_who_act_early_do_not_stand_for_all(write_shop):
    # Conversions are recorded when they happen, 'not converted' at the end of the 14 days: half-way, all values are
    # ones.
    rng = np.random.default_rng(2)
    assigned = arms(rng, {"control": 1_000, "new": 1_000}, days=28)
    converted = (rng.random(2_000) < 0.3).astype(float)
    outcomes = outcomes_of(assigned, days=14, converted=converted)
    early = outcomes["value"] == 1
    outcomes.loc[early, "observed_at"] = assigned["assigned_at"][early] + pd.Timedelta(days=1)
    shop = shop_of(write_shop, assigned, outcomes, as_of="2026-01-22")
    row = ex.facts(shop).moments.set_index("variant").loc["control"]
    closed = (assigned["assigned_at"] + pd.Timedelta(days=14) <= "2026-01-22") & (assigned["variant"] == "control")
    assert (row["n"], row["mean"]) == (closed.sum(), pytest.approx(converted[closed].mean()))
    assert (
        row["n"] + row["open"] == ((assigned["variant"] == "control") & (assigned["assigned_at"] < "2026-01-22")).sum()
    )
    # The trap: whoever has a value by now.
    known = outcomes[outcomes["observed_at"] < "2026-01-22"]
    assert known["value"].mean() > 0.4


def test_a_split_that_breaks_late_is_seen_at_the_day_it_does(write_shop):
    rng = np.random.default_rng(3)
    sound, broken = (
        arms(rng, {"control": 3_000, "new": 3_000}, days=14),
        arms(rng, {"control": 3_000, "new": 2_300}, name="y", first="2026-01-15", days=14),
    )
    assigned = pd.concat([sound, broken.assign(experiment="x")], ignore_index=True)
    shop = shop_of(write_shop, assigned, outcomes_of(assigned, spent=rng.normal(5, 1, len(assigned))))
    checks = ex.validate(ex.facts(shop)).table.set_index("check")
    assert checks.loc["sample_ratio_any_day", "verdict"] == "failed"
    assert "chance could no longer explain it" in checks.loc["sample_ratio_any_day", "text"]
    counts = assigned.groupby([assigned["assigned_at"].dt.date, "variant"]).size().unstack()
    p = sequential.split_p(counts.cumsum().to_numpy(), [1, 1])
    assert checks.loc["sample_ratio_any_day", "p_value"] == pytest.approx(p[-1])
    assert f"{counts.index[np.flatnonzero(p < 0.001)[0]]:%B}" in checks.loc["sample_ratio_any_day", "text"]


@pytest.mark.parametrize(("days", "verdict"), [(14, "ok"), (10, "warning"), (3, "warning")])
def test_whole_weeks_are_asked_for(write_shop, rng, days, verdict):
    assigned = arms(rng, {"control": 400, "new": 400}, days=days)
    shop = shop_of(write_shop, assigned, outcomes_of(assigned, spent=rng.normal(5, 1, 800)))
    checks = ex.validate(ex.facts(shop)).table.set_index("check")
    assert checks.loc["whole_weeks", ["value", "verdict"]].tolist() == [days, verdict]


# ---- ratios, quantiles, heavy tails ----------------------------------------------------------------------------------


@pytest.fixture
def spenders(write_shop):
    rng = np.random.default_rng(4)
    assigned = arms(rng, {"control": 700, "new": 650})
    new = (assigned["variant"] == "new").to_numpy()
    orders = rng.poisson(1.2, len(assigned)).astype(float)
    revenue = (orders * rng.lognormal(3 + 0.2 * new, 0.6, len(assigned))).round(2)
    outcomes = outcomes_of(assigned, orders=orders, revenue=revenue)
    outcomes = outcomes.drop(index=outcomes.index[::41])
    return assigned, outcomes, shop_of(write_shop, assigned, outcomes)


def test_a_ratio_is_that_of_the_sums_with_the_delta_methods_error(spenders):
    assigned, outcomes, shop = spenders
    row = page(shop, primary="revenue", ratios="revenue/orders").results.table.set_index("metric").loc["revenue/orders"]
    wide = outcomes.pivot_table(index="unit_id", columns="metric", values="value").dropna()
    wide = wide.join(assigned.set_index("unit_id")["variant"])
    parts = {arm: wide[wide["variant"] == arm] for arm in ("new", "control")}
    ratio = {arm: part["revenue"].sum() / part["orders"].sum() for arm, part in parts.items()}
    assert (row["n"], row["n_control"]) == (len(parts["new"]), len(parts["control"]))
    assert row["effect"] == pytest.approx(ratio["new"] - ratio["control"])
    # Linearised by hand: what each unit adds to its arm's ratio; then Welch on that.
    left = {arm: (part["revenue"] - ratio[arm] * part["orders"]) / part["orders"].mean() for arm, part in parts.items()}
    theirs = stats.ttest_ind(left["new"] + ratio["new"], left["control"] + ratio["control"], equal_var=False)
    assert row["p_value"] == pytest.approx(theirs.pvalue, rel=1e-6)
    ends = theirs.confidence_interval(0.95)
    assert (row["low"], row["high"]) == (pytest.approx(ends.low), pytest.approx(ends.high))
    assert row["kind"] == "money" and "delta method" in row["method"]


def test_quantiles_are_order_statistics_of_all_units(spenders):
    assigned, outcomes, shop = spenders
    found = ex.facts(shop, also="revenue@0.5, revenue@0.95").quantiles.set_index(["metric", "variant"])
    values = outcomes[outcomes["metric"] == "revenue"].merge(assigned[["unit_id", "variant"]])
    z = stats.norm.ppf(0.975)
    for share in (0.5, 0.95):
        for arm, part in values.groupby("variant"):
            row = found.loc[(f"revenue@{share:g}", arm)]
            ordered = np.sort(part["value"].to_numpy())
            n, half = len(ordered), z * math.sqrt(len(ordered) * share * (1 - share))
            assert row["middle"] == np.quantile(ordered, share, method="inverted_cdf")
            assert row[["n", "low", "high"]].tolist() == [
                n,
                ordered[round(n * share - half) - 1],
                ordered[round(n * share + half)],
            ]
    table = page(shop, primary="revenue", quantiles="revenue@0.5, revenue@0.1, revenue@0.99").results.table.set_index(
        "metric"
    )
    assert table.loc["revenue@0.5", "state"] == "ok" and "order statistics" in table.loc["revenue@0.5", "method"]
    # A tenth of the way up all are zero, and one in a hundred of 650 are fewer than ten.
    assert "share one value" in table.loc["revenue@0.1", "reason"]
    assert "needs 1,000 units" in table.loc["revenue@0.99", "reason"]
    always = page(shop, primary="revenue", quantiles="revenue@0.5", reading="always").results.table.set_index("metric")
    assert always.loc["revenue@0.5", "state"] == "unread" and math.isnan(always.loc["revenue@0.5", "low"])


@pytest.mark.parametrize(
    ("what", "text", "match"),
    [
        ("ratios", "revenu/orders", "no metric|no experiment has a metric 'revenu'; did you mean 'revenue'"),
        ("quantiles", "revenue@", "written as revenue@0.5"),
        ("quantiles", "revenue@1.5", "between 0 and 1"),
        ("guardrails", "revenue 2 %", "written as refunded"),
        ("guardrails", "revenue +0 %", "limits other than 0"),
        ("guardrails", "refunds -2 %", "no experiment has a metric 'refunds'"),
        ("segments", "colour", "no column 'colour' in assignments or customers"),
    ],
)
def test_what_is_misspelt_is_named(spenders, what, text, match):
    with pytest.raises(UsageError, match=match):
        page(spenders[2], primary="revenue", **{what: text})


def test_cutting_back_the_largest_values_is_shown_and_decides_nothing(write_shop):
    rng = np.random.default_rng(5)
    assigned = arms(rng, {"control": 2_000, "new": 2_000})
    rounds = rng.lognormal(2, 1, 4_000).round(2)
    rounds[0] = 50_000.0
    found = page(shop_of(write_shop, assigned, outcomes_of(assigned, rounds=rounds)))
    row = found.results.table.iloc[0]
    new = (assigned["variant"] == "new").to_numpy()
    edge = np.quantile(rounds, [0.001, 0.999])
    cut = np.clip(rounds, *edge).round(4)
    theirs = stats.ttest_ind(cut[new], cut[~new], equal_var=False).confidence_interval(0.95)
    assert (row["capped_low"], row["capped_high"]) == (
        pytest.approx(theirs.low, rel=1e-3),
        pytest.approx(theirs.high, rel=1e-3),
    )
    raw = stats.ttest_ind(rounds[new], rounds[~new], equal_var=False)
    assert row["p_value"] == pytest.approx(raw.pvalue)
    assert any("decides nothing" in line for line in found.findings.method)
    text = found.checks.table.set_index("check").loc["heavy_tail: rounds", "text"]
    assert f"would be {np.delete(rounds, 0)[~new[1:]].mean():.2f}, not {rounds[~new].mean():.2f}" in text


# ---- guardrails and money --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "row", "verdict"),
    [
        ("x +0.5 points", {"low": -0.001, "high": 0.004}, "holds"),
        ("x +0.5 points", {"low": -0.001, "high": 0.006}, "unclear"),
        ("x +0.5 points", {"low": 0.006, "high": 0.009}, "broken"),
        ("x -2 %", {"relative_low": -0.01, "relative_high": 0.03}, "holds"),
        ("x -2 %", {"relative_low": -0.03, "relative_high": 0.03}, "unclear"),
        ("x -2 %", {"relative_low": -0.05, "relative_high": -0.03}, "broken"),
        ("x \u22122 %", {"relative_low": math.nan, "relative_high": math.nan}, "unclear"),
        ("my metric -1.5", {"low": -1.4, "high": 9.0}, "holds"),
    ],
)
def test_a_guardrail_holds_only_with_its_whole_interval(text, row, verdict):
    (rail,) = estimates.read_guardrails(text)
    assert rail.verdict(row) == verdict
    assert rail.metric in ("x", "my metric") and ("rise" in rail.text) == ("+" in text)


def test_it_ships_only_if_every_guardrail_holds(write_shop):
    rng = np.random.default_rng(6)
    assigned = arms(rng, {"control": 4_000, "new": 4_000}, days=14)
    new = (assigned["variant"] == "new").to_numpy()
    outcomes = outcomes_of(
        assigned,
        converted=(rng.random(8_000) < 0.1 + 0.05 * new).astype(float),
        refunded=np.where(np.arange(8_000) % 20 == 0, 1.0, 0.0),
        slow=rng.normal(10 + 1 * new, 1),
    )
    shop = shop_of(write_shop, assigned, outcomes)
    verdict = page(shop).verdicts.table.iloc[0]
    assert verdict["decision"] == "ship"
    held = page(shop, guardrails="refunded +1.5 points")
    assert (
        held.verdicts.table["decision"].tolist() == ["ship"]
        and "stays within its limit (may rise by at most 1.5 points)" in held.verdicts.table["why"][0]
    )
    assert held.results.table.set_index("metric")["guardrail"].to_dict() == {
        "converted": "",
        "refunded": "holds",
        "slow": "",
    }
    unclear = page(shop, guardrails="refunded +0.1 points").verdicts.table.iloc[0]
    assert unclear["decision"] == "open" and unclear["said"] == "X sells more, but may make refunded worse than allowed"
    broken = page(shop, guardrails="refunded +1.5 points, slow +2 %")
    assert broken.verdicts.table["decision"].tolist() == ["stop"]
    assert broken.verdicts.table["said"][0] == "X sells more, but makes slow worse than allowed"
    assert broken.findings.tables["results"].set_index("metric").loc["slow", "guardrail"] == "broken"
    # Guardrails decide, so they are not among what only explains.
    q = broken.results.table.set_index("metric")["q_value"]
    assert q.isna().all()
    assert page(shop).results.table.set_index("metric")["q_value"].notna().to_dict() == {
        "converted": False,
        "refunded": True,
        "slow": True,
    }


def test_money_is_margin_less_the_offers_cost(write_shop):
    rng = np.random.default_rng(7)
    assigned = arms(rng, {"control": 2_000, "new": 2_000}, days=14)
    new = (assigned["variant"] == "new").to_numpy()
    margin = rng.normal(5, 2, 4_000)
    margin += np.where(new, 5.5 - margin[new].mean(), 5.0 - margin[~new].mean())  # exactly 0.50 more for each unit
    outcomes = outcomes_of(assigned, converted=(rng.random(4_000) < 0.1 + 0.1 * new).astype(float), margin=margin)
    shop = shop_of(write_shop, assigned, outcomes, toml='currency = "EUR"')
    found = page(shop, offer_cost=0.3, units_a_month=10_000)
    row = found.worth.table.iloc[0]
    assert row[["effect", "per_unit", "month"]].tolist() == pytest.approx([0.5, 0.2, 2_000], abs=1e-2)
    error = math.sqrt(margin[new].var(ddof=1) / new.sum() + margin[~new].var(ddof=1) / (~new).sum())
    assert row["loss"] == pytest.approx(stats.norm.cdf(-row["per_unit"] / error), rel=1e-6)
    assert found.verdicts.table["decision"].tolist() == ["ship"]
    assert found.findings["margin_a_month"].value == pytest.approx(2_000, abs=100)
    assert found.findings.actions[0].worth.endswith(" margin a month")
    assert any("as if every effect had been equally likely" in line for line in found.findings.method)
    # At the test's own pace: 4,000 units in 14 days.
    own = page(shop).worth.table.iloc[0]
    assert own["units_a_month"] == pytest.approx(4_000 / 14 * 365.25 / 12)
    dear = page(shop, offer_cost=0.9).verdicts.table.iloc[0]
    assert dear["decision"] == "stop" and dear["said"] == "X sells more, but loses money"
    unclear = page(shop, offer_cost=0.45).verdicts.table.iloc[0]
    assert unclear["decision"] == "open" and "Margin less the offer's cost" in unclear["why"]


def test_revenue_is_not_called_margin(spenders):
    found = page(spenders[2], primary="revenue")
    assert found.worth.table.empty and found.findings["margin_a_month"].value is None
    assert ex.part_worth(found.worth).title == "No test can be told in money yet"


# ---- the planner -----------------------------------------------------------------------------------------------------


def test_plans_agree_with_statsmodels_and_with_published_tables():
    from statsmodels.stats.power import NormalIndPower
    from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

    # Cohen 1988, table 2.4.1: d = .2, .5, .8 at a = .05, power .80 take 393, 64, 26 by t; a unit or so less by normal.
    for d, cohen in ((0.2, 393), (0.5, 64), (0.8, 26)):
        found = ex.plan(base=10, spread=1, least=d)
        assert cohen - 2 <= found.units_per_arm <= cohen
        theirs = NormalIndPower().solve_power(effect_size=d, alpha=0.05, power=0.8)
        assert found.units_per_arm == math.ceil(theirs)
    for base, least in ((0.10, 0.02), (0.50, 0.05), (0.02, 0.004)):
        theirs = samplesize_proportions_2indep_onetail(least, base, power=0.8, alpha=0.05)
        assert ex.plan(base=base, least=least).units_per_arm == pytest.approx(theirs, rel=0.02)


def test_a_plan_answers_backwards_too_and_counts_whole_weeks():
    there = ex.plan(base=0.08, least=0.01, units_per_day=1_000)
    back = ex.plan(base=0.08, units_per_arm=there.units_per_arm)
    assert back.least == pytest.approx(0.01, rel=1e-3)
    assert there.days % 7 == 0 and there.days >= there.units / 1_000 > there.days - 7
    assert ex.plan(base=0.08, least=0.01, arms=3).units_per_arm > there.units_per_arm
    assert ex.plan(base=0.08, least=0.01).days is None
    with pytest.raises(UsageError, match="not both"):
        ex.plan(base=0.08)
    with pytest.raises(UsageError, match="shares between 0 and 1"):
        ex.plan(base=8, least=0.01)


def test_a_planned_test_finds_its_effect_four_times_in_five():
    from crmlib.stats.compare import score_test

    rng = np.random.default_rng(8)
    size = ex.plan(base=0.10, least=0.02).units_per_arm
    pairs = zip(rng.binomial(size, 0.12, 2_000).tolist(), rng.binomial(size, 0.10, 2_000).tolist(), strict=True)
    assert np.mean([score_test(x, size, y, size) < 0.05 for x, y in pairs]) == pytest.approx(0.80, abs=0.025)


def test_the_power_of_a_test_comes_from_its_variance_alone(write_shop):
    rng = np.random.default_rng(9)
    assigned = arms(rng, {"control": 1_000, "new": 1_000}, days=14)
    values = rng.normal(10, 2, 2_000)
    new = (assigned["variant"] == "new").to_numpy()
    tables = []
    for effect in (0.0, 3.0):
        shop = shop_of(write_shop, assigned, outcomes_of(assigned, spent=values + effect * new))
        found = page(shop)
        tables.append(power_of(found.results, worthwhile=0.05).iloc[0])
    assert tables[0]["detectable"] == pytest.approx(tables[1]["detectable"], rel=1e-6)
    assert tables[0]["detectable"] == pytest.approx(
        2.8016 * math.sqrt(values[new].var(ddof=1) / 1_000 + values[~new].var(ddof=1) / 1_000), rel=1e-3
    )
    least = 0.05 * tables[0]["base"]
    assert tables[0]["needed"] == pytest.approx(ex.plan(base=10, spread=2, least=least).units_per_arm, rel=0.05)


# ---- segments and novelty --------------------------------------------------------------------------------------------


def test_segments_equal_pandas_and_only_a_planted_difference_is_called_one(write_shop):
    rng = np.random.default_rng(10)
    assigned = arms(rng, {"control": 3_000, "new": 3_000}, days=14)
    assigned["device"] = rng.choice(["phone", "desktop"], 6_000, p=[0.6, 0.4])
    assigned["hour"] = rng.choice(["am", "pm"], 6_000)
    assigned["rare"] = np.where(np.arange(6_000) < 3, "odd", "usual")
    new, phone = (assigned["variant"] == "new").to_numpy(), (assigned["device"] == "phone").to_numpy()
    spent = rng.normal(10, 3, 6_000) + 0.8 * new * phone
    found = page(shop_of(write_shop, assigned, outcomes_of(assigned, spent=spent)), segments="device, hour, rare")
    effects = found.groups.effects.set_index(["segment", "level"])
    theirs = stats.ttest_ind(spent[new & phone], spent[~new & phone], equal_var=False)
    assert effects.loc[("device", "phone"), "p_value"] == pytest.approx(theirs.pvalue, rel=1e-2)
    assert effects.loc[("device", "phone"), ["n", "n_control"]].tolist() == [(new & phone).sum(), (~new & phone).sum()]
    tests = found.groups.tests.set_index("segment")
    assert tests.loc["device", "p_adjusted"] < 0.001 and tests.loc["hour", "p_adjusted"] > 0.05
    assert not tests["reversed"].any()
    # The two levels' effects, one less the other, by hand.
    levels = [
        (
            spent[new & at].mean() - spent[~new & at].mean(),
            spent[new & at].var(ddof=1) / (new & at).sum() + spent[~new & at].var(ddof=1) / (~new & at).sum(),
        )
        for at in (~phone, phone)
    ]
    between, error = levels[0][0] - levels[1][0], math.sqrt(levels[0][1] + levels[1][1])
    assert tests.loc["device", ["apart", "apart_low", "apart_high"]].tolist() == pytest.approx(
        [between, between - 1.96 * error, between + 1.96 * error], abs=2e-3
    )
    assert tests.loc["device", "p_value"] == pytest.approx(2 * stats.norm.sf(abs(between) / error), rel=0.02)
    part = ex.part_segments(found.groups)
    assert "does not do the same by device" in part.title and not part.detail
    # Three people are not shown as three.
    assert effects.loc[("rare", "odd"), "n_control"] < 5
    shown = found.findings.tables["segments"].set_index("level")
    assert "<5" in shown.loc["odd", ["n", "n_control"]].tolist()
    assert found.groups.splits["check"].tolist() == ["sample_ratio_by_segment"]
    # Of null segments, few are called different: 25 at once, corrected.
    for name in range(25):
        assigned[f"s{name}"] = rng.choice(list("abc"), 6_000)
    plain = shop_of(write_shop, assigned, outcomes_of(assigned, spent=rng.normal(10, 3, 6_000)))
    noise = page(plain, segments=", ".join(f"s{name}" for name in range(25)))
    assert (noise.groups.tests["p_value"] < 0.05).any() and not (noise.groups.tests["p_adjusted"] < 0.05).any()
    part = ex.part_segments(noise.groups)
    assert part.title == "No segment differs reliably" and part.detail


def test_a_mix_that_turns_the_total_round_is_said():
    # Charig et al. 1986, kidney stones: surgery is better for small stones and for large, and worse in all.
    counts = {"small": ((87, 81), (270, 234)), "large": ((263, 192), (80, 55))}
    pairs = []
    for (n, x), (m, y) in counts.values():
        pairs.append(
            tuple(
                pd.Series({"n": size, "mean": won / size, "var": won / size * (1 - won / size)})
                for size, won in ((n, x), (m, y))
            )
        )
    total, reweighted, turned = segments.mixes(pairs)
    assert total == pytest.approx(273 / 350 - 289 / 350) and turned
    assert reweighted > 0.05
    level = [(arm["mean"] - base["mean"]) for arm, base in pairs]
    assert min(level) > 0 > total


def test_such_a_mix_is_warned_of_on_the_page(write_shop):
    groups = [
        ("new", "small", 87, 81),
        ("new", "large", 263, 192),
        ("control", "small", 270, 234),
        ("control", "large", 80, 55),
    ]
    rows = [
        {"variant": arm, "stone": stone, "value": float(place < won)}
        for arm, stone, n, won in groups
        for place in range(n)
    ]
    frame = pd.DataFrame(rows).assign(experiment="x", assigned_at="2026-01-01")
    frame["unit_id"] = [f"u{place}" for place in range(len(frame))]
    outcomes = frame[["experiment", "unit_id", "value"]].assign(metric="cured", observed_at="2026-01-10")
    found = page(shop_of(write_shop, frame.drop(columns="value"), outcomes), segments="stone")
    checks = found.findings.tables["checks"].set_index("check")["verdict"]
    assert checks["mix: stone, new"] == "warning" and checks["sample_ratio_by_segment"] == "warning"
    assert found.results.table["effect"].iloc[0] == pytest.approx(273 / 350 - 289 / 350)
    assert ex.part_segments(found.groups).title == "X: the mix by stone alone makes the total what it is"


def test_customers_and_new_or_returning_are_segments_of_tests_read_from_orders(write_shop):
    rng = np.random.default_rng(11)
    size = 1_200
    assigned = arms(rng, {"control": 600, "new": 600}, days=7)
    customers = pd.DataFrame(
        {"customer_id": assigned["unit_id"], "acquisition_channel": rng.choice(["search", "email"], size)}
    )
    before = pd.DataFrame(
        {
            "order_id": [f"b{i}" for i in range(400)],
            "customer_id": assigned["unit_id"][:400],
            "ordered_at": "2025-12-01",
            "total": 20,
        }
    )
    buys = rng.random(size) < 0.4
    at = assigned["assigned_at"] + pd.to_timedelta(rng.integers(0, 13 * 86_400, size), unit="s")
    after = pd.DataFrame(
        {"order_id": [f"a{i}" for i in range(size)], "customer_id": assigned["unit_id"], "ordered_at": at, "total": 30}
    )[buys]
    shop = crm.connect(
        write_shop(assignments=assigned, customers=customers, orders=pd.concat([before, after])), as_of="2026-03-01"
    )
    found = page(shop)
    sizes = found.groups.effects.groupby(["segment", "level"])[["n", "n_control"]].sum().sum(axis=1).to_dict()
    assert sizes[("new_or_returning", "returning")] == 400 and sizes[("new_or_returning", "new")] == 800
    assert sizes[("acquisition_channel", "search")] == (customers["acquisition_channel"] == "search").sum()
    assert all(figure.title for figure in sections(found))


@pytest.mark.parametrize("fading", [True, False])
def test_an_effect_that_wears_off_is_found_in_orders(write_shop, fading):
    rng = np.random.default_rng(12)
    size = 3_000
    assigned = arms(rng, {"control": size // 2, "new": size // 2}, days=14)
    new = (assigned["variant"] == "new").to_numpy()
    parts = []
    for first, last, lift in ((0, 7, 0.25), (7, 14, 0.0 if fading else 0.25)):
        buys = np.flatnonzero(rng.random(size) < 0.3 + lift * new)
        at = (
            assigned["assigned_at"].iloc[buys]
            + pd.to_timedelta(rng.integers(first * 86_400, last * 86_400, len(buys)), unit="s").to_numpy()
        )
        parts.append(pd.DataFrame({"customer_id": assigned["unit_id"].iloc[buys], "ordered_at": at, "total": 10.0}))
    orders = pd.concat(parts, ignore_index=True).rename_axis("order_id").reset_index()
    found = page(crm.connect(write_shop(assignments=assigned, orders=orders), as_of="2026-03-01"))
    change = found.looks.changes.set_index("what").loc["since first seen"]
    per_day = orders.merge(assigned, left_on="customer_id", right_on="unit_id")
    early = (per_day["ordered_at"] - per_day["assigned_at"]) < pd.Timedelta(days=7)
    effects = [
        per_day[half].groupby("variant").size().reindex(["new", "control"]) / (size / 2) / 7 for half in (early, ~early)
    ]
    by_hand = (effects[0]["new"] - effects[0]["control"]) - (effects[1]["new"] - effects[1]["control"])
    assert change["value"] == pytest.approx(by_hand, abs=1e-3)
    assert (change["p_adjusted"] < 0.001) == fading
    assert found.findings.actions[0].what == "Give x to everybody"
    # The curve, day by day, by hand: the same units at every point.
    since = found.looks.since
    wait = (per_day["ordered_at"] - per_day["assigned_at"]).dt.days
    counts = [per_day[wait == day].groupby("variant").size() / (size / 2) for day in range(14)]
    assert since["effect"].tolist() == pytest.approx([one["new"] - one["control"] for one in counts])
    assert since["first_day"].tolist() == since["last_day"].tolist() == list(range(1, 15))
    day = per_day[wait == 3].groupby(["variant", "unit_id"]).size()
    rows = [np.pad(day[arm].to_numpy(), (0, size // 2 - len(day[arm]))) for arm in ("new", "control")]
    ends = stats.ttest_ind(*rows, equal_var=False).confidence_interval(0.95)
    assert since.loc[3, ["low", "high"]].tolist() == pytest.approx([ends.low, ends.high])
    part = ex.part_novelty(found.looks)
    assert part.title.startswith(
        "The effect of x was larger in the first days than later (p"
        if fading
        else "No clear change in the effect of x since it was first seen"
    )
    assert part.detail == (not fading) and (part.sentence == "Do not count on its average to last.") == fading
    assert len(found.findings.tables["since_seen"]) == 14
    if fading:
        longer = page(
            crm.connect(write_shop("longer", assignments=assigned, orders=orders), as_of="2026-03-01"), window_days=20
        )
        steps = longer.looks.since
        # Steps of two days; after the fourteenth nobody ordered, which is too few and not zero.
        assert (
            steps["first_day"].tolist() == [1, 3, 5, 7, 9, 11, 13]
            and (steps["last_day"] - steps["first_day"] == 1).all()
        )
        assert steps["effect"].tolist() == pytest.approx(since["effect"].to_numpy().reshape(7, 2).mean(axis=1).tolist())


def test_an_effect_of_early_arrivals_alone_is_found_week_by_week(write_shop):
    rng = np.random.default_rng(13)
    assigned = arms(rng, {"control": 3_000, "new": 3_000}, days=28)
    first_week = (assigned["assigned_at"] < "2026-01-08").to_numpy()
    spent = rng.normal(10, 3, 6_000) + 1.5 * (assigned["variant"] == "new") * first_week
    found = page(shop_of(write_shop, assigned, outcomes_of(assigned, spent=spent)))
    weeks = found.looks.weeks
    assert weeks["week"].tolist() == [1, 2, 3, 4] and weeks["n"].sum() == 3_000
    new = (assigned["variant"] == "new").to_numpy()
    assert weeks["effect"].iloc[0] == pytest.approx(
        spent[new & first_week].mean() - spent[~new & first_week].mean(), abs=1e-3
    )
    assert found.looks.changes["p_value"].iloc[0] < 0.001


# ---- what was said of running tests ----------------------------------------------------------------------------------


def test_the_range_for_a_running_tests_end_holds():
    rng = np.random.default_rng(14)
    closed, waiting, held = 300, 200, 0
    arms_ = rng.gamma(1, 10, (2, 2_000, closed + waiting))
    now, end = arms_[:, :, :closed].mean(axis=2), arms_.mean(axis=2)
    variance = arms_[:, :, :closed].var(axis=2, ddof=1)
    for trial in range(2_000):
        half = foresight.final_range([(variance[side, trial], closed, waiting) for side in (0, 1)])
        held += abs((end[0] - end[1] - now[0] + now[1])[trial]) <= half
    assert 0.94 <= held / 2_000 <= 0.96
    assert foresight.final_range([(4.0, 300, 0), (4.0, 300, 0)]) == 0


def test_a_running_test_says_where_it_will_end_and_is_graded_by_the_same_units(write_shop):
    rng = np.random.default_rng(15)
    assigned = arms(rng, {"control": 2_000, "new": 2_000}, days=28)
    spent = rng.normal(10, 3, 4_000).round(2) + (assigned["variant"] == "new")
    folder = write_shop(assignments=assigned, outcomes=outcomes_of(assigned, spent=spent))
    assert not page(crm.connect(folder, as_of="2026-01-20")).findings.predictions  # read once: nothing before
    early = page(crm.connect(folder, as_of="2026-01-20"), reading="always")
    (said,) = early.findings.predictions
    assert (
        said.id == "final_effect:x:spent:new"
        and said.start.isoformat() == "2026-01-20"
        and said.low < said.value < said.high
    )
    late = crm.connect(folder, as_of=said.end)
    found = page(late, window_days=14)
    due = (Due(prediction=said, as_of=said.start, run_id="r"),)
    (graded,) = ex.grade(late, due, results=found.results)
    then = (assigned["assigned_at"] < "2026-01-20").to_numpy()
    new = (assigned["variant"] == "new").to_numpy()
    assert graded.actual == pytest.approx(spent[then & new].mean() - spent[then & ~new].mean())
    assert said.low <= graded.actual <= said.high
    assert not page(crm.connect(folder, as_of="2026-03-01")).findings.predictions


# ---- the page --------------------------------------------------------------------------------------------------------


def test_checks_that_found_nothing_are_counted_not_listed(write_shop, rng):
    assigned = arms(rng, {"control": 400, "new": 400}, days=10)
    found = page(shop_of(write_shop, assigned, outcomes_of(assigned, spent=rng.normal(5, 1, 800))))
    table = ex.part_checks(found.checks, found.groups.splits).chart.table
    quiet = int((found.checks.table["verdict"] == "ok").sum())
    assert [row[1] for row in table["rows"]] == ["warning", "ok"]
    assert table["rows"][-1][0] == f"X: {quiet} checks found no problem."
    assert len(found.findings.tables["checks"]) == quiet + 1
