"""Lifetime value, in the order of its page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crmlib import formats, wording
from crmlib.analysis.lifetime_value.holdout import held, part_chances, part_tenths, part_weeks
from crmlib.analysis.lifetime_value.lists import part_wavering, part_wholesale
from crmlib.analysis.lifetime_value.methods import MODELS
from crmlib.analysis.lifetime_value.payback import Channels, part_channels
from crmlib.analysis.lifetime_value.predictions import AHEAD_DAYS, part_predictions
from crmlib.analysis.lifetime_value.scoring import Scores, part_value
from crmlib.analysis.lifetime_value.spend import SHRUNK
from crmlib.analysis.lifetime_value.validation import Trust, Validation
from crmlib.analysis.lifetime_value.verdict import part_methods
from crmlib.findings import Caveat, Check, Findings, Grade, Part, Signal, compose
from crmlib.shop.shop import Shop

_OUT_OF_SEASON = 0.2
_MAX_CORRELATION = 0.2
_MOST_CAVEATS = 4
_SHARES = ((0.9, "nearly all"), (0.75, "over three quarters"), (2 / 3, "over two thirds"), (0.5, "over half"),
           (1 / 3, "over a third"), (0.25, "over a quarter"), (0.2, "over a fifth"))  # fmt: skip


def page(
    validation: Validation,
    scores: Scores,
    *,
    shop: Shop,
    channels: Channels | None = None,
    grades: Sequence[Grade] = (),
) -> Findings:
    """What a shop's owner should know of the value of the customers."""
    tested = validation.trust(scores.horizon_days) is Trust.TESTED
    parts = [
        part_value(scores, validation, currency=shop.currency),
        part_wavering(scores, validation, shop=shop),
        part_channels(channels, shop=shop) if channels is not None else None,
        part_weeks(validation),
        part_wholesale(scores, shop=shop, tested=tested),
        part_tenths(validation),
        part_chances(validation),
        part_methods(validation),
        part_limits(validation, scores, channels),
        part_predictions(scores, grades, shop=shop, tested=validation.trust(AHEAD_DAYS) is Trust.TESTED),
    ]
    return compose("lifetime_value", headline(validation, scores, currency=shop.currency), parts)


def headline(validation: Validation, scores: Scores, *, currency: str) -> str:
    """What the customers should bring; where no such forecast has held, what they brought."""
    trust, past = validation.trust(scores.horizon_days), scores.past
    if trust is not Trust.TESTED:
        which = "this shop's year" if scores.horizon_days == 365 else f"the {scores.ahead}"
        brought = f"Customers brought {wording.rounded_money(past.sales, currency)} {past.period}."
        if not past.sales > 0:
            brought = f"{wording.upper(wording.counted(past.customers, 'customer'))} bought {past.period}."
        return f"We can't forecast {which} yet. {brought}"
    if scores.value is None:
        orders = scores.orders.estimate("orders").text
        about = f"Today's customers should place about {orders} {'order' if orders == '1' else 'orders'}"
        return f"{about} in the {scores.ahead}. What these are worth can't be forecast."
    # To two digits: a headline promises no more.
    whole = float(f"{scores.value.value:.2g}") if scores.value.value > 0 else scores.value.value
    amount = wording.rounded_money(whole, currency)
    said = f"Today's customers should bring about {amount} of {scores.margin.called} in the {scores.ahead}."
    values = scores.customers["expected_value"].to_numpy(float)
    if len(values) < 10 or not values.sum() > 0:
        return said
    share = float(values[: round(len(values) / 10)].sum() / values.sum())
    part = next((words for least, words in _SHARES if share >= least), formats.share(share))
    return f"{said} One in ten brings {part} of it."


def part_limits(validation: Validation, scores: Scores, channels: Channels | None = None) -> Part:
    """When not to trust the page, how it was worked out, and the model's parameters; nothing of it is a finding."""
    checks = [
        Check(name="customers known from their first order",
              verdict="warning" if validation.beginning.truncated else "ok", text=validation.beginning.sentence()),
        *(Check(name="forecast period in season", verdict="warning", text=text) for text in _season_caveats(scores)),
    ]  # fmt: skip
    if scores.model is None:
        checks.append(Check(name="a model is used", verdict="warning", text=f"The lists rest on '{scores.method}'."))
    ahead, signals = wording.upper(f"the {scores.ahead}"), []
    if validation.trust(scores.horizon_days) is not Trust.TESTED:
        gone = f"Lifetime value can forecast the {scores.ahead} now."
        signals = [Signal(id="no_forecast", text=f"{ahead} can't be forecast.", gone=gone)]
    return Part(
        checks=[*checks, *_spend_check(scores)],
        caveats=[Caveat(text=text) for text in _caveats(validation, scores, channels)][:_MOST_CAVEATS],
        signals=signals,
        certain=[_ranges(*held(validation))],
        method=_method(scores), tables={"model": _model_table(validation, scores)},
    )  # fmt: skip


def _ranges(inside: int, groups: int) -> str:
    """How far ranges are to be trusted.

    >>> _ranges(3, 10)
    'Of 100 ranges on this page, 95 should hold what comes. Of chances tested, only 3 of 10 groups did.'
    """
    few = f" Of chances tested, only {inside} of {groups} groups did." if inside < 0.8 * groups else ""
    return f"Of 100 ranges on this page, 95 should hold what comes.{few}"


def _caveats(validation: Validation, scores: Scores, channels: Channels | None) -> list[str]:
    trust, own = validation.trust(scores.horizon_days), []
    if scores.model is None:
        own.append(f"The lists rest on a rule of thumb ('{scores.method}'): no model came closer.")
    if trust is Trust.MISSED:
        missed = f"by {formats.share(validation.missed)}" if np.isfinite(validation.missed) else "everything"
        own.append(f"The last forecast missed {missed}: use its figures only to rank.")
    elif trust is Trust.UNTESTED:
        tried = f"forecasts were checked over {validation.days} days only"
        own.append(f"Figures for the {scores.ahead} are untested: {tried}.")
    own += _season_caveats(scores)
    if validation.beginning.truncated:
        own.append("Some customers who look new are old ones whose earlier orders are missing.")
    if channels is not None and channels.missing:
        own.append(f"Payback by channel is missing: the data lacks {channels.missing}.")
    if trust is not Trust.MISSED:
        own.append("Use the ranking; don't rely on the figure for any one customer.")
    own.append("New customers are not in these figures: what they bring comes on top.")
    return [*own, "A new range, a price rise or a missed season breaks a forecast that only knows the past."]


def _season_caveats(scores: Scores) -> list[str]:
    if scores.forecaster.fits.clock is not None or scores.horizon_days % 365 == 0:
        return []
    busy = scores.year_before
    if busy is None:
        return ["Under two years of data show no yearly season: if the days ahead are busier, so will be the orders."]
    if abs(busy - 1) < _OUT_OF_SEASON:
        return []
    times, way = formats.number(busy, digits=2), "above" if busy > 1 else "below"
    same = f"the same {scores.horizon_days} days a year ago were {times} times as busy as that whole year"
    return [f"The method knows no season, and {same}: expect orders {way} the forecast."]


def _spend_check(scores: Scores) -> list[Check]:
    if scores.spend is None:
        text = "Spend could not be modelled: too few repeat buyers with amounts, or no average exists (q <= 1)."
        return [Check(name="spend model", verdict="warning", text=f"{text} Values are left empty.")]
    if scores.spend.name == SHRUNK or abs(scores.spend.correlation) < _MAX_CORRELATION:
        return []
    text = f"How often and how much customers buy are correlated ({formats.number(scores.spend.correlation, digits=2)})"
    text += ": values may be off for frequent buyers."
    return [Check(name="spend independent of frequency", verdict="warning", text=text)]


def _method(scores: Scores) -> list[str]:
    lines = [scores.margin.sentence()]
    clock = scores.forecaster.fits.clock
    if clock is not None:
        low, high = (formats.number(end, digits=2) for end in (min(clock.busy), max(clock.busy)))
        known = f"The forecast knows the shop's own seasons: the quietest month brings {low} times what an average"
        lines.append(f"{known} month does, the busiest {high} times.")
    if scores.discount_rate:
        lines.append(f"Money is discounted at {formats.share(scores.discount_rate)} a year, to the day of this report.")
    if scores.spend is not None and scores.spend.name == SHRUNK:
        own = "Money is each customer's own average, drawn to what is usual for so many orders"
        lines.append(f"{own}: on later time that came closer than Gamma-Gamma.")
    elif scores.spend is not None:
        limits = formats.interval(*scores.spend.correlation_limits, "index")
        found = f"their correlation is {formats.number(scores.spend.correlation, digits=2)} ({limits})"
        lines.append(f"Spend per order is taken to be independent of how often somebody buys; {found}.")
    return lines


def _model_table(validation: Validation, scores: Scores) -> pd.DataFrame:
    """Each model and Gamma-Gamma as fitted before the test; 'refit' on everything, as used for the lists."""
    columns = ["model", "parameter", "value", "low", "high", "log_likelihood", "converged", "time_unit",
               "fitted_until", "used"]  # fmt: skip
    rows: list[dict[str, object]] = []
    for name in MODELS:
        if name in validation.models:
            used = name == validation.chosen
            rows += [{"model": name, "used": used, **row} for row in validation.models[name].table()]
        elif any(one.name == name for one in validation.failed):
            until = validation.start.isoformat()
            rows.append({"model": name, "converged": False, "fitted_until": until, "used": False})
    for spend in validation.spends:
        rows += [{"model": spend.name, "used": spend is validation.spend, **row} for row in spend.table()]
    for label, model in ((scores.method, scores.model), (scores.spend.name if scores.spend else "", scores.spend)):
        if model is not None:
            rows += [{"model": f"{label} refit", "used": True, **row} for row in model.table()]
    return pd.DataFrame(rows, columns=columns)
