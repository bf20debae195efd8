"""Lifetime value against published figures, other libraries, brute force and planted truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import crmlib as crm
from crmlib.analysis import lifetime_value as clv
from crmlib.analysis.lifetime_value import margin, methods, models, spend, timing, verdict
from crmlib.analysis.lifetime_value.timing import BG
from crmlib.errors import NotEnoughData, UsageError
from crmlib.shop.facts import customer_history
from crmlib.stats import top_share, weighted_auc

CALIBRATED = date(1997, 10, 1)


@pytest.fixture(scope="module")
def histories(cdnow_sample):
    return cdnow_sample.fetch(clv.facts(cdnow_sample, until=CALIBRATED))


@pytest.fixture(scope="module")
def model(histories):
    return clv.fit(histories, time_unit="week", until=CALIBRATED)


@pytest.fixture(scope="module")
def checked(cdnow_sample):
    return clv.validate(cdnow_sample, holdout_days=273, time_unit="week")


def one(x: float, recency_weeks: float, weeks: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"frequency": [x], "recency_days": [7 * recency_weeks], "t_days": [7 * weeks], "customers": [1]}
    )


# ---- published figures


def test_cdnow_facts(histories):
    # METHODS.md, reference table: counted from the sample.
    n = histories["customers"]
    assert (n.sum(), n[histories["frequency"] == 0].sum(), histories["frequency"] @ n) == (2357, 1411, 2457)


def test_cdnow_parameters(model):
    # Fader, Hardie and Lee 2005, table 2; log-likelihood in the text of section 4.
    assert model.parameters == pytest.approx([0.2426, 4.4136, 0.7929, 2.4259], rel=1e-3)
    assert model.log_likelihood == pytest.approx(-9582.43, abs=0.01)


def test_cdnow_one_customer(model):
    # Fader, Hardie and Lee's spreadsheet: x = 2, t_x = 30.43, T = 38.86, 39 weeks ahead.
    customer = one(2, 30.43, 38.86)
    assert model.expected(customer, days=273)[0] == pytest.approx(1.2259, abs=2e-4)
    assert model.p_alive(customer)[0] == pytest.approx(0.7266, abs=2e-4)


def test_cdnow_holdout(checked):
    # METHODS.md: 1,882 came; Pareto 1,666, MBG 1,577, BG 1,653, same rate 2,930;
    # MAE .755, .765, .785, 1.024, all-zero .798.
    assert checked.actual == 1882
    n, came = checked.patterns["customers"], checked.patterns["purchases"]
    for method, total, mae in (
        ("BG/NBD", 1653, 0.785),
        ("MBG/NBD", 1577, 0.765),
        ("Pareto/NBD", 1666, 0.755),
        (methods.SAME_RATE, 2930, 1.024),
        (methods.NOBODY, 0, 0.798),
    ):
        assert n @ checked.expected[method] == pytest.approx(total, abs=1)
        assert n @ (came - checked.expected[method]).abs() / n.sum() == pytest.approx(mae, abs=1e-3)
    assert checked.chosen == BG


def test_cdnow_spend(cdnow_sample):
    # Fader and Hardie 2013: 946 repeaters, p 6.25, q 3.74, gamma 15.44, correlation .114.
    people = cdnow_sample.fetch(customer_history(cdnow_sample, until=CALIBRATED).order_by("customer_id"))
    found = spend.spend_of(people, until=CALIBRATED)
    assert found.customers == 946
    assert (found.p, found.q, found.v) == pytest.approx((6.25, 3.74, 15.44), rel=2e-3)
    assert found.correlation == pytest.approx(0.114, abs=5e-4)


def test_p_alive_ranks_customers_backwards_and_is_not_used(cdnow_sample):
    # METHODS.md: AUC of P(alive) for 'buys in the next 90 days' is .335 on CDNOW, recency .784.
    cut = clv.cut_day(cdnow_sample, days=273)
    rows = cdnow_sample.fetch(methods.holdout_patterns(cdnow_sample, start=cut, end=cut + timedelta(days=90)))
    bought, n = (rows["purchases"] > 0).to_numpy(), rows["customers"].to_numpy(float)
    model = clv.fit(cdnow_sample.fetch(clv.facts(cdnow_sample, until=cut)), time_unit="day", until=cut)

    def auc(score):
        return weighted_auc(np.asarray(score, float), bought, n[None, :])[0]

    assert (model.p_alive(rows)[rows["frequency"] == 0] == 1).all()
    assert auc(model.p_alive(rows)) == pytest.approx(0.335, abs=0.01)
    assert auc(rows["recency_days"] - rows["t_days"]) == pytest.approx(0.784, abs=0.01)
    assert auc(-model.p_none(rows, days=90)) > 0.78


# ---- other libraries and brute force


def test_expectation_equals_lifetimes_where_lifetimes_can(model):
    from lifetimes import BetaGeoFitter

    theirs = BetaGeoFitter()
    theirs.params_ = pd.Series(dict(zip(("r", "alpha", "a", "b"), model.parameters, strict=True)))
    grid = pd.concat([one(x, recency, 60) for x in (0, 1, 2, 5, 20) for recency in (0, 10, 59.5) if x or not recency])
    wanted = theirs.conditional_expected_number_of_purchases_up_to_time(
        26, grid["frequency"], grid["recency_days"] / 7, grid["t_days"] / 7
    )
    assert model.expected(grid, days=182) == pytest.approx(wanted.to_numpy(), rel=1e-9)
    # A weekly wholesale buyer overflows the textbook formula.
    assert np.isfinite(model.expected(one(400, 399, 400), days=3650)).all()


def test_simulation_agrees_with_the_formulas(model):
    sure = replace(model, log_covariance=None)
    customers = pd.concat([one(0, 0, 30), one(2, 30.43, 38.86), one(9, 20, 38), one(30, 38, 38.5)])
    draws = sure.simulate(customers, days=273, n=40_000, seed=1)
    error = 4 * draws.std(axis=1) / 200
    assert (np.abs(draws.mean(axis=1) - sure.expected(customers, days=273)) < error).all()
    assert np.abs((draws == 0).mean(axis=1) - sure.p_none(customers, days=273)).max() < 0.01


def test_weights_equal_repeated_rows(histories, model):
    repeated = histories.loc[histories.index.repeat(histories["customers"])].assign(customers=1)
    again = clv.fit(repeated, time_unit="week", until=CALIBRATED)
    assert again.parameters == pytest.approx(model.parameters, rel=1e-4)
    assert again.log_likelihood == pytest.approx(model.log_likelihood, abs=1e-4)


def test_days_and_weeks_are_the_same_model(histories, model):
    daily = clv.fit(histories, time_unit="day", until=CALIBRATED)
    assert daily.parameters == pytest.approx(model.parameters * [1, 7, 1, 1], rel=2e-3)
    assert daily.expected(histories, days=91) == pytest.approx(model.expected(histories, days=91), rel=5e-3)


def test_parameter_covariance_is_that_of_the_likelihood(histories, model):
    x, recency, t = (histories[c].to_numpy(float) for c in ("frequency", "recency_days", "t_days"))

    def loss(logs):
        return -histories["customers"] @ timing.log_likelihood(BG, np.exp(logs), x, recency / 7, t / 7)

    centre, step = np.log(model.parameters), 1e-3
    hessian = np.empty((4, 4))
    for i in range(4):
        for j in range(4):
            e, f = np.eye(4)[i] * step, np.eye(4)[j] * step
            hessian[i, j] = (
                loss(centre + e + f) - loss(centre + e - f) - loss(centre - e + f) + loss(centre - e - f)
            ) / (4 * step**2)
    assert np.array(model.log_covariance) == pytest.approx(np.linalg.inv(hessian), rel=0.02, abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 4)), min_size=2, max_size=30).filter(
        lambda rows: len({positive for _, positive, _ in rows}) == 2
    )
)
def test_weighted_auc_is_that_of_repeated_rows(rows):
    score, positive, weight = (np.array(column) for column in zip(*rows, strict=True))
    wanted = roc_auc_score(np.repeat(positive, weight), np.repeat(score, weight))
    found = weighted_auc(score.astype(float), positive, weight[None, :].astype(float))
    assert found[0] == pytest.approx(wanted)


def test_top_share_by_hand():
    score, amount = np.array([5.0, 4, 3, 3, 1]), np.array([10.0, 0, 4, 8, 2])
    weights = np.ones((1, 5))
    assert top_share(score, amount, weights, share=0.2)[0] == pytest.approx(10 / 24)
    # The third place is shared by two who tie: half of 12.
    assert top_share(score, amount, weights, share=0.6)[0] == pytest.approx((10 + 0 + 6) / 24)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(timing.NAMES)), st.integers(0, 60), st.floats(0, 1), st.floats(1, 150), st.floats(1, 700),
    st.tuples(*[st.floats(0.05, 20)] * 4),
)  # fmt: skip
def test_expectations_are_sane_for_any_customer(name, x, share, weeks, days, theta):
    model = models.PurchaseModel(
        name=name, theta=theta, log_covariance=None, log_likelihood=0.0, customers=1, time_unit="week",
        until=CALIBRATED,
    )  # fmt: skip
    customer = one(x, share * weeks if x else 0.0, weeks)
    alive, none = model.p_alive(customer)[0], model.p_none(customer, days=days)[0]
    near, far = (model.expected(customer, days=d)[0] for d in (days, 2 * days))
    assert 0 <= alive <= 1
    assert 0 <= none <= 1
    assert -1e-9 <= near <= far + 1e-9
    # Whoever buys at all buys at least once.
    assert near >= 1 - none - 1e-6


# ---- planted truth


def planted(seed: int, *, customers: int = 1500, theta=(0.6, 6.0, 0.8, 3.0), weeks: int = 52, ahead: int = 26):
    """Customers who do just what BG/NBD says, by a loop over purchases: histories and what came after."""
    r, alpha, a, b = theta
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(customers):
        rate, stop, now, last, x, after = rng.gamma(r, 1 / alpha), rng.beta(a, b), 0.0, 0.0, 0, 0
        while True:
            now += rng.exponential(1 / rate) if rate > 1e-12 else np.inf
            if now > weeks + ahead:
                break
            if now <= weeks:
                x, last = x + 1, now
            else:
                after += 1
            if rng.random() < stop:
                break
        rows.append((x, 7 * last, 7.0 * weeks, after))
    return pd.DataFrame(rows, columns=["frequency", "recency_days", "t_days", "after"]).assign(customers=1)


def test_planted_parameters_and_totals_are_found_again():
    truth, held, covered = np.log([0.6, 6.0, 0.8, 3.0]), np.zeros(4), 0
    for seed in range(20):
        people = planted(seed)
        model = clv.fit(people, time_unit="week", until=CALIBRATED)
        spread = np.sqrt(np.diag(np.array(model.log_covariance)))
        held += np.abs(np.log(model.parameters) - truth) <= 1.96 * spread
        mean = float(model.expected(people, days=182).sum())
        own = mean * model.spread_of_total(people, days=182)
        chance = np.sqrt(model.simulate(people, days=182, n=200, seed=seed).var(axis=1).sum())
        covered += abs(people["after"].sum() - mean) <= 1.96 * np.hypot(own, chance)
    assert held.min() >= 17, held
    assert covered >= 17


# ---- small, odd and empty


def test_too_few_is_an_answer(write_shop):
    rows = [
        {"order_id": i, "ordered_at": f"2025-01-{1 + i % 28:02d}", "customer_id": 1 + i % 5, "total": 10}
        for i in range(40)
    ]
    shop = crm.connect(write_shop(orders=rows), as_of="2025-03-01")
    with pytest.raises(
        NotEnoughData, match=r"too few to conclude: 5 customers with \d+ repeat purchases .* 100 and 50"
    ):
        clv.validate(shop, holdout_days=30)
    with pytest.raises(NotEnoughData, match="nobody had bought"):
        clv.validate(shop, holdout_days=300)


def test_time_unit_is_day_or_week(histories):
    with pytest.raises(UsageError, match="day or week, not 'month'"):
        clv.fit(histories, time_unit="month", until=CALIBRATED)


def test_future_orders_change_no_parameter(cdnow_folders, tmp_path):
    full = crm.connect(cdnow_folders[1], as_of="1997-07-01")
    orders = pd.read_csv(cdnow_folders[1] / "orders.csv", dtype=str)
    past = orders[orders["ordered_at"] < "1997-07-01"]
    assert len(past) < len(orders)
    past.to_csv(tmp_path / "orders.csv", index=False)
    cut = crm.connect(tmp_path, as_of="1997-07-01")
    found = [clv.fit(s.fetch(clv.facts(s)), time_unit="week", until=s.as_of).parameters for s in (full, cut)]
    assert found[0].tolist() == found[1].tolist()


@pytest.mark.parametrize("method", [methods.NOBODY, methods.SAME_RATE, methods.RECENCY])
def test_a_simple_rule_that_wins_is_shipped_and_said(cdnow_sample, method):
    checked = clv.validate(cdnow_sample, holdout_days=90)
    simple = replace(checked, chosen=method, cuts=tuple(replace(c, own=0.05) for c in checked.cuts))
    scores = clv.score(cdnow_sample, simple, horizon_days=90)
    said = clv.page(simple, scores, shop=cdnow_sample)
    assert scores.model is None
    assert said.status == "warnings"
    assert f"'{method}' came as close as the models, so the simpler rule is used" in clv.part_methods(simple).sentence
    assert "A simple rule does as well" in clv.part_methods(simple).title
    assert scores.customers["p_no_order"].between(0, 1).all()
    total = scores.customers["expected_orders"].sum()
    wanted = {methods.NOBODY: 0.0, methods.SAME_RATE: None, methods.RECENCY: checked.actual}[method]
    if wanted is not None:
        # The recency rule repeats what the same bins did one holdout before: the same order of size.
        assert total == pytest.approx(wanted, rel=0.5, abs=1)
    for part in (clv.part_tenths(simple), clv.part_weeks(simple), clv.part_wavering(scores, simple, shop=cdnow_sample)):
        assert part.title and part.chart.alt
    assert clv.part_chances(simple).method
    assert clv.part_value(scores, simple, currency="USD").metrics


def test_models_that_do_not_converge_are_said_and_survived(cdnow_sample, monkeypatch):
    climb = models._climb
    monkeypatch.setattr(models, "_climb", lambda *at: replace(climb(*at), settled=False))
    checked = clv.validate(cdnow_sample, holdout_days=90)
    assert not checked.models
    assert checked.chosen not in methods.MODELS
    assert "No model could be fitted" in verdict.verdict(checked)
    said = clv.page(checked, clv.score(cdnow_sample, checked, horizon_days=90), shop=cdnow_sample)
    assert said.tables["model"].query("model in @methods.MODELS")["converged"].tolist() == [False] * 3
    assert said.status == "warnings"
    (told,) = [check for check in said.checks if check.name == "models converged"]
    assert "Pareto/NBD did not converge" in told.text and told.verdict == "warning"


def test_one_model_that_fails_leaves_the_others(cdnow_sample, monkeypatch):
    climb = models._climb

    def lame(likelihood, logs):
        top = climb(likelihood, logs)
        return replace(top, settled=False) if likelihood.name == BG else top

    monkeypatch.setattr(models, "_climb", lame)
    checked = clv.validate(cdnow_sample, holdout_days=90)
    assert set(checked.models) == {"MBG/NBD", "Pareto/NBD"}
    assert checked.chosen in checked.models
    (told,) = clv.part_methods(checked).checks
    assert "Not fitted: BG/NBD did not converge." in told.text and told.verdict == "ok"


def test_without_amounts_orders_are_forecast_and_value_is_not(cdnow_folders, tmp_path):
    orders = pd.read_csv(cdnow_folders[1] / "orders.csv", dtype=str).drop(columns="total")
    orders.to_csv(tmp_path / "orders.csv", index=False)
    shop = crm.connect(tmp_path, as_of="1998-07-01")
    checked = clv.validate(shop, holdout_days=90)
    scores = clv.score(shop, checked, horizon_days=90)
    assert scores.value is None
    assert scores.customers["expected_value"].isna().all()
    said = clv.page(checked, scores, shop=shop)
    assert said.headline.endswith("812 customers bought in the past 12 months.")
    assert said["past_sales"].value is None
    assert said["expected_value"].value is None


# ---- what is published


def test_scores_hold_together(cdnow_sample, checked):
    scores = clv.score(cdnow_sample, checked, horizon_days=365)
    people = scores.customers
    assert people["customer_id"].is_unique
    assert len(people) == 2357
    assert people["expected_value"].is_monotonic_decreasing
    assert (people["low_orders"] <= people["high_orders"]).all()
    assert (people["low_value"] <= people["high_value"]).all()
    assert people["expected_orders"].sum() == pytest.approx(scores.orders.value, rel=1e-3)
    assert people["expected_value"].sum() == pytest.approx(scores.value.value, rel=1e-3)
    # Never past spend inside future value: the past is 244,000 dollars.
    assert scores.value.value < 0.6 * people["past_revenue"].sum()
    less = clv.score(cdnow_sample, checked, horizon_days=365, discount_rate=0.2, margin=0.5)
    # A quarter to nearly a half of the year's discount, since most orders come early.
    assert 0.88 < less.value.value / scores.value.value / 0.5 < 0.95


def test_margin_comes_from_costs_and_says_for_what_share(write_shop):
    orders = [{"order_id": i, "ordered_at": "2025-01-01", "customer_id": "a"} for i in "12"]
    lines = [
        {"order_id": "1", "product_id": "p", "quantity": 2, "line_total": 10, "unit_cost": 3},
        {"order_id": "1", "product_id": "q", "quantity": 1, "line_total": 10, "unit_cost": ""},
        {"order_id": "2", "product_id": "r", "quantity": 1, "line_total": 20, "unit_cost": ""},
    ]
    products = [{"product_id": "q", "unit_cost": 5}]
    shop = crm.connect(write_shop(orders=orders, order_lines=lines, products=products))
    found = margin.margin_of(shop, assumed=0.3)
    # Cost 2×3 + 5 = 11 of 20 known; 20 of 40 in sales have a cost.
    assert (found.share, found.known_share, found.source) == (pytest.approx(0.45), pytest.approx(0.5), "costs")
    bare = crm.connect(write_shop("bare", orders=orders))
    assert margin.margin_of(bare, assumed=0.3).source == "parameter"
    assert margin.margin_of(bare, assumed=1.0).source == "none"


def test_findings_name_the_contract(cdnow_sample, checked):
    said = clv.page(checked, clv.score(cdnow_sample, checked, horizon_days=90), shop=cdnow_sample)
    ids = {metric.id for metric in said.metrics}
    assert ids >= {"customers", "repeat_customers", "holdout_actual", "holdout_forecast", "holdout_auc", "recency_auc"}
    assert said["holdout_actual"].value == 1882
    model = said.tables["model"]
    assert list(model.columns)[:8] == [
        "model",
        "parameter",
        "value",
        "low",
        "high",
        "log_likelihood",
        "converged",
        "time_unit",
    ]
    fitted = model[model["model"] == "BG/NBD"].set_index("parameter")["value"]
    assert fitted[["r", "alpha", "a", "b"]].tolist() == pytest.approx([0.2426, 4.4136, 0.7929, 2.4259], rel=1e-3)
    assert list(said.tables["validation"].columns) == ["method", "measure", "value", "low", "high"]
    wanted = [
        "customer_id",
        "expected_orders",
        "low_orders",
        "high_orders",
        "expected_value",
        "low_value",
        "high_value",
        "p_no_order",
    ]
    assert list(said.lists["customers"].columns)[:8] == wanted
    assert 3 <= len(said.tiles) <= 4
