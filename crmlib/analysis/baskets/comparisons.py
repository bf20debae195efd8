"""What the baskets page compares: parts of the baskets, substitutes, sequences, suggestions against bestsellers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.baskets.drawings import counted, row_labels, times_text
from crmlib.analysis.baskets.later import LEAST_CUSTOMERS
from crmlib.analysis.baskets.recommend import BEATEN, BESIDE, BESTSELLER, BETTER, SUGGESTION, TO_CUSTOMER, HitRates
from crmlib.analysis.baskets.sequences import Sequences
from crmlib.analysis.baskets.strata import SEASON, SIZE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLACES = {BESIDE: "Beside a product", TO_CUSTOMER: "To a customer"}
_METHODS = {SUGGESTION: "the suggestion", BESTSELLER: "a bestseller"}
_DIMENSIONS = {"customers": "new and returning customers", "channel": "acquisition channel", SIZE: "basket size"}


def figure_groups(strata: pd.DataFrame) -> figures.Figure:
    """Does a pair turn round among new or returning customers, or in small or large baskets?"""
    parts = strata[strata["dimension"] != SEASON]
    turned = parts[parts["turned"]]
    wide = pd.DataFrame()
    if len(parts):
        asked = parts[parts["dimension"].isin(["customers", SIZE])]
        named = asked.assign(name=asked["first"] + " + " + asked["second"])
        order = list(dict.fromkeys(named["name"]))
        columns = list(dict.fromkeys(asked["part"]))
        wide = (
            named.pivot_table(index="name", columns="part", values="times", sort=False)
            .reindex(order)[columns]
            .reset_index()
        )
    if wide.empty:
        return figures.show_table(
            figures.tabulate(pd.DataFrame({"what": ["Pairs compared"], "pairs": [0]}), caption="What was looked at",
                             labels={"what": "What", "pairs": "Pairs"}),
            title="There was no pair to compare between groups",
            sentence="New and returning customers, small and large baskets are compared for suggested pairs only.",
        )  # fmt: skip
    dimensions = [_DIMENSIONS.get(name, name) for name in dict.fromkeys(parts["dimension"])]
    if turned.empty:
        title = "No pair turns round, for new and returning customers, in small baskets and in large" if "customers" in set(
            parts["dimension"]) else "No pair turns round in small baskets or in large"  # fmt: skip
        sentence = (
            f"By {_listed(dimensions)}, each part held against its own totals, no pair is found below chance in any of "
            f"{len(parts):,} parts looked at; in the smaller parts that need not mean above it. The larger the baskets, the more meets by chance anyway, so the smaller the factor."
        )
    else:
        first = turned.iloc[0]
        title = f"Beware: {first['first']} and {first['second']} turn round ({first['part']})"
        sentence = (
            f"Over all they are together more often than chance, in {counted(len(turned), 'part', 'parts')} of {len(parts):,} looked at less often: what holds over all "
            "does not hold for everybody."
        )
    return figures.show_table(
        figures.tabulate(
            wide,
            caption="Times as often together as chance within each part, its own totals held; a dash where chance alone gives too few",
            labels={"name": "Pair"} | {part: part.capitalize() for part in wide.columns[1:]},
            formats=dict.fromkeys(wide.columns[1:], times_text),
            file="tables/strata.csv",
        ),
        title=title,
        sentence=sentence,
    )


def figure_substitutes(replaced: pd.DataFrame) -> figures.Figure:
    """Which products replace each other?"""
    shown = replaced.assign(
        range=[
            f"{times_text(r.times)} ({times_text(r.times_low)}–{times_text(r.times_high)})"
            for r in replaced.itertuples()
        ],
        relation=[{"size": "another size", "set or gift": "set or gift"}.get(r, "") for r in replaced["relation"]],
    )
    if replaced.empty:
        title, sentence = "No two products were found to replace each other", (
            f"No pair is together clearly less often than chance in baskets of customers who buy both ({LEAST_CUSTOMERS} or more of them)."
        )  # fmt: skip
    else:
        first = replaced.iloc[0]
        title = f"{first['first']} and {first['second']} replace each other"
        title = (
            title
            if len(replaced) == 1
            else f"{title}, and so {'does' if len(replaced) == 2 else 'do'} {counted(len(replaced) - 1, 'other pair', 'other pairs')}"
        )
        sentence = (
            f"{first['customers_both']:,} customers bought both, but only {first['count']:,} baskets hold the two where chance would give {formats.number(first['expected'])}. "
            "Show one in place of the other, when it is sold out say, not beside it."
        )
    return figures.show_table(
        figures.tabulate(
            shown,
            caption="Pairs together less often than chance, from each month's and each customer's own purchases",
            labels={"first": "Item", "second": "With", "relation": "Relation", "customers_both": "Customers who bought both", "count": "Baskets with both",
                    "expected": "By chance", "range": "Times chance (range)"},
            formats={"count": formats.number, "expected": formats.number, "customers_both": formats.number},
            rows=12,
            file="tables/substitutes.csv",
        ),
        title=title,
        sentence=sentence,
    )  # fmt: skip


def figure_sequences(found: Sequences) -> figures.Figure:
    """What is bought after what?"""
    table = found.table
    shown = table.assign(
        range=[
            f"{times_text(r.times)} ({times_text(r.times_low)}–{times_text(r.times_high)})" for r in table.itertuples()
        ]
    )
    if found.why:
        title, sentence = "What is bought after what is not known", found.why
    elif table.empty:
        title = f"No product was found to follow another within {found.window_days} days"
        sentence = f"Of {found.searched:,} pairs none comes clearly more often in one order than in the other, among the same customers."
    else:
        first = table.iloc[0]
        title = f"After {first['first']} comes {first['then']}"
        title = title if len(table) == 1 else f"{title}, one of {len(table):,} sequences"
        sentence = (
            f"{formats.share(first['share_after'])} of baskets with {first['first']} were followed within {found.window_days} days by one with {first['then']}; that came "
            f"{first['after']:,} times after and {first['before']:,} times before, {times_text(first['times'])} times as often "
            f"({times_text(first['times_low'])}–{times_text(first['times_high'])}) with sales, and how late each is beside all others, held equal. A reminder can be timed by it; whether it sells more, only a test tells."
        )
    return figures.show_table(
        figures.tabulate(
            shown,
            caption=f"What comes in a later basket of the same customer within {found.window_days} days, against how often it came before",
            labels={"first": "After", "then": "Comes", "after": "Times after", "before": "Times before", "customers": "Customers",
                    "share_after": "Of its baskets", "range": "After over before (range)"},
            formats={"after": formats.number, "before": formats.number, "customers": formats.number, "share_after": lambda v: formats.share(v, digits=1)},
            rows=12,
            file="tables/sequences.csv",
        ),
        title=title,
        sentence=sentence,
    )  # fmt: skip


def figure_hits(rates: HitRates) -> figures.Figure:
    """Do suggestions beat bestsellers?"""
    table = rates.rates
    if rates.why or table.empty:
        return figures.show_table(
            figures.tabulate(pd.DataFrame({"what": ["Later baskets tried"], "trials": [0]}), caption="What was tried", labels={"what": "What", "trials": "Trials"}),
            title="Whether suggestions beat bestsellers is not known",
            sentence=rates.why,
        )  # fmt: skip
    said = [_against(rates, place) for place in (BESIDE, TO_CUSTOMER)]
    title = next(text for text, _ in said if text)
    beside, written = rates.difference(BESIDE), rates.difference(TO_CUSTOMER)
    if beside is not None and written is not None and (beside["verdict"], written["verdict"]) == (BETTER, BEATEN):
        title = "Suggestions win beside a product, bestsellers win in a letter"
    sentence = " ".join(text for _, text in said if text)
    rows = [
        (place, method, row)
        for place in (BESIDE, TO_CUSTOMER)
        for method in (SUGGESTION, BESTSELLER)
        if (row := rates.rate(place, method)) is not None
    ]
    labels = [f"{_PLACES[place]}: {_METHODS[method]}" for place, method, _ in rows]

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        # A gap between the two places.
        y = np.arange(len(rows)) + np.array([0.4 * (place == TO_CUSTOMER) for place, _, _ in rows])
        values = np.array([[row["low"], row["rate"], row["high"]] for _, _, row in rows], dtype=float)
        colours = [figures.ACCENT if method == SUGGESTION else figures.MUTED for _, method, _ in rows]
        ax.hlines(y, values[:, 0], values[:, 2], color=colours, linewidth=2)
        sns.scatterplot(x=values[:, 1], y=y, ax=ax, c=colours, s=55, zorder=3, legend=False)
        top = float(values.max()) * 1.12
        ax.set(xlim=(0, top), ylim=(y[-1] + 0.6, -0.9 if narrow else -0.6), xlabel="", ylabel="")
        step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if top / s <= (4 if narrow else 8))
        ticks = np.arange(0, top, step)
        ax.set_xticks(ticks, [formats.share(tick) for tick in ticks])
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", visible=True)
        row_labels(ax, y, labels, narrow=narrow)

    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        caption=f"Share of trials in which what was suggested was bought, with 95 % ranges over customers; found on the time before, tried on the last {rates.days:,} days.",
        alt=f"Dot plot of hit rates with ranges, suggestions against bestsellers: from {formats.share(table['rate'].min(), digits=1)} to {formats.share(table['rate'].max(), digits=1)}.",
        table=figures.tabulate(
            table.assign(place=table["place"].map(_PLACES), method=table["method"].map(_METHODS)),
            caption="Hit rates on later baskets",
            labels={"place": "Where", "method": "What", "trials": "Trials", "customers": "Customers", "rate": "Bought", "low": "From", "high": "To"},
            formats={"trials": formats.number, "customers": formats.number} | dict.fromkeys(("rate", "low", "high"), lambda v: formats.share(v, digits=1)),
            file="tables/hit_rates.csv",
        ),
        height=1.0 + 0.42 * len(rows),
        narrow_height=1.0 + 0.55 * len(rows),
    )  # fmt: skip


def _against(rates: HitRates, place: str) -> tuple[str, str]:
    """Title and sentence on one place; empty where it was not measured."""
    gap, ours, theirs = rates.difference(place), rates.rate(place, SUGGESTION), rates.rate(place, BESTSELLER)
    if gap is None or ours is None or theirs is None:
        return "", ""
    points = formats.number(abs(100 * gap["difference"]), digits=1)
    ends = f"{formats.number(100 * gap['low'], digits=1)} to {formats.number(100 * gap['high'], digits=1)}"
    hits = f"{formats.share(ours['rate'], digits=1)} of {ours['trials']:,} trials, a bestseller {formats.share(theirs['rate'], digits=1)} (difference {ends} points)"
    if place == BESIDE:
        title = {
            BETTER: f"Suggestions beat bestsellers beside a product, by {points} points",
            BEATEN: f"Bestsellers beat suggestions beside a product, by {points} points",
        }.get(
            gap["verdict"],
            "Suggestions and bestsellers do equally well beside a product: bestsellers are the plainer choice",
        )
        return title, f"Beside a product, what would have been suggested was in the same later basket in {hits}."
    use = {
        BETTER: "so the list of who owns one side only is worth a test",
        BEATEN: "so a bestseller is the likelier next purchase; whether writing about either adds any, only a test tells",
    }.get(gap["verdict"], "no difference found, so the plainer bestsellers are the choice")
    title = {BETTER: f"To customers, suggestions beat bestsellers by {points} points",
             BEATEN: f"To customers, bestsellers beat suggestions by {points} points"}.get(
        gap["verdict"], "To customers, suggestions and bestsellers do equally well: bestsellers are the plainer choice")  # fmt: skip
    return title, f"Of customers who owned one side of a pair only, the other was bought later in {hits}, {use}."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
