"""Forecast bands: right on planted data over 2,000 repetitions, and wide enough for CDNOW; naive ones are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crmlib.analysis import lifetime_value as clv
from crmlib.analysis.forecasts import Errors, band, errors_of, half_width
from crmlib.analysis.lifetime_value import timing

TRUTH = np.array([1.2, 6.0, 0.7, 3.0])  # r, alpha in weeks, a, b of BG/NBD
REPETITIONS, CUSTOMERS = 2000, 250


def lives(rng: np.random.Generator, shape: tuple[int, int], *, weeks: float) -> list[np.ndarray]:
    """When everybody of many shops buys again, by the story BG/NBD tells: a list of arrays, nan once stopped."""
    rate, stop = rng.gamma(TRUTH[0], 1 / TRUTH[1], shape), rng.beta(TRUTH[2], TRUTH[3], shape)
    now, going, times = np.zeros(shape), np.ones(shape, bool), []
    while going.any():
        now = now + rng.exponential(1, shape) / np.maximum(rate, 1e-12)
        going &= now <= weeks
        times.append(np.where(going, now, np.nan))
        going &= rng.random(shape) >= stop
    return times


def seen(times: list[np.ndarray], *, until: float, ahead: float) -> tuple[np.ndarray, ...]:
    """x, recency and t at `until`, and how many purchases came in the `ahead` after."""
    x, recency, later = (np.zeros(times[0].shape) for _ in range(3))
    for at in times:
        past = at <= until
        x += past
        recency = np.where(past, at, recency)
        later += (at > until) & (at <= until + ahead)
    return x, recency, np.full(x.shape, until), later


def fitted(x: np.ndarray, recency: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood in all repetitions at once, by our own likelihood: logarithms (4, shops), covariances."""
    n = x.shape[1]
    logs = np.repeat(np.log(TRUTH)[:, None], len(x), axis=1)
    for _ in range(6):
        # One step of 1e-3 to both sides of each parameter: slopes of every customer.
        scores = np.array(
            [
                (likelihood(logs + step, x, recency, t) - likelihood(logs - step, x, recency, t)) / 2e-3
                for step in 1e-3 * np.eye(4)[:, :, None]
            ]
        )
        curve = np.einsum("isc,jsc->sij", scores, scores) / n
        curve = curve + 1e-6 * np.eye(4)
        step = np.linalg.solve(curve, scores.mean(axis=2).T[:, :, None])[:, :, 0]
        logs = np.clip(logs + np.clip(step.T, -0.5, 0.5), -6, 6)
    return logs, np.linalg.inv(curve) / n


def likelihood(logs: np.ndarray, *data: np.ndarray) -> np.ndarray:
    return timing.log_likelihood(timing.BG, np.exp(logs)[:, :, None], *data)


def forecasts(times: list[np.ndarray], *, until: float, ahead: float, seed: int) -> tuple[np.ndarray, ...]:
    """For each shop: forecast total, its own deviation as a share, the parameters' part, what came, the true mean."""
    x, recency, t, later = seen(times, until=until, ahead=ahead)
    logs, covariance = fitted(x, recency, t)

    def total(at: np.ndarray) -> np.ndarray:
        return timing.expected(timing.BG, np.exp(at)[:, :, None], x, recency, t, ahead).sum(axis=1)

    value = total(logs)
    slope = np.array([np.log(total(logs + s) / total(logs - s)) / 2e-3 for s in 1e-3 * np.eye(4)[:, :, None]]).T
    open_ = np.sqrt(np.einsum("si,sij,sj->s", slope, covariance, slope))
    theta = np.repeat(np.exp(logs), x.shape[1], axis=1)[:, :, None]
    draws = timing.simulate(
        timing.BG, theta, (x.ravel(), recency.ravel(), t.ravel()), ahead, n=12, rng=np.random.default_rng(seed)
    )
    chance = np.sqrt(draws.var(axis=1, ddof=1).reshape(x.shape).sum(axis=1)) / value
    truth = timing.expected(timing.BG, TRUTH, x, recency, t, ahead).sum(axis=1)
    return value, np.hypot(chance, open_), open_, later.sum(axis=1), truth


@pytest.fixture(scope="module")
def shops():
    times = lives(np.random.default_rng(7), (REPETITIONS, CUSTOMERS), weeks=78)
    return {
        until: forecasts(times, until=until, ahead=ahead, seed=until) for until, ahead in ((52, 26), (40, 12), (28, 12))
    }


@pytest.mark.slow
def test_bands_of_totals_cover_what_came_over_2000_shops(shops):
    value, own, _, came, _ = shops[52]
    plain = [band(v, o, Errors()) for v, o in zip(value, own, strict=True)]
    assert 0.94 <= np.mean([b.low <= c <= b.high for b, c in zip(plain, came, strict=True)]) <= 0.96
    earlier = [shops[until] for until in (40, 28)]
    errors = [
        errors_of([e[3][i] for e in earlier], [e[0][i] for e in earlier], [e[1][i] for e in earlier])
        for i in range(REPETITIONS)
    ]
    wide = [band(v, o, e) for v, o, e in zip(value, own, errors, strict=True)]
    # With a model that is right, earlier errors rarely exceed its doubt, and the published band stays honest.
    assert np.mean([e.worse_than_own for e in errors]) < 0.15
    assert 0.94 <= np.mean([b.low <= c <= b.high for b, c in zip(wide, came, strict=True)]) <= 0.96


def test_bands_of_means_cover_the_true_mean_over_2000_shops(shops):
    value, _, open_, _, truth = shops[52]
    assert 0.94 <= np.mean(np.abs(np.log(truth / value)) <= 1.96 * open_) <= 0.96


def test_the_share_of_chance_matters():
    """A band for the mean alone, without customers' chance, holds far less often than it says."""
    times = lives(np.random.default_rng(8), (300, CUSTOMERS), weeks=78)
    value, _, open_, came, _ = forecasts(times, until=52, ahead=26, seed=1)
    assert np.mean(np.abs(np.log(came / value)) <= 1.96 * open_) < 0.9


def test_single_customers_are_judged_by_randomised_pit():
    times = lives(np.random.default_rng(9), (1, 6000), weeks=78)
    x, recency, t, later = (part[0] for part in seen(times, until=52, ahead=26))
    people = pd.DataFrame({"frequency": x, "recency_days": 7 * recency, "t_days": 7 * t, "customers": 1})
    model = clv.fit(people, time_unit="week", until=date(2025, 1, 1))
    draws = model.simulate(people, days=182, n=400, seed=3)
    below, same = (draws < later[:, None]).mean(axis=1), (draws == later[:, None]).mean(axis=1)
    pit = below + np.random.default_rng(4).random(len(x)) * same
    assert stats.kstest(pit, "uniform").pvalue > 0.01
    # The counts are so discrete that a right 95 % band covers more; coverage alone would call it wrong.
    low, high = np.quantile(draws, [0.025, 0.975], axis=1, method="inverted_cdf")
    assert np.mean((low <= later) & (later <= high)) > 0.965
    # A band that forgets that customers stop fails the same test.
    forgetful = np.random.default_rng(5).poisson(np.repeat((x / np.maximum(t, 1) * 26)[:, None], 400, axis=1))
    pit = (forgetful < later[:, None]).mean(axis=1) + np.random.default_rng(6).random(len(x)) * (
        forgetful == later[:, None]
    ).mean(axis=1)
    assert stats.kstest(pit, "uniform").pvalue < 1e-10


@pytest.mark.slow
def test_cdnow_misses_the_models_own_bands_and_lies_in_ours(cdnow_sample):
    """METHODS: 1,882 came; BG/NBD's own 95 % bands are 1,495–1,791 for the mean and 1,443–1,860 with chance."""
    checked = clv.validate(cdnow_sample, holdout_days=273, time_unit="week")
    model, known = (
        checked.models["BG/NBD"],
        checked.patterns.groupby(["frequency", "recency_days", "t_days"], as_index=False)["customers"].sum(),
    )
    total = float(known["customers"] @ model.expected(known, days=273))
    mean = model.spread_of_total(known, days=273)
    low, high = total * np.exp(-1.96 * mean), total * np.exp(1.96 * mean)
    assert (low, high) == (pytest.approx(1495, rel=0.02), pytest.approx(1791, rel=0.03))
    assert high < checked.actual
    own = checked.own_deviation("BG/NBD")
    naive = band(total, own, Errors())
    assert (naive.low, naive.high) == (pytest.approx(1443, rel=0.03), pytest.approx(1860, rel=0.03))
    assert naive.high < checked.actual
    # Only what was over when the holdout began may widen it.
    assert all(cut.end <= checked.start for cut in checked.known)
    ours = band(total, own, checked.errors_known)
    assert ours.low < checked.actual < ours.high
    said = clv.page(checked, clv.score(cdnow_sample, checked, horizon_days=90), shop=cdnow_sample)
    assert said["holdout_forecast"].low == pytest.approx(ours.low)
    assert said["holdout_forecast"].low < 1882 < said["holdout_forecast"].high


def test_errors_widen_only_when_they_exceed_the_methods_own_doubt():
    calm = Errors((0.02, -0.03, 0.01), (0.03, 0.03, 0.03))
    rough = Errors((0.12, -0.15, 0.1), (0.03, 0.03, 0.03))
    assert half_width(0.03, calm) == pytest.approx(1.96 * 0.03)
    # Student's quantile for three errors, times their root mean square.
    assert half_width(0.03, rough) == pytest.approx(3.182 * np.sqrt((0.12**2 + 0.15**2 + 0.1**2) / 3), rel=1e-3)
    assert half_width(0.9, rough) == pytest.approx(1.96 * 0.9)
    assert band(0.0, 0.1, rough).high == 0
    assert band(100.0, 0.3, rough, most=110).high == 110
    assert np.isnan(Errors().typical)
    assert errors_of([0, 10], [5.0, 5.0], [0.1, 0.2]) == Errors((pytest.approx(np.log(2)),), (0.2,))


@pytest.mark.parametrize("name", [timing.BG, timing.MBG])
def test_limits_of_one_customers_purchases_are_those_of_a_large_simulation(name):
    x = np.array([0.0, 0.0, 1.0, 3.0, 12.0, 40.0, 40.0])
    t = np.array([5.0, 70.0, 40.0, 60.0, 65.0, 70.0, 70.0])
    recency = np.array([0.0, 0.0, 20.0, 58.0, 60.0, 69.5, 30.0])
    for theta in (TRUTH, np.array([0.9, 2.0, 0.2, 4.0])):
        low, high = timing.limits(name, theta[:, None], (x, recency, t), 30.0, below=0.025, above=0.975)
        draws = timing.simulate(name, theta, (x, recency, t), 30.0, n=200_000, rng=np.random.default_rng(1))
        # Four deviations of a share of 0.975 among so many.
        near = 4 * np.sqrt(0.025 * 0.975 / 200_000)
        for point, share in ((low, 0.025), (high, 0.975)):
            assert ((draws <= point[:, None]).mean(axis=1) >= share - near).all()
            assert ((draws < point[:, None]).mean(axis=1) <= share + near).all()
    assert high.max() > 10


def test_limits_of_a_daily_buyer_over_years_stay_in_reach():
    """Chances so small that they are nothing in floating point must not run the count away."""
    t = np.array([3000.0])
    low, high = timing.limits(
        timing.BG, np.array([0.3, 5.0, 0.05, 60.0])[:, None], (t, t, t), 1100.0, below=0.025, above=0.975
    )
    assert 800 < high[0] < 1250 and low[0] < 1100


def test_limits_hold_what_is_not_known_of_the_parameters():
    times = lives(np.random.default_rng(11), (1, 150), weeks=78)
    x, recency, t, _ = (part[0] for part in seen(times, until=52, ahead=26))
    people = pd.DataFrame({"frequency": x, "recency_days": 7 * recency, "t_days": 7 * t, "customers": 1})
    model = clv.fit(people, time_unit="week", until=date(2025, 1, 1))
    _, high = model.limits(people, days=364)
    draws = model.simulate(people, days=364, n=20_000, seed=3)
    # The least count that holds .975: itself enough, one less not. Eight points stand for all parameters, hence .005.
    assert ((draws <= high[:, None]).mean(axis=1) >= 0.970).all()
    assert ((draws < high[:, None]).mean(axis=1) <= 0.980).all()
    _, sure = replace(model, log_covariance=None).limits(people, days=364)
    assert (sure <= high).all() and (sure < high).any()
    assert replace(model, name=timing.PARETO).limits(people, days=364) is None
