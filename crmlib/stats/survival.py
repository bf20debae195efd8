"""How long until it happens, where it has not happened yet for all? Kaplan and Meier's curve from counts."""

from __future__ import annotations

import numpy as np
from scipy import stats

from crmlib.stats.intervals import Floats


def kaplan_meier(
    time: Floats, happened: Floats, n: Floats, *, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats, Floats]:
    """Times at which it happened, share to whom it had by then, and that share's lower and upper end.

    `n` people each waited `time` until it happened, or until they were last seen (`happened` 0). Ranges by Greenwood's
    error on the scale of log(−log), which stays between 0 and 1 (Kalbfleisch and Prentice 2002, section 1.4). By hand,
    since statsmodels 0.15 takes no account of frequencies in its errors.

    >>> [ends.round(3).tolist() for ends in kaplan_meier(np.array([1.0, 2, 3]), np.array([1, 0, 1]), np.ones(3))]
    [[1.0, 3.0], [0.333, 1.0], [0.054, 1.0], [0.946, 1.0]]
    """
    order = np.argsort(time, kind="stable")
    time, happened, n = (np.asarray(column, dtype=float)[order] for column in (time, happened, n))
    at, begin = np.unique(time, return_index=True)
    events, leaving = np.add.reduceat(n * happened, begin), np.add.reduceat(n, begin)
    waiting = n.sum() - np.r_[0.0, np.cumsum(leaving)[:-1]]
    keep = events > 0
    at, events, waiting = at[keep], events[keep], waiting[keep]
    left = np.cumprod(1 - events / waiting)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(np.cumsum(events / (waiting * (waiting - events))))
        half = stats.norm.ppf(0.5 + confidence / 2) * error / np.abs(np.log(left))
        low, high = (1 - left ** np.exp(sign * half) for sign in (-1, 1))
    over = left <= 0  # nobody is left: all of them, without doubt of a kind that could be worked out
    return at, 1 - left, np.where(over, 1.0, low), np.where(over, 1.0, high)
