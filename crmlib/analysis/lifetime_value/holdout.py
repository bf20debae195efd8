"""Did the forecast of the days kept aside come true? By week, by tenth of customers, and for single chances."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.forecasts import Total, band, half_width
from crmlib.analysis.lifetime_value.chances import DAYS
from crmlib.analysis.lifetime_value.methods import NOBODY
from crmlib.analysis.lifetime_value.tiers import TIERS, between, tiers_then
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.analysis.lifetime_value.validation import Validation, off_words
from crmlib.findings import Check, Metric, Part
from crmlib.formats import Estimate

_CLEAR = 0.01
_FAR = 1.2  # times too many or too few: a tier that was so far off is named


def calibration(validation: Validation) -> pd.DataFrame:
    """Forecast and actual repeat orders of the holdout by tenth of customers, and how far chance may part them."""
    n, said, bought = validation.customers, validation.split, validation.purchases
    score = said if validation.chosen != NOBODY else next(iter(validation.ranking.values()))
    tenths = [k / 10 for k in range(11)]
    forecast, came = (between(score, amount, n, tenths) for amount in (said, bought))
    chance = 1.96 * np.sqrt(between(score, np.square(bought - said), n, tenths))
    low, high = np.maximum(forecast - chance, 0), forecast + chance
    return pd.DataFrame({"tenth": range(1, 11), "forecast": forecast, "low": low, "high": high, "came": came})


def by_week(validation: Validation) -> pd.DataFrame:
    """Orders a week before the test and in it: week, came, day, and for the test forecast with low and high."""
    weeks = validation.days // 7
    seen = validation.weekly.set_index("week")["purchases"]
    start = int(seen.index.min()) if len(seen) else 0
    # The very first week of a shop is cut by whenever its data begins.
    index = pd.RangeIndex(min(start + 1, 0), weeks)
    frame = pd.DataFrame({"week": index, "came": seen.reindex(index, fill_value=0).to_numpy(float)})
    frame["day"] = pd.Timestamp(validation.start) + pd.to_timedelta(7 * frame["week"], unit="D")
    n = validation.customers
    model, mean = validation.models.get(validation.chosen), np.full(weeks, validation.forecast / validation.days * 7)
    if model is not None:
        reached = [0.0, *(float(n @ model.expected(validation.patterns, days=7 * k)) for k in range(1, weeks + 1))]
        mean = np.diff(reached)
    own = validation.cuts[0].own if np.isfinite(validation.cuts[0].own) else 0.0
    clock = validation.fits.clock
    starts = [validation.start + timedelta(days=7 * k) for k in range(weeks)]
    season = [clock.deviation(start, days=7) if clock else 0.0 for start in starts]
    unrest = _unrest(frame.loc[frame["week"] < 0, "came"].to_numpy(float))
    doubt = np.sqrt(own**2 + unrest**2 + np.square(season) + 1 / np.maximum(mean, 0.5))
    spread = np.array([half_width(float(one), validation.errors_known) for one in doubt])
    ends = {"forecast": mean, "low": mean * np.exp(-spread), "high": mean * np.exp(spread)}
    return frame.join(pd.DataFrame(ends, index=frame.index[frame["week"] >= 0]))


def _unrest(weeks: Floats) -> float:
    """By what share single weeks jump beyond chance (campaigns, holidays), from one to the next before the holdout."""
    weeks = weeks[weeks > 0][-52:]
    if len(weeks) < 8:
        return 0.0
    jumps: Floats = np.diff(np.log(weeks))
    return float(np.sqrt(max(float(np.mean(np.square(jumps))) / 2 - float(np.mean(1 / weeks)), 0.0)))


def one_sided(weeks: pd.DataFrame) -> tuple[int, int, bool] | None:
    """The longest stretch of weeks that missed on one side: place of the first, how many, whether they came in above.

    None where weeks that miss like a fair coin would show a stretch as long in one holdout of a hundred or more.
    """
    later = weeks[weeks["forecast"].notna()]
    above = (later["came"] > later["forecast"]).to_numpy()
    if not len(above):
        return None
    starts = np.flatnonzero(np.concatenate([[True], above[1:] != above[:-1]]))
    lengths = np.diff([*starts, len(above)])
    longest, length = int(lengths.argmax()), int(lengths.max())
    # At most: a stretch begins with the first week or where the side changes, and then goes on.
    if (len(above) - length + 2) * 0.5**length >= _CLEAR:
        return None
    return int(starts[longest]), length, bool(above[starts[longest]])


def holdout_band(validation: Validation) -> Total | None:
    """The range for the test as it could be stated on the day it began; None where the method gives none."""
    own = validation.cuts[0].own
    if validation.forecast <= 0 or not np.isfinite(own):
        return None
    return band(validation.forecast, own, validation.errors_known)


def part_weeks(validation: Validation) -> Part:
    """Did orders come as forecast, week by week? With how the test came out, for 'How certain is this?'."""
    weeks = by_week(validation)
    later = weeks[weeks["forecast"].notna()]
    drift = _drift(validation, weeks)
    seen = weeks[weeks["week"] >= -52].assign(kind="actual", orders=weeks["came"], low=np.nan, high=np.nan)
    lines = pd.concat([later.assign(kind="forecast", orders=later["forecast"]), seen])
    chart = figures.line(
        lines, x="day", y="orders", group="kind", strong="actual", low="low", high="high",
        what="repeat orders a week", form=formats.number, mark=(pd.Timestamp(validation.start), "test begins"),
        caption="Shaded: where 19 weeks in 20 should lie.",
        table=figures.tabulate(
            later.assign(name=later["day"].dt.strftime("%d %b %Y")),
            caption="Repeat orders by week of the test",
            labels={"name": "Week from", "came": "Actual", "forecast": "Forecast", "low": "From", "high": "to"},
            formats=dict.fromkeys(("came", "forecast", "low", "high"), formats.number),
        ),
    )  # fmt: skip
    held = holdout_band(validation)
    checks = []
    if held is not None and not held.holds(validation.actual):
        text = f"{_subject(validation)} was {formats.interval(held.low, held.high, 'orders')} orders; "
        text += f"{wording.counted(validation.actual, 'order')} came."
        checks.append(Check(name="holdout inside its range", verdict="warning", text=text))
    expected = round(validation.forecast)
    inside = int(((later["came"] >= later["low"]) & (later["came"] <= later["high"])).sum())
    sentence = f"{wording.counted(expected, 'order')} expected, {formats.number(validation.actual)} came; "
    sentence += f"{inside} of {wording.counted(len(later), 'week')} within range."
    return Part(
        title=f"{_subject(validation)} was {off_words(validation.off)}{drift}", sentence=sentence if len(later) else "",
        chart=chart, metrics=_metrics(validation, held), checks=checks,
        certain=[wording.sentences(_plainly(validation, held), _weak(tiers_then(validation)))],
    )  # fmt: skip


def _plainly(validation: Validation, held: Total | None) -> str:
    """Whether the test stayed inside its range, and how it did in money, for somebody who reads one sentence."""
    where, sales = "came without a range", validation.sales_off
    if held is not None:
        where = f"{'stayed inside' if held.holds(validation.actual) else 'missed'} its range"
    money = f"; in net sales it was {off_words(sales)}" if np.isfinite(sales) else ""
    return f"{_subject(validation)} {where}{money}."


def _drift(validation: Validation, weeks: pd.DataFrame) -> str:
    """From when on the forecast missed on one side for longer than chance does: ', and 13% too high from 1 April'."""
    stretch = one_sided(weeks)
    if stretch is None:
        return ""
    first, length, _ = stretch
    later = weeks[weeks["forecast"].notna()]
    run = later.iloc[first : first + length]
    came = float(run["came"].sum())
    if not came or length == len(later):
        return ""
    off = off_words(float(run["forecast"].sum()) / came - 1)
    since, until = (wording.day(day.date(), near=validation.end) for day in run["day"].iloc[[0, -1]])
    return f", and {off} from {since}" + ("" if first + length == len(later) else f" to {until}")


def _weak(then: pd.DataFrame) -> str:
    """The lower tiers, where the test expected a fifth or more too much or too little of them."""
    share, (said, came) = dict(TIERS), (then["forecast"], then["came"])
    off = (said > _FAR * np.maximum(came, 1)) | (came > _FAR * np.maximum(said, 1))
    below = then[off & then["tier"].isin(list(share)[2:])]
    if below.empty:
        return ""
    much = bool((below["forecast"] > below["came"]).all())
    little = bool((below["forecast"] < below["came"]).all())
    part = formats.share(sum(share[tier] for tier in below["tier"]))
    who = f"the bottom {part}" if below["tier"].iloc[-1] == list(share)[-1] else "the middle tier"
    if not much and not little:
        return f"Forecasts for {who} were far off: use them only to rank."
    counts = f"{wording.counted(round(below['forecast'].sum()), 'order')}, {formats.number(below['came'].sum())} came"
    wrong, limit = ("much", "upper") if much else ("little", "lower")
    return f"It expected too {wrong} from {who}: {counts}. Treat their figures as {limit} limits."


def _metrics(validation: Validation, held: Total | None) -> list[Metric]:
    known = int(validation.customers.sum())
    repeat = int((validation.patterns["frequency"] > 0) @ validation.patterns["customers"])
    error = validation.estimate(validation.chosen, "error_share", "share", n=known)
    actual = Estimate(value=validation.actual, unit="orders", n=known)
    forecast = held.estimate("orders", n=known) if held else replace(actual, value=validation.forecast)
    tile: dict[str, Any] = {"signed": True, "headline": True, "said": off_words(validation.off)}
    what = "forecast / actual − 1 over the test, worked out afterwards from what was known when it began, "
    then = f"the same as forecast by '{validation.chosen}', fitted on what came before; 95 % range of what would come, "
    rows = [
        (error, "forecast_error", wording.upper(named(validation)), f"{what}95 % by resampling customers", tile),
        (replace(actual, value=repeat, unit="customers"), "repeat_customers",
         "Customers with a repeat purchase before the test",
         "customers known before the test with at least two purchase days", {}),
        (actual, "holdout_actual", "Repeat orders in the test",
         "purchase days in the test of customers known before it", {}),
        (forecast, "holdout_forecast", "Forecast for the test", f"{then}by what was known then", {}),
    ]  # fmt: skip
    return [Metric.of(of, id=id_, label=label, definition=text, **more) for of, id_, label, text, more in rows]


def part_tenths(validation: Validation) -> Part:
    """Did the customers from whom most was expected bring most? Orders in the test by forecast tenth."""
    tenths = calibration(validation)
    came, total = float(tenths["came"].iloc[0]), float(tenths["came"].sum())
    outside = int(((tenths["came"] < tenths["low"]) | (tenths["came"] > tenths["high"])).sum())
    chart = figures.columns(
        tenths.assign(name=["top", *map(str, range(2, 10)), "last"]),
        period="name", value="came", before="forecast", now_name="Actual", before_name="Forecast",
        what="repeat orders in the test", form=formats.number,
        caption="Tenths of customers by forecast, best first. Days with several orders count once.",
        table=figures.tabulate(
            tenths, caption="Forecast and actual repeat orders by tenth of customers",
            labels={"tenth": "Tenth", "forecast": "Forecast", "low": "By chance from", "high": "to", "came": "Actual"},
            formats=dict.fromkeys(("forecast", "low", "high", "came"), lambda value: formats.number(value, digits=1)),
            file="calibration",
        ),
    )  # fmt: skip
    return Part(
        title=f"In the test, one in ten customers placed {formats.share(came / total)} of the orders"
        if total
        else "No order came in the test",
        sentence=f"The top tenth was expected to place {formats.number(tenths['forecast'].iloc[0])} and placed "
        f"{formats.number(came)}; {outside or 'none'} of the ten tenths {'was' if outside == 1 else 'were'} further "
        "off than chance explains.",
        chart=chart, detail=True, tables={"calibration": tenths},
    )  # fmt: skip


def part_chances(validation: Validation) -> Part:
    """Did customers order as often as their chances said? By band of chance, in windows that had taught nothing."""
    found = validation.chances
    if found.bands is None:
        return Part(method=[found.sentence() or "A simple rule is used, whose chances are not checked one by one."])
    table = found.bands[found.bands["customers"] > 0]
    table = table.assign(name=table["band"].str.replace(" ", ""))
    inside, _ = held(validation)
    windows = f"{wording.counted(found.judged, 'window')} of {DAYS} days"
    off = table.loc[(table["came"] - table["said"]).abs().idxmax()]
    chart = figures.dots(
        table, label="name", value="came", low="low", high="high",
        what=f"ordered within {DAYS} days", form=formats.share,
        caption=f"Dot: actual; line: forecast range. {wording.upper(windows)}, judged by what earlier ones taught.",
        table=figures.tabulate(
            table, caption="Chance of an order and what came of it",
            labels={"name": "Chance", "customers": "Customers, over all windows", "said": "Forecast", "low": "From",
                    "high": "to", "came": "Actual"},
            formats={"customers": formats.number,
                     **dict.fromkeys(("said", "low", "high", "came"), lambda value: formats.share(value, digits=1))},
            file="chances",
        ),
    )  # fmt: skip
    return Part(
        title=f"Orders fell in the range in {'all' if inside == len(table) else f'{inside} of'} {len(table)} groups",
        sentence=f"Farthest off: of those given a chance of {off['name']}, {formats.share(off['came'])} ordered; "
        f"{formats.share(off['said'])} were expected to.",
        chart=chart, detail=True, tables={"chances": found.bands}, method=[found.sentence()],
    )  # fmt: skip


def held(validation: Validation) -> tuple[int, int]:
    """Of how many groups of a chance did what came lie in the range said, and how many groups there were."""
    bands = validation.chances.bands
    table = bands[bands["customers"] > 0] if bands is not None else pd.DataFrame({"came": [], "low": [], "high": []})
    return int(table["came"].between(table["low"], table["high"]).sum()), len(table)


def named(validation: Validation) -> str:
    """The test as one names it: 'last year's forecast'."""
    return "last year's forecast" if validation.days == 365 else f"forecast for the last {validation.days} days"


def _subject(validation: Validation) -> str:
    return wording.upper(named(validation) if validation.days == 365 else f"the {named(validation)}")
