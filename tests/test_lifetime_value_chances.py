"""Single chances: mended where customers are more regular than the model thinks, else left alone, never at odds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmlib.analysis import lifetime_value as clv
from crmlib.analysis.lifetime_value import chances, methods, models, timing
from crmlib.analysis.lifetime_value.likelihood import Likelihood
from crmlib.stats import weighted_auc

FIRST, DAYS = date(2023, 1, 1), 1000
QUARTERS = tuple(range(270, DAYS - 89, 90))


def planted(shape: float, *, seed: int, customers: int = 3000) -> list[tuple[np.ndarray, np.ndarray]]:
    """Days of each customer's purchases: gaps are Gamma of this shape (1: exponential) until a purchase is the last.

    Everybody begins in the first 200 days; returned as (day, who) for each round of purchases.
    """
    rng = np.random.default_rng(seed)
    mean, stop = 1 / rng.gamma(2.5, 1 / 90, customers), rng.beta(0.5, 4.0, customers)
    day, going, rounds = rng.integers(0, 200, customers).astype(float), np.ones(customers, bool), []
    while going.any():
        rounds.append((day[going], np.flatnonzero(going)))
        going &= rng.random(customers) >= stop
        day = day + np.maximum(rng.gamma(shape, mean / shape), 1.0)
        going &= day < DAYS
    return rounds


def window(rounds: list[tuple[np.ndarray, np.ndarray]], begin: int, *, days: int = chances.DAYS) -> chances.Window:
    """What was known on day `begin`, the model fitted to it, and what came in the `days` after."""
    day, who = (np.concatenate(column) for column in zip(*rounds, strict=True))
    day = np.floor(day)
    past = pd.Series(day[day < begin]).groupby(who[day < begin])
    later = pd.Series(who[(day >= begin) & (day < begin + days)]).value_counts()
    people = pd.DataFrame(
        {"frequency": past.count() - 1, "recency_days": past.max() - past.min(), "t_days": begin - 1 - past.min()}
    )
    people["purchases"] = later.reindex(people.index, fill_value=0)
    patterns = people.groupby([*methods.HISTORY, "purchases"]).size().rename("customers").reset_index()
    start = FIRST + timedelta(days=begin)
    model = clv.fit(patterns, time_unit="week", until=start, name=timing.MBG)
    assert isinstance(model, models.PurchaseModel)
    return chances.Window(start=start, patterns=patterns, model=model)


@pytest.fixture(scope="module")
def regular():
    rounds = planted(3.5, seed=1)
    return rounds, [window(rounds, begin) for begin in QUARTERS]


def outside(seen: chances.Window, chance: np.ndarray) -> int:
    """In how many bands more or fewer ordered than 99 % of what chance alone allows."""
    which, n = chances.band_of(chance), seen.patterns["customers"].to_numpy(float)
    came = n * (seen.patterns["purchases"] > 0)
    found = 0
    for band in range(len(chances.EDGES) - 1):
        inside = which == band
        off = (came - n * chance)[inside].sum()
        found += abs(off) > 2.58 * np.sqrt((n * chance * (1 - chance))[inside].sum()) + 1e-9
    return found


def test_regular_buyers_chances_are_mended_and_then_hold(regular):
    _, windows = regular
    earlier, last = windows[:-1], windows[-1]
    plain = 1 - last.model.p_none(last.patterns, days=90)
    found = chances.judge(earlier)
    assert found.mending is not None
    assert found.better[2] < 0
    mended = 1 - found.none(last.model, last.patterns, days=90)
    # The naive chances fail the test that ours pass.
    assert outside(last, plain) >= 3
    assert outside(last, mended) <= 1
    assert "with such a rhythm and silence" in found.sentence()
    # Bands of the judged windows say the same: our ranges hold what came, the model's own chances are off.
    bands = found.bands
    assert ((bands["low"] <= bands["came"]) & (bands["came"] <= bands["high"])).sum() >= len(bands) - 1
    missed = bands["customers"] @ (bands["said"] - bands["came"]).abs()
    assert bands["plain_customers"] @ (bands["plain_said"] - bands["plain_came"]).abs() > 1.5 * missed


def test_where_the_model_is_right_nothing_gets_worse():
    """Fifteen quarters of true BG/NBD-like buyers: mended chances are not used, or as good as the model's own."""
    worse = 0
    for seed in range(3):
        rounds = planted(1.0, seed=10 + seed, customers=1500)
        windows = [window(rounds, begin) for begin in QUARTERS]
        found, last = chances.judge(windows[:-1]), windows[-1]
        came, n = (last.patterns["purchases"] > 0).to_numpy(), last.patterns["customers"].to_numpy(float)
        losses = [
            n @ chances._loss(1 - none, came) / n.sum()
            for none in (found.none(last.model, last.patterns, days=90), last.model.p_none(last.patterns, days=90))
        ]
        assert losses[0] < 1.01 * losses[1]
        worse += found.mending is not None
    assert worse <= 1


def test_no_chance_of_nothing_grows_with_less_time(regular):
    _, windows = regular
    found, last = chances.judge(windows[:-1]), windows[-1]
    for onward in (True, False):
        spans = [
            replace(found, onward=onward).none(last.model, last.patterns, days=days)
            for days in (7, 30, 89, 90, 91, 180, 365)
        ]
        assert (np.diff(spans, axis=0) <= 1e-12).all()
        assert (spans[-1] >= 0).all()
        assert (spans[0] <= 1).all()


def test_a_year_goes_on_from_the_mended_quarter(regular):
    rounds, windows = regular
    begin = DAYS - 365
    year = window(rounds, begin, days=365)
    known = [at for at in windows if (year.start - at.start).days >= 90]
    assert len(known) >= chances.LEAST_LEARNT
    found = chances.go_on(chances.judge(windows), windows, patterns=year.patterns, model=year.model, days=365)
    # Mended chances beat the model's over a year too, and by more than in any 90 days it would be luck.
    assert found.onward
    assert found.farther[2] < 0
    assert found.sentence().endswith("than the model's own, and over the whole test.")
    assert "beyond 90 days the model's own stand" in replace(found, onward=False).sentence()
    # Nothing that was not over when the year began has taught them: dropping later windows changes nothing.
    same = chances.go_on(chances.judge(windows), known, patterns=year.patterns, model=year.model, days=365)
    assert same.farther == found.farther


def test_too_few_windows_change_nothing_and_say_so(regular):
    _, windows = regular
    found = chances.judge(windows[:3])
    assert found.mending is None
    assert "only 3 windows of 90 days are over" in found.sentence()
    last = windows[-1]
    assert found.none(last.model, last.patterns, days=90).tolist() == last.model.p_none(last.patterns, days=90).tolist()
    assert found.half_width(0.3) == 0.3
    assert chances.Chances().sentence() == ""


def coming_back(seed: int, begin: int) -> chances.Window:
    """Half buy on as they did; half fell silent, of whom one in six comes back, once: the model expects many of them."""
    rng = np.random.default_rng(seed)
    rate, known = rng.gamma(3, 1 / 45, 1500), rng.integers(300, 600, 1500)
    silent = np.where(rng.random(1500) < 0.5, rng.integers(90, 250, 1500), np.minimum(rng.exponential(1 / rate), 200))
    recency = np.maximum(known - silent, 1).astype(int)
    frequency = np.maximum(rng.poisson(rate * recency), 1)
    back = np.where(rng.random(1500) < 1 / 6, 1, 0)
    purchases = np.where(silent >= 90, back, rng.poisson(rate * chances.DAYS))
    people = pd.DataFrame(
        {"frequency": np.minimum(frequency, recency), "recency_days": recency, "t_days": known, "purchases": purchases}
    )
    patterns = people.groupby([*methods.HISTORY, "purchases"]).size().rename("customers").reset_index()
    start = FIRST + timedelta(days=begin)
    model = clv.fit(patterns, time_unit="week", until=start, name=timing.MBG)
    assert isinstance(model, models.PurchaseModel)
    return chances.Window(start=start, patterns=patterns, model=model)


def test_who_comes_back_orders_as_often_as_such_people_did():
    *earlier, last = (coming_back(seed, 600 + 90 * seed) for seed in range(6))
    found = chances.judge(earlier)
    assert found.mending is not None and found.often
    n, bought = (last.patterns[name].to_numpy(float) for name in ("customers", "purchases"))
    learnt, plain = (replace(found, often=often).orders(last.model, last.patterns, days=90) for often in (True, False))
    assert n @ chances.deviance(learnt, bought, n) < 0.95 * (n @ chances.deviance(plain, bought, n))
    ranks = [weighted_auc(mean, bought > 0, n[None, :])[0] for mean in (learnt, plain)]
    assert ranks[0] > ranks[1]
    # The crowd brings what the model says, and no chance of an order is above the orders expected.
    assert n @ learnt == pytest.approx(n @ last.model.expected(last.patterns, days=90), rel=0.02)
    assert (learnt >= 1 - found.none(last.model, last.patterns, days=90) - 1e-12).all()


def test_how_often_is_left_to_the_model_where_a_longer_time_shows_no_gain(regular):
    rounds, windows = regular
    year = window(rounds, DAYS - 365, days=365)
    found = replace(chances.judge(windows), often=True)
    after = chances.go_on(found, windows, patterns=year.patterns, model=year.model, days=365)
    then = replace(chances.as_of(found, windows, model=year.model), onward=after.onward)
    n, bought = (year.patterns[name].to_numpy(float) for name in ("customers", "purchases"))
    learnt, plain = (
        n @ chances.deviance(replace(then, often=often).orders(year.model, year.patterns, days=365), bought, n)
        for often in (True, False)
    )
    assert not after.often or learnt < plain


def test_a_tie_goes_to_the_model(regular, monkeypatch):
    _, windows = regular
    # As close as the model's own: nothing is gained.
    monkeypatch.setattr(chances._Seen, "loss", lambda self, chance: np.zeros(len(chance)))
    found = chances.judge(windows)
    assert found.mending is None
    assert "were not clearly closer" in found.sentence()


def test_later_windows_teach_earlier_ones_nothing(regular):
    _, windows = regular
    found = chances.judge(windows)
    turned = [*windows[:-1], replace(windows[-1], patterns=windows[-1].patterns.assign(purchases=0).astype(int))]
    turned[-1].patterns.loc[0, "purchases"] = 1
    # What is said of the windows before the last does not know the last; only its own row of the sum may move.
    first = chances.judge(windows[:-1])
    again = chances.judge(turned)
    assert first.judged == again.judged - 1 == found.judged - 1
    before = chances._Seen.of(windows[3], chances.learn(windows[:3])).mended
    after = chances._Seen.of(turned[3], chances.learn(turned[:3])).mended
    assert before.tolist() == after.tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(timing.NAMES)),
    st.lists(st.tuples(st.integers(0, 40), st.floats(0.01, 1), st.floats(1, 150)), min_size=1, max_size=12),
    st.tuples(*[st.floats(-2.5, 2.5)] * 4),
)
def test_slopes_are_those_of_the_published_likelihood(name, rows, logs):
    x, share, t = (np.array(column, float) for column in zip(*rows, strict=True))
    free = models._FREE[name]
    recency, at = np.where(x > 0, share * t, 0.0), np.where(np.isin(range(4), free), logs, 0) + models._SHIFT[name]
    likelihood = Likelihood(name, x, recency, t, np.ones(len(x)))
    mean, slopes = likelihood.both(at)
    assert mean == pytest.approx(timing.log_likelihood(name, np.exp(at), x, recency, t).mean(), rel=1e-9)
    for i, step in zip(free, 1e-4 * np.eye(4)[free], strict=True):
        up, down = (timing.log_likelihood(name, np.exp(at + s), x, recency, t) for s in (step, -step))
        assert slopes[i] == pytest.approx((up - down) / 2e-4, rel=1e-4, abs=1e-4)
