"""The log-likelihood of compressed histories and its slopes, fast enough to be climbed many times.

Slopes are those of the published formulas, term by term (Pareto/NBD: under the integral), and checked against
differences. What depends on one number of a history only is worked out once for each value that occurs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import betaln, expit, gammaln, psi

from crmlib.analysis.lifetime_value.timing import BG, MBG, NBD, Floats, Name, silence_terms


class Likelihood:
    """The mean log-likelihood of compressed histories as a function of the parameters' logarithms."""

    def __init__(self, name: Name, x: Floats, recency: Floats, t: Floats, n: Floats) -> None:
        self.name, self.weight = name, n / n.sum()
        self._x, self._recency, self._t = (_Values(column) for column in (x, recency, t))

    def slope(self, logs: Floats) -> Floats:
        """How steep the mean is in each parameter."""
        return np.asarray(self.both(logs)[1] @ self.weight)

    def both(self, logs: Floats) -> tuple[float, Floats]:
        """The mean, and each history's slope in each parameter, shape (4, histories)."""
        with np.errstate(all="ignore"):
            formula = self._steady if self.name == NBD else self._beta if self.name in (BG, MBG) else self._pareto
            each, slopes = formula(np.exp(logs))
        value = float(self.weight @ each)
        return (value if np.isfinite(value) else -1e10), slopes * np.exp(logs)[:, None]

    def hessian(self, logs: Floats) -> Floats:
        """Curvature of minus the mean log-likelihood."""
        rows = [(self.slope(logs - step) - self.slope(logs + step)) / 2e-4 for step in 1e-4 * np.eye(4)]
        curve = np.array(rows)
        return np.asarray((curve + curve.T) / 2)

    def _beta(self, theta: Floats) -> tuple[Floats, Floats]:
        """BG/NBD and MBG/NBD; `gone` is the chance that a customer has stopped."""
        r, alpha, a, b = theta
        more = 1 if self.name == MBG else 0
        x = self._x.all
        known, silent = self._t.each(lambda t: np.log(alpha + t)), self._recency.each(lambda s: np.log(alpha + s))
        k = r + x
        odds = self._x.each(
            lambda x: np.where(x + more > 0, np.log(a) - np.log(b + np.maximum(x + more, 1) - 1), -np.inf)
        ) + k * (known - silent)
        own = self._x.each(
            lambda x: gammaln(r + x) - gammaln(r) + r * np.log(alpha) + betaln(a, b + x + more) - betaln(a, b)
        )
        each = own - k * known + np.maximum(odds, 0) + np.log1p(np.exp(-np.abs(odds)))
        gone = expit(odds)
        by_t, by_recency = self._t.each(lambda t: 1 / (alpha + t)), self._recency.each(lambda s: 1 / (alpha + s))
        slopes = np.stack(
            [
                self._x.each(lambda x: psi(r + x) - psi(r) + np.log(alpha)) - known + gone * (known - silent),
                r / alpha - k * by_t + gone * k * (by_t - by_recency),
                self._x.each(lambda x: psi(a + b) - psi(a + b + x + more)) + gone / a,
                self._x.each(lambda x: psi(b + x + more) - psi(a + b + x + more) - psi(b) + psi(a + b))
                - gone * self._x.each(lambda x: 1 / (b + np.maximum(x + more, 1) - 1)),
            ]
        )
        return each, slopes

    def _steady(self, theta: Floats) -> tuple[Floats, Floats]:
        """NBD: nobody stops, and the other two parameters do not count."""
        r, alpha = theta[:2]
        k = r + self._x.all
        known = self._t.each(lambda t: np.log(alpha + t))
        own = self._x.each(lambda x: gammaln(r + x) - gammaln(r) + r * np.log(alpha))
        slopes = np.zeros((4, len(k)))
        slopes[0] = self._x.each(lambda x: psi(r + x) - psi(r) + np.log(alpha)) - known
        slopes[1] = r / alpha - k * self._t.each(lambda t: 1 / (alpha + t))
        return own - k * known, slopes

    def _pareto(self, theta: Floats) -> tuple[Floats, Floats]:
        """Pareto/NBD and its limit: the slopes are means over when a customer may have stopped, and not stopping."""
        r, alpha, s, beta = theta
        x = self._x.all
        own = self._x.each(lambda x: gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta))
        whole, _, means = silence_terms(alpha, beta, r + x, s, self._recency.all, self._t.all)
        log_alpha, log_beta, by_alpha, by_beta, gone = means
        stays = 1 - gone
        known_alpha, known_beta = self._t.each(lambda t: np.log(alpha + t)), self._t.each(lambda t: np.log(beta + t))
        at_alpha, at_beta = self._t.each(lambda t: 1 / (alpha + t)), self._t.each(lambda t: 1 / (beta + t))
        k = r + x
        slopes = np.stack(
            [
                self._x.each(lambda x: psi(r + x) - psi(r) + np.log(alpha)) - gone * log_alpha - stays * known_alpha,
                r / alpha - k * (gone * by_alpha + stays * at_alpha),
                np.log(beta) + gone * (1 / s - log_beta) - stays * known_beta,
                s / beta - gone * (s + 1) * by_beta - stays * s * at_beta,
            ]
        )
        return own + whole, slopes


class _Values:
    """A column of which few different values occur: functions of it alone are worked out for those."""

    def __init__(self, column: Floats) -> None:
        self.all = column
        self._different, self._place = np.unique(column, return_inverse=True)

    def each(self, function: Callable[[Floats], Floats]) -> Floats:
        return np.asarray(function(self._different))[self._place]
