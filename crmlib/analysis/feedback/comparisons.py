"""Figures and tables that compare: products, groups of customers, channels, readers, and what is to be expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.feedback.breakdown import ANY, MIN_COMPLAINTS, MIN_ORDERS, Groups, Products
from crmlib.analysis.feedback.drawings import few, few_ticks, missing
from crmlib.analysis.feedback.predictions import METHOD_WORDS, Ahead
from crmlib.analysis.feedback.rates import Trend
from crmlib.analysis.feedback.readers import NAMES, Learning
from crmlib.analysis.feedback.words import (
    ahead_words,
    differing,
    group_words,
    leading,
    product_words,
    reader_words,
    standing_out,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 10  # products drawn, and groups without a clear difference listed
_DIMENSIONS = {
    "acquisition_channel": "Came by",
    "country": "Country",
    "gender": "Gender",
    "age": "Age",
    "channel": "Written in",
}


def figure_products(products: Products) -> figures.Figure:
    """Which products are complained about most, for the theme that stands out, beside the shop's average?"""
    title, sentence = product_words(products)
    if products.frame.empty:
        return missing(title, sentence)
    clear = standing_out(products)
    theme = clear["theme"].iloc[0] if len(clear) else ANY
    of_theme = products.frame[(products.frame["theme"] == theme) & (products.frame["orders"] >= MIN_ORDERS)]
    if of_theme.empty:
        return missing(title, sentence)
    shown = of_theme.sort_values(["rate", "product_id"], ascending=[False, True]).head(SHOWN).reset_index(drop=True)
    average = float(shown["average"].iloc[0])
    about = "complaints" if theme == ANY else f"{theme} complaints"

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        rows = list(range(len(shown)))
        shades = [figures.ORANGE if above else figures.MUTED for above in shown["above"]]
        # A dot looks like a finding, which fewer than five complaints are not.
        told = [row for row in rows if shown["complaints"].iloc[row] >= MIN_COMPLAINTS]
        ax.hlines(
            rows,
            shown["low"],
            shown["high"],
            color=shades,
            linewidth=2.5,
            alpha=[0.55 if row in told else 0.3 for row in rows],
        )
        if told:
            sns.scatterplot(x=shown["rate"].iloc[told], y=told, color=figures.MUTED, s=60, ax=ax, zorder=3, linewidth=0)
            ax.collections[-1].set_facecolor([shades[row] for row in told])
        ax.axvline(average, color=figures.INK, linewidth=1, linestyle=(0, (2, 2)))
        ax.annotate(
            f"average {average:.1f}",
            (average, -0.9 if narrow else -0.5),
            xytext=(4, 2),
            textcoords="offset points",
            va="bottom",
            color=figures.INK,
        )
        names = [_short(name, 46 if narrow else 40) for name in shown["name"]]
        figures.row_labels(ax, np.arange(len(shown), dtype=float), names, narrow=narrow)
        ax.set_ylim(len(shown) - 0.4, -1.3 if narrow else -0.9)
        ax.set_xlim(0, 1.08 * float(shown["high"].max()))
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", visible=True)
        ax.xaxis.set_major_locator(few_ticks(3 if narrow else 6))
        ax.set(xlabel="per 1,000 orders with it" if narrow else f"{about} per 1,000 orders with it", ylabel="")

    listed = pd.concat([clear.head(20), shown]).drop_duplicates(["product_id", "theme"])
    listed = listed.assign(
        counted=(1000 * listed["complaints"] / listed["orders"]).where(~listed["complaints"].between(1, 4)),
        rate=listed["rate"].where(~listed["complaints"].between(1, 4)),
        stands=["above" if above else "no clear difference" for above in listed["above"]],
        what=["any" if name == ANY else name for name in listed["theme"]],
    )
    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        alt=f"Dots with 95 % intervals, one row a product, {about} per 1,000 orders that held it, from {shown['rate'].min():.1f} to "
        f"{shown['rate'].max():.1f}; the shop's average {average:.1f} is marked. {title}.",
        caption=f"{about.capitalize()} per 1,000 orders with the product, the {len(shown)} highest, with 95 % ranges; all are cautious, drawn towards the average where there is "
        f"little to go by. Orange: clearly above the others. {'Pale lines without a dot: fewer than five complaints, too few to say more than where the rate may lie. ' if (shown['complaints'] < MIN_COMPLAINTS).any() else ''}"
        f"Only texts that name a product count ({products.without_product:,} do not).",
        table=figures.tabulate(
            listed,
            caption=f"Complaints by product per 1,000 orders that held it; a writer counts once; {products.searched:,} pairs searched",
            labels={"name": "Product", "what": "Theme", "orders": "Orders with it", "complaints": "Complaints", "counted": "Per 1,000 as counted",
                    "rate": "Cautious rate", "low": "From", "high": "To", "average": "Average", "stands": "Against the others"},
            formats={name: (lambda value: formats.number(value, digits=1)) for name in ("counted", "rate", "low", "high", "average")}
            | {"orders": formats.number, "complaints": few},
            file="tables/products.csv",
        ),
        height=3.9,
        narrow_height=1.2 + 0.45 * len(shown),
    )  # fmt: skip


def table_groups(groups: Groups) -> figures.Figure:
    """Do groups of customers complain more per order, and do channels of feedback carry other complaints?"""
    title, sentence = group_words(groups)
    if groups.frame.empty:
        return missing(title, sentence)
    clear = differing(groups)
    rest = groups.frame[(groups.frame["theme"] == ANY) & (groups.frame["differs"] == "")]
    rest = rest.sort_values("p_value", kind="stable").head(SHOWN)
    shown = pd.concat([clear, rest]).reset_index(drop=True)
    masked = (shown["complaints"] > 0) & (shown["complaints"] < 5)
    shown = shown.assign(
        group=[f"{_DIMENSIONS[row.dimension]}: {row.value}" for row in shown.itertuples()],
        basis=[f"{size:,} {per}" for size, per in zip(shown["exposure"], shown["per"], strict=True)],
        verdict=[{"more": "more", "fewer": "fewer", "": "no clear difference"}[word] for word in shown["differs"]],
    )
    # A rate beside its orders would give a hidden count away.
    shown.loc[masked, ["rate", "low", "high"]] = float("nan")
    one = {name: (lambda value: formats.number(value, digits=1)) for name in ("rate", "low", "high", "average")}
    return figures.show_table(
        figures.tabulate(
            shown,
            caption="Complaints per 1,000 orders of each group of customers, and per 1,000 texts of each channel; first what differs after correction, then the ten nearest to it",
            labels={"group": "Group", "theme": "Theme", "basis": "Out of", "complaints": "Complaints", "rate": "Per 1,000", "low": "From", "high": "To",
                    "average": "Average", "verdict": "Against the rest"},
            formats=one | {"complaints": few},
            file="tables/groups.csv",
        ),
        title=title,
        sentence=sentence,
    )  # fmt: skip


def figure_readers(learning: Learning) -> figures.Figure:
    """Who reads best? Macro F1 with interval of each reader on the same texts."""
    title, sentence = reader_words(learning)
    frame = learning.contest.assign(name=[NAMES[name] for name in learning.contest["reader"]])
    if frame.empty:
        return missing(title, sentence)
    frame = frame.assign(name=frame["name"].str[0].str.upper() + frame["name"].str[1:])
    frame = frame.sort_values("macro_f1", ascending=False, kind="stable").reset_index(drop=True)
    used = "model" if learning.chosen else "rules"

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        rows = list(range(len(frame)))
        shades = [figures.ACCENT if name == used else figures.MUTED for name in frame["reader"]]
        ax.hlines(rows, frame["low"], frame["high"], color=shades, linewidth=2.5, alpha=0.55)
        sns.scatterplot(x=frame["macro_f1"], y=rows, color=figures.MUTED, s=70, ax=ax, zorder=3, linewidth=0)
        ax.collections[-1].set_facecolor(shades)
        for row, (end, value) in enumerate(zip(frame["high"], frame["macro_f1"], strict=True)):
            ax.annotate(
                f"{value:.2f}", (end, row), xytext=(7, 0), textcoords="offset points", va="center", color=figures.INK
            )
        ax.set_yticks(rows, [_short(name, 20 if narrow else 40) for name in frame["name"]])
        ax.tick_params(axis="y", labelcolor=figures.INK)
        ax.set_ylim(len(frame) - 0.4, -0.6)
        ax.set_xlim(max(0.0, float(frame["low"].min()) - 0.08), 1.0)
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", visible=True)
        ax.xaxis.set_major_locator(few_ticks(3 if narrow else 6))
        ax.set(xlabel="macro F1 (1 is perfect)", ylabel="")

    lead = "Lead of the shop's own model"
    labels = {"name": "Reader", "macro_f1": "Macro F1", "low": "From", "high": "To"}
    if "model" in set(frame["reader"]):
        labels |= {"lead": lead, "lead_low": "Lead from", "lead_high": "Lead to"}
    reciting = (
        f" On the same texts, had it known their phrasing, the model would seem to reach {learning.reciting:.2f}."
        if learning.reciting is not None
        else ""
    )
    return figures.draw(
        paint,
        title=title,
        sentence=sentence + reciting,
        alt=f"Dots of macro F1 with 95 % intervals, one row a reader, from {frame['macro_f1'].min():.2f} to {frame['macro_f1'].max():.2f}. {title}.",
        caption="Macro F1 against stars, one and two against four and five, every reader made to decide on every text; intervals over phrasings.",
        table=figures.tabulate(
            frame,
            caption="Macro F1 by reader, and how far the shop's own model is ahead of it (paired)",
            labels=labels,
            formats={
                name: (lambda value: formats.number(value, digits=2))
                for name in ("macro_f1", "low", "high", "lead", "lead_low", "lead_high")
            },
            file="tables/readers.csv",
        ),
        height=2.6,
        narrow_height=2.6,
    )


def table_ahead(found: Ahead, *, trend: Trend) -> figures.Figure:
    """How many complaints are to be expected?"""
    title, sentence = ahead_words(found, first=leading(trend)[0])
    if found.frame.empty:
        return missing(title, sentence)
    shown = found.frame.assign(
        name=found.frame["theme"].str.capitalize(),
        span=[f"next {days} days" for days in found.frame["horizon_days"]],
        how=[METHOD_WORDS[method] for method in found.frame["method"]],
    )
    return figures.show_table(
        figures.tabulate(
            shown,
            caption="Complaints to be expected by theme; 'from' and 'to' bound the count itself (95 %)",
            labels={"name": "Theme", "span": "When", "expected": "Expected", "low": "From", "high": "To", "how": "By"},
            formats={
                "expected": lambda value: formats.number(value, digits=0 if value >= 10 else 1),
                "low": formats.number,
                "high": formats.number,
            },
            file="tables/ahead.csv",
        ),
        title=title,
        sentence=sentence,
    )


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
