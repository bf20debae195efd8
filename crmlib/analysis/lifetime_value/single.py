"""Figures of single customers' chances: who has gone quiet, and whether chances came true."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.lifetime_value.chances import DAYS
from crmlib.analysis.lifetime_value.scoring import Scores, horizon_words
from crmlib.analysis.lifetime_value.validation import Validation

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        if quiet:
            ax.annotate("likelier no order than one", (7, counts[5:].max()), xytext=(0, 6), textcoords="offset points",
                        ha="center", color=figures.ORANGE, fontweight="bold")  # fmt: skip

    title = (
        f"{quiet:,} good customers are likelier than not to order nothing {horizon_words(scores.horizon_days)}"
        if quiet
        else f"No good customer is likelier than not to stay away {horizon_words(scores.horizon_days)}"
    )
    return figures.draw(
        paint,
        title=title,
        sentence=f"Of the {len(good):,} customers in the top fifth by past sales, {quiet:,} have a chance of 50\N{NO-BREAK SPACE}% or more "
        f"to place no order {horizon_words(scores.horizon_days)}.",
        alt=f"Bars of good customers by their chance of placing no order {horizon_words(scores.horizon_days)}, ten classes; {quiet:,} at 50 % or more.",
        caption=f"Top fifth of customers by past sales, by the chance that they place no order {horizon_words(scores.horizon_days)}.",
        table=figures.tabulate(table, caption="Good customers by chance of no further order, per cent",
                               labels={"chance": "Chance, %", "customers": "Customers"}, formats={"customers": formats.number}),
        height=3.4, narrow_height=3.0,
    )  # fmt: skip


def figure_chances(validation: Validation) -> figures.Figure:
    """Did customers order as often as their chances said? By band of chance, in windows that the chances had not seen."""
    found = validation.chances
    if found.bands is None:
        return figures.show_table(
            figures.tabulate(pd.DataFrame({"windows": [found.windows]}), caption="Windows of 90 days that are over",
                             labels={"windows": "Windows"}),
            title="Single chances could not be checked",
            sentence=found.sentence() or "A simple rule is used, whose chances are not checked one by one.",
        )  # fmt: skip
    table = found.bands[found.bands["customers"] > 0]
    inside = int(((table["came"] >= table["low"]) & (table["came"] <= table["high"])).sum())
    windows = f"{found.judged} window{'s' if found.judged > 1 else ''} of {DAYS} days"

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        places = np.arange(len(table))
        ax.vlines(
            places,
            100 * table["low"],
            100 * table["high"],
            color=figures.SOFT,
            linewidth=10 if narrow else 16,
            zorder=2,
        )
        ax.hlines(100 * table["said"], places - 0.12, places + 0.12, color=figures.ACCENT, linewidth=2.4, zorder=3)
        sns.scatterplot(
            x=places, y=100 * table["came"], color=figures.INK, s=34 if narrow else 50, ax=ax, linewidth=0, zorder=4
        )
        ax.set_xticks(places, [name.removesuffix(" %") for name in table["band"]])
        ax.set(xlabel=f"chance of an order within {DAYS} days, %", ylabel="", ylim=(0, 104))
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        for height, text, colour in (
            (0.88, "dot: what came", figures.INK),
            (0.76, "line: what was said, with its range", figures.ACCENT),
        ):
            ax.text(0.02, height, text, transform=ax.transAxes, color=colour, fontweight="bold")

    every = inside == len(table)
    top = table.iloc[-1]
    return figures.draw(
        paint,
        title=f"Chances to order came true in {'all ' if every else f'{inside} of '}{len(table)} groups",
        sentence=f"In {windows}, {formats.share(top['came'])} of the customers given a chance of {top['band'].replace(' ', chr(160))} ordered; "
        f"{formats.share(top['said'])} was said. {found.sentence()}",
        alt=f"Ranges given to {len(table)} classes of chance with dots of the share that ordered; {inside} of {len(table)} dots lie inside.",
        caption=f"Share of customers who ordered within {DAYS} days, by the chance given to them on the day the window began; {windows}, each judged "
        "by what earlier ones taught. Ranges hold chance and how far whole windows moved.",
        table=figures.tabulate(
            table.drop(columns=[name for name in table if str(name).startswith("plain")]),
            caption="Chances to order and what came, by class of chance",
            labels={"band": "Chance", "customers": "Customers, over all windows", "said": "Said", "low": "From", "high": "to", "came": "Came"},
            formats={"customers": formats.number, **dict.fromkeys(("said", "low", "high", "came"), lambda value: formats.share(value, digits=1))},
        ),
        height=3.4, narrow_height=3.0,
    )  # fmt: skip
