"""Which experiments did the demo shop run, and what was the truth?

Visitors, not customers, are assigned. `free_shipping` has a known effect, `new_header` none, and in
`sorting` the treatment page lost six in a hundred of its visitors, so its split is broken. `gift_note` has a
known effect too and is still running: the later of its visitors have no outcome yet. Six in ten visitors come by
phone, which changes nothing.

Each visitor has a conversion probability (one in twelve comes often) and an order value, and two earlier
periods of the same length from the same probability and value: their sum is the pre_value. A treatment adds
to the probability, and the shop bears the postage of small orders; it does nothing to the order value. The
effects follow from that in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOW_DAYS = 14
FREQUENT_SHARE = 1 / 12
CONVERSION_FREQUENT, CONVERSION_OTHER = 0.68, 0.010
VALUE_MEDIAN, VALUE_SIGMA_VISITOR, VALUE_SIGMA_ORDER = 38.0, 0.60, 0.30
PRE_WINDOWS = 2  # the pre-values add up this many windows before the test
MARGIN_SHARE = 0.45
POSTAGE_BORNE, FREE_SHIPPING_FROM = 3.50, 39.0
TWO_ARMS = 30
DEVICES, PHONE_SHARE = ("phone", "desktop"), 0.6
METRICS = ("converted", "revenue_per_visitor", "margin_per_visitor")


@dataclass(frozen=True)
class _Design:
    name: str
    control: int
    treatment: int
    fixed: bool  # exact sizes; otherwise a coin is thrown for each of control + treatment visitors
    first_day: str
    days: int
    lift: float  # added to the conversion probability
    bears_postage: bool


_DESIGNS = (
    _Design("free_shipping", 20_000, 20_000, False, "2026-06-01", 42, 0.010, True),
    _Design("new_header", 10_000, 10_000, False, "2026-06-22", 28, 0.0, False),
    _Design("sorting", 20_000, 18_800, True, "2026-07-20", 35, 0.0, False),
)
_RUNNING = _Design("gift_note", 6_000, 6_000, False, "2026-09-02", 28, 0.020, False)


def experiments(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, object]]:
    """The assignments, the outcomes (one row per visitor and metric), and the true effects, of the tests that are over.

    Sizes are fixed: about 40,000, 20,000 and 38,800 visitors, whatever the number of customers.
    """
    return _all(rng, _DESIGNS, start=1)


def running(rng: np.random.Generator, *, until: np.datetime64) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, object]]:
    """The same of the test that still runs: 12,000 visitors, and the outcomes that were known before `until`."""
    assigned, measured, truth = _all(rng, (_RUNNING,), start=1 + sum(one.control + one.treatment for one in _DESIGNS))
    return assigned, measured[measured["observed_at"] < until].reset_index(drop=True), truth


def with_device(rng: np.random.Generator, assignments: pd.DataFrame) -> pd.DataFrame:
    """The assignments with a column `device`, the same for a visitor in each of its rows."""
    units = assignments["unit_id"].drop_duplicates()
    device = pd.Series(np.where(rng.random(len(units)) < PHONE_SHARE, *DEVICES), index=units)
    return assignments.assign(device=device.loc[assignments["unit_id"]].to_numpy())


def _all(
    rng: np.random.Generator, designs: tuple[_Design, ...], *, start: int
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, object]]:
    assignments, outcomes = [], []
    truth: dict[str, object] = {}
    for design in designs:
        assigned, measured, facts = _run(rng, design, start)
        start += design.control + design.treatment
        assignments.append(assigned)
        outcomes.append(measured)
        truth[design.name] = facts
    return pd.concat(assignments, ignore_index=True), pd.concat(outcomes, ignore_index=True), truth


def true_effects(*, lift: float, bears_postage: bool) -> dict[str, float]:
    """Population means of treatment less control, per visitor, from the parameters alone."""
    sigma = math.hypot(VALUE_SIGMA_VISITOR, VALUE_SIGMA_ORDER)
    value = VALUE_MEDIAN * math.exp(sigma**2 / 2)
    small = 0.5 * (1 + math.erf(math.log(FREE_SHIPPING_FROM / VALUE_MEDIAN) / sigma / math.sqrt(2)))
    converted = FREQUENT_SHARE * CONVERSION_FREQUENT + (1 - FREQUENT_SHARE) * CONVERSION_OTHER
    postage = (converted + lift) * small * POSTAGE_BORNE if bears_postage else 0.0
    effects = (lift, lift * value, lift * value * MARGIN_SHARE - postage)
    return {metric: round(effect, 6) for metric, effect in zip(METRICS, effects, strict=True)}


def _run(rng: np.random.Generator, design: _Design, start: int) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, object]]:
    size = design.control + design.treatment
    place = rng.permutation(size) if design.fixed else rng.random(size) * size
    treated = place < design.treatment
    unit = np.array([f"v{number:06d}" for number in range(start, start + size)])
    seconds = np.sort(rng.integers(0, design.days * 86_400, size))
    assigned_at = np.datetime64(design.first_day).astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    assigned_at = assigned_at.astype("datetime64[us]")
    variant = np.where(treated, "treatment", "control")
    assigned = pd.DataFrame(
        {"experiment": design.name, "unit_id": unit, "variant": variant, "assigned_at": assigned_at}
    )
    both = np.empty(0, dtype=np.int64)
    if design.name == "free_shipping":
        both = np.sort(rng.choice(size, size=TWO_ARMS, replace=False))
        again = assigned.iloc[both].assign(
            variant=np.where(treated[both], "control", "treatment"),
            assigned_at=assigned_at[both] + np.timedelta64(3, "D"),
        )
        assigned = pd.concat([assigned, again]).sort_values(["assigned_at", "unit_id"], ignore_index=True)

    values = _measured(rng, design, treated)
    measured = pd.concat(
        [
            pd.DataFrame(
                {
                    "experiment": design.name,
                    "unit_id": unit,
                    "metric": metric,
                    "value": now.round(2),
                    "observed_at": assigned_at + np.timedelta64(WINDOW_DAYS, "D"),
                    "pre_value": before.round(2),
                }
            )
            for metric, (now, before) in values.items()
        ],
        ignore_index=True,
    )
    arms = {"control": int((~treated).sum()), "treatment": int(treated.sum())}
    facts: dict[str, object] = {
        "units": arms,
        "designed_share_treatment": 0.5,
        "split_broken": design.fixed,
        "phone_share": PHONE_SHARE,
        "units_in_two_arms": unit[both].tolist(),
        "effects": true_effects(lift=design.lift, bears_postage=design.bears_postage),
        "effect_definition": "population mean of treatment less control per visitor, in closed form",
    }
    return assigned, measured, facts


def _measured(
    rng: np.random.Generator, design: _Design, treated: NDArray[np.bool_]
) -> dict[str, tuple[Floats, Floats]]:
    size = len(treated)
    base = np.where(rng.random(size) < FREQUENT_SHARE, CONVERSION_FREQUENT, CONVERSION_OTHER)
    level = np.exp(VALUE_SIGMA_VISITOR * rng.standard_normal(size))

    def period(probability: Floats, free: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
        converted = rng.random(size) < probability
        order = VALUE_MEDIAN * level * np.exp(VALUE_SIGMA_ORDER * rng.standard_normal(size))
        postage = np.where(free & (order < FREE_SHIPPING_FROM), POSTAGE_BORNE, 0.0)
        return converted.astype(np.float64), converted * order, converted * (order * MARGIN_SHARE - postage)

    earlier = [period(base, np.zeros(size, dtype=np.bool_)) for _ in range(PRE_WINDOWS)]
    before = [np.sum(windows, axis=0) for windows in zip(*earlier, strict=True)]
    now = period(base + design.lift * treated, treated & design.bears_postage)
    return {metric: (now[place], before[place]) for place, metric in enumerate(METRICS)}
