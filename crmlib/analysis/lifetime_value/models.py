"""Who buys how often, and who has stopped? BG/NBD, MBG/NBD and Pareto/NBD, fitted on compressed histories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.analysis.lifetime_value import timing
from crmlib.analysis.lifetime_value.likelihood import Likelihood
from crmlib.analysis.lifetime_value.season import Clock
from crmlib.analysis.lifetime_value.timing import BG, NAMES, Floats, Name
from crmlib.errors import NotEnoughData, UsageError
from crmlib.shop import facts as shop_facts

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

TimeUnit = Literal["day", "week"]

LEAST_CUSTOMERS, LEAST_REPEATS = 100, 50
_UNIT_DAYS = {"day": 1, "week": 7}
# In a unit of time in which customers are known for ten on average, logarithms of sound parameters lie well within.
_LOG_BOUND = 8.0
_MEAN_T = 10.0
_STARTS = ((-0.5, 1.0, -0.3, 0.7), (0.3, 0.0, -1.5, 1.5), (-1.0, 2.5, 0.5, 2.0))
_MOST_STEPS = 150
_CHUNK = 20_000  # histories whose limits are worked out at a time
_MOST_PATTERNS = 20_000  # for the search; what it finds is then refined on all


@dataclass(frozen=True, kw_only=True)
class PurchaseModel:
    """A fitted purchase-timing model: customers buy at a steady rate of their own until they silently stop.

    r, alpha shape the rates across customers (alpha in `time_unit`s). In BG/NBD and MBG/NBD a, b shape the chance of
    stopping after a purchase, in Pareto/NBD s, beta the rate of stopping. `log_covariance` is that of the
    parameters' logarithms, None where the likelihood is too flat for one. With a `clock`, time runs faster in season.
    """

    name: Name
    theta: tuple[float, float, float, float]
    log_covariance: tuple[tuple[float, ...], ...] | None
    log_likelihood: float
    customers: int
    time_unit: TimeUnit
    until: date
    clock: Clock | None = None

    @property
    def parameters(self) -> Floats:
        return np.array(self.theta)

    def draws(self, n: int, *, seed: int) -> Floats:
        """`n` plausible parameter vectors, shape (4, n): how well the data pins the parameters down."""
        centre = np.log(self.parameters)[:, None]
        if self.log_covariance is None:
            return np.exp(np.repeat(centre, n, axis=1))
        rng = np.random.default_rng(seed)
        spread = np.linalg.cholesky(np.array(self.log_covariance))
        return np.asarray(np.exp(centre + spread @ rng.standard_normal((4, n))))

    def p_alive(self, patterns: pd.DataFrame) -> Floats:
        """The model's chance that customers still buy. No churn score: BG/NBD gives 1 to every one-time buyer."""
        return timing.p_alive(self.name, self.parameters, *self._data(patterns))

    def expected(self, patterns: pd.DataFrame, *, days: float) -> Floats:
        """Mean number of purchase days of one customer of each pattern in the `days` from `until` on."""
        return timing.expected(self.name, self.parameters, *self._data(patterns), self._ahead(days))

    def p_none(self, patterns: pd.DataFrame, *, days: float) -> Floats:
        """Chance that one customer of each pattern buys nothing in the next `days`."""
        return timing.p_none(self.name, self.parameters, *self._data(patterns), self._ahead(days))

    def spread_of_total(self, patterns: pd.DataFrame, *, days: float) -> float:
        """By what share the expected total may be off because parameters and season are not known (one deviation).

        The delta method on logarithms: the total's slope in each parameter, through their covariance.
        """
        season = self.clock.deviation(self.until, days=days) if self.clock else 0.0
        if self.log_covariance is None:
            return season
        data, n, ahead = self._data(patterns), patterns["customers"].to_numpy(float), self._ahead(days)
        slope = np.empty(4)
        for i, step in enumerate(1e-3 * np.eye(4)):
            up, down = (
                float(n @ timing.expected(self.name, self.parameters * np.exp(s), *data, ahead)) for s in (step, -step)
            )
            slope[i] = (np.log(max(up, 1e-300)) - np.log(max(down, 1e-300))) / 2e-3
        return float(np.hypot(np.sqrt(max(slope @ np.array(self.log_covariance) @ slope, 0.0)), season))

    def variance(self, patterns: pd.DataFrame, *, days: float) -> Floats:
        """Variance of one customer's purchases for each pattern, by simulation with the parameters as fitted.

        Few draws a pattern are enough for what they are used for, a sum over many.
        """
        n = int(np.clip(2_000_000 // max(len(patterns), 1), 16, 400))
        rng = np.random.default_rng(0)
        draws = timing.simulate(self.name, self.parameters, self._data(patterns), self._ahead(days), n=n, rng=rng)
        return np.asarray(draws.var(axis=1, ddof=1))

    def simulate(
        self, patterns: pd.DataFrame, *, days: float, n: int, seed: int, chance: int | None = None
    ) -> NDArray[np.int64]:
        """`n` possible numbers of purchase days for one customer of each pattern, shape (patterns, n).

        Each column has its own plausible parameters, drawn from `seed`, so the spread holds both chance and what is not
        known. `chance` seeds the rest, for patterns that are simulated in parts.
        """
        theta, rng = self.draws(n, seed=seed), np.random.default_rng(seed + 1 if chance is None else chance)
        return timing.simulate(self.name, theta, self._data(patterns), self._ahead(days), n=n, rng=rng)

    def limits(self, patterns: pd.DataFrame, *, days: float) -> tuple[NDArray[np.uint16], NDArray[np.uint16]] | None:
        """The 2.5 and 97.5 % points of one customer's purchases for each pattern: chance, and open parameters.

        Without simulation; None for Pareto/NBD, which has no such form. Parameters count by the eight points that have
        their mean and covariance (Julier and Uhlmann 1997).
        """
        if self.name == timing.PARETO:
            return None
        theta = self.parameters[:, None]
        if self.log_covariance is not None:
            apart = 2 * np.linalg.cholesky(np.array(self.log_covariance))
            theta = theta * np.exp(np.hstack([apart, -apart]))
        (x, recency, t), ahead = self._data(patterns), self._ahead(days)
        parts = [
            timing.limits(self.name, theta, (x[some], recency[some], t[some]), ahead, below=0.025, above=0.975)
            for some in (slice(i, i + _CHUNK) for i in range(0, len(patterns), _CHUNK))
        ]
        low, high = (np.concatenate(part) for part in zip(*parts, strict=True))
        return low, high

    def table(self) -> list[dict[str, Any]]:
        """Rows of model.csv; low and high are 95 % intervals, from the curvature at the maximum."""
        spread = np.full(4, np.nan) if self.log_covariance is None else np.sqrt(np.diag(np.array(self.log_covariance)))
        return [
            {"parameter": name, "value": value, "low": value * np.exp(-1.96 * sd), "high": value * np.exp(1.96 * sd),
             "log_likelihood": self.log_likelihood, "converged": True, "time_unit": self.time_unit,
             "fitted_until": self.until.isoformat()}
            for name, value, sd in zip(NAMES[self.name], self.theta, spread, strict=True)
        ]  # fmt: skip

    def _data(self, patterns: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
        return _in_units(patterns, until=self.until, clock=self.clock, unit=_UNIT_DAYS[self.time_unit])

    def _ahead(self, days: float) -> float:
        clock = self.clock
        return (clock.ahead(self.until, days=days) if clock else days) / _UNIT_DAYS[self.time_unit]


@dataclass(frozen=True, kw_only=True)
class Unfit:
    """A model that could not be fitted, and why."""

    name: Name
    reason: str
    until: date


def facts(shop: Shop, *, until: date | None = None) -> ir.Table:
    """Grain: a distinct purchase history before `until` (default: as_of), with the number of customers who share it.

    Columns frequency, recency_days, t_days, customers. Exact for purchase timing; not enough for money.
    """
    return shop_facts.history_patterns(shop_facts.customer_history(shop, until=until or shop.as_of))


def cut_day(shop: Shop, *, days: int) -> date:
    """The day `days` before as_of, from which on a holdout counts."""
    return shop.as_of - timedelta(days=days)


def fit(
    patterns: pd.DataFrame, *, time_unit: TimeUnit, until: date, name: Name = BG, clock: Clock | None = None
) -> PurchaseModel | Unfit:
    """How often do customers buy, and when do they stop? Maximum likelihood on compressed histories.

    Unfit where no start converges or a parameter runs off to a bound (such as s = 0 in Pareto/NBD: nobody ever
    stops). One optimiser serves the three models; tests hold them equal to the lifetimes package and published figures.
    Raises NotEnoughData under 100 customers or 50 repeat purchases.
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
    unit = _UNIT_DAYS[time_unit]
    x, recency, t = _in_units(patterns, until=until, clock=clock, unit=unit)
    n = patterns["customers"].to_numpy(float)
    scale = _MEAN_T / max(float(n @ t) / customers, 1e-9)
    found = _maximum(name, x, recency * scale, t * scale, n)
    if isinstance(found, str):
        return Unfit(name=name, reason=found, until=until)
    logs, covariance = found
    logs = logs - np.log(scale) * np.array([0, 1, 0, name == timing.PARETO])
    theta = np.exp(logs)
    r, alpha, c, d = map(float, theta)
    return PurchaseModel(
        name=name, theta=(r, alpha, c, d), log_covariance=covariance, customers=customers, time_unit=time_unit,
        log_likelihood=float(n @ timing.log_likelihood(name, theta, x, recency, t)), until=until, clock=clock,
    )  # fmt: skip


def _in_units(patterns: pd.DataFrame, *, until: date, clock: Clock | None, unit: int) -> tuple[Floats, Floats, Floats]:
    x, recency, t = (patterns[name].to_numpy(float) for name in ("frequency", "recency_days", "t_days"))
    if clock is not None:
        recency, t = clock.history(until, recency_days=recency, t_days=t)
    return x, recency / unit, t / unit


def _maximum(
    name: Name, x: Floats, recency: Floats, t: Floats, n: Floats
) -> tuple[Floats, tuple[tuple[float, ...], ...] | None] | str:
    """Logarithms of the parameters at the maximum with their covariance, or why there is none."""
    some = np.arange(len(x))
    if len(x) > _MOST_PATTERNS:
        some = np.random.default_rng(0).choice(len(x), _MOST_PATTERNS, replace=False)
    few = Likelihood(name, x[some], recency[some], t[some], n[some])
    reasons = []
    for start in _STARTS:
        logs, settled = _climb(few, np.array(start))
        reason = _trouble(name, logs, settled)
        if not reason:
            break
        reasons.append(reason)
    else:
        return reasons[0]
    if len(some) < len(x):
        # From the sample's top it is a few steps to that of all, and the sample's curvature shows the way.
        whole = Likelihood(name, x, recency, t, n)
        logs, settled = _climb(whole, _nearer(logs, few.hessian(logs), whole))
        if reason := _trouble(name, logs, settled):
            return reason
    hessian = few.hessian(logs)
    if np.linalg.eigvalsh(hessian).min() <= 0:
        return logs, None
    if len(some) == len(x):
        # Newton's last steps, to as many digits as there are.
        for _ in range(2):
            logs = logs + np.clip(np.linalg.solve(hessian, few.slope(logs)), -0.5, 0.5)
    inverse = np.linalg.inv(hessian) / float(n.sum())
    return logs, tuple(map(tuple, ((inverse + inverse.T) / 2).tolist()))


def _nearer(logs: Floats, hessian: Floats, likelihood: Likelihood) -> Floats:
    """Newton's steps with a curvature that is only nearly right, as long as they lead up."""
    if np.linalg.eigvalsh(hessian).min() <= 0:
        return logs
    value, scores = likelihood.both(logs)
    for _ in range(8):
        step = np.linalg.solve(hessian, scores @ likelihood.weight)
        there = np.clip(logs + np.clip(step, -0.5, 0.5), -_LOG_BOUND, _LOG_BOUND)
        higher, slopes = likelihood.both(there)
        if not higher > value:
            break
        logs, value, scores = there, higher, slopes
    return logs


def _climb(likelihood: Likelihood, logs: Floats) -> tuple[Floats, bool]:
    """Uphill by the outer product of scores (Berndt, Hall, Hall and Hausman 1974), damped; was the top reached?"""
    damping = 1e-3
    value, scores = likelihood.both(logs)
    for _ in range(_MOST_STEPS):
        slope = scores @ likelihood.weight
        if not np.isfinite(scores).all():
            return logs, False
        if np.abs(slope).max() < 1e-5:
            return logs, True
        curve = (scores * likelihood.weight) @ scores.T
        step = np.linalg.solve(curve + np.diag(damping * np.diag(curve) + 1e-12), slope)
        there = np.clip(logs + np.clip(step, -1, 1), -_LOG_BOUND, _LOG_BOUND)
        higher, slopes = likelihood.both(there)
        if higher > value:
            logs, value, scores, damping = there, higher, slopes, damping / 4
        elif damping > 1e8:
            return logs, bool(np.abs(slope).max() < 1e-4)
        else:
            damping *= 8
    return logs, False


def _trouble(name: Name, logs: Floats, settled: bool) -> str:
    """Why a maximum is none, in words; '' where it is sound."""
    at = np.abs(logs) > _LOG_BOUND - 0.05
    if at.any():
        runaway = ", ".join(
            f"{parameter} = {'0' if value < 0 else 'infinite'}"
            for parameter, value, bound in zip(NAMES[name], logs, at, strict=True)
            if bound
        )
        return f"ended on a boundary ({runaway})"
    return "" if settled else "did not converge"
