"""The three timing models, the season's clock and the traps: published figures, other libraries, planted truth."""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import replace
from datetime import date, timedelta

import lifetimes
import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

import crmlib as crm
from crmlib.analysis import lifetime_value as clv
from crmlib.analysis.lifetime_value import methods, models, timing
from crmlib.analysis.lifetime_value.season import monthly_repeats, season, year_before
from crmlib.analysis.lifetime_value.truncation import beginning
from crmlib.errors import NotEnoughData
from crmlib.shop.samples.demo import population
from crmlib.stats import top_share, weighted_auc
from tests.conftest import ROOT, SHARED_DATA

GOLDEN = json.loads((ROOT / "tests" / "golden" / "lifetime_value.json").read_text(encoding="utf-8"))
CALIBRATED = date(1997, 10, 1)
each_model = pytest.mark.parametrize("name", list(timing.NAMES))


@pytest.fixture(scope="module")
def histories(cdnow_sample):
    return cdnow_sample.fetch(clv.facts(cdnow_sample, until=CALIBRATED))


@pytest.fixture(scope="module")
def fitted(histories):
    return {name: clv.fit(histories, time_unit="week", until=CALIBRATED, name=name) for name in timing.NAMES}


@pytest.fixture(scope="module")
def grocery(tmp_path_factory):
    if not (SHARED_DATA / "groceryElog.csv").is_file():
        pytest.skip("../shared/data is not here: groceryElog.csv")
    log = pd.read_csv(SHARED_DATA / "groceryElog.csv")
    folder = tmp_path_factory.mktemp("grocery")
    pd.DataFrame({"order_id": range(len(log)), "customer_id": log["cust"], "ordered_at": log["date"]}).to_csv(
        folder / "orders.csv", index=False
    )
    return crm.connect(folder)


def one(x: float, recency: float, t: float) -> pd.DataFrame:
    return pd.DataFrame({"frequency": [x], "recency_days": [7 * recency], "t_days": [7 * t], "customers": [1]})


# ---- published figures


@pytest.mark.parametrize("name", ["BG/NBD", "MBG/NBD", "Pareto/NBD"])
def test_cdnow_parameters_are_the_published_ones(fitted, name):
    golden = GOLDEN["cdnow"][name]
    assert fitted[name].parameters == pytest.approx(golden["parameters"], rel=1e-3)
    assert fitted[name].log_likelihood == pytest.approx(golden["log_likelihood"], abs=0.05)


@pytest.mark.parametrize("name", ["BG/NBD", "Pareto/NBD"])
def test_cdnow_one_customer_is_the_published_one(fitted, name):
    golden, customer = GOLDEN["cdnow"][name], one(2, 30.43, 38.86)
    assert fitted[name].expected(customer, days=273)[0] == pytest.approx(golden["expected_39_weeks"], abs=2e-4)
    assert fitted[name].p_alive(customer)[0] == pytest.approx(golden["p_alive"], abs=2e-4)


def test_donations_in_discrete_time():
    """BG/BB is not used on pages; its published fit shows that the package it would come from gives it here."""
    file = importlib.resources.files("lifetimes") / "datasets" / "donations.csv"
    with file.open() as opened:
        rows = pd.read_csv(opened)
    fitter = lifetimes.BetaGeoBetaBinomFitter()
    fitter.fit(rows["frequency"], rows["recency"], rows["periods"], weights=rows["weights"])
    assert fitter.params_.tolist() == pytest.approx(GOLDEN["donations"]["parameters"], rel=2e-3)
    likelihood = -fitter._negative_log_likelihood_ * rows["weights"].sum()
    assert likelihood == pytest.approx(GOLDEN["donations"]["log_likelihood"], abs=0.1)


def ranking_figures(shop: crm.Shop, cut: date) -> dict[str, float]:
    """AUC for 'buys in the next 90 days' and share of the orders in the top tenth, by score."""
    rows = shop.fetch(methods.holdout_patterns(shop, start=cut, end=cut + timedelta(days=90)))
    bought, n = (rows["purchases"] > 0).to_numpy(), rows["customers"].to_numpy(float)
    fits = clv.fit_all(shop, shop.fetch(clv.facts(shop, until=cut)), time_unit="week", until=cut).models
    silent = (rows["recency_days"] - rows["t_days"]).to_numpy(float)
    best = {name: model.expected(rows, days=90) for name, model in fits.items()}

    def auc(score: np.ndarray) -> float:
        return float(weighted_auc(score, bought, n[None, :])[0])

    def top(score: np.ndarray) -> float:
        return float(top_share(score, rows["purchases"].to_numpy(float), n[None, :])[0])

    return {
        "p_alive": auc(fits["BG/NBD"].p_alive(rows)), "recency": auc(silent), "best": max(map(auc, best.values())),
        "bg_expected": auc(best["BG/NBD"]), "silence": auc(-fits["BG/NBD"].p_none(rows, days=90)),
        "top_recency": top(silent), "top_model": max(map(top, best.values())),
    }  # fmt: skip


def test_p_alive_ranks_cdnow_backwards_and_no_order_does_not(cdnow_sample):
    found, golden = ranking_figures(cdnow_sample, CALIBRATED), GOLDEN["ranking"]["cdnow"]
    assert {key: round(found[key], 3) for key in golden} == pytest.approx(golden, abs=1.1e-3)
    # The naive churn score is worse than a coin, the one in use close to the best there is.
    assert found["p_alive"] < 0.5 < 0.78 < found["silence"]


def test_grocery_figures(grocery):
    found, golden = ranking_figures(grocery, date(2007, 1, 1)), GOLDEN["ranking"]["grocery"]
    assert {key: round(found[key], 3) for key in golden} == pytest.approx(golden, abs=5e-3)
    assert found["p_alive"] < 0.5 < 0.89 < found["silence"]
    # AUC says that recency wins; what a shop lives on says the opposite.
    assert found["recency"] > found["best"]
    assert found["top_model"] > found["top_recency"] + 0.05


# ---- other libraries and brute force


@pytest.mark.parametrize(
    ("name", "fitter"),
    [("MBG/NBD", "ModifiedBetaGeoFitter"), ("Pareto/NBD", "ParetoNBDFitter"), ("BG/NBD", "BetaGeoFitter")],
)
def test_formulas_equal_the_lifetimes_package(fitted, name, fitter):
    theirs = getattr(lifetimes, fitter)()
    model = fitted[name]
    theirs.params_ = pd.Series(dict(zip(timing.NAMES[name], model.parameters, strict=True)))
    grid = pd.concat([one(x, recency, 60) for x in (0, 1, 2, 5, 20) for recency in (0, 10, 59.5) if x or not recency])
    data = (grid["frequency"].to_numpy(), grid["recency_days"].to_numpy() / 7, grid["t_days"].to_numpy() / 7)
    wanted = theirs.conditional_expected_number_of_purchases_up_to_time(26, *data)
    assert model.expected(grid, days=182) == pytest.approx(np.asarray(wanted), rel=1e-7)
    assert model.p_alive(grid) == pytest.approx(np.asarray(theirs.conditional_probability_alive(*data)), rel=1e-7)


def test_pareto_integral_equals_quadrature():
    """Against adaptive quadrature of the plain integral, where that one can be trusted."""
    rng = np.random.default_rng(3)
    for _ in range(60):
        alpha, beta, k, s = np.exp(rng.uniform([-1, -2, -1, -4], [4, 5, 3, 1.5]))
        end = float(np.exp(rng.uniform(1, 5)))
        start = end * rng.random()
        plain, _ = quad(
            lambda u, alpha=alpha, beta=beta, k=k, s=s: s * (alpha + u) ** -k * (beta + u) ** -(s + 1),
            start, end, epsabs=0, epsrel=1e-12, limit=400,
        )  # fmt: skip
        wanted = np.log((alpha + end) ** -k * (beta + end) ** -s + plain)
        assert timing._log_silence((alpha, beta, k, s), start, end)[0] == pytest.approx(wanted, abs=1e-10)


def test_pareto_survives_a_frequent_buyer_where_the_package_does_not(fitted):
    model = fitted["Pareto/NBD"]
    daily = one(2000, 399.9, 400)
    assert 0 < model.expected(daily, days=365)[0] < 2 * 2000 * 365 / 2800
    assert 0.9 < model.p_alive(daily)[0] <= 1
    theta, buyer = np.array([0.55, 10.6, 0.61, 200.0]), (np.array([400.0]), np.array([3.0]), np.array([400.0]))
    with np.errstate(all="ignore"):
        assert np.isnan(lifetimes.ParetoNBDFitter._conditional_log_likelihood(theta, *buyer)).all()
    assert np.isfinite(timing.log_likelihood("Pareto/NBD", theta, *buyer)).all()


@each_model
def test_simulation_agrees_with_the_formulas(fitted, name):
    sure = replace(fitted[name], log_covariance=None)
    customers = pd.concat([one(0, 0, 30), one(2, 30.43, 38.86), one(9, 20, 38), one(30, 38, 38.5)])
    draws = sure.simulate(customers, days=273, n=40_000, seed=1)
    error = 4 * draws.std(axis=1) / 200
    assert (np.abs(draws.mean(axis=1) - sure.expected(customers, days=273)) < error).all()
    assert np.abs((draws == 0).mean(axis=1) - sure.p_none(customers, days=273)).max() < 0.01


@each_model
def test_weights_equal_repeated_rows(histories, fitted, name):
    repeated = histories.loc[histories.index.repeat(histories["customers"])].assign(customers=1)
    again = clv.fit(repeated, time_unit="week", until=CALIBRATED, name=name)
    assert again.parameters == pytest.approx(fitted[name].parameters, rel=1e-4)


def test_a_sample_of_histories_leads_to_the_same_maximum(histories, fitted, monkeypatch):
    monkeypatch.setattr(models, "_MOST_PATTERNS", 500)
    again = clv.fit(histories, time_unit="week", until=CALIBRATED)
    assert again.parameters == pytest.approx(fitted["BG/NBD"].parameters, rel=5e-3)


# ---- failures that must be seen


def steady(rng: np.random.Generator, customers: int = 1500) -> pd.DataFrame:
    """Customers who never stop: nothing that a rate of stopping could be fitted to."""
    t = rng.integers(100, 365, customers)
    x = rng.poisson(rng.gamma(2.0, 0.02, customers) * t)
    last = np.floor(t * np.where(x > 0, rng.beta(np.maximum(x, 1), 1), 0))
    return pd.DataFrame({"frequency": x, "recency_days": last, "t_days": t, "customers": 1})


def test_pareto_on_the_boundary_is_detected_and_said(rng):
    found = clv.fit(steady(rng), time_unit="day", until=CALIBRATED, name="Pareto/NBD")
    assert isinstance(found, models.Unfit)
    assert "boundary" in found.reason
    assert "s = 0" in found.reason


def test_everybody_alike_is_a_boundary_with_a_sound_forecast(rng):
    t = np.full(800, 200)
    # Everybody buys at the very same rate: the spread of rates runs off to nothing.
    x = rng.poisson(5, 800)
    people = pd.DataFrame({"frequency": x, "recency_days": np.where(x > 0, 190, 0), "t_days": t, "customers": 1})
    found = clv.fit(people, time_unit="day", until=CALIBRATED, name="NBD")
    assert isinstance(found, models.PurchaseModel)
    # Five purchases in 200 days, whatever was seen of one: the pooled rate.
    assert found.expected(people, days=100) == pytest.approx(np.full(800, 100 * x.mean() / 200), rel=0.2)
    assert np.isfinite(found.draws(50, seed=1)).all()
    bg = clv.fit(people, time_unit="day", until=CALIBRATED)
    if isinstance(bg, models.PurchaseModel):
        assert np.isfinite(bg.expected(people, days=365)).all()


@pytest.mark.parametrize("seed", range(4))
def test_whoever_never_stops_has_a_model_that_knows_it(seed):
    people = steady(np.random.default_rng(seed))
    found = clv.fit(people, time_unit="day", until=CALIBRATED, name="NBD")
    # Gamma of rates with shape 2 and mean 0.04 a day, no stopping: the conditional mean is known.
    truth = (2 + people["frequency"]) / (50 + people["t_days"]) * 90
    assert found.expected(people, days=90).sum() == pytest.approx(truth.sum(), rel=0.03)
    assert (found.p_alive(people) == 1).all()
    draws = found.simulate(people.head(300), days=90, n=400, seed=1)
    assert draws.mean() == pytest.approx(truth.head(300).mean(), rel=0.06)


def test_one_rate_of_stopping_is_found_again(rng):
    """Everybody stops at 0.01 a day: the limit of Pareto/NBD finds it, and equals it on its own ground."""
    n = 4000
    t = rng.integers(100, 365, n)
    life = np.minimum(rng.exponential(100, n), t)
    x = rng.poisson(rng.gamma(1.5, 0.04, n) * life)
    last = np.floor(life * np.where(x > 0, rng.beta(np.maximum(x, 1), 1), 0))
    people = pd.DataFrame({"frequency": x, "recency_days": last, "t_days": t, "customers": 1})
    found = clv.fit(people, time_unit="day", until=CALIBRATED, name="exponential/NBD")
    (mu,) = [row for row in found.table() if row["parameter"] == "mu"]
    assert mu["low"] < 0.01 < mu["high"] and mu["value"] == pytest.approx(0.01, rel=0.12)
    near = replace(found, name="Pareto/NBD")
    assert found.expected(people, days=90) == pytest.approx(near.expected(people, days=90))


@pytest.mark.parametrize("name", [timing.BG, timing.MBG])
@pytest.mark.parametrize("dropout", [(0.3, 2.0), (40.0, 60.0), (3000.0, 9000.0), (1e-4, 1.0), (500.0, 1.0)])
def test_expectations_at_extremes_equal_a_simulation(name, dropout):
    theta = np.array([0.9, 20.0, *dropout])
    x, recency, t = (np.array(column) for column in ([0.0, 1.0, 6.0], [0.0, 40.0, 55.0], [30.0, 50.0, 60.0]))
    found = timing.expected(name, theta, x, recency, t, 200.0)
    draws = timing.simulate(name, theta, (x, recency, t), 200.0, n=200_000, rng=np.random.default_rng(1))
    error = 5 * draws.std(axis=1) / np.sqrt(200_000) + 1e-9
    assert (np.abs(found - draws.mean(axis=1)) <= error).all()


def test_no_mean_spend_no_prediction(rng):
    # Averages with a tail so heavy that no mean exists.
    average = 10 * rng.pareto(0.7, 3000) + 0.01
    people = pd.DataFrame({"frequency": 2, "repeat_revenue": 2 * average, "customer_id": range(3000)})
    from crmlib.analysis.lifetime_value import spend

    assert spend.gamma_gamma(np.full(3000, 2.0), average)[0][1] <= 1
    assert spend.spend_of(people, until=CALIBRATED) is None


# ---- planted truth


def test_one_time_buyers_are_ranked_by_who_comes_back():
    """Some buy once and never return; the older the single purchase, the likelier. P(alive) sees no difference."""
    rng = np.random.default_rng(5)
    n = 6000
    t = rng.integers(20, 360, n)
    returns = rng.random(n) > 0.45
    rate = np.where(returns, rng.gamma(1.0, 1 / 90, n), 0.0)
    gaps = rng.exponential(1, (n, 60)) / np.maximum(rate, 1e-12)[:, None]
    days = np.cumsum(gaps, axis=1)
    x = (days <= t[:, None]).sum(axis=1)
    last = np.where(x > 0, np.take_along_axis(days, np.maximum(x - 1, 0)[:, None], axis=1)[:, 0], 0)
    came = ((days > t[:, None]) & (days <= t[:, None] + 90)).any(axis=1)
    people = pd.DataFrame({"frequency": x, "recency_days": np.floor(last), "t_days": t, "customers": 1})
    model = clv.fit(people, time_unit="day", until=CALIBRATED, name="MBG/NBD")
    # Two in five can neither stop nor buy in BG/NBD, which is NBD here; its ranking does not depend on a fit.
    assert clv.fit(people, time_unit="day", until=CALIBRATED).instead == "NBD"
    bg = replace(model, name="BG/NBD", theta=(0.24, 31.0, 0.79, 2.43))
    single = people["frequency"].to_numpy() == 0

    def auc(score: np.ndarray) -> float:
        return float(weighted_auc(score[single], came[single], np.ones((1, single.sum())))[0])

    truth = np.where(returns & (rate > 0), 1 - np.exp(-90 * rate), 0)
    assert auc(bg.p_alive(people)) == 0.5
    for fit in (model, bg):
        assert auc(-fit.p_none(people, days=90)) > 0.63
    # And the level is right: as many come back as was said, of one-time buyers alone.
    assert (1 - model.p_none(people, days=90))[single].sum() == pytest.approx(came[single].sum(), rel=0.12)
    assert truth[single].mean() < truth[~single].mean()


def test_the_clock_finds_the_planted_season_and_none_where_there_is_none(demo_shop, cdnow_sample):
    until = demo_shop.as_of
    patterns = demo_shop.fetch(clv.facts(demo_shop))
    fits = clv.fit_all(demo_shop, patterns, time_unit="week", until=until, names=("BG/NBD",))
    truth = population.MONTHS / population.MONTHS.mean()
    assert fits.clock is not None
    assert np.corrcoef(fits.clock.busy, truth)[0, 1] > 0.95
    inside = (np.array(fits.clock.low) <= truth) & (truth <= np.array(fits.clock.high))
    assert inside.sum() >= 10
    # A year holds as many average days as days; December is worth more, and only its own length more.
    assert fits.clock.ahead(until, days=365) == pytest.approx(365, rel=0.01)
    assert fits.clock.ahead(date(2026, 12, 1), days=31) == pytest.approx(31 * fits.clock.busy[11])
    assert fits.clock.deviation(until, days=365) < 0.2 * fits.clock.deviation(date(2026, 12, 1), days=31)
    # Under two years there is nothing to tell a season from.
    assert (
        clv.fit_all(
            cdnow_sample, cdnow_sample.fetch(clv.facts(cdnow_sample)), time_unit="week", until=cdnow_sample.as_of
        ).clock
        is None
    )


def test_the_season_hangs_on_no_one_model(demo_shop, monkeypatch):
    """Where no model with dropout has a fit, a shop's season is the same as ever."""
    fit, until = methods.fit, demo_shop.as_of

    def lame(patterns, *, name, **more):
        return models.Unfit(name=name, reason="", until=until) if name != "NBD" else fit(patterns, name=name, **more)

    monkeypatch.setattr(methods, "fit", lame)
    patterns = demo_shop.fetch(clv.facts(demo_shop))
    fits = clv.fit_all(demo_shop, patterns, time_unit="week", until=until, names=("NBD",))
    truth = population.MONTHS / population.MONTHS.mean()
    assert np.corrcoef(fits.clock.busy, truth)[0, 1] > 0.95
    assert np.abs(np.array(fits.clock.busy) / truth - 1).max() < 0.15


def test_no_season_is_found_where_orders_come_evenly(write_shop):
    rng, found = np.random.default_rng(11), 0
    for k in range(6):
        first = rng.integers(0, 1100, 500)
        who = np.repeat(np.arange(500), rng.poisson(12, 500))
        day = first[who] + rng.random(len(who)) * (1100 - first[who])
        at = np.datetime64("2022-01-01") + np.concatenate([first, day]).astype(int)
        rows = pd.DataFrame({"customer_id": np.concatenate([np.arange(500), who]), "ordered_at": at})
        shop = crm.connect(write_shop(f"even{k}", orders=rows.assign(order_id=range(len(rows)))), as_of="2025-01-05")
        patterns = shop.fetch(clv.facts(shop))
        # Nobody stops here, so that BG/NBD has no fit of its own.
        model = clv.fit(patterns, time_unit="day", until=shop.as_of, name="NBD")
        found += season(shop.fetch(monthly_repeats(shop, until=shop.as_of)), patterns, model=model) is not None
    assert found <= 1


def test_december_is_forecast_better_with_the_clock_than_without(demo_shop):
    """A forecast of the busiest month from a model that knows no season is far too low; with the clock it is close."""
    cut = date(2025, 12, 1)
    rows = demo_shop.fetch(methods.holdout_patterns(demo_shop, start=cut, end=date(2026, 1, 1)))
    patterns = demo_shop.fetch(clv.facts(demo_shop, until=cut))
    with_clock = clv.fit_all(demo_shop, patterns, time_unit="week", until=cut, names=("BG/NBD",)).models["BG/NBD"]
    naive = clv.fit(patterns, time_unit="week", until=cut)
    came = rows["purchases"] @ rows["customers"]
    known = rows["customers"].to_numpy(float)
    assert with_clock.clock is not None
    assert known @ naive.expected(rows, days=31) < 0.75 * came
    assert known @ with_clock.expected(rows, days=31) == pytest.approx(came, rel=0.15)


# ---- what the data cannot say


def test_out_of_season_is_measured_where_the_season_cannot_be_learnt(write_shop):
    rng = np.random.default_rng(2)
    # Sixteen months, every December three times as busy.
    days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2025-05-01"))
    weight = np.where(days.astype("datetime64[M]").astype(int) % 12 == 11, 3.0, 1.0)
    rows = pd.DataFrame(
        {"customer_id": rng.integers(0, 400, 6000), "ordered_at": rng.choice(days, 6000, p=weight / weight.sum())}
    )
    rows = rows.assign(order_id=range(6000), total=20.0)
    shop = crm.connect(write_shop(orders=rows), as_of="2025-05-01")
    same = crm.connect(write_shop("december", orders=rows[rows["ordered_at"] < "2025-12-01"]), as_of="2025-05-01")
    assert year_before(shop, days=365) is None
    assert year_before(same, days=60) == pytest.approx(1 / (14 / 12), rel=0.2)
    december = crm.connect(
        write_shop("d", orders=rows.assign(ordered_at=rows["ordered_at"] + pd.Timedelta(days=214))), as_of="2025-12-01"
    )
    assert year_before(december, days=31) is not None


def test_old_customers_who_look_new_are_warned_of(write_shop, cdnow_sample):
    orders = [
        {"order_id": i, "customer_id": f"C{i}", "ordered_at": f"2025-{1 + i % 6:02d}-{1 + i % 28:02d}"}
        for i in range(60)
    ]
    old = [{"customer_id": f"C{i}", "created_at": "2023-05-01" if i < 20 else "2025-01-01"} for i in range(60)]
    found = beginning(crm.connect(write_shop(orders=orders, customers=old)))
    assert (found.old, found.truncated) == (20, True)
    assert "20 of 60 customers had an account more than 30 days before the data begins" in found.sentence()
    new = [{"customer_id": i, "created_at": "2025-01-01"} for i in range(60)]
    assert not beginning(crm.connect(write_shop("new", orders=orders, customers=new))).truncated
    # Without accounts the crowd of the first month speaks: 50 of 60 at once.
    rush = [
        {"order_id": i, "customer_id": i, "ordered_at": "2025-01-05" if i < 50 else f"2025-0{2 + i % 4}-10"}
        for i in range(60)
    ]
    assert beginning(crm.connect(write_shop("rush", orders=rush))).truncated
    # Won in twelve weeks, as many in the first as in the others: no sign of anything.
    assert not beginning(cdnow_sample).truncated


def test_a_shop_that_stands_still_is_refused(cdnow_folders):
    late = crm.connect(cdnow_folders[1], as_of="1998-09-15")
    with pytest.raises(
        NotEnoughData, match="the last order is 77 days before 1998-09-15; needed is one in the last 30"
    ):
        clv.validate(late, holdout_days=90)


def test_orders_of_one_day_are_one_purchase(write_shop):
    rows = [("a", "2025-01-01 09:00"), ("a", "2025-01-01 18:00"), ("a", "2025-01-11"), ("b", "2025-01-05")]
    orders = [{"order_id": i, "customer_id": c, "ordered_at": at, "total": 10} for i, (c, at) in enumerate(rows)]
    shop = crm.connect(write_shop(orders=orders), as_of="2025-02-01")
    found = shop.fetch(clv.facts(shop))
    assert found.to_numpy().tolist() == [[0, 0, 26, 1], [1, 10, 30, 1]]


def test_mean_absolute_error_prefers_nobody_buys_and_deviance_does_not(cdnow_sample):
    """METHODS: at 90 days MAE is .347 for BG/NBD and .305 for all-zero; it cannot tell a forecast from silence."""
    seen = methods.look(cdnow_sample, start=CALIBRATED, end=CALIBRATED + timedelta(days=90), time_unit="week")
    n = seen.customers

    def mae(method: str) -> float:
        return float(n @ np.abs(seen.purchases - seen.expected[method]) / n.sum())

    assert (mae("BG/NBD"), mae(methods.NOBODY)) == (pytest.approx(0.347, abs=1e-3), pytest.approx(0.305, abs=3e-3))
    assert mae(methods.NOBODY) < mae("BG/NBD")
    assert n @ seen.loss("BG/NBD") < 0.3 * (n @ seen.loss(methods.NOBODY))
