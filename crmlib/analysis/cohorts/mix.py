"""How much of a change between two lots of newcomers is who came, and how much is what they did?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.cohorts.change import Newest, Shift, moved
from crmlib.analysis.cohorts.facts import WON, Newcomers
from crmlib.findings import Part

_DRAWS = 2_000


@dataclass(frozen=True, kw_only=True)
class Split:
    """A change of a share, exactly in two: `mix` (other kinds of newcomers) + `rate` (each kind behaves otherwise)."""

    by: str
    mix: float
    rate: float
    low: float
    high: float

    @property
    def whole(self) -> float:
        """The change itself."""
        return self.mix + self.rate


def split(now: pd.DataFrame, then: pd.DataFrame, *, by: str, seed: int = 0) -> Split:
    """Which part of the change of a share is mix, which is rate? Both frames: cohort, n, back.

    Each kind's share of newcomers and its rate change; one is valued at the mean of the other (Kitagawa 1955), so that
    the two parts add up exactly. A kind that came in one of the two only counts as mix. `low` and `high` bound the rate
    part with 95 %, newcomers drawn again.

    >>> one, two = (pd.DataFrame({"cohort": ["a", "b"], "n": n, "back": b}) for n, b in (([50, 50], [10, 20]),
    ...                                                                                   ([80, 20], [16, 8])))
    >>> found = split(two, one, by="channel")
    >>> round(found.mix, 3), round(found.rate, 3)
    (-0.06, 0.0)
    """
    both = now.merge(then, on="cohort", how="outer", suffixes=("_now", "_then")).fillna(0)
    counts = [both[[f"back_{at}", f"n_{at}"]].to_numpy(float).T for at in ("now", "then")]
    mix, rate = _parts(*(array[None] for pair in counts for array in pair))
    rng = np.random.default_rng(seed)
    drawn = []
    for back, n in counts:
        people = np.concatenate([back, n - back])
        again = rng.multinomial(int(people.sum()), people / people.sum(), size=_DRAWS)
        drawn += [again[:, : len(back)], again[:, : len(back)] + again[:, len(back) :]]
    low, high = np.quantile(_parts(*drawn)[1], [0.025, 0.975])
    return Split(by=by, mix=float(mix[0]), rate=float(rate[0]), low=float(low), high=float(high))


def _parts(back: np.ndarray, n: np.ndarray, back_then: np.ndarray, n_then: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weight, weight_then = (size / size.sum(axis=1, keepdims=True) for size in (n, n_then))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate, rate_then = back / n, back_then / n_then
    # Who was not there the other time behaved as now: only the number of them changed.
    rate, rate_then = np.where(n > 0, rate, rate_then), np.where(n_then > 0, rate_then, rate)
    rate, rate_then = np.nan_to_num(rate), np.nan_to_num(rate_then)
    mix = ((weight - weight_then) * (rate + rate_then) / 2).sum(axis=1)
    return mix, ((rate - rate_then) * (weight + weight_then) / 2).sum(axis=1)


def splits(found: Newcomers, latest: Newest | None) -> list[Split]:
    """The change from a year before to the newest newcomers, by each grouping there is; none without such a year."""
    if latest is None or latest.before is None:
        return []
    now = list(latest.months["first"])
    then = [day - pd.DateOffset(years=1) for day in now]
    made = []
    for by in WON:
        rows = found.of(by)
        if rows.empty:
            continue
        lots = [
            rows[rows["first"].isin(days)]
            .groupby("cohort", as_index=False)
            .agg(n=("n", "sum"), back=("back_within", "sum"))
            for days in (now, then)
        ]  # fmt: skip
        made.append(split(*lots, by=by))
    return made


def part_mix(found: Newcomers, step: Shift, latest: Newest | None) -> Part:
    """The finding: whether other people came, or the same kinds behave otherwise; nothing where nothing moved."""
    made = splits(found, latest) if moved(step, latest) else []
    if not made or latest is None or latest.before is None:
        return Part()
    frame = pd.DataFrame([vars(one) | {"whole": one.whole} for one in made])
    frame["name"] = [f"By {one.by}" for one in made]
    largest = max(made, key=lambda one: abs(one.mix))
    return Part(
        title=_title(largest), sentence=_sentence(largest),
        chart=figures.table(
            frame, caption="Change against the same months a year before, in points; the parts add up",
            labels={"name": "Newcomers told apart", "mix": "Other people came", "rate": "They behave otherwise",
                    "low": "From", "high": "to", "whole": "Together"},
            formats=dict.fromkeys(("mix", "rate", "low", "high", "whole"), _points), file="tables/mix.csv",
        ),
        tables={"mix": frame.drop(columns="name")},
    )  # fmt: skip


def _title(largest: Split) -> str:
    if abs(largest.mix) < 0.25 * abs(largest.whole):
        return "The same kinds of people came; they behave differently"
    if abs(largest.mix) > 0.75 * abs(largest.whole) and largest.mix * largest.whole > 0:
        return f"Other people came: by {largest.by} that is most of the change"
    return f"Part of the change is that other people came, told apart by {largest.by}"


def _sentence(largest: Split) -> str:
    return (
        f"Of the change on a year before, told apart by {largest.by}, {_points(largest.mix)} come from who came, "
        f"{_points(largest.rate)} from what they did."
    )


def _points(value: float) -> str:
    text = formats.number(100 * value, digits=1)
    return formats.with_sign(f"{text} points", value) if text not in ("0.0",) else "0 points"
