"""What the baskets page compares: parts of the baskets, substitutes, sequences, suggestions against bestsellers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.baskets.drawings import counted, times_text
from crmlib.analysis.baskets.hits import (
    BEATEN,
    BESIDE,
    BESTSELLER,
    BETTER,
    FEW_ITEMS,
    MANY_ITEMS,
    SUGGESTION,
    TO_CUSTOMER,
    HitRates,
)
from crmlib.analysis.baskets.sequences import Sequences
from crmlib.analysis.baskets.strata import SEASON, SIZE
from crmlib.analysis.baskets.validation import LEAST_CUSTOMERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLACES = {BESIDE: "Beside a product", TO_CUSTOMER: "As next purchase"}
_METHODS = {SUGGESTION: "its pair", BESTSELLER: "a bestseller"}
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
            f"{len(parts):,} parts looked at; in the smaller parts that need not mean above it. In large baskets more meets by chance anyway, so there the factor is smaller."
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
            f"{_followed(first, found)}It came {first['after']:,} times after and {first['before']:,} times before, {times_text(first['times'])} times as often "
            f"({times_text(first['times_low'])}–{times_text(first['times_high'])}) with sales, and how late each is beside all others, held equal. A reminder can be timed by it; whether it sells more, only a test tells."
        )
    return figures.show_table(
        figures.tabulate(
            shown,
            caption=f"What comes in a later basket of the same customer within {found.window_days} days, against how often it came before; shares are of known customers' baskets "
            f"that had their {found.window_days} days",
            labels={"first": "After", "then": "Comes", "after": "Times after", "before": "Times before", "customers": "Customers",
                    "share_after": "Follows its baskets", "share_any": "Follows any basket", "range": "After over before (range)"},
            formats={"after": formats.number, "before": formats.number, "customers": formats.number}
            | dict.fromkeys(("share_after", "share_any"), lambda v: formats.share(v, digits=1)),
            rows=12,
            file="tables/sequences.csv",
        ),
        title=title,
        sentence=sentence,
    )  # fmt: skip


def _followed(row: pd.Series[float], found: Sequences) -> str:
    """How often the second follows the first, beside how often it follows anything; '' where no window is over."""
    if not row["baskets_first"]:
        return ""
    return (
        f"{formats.share(row['share_after'])} of known customers' {row['baskets_first']:,} baskets with {row['first']} were followed within {found.window_days} days by one with "
        f"{row['then']}; of all their baskets {formats.share(row['share_any'], digits=0 if row['share_any'] >= 0.095 else 1)} were. "
    )


def figure_hits(rates: HitRates) -> figures.Figure:
    """Is what would be suggested likelier to be bought than a bestseller?"""
    table = rates.rates
    if rates.why or table.empty:
        return figures.show_table(
            figures.tabulate(pd.DataFrame({"what": ["Later baskets tried"], "trials": [0]}), caption="What was tried", labels={"what": "What", "trials": "Trials"}),
            title="Whether a product's pair is likelier than a bestseller is not known",
            sentence=rates.why,
        )  # fmt: skip
    said = [_against(rates, place) for place in (BESIDE, TO_CUSTOMER)]
    title = next(text for text, _ in said if text)
    beside, written = rates.difference(BESIDE), rates.difference(TO_CUSTOMER)
    next_best = written is not None and written["verdict"] == BEATEN
    if rates.turned:
        title = _turned_title(rates, next_best=next_best)
    elif beside is not None and beside["verdict"] == BETTER and next_best:
        title = "Beside a product its pair is likelier than a bestseller; for the next purchase a bestseller is"
    sentence = " ".join(
        ["Nothing was shown or sent: this looks at what was bought anyway.", *(text for _, text in said if text)]
    )
    rows = [
        (place, method, row)
        for place in (BESIDE, TO_CUSTOMER)
        for method in (SUGGESTION, BESTSELLER)
        if (row := rates.rate(place, method)) is not None
    ]
    labels = [f"{_PLACES[place]}: {_method(place, method)}" for place, method, _ in rows]

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
        figures.row_labels(ax, y, labels, narrow=narrow)

    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        caption=f"How often each was bought, unprompted, with 95 % ranges; pairs and bestsellers are those of the time before, the baskets those of the last {rates.days:,} days.",
        alt=f"Dot plot of how often each was bought, with ranges, pairs against bestsellers: from {formats.share(table['rate'].min(), digits=1)} to {formats.share(table['rate'].max(), digits=1)}.",
        table=figures.tabulate(
            table.assign(
                place=table["place"].map(_PLACES),
                method=[_method(row.place, row.method) for row in table.itertuples()],
            ),
            caption="How often each was bought in later baskets, nothing shown",
            labels={"place": "Where", "size": "Baskets", "method": "What", "trials": "Trials", "customers": "Customers", "rate": "Bought", "low": "From", "high": "To"},
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
    hits = f"{formats.share(ours['rate'], digits=1)} of {ours['trials']:,} trials, a bestseller in {formats.share(theirs['rate'], digits=1)} (difference {ends} points)"
    if place == BESIDE:
        title = {
            BETTER: f"Beside a product its pair is likelier than a bestseller, by {points} points",
            BEATEN: f"Beside a product a bestseller is likelier than its pair, by {points} points",
        }.get(
            gap["verdict"],
            "Beside a product its pair and a bestseller are equally likely: bestsellers are the plainer choice",
        )
        return title, f"Beside a product, its pair was in the same later basket in {hits}.{by_size(rates)}"
    use = {
        BETTER: "so the list of who owns one side only is worth a test",
        BEATEN: "so a bestseller is the likelier next purchase; whether writing about either adds any, only a test tells",
    }.get(gap["verdict"], "no difference found, so the plainer bestsellers are the choice")
    title = {BETTER: f"As next purchase, the other side of a pair is likelier than a bestseller, by {points} points",
             BEATEN: f"As next purchase, a bestseller is likelier than the other side of a pair, by {points} points"}.get(
        gap["verdict"], "As next purchase, the other side of a pair and a bestseller are equally likely: bestsellers are the plainer choice")  # fmt: skip
    return title, f"Of customers who owned one side of a pair only, the other was bought later in {hits}, {use}."


def _method(place: str, method: str) -> str:
    return "the other side of a pair" if (place, method) == (TO_CUSTOMER, SUGGESTION) else _METHODS[method]


def _turned_title(rates: HitRates, *, next_best: bool) -> str:
    """The title where small and large baskets say the opposite."""
    if not rates.opposite:
        small = rates.difference(BESIDE, size=FEW_ITEMS)
        one, other = _first_of(small is not None and small["verdict"] == BETTER)
        return f"In baskets {FEW_ITEMS} {one} is likelier beside a product than {other}, in larger ones {other} is"
    overall = rates.difference(BESIDE)
    pair_first = overall is not None and overall["verdict"] == BETTER
    one, other = _first_of(pair_first)
    also = " nor as next purchase" if next_best and pair_first else ""
    return f"Beside a product {one} is likelier than {other}, but not in {'large' if rates.opposite == MANY_ITEMS else 'small'} baskets{also}"


def _first_of(pair_first: bool) -> tuple[str, str]:
    return ("its pair", "a bestseller") if pair_first else ("a bestseller", "its pair")


def of_size(size: str) -> str:
    """Behind 'baskets': 'under 11 items', 'of 11 items or more'."""
    return size if size == FEW_ITEMS else f"of {size}"


def by_size(rates: HitRates) -> str:
    """What small and large baskets held, with a space before it; '' where either has too few trials."""
    said = []
    for size in (FEW_ITEMS, MANY_ITEMS):
        pair, best = (rates.rate(BESIDE, method, size=size) for method in (SUGGESTION, BESTSELLER))
        if pair is None or best is None:
            return ""
        said.append(f"{formats.share(pair['rate'])} against {formats.share(best['rate'])}")
    turn = ": there it turns round" if rates.turned else ""
    return f" In baskets {FEW_ITEMS} that is {said[0]}, in those of {MANY_ITEMS} {said[1]}{turn}."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
