"""The page's figures and tables: one finding each, in words that are true whatever was found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.feedback.causes import Cause
from crmlib.analysis.feedback.rates import BEFORE_WEEKS, FEW, RECENT_WEEKS, Rates, Trend, Validation
from crmlib.analysis.feedback.reliability import MEASURED, SENTENCES
from crmlib.analysis.feedback.themes import THEMES
from crmlib.analysis.feedback.words import leading, over, trend_words
from crmlib.stats import rate_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMOOTH_WEEKS, NARROW_WEEKS = 4, 30
_COLOURS = (figures.ACCENT, figures.ORANGE, figures.GREEN)
_OUTCOME_WORDS = {"read": "Read", "no_signal": "No clear direction", "other_language": "Not English"}


def figure_rates(rates: Rates) -> figures.Figure:
    """What is complained about most? Complaints per 1,000 orders by theme, or their number where there are no orders."""
    frame = rates.frame.assign(
        name=rates.frame["theme"].str.capitalize(),
        precision=[MEASURED[theme].precision for theme in rates.frame["theme"]],
        recall=[MEASURED[theme].recall for theme in rates.frame["theme"]],
    )
    per_orders = rates.orders is not None
    column = "per_1000_orders" if per_orders else "negative"
    if not per_orders:
        frame["low"], frame["high"] = rate_interval(frame["negative"], 1.0)
    frame = frame.sort_values([column, "theme"], ascending=[False, True]).reset_index(drop=True)
    top, second = frame.iloc[0], frame.iloc[1]
    none = not frame["in_period"].any()
    apart = not none and top["low"] > second["high"]
    what = "per 1,000 orders" if per_orders else "texts"
    span = f"{_rate(top['low'], per_orders)}{formats.DASH}{_rate(top['high'], per_orders)}"
    if none:
        title = "No complaint about any of the seven themes was found"
    else:
        title = f"{top['name']} draws the most complaints we can find"
        if not apart:
            title = f"{top['name']} leads the complaints we find, not clearly ahead of {second['theme']}"
    sentence = (
        f"{over(rates) if per_orders else ''}{_rate(top[column], per_orders)} complaints {what} (95 % interval {span}), then {second['theme']} with "
        f"{_rate(second[column], per_orders)}; a text may complain of several things."
        if not none
        else "That can also mean that customers use other words than the patterns know."
    )

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        rows = list(range(len(frame)))
        shades = [figures.ACCENT if row == 0 and not none else figures.MUTED for row in rows]
        ax.hlines(rows, frame["low"], frame["high"], color=shades, linewidth=2.5, alpha=0.55)
        sns.scatterplot(x=frame[column], y=rows, color=figures.MUTED, s=70, ax=ax, zorder=3, linewidth=0)
        ax.collections[-1].set_facecolor(shades)
        for row, (end, value) in enumerate(zip(frame["high"], frame[column], strict=True)):
            ax.annotate(
                _rate(value, per_orders),
                (end, row),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                color=figures.INK,
            )
        ax.set_yticks(rows, frame["name"])
        ax.tick_params(axis="y", labelcolor=figures.INK)
        ax.set_ylim(len(frame) - 0.4, -0.6)
        ax.set_xlim(0, 1.12 * max(float(frame["high"].max()), 1e-9))
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", visible=True)
        ax.xaxis.set_major_locator(few_ticks(4 if narrow else 7))
        ax.set(xlabel=f"complaints {what}" if per_orders else "complaining texts", ylabel="")

    labels = {"name": "Theme", "texts": "Texts that mention it", "negative": "Complaints"}
    if not (frame["in_period"] == frame["negative"]).all():
        labels["in_period"] = "Of them while there are orders"
    if per_orders:
        labels |= {"per_1000_orders": "Per 1,000 orders", "low": "From", "high": "To"}
    labels |= {"precision": "Test: right of found", "recall": "Test: found of all"}
    rate_words = {name: (lambda value: formats.number(value, digits=2)) for name in ("per_1000_orders", "low", "high")}
    period = (
        f", {formats.day(rates.start)} to {formats.day(rates.end - timedelta(days=1))}"
        if rates.start and rates.end
        else ""
    )
    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        alt=f"Dots with 95 % intervals, one row a theme, complaints {what}, from {_rate(frame[column].min(), per_orders)} "
        f"to {_rate(frame[column].max(), per_orders)}. {title}.",
        caption=f"Complaints {what} by theme{period}; the lines are 95 % intervals of the count, not of the reader's errors."
        if per_orders
        else "Complaining texts by theme; the lines are 95 % intervals of the count, not of the reader's errors. Without dated "
        "texts and orders there is no rate.",
        table=figures.tabulate(
            frame,
            caption=f"Complaints by theme; the last two columns: words alone, on {SENTENCES} written test sentences, not on this shop; in brackets 95 % intervals",
            labels=labels,
            formats=rate_words | {"texts": few, "negative": few, "in_period": few},
            file="tables/themes.csv",
        ),
        height=3.6,
        narrow_height=3.6,
    )


def figure_trend(trend: Trend, causes: Sequence[Cause] = ()) -> figures.Figure:
    """Are complaints rising against orders? Four weeks at a time, the leading themes named, a band for the first."""
    weeks, changes = trend.weeks, trend.changes
    if len(weeks) < SMOOTH_WEEKS or weeks["orders"].sum() == 0:
        return missing(
            "Complaints cannot be followed over time",
            "That needs texts and orders with dates, over four weeks or more.",
        )
    rolled = weeks[["orders", *THEMES]].rolling(SMOOTH_WEEKS).sum().assign(week=weeks["week"] + pd.Timedelta(days=6))
    rolled = rolled[rolled["orders"] > 0].tail(BEFORE_WEEKS + RECENT_WEEKS)
    per_1000 = {theme: 1000 * rolled[theme] / rolled["orders"] for theme in THEMES}
    foremost = leading(trend)
    title, sentence = trend_words(trend, causes)
    first = foremost[0]
    low, high = rate_interval(rolled[first], rolled["orders"] / 1000)

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        shown = slice(-NARROW_WEEKS, None) if narrow else slice(None)
        at = rolled["week"].iloc[shown]
        ax.fill_between(at, low[shown], high[shown], color=figures.SOFT, alpha=0.5, linewidth=0)
        named = foremost[:2] if narrow else foremost
        for theme in [*(name for name in THEMES if name not in named), *named[::-1]]:
            colour = _COLOURS[named.index(theme)] if theme in named else figures.MUTED
            strong = theme in named
            sns.lineplot(x=at, y=per_1000[theme].iloc[shown], color=colour, ax=ax, linewidth=2.2 if strong else 0.9,
                         alpha=1 if strong else 0.45)  # fmt: skip
        ax.set_ylim(0, 1.12 * max(float(np.max(high[shown])), 1e-9))
        if len(changes):
            start = weeks["week"].iloc[-trend.recent_weeks]
            ax.axvline(start, color=figures.MUTED, linewidth=1, linestyle=(0, (2, 2)))
            ax.annotate(f"last {trend.recent_weeks} weeks", (start, ax.get_ylim()[1]), xytext=(-5, -2), textcoords="offset points",
                        ha="right", va="top", color=figures.MUTED)  # fmt: skip
        figures.label_ends(
            ax,
            [
                (rolled["week"].iloc[-1], per_1000[name].iloc[-1], name.capitalize(), _COLOURS[i])
                for i, name in enumerate(named)
            ],
            gap=0.09 if narrow else 0.07,
        )
        locator = AutoDateLocator(minticks=2, maxticks=4 if narrow else 8)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        ax.yaxis.set_major_locator(few_ticks(5))
        ax.set(xlabel="", ylabel="")

    blocks = rolled.iloc[::-SMOOTH_WEEKS]
    shown = pd.DataFrame({"until": blocks["week"].dt.strftime("%d %b %Y"), "orders": blocks["orders"]})
    shown = shown.assign(**{theme: blocks[theme].map(few) for theme in THEMES})
    labels = {"until": "Four weeks to", "orders": "Orders"} | {theme: theme.capitalize() for theme in THEMES}
    top = float(per_1000[first].max())
    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        alt=f"Lines of complaints per 1,000 orders over four weeks at a time, one a theme, {first} between "
        f"{per_1000[first].min():.1f} and {top:.1f}. {title}.",
        caption=f"Complaints per 1,000 orders, four weeks at a time, by the day the text was written; the band is where {first} may "
        "lie by chance (95 %). Thin lines: the other themes.",
        table=figures.tabulate(
            shown, caption="Complaints by theme in four weeks each, newest first; fewer than five are not told apart",
            labels=labels, formats={"orders": formats.number},
        ),
    )  # fmt: skip


def figure_stars(validation: Validation) -> figures.Figure:
    """Does the reading agree with the stars? The share read as negative, by stars."""
    stars = validation.by_star
    if stars.empty or not stars["read"].sum():
        return missing("The reading cannot be held against stars", "None of the texts it could read carries a rating.")
    if validation.macro_f1 is None:
        title = "Too few rated texts to grade the reading"
        sentence = f"{validation.graded:,} texts that could be read carry one, two, four or five stars; both ends need at least twenty."
    else:
        negative, positive = (validation.accuracy.set_index("kind").loc[kind] for kind in ("negative", "positive"))
        title = (
            f"The reading recognises {formats.share(negative['share_all'])} of the negative texts and {formats.share(positive['share_all'])} "
            f"of the positive; of those it can read, {formats.share(negative['share'])} and {formats.share(positive['share'])}"
        )
        sentence = (
            f"Measured by stars on {negative['n_all']:,.0f} texts with one or two ({negative['n']:,.0f} of them readable) and {positive['n_all']:,.0f} with four or five "
            f"({positive['n']:,.0f}); calling every text "
            f"positive would get {formats.share(positive['n_all'] / (negative['n_all'] + positive['n_all']))} right, so agreement alone says little."
        )

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        seen = stars[stars["read"] > 0]
        colours = [
            figures.ORANGE if star <= 2 else (figures.SOFT if star == 3 else figures.ACCENT) for star in seen["stars"]
        ]
        sns.barplot(x=seen["stars"], y=seen["share"], hue=seen["stars"], palette=colours, legend=False, ax=ax, width=0.62,
                    saturation=1, order=range(1, 6))  # fmt: skip
        ax.vlines(seen["stars"] - 1, seen["low"], seen["high"], color=figures.INK, linewidth=1.2)
        for row in seen.itertuples():
            ax.annotate(formats.share(row.share), (row.stars - 1, row.high), xytext=(0, 5), textcoords="offset points", ha="center",
                        color=figures.INK, fontweight="bold")  # fmt: skip
        counts = dict(zip(stars["stars"], stars["read"], strict=True))
        ends = {1: "1 star", 5: "5 stars"}
        ax.set_xticks(range(5), [f"{ends.get(star, star)}\nn {few(counts.get(star, 0))}" for star in range(1, 6)])
        ax.set_ylim(0, min(1.15, 1.2 * float(seen["high"].max()) + 0.02))
        ax.yaxis.set_major_locator(few_ticks(4 if narrow else 5))
        ax.yaxis.set_major_formatter(lambda value, _: formats.share(value) if value <= 1 else "")
        ax.set(xlabel="", ylabel="")

    seen = stars[stars["read"] > 0]
    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        alt=f"Bars of the share read as negative by stars, from {formats.share(seen['share'].max())} to "
        f"{formats.share(seen['share'].min())}. {title}.",
        caption="Share of the readable texts that are read as negative, by the stars given with them; lines are 95 % intervals.",
        table=figures.tabulate(
            stars,
            caption="How the texts of each star were read",
            labels={"stars": "Stars", "texts": "Texts", "read": "Could be read", "negative": "Read as negative", "share": "Share", "low": "From",
                    "high": "To"},
            formats={name: (lambda value: formats.share(value)) for name in ("share", "low", "high")}
            | dict.fromkeys(("texts", "read", "negative"), few),
        ),
        height=3.4,
        narrow_height=3.2,
    )  # fmt: skip


def table_outcomes(validation: Validation) -> figures.Figure:
    """What became of the texts, and do those that could not be read lean negative?"""
    frame = validation.outcomes.assign(name=validation.outcomes["outcome"].map(_OUTCOME_WORDS))
    total = int(frame["texts"].sum())
    frame["of_all"] = frame["texts"] / total
    row = frame.set_index("outcome")
    read, silent = row.loc["read"], row.loc["no_signal"]
    labels = {"name": "What became of it", "texts": "Texts", "of_all": "Share"}
    if validation.rated:
        labels |= {
            "rated": "With stars",
            "mean_stars": "Mean stars",
            "low_stars": "One or two stars",
            "low": "From",
            "high": "To",
        }
    title = f"{formats.share(read['of_all'])} of the texts could be read"
    sentence = f"{silent['texts']:,.0f} of {total:,} texts have no word with a clear direction, and {row.loc['other_language', 'texts']:,.0f} are not in English."
    if min(read["rated"], silent["rated"]) >= FEW:
        if silent["low"] > read["high"]:
            title += "; those that could not lean negative"
        elif silent["high"] < read["low"]:
            title += "; those that could not lean positive"
        sentence += (
            f" Of those without direction {formats.share(silent['low_stars'])} carry one or two stars, of those read "
            f"{formats.share(read['low_stars'])}."
        )
    return figures.show_table(
        figures.tabulate(
            frame,
            caption="What became of the texts; 'from' and 'to' bound the share of one or two stars (95 %)",
            labels=labels,
            formats={name: (lambda value: formats.share(value)) for name in ("of_all", "low_stars", "low", "high")}
            | {"mean_stars": lambda value: formats.number(value, digits=1), "texts": few, "rated": few},
        ),
        title=title,
        sentence=sentence,
    )


def table_quotes(quotes: pd.DataFrame) -> figures.Figure:
    """What did people write? Redacted quotes by theme."""
    if quotes.empty:
        return missing("No quote to show", "No complaint of the last year was read clearly enough to be quoted.")
    frame = quotes.assign(
        name=quotes["theme"].str.capitalize(),
        stars=[formats.number(value) if value == value else "not rated" for value in quotes["rating"]],
        month=[f"{day:%B %Y}" if day is not pd.NaT else "undated" for day in quotes["day"]],
    )
    themes = frame["theme"].nunique()
    return figures.show_table(
        figures.tabulate(
            frame,
            caption="Up to three quotes a theme, with one or two stars where there are any; what the rules recognise as personal is taken out",
            labels={"name": "Theme", "text": "What was written", "stars": "Stars", "month": "When"},
        ),
        title=f"In their own words: {len(frame)} {'text' if len(frame) == 1 else 'texts'} read as complaints about {themes} {'theme' if themes == 1 else 'themes'}",
        sentence="Chosen by a fixed rule, read by a machine: a quote can be misfiled, so read before you act.",
    )


def missing(title: str, sentence: str) -> figures.Figure:
    """A section that says why it has nothing to show."""
    empty = pd.DataFrame({"what": [sentence]})
    return figures.show_table(
        figures.tabulate(empty, caption="Not available", labels={"what": "Why"}),
        title=title,
        sentence=sentence,
    )


def few(value: Any) -> str:
    """A count of people: '<5' from one to four."""
    return "<5" if 0 < value < 5 else formats.number(value)


def _rate(value: float, per_orders: bool) -> str:
    return formats.number(value, digits=1 if per_orders else 0)


def few_ticks(count: int) -> Any:
    """At most so many ticks, at least three, at round numbers."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(count, min_n_ticks=3, steps=[1, 2, 5, 10])
