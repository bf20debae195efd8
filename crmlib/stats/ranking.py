"""How well does a score rank people? AUC and the share held by the top, for customers counted by weights.

Equal scores share what stands at their edge. `weights` has a row for each sample drawn again and a column for each
row of scores, so that an interval costs one call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crmlib.stats.intervals import Floats

Groups = tuple[NDArray[np.intp], NDArray[np.intp]]


def weighted_auc(score: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Chance that a positive is ranked above a negative, ties half, for each row of `weights`.

    >>> weighted_auc(np.array([3.0, 2, 1]), np.array([True, False, False]), np.ones((1, 3))).tolist()
    [1.0]
    """
    return auc(groups(score), positive, weights)


def top_share(score: Floats, amount: Floats, weights: Floats, *, share: float = 0.1) -> Floats:
    """Share of `amount` held by the top `share` of people by score; a tie at the edge is split evenly.

    >>> top_share(np.array([2.0, 1]), np.array([3.0, 1]), np.ones((1, 2)), share=0.5).tolist()
    [0.75]
    """
    return held_by_top(groups(-score), amount, weights, share=share)


def top_share_range(
    value: Floats, *, share: float = 0.1, seed: int, most_cells: int = 20_000_000
) -> tuple[float, float, float]:
    """Share of all value that the top `share` of people by value holds, with 95 % by drawing people again.

    >>> top_share_range(np.array([9.0] + [1.0] * 9), seed=0)[0]
    0.5
    """
    ordered = np.sort(value)[::-1]
    rng = np.random.default_rng(seed)
    size = max(len(ordered) * share, 1)

    def held(times: Floats) -> float:
        room = np.clip(size - (np.cumsum(times) - times), 0, times)
        return float(room @ ordered / max(float(times @ ordered), 1e-12))

    # Poisson numbers of each person: a sample drawn again without shuffling.
    resamples = int(np.clip(most_cells // len(ordered), 60, 200))
    again = [held(rng.poisson(1.0, len(ordered)).astype(float)) for _ in range(resamples)]
    low, high = np.quantile(again, [0.025, 0.975])
    return held(np.ones(len(ordered))), float(low), float(high)


def auc(ranked: Groups, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """The same for scores that `groups` has ordered from below: sorted once for many samples."""
    order, starts = ranked
    # One line a history, so that memory is read in order.
    lines = weights.T[order]
    everybody = np.add.reduceat(lines, starts, axis=0)
    lines *= positive[order, None]
    buyers = np.add.reduceat(lines, starts, axis=0)
    others = everybody - buyers
    below = np.cumsum(others, axis=0) - others / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.einsum("ij,ij->j", buyers, below) / (buyers.sum(axis=0) * others.sum(axis=0)))


def held_by_top(ranked: Groups, amount: Floats, weights: Floats, *, share: float = 0.1) -> Floats:
    """`top_share` for scores that `groups` has ordered from above."""
    order, starts = ranked
    lines = weights.T[order]
    size = np.add.reduceat(lines, starts, axis=0)
    lines *= amount[order, None]
    held = np.add.reduceat(lines, starts, axis=0)
    room = share * size.sum(axis=0) - (np.cumsum(size, axis=0) - size)
    with np.errstate(invalid="ignore", divide="ignore"):
        taken = np.where(size > 0, np.clip(room / size, 0, 1), 0.0)
        return np.asarray(np.einsum("ij,ij->j", held, taken) / held.sum(axis=0))


def groups(score: Floats) -> Groups:
    """The order of the scores, and where each group of equal ones begins in it."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
