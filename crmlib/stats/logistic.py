"""A chance from a few measures: logistic regression with a penalty, for what a page must be able to explain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from crmlib.stats.intervals import Floats


def fit_logistic(x: Floats, happened: NDArray[np.bool_] | Floats, *, ridge: float = 1.0, lasso: float = 0.0) -> Floats:
    """Constant and slopes of a logistic regression of `happened` on the columns of `x`.

    `ridge` draws slopes towards nothing by their squares; with a `lasso` they are kept at or above nothing and drawn by
    their sum, so that a measure that tells nothing more gets none; that is for scipy's L-BFGS-B. Without one its Newton
    steps in a region of trust need about ten passes over the rows, where L-BFGS-B needs over a hundred.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]] * 50)
    >>> theta = fit_logistic(x, (x[:, 0] > 1), ridge=0.1)
    >>> chance(theta, x)[0] < 0.1 < 0.9 < chance(theta, x)[3]
    np.True_
    """
    y = np.asarray(happened, dtype=float)
    whole = np.column_stack([np.ones(len(x)), x])
    kept = np.r_[0.0, np.ones(x.shape[1])]

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = whole @ theta
        size = float(np.logaddexp(0, z).sum() - y @ z + ridge * (kept * theta) @ theta / 2 + lasso * kept @ theta)
        return size, whole.T @ (special.expit(z) - y) + kept * (ridge * theta + lasso)

    def curvature(theta: Floats) -> Floats:
        p = special.expit(whole @ theta)
        return np.asarray((whole * (p * (1 - p))[:, None]).T @ whole + np.diag(kept * ridge))

    start = np.zeros(whole.shape[1])
    if not lasso:
        close = {"gtol": 1e-8 * max(len(x), 1)}
        found = optimize.minimize(loss, start, jac=True, hess=curvature, method="trust-exact", options=close)
        return np.asarray(found.x)
    bounds = [(None, None), *[(0.0, None)] * x.shape[1]]
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x)


def chance(theta: Floats, x: Floats) -> Floats:
    """What `fit_logistic` expects for rows of `x`, 0 to 1."""
    return np.asarray(special.expit(theta[0] + x @ theta[1:]))
