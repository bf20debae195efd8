"""The days kept aside, by tenth and tier of customers and by week: what was forecast and what came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from crmlib.analysis.forecasts import half_width
from crmlib.analysis.lifetime_value.methods import NOBODY
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.analysis.lifetime_value.validation import Validation, top_share

TOP = "top tenth"
# tier -> share of customers, best first
TIERS = ((TOP, 0.1), ("next two tenths", 0.2), ("middle", 0.3), ("the rest", 0.4))
_CLEAR = 0.01


def calibration(validation: Validation) -> pd.DataFrame:
    """Forecast and actual repeat orders of the holdout by tenth of customers, and by how much chance alone may part them."""
    n = validation.patterns["customers"].to_numpy(float)
    method = validation.chosen if validation.chosen != NOBODY else next(iter(validation.ranking))
    score = validation.expected.get(method, validation.ranking.get(method))
    assert score is not None
    said, bought = validation.expected[validation.chosen], validation.patterns["purchases"].to_numpy(float)
    tenths = [k / 10 for k in range(11)]
    forecast, came = (_between(score, amount, n, tenths) for amount in (said, bought))
    chance = 1.96 * np.sqrt(_between(score, np.square(bought - said), n, tenths))
    return pd.DataFrame(
        {
            "tenth": range(1, 11),
            "forecast": forecast,
            "low": np.maximum(forecast - chance, 0),
            "high": forecast + chance,
            "came": came,
        }
    )


def tiers_then(validation: Validation) -> pd.DataFrame:
    """The same by tier, as the tiers of today share customers out: tier, forecast, came."""
    n = validation.patterns["customers"].to_numpy(float)
    said, bought = validation.expected[validation.chosen], validation.patterns["purchases"].to_numpy(float)
    edges = [0.0, *np.cumsum([share for _, share in TIERS])]
    forecast, came = (_between(said, amount, n, edges) for amount in (said, bought))
    return pd.DataFrame({"tier": [name for name, _ in TIERS], "forecast": forecast, "came": came})


def _between(score: Floats, amount: Floats, n: Floats, edges: Sequence[float]) -> Floats:
    """How much of `amount` the customers between such shares of all hold, best by `score` first."""
    total = float(n @ amount)
    if total == 0:
        return np.zeros(len(edges) - 1)
    reached = [float(top_share(score, amount, n[None, :], share=edge)[0]) if edge else 0.0 for edge in edges]
    return np.diff(reached) * total


def by_week(validation: Validation) -> pd.DataFrame:
    weeks = validation.days // 7
    seen = validation.weekly.set_index("week")["purchases"]
    start = int(seen.index.min()) if len(seen) else 0
    # The very first week of a shop is cut by whenever its data begins.
    index = pd.RangeIndex(min(start + 1, 0), weeks)
    frame = pd.DataFrame({"week": index, "came": seen.reindex(index, fill_value=0).to_numpy(float)})
    frame["day"] = pd.Timestamp(validation.start) + pd.to_timedelta(7 * frame["week"], unit="D")
    n = validation.patterns["customers"].to_numpy(float)
    model = validation.models.get(validation.chosen)
    if model is not None:
        reached = [0.0, *(float(n @ model.expected(validation.patterns, days=7 * k)) for k in range(1, weeks + 1))]
        mean = np.diff(reached)
    else:
        mean = np.full(weeks, validation.forecast / validation.days * 7)
    own = validation.cuts[0].own if np.isfinite(validation.cuts[0].own) else 0.0
    clock = validation.holdout.fits.clock
    season = [
        clock.deviation((validation.start + timedelta(days=7 * k)), days=7) if clock else 0.0 for k in range(weeks)
    ]
    unrest = _unrest(frame.loc[frame["week"] < 0, "came"].to_numpy(float))
    doubt = np.sqrt(own**2 + unrest**2 + np.square(season) + 1 / np.maximum(mean, 0.5))
    spread = np.array([half_width(float(one), validation.errors_known) for one in doubt])
    later = frame["week"] >= 0
    frame.loc[later, "forecast"] = mean
    frame.loc[later, "low"] = mean * np.exp(-spread)
    frame.loc[later, "high"] = mean * np.exp(spread)
    return frame


def _unrest(weeks: Floats) -> float:
    """By what share single weeks jump beyond chance (campaigns, holidays), from one week to the next before the holdout."""
    weeks = weeks[weeks > 0][-52:]
    if len(weeks) < 8:
        return 0.0
    jumps: Floats = np.diff(np.log(weeks))
    return float(np.sqrt(max(float(np.mean(np.square(jumps))) / 2 - float(np.mean(1 / weeks)), 0.0)))


def one_sided(weeks: pd.DataFrame) -> tuple[int, int, bool] | None:
    """The longest stretch of the holdout's weeks that missed on one side: place of the first, how many, whether they came in above.

    None where weeks that miss like a fair coin would show a stretch as long in one holdout of a hundred or more.
    """
    later = weeks[weeks["forecast"].notna()]
    above = (later["came"] > later["forecast"]).to_numpy()
    if not len(above):
        return None
    starts = np.flatnonzero(np.concatenate([[True], above[1:] != above[:-1]]))
    lengths = np.diff([*starts, len(above)])
    longest = int(lengths.argmax())
    length = int(lengths[longest])
    # At most: a stretch begins with the first week or where the side changes, and then goes on.
    if (len(above) - length + 2) * 0.5**length >= _CLEAR:
        return None
    return int(starts[longest]), length, bool(above[starts[longest]])
