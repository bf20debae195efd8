"""Purchase timing (BG/NBD) and spend (Gamma-Gamma); the one place that calls lifetimes."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaln, gammaln, hyp2f1

from crmlib.errors import NotEnoughData, UsageError
from crmlib.shop import facts as shop_facts

if TYPE_CHECKING:
    from crmlib.shop.engine import Shop

Floats = NDArray[np.float64]
TimeUnit = Literal["day", "week"]

LEAST_CUSTOMERS, LEAST_REPEATS = 100, 50
_UNIT_DAYS = {"day": 1, "week": 7}
_NAMES = ("r", "alpha", "a", "b")


@dataclass(frozen=True, kw_only=True)
class PurchaseModel:
    """A fitted BG/NBD: customers buy at their own steady rate until, after some purchase, they stop.

    r, alpha shape the rates across customers (alpha in `time_unit`s), a, b the chance of stopping after a purchase.
    `log_covariance` is that of the parameters' logarithms, None where the likelihood is too flat to give one.
    Source: Fader, Hardie and Lee 2005, "Counting your customers" the easy way, Marketing Science 24.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_covariance: tuple[tuple[float, ...], ...] | None
    log_likelihood: float
    customers: int
    time_unit: TimeUnit
    until: date

    @property
    def parameters(self) -> Floats:
        return np.array([self.r, self.alpha, self.a, self.b])

    def draws(self, n: int, *, seed: int) -> Floats:
        """`n` plausible parameter vectors, shape (4, n): how well the data pins the parameters down."""
        centre = np.log(self.parameters)[:, None]
        if self.log_covariance is None:
            return np.exp(np.repeat(centre, n, axis=1))
        rng = np.random.default_rng(seed)
        spread = np.linalg.cholesky(np.array(self.log_covariance))
        return np.asarray(np.exp(centre + spread @ rng.standard_normal((4, n))))

    def p_alive(self, patterns: pd.DataFrame) -> Floats:
        """The model's chance that a pattern's customers still buy. 1 for every one-time buyer: no churn score."""
        x, recency, t = self._data(patterns)
        return _p_alive(self.parameters, x, recency, t)

    def expected(self, patterns: pd.DataFrame, *, days: float) -> Floats:
        """Mean number of purchase days of one customer of each pattern in the `days` after its T."""
        return _expected(self.parameters, *self._data(patterns), days / _UNIT_DAYS[self.time_unit])

    def expected_totals(self, patterns: pd.DataFrame, *, days: float, draws: Floats) -> Floats:
        """The same summed over all customers, once for each parameter vector of `draws`."""
        data, n = self._data(patterns), patterns["customers"].to_numpy(float)
        t = days / _UNIT_DAYS[self.time_unit]
        return np.array([float(n @ _expected(theta, *data, t)) for theta in draws.T])

    def p_none(self, patterns: pd.DataFrame, *, days: float) -> Floats:
        """Chance that one customer of each pattern buys nothing in the next `days`."""
        x, recency, t = self._data(patterns)
        later = days / _UNIT_DAYS[self.time_unit]
        silent = np.exp((self.r + x) * (np.log(self.alpha + t) - np.log(self.alpha + t + later)))
        return 1 - _p_alive(self.parameters, x, recency, t) * (1 - silent)

    def simulate(self, patterns: pd.DataFrame, *, days: float, n: int, seed: int) -> NDArray[np.int64]:
        """`n` possible numbers of purchase days for one customer of each pattern, shape (patterns, n).

        Each column has its own plausible parameters, so the spread holds both chance and what is not known.
        """
        x, recency, t = (values[:, None] for values in self._data(patterns))
        theta = self.draws(n, seed=seed)
        r, alpha, a, b = theta[:, None, :]
        rng = np.random.default_rng(seed + 1)
        shape = (len(patterns), n)
        alive = rng.random(shape) < _p_alive(theta[:, None, :], x, recency, t)
        rate = rng.gamma(r + x, 1.0, shape) / (alpha + t)
        stops = np.clip(rng.beta(a, b + x, shape), 1e-12, 1.0)
        bought = rng.poisson(rate * (days / _UNIT_DAYS[self.time_unit]))
        # The purchase after which a customer stops still counts.
        return np.where(alive, np.minimum(bought, rng.geometric(stops)), 0)

    def table(self) -> list[dict[str, Any]]:
        """Rows of model.csv; low and high are 95 % intervals, from the curvature at the maximum."""
        spread = np.full(4, np.nan) if self.log_covariance is None else np.sqrt(np.diag(np.array(self.log_covariance)))
        return [
            {"parameter": name, "value": value, "low": value * np.exp(-1.96 * sd), "high": value * np.exp(1.96 * sd),
             "log_likelihood": self.log_likelihood, "converged": True, "time_unit": self.time_unit,
             "fitted_until": self.until.isoformat()}
            for name, value, sd in zip(_NAMES, self.parameters, spread, strict=True)
        ]  # fmt: skip

    def _data(self, patterns: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
        unit = _UNIT_DAYS[self.time_unit]
        x, recency, t = (patterns[name].to_numpy(float) for name in ("frequency", "recency_days", "t_days"))
        return x, recency / unit, t / unit


@dataclass(frozen=True, kw_only=True)
class SpendModel:
    """A fitted Gamma-Gamma: each customer's orders vary around an average of their own.

    p, q, v (the paper's gamma, in the shop's currency) as in Fader and Hardie 2013, "The Gamma-Gamma Model of Monetary
    Value". `correlation` is that of frequency and spend, which the model takes to be none.
    """

    p: float
    q: float
    v: float
    customers: int
    correlation: float
    log_likelihood: float
    limits: tuple[tuple[float, float], ...]
    until: date

    def expected(self, frequency: Floats, average: Floats) -> Floats:
        """Mean spend on a coming purchase day, given `average` over `frequency` repeat days (any value if none)."""
        seen = np.where(frequency > 0, frequency * average, 0.0)
        return self.p * (self.v + seen) / (self.p * frequency + self.q - 1)

    def per_order(self, people: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
        """Mean spend on a coming purchase day for rows of customer_history, and who is a wholesale buyer.

        A wholesale buyer's own average says more than the crowd's, which it was left out of.
        """
        frequency = people["frequency"].to_numpy(float)
        average = people["repeat_revenue"].to_numpy(float) / np.maximum(frequency, 1)
        big = (frequency > 0) & (average > wholesale_limit(pd.Series(average[frequency > 0])))
        return np.where(big, average, self.expected(frequency, average)), big

    def simulate(self, purchases: NDArray[np.int64], frequency: Floats, average: Floats, *, seed: int) -> Floats:
        """Spend that goes with `purchases`, shape (customers, draws)."""
        rng = np.random.default_rng(seed)
        seen = np.where(frequency > 0, frequency * average, 0.0)
        scale = rng.gamma(self.q + self.p * frequency[:, None], 1.0, purchases.shape) / (self.v + seen)[:, None]
        return np.where(purchases > 0, rng.gamma(self.p * np.maximum(purchases, 1)) / scale, 0.0)

    def table(self) -> list[dict[str, Any]]:
        """Rows of model.csv."""
        return [
            {"parameter": name, "value": value, "low": low, "high": high, "log_likelihood": self.log_likelihood,
             "converged": True, "time_unit": "", "fitted_until": self.until.isoformat()}
            for name, value, (low, high) in zip(("p", "q", "v"), (self.p, self.q, self.v), self.limits, strict=True)
        ]  # fmt: skip


def facts(shop: Shop, *, until: date | None = None) -> ir.Table:
    """Grain: a distinct purchase history before `until` (default: as_of), with the number of customers who share it.

    Columns frequency, recency_days, t_days, customers. Exact for purchase timing; not enough for money.
    """
    return shop_facts.history_patterns(shop_facts.customer_history(shop, until=until or shop.as_of))


def fit(patterns: pd.DataFrame, *, time_unit: TimeUnit, until: date) -> PurchaseModel | None:
    """How often do customers buy, and when do they stop? BG/NBD by maximum likelihood on compressed histories.

    None where no start converges or a parameter runs away. Raises NotEnoughData under 100 customers or 50 repeat
    purchases.
    """
    if time_unit not in _UNIT_DAYS:
        raise UsageError(f"time_unit is day or week, not '{time_unit}'")
    customers = int(patterns["customers"].sum())
    repeats = int(patterns["frequency"] @ patterns["customers"])
    if customers < LEAST_CUSTOMERS or repeats < LEAST_REPEATS:
        raise NotEnoughData(
            f"too few to conclude: {customers:,} customers with {repeats:,} repeat purchases before {until}; "
            f"needed are {LEAST_CUSTOMERS} and {LEAST_REPEATS}"
        )
    fitted = _fit_bgnbd(patterns, _UNIT_DAYS[time_unit])
    if fitted is None:
        return None
    parameters, covariance = fitted
    x, recency, t = (patterns[name].to_numpy(float) for name in ("frequency", "recency_days", "t_days"))
    unit = _UNIT_DAYS[time_unit]
    likelihood = float(patterns["customers"] @ _log_likelihood(parameters, x, recency / unit, t / unit))
    return PurchaseModel(
        **dict(zip(_NAMES, map(float, parameters), strict=True)),
        log_covariance=covariance, log_likelihood=likelihood, customers=customers, time_unit=time_unit, until=until,
    )  # fmt: skip


def fit_spend(shop: Shop, *, until: date | None = None) -> SpendModel | None:
    """How much do customers spend on a purchase day? Gamma-Gamma on repeat buyers' averages.

    Wholesale buyers (average over exp(6 robust standard deviations) times the median) and averages of zero or below are left
    out. None where the shop has no amounts, there are under 50 repeat buyers, the fit fails, or q <= 1 (no mean exists).
    """
    until = until or shop.as_of
    history = shop_facts.customer_history(shop, until=until)
    repeaters = shop.fetch(
        history.filter(history["frequency"] > 0)
        .select("customer_id", "frequency", "repeat_revenue")
        .order_by("customer_id"),
        max_rows=20_000_000,
    )
    average = repeaters["repeat_revenue"] / repeaters["frequency"]
    usable = (average > 0) & (average <= wholesale_limit(average))
    if usable.sum() < LEAST_REPEATS:
        return None
    frequency, average = repeaters.loc[usable, "frequency"], average[usable]
    lifetimes = _lifetimes()
    fitter = lifetimes.GammaGammaFitter()
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            fitter.fit(frequency, average)
    except (lifetimes.utils.ConvergenceError, np.linalg.LinAlgError, ValueError):
        return None
    p, q, v = (float(value) for value in fitter.params_)
    if not np.isfinite([p, q, v]).all() or q <= 1:
        return None
    bounds = fitter.confidence_intervals_.to_numpy(float)
    return SpendModel(
        p=p, q=q, v=v, customers=int(usable.sum()), until=until,
        correlation=float(np.corrcoef(frequency, average)[0, 1]),
        log_likelihood=float(-fitter._negative_log_likelihood_ * usable.sum()),
        limits=tuple((float(low), float(high)) for low, high in bounds),
    )  # fmt: skip


def wholesale_limit(average: pd.Series) -> float:
    """The average spend from which a buyer is no longer one of the crowd; none if averages do not vary."""
    logs = np.log(average[average > 0])
    spread = 1.4826 * float((logs - logs.median()).abs().median())
    return float(np.exp(logs.median() + 6 * spread)) if spread > 0 else np.inf


def cut_day(shop: Shop, *, days: int) -> date:
    """The day `days` before as_of, from which on a holdout counts."""
    return shop.as_of - timedelta(days=days)


def _fit_bgnbd(patterns: pd.DataFrame, unit: int) -> tuple[Floats, tuple[tuple[float, ...], ...] | None] | None:
    lifetimes = _lifetimes()
    for start in (None, np.log([0.5, 1.0, 0.5, 2.0]), np.log([1.0, 0.3, 1.0, 5.0])):
        fitter = lifetimes.BetaGeoFitter()
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                fitter.fit(
                    patterns["frequency"], patterns["recency_days"] / unit, patterns["t_days"] / unit,
                    weights=patterns["customers"], initial_params=start,
                )  # fmt: skip
        except (lifetimes.utils.ConvergenceError, np.linalg.LinAlgError, ValueError):
            continue
        parameters = fitter.params_.to_numpy(float)
        if not np.isfinite(parameters).all() or (parameters < 1e-4).any() or (parameters > 1e5).any():
            continue
        # lifetimes' own variance_matrix_ scales columns only; the Hessian is that of the mean, in logarithms.
        inverse = np.linalg.pinv(np.asarray(fitter._hessian_)) / float(patterns["customers"].sum())
        sound = bool(np.isfinite(inverse).all() and np.linalg.eigvalsh((inverse + inverse.T) / 2).min() > 0)
        return parameters, tuple(map(tuple, ((inverse + inverse.T) / 2).tolist())) if sound else None
    return None


def _lifetimes() -> Any:
    # Its import silences FutureWarning for everybody; keep that inside.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes
        import lifetimes.utils
    return lifetimes


def _log_likelihood(theta: Floats, x: Floats, recency: Floats, t: Floats) -> Floats:
    r, alpha, a, b = theta
    base = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x) - betaln(a, b)
    alive = -(r + x) * np.log(alpha + t)
    stopped = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + recency)
    return np.asarray(base + np.where(x > 0, np.logaddexp(alive, stopped), alive))


def _p_alive(theta: Floats, x: Floats, recency: Floats, t: Floats) -> Floats:
    r, alpha, a, b = theta
    odds = np.log(a) - np.log(b + np.maximum(x, 1) - 1) + (r + x) * (np.log(alpha + t) - np.log(alpha + recency))
    return np.asarray(np.where(x > 0, 1 / (1 + np.exp(np.minimum(odds, 700))), 1.0))


def _expected(theta: Floats, x: Floats, recency: Floats, t: Floats, later: float) -> Floats:
    """Equation 10 of Fader, Hardie and Lee 2005, after Euler's transformation: no power grows with x."""
    r, alpha, a, b = theta
    if abs(a - 1) < 1e-6:
        a = 1 + 1e-6
    z = later / (alpha + t + later)
    whole = 1 - (1 - z) ** (a - 1) * hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, z)
    return np.asarray((a + b + x - 1) / (a - 1) * whole * _p_alive(theta, x, recency, t))
