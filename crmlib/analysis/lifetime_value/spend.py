"""How much do customers spend on a purchase day? Gamma-Gamma, or each one's own average shrunk to what is usual."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import gammaln, psi

from crmlib.analysis.lifetime_value.timing import Floats

LEAST_BUYERS = 50
LEAST_WHOLESALE_ORDERS = 3
GAMMA_GAMMA, SHRUNK = "Gamma-Gamma", "own average, shrunk"
# More than this many averages only sharpen the third digit.
_MOST_BUYERS = 50_000
# Of p, q and v over the mean spend, in logarithms. Where spend hardly differs q and v run to theirs together, and what
# is expected of everybody is the pooled mean.
_BOUNDS = np.log([[0.01, 1e5], [0.05, 1e4], [1e-4, 1e6]])
_STARTS = ((1.0, 1.0, 0.5), (0.0, 0.3, 0.0), (3.0, 4.0, 2.0))
_FLAT = 1e-5


@dataclass(frozen=True, kw_only=True)
class _Spend:
    """What is common to both: buyers fitted on, what is wholesale, how spend goes with frequency (95 % interval)."""

    customers: int
    until: date
    correlation: float
    correlation_limits: tuple[float, float]
    wholesale_from: float = np.inf


def _per_order(self: SpendModel, people: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
    """Mean spend on a coming purchase day for rows of customer_history, and who is a wholesale buyer.

    A wholesale buyer's own average says more than the crowd's, which it was left out of. One large order or two make
    nobody one: it takes three that stand.
    """
    frequency, average = repeat_average(people)
    big = (frequency >= LEAST_WHOLESALE_ORDERS - 1) & (average > self.wholesale_from)
    return np.where(big, average, self.expected(*self.seen(people))), big


@dataclass(frozen=True, kw_only=True)
class GammaGamma(_Spend):
    """Each customer's orders vary around an average of their own, whatever their frequency.

    p, q, v (the paper's gamma, in the shop's currency) as in Fader and Hardie 2013, "The Gamma-Gamma Model of Monetary
    Value", on repeat buyers' averages.
    """

    p: float
    q: float
    v: float
    log_likelihood: float
    limits: tuple[tuple[float, float], ...]

    name = GAMMA_GAMMA
    per_order = _per_order

    @property
    def mean_deviation(self) -> float:
        """By what share the crowd's mean spend may be off, since so many averages were seen."""
        # Variance of the customers' means over squared mean is 1/(q - 2); heavy tails below q = 2.1 are held at that.
        return float(np.sqrt((1 / max(self.q - 2, 0.1) + self.order_variance) / self.customers))

    @property
    def order_variance(self) -> float:
        """Variance of one order of a customer over the square of their mean."""
        return 1 / self.p

    def seen(self, people: pd.DataFrame) -> tuple[Floats, Floats]:
        """Purchase days that count and their average, for rows of customer_history."""
        return repeat_average(people)

    def expected(self, count: Floats, average: Floats) -> Floats:
        """Mean spend on a coming purchase day, given `average` over `count` days (any value if none)."""
        with warnings.catch_warnings():  # whose import silences FutureWarning for everybody
            warnings.simplefilter("ignore")
            from lifetimes import GammaGammaFitter
        formula = GammaGammaFitter()
        formula.params_ = pd.Series({"p": self.p, "q": self.q, "v": self.v})
        average = np.where(count > 0, np.maximum(average, 0.0), 0.0)
        return np.asarray(formula.conditional_expected_average_profit(count, average), dtype=float)

    def simulate(self, purchases: NDArray[Any], count: Floats, average: Floats, *, rng: np.random.Generator) -> Floats:
        """Spend that goes with `purchases`, shape (customers, draws)."""
        total = np.where(count > 0, np.maximum(count * average, 0.0), 0.0)
        money, some = np.zeros(purchases.shape), purchases > 0
        shape = np.broadcast_to((self.q + self.p * count)[:, None], purchases.shape)[some]
        scale = rng.standard_gamma(shape) / np.broadcast_to((self.v + total)[:, None], purchases.shape)[some]
        money[some] = rng.standard_gamma(self.p * purchases[some]) / scale
        return money

    def table(self) -> list[dict[str, Any]]:
        """Rows of model.csv."""
        return [
            {"parameter": name, "value": value, "low": low, "high": high, "log_likelihood": self.log_likelihood,
             "converged": True, "time_unit": "", "fitted_until": self.until.isoformat()}
            for name, value, (low, high) in zip(("p", "q", "v"), (self.p, self.q, self.v), self.limits, strict=True)
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Shrunk(_Spend):
    """A customer's average over all purchase days, drawn to what is usual for so many of them, the more the fewer.

    Usual is `level` + `slope` · log(days). `between` is the variance of customers' means around it, `within` that of
    their days (Bühlmann 1967).
    """

    level: float
    slope: float
    between: float
    within: float

    name = SHRUNK
    per_order = _per_order

    @property
    def mean_deviation(self) -> float:
        return float(np.sqrt((self.between + self.within) / self.customers) / self.level)

    @property
    def order_variance(self) -> float:
        return self.within / self.level**2

    def seen(self, people: pd.DataFrame) -> tuple[Floats, Floats]:
        return _all_days(people)

    def expected(self, count: Floats, average: Floats) -> Floats:
        usual = _usual(self.level, self.slope, count)
        return usual + self._trust(count) * (np.maximum(average, 0.0) - usual)

    def simulate(self, purchases: NDArray[Any], count: Floats, average: Floats, *, rng: np.random.Generator) -> Floats:
        mean, open_ = self.expected(count, average), self.between * (1 - self._trust(count))
        money, some = np.zeros(purchases.shape), purchases > 0
        centre, doubt = (np.broadcast_to(part[:, None], purchases.shape)[some] for part in (mean, open_))
        for variance, times in ((doubt, 1.0), (np.full(len(centre), self.within), purchases[some].astype(float))):
            # Gamma with that mean and variance; nothing is drawn where nothing varies.
            shape = np.maximum(times * centre, 1e-12) ** 2 / np.maximum(times * variance, 1e-9 * centre**2 + 1e-300)
            centre = times * centre * rng.standard_gamma(shape) / shape
        money[some] = centre
        return money

    def table(self) -> list[dict[str, Any]]:
        return [
            {"parameter": name, "value": getattr(self, name), "converged": True, "time_unit": "",
             "fitted_until": self.until.isoformat()}
            for name in ("level", "slope", "between", "within")
        ]  # fmt: skip

    def _trust(self, count: Floats) -> Floats:
        """How much of the way from what is usual to their own average a customer of so many days is believed."""
        whole = self.between * count + self.within
        return np.where(whole > 0, self.between * count / np.maximum(whole, 1e-300), 0.0)


SpendModel = GammaGamma | Shrunk


def spend_of(people: pd.DataFrame, *, until: date, name: str = GAMMA_GAMMA) -> SpendModel | None:
    """How much do customers spend on a purchase day? By Gamma-Gamma on repeat buyers' averages, or their own, shrunk.

    `people` are rows of customer_history. Wholesale buyers (average over exp(6 robust standard deviations) times the
    median) and averages of zero or below are left out. None without amounts, under 50 repeat buyers, or q <= 1 (no mean
    exists).
    """
    everyone, spent = repeat_average(people)
    frequency, average = everyone[everyone > 0], spent[everyone > 0]
    limit = wholesale_limit(pd.Series(average))
    usable = (average > 0) & (average <= limit)
    if usable.sum() < LEAST_BUYERS:
        return None
    frequency, average = frequency[usable], average[usable]
    correlation, limits = _correlation(frequency, average)
    picked = np.arange(len(average))
    if len(picked) > _MOST_BUYERS:
        picked = np.random.default_rng(0).choice(len(average), _MOST_BUYERS, replace=False)
    found = gamma_gamma(frequency[picked], average[picked])
    if found is not None and found[0][1] <= 1:
        return None
    common: dict[str, Any] = {"customers": int(usable.sum()), "until": until, "wholesale_from": limit}
    common |= {"correlation": correlation, "correlation_limits": limits}
    if name == SHRUNK or found is None:
        return _shrunk(people, common, depends=limits[0] * limits[1] > 0)
    (p, q, v), bounds, mean = found
    return GammaGamma(p=p, q=q, v=v, limits=bounds, log_likelihood=mean * int(usable.sum()), **common)


def gamma_gamma(
    frequency: Floats, average: Floats
) -> tuple[tuple[float, float, float], tuple[tuple[float, float], ...], float] | None:
    """p, q, v at the maximum of the likelihood, their 95 % intervals, and its mean; None where no top is reached.

    By L-BFGS-B, judged by the slope and not by what the optimiser says.
    """
    unit = float(np.average(average, weights=frequency))
    x, m = frequency, average / unit

    def loss(logs: Floats) -> tuple[float, Floats]:
        p, q, v = np.exp(logs)
        shape, total = p * x + q, v + x * m
        known = np.log(total)
        each = (
            gammaln(shape) - gammaln(p * x) - gammaln(q) + q * np.log(v) + (p * x - 1) * np.log(m)
            + p * x * np.log(x) - shape * known
        )  # fmt: skip
        by_p = (x * (psi(shape) - psi(p * x) + np.log(m) + np.log(x) - known)).mean() * p
        by_q = (psi(shape) - psi(q) + np.log(v) - known).mean() * q
        return -float(each.mean()), -np.array([by_p, by_q, (q - v * shape / total).mean()])

    best: tuple[float, Floats] | None = None
    for start in _STARTS:
        found = optimize.minimize(
            loss, np.array(start), jac=True, method="L-BFGS-B", bounds=_BOUNDS.tolist(),
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
        )  # fmt: skip
        at, slope = found.x, -loss(found.x)[1]
        out = ((at < _BOUNDS[:, 0] + 1e-6) & (slope < 0)) | ((at > _BOUNDS[:, 1] - 1e-6) & (slope > 0))
        if np.abs(np.where(out, 0.0, slope)).max() < _FLAT and (best is None or found.fun < best[0] - 1e-9):
            best = (float(found.fun), at)
    if best is None:
        return None
    logs = best[1]
    curve = np.array([(loss(logs + step)[1] - loss(logs - step)[1]) / 2e-4 for step in 1e-4 * np.eye(3)]) * len(x)
    inner = (logs > _BOUNDS[:, 0] + 1e-6) & (logs < _BOUNDS[:, 1] - 1e-6)
    deviation = np.full(3, np.nan)
    part = curve[np.ix_(inner, inner)]
    if inner.any() and np.linalg.eigvalsh((part + part.T) / 2).min() > 0:
        deviation[inner] = np.sqrt(np.diag(np.linalg.inv((part + part.T) / 2)))
    low, high = (np.exp(logs + by * deviation) * [1, 1, unit] for by in (-1.96, 1.96))
    p, q, v = (np.exp(logs) * [1, 1, unit]).tolist()
    # The likelihood of the averages in money, not over their mean.
    return (p, q, v), tuple(zip(low.tolist(), high.tolist(), strict=True)), -best[0] - float(np.log(unit))


def _shrunk(people: pd.DataFrame, common: dict[str, Any], *, depends: bool) -> Shrunk | None:
    count, average = _all_days(people)
    usable = (average > 0) & (average <= common["wholesale_from"])
    count, average = count[usable], average[usable]
    level, slope = float(np.average(average, weights=count)), 0.0
    if depends and np.ptp(count):
        slope, level = (float(value) for value in np.polyfit(np.log(count), average, 1, w=np.sqrt(count)))
    if level <= 0:
        return None
    # What a first day and later ones of the same customer share is theirs; how far they are apart is the days'.
    frequency, later = repeat_average(people)
    first = (people["revenue"] - people["repeat_revenue"]).to_numpy(float)
    both = (frequency > 0) & (np.minimum(first, later) > 0) & (np.maximum(first, later) <= common["wholesale_from"])
    frequency, later, first = frequency[both], later[both], first[both]
    if not len(first):
        return None
    usual = _usual(level, slope, frequency + 1)
    between = max(float(((first - usual) * (later - usual)).mean()), 0.0)
    within = float((np.square(first - later) / (1 + 1 / frequency)).mean())
    return Shrunk(level=level, slope=slope, between=between, within=within, **common)


def _usual(level: float, slope: float, count: Floats) -> Floats:
    return np.maximum(level + slope * np.log(count), 0.1 * level)


def repeat_average(people: pd.DataFrame) -> tuple[Floats, Floats]:
    """Repeat purchase days and their average revenue, 0 where there are none."""
    frequency = people["frequency"].to_numpy(float)
    return frequency, people["repeat_revenue"].to_numpy(float) / np.maximum(frequency, 1)


def _all_days(people: pd.DataFrame) -> tuple[Floats, Floats]:
    count = people["frequency"].to_numpy(float) + 1
    return count, people["revenue"].fillna(0).to_numpy(float) / count


def wholesale_limit(average: pd.Series) -> float:
    """The average spend from which a buyer is no longer one of the crowd; none if averages do not vary."""
    logs = np.log(average[average > 0])
    spread = 1.4826 * float((logs - logs.median()).abs().median())
    return float(np.exp(logs.median() + 6 * spread)) if spread > 0 else np.inf


def _correlation(frequency: Floats, average: Floats) -> tuple[float, tuple[float, float]]:
    """Pearson's correlation with its 95 % interval (Fisher's transformation)."""
    if np.ptp(frequency) == 0 or np.ptp(average) == 0:
        return 0.0, (0.0, 0.0)
    found = float(np.corrcoef(frequency, average)[0, 1])
    centre, half = np.arctanh(np.clip(found, -0.999999, 0.999999)), 1.96 / np.sqrt(max(len(frequency) - 3, 1))
    return found, (float(np.tanh(centre - half)), float(np.tanh(centre + half)))
