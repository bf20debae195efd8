"""How often does a reader agree with the stars, and what is the negative share once its errors are out? Counting and resampling."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from crmlib.stats import Floats

MIN_RATED = 20  # rated texts of either kind below which a reader is not graded and shares are not corrected


def cells(truly: ArrayLike, said: ArrayLike) -> Floats:
    """Indicator columns: truly and said negative, truly only, said only, neither."""
    true, heard = np.asarray(truly, dtype=bool), np.asarray(said, dtype=bool)
    return np.column_stack([true & heard, true & ~heard, ~true & heard, ~true & ~heard]).astype(float)


def macro_f1(counts: Floats) -> Floats:
    """The mean of both sides' F1 from (hit, missed, false, clear) in the last axis."""
    hit, missed, false, clear = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Floats = (2 * hit / (2 * hit + missed + false) + 2 * clear / (2 * clear + missed + false)) / 2
    return mean


def resampled(counts: Floats, units: pd.Series, *, rng: np.random.Generator, draws: int) -> Floats:
    """Sums of `counts` over resampled units, one row a draw. Units alike are drawn together, which changes nothing."""
    sums = pd.DataFrame(counts).groupby(units.to_numpy()).sum().to_numpy()
    patterns, times = np.unique(sums, axis=0, return_counts=True)
    taken: Floats = rng.multinomial(len(sums), times / len(sums), size=draws) @ patterns
    return taken


def corrected(counts: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Rogan and Gladen's share from (hit, missed, false, clear, unrated negative, unrated positive), with its parts."""
    hit, missed, false, clear, unrated_bad, unrated_good = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity, specificity = hit / (hit + missed), clear / (clear + false)
        said = (hit + false + unrated_bad) / (hit + missed + false + clear + unrated_bad + unrated_good)
        information = sensitivity + specificity - 1
        share = np.clip(np.nan_to_num((said - (1 - specificity)) / information, nan=0.0), 0, 1)
    return share, sensitivity, specificity, information
