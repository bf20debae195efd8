"""Two groups compared within strata: how much more often one has something, among people who are otherwise alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from crmlib.stats.intervals import Floats


@dataclass(frozen=True)
class Matched:
    """A share in one group and among its like in the other, with the ratio of the two.

    one, other  shares, both weighted alike over strata (Mantel and Haenszel's weights)
    ratio       one / other, with a 95 % range; nan where none of the other group has it
    p_value     of the test that within strata both groups have it alike
    n           people of the one group in strata that hold both
    """

    one: float
    other: float
    ratio: float
    low: float
    high: float
    p_value: float
    n: int


def matched(has: NDArray[np.bool_], group: NDArray[np.bool_], stratum: NDArray[np.int64]) -> Matched:
    """How many times as often do members of the `group` have it as others of the same stratum?

    Ratio of Mantel and Haenszel 1959 with the range of Greenland and Robins 1985, which holds with few people in each
    of many strata; the test is that of Cochran, Mantel and Haenszel without continuity correction.

    >>> group = np.repeat([True, False], 50)
    >>> has = np.r_[np.arange(50) < 20, np.arange(50) < 10]
    >>> found = matched(has, group, np.zeros(100, dtype=int))
    >>> found.one, found.other, found.ratio
    (0.4, 0.2, 2.0)
    """
    size = int(stratum.max()) + 1 if len(stratum) else 0

    def counted(rows: NDArray[np.bool_]) -> Floats:
        return np.bincount(stratum[rows], minlength=size).astype(float)

    a, b, n1, n0 = (counted(rows) for rows in (has & group, has & ~group, group, ~group))
    both = (n1 > 0) & (n0 > 0)
    a, b, n1, n0 = (column[both] for column in (a, b, n1, n0))
    n, m = n1 + n0, a + b
    top, bottom, weight = (a * n0 / n).sum(), (b * n1 / n).sum(), (n1 * n0 / n).sum()
    spread = (n1 * n0 * m * (n - m) / (n**2 * np.maximum(n - 1, 1))).sum()
    if not weight or not spread:
        none = float("nan")
        shares = [float(part / weight) if weight else none for part in (top, bottom)]
        return Matched(shares[0], shares[1], none, none, none, 1.0, int(n1.sum()))
    p = float(stats.chi2.sf((a - n1 * m / n).sum() ** 2 / spread, 1))
    ratio = low = high = float("nan")
    if bottom > 0:
        ratio = top / bottom
    if top > 0 and bottom > 0:
        error = np.sqrt(((m * n1 * n0 - a * b * n) / n**2).sum() / (top * bottom))
        low, high = ratio * np.exp(-1.96 * error), ratio * np.exp(1.96 * error)
    return Matched(top / weight, bottom / weight, float(ratio), float(low), float(high), p, int(n1.sum()))
