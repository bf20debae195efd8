"""How much do customers spend on a purchase day? Gamma-Gamma; the one place that calls the lifetimes package."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.shop import facts as shop_facts

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

LEAST_BUYERS = 50
# More than this many averages only sharpen the third digit.
_MOST_BUYERS = 50_000


@dataclass(frozen=True, kw_only=True)
class SpendModel:
    """A fitted Gamma-Gamma: each customer's orders vary around an average of their own.

    p, q, v (the paper's gamma, in the shop's currency) as in Fader and Hardie 2013, "The Gamma-Gamma Model of Monetary
    Value". `correlation` is that of frequency and spend, which the model takes to be none, with its 95 % interval.
    """

    p: float
    q: float
    v: float
    customers: int
    correlation: float
    correlation_limits: tuple[float, float]
    log_likelihood: float
    limits: tuple[tuple[float, float], ...]
    until: date
    wholesale_from: float = np.inf

    @property
    def mean_deviation(self) -> float:
        """By what share the crowd's mean spend may be off: averages are Gamma-inverse-Gamma, over so many buyers."""
        # Variance of p·nu/… over squared mean is 1/(q - 2); heavy tails below q = 2.1 are held at that.
        return float(np.sqrt(1 / max(self.q - 2, 0.1) / self.customers))

    def expected(self, frequency: Floats, average: Floats) -> Floats:
        """Mean spend on a coming purchase day, given `average` over `frequency` repeat days (any value if none)."""
        seen = np.where(frequency > 0, frequency * average, 0.0)
        return self.p * (self.v + seen) / (self.p * frequency + self.q - 1)

    def per_order(self, people: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
        """Mean spend on a coming purchase day for rows of customer_history, and who is a wholesale buyer.

        A wholesale buyer's own average says more than the crowd's, which it was left out of.
        """
        frequency, average = repeat_average(people)
        big = (frequency > 0) & (average > self.wholesale_from)
        return np.where(big, average, self.expected(frequency, average)), big

    def simulate(
        self, purchases: NDArray[np.int64], frequency: Floats, average: Floats, *, rng: np.random.Generator
    ) -> Floats:
        """Spend that goes with `purchases`, shape (customers, draws)."""
        seen = np.where(frequency > 0, np.maximum(frequency * average, 0.0), 0.0)
        money, some = np.zeros(purchases.shape), purchases > 0
        shape = np.broadcast_to((self.q + self.p * frequency)[:, None], purchases.shape)[some]
        scale = rng.standard_gamma(shape) / np.broadcast_to((self.v + seen)[:, None], purchases.shape)[some]
        money[some] = rng.standard_gamma(self.p * purchases[some]) / scale
        return money

    def table(self) -> list[dict[str, Any]]:
        """Rows of model.csv."""
        return [
            {"parameter": name, "value": value, "low": low, "high": high, "log_likelihood": self.log_likelihood,
             "converged": True, "time_unit": "", "fitted_until": self.until.isoformat()}
            for name, value, (low, high) in zip(("p", "q", "v"), (self.p, self.q, self.v), self.limits, strict=True)
        ]  # fmt: skip


def fit_spend(shop: Shop, *, until: date | None = None) -> SpendModel | None:
    """How much do customers spend on a purchase day? Gamma-Gamma on repeat buyers' averages.

    Wholesale buyers (average over exp(6 robust standard deviations) times the median) and averages of zero or below
    are left out. None without amounts, under 50 repeat buyers, where the fit fails, or q <= 1 (no mean exists).
    """
    until = until or shop.as_of
    history = shop_facts.customer_history(shop, until=until)
    repeaters = shop.fetch(
        history.filter(history["frequency"] > 0)
        .select("customer_id", "frequency", "repeat_revenue")
        .order_by("customer_id"),
        max_rows=20_000_000,
    )
    return spend_of(repeaters, until=until)


def spend_of(people: pd.DataFrame, *, until: date) -> SpendModel | None:
    """The same for rows of customer_history that have crossed already."""
    everyone, spent = repeat_average(people)
    frequency, average = everyone[everyone > 0], spent[everyone > 0]
    limit = wholesale_limit(pd.Series(average))
    usable = (average > 0) & (average <= limit)
    if usable.sum() < LEAST_BUYERS:
        return None
    frequency, average = frequency[usable], average[usable]
    picked = np.arange(len(average))
    if len(picked) > _MOST_BUYERS:
        picked = np.random.default_rng(0).choice(len(average), _MOST_BUYERS, replace=False)
    fitter = _fitted(frequency[picked], average[picked])
    if fitter is None:
        return None
    p, q, v = (float(value) for value in fitter.params_)
    if not np.isfinite([p, q, v]).all() or q <= 1:
        return None
    bounds = fitter.confidence_intervals_.to_numpy(float)
    correlation, limits = _correlation(frequency, average)
    return SpendModel(
        p=p, q=q, v=v, customers=int(usable.sum()), until=until, correlation=correlation, correlation_limits=limits,
        log_likelihood=float(-fitter._negative_log_likelihood_ * usable.sum()),
        limits=tuple((float(low), float(high)) for low, high in bounds), wholesale_from=limit,
    )  # fmt: skip


def repeat_average(people: pd.DataFrame) -> tuple[Floats, Floats]:
    """Repeat purchase days and their average revenue, 0 where there are none."""
    frequency = people["frequency"].to_numpy(float)
    return frequency, people["repeat_revenue"].to_numpy(float) / np.maximum(frequency, 1)


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


def _fitted(frequency: Floats, average: Floats) -> Any:
    # Its import silences FutureWarning for everybody; keep that inside.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        import lifetimes
        import lifetimes.utils

        fitter = lifetimes.GammaGammaFitter()
        try:
            fitter.fit(pd.Series(frequency), pd.Series(average))
        except (lifetimes.utils.ConvergenceError, np.linalg.LinAlgError, ValueError):
            return None
    return fitter
