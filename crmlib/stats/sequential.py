"""Statements that hold at every look: intervals that may be read each day, and a test of the split that may be, too."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

PLANNED_UNITS = 10_000  # where nobody says what was planned: fixed beforehand, never taken from the data
# Lindon and Malek's prior, as so many imagined units split as planned: sees losses of one or two in a hundred soonest.
PRIOR_UNITS = 10_000.0


def information(n: ArrayLike, n_control: ArrayLike) -> Floats:
    """Units of one sample that would know as much as two arms do: n × n_control / (n + n_control)."""
    a, b = np.asarray(n, dtype=float), np.asarray(n_control, dtype=float)
    return a * b / (a + b)


def widening(n: ArrayLike, n_control: ArrayLike, *, alpha: float, planned: float) -> Floats:
    """How many standard errors either way hold the effect at every look at once, with chance 1 − `alpha`?

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, theorem 2.2, which the
    mixture sequential ratio test of Johari et al. 2022 inverts to; narrowest once `planned` units are in two equal
    arms. `planned` must be fixed beforehand: taken from the data at each look, the statement would not hold.

    >>> round(float(widening(5_000, 5_000, alpha=0.05, planned=10_000)), 2)
    3.04
    """
    grown = _grown(n, n_control, alpha=alpha, planned=planned)
    found: Floats = np.sqrt((1 + 1 / grown) * np.log((1 + grown) / alpha**2))
    return found


def always_valid_p(z: ArrayLike, n: ArrayLike, n_control: ArrayLike, *, alpha: float, planned: float) -> Floats:
    """Could there be no effect, whenever one looked? 1 over the mixture likelihood ratio; agrees with `widening`."""
    grown = _grown(n, n_control, alpha=alpha, planned=planned)
    z = np.asarray(z, dtype=float)
    found: Floats = np.minimum(1.0, np.sqrt(1 + grown) * np.exp(-(z**2) * grown / (2 * (1 + grown))))
    return found


def _grown(n: ArrayLike, n_control: ArrayLike, *, alpha: float, planned: float) -> Floats:
    """Information so far, times the mixture's variance, tuned to be narrowest at the planned end."""
    tuned = -2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))
    return tuned * information(n, n_control) / (planned / 4)


def split_p(counts: ArrayLike, plan: Sequence[float]) -> Floats:
    """Did the split hold, however often one looked? One p after each look at the running counts (looks × arms).

    Lindon and Malek 2022: the marginal likelihood of the counts under a Dirichlet prior around the plan, over their
    likelihood under the plan. p never rises again, and falls below a bound with at most that chance.
    """
    seen = np.atleast_2d(np.asarray(counts, dtype=float))
    share = np.asarray(plan, dtype=float) / np.sum(plan)
    prior = PRIOR_UNITS * share
    ratio = (
        special.gammaln(PRIOR_UNITS)
        - special.gammaln(PRIOR_UNITS + seen.sum(axis=-1))
        + (special.gammaln(prior + seen) - special.gammaln(prior) - seen * np.log(share)).sum(axis=-1)
    )
    found: Floats = np.exp(-np.maximum(np.maximum.accumulate(ratio, axis=-1), 0.0))
    return found
