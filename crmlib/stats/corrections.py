"""p-values corrected for many looks."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def adjust(p_values: ArrayLike, *, method: Literal["holm", "fdr_bh"], searched: int | None = None) -> Floats:
    """p-values corrected for the number of hypotheses `searched` (their own number if not given).

    'holm' holds the chance of any false finding, 'fdr_bh' (Benjamini and Hochberg 1995) the expected share of them.
    With `searched` above the number given, the rest count as the least convincing, which is exact for thresholds on p.

    >>> adjust([0.01, 0.04, 0.03], method="holm").round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    m = max(p.size, searched or 0)
    order = np.argsort(p, kind="stable")
    ranks = np.arange(1, p.size + 1)
    if method == "holm":
        raised = np.maximum.accumulate(p[order] * (m - ranks + 1))
    else:
        raised = np.minimum.accumulate((p[order] * m / ranks)[::-1])[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted
