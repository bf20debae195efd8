"""Which method is closest? Each one's measures with intervals, and the simplest that none beats."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from crmlib.analysis.lifetime_value.methods import RECENCY, SIMPLEST_FIRST, Look
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.stats.ranking import Groups, auc, groups, held_by_top

_RESAMPLES, _LEAST_RESAMPLES, _MOST_CELLS = 400, 60, 20_000_000
_CELLS_AT_ONCE = 5_000_000


def choose(looks: Sequence[Look], *, without: Collection[str] = ()) -> tuple[str, pd.DataFrame]:
    """The simplest method that none beats, some left aside, and the paired differences that decided.

    The same customers stand behind every cut, so the deviations of the cuts' differences are added as if they
    always erred together: the interval over all cuts is then wide enough whatever their correlation.
    """
    rows: list[dict[str, object]] = []
    holdout = looks[0]
    able = [method for method in SIMPLEST_FIRST if method in holdout.expected and method not in without]
    chosen = able[0]
    for method in able[1:]:
        both = [at for at in looks if method in at.expected and chosen in at.expected]
        sizes = np.array([at.customers.sum() for at in both])
        means, deviations = np.array([_difference(at, method, chosen) for at in both]).T
        value, half = float(sizes @ means / sizes.sum()), 1.96 * float(sizes @ deviations / sizes.sum())
        rows.append({"method": method, "measure": f"deviance_minus_{chosen.replace(' ', '_')}",
                     "value": value, "low": value - half, "high": value + half})  # fmt: skip
        if value + half < 0:
            chosen = method
    return chosen, pd.DataFrame(rows, columns=["method", "measure", "value", "low", "high"])


def _difference(at: Look, method: str, other: str) -> tuple[float, float]:
    """Mean difference of the deviances per customer and its standard deviation over samples of customers."""
    n = at.customers
    apart = at.loss(method) - at.loss(other)
    mean = float(n @ apart / n.sum())
    return mean, float(np.sqrt(n @ np.square(apart - mean)) / n.sum())


def compare(holdout: Look, scores: Mapping[str, Floats], *, seed: int) -> pd.DataFrame:
    """How close was each method, over shops made of the same customers drawn again?"""
    n = holdout.customers
    rng = np.random.default_rng(seed)
    resamples = int(np.clip(_MOST_CELLS // len(n), _LEAST_RESAMPLES, _RESAMPLES))
    # What is the same for every sample is worked out once: losses, and who stands where.
    losses = {method: holdout.loss(method) for method in holdout.expected}
    places = {method: (groups(score), groups(-score)) for method, score in scores.items()}

    def measured(weights: Floats) -> dict[tuple[str, str], Floats]:
        return _measured(holdout, losses, places, weights)

    found = [measured(n[None, :])]
    # Few at a time where there are many histories: they do not all fit into memory at once.
    at_once = max(_CELLS_AT_ONCE // len(n), 1)
    for start in range(0, resamples, at_once):
        again = rng.multinomial(int(n.sum()), n / n.sum(), size=min(at_once, resamples - start))
        found.append(measured(again.astype(float)))
    rows: list[dict[str, object]] = []
    for method, measure in found[0]:
        values = np.concatenate([one[method, measure] for one in found])
        ranged = measure != "forecast" and np.isfinite(values[1:]).any()
        low, high = np.nanquantile(values[1:], [0.025, 0.975]) if ranged else (np.nan, np.nan)
        rows.append({"method": method, "measure": measure, "value": values[0], "low": low, "high": high})
    return pd.DataFrame(rows)


def _measured(
    holdout: Look, losses: Mapping[str, Floats], places: Mapping[str, tuple[Groups, Groups]], weights: Floats
) -> dict[tuple[str, str], Floats]:
    """(method, measure) -> its value for each row of `weights`, which says how many customers have each history.

    `places` are the groups of each ranking's scores, from below and from above.
    """
    bought, total = holdout.purchases, holdout.customers.sum()
    weights = np.asfortranarray(weights)  # read one history after the other
    found: dict[tuple[str, str], Floats] = {}
    came = weights @ bought
    for method, mean in holdout.expected.items():
        forecast = weights @ mean
        found[method, "forecast"] = forecast
        with np.errstate(divide="ignore", invalid="ignore"):
            found[method, "error_share"] = forecast / came - 1
        found[method, "rmse"] = np.sqrt(weights @ np.square(bought - mean) / total)
        found[method, "bias"] = (forecast - came) / total
        found[method, "deviance"] = weights @ losses[method] / total
    shares = {}
    for method, (upward, downward) in places.items():
        found[method, "auc"] = auc(upward, bought > 0, weights)
        shares[method] = found[method, "top_tenth_share"] = held_by_top(downward, bought, weights)
    for method in shares:
        if method != RECENCY:
            found[method, "top_tenth_share_minus_days_since_last_order"] = shares[method] - shares[RECENCY]
    return found
