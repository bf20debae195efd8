"""Sums over units drawn again and again, for intervals of whatever is made of sums."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def resampled(counts: Floats, units: pd.Series, *, rng: np.random.Generator, draws: int) -> Floats:
    """What might the sums have been with other units, such as customers? Bootstrap over `units`, one row a draw.

    Units that are alike are drawn together, which changes nothing but the time it takes.

    >>> units = pd.Series(["a", "a", "b"])
    >>> resampled(np.ones((3, 1)), units, rng=np.random.default_rng(0), draws=4).shape
    (4, 1)
    """
    sums = pd.DataFrame(counts).groupby(units.to_numpy()).sum().to_numpy()
    patterns, times = np.unique(sums, axis=0, return_counts=True)
    taken: Floats = rng.multinomial(len(sums), times / len(sums), size=draws) @ patterns
    return taken
