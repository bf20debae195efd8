"""The figures and tables of the lifetime-value page: one finding each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.lifetime_value.holdout import TOP, by_week, calibration, one_sided, tiers_then
from crmlib.analysis.lifetime_value.methods import MODELS, NOBODY, RECENCY, SAME_RATE
from crmlib.analysis.lifetime_value.payback import Channels
from crmlib.analysis.lifetime_value.scoring import WHOLESALE, Scores, horizon_words
from crmlib.analysis.lifetime_value.validation import Validation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_FAR = 1.2  # times too many or too few: a tier that was so far off is named
_ORDER = (*MODELS, RECENCY, SAME_RATE, NOBODY)


def figure_tenths(validation: Validation) -> figures.Figure:
    """Did the customers from whom most was expected bring most? Orders in the holdout by forecast tenth."""
    tenths = calibration(validation)
    came, total = tenths["came"].iloc[0], tenths["came"].sum()
    share = came / total if total else float("nan")

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
        caption=f"Repeat orders in the {validation.days} days from {formats.day(validation.start)}: forecast by '{validation.chosen}' and what came. "
        "Days with several orders count once.",
        table=figures.tabulate(
            tenths, caption="Forecast and actual repeat orders by tenth of customers",
            labels={"tenth": "Tenth", "forecast": "Forecast", "low": "By chance from", "high": "to", "came": "Came"},
            formats=dict.fromkeys(("forecast", "low", "high", "came"), lambda value: formats.number(value, digits=1)),
        ),
    )  # fmt: skip


def figure_weeks(validation: Validation) -> figures.Figure:
    """Did orders come as forecast, week by week?"""
    weeks = by_week(validation)
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

    aside = ""
    clock = validation.holdout.fits.clock
    season = ""
    if clock is not None:
        peak = int(np.argmax(clock.busy))
        season = (
            f" The forecast knows the season: {_MONTHS[peak]} brings {formats.number(clock.busy[peak], digits=1)} times an average month "
            f"({formats.number(clock.low[peak], digits=1)}–{formats.number(clock.high[peak], digits=1)})."
        )
    stretch = one_sided(weeks)
    drift = ""
    if stretch is not None:
        first, length, above = stretch
        run = later.iloc[first : first + length]
        rest = later.drop(run.index)
        since = formats.day(run["day"].iloc[0].date())
        drift = (
            f" From {since} on, {length} weeks in a row came in {'above' if above else 'below'} the forecast, "
            f"{formats.number(run['came'].sum())} orders where {formats.number(run['forecast'].sum())} were expected: a longer stretch than chance brings. "
            f"The other weeks brought {formats.number(rest['came'].sum())} of {formats.number(rest['forecast'].sum())}{_odd_days(validation)}."
        )
        if validation.actual and run["came"].sum():
            off = run["forecast"].sum() / run["came"].sum() - 1
            aside = f"; from {since} on it was {_off(off)} in orders"
    title = _tried(validation, error, aside)
    inside = int(((later["came"] >= later["low"]) & (later["came"] <= later["high"])).sum())
    return figures.draw(
        paint,
        title=title,
        sentence=f"Worked out afterwards, from what was known on {formats.day(validation.start)}: {formats.number(validation.forecast)} repeat orders were to be expected "
        f"of customers known then, {formats.number(validation.actual)} came; {inside} of {len(later)} weeks fell inside the band.{drift}{season}",
        alt=f"Line of repeat orders a week before and after {formats.day(validation.start)}, with the forecast and its band after it; "
        f"from {formats.number(weeks['came'].min())} to {formats.number(weeks['came'].max())} a week.",
        caption=f"Repeat orders a week by customers known on {formats.day(validation.start)}. 19 weeks in 20 should lie within the band, as far as one could say on that day.",
        table=figures.tabulate(
            later.assign(name=later["day"].dt.strftime("%d %b %Y")),
            caption="Repeat orders by week, as expected and as they came",
            labels={"name": "Week from", "came": "Came", "forecast": "Forecast", "low": "Band from", "high": "to"},
            formats=dict.fromkeys(("came", "forecast", "low", "high"), formats.number),
        ),
    )


def table_methods(validation: Validation) -> figures.Figure:
    """Do the models earn their place beside simple rules?"""
    rows = []
    for method in _ORDER:
        if method not in validation.expected and method not in validation.ranking:
            continue
        value, low, high = validation.measure(method, "top_tenth_share_minus_days_since_last_order")
        rows.append(
            {
                "method": method + (" (used)" if method == validation.chosen else ""),
                "forecast": validation.measure(method, "forecast")[0],
                "error": validation.measure(method, "error_share")[0],
                "deviance": validation.measure(method, "deviance")[0],
                "top": validation.measure(method, "top_tenth_share")[0],
                "more": f"{_points(value)} ({_points(low)} to {_points(high)})" if np.isfinite(value) else None,
            }
        )
    table = figures.tabulate(
        pd.DataFrame(rows),
        caption=f"Forecasts made on {validation.start} for {validation.days} days, when {validation.actual:,} repeat orders came",
        labels={
            "method": "Method",
            "forecast": "Forecast",
            "error": "Off by",
            "deviance": "Miss per customer",
            "top": "Orders in its top tenth",
            "more": "Points more than days since last order",
        },
        formats={
            "forecast": formats.number,
            "error": lambda value: ("+" if value > 0 else "") + formats.share(value),
            "deviance": lambda value: formats.number(value, digits=2),
            "top": formats.share,
        },
    )
    if validation.chosen in MODELS:
        title = f"{validation.chosen} beats the simple rules"
    else:
        title = f"A simple rule is as good as the models: {validation.chosen}"
    sentence = validation.verdict() + "".join(
        f" {failed.name} {failed.reason} and took no part." for failed in validation.failed
    )
    return figures.show_table(
        table, title=title,
        sentence=sentence + " Miss per customer is Poisson deviance, the measure that decides: 0 is a perfect forecast.",
    )  # fmt: skip


def table_tiers(scores: Scores, validation: Validation, *, currency: str) -> figures.Figure:
    """What will each group of customers bring? Groups carry a range; single customers only a rank."""
    earned = "net sales" if scores.margin.source == "none" else "margin"
    horizon = horizon_words(scores.horizon_days)
    money = {
        name: (lambda value: formats.money(round(value, -2), currency))
        for name in ("expected_value", "low_value", "high_value")
    }
    then = tiers_then(validation).set_index("tier")
    known = scores.tiers["tier"].isin(then.index)
    spoken = [
        f"{formats.number(then.loc[tier, 'forecast'])}, came {formats.number(then.loc[tier, 'came'])}"
        if there
        else None
        for tier, there in zip(scores.tiers["tier"], known, strict=True)
    ]
    table = figures.tabulate(
        scores.tiers.assign(then=spoken),
        caption=f"Expected {earned} {horizon} by tier. What will come lies between 'from' and 'to' with a chance of 95 %; how far a tier's forecast missed last time is counted in. "
        f"Last time: orders to be expected of such tiers in the {validation.days} days from {formats.day(validation.start)}, and what came",
        labels={"tier": "Tier", "customers": "Customers", "expected_orders": "Orders", "expected_value": earned.capitalize(),
                "low_value": "From", "high_value": "to", "share": "Share", "p_no_order": "Chance of no order", "then": "Last time"},
        formats={"customers": formats.number, "expected_orders": formats.number, "share": formats.share, "p_no_order": lambda value: "over 99\N{NO-BREAK SPACE}%" if 0.995 <= value < 1 else formats.share(value), **money},
    )  # fmt: skip
    top = scores.tiers[scores.tiers["tier"] == TOP]
    big = scores.tiers[scores.tiers["tier"] == WHOLESALE]
    if scores.top_tenth is None or top.empty:
        title, sentence = (
            f"The best tenth places most orders {horizon}",
            "Spend cannot be forecast from this data; tiers are by expected orders.",
        )
    else:
        share = scores.top_tenth
        title = f"One in ten customers should bring {formats.share(share.value)} of the {earned} {horizon}"
        title += ", wholesale apart" if len(big) else ""
        sentence = f"Likely between {formats.interval(share.low, share.high, 'share').replace(formats.DASH, ' and ')}."
        if len(big):
            n = int(big["customers"].iloc[0])
            sentence += f" {'One wholesale buyer is' if n == 1 else f'{n:,} wholesale buyers are'} counted separately."
    return figures.show_table(table, title=title, sentence=sentence + _weak_tiers(then))


def _weak_tiers(then: pd.DataFrame) -> str:
    """Tiers whose forecast was off by a fifth or more in the days kept aside."""
    off = then[
        (then["forecast"] > _FAR * np.maximum(then["came"], 1))
        | (then["came"] > _FAR * np.maximum(then["forecast"], 1))
    ]
    if off.empty:
        return ""
    names, it = " and ".join(f"'{name}'" for name in off.index), "its" if len(off) == 1 else "their"
    if (off["forecast"] > off["came"]).all():
        return f" Of {names} too much was expected last time: take {it} orders and amounts as upper limits, not as forecasts."
    return f" Of {names} the forecast was far off last time: take {it} orders and amounts as orders of size, not as forecasts."


def figure_channels(channels: Channels, *, currency: str) -> figures.Figure:
    """When do customers of each channel repay what it cost to win them?"""
    if channels.table.empty:
        return figures.show_table(
            figures.tabulate(pd.DataFrame({"missing": [channels.missing]}), caption="What is missing", labels={"missing": "Needed"}),
            title="Value by channel is not available",
            sentence=f"This shop's data lacks {channels.missing}.",
        )  # fmt: skip
    shown = channels.table[channels.table["channel"] != "unknown"].head(len(figures.CYCLE))
    table = channels.table.assign(
        payback=[_payback(*row) for row in channels.table[["payback_month", "cost"]].itertuples(index=False)]
    )
    year = min(12, channels.months)

    def whole(value: float) -> str:
        return formats.money(value, currency)

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        ends, rings = [], []
        for colour, line in zip(figures.CYCLE, shown.itertuples(index=False), strict=False):
            curve = channels.curves[channels.curves["channel"] == line.channel]
            if line.channel in (shown["channel"].iloc[0], shown["channel"].iloc[-1]):
                # Bands of all would lie on one another; the others' ranges are in the table.
                ax.fill_between(curve["month"], curve["low"], curve["high"], color=colour, alpha=0.15, linewidth=0)
            sns.lineplot(curve, x="month", y="earned", color=colour, ax=ax)
            ends.append((channels.months, curve["earned"].iloc[-1], _label(line, currency, narrow=narrow), colour))
            if np.isfinite(line.payback_month):
                at = curve[curve["month"] == line.payback_month]["earned"].iloc[0]
                rings.append((float(line.payback_month), float(at), colour))
        ax.set_ylim(0, None)
        _draw_rings(ax, rings)
        ticks = (
            [m for m in (0, 6, 12, 18) if m <= channels.months]
            if narrow
            else [m for m in range(0, 19, 3) if m <= channels.months]
        )
        ax.set_xticks(ticks, ["first order" if m == 0 else str(m) for m in ticks])
        ax.set(xlabel="months since the first order", ylabel="")
        ax.yaxis.set_major_formatter(lambda value, _: formats.money(value, currency))
        figures.label_ends(ax, ends, gap=0.13 if narrow and not channels.missing else 0.08)

    labels = {"channel": "Channel", "customers": "Customers", "cost": "Cost to win one", "first": "With the first order",
              "earned": f"After {year} months", "low": "From", "high": "to", "payback": "Paid back", "expected_value": "Expected next"}  # fmt: skip
    money = dict.fromkeys(("cost", "first", "earned", "low", "high", "expected_value"), whole)
    return figures.draw(
        paint,
        title=_channels_title(shown, channels, currency),
        sentence=_channels_sentence(shown, channels, currency, year),
        alt=f"Lines of cumulative {channels.called} per customer by month since the first order, one a channel, the highest and the lowest with 95 % bands; after {year} months "
        f"from {whole(shown['earned'].min())} to {whole(shown['earned'].max())}. Rings mark where the acquisition cost is covered.",
        caption=f"{channels.called.capitalize()} per customer since the first order, each month over the customers known for all of it. Bands of the highest and the lowest line: "
        "95 % over samples of customers; the others' ranges are in the table. "
        + ("A ring marks the month by whose end the cost of winning a customer is covered." if not channels.missing else f"Not available: {channels.missing}, so no ring."),
        table=figures.tabulate(table, caption="Value per customer by acquisition channel", labels=labels, formats={"customers": formats.number, **money}),
        height=4.6, narrow_height=4.0,
    )  # fmt: skip


def _label(line: Any, currency: str, *, narrow: bool) -> str:
    """A channel with its cost and the month that repaid it."""
    if not np.isfinite(line.cost):
        return _name(line.channel)
    when = "not yet" if not np.isfinite(line.payback_month) else f"month {line.payback_month:.0f}"
    when = "first order" if line.payback_month == 0 else when
    cost = formats.money(line.cost, currency)
    return f"{_name(line.channel)}\n{cost}, {when}" if narrow else f"{_name(line.channel)}, cost {cost}, {when}"


def _draw_rings(ax: Axes, rings: list[tuple[float, float, str]]) -> None:
    """A ring for each payback; those that would lie on one another stand side by side."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure()
    assert figure is not None
    close = 0.04 * ax.get_ylim()[1]
    placed: list[tuple[float, float]] = []
    for month, at, colour in rings:
        beside = sum(month == other and abs(at - height) < close for other, height in placed)
        placed.append((month, at))
        aside = ScaledTranslation(beside * 9 / 72, 0, figure.dpi_scale_trans)
        ax.plot([month], [at], "o", markersize=8, markerfacecolor=figures.PAPER, markeredgecolor=colour, markeredgewidth=2,
                transform=ax.transData + aside, zorder=5, clip_on=False)  # fmt: skip


def _channels_title(shown: pd.DataFrame, channels: Channels, currency: str) -> str:
    best, worst = shown.iloc[0], shown.iloc[-1]
    if channels.missing:
        return f"{_name(best['channel'])} customers bring most, {_name(worst['channel'])} customers least"
    priced, late = channels.priced, channels.late
    slow = priced.loc[[priced["payback_month"].idxmax()]] if late.empty else late
    names = " and ".join(_name(name) for name in slow["channel"])
    if len(late):
        title = f"{names} customers have not repaid their cost within {channels.months} months"
        if len(late) == 1:
            got = channels.by_then(str(late["channel"].iloc[0]))["earned"]
            title += f": {channels.called} {formats.money(got, currency)}, cost {formats.money(late['cost'].iloc[0], currency)}"
        others = priced.drop(index=late.index)
        if len(others):
            last = _within(float(others["payback_month"].max()))
            title += f"; {'all other channels with a cost' if len(others) > 1 else 'the other channel with a cost'} repaid {last}"
        return title
    return f"Every channel repays its cost, {names} the slowest, {_within(float(slow['payback_month'].iloc[0]))}"


def _channels_sentence(shown: pd.DataFrame, channels: Channels, currency: str, year: int) -> str:
    best, worst = shown.iloc[0], shown.iloc[-1]
    text = (
        f"{_name(best['channel'])} customers brought {formats.money(best['earned'], currency)} of {channels.called} each in their first {year} months "
        f"({formats.interval(best['low'], best['high'], currency or 'amount')}), {_name(worst['channel'])} customers "
        f"{formats.money(worst['earned'], currency)} ({formats.interval(worst['low'], worst['high'], currency or 'amount')})."
    )
    return text + " Channels win different people; the difference is not what moving the budget would bring."


def _within(month: float) -> str:
    if not np.isfinite(month):
        return "not yet"
    return "with the first order" if month == 0 else f"within {month:.0f} month{'s' if month > 1 else ''}"


def _payback(month: float, cost: float) -> str | None:
    return _within(month) if np.isfinite(cost) else None


def _name(channel: object) -> str:
    return str(channel).replace("_", " ").capitalize()


def _points(value: float) -> str:
    return ("+" if value > 0 else "") + formats.number(100 * value, digits=1)


def tried_on(validation: Validation) -> str:
    """The days kept aside, as one says it."""
    return "last year" if validation.days == 365 else f"the last {validation.days} days"


def _tried(validation: Validation, error: float, aside: str) -> str:
    """How the forecast would have done, in orders and in net sales."""
    start = f"Tried on {tried_on(validation)} the forecast was"
    if not validation.actual:
        return f"{start} wrong: no order came"
    sales = f", {_off(validation.sales_off)} in net sales" if np.isfinite(validation.sales_off) else ""
    return f"{start} {_off(error)} in orders{sales}{aside}"


def _off(error: float) -> str:
    if abs(error) < 0.005:
        return "right to half a per cent"
    return f"{formats.share(abs(error))} too {'high' if error > 0 else 'low'}"


def _odd_days(validation: Validation) -> str:
    """Weeks are whole, so the days after the last of them are in none."""
    left = validation.days % 7
    return f" (the last {'day is' if left == 1 else f'{left} days are'} in neither sum)" if left else ""
