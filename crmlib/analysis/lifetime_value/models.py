"""Who buys how often, and who has stopped? BG/NBD, MBG/NBD, Pareto/NBD and its two limits, on compressed histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize

from crmlib import wording
from crmlib.analysis.lifetime_value import timing
from crmlib.analysis.lifetime_value.likelihood import Likelihood
from crmlib.analysis.lifetime_value.season import UNIT_DAYS, Clock
from crmlib.analysis.lifetime_value.timing import BG, EXPONENTIAL, MBG, NAMES, NBD, PARETO, Floats, Name
from crmlib.errors import NotEnoughData, UsageError
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

TimeUnit = Literal["day", "week"]

LEAST_CUSTOMERS, LEAST_REPEATS = 100, 50
# In a unit of time in which customers are known for ten on average, logarithms of sound parameters lie well within.
_LOG_BOUND = 8.0
_MEAN_T = 10.0
_STARTS = ((-0.5, 1.0, -0.3, 0.7), (0.3, 0.0, -1.5, 1.5), (0.0, 2.0, -4.0, -4.0), (-1.0, 2.5, 0.5, 2.0))
# Which of the four parameters are free, and what is added to the starts and bounds of their logarithms.
_ALL = [0, 1, 2, 3]
_FREE: dict[Name, list[int]] = {NBD: [0, 1], EXPONENTIAL: [0, 1, 3], BG: _ALL, MBG: _ALL, PARETO: _ALL}
_SHIFT: dict[Name, Floats] = dict.fromkeys(NAMES, np.zeros(4)) | {
    EXPONENTIAL: np.array([0, 0, np.log(timing.ALL_ALIKE), np.log(timing.ALL_ALIKE)]),
}
_FLAT, _NEAR_BOUND = 1e-4, 0.05  # slope of the mean log-likelihood; in logarithms
_WIDEST = 2.0  # deviation of a logarithm
_NOBODY_STOPS = 0.005  # a share of stopping below which BG/NBD is NBD
_CHUNK = 20_000  # histories whose limits are worked out at a time
_MOST_PATTERNS = 20_000  # for the search; what it finds is then refined on all


@dataclass(frozen=True, kw_only=True)
class PurchaseModel:
    """A fitted purchase-timing model: customers buy at a steady rate of their own until they silently stop.

    r, alpha shape the rates across customers (alpha in `time_unit`s). In BG/NBD and MBG/NBD a, b shape the chance of
    stopping after a purchase, in Pareto/NBD and its limits s, beta the rate of stopping. `log_covariance` is that of
    the parameters' logarithms, 0 for what is fixed or on a boundary, None where the likelihood is too flat for one.
    With a `clock`, time runs faster in season.
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
        return np.asarray(np.exp(centre + _root(self.log_covariance) @ rng.standard_normal((4, n))))

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
            ends = [self.parameters * np.exp(by) for by in (step, -step)]
            up, down = (float(n @ timing.expected(self.name, theta, *data, ahead)) for theta in ends)
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

        Without simulation; None for Pareto/NBD and its limits, which have no such form. Parameters count by the eight
        points that have their mean and covariance (Julier and Uhlmann 1997).
        """
        if self.name not in (BG, MBG):
            return None
        theta = self.parameters[:, None]
        if self.log_covariance is not None:
            apart = 2 * _root(self.log_covariance)
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
        variance = np.zeros(4) if self.log_covariance is None else np.diag(np.array(self.log_covariance))
        spread = np.where(variance > 0, np.sqrt(variance), np.nan)
        values: Sequence[float] = self.theta
        if self.name == EXPONENTIAL:
            # One rate of stopping, which beta stands for.
            values, spread = (*self.theta[:2], self.theta[2] / self.theta[3]), spread[[0, 1, 3]]
        return [
            {"parameter": name, "value": value, "low": value * np.exp(-1.96 * sd), "high": value * np.exp(1.96 * sd),
             "log_likelihood": self.log_likelihood, "converged": True, "time_unit": self.time_unit,
             "fitted_until": self.until.isoformat()}
            for name, value, sd in zip(NAMES[self.name], values, spread, strict=False)
        ]  # fmt: skip

    def _data(self, patterns: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
        return _in_units(patterns, until=self.until, clock=self.clock, unit=UNIT_DAYS[self.time_unit])

    def _ahead(self, days: float) -> float:
        clock = self.clock
        return (clock.ahead(self.until, days=days) if clock else days) / UNIT_DAYS[self.time_unit]


def _root(covariance: tuple[tuple[float, ...], ...]) -> Floats:
    """A square root of a covariance that may be 0 in some directions."""
    values, ways = np.linalg.eigh(np.array(covariance))
    return np.asarray(ways * np.sqrt(np.maximum(values, 0.0)))


@dataclass(frozen=True, kw_only=True)
class _Top:
    """Where a climb ended: logarithms, which of them on a bound, the mean log-likelihood, whether it is a top."""

    logs: Floats
    value: float
    settled: bool
    bound: NDArray[np.bool_]
    covariance: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Unfit:
    """A model that could not be fitted, and why; `instead` is the simpler one that it turned into on a boundary."""

    name: Name
    reason: str
    until: date
    instead: Name | None = None


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

    Unfit where no start converges, or on a boundary at which the model is a simpler one (such as s = 0 in Pareto/NBD:
    nobody ever stops, which is NBD). SciPy's L-BFGS-B serves all models, with slopes worked out by hand; tests hold
    them equal to the lifetimes package and published figures.
    Raises NotEnoughData under 100 customers or 50 repeat purchases.
    """
    if time_unit not in UNIT_DAYS:
        raise UsageError(f"time_unit is day or week, not '{time_unit}'")
    customers = int(patterns["customers"].sum())
    repeats = int(patterns["frequency"] @ patterns["customers"])
    if customers < LEAST_CUSTOMERS or repeats < LEAST_REPEATS:
        had = f"{wording.counted(customers, 'customer')} with {wording.counted(repeats, 'repeat purchase')}"
        needed = f"needed are {LEAST_CUSTOMERS} and {LEAST_REPEATS}"
        raise NotEnoughData(f"too few to conclude: {had} before {until}; {needed}")
    unit = UNIT_DAYS[time_unit]
    x, recency, t = _in_units(patterns, until=until, clock=clock, unit=unit)
    n = patterns["customers"].to_numpy(float)
    scale = _MEAN_T / max(float(n @ t) / customers, 1e-9)
    found = _maximum(name, x, recency * scale, t * scale, n)
    if not found.settled:
        return Unfit(name=name, reason="did not converge", until=until)
    if instead := _nested(name, found):
        ends = zip(NAMES[name], found.logs, found.bound, strict=True)
        lost = ", ".join(f"{one} = {'0' if value < 0 else 'infinite'}" for one, value, bound in ends if bound)
        reason = f"ended on a boundary ({lost}), where it is {instead}"
        return Unfit(name=name, reason=reason, until=until, instead=instead)
    logs = found.logs - np.log(scale) * np.array([0, 1, 0, name not in (BG, MBG)])
    theta = np.exp(logs)
    r, alpha, c, d = map(float, theta)
    return PurchaseModel(
        name=name, theta=(r, alpha, c, d), log_covariance=found.covariance, customers=customers, time_unit=time_unit,
        log_likelihood=float(n @ timing.log_likelihood(name, theta, x, recency, t)), until=until, clock=clock,
    )  # fmt: skip


def _in_units(patterns: pd.DataFrame, *, until: date, clock: Clock | None, unit: int) -> tuple[Floats, Floats, Floats]:
    x, recency, t = (patterns[name].to_numpy(float) for name in ("frequency", "recency_days", "t_days"))
    if clock is not None:
        recency, t = clock.history(until, recency_days=recency, t_days=t)
    return x, recency / unit, t / unit


def _maximum(name: Name, x: Floats, recency: Floats, t: Floats, n: Floats) -> _Top:
    """The maximum, with the covariance of the parameters' logarithms."""
    some = np.arange(len(x))
    if len(x) > _MOST_PATTERNS:
        some = np.random.default_rng(0).choice(len(x), _MOST_PATTERNS, replace=False)
    few = Likelihood(name, x[some], recency[some], t[some], n[some])
    tops = []
    for start in _STARTS:
        tops.append(_climb(few, np.where(np.isin(range(4), _FREE[name]), start, 0.0) + _SHIFT[name]))
        if tops[-1].settled and not tops[-1].bound.any():
            break
    top = max(tops, key=lambda top: (top.settled, top.value))
    if top.settled and len(some) < len(x):
        top = _climb(Likelihood(name, x, recency, t, n), top.logs)
    if not top.settled or _nested(name, top):
        return top
    return _refined(few, top, n=float(n.sum()), whole=len(some) == len(x))


def _climb(likelihood: Likelihood, start: Floats) -> _Top:
    """Uphill by SciPy's L-BFGS-B. The top is reached where the slope is nothing, whatever the optimiser says of it."""
    free = _FREE[likelihood.name]

    def loss(at: Floats) -> tuple[float, Floats]:
        logs = start.copy()
        logs[free] = at
        value, slopes = likelihood.both(logs)
        return -value, -np.nan_to_num(slopes[free] @ likelihood.weight)

    low, high = (_SHIFT[likelihood.name] + end for end in (-_LOG_BOUND, _LOG_BOUND))
    found = optimize.minimize(
        loss, np.clip(start, low, high)[free], jac=True, method="L-BFGS-B",
        bounds=list(zip(low[free], high[free], strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-8, "maxiter": 500, "maxcor": 20},
    )  # fmt: skip
    logs, bound = start.copy(), np.zeros(4, bool)
    logs[free] = found.x
    below, above = logs < low + _NEAR_BOUND, logs > high - _NEAR_BOUND
    bound[free] = (below | above)[free]
    slope = -loss(found.x)[1]
    # On a bound, uphill may lead out.
    slope = np.where((below[free] & (slope < 0)) | (above[free] & (slope > 0)), 0.0, slope)
    return _Top(logs=logs, value=-float(found.fun), settled=bool(np.abs(slope).max() < _FLAT), bound=bound)


def _refined(few: Likelihood, top: _Top, *, n: float, whole: bool) -> _Top:
    """With covariance, and on all histories by Newton's last steps, to as many digits as there are."""
    free = [i for i in _FREE[few.name] if not top.bound[i]]
    logs, covariance = top.logs.copy(), np.zeros((4, 4))
    hessian = few.hessian(logs)[np.ix_(free, free)]
    if not free or np.linalg.eigvalsh(hessian).min() <= 0:
        return top
    for _ in range(2 if whole else 0):
        logs[free] += np.clip(np.linalg.solve(hessian, few.slope(logs)[free]), -0.5, 0.5)
    inverse = np.linalg.inv(hessian) / n
    # Where the likelihood is flat, so are forecasts; draws from there need no other continent.
    values, ways = np.linalg.eigh((inverse + inverse.T) / 2)
    covariance[np.ix_(free, free)] = (ways * np.minimum(values, _WIDEST**2)) @ ways.T
    return replace(top, logs=logs, covariance=tuple(map(tuple, covariance.tolist())))


def _nested(name: Name, top: _Top) -> Name | None:
    """Which simpler model a boundary is; None inside, and on boundaries that are a model of their own."""
    if name in (NBD, EXPONENTIAL) or not top.bound[2:].any():
        return None
    if name in (BG, MBG) and np.exp(top.logs[2] - np.logaddexp(top.logs[2], top.logs[3])) > _NOBODY_STOPS:
        return None
    if name == PARETO and top.bound[3] and top.logs[3] < 0:
        return None  # some stop at once, the others never
    return EXPONENTIAL if name == PARETO and top.logs[2] > 0 else NBD
