"""Experiments: how often intervals hold and tests err, measured over 2,000 or more simulated experiments."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from crmlib.analysis.experiments import effects, looks
from crmlib.analysis.experiments.results import read_guardrails
from crmlib.stats import adjust, sequential

TRIALS, LOOKS = 2_000, 50
PLANNED = 10_000.0


def held(found: Iterator[bool]) -> float:
    """Share of simulated experiments whose interval held the truth."""
    return float(np.mean(list(found)))


def moments(value: np.ndarray) -> list[dict[str, float]]:
    """n, mean, var of each row."""
    size = value.shape[1]
    return [
        {"n": size, "mean": m, "var": v}
        for m, v in zip(value.mean(axis=1).tolist(), value.var(axis=1, ddof=1).tolist(), strict=True)
    ]


def spending(rng: np.random.Generator, share: float, shape: tuple[int, int]) -> np.ndarray:
    """Most units spend nothing, a few very much."""
    return np.where(rng.random(shape) < share, rng.lognormal(3, 1, shape), 0.0)


# ---- looking often ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """z of the difference at 50 looks, of tests of two equal things, and units in each arm at each look."""
    rng = np.random.default_rng(11)
    n = 150 * np.arange(1, LOOKS + 1)
    shares = [rng.binomial(150, 0.1, (TRIALS, LOOKS)).cumsum(axis=1) / n for _ in range(2)]
    error = np.sqrt(sum(p * (1 - p) for p in shares) / n)
    found = {"shares": ((shares[0] - shares[1]) / error, n)}
    n = 100 * np.arange(1, LOOKS + 1)
    means, variances = [], []
    for _ in range(2):
        batch = spending(rng, 0.15, (TRIALS * LOOKS, 100)).reshape(TRIALS, LOOKS, 100)
        mean = batch.sum(axis=2).cumsum(axis=1) / n
        means.append(mean)
        variances.append(((batch**2).sum(axis=2).cumsum(axis=1) / n - mean**2) / (n - 1))
    return found | {"spending": ((means[0] - means[1]) / np.sqrt(sum(variances)), n)}


@pytest.mark.parametrize("metric", ["shares", "spending"])
def test_fifty_looks_at_two_equal_things_err_at_most_five_times_in_a_hundred(seen, metric):
    z, n = seen[metric]
    factor = sequential.widening(n, n, alpha=0.05, planned=PLANNED)
    erred = (np.abs(z) > factor).any(axis=1)
    assert erred.mean() <= 0.05
    # p-values and intervals say the same at every look.
    p = sequential.always_valid_p(z, n, n, alpha=0.05, planned=PLANNED)
    assert ((p < 0.05) == (np.abs(z) > factor)).all()
    # Not safe by being blind: it is not ten times too wide either.
    assert erred.mean() > 0.005


def test_the_usual_interval_errs_more_with_every_look(seen):
    # ../shared/METHODS.md, 'Experiments': naive false positives at 1, 5, 10, 20, 50 looks.
    z, _ = seen["shares"]
    for count, published in ((1, 0.05), (5, 0.14), (10, 0.19), (20, 0.25), (50, 0.32)):
        at = np.arange(1, count + 1) * LOOKS // count - 1
        naive = (np.abs(z[:, at]) > 1.96).any(axis=1).mean()
        assert naive == pytest.approx(published, abs=0.03), count


def test_a_band_holds_the_effect_on_all_days_at_once():
    rng = np.random.default_rng(12)
    n = 150 * np.arange(1, LOOKS + 1)
    p, q = (rng.binomial(150, share, (TRIALS, LOOKS)).cumsum(axis=1) / n for share in (0.12, 0.10))
    error = np.sqrt((p * (1 - p) + q * (1 - q)) / n)
    off = np.abs(p - q - 0.02) / error
    assert (off <= sequential.widening(n, n, alpha=0.05, planned=PLANNED)).all(axis=1).mean() >= 0.95
    assert (off <= 1.96).all(axis=1).mean() < 0.80
    # Wherever it was planned to be narrowest, it holds; nearest to the plan it is narrowest.
    widths = [sequential.widening(5_000, 5_000, alpha=0.05, planned=planned) for planned in (1_000, 10_000, 100_000)]
    assert widths[1] == min(widths)
    for planned in (1_000, 100_000):
        assert (off <= sequential.widening(n, n, alpha=0.05, planned=planned)).all(axis=1).mean() >= 0.95


def test_an_always_valid_effect_is_the_same_effect_with_a_wider_interval(rng):
    plain = effects.share_effect(560, 5_000, 500, 5_000, confidence=0.95)
    found = effects.at_every_look(plain, n=5_000, n_control=5_000, confidence=0.95, planned=PLANNED)
    assert found.effect == plain.effect
    assert (found.high - found.low) / (2 * plain.error) == pytest.approx(3.035, abs=0.001)
    # Waudby-Smith et al. 2024, theorem 2.2, written out for t = 2,500 and the ρ that makes t = 2,500 narrowest.
    t, alpha = 2_500.0, 0.05
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / t
    sigma = plain.error * math.sqrt(t)
    radius = sigma * math.sqrt(2 * (t * rho2 + 1) / (t**2 * rho2) * math.log(math.sqrt(t * rho2 + 1) / alpha))
    assert found.high - found.effect == pytest.approx(radius)
    assert (found.low > 0) == (found.relative_low > 0)
    # All against none: the always-valid width has no spread to rest on.
    constant = effects.share_effect(120, 120, 0, 120, confidence=0.95)
    found = effects.at_every_look(constant, n=120, n_control=120, confidence=0.95, planned=PLANNED)
    assert found.effect == 1 and math.isnan(found.low) and math.isnan(found.p_value)


# ---- the split -------------------------------------------------------------------------------------------------------


def test_the_split_test_is_a_likelihood_ratio_written_out():
    counts = np.array([[50, 60], [510, 460], [1_020, 930], [1_500, 1_480]])
    ratio = [
        stats.betabinom.pmf(a, a + b, sequential.PRIOR_UNITS / 2, sequential.PRIOR_UNITS / 2)
        / stats.binom.pmf(a, a + b, 0.5)
        for a, b in counts
    ]
    expected = [min(1.0, 1 / max(ratio[: place + 1])) for place in range(len(ratio))]
    assert sequential.split_p(counts, [1, 1]) == pytest.approx(expected, rel=1e-9)
    assert sequential.split_p([[900, 100]], [9, 1])[0] > 0.5


def test_the_split_may_be_tested_every_day():
    rng = np.random.default_rng(13)
    days, a_day = 42, 480
    sound = rng.binomial(a_day, 0.5, (TRIALS, days)).cumsum(axis=1)
    total = a_day * np.arange(1, days + 1)
    ours = np.array([sequential.split_p(np.stack([row, total - row], axis=1), [1, 1])[-1] for row in sound])
    assert (ours < 0.01).mean() <= 0.01
    # The chi-square that is right for one look is not for 42.
    naive = stats.chi2.sf((2 * sound - total) ** 2 / total, 1)
    assert (naive < 0.01).any(axis=1).mean() > 0.04
    # One in ten of an arm lost: found nearly always, and mostly before two thirds of the days are over.
    broken = rng.binomial(a_day, 0.90 / 1.90, (200, days)).cumsum(axis=1)
    found = np.array([sequential.split_p(np.stack([total - row, row], axis=1), [1, 1]) < 0.001 for row in broken])
    assert found[:, -1].mean() > 0.95
    assert found[:, 2 * days // 3].mean() > 0.5


def test_days_of_a_sound_split_look_broken_unless_corrected():
    # ../shared/METHODS.md: uncorrected, a third of sound tests would warn.
    rng = np.random.default_rng(14)
    counts = rng.binomial(500, 0.5, (TRIALS, 42))
    p = stats.chi2.sf((2 * counts - 500) ** 2 / 500, 1)
    assert 0.28 < (p < 0.01).any(axis=1).mean() < 0.40
    assert np.mean([adjust(row, method="holm").min() < 0.01 for row in p]) <= 0.015


# ---- coverage --------------------------------------------------------------------------------------------------------


def test_intervals_of_means_cover():
    rng = np.random.default_rng(21)
    arms = [moments(rng.gamma(2, scale, (TRIALS, 400))) for scale in (5.0, 6.0)]
    found = [effects.mean_effect(b, a, confidence=0.95, adjusted=False) for a, b in zip(*arms, strict=True)]
    assert 0.94 <= held(one.low <= 2.0 <= one.high for one in found) <= 0.96
    # Relative to control, Fieller: 12 is a fifth more than 10.
    assert 0.94 <= held(one.relative_low <= 0.2 <= one.relative_high for one in found) <= 0.96


def test_intervals_of_shares_cover():
    rng = np.random.default_rng(22)
    pairs = zip(rng.binomial(1_500, 0.08, TRIALS).tolist(), rng.binomial(1_200, 0.06, TRIALS).tolist(), strict=True)
    found = [effects.share_effect(x, 1_500, y, 1_200, confidence=0.95) for x, y in pairs]
    assert 0.94 <= held(one.low <= 0.02 <= one.high for one in found) <= 0.96
    assert 0.94 <= held(one.relative_low <= 1 / 3 <= one.relative_high for one in found) <= 0.96


def test_intervals_of_ratios_cover_where_units_have_several_orders():
    rng = np.random.default_rng(23)
    size, found, naive = 800, [], 0
    for _ in range(TRIALS):
        rows = []
        for price in (22.0, 20.0):
            level = rng.lognormal(0, 0.5, size)
            orders = rng.poisson(1.5, size)
            money = price * level * orders * rng.gamma(20, 1 / 20, size)
            rows.append((money, orders))
        row = [
            {
                "n": size,
                "top_mean": m.mean(),
                "below_mean": o.mean(),
                "top_var": m.var(ddof=1),
                "below_var": o.var(ddof=1),
                "cov": np.cov(m, o)[0, 1],
            }
            for m, o in rows
        ]
        found.append(effects.ratio_effect(row[0], row[1], confidence=0.95))
        # Taking each order for a unit of its own, as if one customer's orders were strangers to each other.
        each = [m[o > 0] / o[o > 0] for m, o in rows]
        error = math.sqrt(
            sum(
                np.average((e - np.average(e, weights=o[o > 0])) ** 2, weights=o[o > 0]) / o.sum()
                for e, (_, o) in zip(each, rows, strict=True)
            )
        )
        truth = 2.0 * math.exp(0.5**2 / 2)
        naive += abs(found[-1].effect - truth) <= 1.96 * error
    truth = 2.0 * math.exp(0.5**2 / 2)
    assert 0.94 <= held(one.low <= truth <= one.high for one in found) <= 0.96
    assert naive / TRIALS < 0.90


def test_intervals_of_heavy_tailed_revenue_cover():
    rng = np.random.default_rng(24)
    found = []
    for _ in range(10):
        a, b = (moments(spending(rng, share, (TRIALS // 10, 4_000))) for share in (0.10, 0.12))
        found += [effects.mean_effect(y, x, confidence=0.95, adjusted=False) for x, y in zip(a, b, strict=True)]
    truth = 0.02 * math.exp(3 + 1 / 2)
    assert 0.94 <= held(one.low <= truth <= one.high for one in found) <= 0.96


def test_intervals_adjusted_by_what_came_before_cover():
    rng = np.random.default_rng(25)
    size, rows = 500, []
    for gain in (1.0, 0.0):
        pre = rng.gamma(2, 10, (TRIALS, size))
        value = 0.5 * pre + gain + rng.normal(0, 5, (TRIALS, size)) * np.sqrt(pre / 20)
        cov = ((value - value.mean(axis=1, keepdims=True)) * (pre - pre.mean(axis=1, keepdims=True))).sum(axis=1) / (
            size - 1
        )
        extra = zip(
            moments(value), pre.mean(axis=1).tolist(), pre.var(axis=1, ddof=1).tolist(), cov.tolist(), strict=True
        )
        rows.append([row | {"pre_mean": m, "pre_var": v, "cov": c} for row, m, v, c in extra])
    found = [effects.mean_effect(b, a, confidence=0.95, adjusted=True) for b, a in zip(*rows, strict=True)]
    assert 0.94 <= held(one.low <= 1.0 <= one.high for one in found) <= 0.96
    assert np.mean([one.gain for one in found]) > 0.5


def test_intervals_of_quantiles_cover():
    rng = np.random.default_rng(26)
    size, z = 600, stats.norm.ppf(0.975)
    for share in (0.5, 0.9):
        half = z * math.sqrt(size * share * (1 - share))
        ranks = [math.ceil(size * share), round(size * share - half), round(size * share + half) + 1]
        arms = [
            np.sort(rng.lognormal(shift, 1, (TRIALS, size)), axis=1)[:, np.array(ranks) - 1] for shift in (0.1, 0.0)
        ]
        rows = [[dict(zip(("middle", "low", "high"), row, strict=True)) for row in arm.tolist()] for arm in arms]
        found = [effects.quantile_effect(b, a, confidence=0.95) for b, a in zip(*rows, strict=True)]
        truth = (math.exp(0.1) - 1) * math.exp(stats.norm.ppf(share))
        # Order statistics are discrete, so a little above the nominal share is right.
        assert 0.94 <= held(one.low <= truth <= one.high for one in found) <= 0.97
        assert all((one.p_value < 0.05) == (one.low > 0 or one.high < 0) for one in found)
        # Relative to control a tenth more, e^0.1, at every quantile; and off zero exactly where the difference is.
        assert 0.94 <= held(one.relative_low <= math.exp(0.1) - 1 <= one.relative_high for one in found) <= 0.97
        assert all((one.relative_low > 0, one.relative_high < 0) == (one.low > 0, one.high < 0) for one in found)
        # Its error, for planning, is within a tenth of the normal approximation's: √(q (1 − q) / n) / density, for each
        # arm.
        at = math.exp(stats.norm.ppf(share))
        density = stats.norm.pdf(stats.norm.ppf(share)) / at
        error = math.sqrt(share * (1 - share) / size) / density * math.hypot(1, math.exp(0.1))
        assert np.median([one.error for one in found]) == pytest.approx(error, rel=0.1)


# ---- wearing off -----------------------------------------------------------------------------------------------------


def halves(rng: np.random.Generator, lifts: tuple[float, float], *, size: int) -> list[dict[str, np.ndarray]]:
    """Sums of orders early and late, of arm and control, in many tests; some customers order ten times as often."""
    sums = []
    for early, late in (lifts, (1.0, 1.0)):
        rate = rng.gamma(0.7, 0.6 / 0.7, (TRIALS, size))
        a, b = rng.poisson(rate * early), rng.poisson(rate * late)
        sums.append(
            {
                "early": a.sum(axis=1),
                "late": b.sum(axis=1),
                "early2": (a * a).sum(axis=1),
                "late2": (b * b).sum(axis=1),
                "both": (a * b).sum(axis=1),
            }
        )
    return sums


def fading(sums: list[dict[str, np.ndarray]], *, size: int, strangers: bool = False) -> float:
    """Share of tests whose effect is said to have changed between the halves, by Welch's test of the contrasts."""
    both = [arm | ({"both": arm["early"] * arm["late"] / size} if strangers else {}) for arm in sums]
    (mean, variance), (mean0, variance0) = (looks.contrast_of(arm, size, first=7, late=7) for arm in both)
    found = stats.ttest_ind_from_stats(mean, np.sqrt(variance), size, mean0, np.sqrt(variance0), size, equal_var=False)
    return float((found.pvalue < 0.05).mean())


def test_an_effect_that_lasts_is_called_fading_one_time_in_twenty():
    rng = np.random.default_rng(41)
    # Half as many orders again, on every day: a large effect, and no novelty.
    sums = halves(rng, (1.5, 1.5), size=400)
    assert fading(sums, size=400) == pytest.approx(0.05, abs=0.01)
    # Days of one customer taken for strangers: blind to much of what there is.
    assert fading(sums, size=400, strangers=True) < 0.03


def test_an_effect_of_the_first_days_alone_is_found():
    sums = halves(np.random.default_rng(42), (1.5, 1.0), size=400)
    assert fading(sums, size=400) > 0.9
    assert fading(sums, size=400, strangers=True) < fading(sums, size=400)


# ---- what decides is named beforehand --------------------------------------------------------------------------------


def test_the_best_of_three_measures_wins_twice_as_often_as_one_named_before():
    # ../shared/METHODS.md: best of raw, winsorised and conversion wins 10.9 % of null tests.
    rng = np.random.default_rng(31)
    p_values = []
    for _ in range(10):
        arms = [spending(rng, 0.10, (TRIALS // 10, 2_000)) for _ in range(2)]
        cap = np.quantile(np.concatenate(arms, axis=1), 0.99, axis=1, keepdims=True)
        measures = [arms, [np.minimum(arm, cap) for arm in arms], [(arm > 0).astype(float) for arm in arms]]
        p_values.append(np.stack([stats.ttest_ind(*pair, axis=1, equal_var=False).pvalue for pair in measures]))
    p = np.concatenate(p_values, axis=1)
    assert 0.04 < (p[0] < 0.05).mean() < 0.06
    assert (p.min(axis=0) < 0.05).mean() == pytest.approx(0.109, abs=0.02)


def test_a_guardrail_at_its_limit_is_passed_one_time_in_forty():
    rng = np.random.default_rng(32)
    (rail,) = read_guardrails("refunded +1 points")
    pairs = zip(rng.binomial(3_000, 0.06, TRIALS).tolist(), rng.binomial(3_000, 0.05, TRIALS).tolist(), strict=True)
    verdicts = []
    for x, y in pairs:
        one = effects.share_effect(x, 3_000, y, 3_000, confidence=0.95)
        verdicts.append(rail.verdict({"low": one.low, "high": one.high}))
    assert verdicts.count("holds") <= stats.binom.ppf(0.999, TRIALS, 0.025)
    assert verdicts.count("holds") > 0.015 * TRIALS
