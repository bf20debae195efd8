"""Money of a purchase day, who is wholesale, which tier, and ranges as wide as past windows ask for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import lifetimes
import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import lifetime_value as clv
from crmlib.analysis.lifetime_value import (
    chances,
    contest,
    methods,
    past,
    ranges,
    shares,
    spend,
    tiers,
    timing,
    validation,
)
from crmlib.analysis.lifetime_value.models import PurchaseModel
from crmlib.shop.facts import customer_history

DAY = date(2025, 1, 1)


def spenders(
    seed: int, *, customers: int = 1500, between: float, slope: float = 0.0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of customer_history whose orders are Gamma with shape 4 around a mean of their own, and those means."""
    rng = np.random.default_rng(seed)
    x = rng.poisson(rng.gamma(1.0, 3.0, customers))
    mean = 40 * np.exp(between * rng.normal(size=customers) - between**2 / 2) + slope * np.log1p(x)
    repeat = np.where(x > 0, rng.gamma(4 * np.maximum(x, 1), mean / 4), 0.0)
    people = pd.DataFrame({"frequency": x, "repeat_revenue": repeat, "revenue": repeat + rng.gamma(4, mean / 4)})
    return people, mean


@pytest.mark.parametrize("seed", range(3))
def test_gamma_gamma_is_the_packages_maximum_or_a_higher_one(seed):
    people, _ = spenders(seed, between=0.5)
    some = people[people["frequency"] > 0]
    x, m = some["frequency"].to_numpy(float), (some["repeat_revenue"] / some["frequency"]).to_numpy()
    theirs = lifetimes.GammaGammaFitter()
    theirs.fit(some["frequency"], pd.Series(m, index=some.index))
    (p, q, v), limits, mean = spend.gamma_gamma(x, m)
    assert mean >= -theirs._negative_log_likelihood_ - 1e-7
    assert (p, q, v) == pytest.approx(tuple(theirs.params_), rel=0.02)
    assert all(low < value < high for value, (low, high) in zip((p, q, v), limits, strict=True))


def test_planted_spend_is_found_again_over_20_seeds():
    held = 0
    for seed in range(20):
        people, mean = spenders(100 + seed, between=0.4)
        for name in (spend.GAMMA_GAMMA, spend.SHRUNK):
            found = spend.spend_of(people, until=DAY, name=name)
            told, big = found.per_order(people)
            assert not big.any()
            assert told.mean() == pytest.approx(mean.mean(), rel=0.05)
            # Closer to the truth than the own average is, and than the crowd's.
            own = people["revenue"] / (people["frequency"] + 1)
            assert np.square(told - mean).sum() < min(np.square(own - mean).sum(), np.square(mean.mean() - mean).sum())
        held += abs(told.mean() / mean.mean() - 1) <= 1.96 * found.mean_deviation
    assert held >= 17


@pytest.mark.parametrize("between", [0.0, 0.02])
def test_spend_that_hardly_differs_is_the_pooled_mean(between):
    people, _ = spenders(5, between=between)
    found = spend.spend_of(people, until=DAY)
    told = found.per_order(people)[0]
    pooled = people["repeat_revenue"].sum() / people["frequency"].sum()
    assert found.name == spend.GAMMA_GAMMA
    assert told == pytest.approx(np.full(len(people), pooled), rel=0.1)
    assert told.mean() == pytest.approx(pooled, rel=0.01)
    same = people.assign(repeat_revenue=20.0 * people["frequency"], revenue=20.0 * (people["frequency"] + 1))
    for name in (spend.GAMMA_GAMMA, spend.SHRUNK):
        flat = spend.spend_of(same, until=DAY, name=name)
        assert flat.per_order(same)[0] == pytest.approx(np.full(len(same), 20.0), rel=1e-3)
        drawn = flat.simulate(
            np.full((5, 50), 3), *(part[:5] for part in flat.seen(same)), rng=np.random.default_rng(1)
        )
        assert np.isfinite(drawn).all() and drawn.mean() == pytest.approx(60, rel=0.01)


@pytest.mark.parametrize("name", [spend.GAMMA_GAMMA, spend.SHRUNK])
def test_drawn_money_has_the_mean_that_is_told(name):
    people, _ = spenders(6, between=0.5)
    found = spend.spend_of(people, until=DAY, name=name)
    few = people.head(40)
    drawn = found.simulate(np.full((40, 20_000), 2), *found.seen(few), rng=np.random.default_rng(1))
    assert drawn.mean(axis=1) == pytest.approx(2 * found.per_order(few)[0], rel=0.05)
    assert found.simulate(np.zeros((40, 3), int), *found.seen(few), rng=np.random.default_rng(1)).sum() == 0


def test_spend_that_grows_with_frequency_is_told_by_own_averages():
    people, mean = spenders(7, between=0.2, slope=25.0)
    plain, shrunk = (spend.spend_of(people, until=DAY, name=name) for name in (spend.GAMMA_GAMMA, spend.SHRUNK))
    assert shrunk.slope > 10 and plain.correlation > 0.2
    off = [np.square(found.per_order(people)[0] - mean).sum() for found in (plain, shrunk)]
    assert off[1] < 0.8 * off[0]


def test_only_what_days_of_one_customer_share_is_theirs():
    """Days of everybody alike are chance alone, however little the days of one-time buyers vary."""
    rng = np.random.default_rng(9)
    x = np.repeat([0, 1, 2, 4], 600)
    repeat = np.where(x > 0, rng.gamma(np.maximum(x, 1), 40), 0.0)
    first = np.where(x > 0, rng.gamma(1, 40, len(x)), rng.normal(40, 2, len(x)))
    people = pd.DataFrame({"frequency": x, "repeat_revenue": repeat, "revenue": repeat + first})
    found = spend.spend_of(people, until=DAY, name=spend.SHRUNK)
    assert found.within == pytest.approx(1600, rel=0.15)
    assert found.expected(np.array([5.0]), np.array([200.0])) < 40 + 0.25 * 160


def test_wholesale_takes_three_orders_that_stand():
    people, _ = spenders(8, between=0.3)
    large = pd.DataFrame({"frequency": [0, 1, 2], "repeat_revenue": [0.0, 9e5, 18e5], "revenue": [9e5, 18e5, 27e5]})
    found = spend.spend_of(pd.concat([people, large], ignore_index=True), until=DAY)
    told, big = found.per_order(large)
    assert big.tolist() == [False, False, True]
    assert told[2] == 9e5


# ---- tiers


def test_who_is_alike_shares_a_tier():
    score = np.array([9.0, 8, 7, 6, 5, 5, 5, 5, 5, 1])
    found = tiers.tier_of(np.ones(10, bool), score)
    assert found.tolist() == ["top tenth", "next two tenths", "next two tenths", "middle", *["the rest"] * 6]
    # Whoever is best is in the top tier, however many they are.
    assert set(tiers.tier_of(np.ones(10, bool), np.ones(10))) == {"top tenth"}
    crowd = np.array([False, *[True] * 9])
    assert tiers.tier_of(crowd, score)[:2].tolist() == ["wholesale", "top tenth"]


def test_what_tiers_missed_by_hand():
    patterns = pd.DataFrame(
        {"frequency": range(10), "recency_days": 1, "t_days": 9, "purchases": [4, 3, 3, *[0] * 7], "customers": 1}
    )
    expected = {"m": np.array([3.0, 2, 2, 1, 1, 1, 0.5, 0.5, 0.5, 0.5])}
    fits = methods.Fits(models={}, failed=(), clock=None)
    at = methods.Look(start=DAY, end=DAY, patterns=patterns, expected=expected, fits=fits)
    # One more to both: 4 of 3, 6 of 4, 0 of 3, 0 of 2.
    found = shares.tier_misses([at, at], "m")
    for (tier, _), wanted in zip(shares.TIERS, (5 / 4, 7 / 5, 1 / 4, 1 / 3), strict=True):
        assert found[tier] == pytest.approx((wanted, wanted))
    # In money as well, where an order is 10: 40 of 30, 20 of 40, 0 of 30 and 60 of 20.
    money = pd.DataFrame({"said": 10 * expected["m"], "came": [40.0, 20, *[0] * 7, 60]})
    found = shares.tier_misses([at], "m", money=money)
    for (tier, _), wanted in zip(shares.TIERS, (50 / 40, 30 / 50, 10 / 40, 70 / 30), strict=True):
        assert found[tier][1] == pytest.approx(wanted)


# ---- ranges and orders that agree with chances


@pytest.fixture(scope="module")
def erratic():
    """A model of calm customers, and what others did who come and go in bursts."""
    rng = np.random.default_rng(3)
    x = rng.poisson(6, 4000).astype(float)
    patterns = pd.DataFrame({"frequency": x, "recency_days": 170.0 * (x > 0), "t_days": 180.0, "customers": 1})
    model = PurchaseModel(name=timing.NBD, theta=(6.0, 26.0, 1.0, 1.0), log_covariance=None, log_likelihood=0.0,
                          customers=4000, time_unit="week", until=DAY)  # fmt: skip
    rate = model.expected(patterns, days=90)
    came = rng.poisson(rate * rng.gamma(0.7, 1 / 0.7, 4000))
    return model, patterns.assign(purchases=came), rng.poisson(rate * rng.gamma(0.7, 1 / 0.7, 4000))


def test_ranges_of_single_customers_are_widened_until_a_past_window_is_held(erratic):
    model, patterns, again = erratic
    plain = chances.Chances()

    def covered(by: float, came: np.ndarray) -> float:
        low, high = ranges.limits(model, plain, patterns, days=90, widen=by)
        return float(np.mean((low <= came) & (came <= high)))

    by = ranges.widening(model, plain, patterns, days=90)
    came = patterns["purchases"].to_numpy()
    assert covered(1.0, came) < 0.93 < 0.95 <= covered(by, came)
    # And of the next window, which taught nothing.
    assert 0.94 <= covered(by, again) <= 0.98
    calm = np.random.default_rng(4).poisson(model.expected(patterns, days=90))
    assert ranges.widening(model, plain, patterns.assign(purchases=calm), days=90) <= 1.1
    # Of those who order most as of all others: their bursts are not outvoted by a calm crowd.
    most = patterns["frequency"] >= patterns["frequency"].quantile(0.85)
    mixed = np.where(most, came, calm)
    by = ranges.widening(model, plain, patterns.assign(purchases=mixed), days=90)
    low, high = ranges.limits(model, plain, patterns, days=90, widen=by)
    assert ((low <= mixed) & (mixed <= high))[most].mean() > 0.92


def test_orders_are_shared_out_as_the_chances_have_it(erratic):
    model, patterns, _ = erratic
    silent = patterns["frequency"] < 4
    # Learnt: whoever bought fewer than four times is as good as gone.
    taught = [chances.Window(start=DAY, patterns=patterns.assign(purchases=np.where(silent, 0, 2)))]
    found = chances.Chances(mending=chances.learn(taught))
    orders, plain = found.orders(model, patterns, days=90), model.expected(patterns, days=90)
    buys = 1 - found.none(model, patterns, days=90)
    assert orders.sum() == pytest.approx(plain.sum(), rel=0.01)
    assert (orders >= buys - 1e-12).all()
    group = silent.to_numpy()
    # No table says 154 orders where the chances say 5.
    assert plain[group].sum() > 10 * orders[group].sum()
    assert orders[group].sum() < 3 * buys[group].sum()
    assert chances.Chances().orders(model, patterns, days=90).tolist() == plain.tolist()


# ---- one method


@pytest.mark.slow
def test_a_method_that_cannot_be_taught_today_is_not_chosen(cdnow_sample, monkeypatch):
    """BG/NBD wins the test, but has no fit on all days: the next that has one is tested, led with and listed."""
    fit_all = methods.fit_all

    def lame(shop, patterns, *, until, **more):
        fits = fit_all(shop, patterns, until=until, **more)
        if until == shop.as_of:
            return replace(fits, models={name: m for name, m in fits.models.items() if name != timing.BG})
        return fits

    monkeypatch.setattr(methods, "fit_all", lame)
    checked = clv.validate(cdnow_sample, holdout_days=273, time_unit="week")
    assert checked.chosen != timing.BG and checked.chosen in checked.expected
    scores = clv.score(cdnow_sample, checked, horizon_days=90)
    assert scores.method == checked.chosen
    auc = {metric.id: metric for metric in clv.part_methods(checked).metrics}["holdout_auc"]
    assert auc.definition.endswith(f"by {checked.chosen}")


def test_methods_left_aside_are_not_chosen(cdnow_sample):
    seen = methods.look(cdnow_sample, start=date(1997, 10, 1), end=date(1998, 7, 1), time_unit="week")
    first, _ = contest.choose([seen])
    second, _ = contest.choose([seen], without={first})
    assert first == timing.BG and second != first


# ---- a yardstick


def test_what_those_known_before_brought_since_by_hand(write_shop):
    orders = [{"order_id": f"{i}", "customer_id": f"c{i}", "ordered_at": "2024-01-05", "total": 1} for i in range(120)]
    orders += [{"order_id": "x", "customer_id": "c1", "ordered_at": "2024-12-31", "total": 50},
               {"order_id": "y", "customer_id": "c2", "ordered_at": "2025-02-01", "total": 7},
               {"order_id": "z", "customer_id": "new", "ordered_at": "2025-02-02", "total": 900}]  # fmt: skip
    shop = crm.connect(write_shop(orders=orders), as_of="2025-03-01")
    assert past.yardstick(shop, days=59) == (7.0, 120)
    assert past.yardstick(shop, days=365) == (57.0, 120)
    few = crm.connect(write_shop("few", orders=orders[-30:]), as_of="2025-03-01")
    assert past.yardstick(few, days=59) is None


@pytest.mark.slow
def test_once_a_year_buyers_are_expected_once_a_year(write_shop):
    rng, rows, base = np.random.default_rng(3), [], pd.Timestamp("2022-01-01")
    for customer in range(350):
        day = int(rng.integers(0, 700))
        while day < 1460:
            rows.append((f"o{len(rows)}", f"c{customer}", base + pd.Timedelta(days=day), round(rng.gamma(4, 10), 2)))
            day += int(rng.normal(365, 12))
    orders = pd.DataFrame(rows, columns=["order_id", "customer_id", "ordered_at", "total"])
    shop = crm.connect(write_shop(orders=orders), as_of="2026-01-01")
    checked = clv.validate(shop, holdout_days=365)
    expected = clv.score(shop, checked, horizon_days=365).customers["expected_orders"]
    assert len(expected) == 350 and expected.mean() == pytest.approx(1, abs=0.1)
    assert expected.max() < 1.5


@pytest.mark.parametrize(("slope", "chosen"), [(0.0, spend.GAMMA_GAMMA), (60.0, spend.SHRUNK)])
def test_the_way_of_telling_spend_is_chosen_on_later_time(write_shop, slope, chosen):
    """Where those who buy often spend more, which Gamma-Gamma does not know, own averages are closer later; where all
    begin with a sample, which Gamma-Gamma leaves out, it is.
    """
    rng, rows = np.random.default_rng(11), []
    for customer in range(1500):
        rate, first = rng.gamma(1.0, 3.0) / 365, int(rng.integers(0, 300))
        level = (30 + slope * np.log1p(365 * rate)) * np.exp(0.3 * rng.normal())
        days = np.unique([first, *rng.integers(first, 730, rng.poisson(rate * (730 - first)))])
        paid = [round(rng.gamma(4, level / 4), 2) for _ in days]
        paid[0] = paid[0] if slope else round(rng.gamma(4, 1), 2)
        rows += [(f"c{customer}", int(day), amount) for day, amount in zip(days, paid, strict=True)]
    orders = pd.DataFrame(rows, columns=["customer_id", "day", "total"]).reset_index(names="order_id")
    orders["ordered_at"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(orders.pop("day"), unit="D")
    shop = crm.connect(write_shop(orders=orders), as_of="2025-12-31")
    start, end = shop.as_of - timedelta(days=180), shop.as_of
    patterns = shop.fetch(customer_history(shop, until=start))
    seen = SimpleNamespace(start=start, end=end, patterns=patterns)
    models, used, _ = validation._sales(shop, seen, np.ones(len(patterns)))
    assert {model.name for model in models} == {spend.GAMMA_GAMMA, spend.SHRUNK} and used.name == chosen
