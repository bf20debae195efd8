"""What the lifetime-value page shows and says."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.lifetime_value.models import Floats
from crmlib.analysis.lifetime_value.scoring import Scores, Total
from crmlib.analysis.lifetime_value.validation import MODEL, NOBODY, RECENCY, SAME_RATE, Validation, top_share
from crmlib.findings import Action, Caveat, Check, Findings, Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from crmlib.shop.engine import Shop

_CALL_WITHIN_DAYS = 14
_ORDER = (MODEL, RECENCY, SAME_RATE, NOBODY)


def figure_tenths(validation: Validation) -> figures.Figure:
    """Did the customers from whom most was expected bring most? Orders in the holdout by forecast tenth."""
    tenths = _tenths(validation)
    came, total = tenths["came"].iloc[0], tenths["came"].sum()
    share = came / total if total else float("nan")
    drawn = validation.chosen if validation.chosen in validation.expected else MODEL

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        palette = [figures.ACCENT, *[figures.SOFT] * 9]
        sns.barplot(
            tenths, x="tenth", y="forecast", hue="tenth", palette=palette, legend=False, ax=ax, width=0.7, saturation=1
        )
        sns.scatterplot(
            x=range(10), y=tenths["came"], color=figures.INK, s=34 if narrow else 60, ax=ax, zorder=3, linewidth=0
        )
        ax.set_xticks(range(10), ["top", *map(str, range(2, 10)), "last"])
        ax.set(xlabel="tenth of customers, by forecast", ylabel="")
        ax.yaxis.set_major_formatter(lambda value, _: formats.number(value))
        ax.set_ylim(0, 1.18 * max(came, tenths["forecast"].iloc[0], 1))
        heights = ((tenths["forecast"].iloc[0], "forecast", figures.ACCENT), (came, "what came", figures.INK))
        figures.label_ends(ax, [(0.4, height, text, colour) for height, text, colour in heights], gap=0.09)

    title = (
        f"One in ten customers brought {formats.share(share)} of the orders"
        if total
        else "No order came in the days kept aside"
    )
    return figures.draw(
        paint,
        title=title,
        sentence=f"Ranked on {formats.day(validation.start)} by what was expected, the top tenth was forecast "
        f"{formats.number(tenths['forecast'].iloc[0])} orders and placed {formats.number(came)} of {formats.number(total)}.",
        alt=f"Bars of forecast orders by tenth of customers with dots of the orders that came; top tenth {formats.number(came)} orders, "
        f"last tenth {formats.number(tenths['came'].iloc[-1])}.",
        caption=f"Repeat orders in the {validation.days} days from {formats.day(validation.start)}: forecast by '{drawn}' and what came. "
        "Days with several orders count once.",
        table=figures.tabulate(
            tenths, caption="Forecast and actual repeat orders by tenth of customers",
            labels={"tenth": "Tenth", "forecast": "Forecast", "came": "Came"},
            formats={"forecast": lambda value: formats.number(value, digits=1), "came": lambda value: formats.number(value, digits=1)},
        ),
    )  # fmt: skip


def figure_weeks(validation: Validation) -> figures.Figure:
    """Did orders come as forecast, week by week?"""
    weeks = _weeks(validation)
    later = weeks[weeks["forecast"].notna()]
    error = validation.forecast / validation.actual - 1 if validation.actual else float("nan")

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        shown = weeks[weeks["week"] >= -(26 if narrow else 52)]
        sns.lineplot(shown, x="day", y="came", color=figures.INK, ax=ax, linewidth=1.6)
        ax.fill_between(later["day"], later["low"], later["high"], color=figures.SOFT, alpha=0.5, linewidth=0)
        sns.lineplot(later, x="day", y="forecast", color=figures.ACCENT, ax=ax, linewidth=2.4)
        ax.set_ylim(0, None)
        ax.yaxis.set_major_formatter(lambda value, _: formats.number(value))
        figures.time_axis(ax, narrow=narrow)
        if len(later):
            last = later.iloc[-1]
            ends = [
                (last["day"], last["forecast"], "forecast", figures.ACCENT),
                (last["day"], last["came"], "came", figures.INK),
            ]
            figures.label_ends(ax, ends, gap=0.08)
        ax.set(xlabel="", ylabel="")

    if not validation.actual:
        title = "Nothing came of what was forecast"
    elif abs(error) < 0.02:
        title = f"{_span(validation)} came as forecast, within 2\N{NO-BREAK SPACE}%"
    else:
        title = f"{_span(validation)} {'was' if validation.days == 365 else 'were'} forecast {formats.share(abs(error))} too {'high' if error > 0 else 'low'}"
    inside = int(((later["came"] >= later["low"]) & (later["came"] <= later["high"])).sum())
    return figures.draw(
        paint,
        title=title,
        sentence=f"{formats.number(validation.forecast)} repeat orders were expected of customers known on {formats.day(validation.start)}, "
        f"{formats.number(validation.actual)} came; {inside} of {len(later)} weeks fell inside the band.",
        alt=f"Line of repeat orders a week before and after {formats.day(validation.start)}, with the forecast and its band after it; "
        f"from {formats.number(weeks['came'].min())} to {formats.number(weeks['came'].max())} a week.",
        caption="Repeat orders a week by customers known when the holdout began. The band holds chance and the typical error of earlier forecasts.",
        table=figures.tabulate(
            later.assign(name=later["day"].dt.strftime("%d %b %Y")),
            caption="Repeat orders by week of the holdout",
            labels={"name": "Week from", "came": "Came", "forecast": "Forecast", "low": "Band from", "high": "to"},
            formats=dict.fromkeys(("came", "forecast", "low", "high"), formats.number),
        ),
    )


def figure_quiet(scores: Scores) -> figures.Figure:
    """Which good customers are likelier than not to order nothing more in the horizon?"""
    good = scores.customers[scores.customers["past_revenue"] >= scores.customers["past_revenue"].quantile(0.8)]
    edges = np.linspace(0, 1, 11)
    counts = np.histogram(good["p_no_order"], bins=edges)[0]
    names = [f"{round(100 * low)}–{round(100 * high)}" for low, high in pairwise(edges)]
    table = pd.DataFrame({"chance": names, "customers": counts})
    quiet = int(scores.customers["quiet"].sum())

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        palette = [figures.SOFT] * 5 + [figures.ORANGE] * 5
        sns.barplot(
            table,
            x="chance",
            y="customers",
            hue="chance",
            palette=palette,
            legend=False,
            ax=ax,
            width=0.8,
            saturation=1,
        )
        ax.set_xticks([0, 4, 9] if narrow else range(10), [names[i] for i in ([0, 4, 9] if narrow else range(10))])
        ax.set(xlabel="chance of no further order, %", ylabel="")
        ax.yaxis.set_major_formatter(lambda value, _: formats.number(value))
        ax.set_ylim(0, max(counts.max() * 1.2, 1))
        ax.annotate("likelier gone than not", (7, counts[5:].max()), xytext=(0, 6), textcoords="offset points",
                    ha="center", color=figures.ORANGE, fontweight="bold")  # fmt: skip

    title = (
        f"{quiet:,} good customers are likelier than not to order nothing {_horizon(scores.horizon_days)}"
        if quiet
        else f"No good customer is likelier than not to stay away {_horizon(scores.horizon_days)}"
    )
    return figures.draw(
        paint,
        title=title,
        sentence=f"Of the {len(good):,} customers in the top fifth by past sales, {quiet:,} have a chance of 50\N{NO-BREAK SPACE}% or more "
        f"to place no order {_horizon(scores.horizon_days)}.",
        alt=f"Bars of good customers by their chance of placing no order {_horizon(scores.horizon_days)}, ten classes; {quiet:,} at 50 % or more.",
        caption="Top fifth of customers by past sales, by the chance of no further order within the horizon.",
        table=figures.tabulate(table, caption="Good customers by chance of no further order, per cent",
                               labels={"chance": "Chance, %", "customers": "Customers"}, formats={"customers": formats.number}),
        height=3.4, narrow_height=3.0,
    )  # fmt: skip


def table_methods(validation: Validation) -> figures.Figure:
    """Does the model earn its place beside simple rules?"""
    rows = []
    for method in _ORDER:
        if method not in validation.expected and method not in validation.ranking:
            continue
        rows.append(
            {
                "method": method + (" (used)" if method == validation.chosen else ""),
                "forecast": validation.measure(method, "forecast")[0],
                "error": validation.measure(method, "error_share")[0],
                "rmse": validation.measure(method, "rmse")[0],
                "top": validation.measure(method, "top_tenth_share")[0],
            }
        )
    signed = lambda value: ("+" if value > 0 else "") + formats.share(value)  # noqa: E731
    table = figures.tabulate(
        pd.DataFrame(rows),
        caption=f"Forecasts made on {validation.start} for {validation.days} days, when {validation.actual:,} repeat orders came",
        labels={
            "method": "Method",
            "forecast": "Forecast",
            "error": "Off by",
            "rmse": "Error per customer",
            "top": "Orders in its top tenth",
        },
        formats={
            "forecast": formats.number,
            "error": signed,
            "rmse": lambda value: formats.number(value, digits=3),
            "top": formats.share,
        },
    )
    title = (
        "The model beats the simple rules"
        if validation.chosen == MODEL
        else f"A simple rule is as good as the model: {validation.chosen}"
    )
    return figures.show_table(table, title=title, sentence=validation.verdict())


def findings(validation: Validation, scores: Scores, *, shop: Shop) -> Findings:
    """What a shop's owner should know of the value of the customers."""
    customers, horizon = len(scores.customers), _horizon(scores.horizon_days)
    repeat = int((validation.patterns["frequency"] > 0) @ validation.patterns["customers"])
    known = int(validation.patterns["customers"].sum())
    error = validation.measure(validation.chosen, "error_share")
    earned = "net sales" if scores.margin.source == "none" else "margin"
    money = shop.currency or "amount"
    value, top = scores.value, scores.top_tenth
    auc, recency = validation.measure(MODEL, "auc"), validation.measure(RECENCY, "auc")
    metrics = [
        _total("expected_value", f"Expected {earned} {horizon}", value, money, customers, headline=value is not None,
               definition=_value_definition(scores)),
        _total("expected_orders", f"Expected orders {horizon}", scores.orders, "orders", customers, headline=value is None,
               definition="expected number of customer-days with an order, by customers known at as_of"),
        _total("active_customers", f"Will order again {horizon}", scores.buyers, "customers", customers, headline=True,
               definition="expected number of known customers with at least one order in the horizon"),
        _total("top_tenth_value_share", "Share from the top tenth", top, "share", customers, headline=top is not None,
               definition=f"share of expected {earned} from the tenth of customers with the highest, 95 % by resampling customers"),
        Metric(id="forecast_error", label="Last forecast against what came", value=_finite(error[0]), unit="share", n=known,
               low=_finite(error[1]), high=_finite(error[2]), headline=True,
               note=_error_note(validation, error[0], shop.as_of),
               definition="forecast / actual − 1 over the holdout, 95 % by resampling customers"),
        Metric(id="customers", label="Customers who bought", value=customers, unit="customers", n=customers,
               definition="distinct customers with a purchase before as_of", headline=True, note="before the as-of day"),
        Metric(id="repeat_customers", label="Customers with a repeat purchase before the holdout", value=repeat, unit="customers",
               n=known, definition="customers known before the holdout with at least two purchase days"),
        Metric(id="holdout_actual", label="Repeat orders in the holdout", value=validation.actual, unit="orders", n=known,
               definition="purchase days in the holdout of customers known before it"),
        Metric(id="holdout_forecast", label="Forecast for the holdout", value=validation.forecast, unit="orders", n=known,
               definition=f"the same as forecast by '{validation.chosen}', fitted on what came before",
               low=_band(validation)[0], high=_band(validation)[1]),
        Metric(id="holdout_auc", label="Ranking by expected orders", value=_finite(auc[0]), unit="index", n=known, low=_finite(auc[1]),
               high=_finite(auc[2]), definition="chance that a buyer of the holdout was ranked above a non-buyer, by BG/NBD"),
        Metric(id="recency_auc", label="Ranking by days since the last order", value=_finite(recency[0]), unit="index", n=known,
               low=_finite(recency[1]), high=_finite(recency[2]), definition="the same, by days since the last order alone"),
    ]  # fmt: skip
    quiet = scores.customers[scores.customers["quiet"]]
    actions = []
    if len(quiet):
        actions.append(
            Action(
                what="Call or write",
                why=f"top fifth by past sales, likelier than not to order nothing {horizon}",
                count=len(quiet),
                worth=f"spent {formats.money(round(float(quiet['past_revenue'].sum()), -2), shop.currency)} so far"
                if value
                else "",
                by=formats.day(shop.as_of + timedelta(days=_CALL_WITHIN_DAYS)),
                owner="Service",
                file="lists/customers.csv",
            )
        )
    lead = _lead(scores, earned, horizon, shop.currency, len(quiet))
    return Findings(
        report="lifetime_value",
        lead=lead,
        metrics=tuple(metrics),
        so_what=_so_what(scores, earned, horizon, len(quiet)),
        how_sure=_how_sure(validation, scores, shop.currency),
        caveats=_caveats(validation, scores),
        actions=tuple(actions),
        checks=_checks(validation, scores),
        status="published" if scores.model is not None else "warnings",
        tables={"model": _model_table(validation, scores), "validation": validation.measures},
        lists={"customers": scores.customers},
    )


def _error_note(validation: Validation, error: float, as_of: date) -> str:
    way = "" if not np.isfinite(error) or abs(error) < 0.005 else "too high, " if error > 0 else "too low, "
    return f"{way}{validation.days} days to {formats.day(as_of - timedelta(days=1))}"


def _span(validation: Validation) -> str:
    return "Last year" if validation.days == 365 else f"The last {validation.days} days"


def _lead(scores: Scores, earned: str, horizon: str, currency: str, quiet: int) -> str:
    if scores.value is None or scores.top_tenth is None:
        return (
            f"{formats.quantity(scores.orders.value, 'orders', low=scores.orders.low, high=scores.orders.high)} orders are expected "
            f"{horizon} from customers known today; their value cannot be forecast from this data."
        )
    amount = formats.quantity(scores.value.value, currency or "amount", low=scores.value.low, high=scores.value.high)
    lead = f"Customers known today should bring {amount} of {earned} {horizon}, {formats.share(scores.top_tenth.value)} of it from one in ten."
    return lead + (f" {quiet:,} good customers have gone quiet." if quiet else "")


def _so_what(scores: Scores, earned: str, horizon: str, quiet: int) -> tuple[str, ...]:
    buyers = scores.buyers
    span = formats.interval(buyers.low, buyers.high, "customers")
    return (
        f"Of {len(scores.customers):,} customers, {formats.quantity(buyers.value, 'customers', low=buyers.low, high=buyers.high)} ({span}) "
        f"should order again {horizon}.",
        f"{quiet:,} of the best fifth are likelier than not to stay away: they are worth a call before anyone else."
        if quiet
        else "None of the best fifth is likelier than not to stay away.",
        f"New customers are not in these figures: whatever they bring comes on top of the {earned} shown.",
    )


def _how_sure(validation: Validation, scores: Scores, currency: str) -> tuple[str, ...]:
    past = [f"{cut.start.isoformat()}: forecast {cut.forecast:,.0f}, came {cut.actual:,}" for cut in validation.cuts]
    days = "one earlier day" if len(past) == 1 else f"{len(past)} earlier days"
    lines = [
        validation.verdict(),
        f"Forecasts from {days} for the {validation.days} days after ({'; '.join(past)}) were typically off by "
        f"{formats.share(validation.typical_error)}; ranges on this page are at least as wide as that suggests.",
    ]
    if len(past) < 3:
        lines.append(
            "So few look-backs say little of how wide ranges ought to be: take them as the least that is open."
        )
    if np.isfinite(validation.sales_forecast) and validation.sales_actual > 0:
        off = validation.sales_forecast / validation.sales_actual - 1
        lines.append(
            f"In money, the holdout was forecast at {formats.money(validation.sales_forecast, currency)}; "
            f"{formats.money(validation.sales_actual, currency)} came ({'+' if off > 0 else ''}{formats.share(off)})."
        )
    model_top, rule_top = validation.measure(MODEL, "top_tenth_share"), validation.measure(RECENCY, "top_tenth_share")
    if np.isfinite(model_top[0]) and np.isfinite(rule_top[0]):
        lines.append(
            f"The model put {formats.share(model_top[0])} of the holdout's orders into its top tenth of customers; counting days since the "
            f"last order puts {formats.share(rule_top[0])} there."
        )
    if scores.spend is not None:
        lines.append(
            f"Spend per order is taken to be independent of how often somebody buys; here the correlation is {scores.spend.correlation:.2f}"
            + (
                ", small enough."
                if abs(scores.spend.correlation) < 0.2
                else ", too large for comfort: values may be off for frequent buyers."
            )
        )
    if scores.margin.source == "costs":
        lines.append(
            f"Margin is {formats.share(scores.margin.share)} of sales, from unit costs known for {formats.share(scores.margin.known_share)} of them."
        )
    elif scores.margin.source == "parameter":
        lines.append(f"No unit costs are known; a margin of {formats.share(scores.margin.share)} of sales was given.")
    else:
        lines.append("No unit costs are known, so the page shows net sales, not margin.")
    return tuple(lines)


def _caveats(validation: Validation, scores: Scores) -> tuple[Caveat, ...]:
    texts = [
        "Single customers are ranks, not promises: look at groups.",
        "One-time buyers look alike to the model; what it says of them is little more than their age.",
        "A new range, a price rise or a missed season breaks a forecast that only knows the past.",
        "Past sales of quiet customers are not what an offer to them would earn; only a test with a control group tells that.",
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
    if scores.horizon_days % 365:
        texts.append(
            "The model knows no season: if the days ahead differ from the days it learnt from, so will the orders."
        )
    return tuple(Caveat(text=text) for text in texts)


def _checks(validation: Validation, scores: Scores) -> tuple[Check, ...]:
    checks = [
        Check(
            name="model converged",
            verdict="ok" if validation.model is not None else "warning",
            text=validation.verdict(),
        )
    ]
    if scores.spend is None:
        checks.append(Check(name="spend model", verdict="warning", text="Spend could not be modelled: too few repeat buyers with amounts, "
                                                                        "or no average exists (q <= 1). Values are left empty."))  # fmt: skip
    return tuple(checks)


def _model_table(validation: Validation, scores: Scores) -> pd.DataFrame:
    """BG/NBD and Gamma-Gamma as fitted before the holdout; 'refit' on everything, as used for the lists."""
    columns = ["model", "parameter", "value", "low", "high", "log_likelihood", "converged", "time_unit", "fitted_until"]
    rows: list[dict[str, object]] = []
    for name, model in (
        (MODEL, validation.model),
        ("Gamma-Gamma", validation.spend),
        (f"{MODEL} refit", scores.model),
        ("Gamma-Gamma refit", scores.spend),
    ):
        if model is not None:
            rows += [{"model": name, **row} for row in model.table()]
    if validation.model is None:
        rows.append({"model": MODEL, "converged": False, "fitted_until": validation.start.isoformat()})
    return pd.DataFrame(rows, columns=columns)


def _tenths(validation: Validation) -> pd.DataFrame:
    n = validation.patterns["customers"].to_numpy(float)
    method = validation.chosen if validation.chosen != NOBODY else next(iter(validation.ranking))
    score = validation.expected.get(method, validation.ranking.get(method))
    assert score is not None
    forecast, came = (
        _cumulative(score, amount, n)
        for amount in (validation.expected[validation.chosen], validation.patterns["purchases"].to_numpy(float))
    )
    return pd.DataFrame({"tenth": range(1, 11), "forecast": forecast, "came": came})


def _cumulative(score: Floats, amount: Floats, n: Floats) -> Floats:
    total = float(n @ amount)
    if total == 0:
        return np.zeros(10)
    reached = [0.0, *(float(top_share(score, amount, n[None, :], share=k / 10)[0]) for k in range(1, 11))]
    return np.diff(reached) * total


def _weeks(validation: Validation) -> pd.DataFrame:
    weeks = validation.days // 7
    seen = validation.weekly.set_index("week")["purchases"]
    start = int(seen.index.min()) if len(seen) else 0
    # The very first week of a shop is cut by whenever its data begins.
    index = pd.RangeIndex(min(start + 1, 0), weeks)
    frame = pd.DataFrame({"week": index, "came": seen.reindex(index, fill_value=0).to_numpy(float)})
    frame["day"] = pd.Timestamp(validation.start) + pd.to_timedelta(7 * frame["week"], unit="D")
    n = validation.patterns["customers"].to_numpy(float)
    if validation.chosen == MODEL and validation.model is not None:
        reached = [
            0.0,
            *(float(n @ validation.model.expected(validation.patterns, days=7 * k)) for k in range(1, weeks + 1)),
        ]
        mean = np.diff(reached)
    else:
        mean = np.full(weeks, validation.forecast / validation.days * 7)
    error = validation.typical_error if np.isfinite(validation.typical_error) else 0.0
    spread = 1.96 * np.sqrt(1 / np.maximum(mean, 0.5) + error**2)
    later = frame["week"] >= 0
    frame.loc[later, "forecast"] = mean
    frame.loc[later, "low"] = mean * np.exp(-spread)
    frame.loc[later, "high"] = mean * np.exp(spread)
    return frame


def _band(validation: Validation) -> tuple[float | None, float | None]:
    error = validation.typical_error
    if validation.forecast <= 0 or not np.isfinite(error):
        return None, None
    earlier = validation.cuts[1:]
    errors = [np.log(c.actual / c.forecast) for c in earlier if c.actual and c.forecast > 0]
    if not errors:
        return None, None
    # Only what was known when the forecast was made: the errors of the cuts before it.
    spread = np.hypot(np.sqrt(np.mean(np.square(errors))), 1 / np.sqrt(validation.forecast))
    return validation.forecast * float(np.exp(-1.96 * spread)), validation.forecast * float(np.exp(1.96 * spread))


def _total(id: str, label: str, total: Total | None, unit: str, n: int, *, headline: bool, definition: str) -> Metric:
    if total is None:
        return Metric(id=id, label=label, value=None, unit=unit, n=n, headline=headline, definition=definition)
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
    )


def _value_definition(scores: Scores) -> str:
    what = "net sales" if scores.margin.source == "none" else "margin"
    text = f"expected {what} in [as_of, as_of + {scores.horizon_days} days) from customers known at as_of"
    text += f", discounted at {formats.share(scores.discount_rate)} a year" if scores.discount_rate else ""
    return text + "; range from chance, open parameters and errors of earlier forecasts"


def _horizon(days: int) -> str:
    return "in the next 12 months" if days == 365 else f"in the next {days} days"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
