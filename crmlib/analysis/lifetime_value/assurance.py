"""How sure the lifetime-value page is: sentences for anybody, and those for who knows the models."""

from __future__ import annotations

import numpy as np

from crmlib import formats
from crmlib.analysis.forecasts import Total, band
from crmlib.analysis.lifetime_value.holdout import calibration
from crmlib.analysis.lifetime_value.methods import RECENCY
from crmlib.analysis.lifetime_value.scoring import Margin, Scores
from crmlib.analysis.lifetime_value.validation import Validation

MAX_CORRELATION = 0.2


def how_sure(validation: Validation, scores: Scores, currency: str) -> tuple[str, ...]:
    return (
        _plainly(validation),
        *_sales(validation, currency),
        held_words(validation),
        *_lower_tenths(validation),
        *_season(scores),
        _margin(scores.margin),
        *_discount(scores),
    )


def for_experts(validation: Validation, scores: Scores) -> tuple[str, ...]:
    """What only somebody who knows the models reads."""
    lines = [validation.verdict(), *_unaided(validation), _past(validation)]
    if said := scores.forecaster.chances.sentence():
        lines.append(said)
    if scores.method != validation.chosen:
        lines.append(
            f"On all days up to now {validation.chosen} could not be fitted, so the lists rest on '{scores.method}'."
        )
    lines += _ranking(validation)
    if scores.spend is not None:
        low, high = scores.spend.correlation_limits
        lines.append(
            f"Spend per order is taken to be independent of how often somebody buys; here the correlation is {formats.number(scores.spend.correlation, digits=2)} "
            f"({formats.interval(low, high, 'index')})"
            + (
                ", small enough."
                if abs(scores.spend.correlation) < MAX_CORRELATION
                else ", too large for comfort: values may be off for frequent buyers."
            )
        )
    return tuple(lines)


def _sales(validation: Validation, currency: str) -> list[str]:
    off = validation.sales_off
    if not np.isfinite(off):
        return []
    return [
        f"In net sales it would have said {formats.money(validation.sales_forecast, currency)}, and "
        f"{formats.money(validation.sales_actual, currency)} came ({formats.with_sign(formats.share(off), off)})."
    ]


def _season(scores: Scores) -> list[str]:
    clock = scores.forecaster.fits.clock
    if clock is None:
        return []
    return [
        f"The forecast knows the shop's own seasons, from whole years: the quietest month brings {formats.number(min(clock.busy), digits=2)} times "
        f"what an average month does, the busiest {formats.number(max(clock.busy), digits=2)} times."
    ]


def _margin(margin: Margin) -> str:
    if margin.source == "costs":
        return (
            f"Margin is {formats.share(margin.share)} of net sales: line prices less discounts, refunds and unit costs, which are known for "
            f"{formats.share(margin.known_share)} of goods sold. {_returns(margin)}Tax is in or out as the shop's prices have it; shipping earns nothing."
        )
    if margin.source == "parameter":
        return f"No unit costs are known; a margin of {formats.share(margin.share)} of sales was given."
    return "No unit costs are known, so the page shows net sales, not margin; tax and shipping are in as the shop counts them."


def _discount(scores: Scores) -> list[str]:
    if not scores.discount_rate:
        return []
    return [f"Money is discounted at {formats.share(scores.discount_rate)} a year, to the day of this report."]


def _returns(margin: Margin) -> str:
    """What is taken of goods that were given back, and how much hangs on it."""
    if margin.at_risk < 0.001:
        return ""
    return f"Whatever was refunded is taken to have come back fit for sale; if none of it had, the margin would be {formats.share(margin.at_risk, digits=1)} lower. "


def _plainly(validation: Validation) -> str:
    """How the last forecast did, for somebody who reads one sentence."""
    when = f"Made on {formats.day(validation.start)} with what was known then, the forecast for the next {validation.days} days"
    if not validation.actual:
        return f"{when} was {formats.number(validation.forecast)} orders; none came."
    off, held = validation.forecast / validation.actual - 1, holdout_band(validation)
    way = (
        "right within 1\N{NO-BREAK SPACE}%"
        if abs(off) < 0.01
        else f"{formats.share(abs(off))} too {'high' if off > 0 else 'low'}"
    )
    within = (
        ""
        if held is None
        else f", {'inside' if held.low <= validation.actual <= held.high else 'outside'} the range given with it"
    )
    return f"{when} would have been {way}{within}."


def _unaided(validation: Validation) -> list[str]:
    """What would have been chosen without the days kept aside, which had their say in the choice."""
    if not validation.unaided:
        if validation.looks == 1:
            return []
        return [
            "The days kept aside had their say in the choice of the method, so its error on them is a little flattered; no window before them is long enough to choose without."
        ]
    if validation.unaided == validation.chosen:
        return [
            "Windows that were over before the days kept aside choose the same method, so its error there is not flattered by the choice."
        ]
    off = validation.measure(validation.unaided, "error_share")[0]
    return [
        f"The days kept aside had their say in the choice: windows that were over before them choose '{validation.unaided}', which was off by "
        f"{'+' if off > 0 else ''}{formats.share(off)} on them."
    ]


def _past(validation: Validation) -> str:
    seen = (*validation.cuts, *validation.recent)
    past = [
        f"{cut.start.isoformat()} for {(cut.end - cut.start).days} days: {cut.forecast:,.0f}, came {cut.actual:,}"
        for cut in seen
    ]
    wide = (
        "more than its own doubt explains, so ranges on this page are as wide as these errors suggest"
        if validation.errors.worse_than_own
        else "no more than its own doubt explains, so that doubt sets the ranges on this page"
    )
    text = f"Forecasts made from {'an earlier day' if len(past) == 1 else f'earlier days over {len(past)} windows'} ({'; '.join(past)}) were typically off by {formats.share(validation.typical_error)}: {wide}."
    return text + (" So few look-backs say little of how wide ranges ought to be." if len(past) < 3 else "")


def held_words(validation: Validation) -> str:
    held = holdout_band(validation)
    if held is None:
        return "No range can be given for the days it was tried on."
    inside = held.low <= validation.actual <= held.high
    return (
        f"The range for those {validation.days} days, with a chance of 95\N{NO-BREAK SPACE}%, would have been {formats.interval(held.low, held.high, 'orders')} orders; "
        f"{validation.actual:,} came, {'inside' if inside else 'outside'} it."
    )


def _ranking(validation: Validation) -> list[str]:
    if validation.model is None:
        return []
    name = validation.model.name
    model, rule = validation.measure(name, "top_tenth_share"), validation.measure(RECENCY, "top_tenth_share")
    more = validation.measure(name, "top_tenth_share_minus_days_since_last_order")
    if not (np.isfinite(model[0]) and np.isfinite(rule[0])):
        return []
    points = [formats.number(100 * value, digits=0) for value in more]
    return [
        f"{name} put {formats.share(model[0])} of the holdout's orders into its top tenth of customers; counting days since the "
        f"last order puts {formats.share(rule[0])} there, a difference of {points[0]} points ({points[1]} to {points[2]})."
    ]


def _lower_tenths(validation: Validation) -> tuple[str, ...]:
    """Whether the customers of whom least was expected brought what was expected, as a sentence where it is clear."""
    tenths = calibration(validation)
    low = tenths.iloc[3:]
    said, came = float(low["forecast"].sum()), float(low["came"].sum())
    outside = int(((low["came"] < low["low"]) | (low["came"] > low["high"])).sum())
    if outside < 2 or said <= 0:
        return ()
    way = "fewer" if came < said else "more"
    return (
        f"From customers who buy seldom, take {way} orders than are expected of them: of the seven tenths of whom least was expected {formats.number(said)} orders were forecast "
        f"and {formats.number(came)} came, and {outside} of these tenths lie beyond chance.",
    )


def holdout_band(validation: Validation) -> Total | None:
    """The range for the holdout as it could be stated on the day it began."""
    own = validation.cuts[0].own
    if validation.forecast <= 0 or not np.isfinite(own):
        return None
    return band(validation.forecast, own, validation.errors_known)
