"""What the lifetime-value page says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import formats
from crmlib.analysis.forecasts import Total
from crmlib.analysis.lifetime_value import lists as calling
from crmlib.analysis.lifetime_value.assurance import MAX_CORRELATION, for_experts, held_words, holdout_band, how_sure
from crmlib.analysis.lifetime_value.drawings import tried_on
from crmlib.analysis.lifetime_value.holdout import calibration
from crmlib.analysis.lifetime_value.methods import MODELS, RECENCY
from crmlib.analysis.lifetime_value.payback import Channels
from crmlib.analysis.lifetime_value.predictions import LIST, predictions, predictions_list
from crmlib.analysis.lifetime_value.scoring import WHOLESALE, Scores, horizon_words
from crmlib.analysis.lifetime_value.validation import Validation
from crmlib.findings import Action, Caveat, Check, Findings, Grade, Metric

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_CALL_WITHIN_DAYS = 14
_OUT_OF_SEASON = 0.2


def findings(
    validation: Validation,
    scores: Scores,
    *,
    shop: Shop,
    channels: Channels | None = None,
    grades: Sequence[Grade] = (),
) -> Findings:
    """What a shop's owner should know of the value of the customers."""
    quiet = int(scores.customers["quiet"].sum())
    calls, big = calling.quiet_customers(shop, scores), calling.wholesale_customers(scores)
    return Findings(
        report="lifetime_value",
        lead=_lead(scores, _earned(scores), horizon_words(scores.horizon_days), shop.currency, quiet),
        metrics=_metrics(validation, scores, channels, shop),
        so_what=_so_what(scores, _earned(scores), horizon_words(scores.horizon_days), quiet),
        how_sure=how_sure(validation, scores, shop.currency),
        for_experts=for_experts(validation, scores),
        caveats=_caveats(validation, scores, channels),
        actions=_actions(scores, channels, shop, calls),
        checks=_checks(validation, scores),
        status="published" if scores.model is not None else "warnings",
        tables={
            "model": _model_table(validation, scores),
            "validation": validation.measures,
            "calibration": calibration(validation),
            "tiers": scores.tiers,
            **({"chances": validation.chances.bands} if validation.chances.bands is not None else {}),
            **({"channels": channels.table} if channels is not None and not channels.table.empty else {}),
        },
        lists={
            "customers": scores.customers,
            LIST: predictions_list(scores),
            **({calling.QUIET: calls} if len(calls) else {}),
            **({calling.WHOLESALE: big} if len(big) else {}),
        },
        predictions=predictions(scores, shop=shop),
        grades=tuple(grades),
    )


def _earned(scores: Scores) -> str:
    return scores.margin.called


def _metrics(validation: Validation, scores: Scores, channels: Channels | None, shop: Shop) -> tuple[Metric, ...]:
    customers, horizon, earned = len(scores.customers), horizon_words(scores.horizon_days), _earned(scores)
    # The interval stands right before these words.
    to_come = f"with a chance of 95\N{NO-BREAK SPACE}%, from {customers:,} customers known today"
    repeat = int((validation.patterns["frequency"] > 0) @ validation.patterns["customers"])
    known = int(validation.patterns["customers"].sum())
    error = validation.measure(validation.chosen, "error_share")
    money = shop.currency or "amount"
    value, top = scores.value, scores.top_tenth
    ranker = validation.model.name if validation.model else validation.chosen
    auc, recency = validation.measure(ranker, "auc"), validation.measure(RECENCY, "auc")
    held = holdout_band(validation)
    crowd = customers - scores.wholesale
    metrics = [
        _total("expected_value", f"Expected {earned} {horizon}", value, money, customers, headline=value is not None,
               note=to_come,
               definition=_value_definition(scores)),
        _total("expected_orders", f"Expected orders {horizon}", scores.orders, "orders", customers, headline=value is None,
               note=to_come,
               definition="expected number of customer-days with an order, by customers known at as_of"),
        _total("active_customers", f"Will order again {horizon}", scores.buyers, "customers", customers, headline=True,
               note=f"with a chance of 95\N{NO-BREAK SPACE}%, of {customers:,} customers known today",
               definition="expected number of known customers with at least one order in the horizon"),
        _total("top_tenth_value_share", "Share from the top tenth", top, "share", crowd, headline=top is not None,
               note=f"in 95 of 100 samples of these {crowd:,} customers" + (", wholesale apart" if scores.wholesale else ""),
               definition=f"share of expected {earned} from the tenth of customers with the highest, wholesale buyers apart, "
               "95 % by resampling customers"),
        Metric(id="forecast_error", label=f"Tried on {tried_on(validation)}: forecast of orders off by", value=_finite(error[0]), unit="share", n=known,
               low=_finite(error[1]), high=_finite(error[2]), headline=True, signed=True,
               note=_error_note(validation),
               definition="forecast / actual − 1 over the holdout, worked out afterwards from what was known when it began, 95 % by resampling customers"),
        *_payback_metric(channels),
        Metric(id="customers", label="Customers who bought", value=customers, unit="customers", n=customers,
               definition="distinct customers with a purchase before as_of", headline=channels is None or not _paid(channels),
               note="before the as-of day"),
        Metric(id="repeat_customers", label="Customers with a repeat purchase before the holdout", value=repeat, unit="customers",
               n=known, definition="customers known before the holdout with at least two purchase days"),
        Metric(id="holdout_actual", label="Repeat orders in the holdout", value=validation.actual, unit="orders", n=known,
               definition="purchase days in the holdout of customers known before it"),
        Metric(id="holdout_forecast", label="Forecast for the holdout", value=validation.forecast, unit="orders", n=known,
               definition=f"the same as forecast by '{validation.chosen}', fitted on what came before; 95 % range of what would come, "
               "by what was known then", low=held.low if held else None, high=held.high if held else None),
        Metric(id="holdout_auc", label="Ranking by expected orders", value=_finite(auc[0]), unit="index", n=known, low=_finite(auc[1]),
               high=_finite(auc[2]), definition=f"chance that a buyer of the holdout was ranked above a non-buyer, by {ranker}"),
        Metric(id="recency_auc", label="Ranking by days since the last order", value=_finite(recency[0]), unit="index", n=known,
               low=_finite(recency[1]), high=_finite(recency[2]), definition="the same, by days since the last order alone"),
    ]  # fmt: skip
    return tuple(metrics)


def _paid(channels: Channels | None) -> bool:
    return channels is not None and bool(np.isfinite(channels.median[0]))


def _payback_note(channels: Channels) -> str:
    """Every customer with a known cost in one of three groups: repaid by the month shown, later, not yet."""
    priced = channels.priced
    n, by_then = priced["customers"].sum(), priced["payback_month"] <= channels.median[0]
    later, late = priced[~by_then & np.isfinite(priced["payback_month"])], channels.late

    def share(some: pd.DataFrame) -> str:
        return formats.share(some["customers"].sum() / n)

    said = [f"of {n:,} customers {share(priced[by_then])} came by channels that had repaid by then"]
    if len(later):
        months = " and ".join(f"{_spoken(line.channel)}, month {line.payback_month:.0f}" for line in later.itertuples())
        said.append(f"{share(later)} by slower ones ({months})")
    if len(late):
        names = " and ".join(map(_spoken, late["channel"]))
        said.append(f"{share(late)} by ones that have not repaid within {channels.months} months ({names})")
    return "in 95 of 100 samples of customers; " + ", ".join(said)


def _spoken(channel: object) -> str:
    return str(channel).replace("_", " ")


def _payback_metric(channels: Channels | None) -> list[Metric]:
    if channels is None or not _paid(channels):
        return []
    value, low, high = channels.median
    n = int(channels.priced["customers"].sum())
    return [
        Metric(
            id="payback_month", label="Months until the median customer's channel has repaid", value=value, unit="months", n=n,
            low=_finite(low), high=_finite(high), headline=True, note=_payback_note(channels),
            definition="months after the first order until the channel's average customer has earned what it cost to win one, "
            "for the median customer; 0 is the day of the first order; 95 % by resampling customers",
        )
    ]  # fmt: skip


def _actions(scores: Scores, channels: Channels | None, shop: Shop, calls: pd.DataFrame) -> tuple[Action, ...]:
    horizon, actions = horizon_words(scores.horizon_days), []
    by = formats.day(shop.as_of + timedelta(days=_CALL_WITHIN_DAYS))
    big = scores.customers[scores.customers["wholesale"]]
    if len(calls):
        actions.append(_call(calls, scores, shop.currency or "amount", by))
    if len(big):
        total = scores.tiers[scores.tiers["tier"] == WHOLESALE].iloc[0]
        worth = Total(value=total["expected_value"], low=total["low_value"], high=total["high_value"])
        actions.append(
            Action(
                what="Keep in personal touch",
                why="orders far larger than anybody else's, so much hangs on few",
                count=len(big),
                counted="customer" if len(big) == 1 else "customers",
                worth=f"expected {_earned(scores)} {horizon}: {_amount(worth, shop.currency)}",
                by=by,
                owner="Sales",
                file=f"lists/{calling.WHOLESALE}.csv",
            )
        )
    if channels is not None and not channels.missing:
        actions += [
            Action(
                what=f"Review what is spent on {_spoken(line.channel)}",
                why=f"not repaid within {channels.months} months of the first order",
                count=int(line.customers),
                counted=f"customers, {line.known:,} of them known for {channels.months} months",
                worth=f"{_earned_by_then(channels, str(line.channel), shop.currency)}, cost {formats.money(line.cost, shop.currency)} each",
                by=by,
                owner="Marketing",
                file="tables/channels.csv",
            )
            for line in channels.late.itertuples(index=False)
        ]
    return tuple(actions)


def _call(calls: pd.DataFrame, scores: Scores, unit: str, by: str) -> Action:
    half, horizon = calls[calls["half"] == calling.CALL], horizon_words(scores.horizon_days)
    apart = len(half) < len(calls)
    worth = ""
    if scores.at_stake is not None:
        # What is expected of them anyway is not to be won.
        more = max(float((half["value_if_back"] - half["expected_value"]).sum()), 0.0)
        part = more / max(scores.at_stake.value, 1e-12)
        amount = formats.quantity(more, unit, low=scores.at_stake.low * part, high=scores.at_stake.high * part)
        worth = f"at most {amount} of {_earned(scores)}, if all {len(half):,} bought again as before; untested"
    return Action(
        what=f"Call or write to those marked '{calling.CALL}'",
        why=f"top fifth by past sales, but will probably not order {horizon}; {_nearly(calls)}"
        + (
            ". The others were drawn by lot to be left alone: comparing both halves later shows what a call brings"
            if apart
            else ""
        ),
        count=len(half),
        counted=f"of {len(calls):,} customers",
        worth=worth,
        by=by,
        owner="Service",
        file=f"lists/{calling.QUIET}.csv",
    )


def _earned_by_then(channels: Channels, channel: str, currency: str) -> str:
    last = channels.by_then(channel)
    return (
        f"{channels.called} {formats.money(last['earned'], currency)} in {channels.months} months "
        f"({formats.interval(last['low'], last['high'], currency or 'amount')})"
    )


def _amount(total: Total, currency: str) -> str:
    unit = currency or "amount"
    span = formats.interval(total.low, total.high, unit)
    return f"{formats.quantity(total.value, unit, low=total.low, high=total.high)} ({span})"


def _error_note(validation: Validation) -> str:
    off = validation.sales_off
    sales = f"Net sales {formats.with_sign(formats.share(off), off)}. " if np.isfinite(off) else ""
    return (
        f"in 95 of 100 samples of customers. {sales}Worked out afterwards from what was known on {formats.day(validation.start)} of {int(validation.patterns['customers'].sum()):,} customers: "
        f"{formats.number(validation.forecast)} orders, {formats.number(validation.actual)} came"
    )


def _lead(scores: Scores, earned: str, horizon: str, currency: str, quiet: int) -> str:
    if scores.value is None or scores.top_tenth is None:
        return (
            f"{formats.quantity(scores.orders.value, 'orders', low=scores.orders.low, high=scores.orders.high)} orders are expected "
            f"{horizon} from customers known today; their value cannot be forecast from this data."
        )
    amount = formats.quantity(scores.value.value, currency or "amount", low=scores.value.low, high=scores.value.high)
    part = formats.share(scores.top_tenth.value)
    if scores.wholesale:
        apart = scores.tiers[scores.tiers["tier"] == WHOLESALE].iloc[0]
        big = formats.quantity(
            apart["expected_value"], currency or "amount", low=apart["low_value"], high=apart["high_value"]
        )
        who = "one wholesale buyer" if scores.wholesale == 1 else f"{scores.wholesale:,} wholesale buyers"
        tenth = f", {big} of it from {who} and {part} of the rest from one in ten"
    else:
        tenth = f", {part} of it from one in ten"
    lead = f"Customers known today should bring {amount} of {earned} {horizon}{tenth}."
    return lead + (f" {quiet:,} good customers probably will not order in that time." if quiet else "")


def _nearly(quiet: pd.DataFrame) -> str:
    """How many of the quiet ones the model has all but given up."""
    gone = int((quiet["p_no_order"] >= 0.9).sum())
    return f"for {gone:,} of the {len(quiet):,} that is all but certain (nine chances in ten or more)"


def _so_what(scores: Scores, earned: str, horizon: str, quiet: int) -> tuple[str, ...]:
    buyers = scores.buyers
    span = formats.interval(buyers.low, buyers.high, "customers")
    return (
        f"Of {len(scores.customers):,} customers, {formats.quantity(buyers.value, 'customers', low=buyers.low, high=buyers.high)} ({span}) "
        f"should order again {horizon}.",
        f"{quiet:,} of the best fifth will probably not order {horizon}: whether a call brings some back is seen only if a half drawn by lot is left alone."
        if quiet
        else f"Everybody in the best fifth will probably order {horizon}.",
        f"New customers are not in these figures: whatever they bring comes on top of the {earned} shown.",
    )


def _caveats(validation: Validation, scores: Scores, channels: Channels | None) -> tuple[Caveat, ...]:
    texts = [
        "Single customers are ranks, not promises: look at groups.",
        "People who bought once all look alike: what is expected of them depends on little more than how long ago that was.",
        "A new range, a price rise or a missed season breaks a forecast that only knows the past.",
        "What quiet customers would bring if they still bought is not what an offer to them would earn; only a test with a control group tells that.",
    ]
    if scores.horizon_days > 2 * validation.days:
        texts.append(
            f"The forecast reaches {scores.horizon_days} days, but could only be checked over {validation.days}: errors grow with the distance."
        )
    if scores.wholesale:
        who = "wholesale buyer" if scores.wholesale == 1 else "wholesale buyers"
        texts.append(
            f"{scores.wholesale:,} {who} would distort the crowd's averages and stayed out of them; at "
            f"{'its' if scores.wholesale == 1 else 'their'} own average, "
            f"{formats.share(scores.wholesale_share)} of the expected amount hangs on {'it' if scores.wholesale == 1 else 'them'}."
        )
    texts += _season_caveats(scores)
    if validation.beginning.truncated:
        texts.append(validation.beginning.sentence())
    if channels is not None and channels.missing:
        texts.append(f"Payback by acquisition channel is not available: the data lacks {channels.missing}.")
    return tuple(Caveat(text=text) for text in texts)


def _season_caveats(scores: Scores) -> list[str]:
    if scores.forecaster.fits.clock is not None or scores.horizon_days % 365 == 0:
        return []
    busy = scores.year_before
    if busy is None:
        return [
            "Under two years of data show no yearly season: if the days ahead are busier than those learnt from, so will be the orders."
        ]
    if abs(busy - 1) < _OUT_OF_SEASON:
        return []
    return [
        f"The method knows no season, and the same {scores.horizon_days} days a year ago were {formats.number(busy, digits=2)} times as busy as "
        f"that whole year: expect orders {'above' if busy > 1 else 'below'} the forecast."
    ]


def _checks(validation: Validation, scores: Scores) -> tuple[Check, ...]:
    fitted, failed = list(validation.models), [f"{one.name} {one.reason}" for one in validation.failed]
    text = f"Fitted: {', '.join(fitted) or 'none'}." + (f" Not fitted: {'; '.join(failed)}." if failed else "")
    checks = [
        Check(name="models converged", verdict="warning" if failed else "ok", text=text),
        Check(name="customers known from their first order", verdict="warning" if validation.beginning.truncated else "ok",
              text=validation.beginning.sentence()),
    ]  # fmt: skip
    held = holdout_band(validation)
    if held is not None and not held.low <= validation.actual <= held.high:
        checks.append(Check(name="holdout inside its range", verdict="warning", text=held_words(validation)))
    for text in _season_caveats(scores):
        checks.append(Check(name="forecast period in season", verdict="warning", text=text))
    if scores.spend is None:
        checks.append(Check(name="spend model", verdict="warning", text="Spend could not be modelled: too few repeat buyers with amounts, "
                                                                        "or no average exists (q <= 1). Values are left empty."))  # fmt: skip
    elif abs(scores.spend.correlation) >= MAX_CORRELATION:
        checks.append(Check(name="spend independent of frequency", verdict="warning",
                            text=f"The correlation is {formats.number(scores.spend.correlation, digits=2)}: values may be off for frequent buyers."))  # fmt: skip
    return tuple(checks)


def _model_table(validation: Validation, scores: Scores) -> pd.DataFrame:
    """Each model and Gamma-Gamma as fitted before the holdout; 'refit' on everything, as used for the lists."""
    columns = [
        "model",
        "parameter",
        "value",
        "low",
        "high",
        "log_likelihood",
        "converged",
        "time_unit",
        "fitted_until",
        "used",
    ]
    rows: list[dict[str, object]] = []
    for name in MODELS:
        if name in validation.models:
            rows += [
                {"model": name, "used": name == validation.chosen, **row} for row in validation.models[name].table()
            ]
        else:
            rows.append(
                {"model": name, "converged": False, "fitted_until": validation.start.isoformat(), "used": False}
            )
    refits = [
        ("Gamma-Gamma", validation.spend), (f"{scores.method} refit", scores.model), ("Gamma-Gamma refit", scores.spend)
    ]  # fmt: skip
    for label, model in refits:
        if model is not None:
            rows += [{"model": label, "used": True, **row} for row in model.table()]
    return pd.DataFrame(rows, columns=columns)


def _total(
    id: str, label: str, total: Total | None, unit: str, n: int, *, headline: bool, definition: str, note: str
) -> Metric:
    if total is None:
        return Metric(
            id=id, label=label, value=None, unit=unit, n=n, headline=headline, definition=definition, note=note
        )
    return Metric(
        id=id,
        label=label,
        value=total.value,
        unit=unit,
        n=n,
        low=total.low,
        high=total.high,
        headline=headline,
        definition=definition,
        note=note,
    )


def _value_definition(scores: Scores) -> str:
    what = _earned(scores)
    text = f"expected {what} in [as_of, as_of + {scores.horizon_days} days) from customers known at as_of"
    text += f", discounted at {formats.share(scores.discount_rate)} a year" if scores.discount_rate else ""
    return text + "; range of what will come, from chance, open parameters and errors of earlier forecasts"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
