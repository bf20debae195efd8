"""What the baskets page shows: figures and tables, each titled with its finding."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.baskets.facts import Baskets
from crmlib.analysis.baskets.later import GONE, HELD, LEAST_CUSTOMERS, UNCLEAR, Validation
from crmlib.analysis.baskets.recommend import (
    BEATEN,
    BESIDE,
    BESTSELLER,
    BETTER,
    SUGGESTION,
    TO_CUSTOMER,
    HitRates,
)
from crmlib.analysis.baskets.rules import Rules
from crmlib.analysis.baskets.sequences import Sequences
from crmlib.analysis.baskets.strata import SEASON, SIZE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORDS = {
    "product": ("product", "products"),
    "category": ("kind of product", "kinds of product"),
    "brand": ("brand", "brands"),
}
_SHOWN, _SHOWN_NARROW, _LARGEST_BAR = 20, 8, 10
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_LATER = {HELD: "yes", UNCLEAR: "too few to tell", GONE: "no", "": "not known"}
_PLACES = {BESIDE: "Beside a product", TO_CUSTOMER: "To a customer"}
_METHODS = {SUGGESTION: "the suggestion", BESTSELLER: "a bestseller"}
_DIMENSIONS = {"customers": "new and returning customers", "channel": "acquisition channel", SIZE: "basket size"}


def figure_pairs(
    rules: Rules, suggestions: pd.DataFrame, validation: Validation, *, strata: pd.DataFrame, level: str
) -> figures.Figure:
    """Which pairs stand out, by how much, and did they lately?"""
    if suggestions.empty:
        return _no_pairs(rules, level=level)
    chosen = suggestions.head(_SHOWN)
    later = validation.shown.set_index("itemset")["times"] if len(validation.shown) else pd.Series(dtype=float)
    table = chosen.assign(lately=[float(later.get(pair, np.nan)) for pair in chosen["pair"]])
    ordered = table.sort_values("times", ascending=False, ignore_index=True)

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        rows = table.head(_SHOWN_NARROW).sort_values("times", ascending=False) if narrow else ordered
        y = np.arange(len(rows), dtype=float)
        ax.hlines(y, rows["times_low"], rows["times_high"], color=figures.ACCENT, linewidth=2)
        sns.scatterplot(x=rows["times"].to_numpy(), y=y, ax=ax, color=figures.ACCENT, s=55, zorder=3, legend=False)
        ax.scatter(rows["lately"], y, s=60, facecolors="none", edgecolors=figures.ORANGE, linewidths=1.6, zorder=4)
        _times_axis(
            ax, rows[["times_low", "times_high", "lately"]].to_numpy(dtype=float), narrow=narrow, rows=len(rows)
        )
        _row_labels(
            ax, y, [_pair_label(row.item, row.suggest, narrow=narrow) for row in rows.itertuples()], narrow=narrow
        )

    first = suggestions.iloc[0]
    named = f"{first['item']} and {first['suggest']}"
    seasons = strata[(strata["pair"] == first["pair"]) & (strata["dimension"] == SEASON)]
    if len(seasons) == 4 and (seasons["times_low"] > 1).all():
        title = f"{named} belong together, all year"
    else:
        title = f"{named}: together {times_text(first['times'])} times as often as chance"
    best = "most margin" if suggestions["margin_low"].notna().any() else "most baskets"
    lines = max(_pair_label(row.item, row.suggest, narrow=True).count("\n") + 1 for row in chosen.itertuples())
    wide_lines = max(_pair_label(row.item, row.suggest, narrow=False).count("\n") + 1 for row in chosen.itertuples())
    ring = " Rings: the last quarter of the time alone." if table["lately"].notna().any() else ""
    span = f"{times_text(ordered['times'].min())} to {times_text(ordered['times'].max())}"
    shown = table[["item", "suggest", "times", "times_low", "times_high", "lately"]]
    return figures.draw(
        paint,
        title=title,
        sentence=(
            f"This pair is in {first['baskets']:,} baskets of {first['customers']:,} customers where chance, given basket size, would put it in "
            f"{formats.number(first['expected'])}: {times_text(first['times'])} times as often ({times_text(first['times_low'])}–"
            f"{times_text(first['times_high'])}). It heads the list because even at the low end it adds {best} beyond chance."
        ),
        caption=(
            "Times as often together as chance, given basket size, luck taken off by shrinkage (dots), with 95 % ranges of what "
            f"other customers would have given.{ring} Logarithmic scale."
        ),
        alt=(
            f"Dot plot of {len(ordered)} pairs by how many times as often as chance they are bought together, given basket size: "
            f"from {span}, chance marked at 1. On top {ordered.iloc[0]['item']} with {ordered.iloc[0]['suggest']}."
        ),
        table=figures.tabulate(
            shown,
            caption="Pairs bought together more often than chance, given basket size",
            labels={"item": "Item", "suggest": "With", "times": "Times chance", "times_low": "From", "times_high": "To",
                    "lately": "Last quarter alone"},
            formats=dict.fromkeys(("times", "times_low", "times_high", "lately"), times_text),
            file="tables/rules.csv",
        ),
        height=1.0 + len(ordered) * (0.14 + 0.19 * wide_lines),
        narrow_height=0.9 + min(len(ordered), _SHOWN_NARROW) * (0.36 + 0.15 * lines),
    )  # fmt: skip


def figure_suggestions(suggestions: pd.DataFrame, baskets: Baskets, *, left_out: int) -> figures.Figure:
    """What can be shown with what, what stands behind it, and how much room is there?"""
    _, many = WORDS[baskets.level]
    money = suggestions["room"].notna().any() if len(suggestions) else False
    shown = suggestions.assign(
        range=[
            f"{times_text(r.times)} ({times_text(r.times_low)}–{times_text(r.times_high)})"
            for r in suggestions.itertuples()
        ],
        later=suggestions["later"].map(_LATER),
        money=[_room_text(r.room, r.room_low, r.room_high, baskets.currency) for r in suggestions.itertuples()],
        extra=[formats.number(1000 * r.extra_low / baskets.n, digits=1) for r in suggestions.itertuples()],
    )
    if suggestions.empty:
        title = f"No pair of {many} can be suggested yet"
    elif money:
        total = most_room(suggestions, baskets.currency)
        title = (
            f"{counted(len(suggestions), 'pair', 'pairs')} to try: at most {total} of room per 1,000 baskets; untested"
        )
    else:
        title = f"{counted(len(suggestions), 'pair', 'pairs')} of {many} can be tried as suggestions"
    relatives = f" {counted(left_out, 'pair', 'pairs')} of sizes, sets or gifts of one another {'is' if left_out == 1 else 'are'} left out."
    worth = (
        "They are in order of the margin that they add beyond chance even at the low end. Room is the margin if those who now take only the first "
        "could be won as often as others take both beyond chance; nothing says that a suggestion does that."
        if money
        else "Product costs are not known, so the order is by baskets beyond chance, not by margin."
    )
    worth_column = (
        {"money": "Room, margin per 1,000 baskets"}
        if money
        else {"extra": "Beyond chance, per 1,000 baskets, at least"}
    )
    return figures.show_table(
        figures.tabulate(
            shown,
            caption=f"Shown with: pairs with at least {LEAST_CUSTOMERS} customers behind them",
            labels={"item": "Shown with", "suggest": "Suggest", "baskets": "Baskets", "customers": "Customers",
                    "share": "Of its baskets", "range": "Times chance (range)", **worth_column, "later": "Held later"},
            formats={"baskets": formats.number, "customers": formats.number, "share": lambda v: formats.share(v, digits=1)},
            file="tables/suggestions.csv",
        ),
        title=title,
        sentence=(
            f"Each is more often together than chance given basket size, also within single months and groups of customers where known, in baskets of at least {LEAST_CUSTOMERS} "
            f"customers.{relatives} {worth}"
        ),
    )  # fmt: skip


def figure_season(rules: Rules, baskets: Baskets) -> figures.Figure:
    """Which pairs does the season explain?"""
    table = rules.table
    pairs = table[table["above"] & (table["itemset"].map(len) == 2)].drop_duplicates("itemset")
    tested = pairs[pairs["times_in_months"].notna()] if "times_in_months" in pairs else pairs.head(0)
    if tested.empty:
        return figures.show_table(
            figures.tabulate(pd.DataFrame({"what": ["Pairs held against their months"], "pairs": [0]}), caption="What was looked at",
                             labels={"what": "What", "pairs": "Pairs"}),
            title="Whether a season makes the pairs is not known",
            sentence="No pair could be held against the months it was sold in.",
        )  # fmt: skip
    only = tested[~tested["beyond_season"]]
    # The pairs that the season explains come first, then those that lead the list.
    rows = pd.concat([only, tested[tested["beyond_season"]]]).head(_SHOWN)
    shown = pd.DataFrame(
        {
            "pair": [" + ".join(baskets.names[i] for i in pair) for pair in rows["itemset"]],
            "label": [_pair_label(*(baskets.names[i] for i in pair), narrow=False) for pair in rows["itemset"]],
            "label_narrow": [_pair_label(*(baskets.names[i] for i in pair), narrow=True) for pair in rows["itemset"]],
            "baskets": rows["count"].to_numpy(),
            "times": rows["times"].to_numpy(),
            "within": rows["times_in_months"].to_numpy(),
        }
    )
    if only.empty:
        title = "No pair found is explained by the months its items sell in"
        sentence = (
            f"All {len(tested):,} pairs above chance stay above it when each month is held against its own totals."
        )
    else:
        names = " and ".join(baskets.names[i] for i in only.iloc[0]["itemset"])
        title = f"{names}: only the season"
        if len(only) > 1:
            title = f"{names} belong to the season only, as do {counted(len(only) - 1, 'other pair', 'other pairs')}"
        sentence = (
            f"Of {len(tested):,} pairs above chance over the whole time, {counted(len(only), 'is', 'are')} not shown to be above it once "
            "each month is held against its own totals, so not suggested."
        )

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        drawn = shown.head(_SHOWN_NARROW) if narrow else shown
        y = np.arange(len(drawn), dtype=float)
        ax.hlines(
            y,
            drawn[["times", "within"]].min(axis=1),
            drawn[["times", "within"]].max(axis=1),
            color=figures.SOFT,
            linewidth=2,
        )
        sns.scatterplot(x=drawn["times"].to_numpy(), y=y, ax=ax, color=figures.SOFT, s=55, zorder=3, legend=False)
        sns.scatterplot(x=drawn["within"].to_numpy(), y=y, ax=ax, color=figures.ACCENT, s=55, zorder=4, legend=False)
        _times_axis(ax, drawn[["times", "within"]].to_numpy(dtype=float), narrow=narrow, rows=len(drawn))
        _row_labels(ax, y, drawn["label_narrow" if narrow else "label"], narrow=narrow)

    lines = max(label.count("\n") + 1 for label in shown["label"])
    lines_narrow = max(label.count("\n") + 1 for label in shown["label_narrow"])
    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        caption="Times as often together as chance: over the whole time (pale) and with each month held against its own totals (dark). Logarithmic scale.",
        alt=(
            f"Dot plot of {len(shown)} pairs by times as often as chance, over the whole time and within months: within months from "
            f"{times_text(shown['within'].min())} to {times_text(shown['within'].max())}, chance marked at 1."
        ),
        table=figures.tabulate(
            shown,
            caption="Pairs above chance over the whole time, and within months",
            labels={"pair": "Pair", "baskets": "Baskets", "times": "Times chance, whole time", "within": "Times chance, within months"},
            formats={"baskets": formats.number, "times": times_text, "within": times_text},
            file="tables/rules.csv",
        ),
        height=1.0 + len(shown) * (0.14 + 0.19 * lines),
        narrow_height=0.9 + min(len(shown), _SHOWN_NARROW) * (0.36 + 0.15 * lines_narrow),
    )  # fmt: skip


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
        title = "The pairs hold for new and returning customers, in small baskets and in large" if "customers" in set(
            parts["dimension"]) else "The pairs hold in small baskets and in large"  # fmt: skip
        sentence = (
            f"By {_listed(dimensions)}, each part held against its own totals, no pair is found below chance in any of "
            f"{len(parts):,} parts looked at. The larger the baskets, the more meets by chance anyway, so the smaller the factor."
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
            else f"{title}, and so do {counted(len(replaced) - 1, 'other pair', 'other pairs')}"
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
            f"({times_text(first['times_low'])}–{times_text(first['times_high'])}) with sales held equal. A reminder can be timed by it; whether it sells more, only a test tells."
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
        _row_labels(ax, y, labels, narrow=narrow)

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
            BETTER: f"Beside a product, suggestions beat bestsellers by {points} points",
            BEATEN: f"Beside a product, bestsellers beat suggestions by {points} points",
        }.get(gap["verdict"], "Beside a product, suggestions and bestsellers do equally well: show bestsellers")
        return title, f"Beside a product, what would have been suggested was in the same later basket in {hits}."
    use = {
        BETTER: "so the list of who owns one side only is worth using",
        BEATEN: "so write to customers about bestsellers they do not own, not about pairs",
    }.get(gap["verdict"], "no difference found, so the plainer bestsellers are the choice")
    title = {BETTER: f"To customers, suggestions beat bestsellers by {points} points",
             BEATEN: f"To customers, bestsellers beat suggestions by {points} points"}.get(
        gap["verdict"], "To customers, suggestions and bestsellers do equally well: send bestsellers")  # fmt: skip
    return title, f"Of customers who owned one side of a pair only, the other was bought later in {hits}, {use}."


def figure_sizes(baskets: Baskets) -> figures.Figure:
    """How large are baskets, and how much do the large ones weigh?"""
    one, many = WORDS[baskets.level]
    sizes = baskets.sizes
    top = _LARGEST_BAR
    counts = np.bincount(np.minimum(sizes, top), minlength=top + 1)[1:]
    share = counts / baskets.n
    places = sizes * (sizes - 1)
    large = sizes >= top
    weight = float(places[large].sum() / places.sum()) if places.sum() else 0.0
    multiple = float((sizes >= 2).mean())
    labels = [str(size) for size in range(1, top)] + [f"{top}+"]

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        sns.barplot(x=labels, y=share, ax=ax, color=figures.SOFT, saturation=1, width=0.78)
        ax.patches[-1].set_facecolor(figures.ACCENT)
        ax.set(xlabel=f"{many} in a basket", ylabel="", ylim=(0, share.max() * 1.15))
        ax.set_yticks([])
        ax.grid(visible=False)
        for place, value in enumerate(share):
            if not narrow or place in (0, 1, 2, 3, top - 1):
                ax.annotate(formats.share(value, digits=0 if value >= 0.095 else 1), (place, value), xytext=(0, 3),
                            textcoords="offset points", ha="center", fontsize=8 if narrow else 10)  # fmt: skip

    table = pd.DataFrame({"size": labels, "baskets": counts, "share": share})
    return figures.draw(
        paint,
        title=f"{formats.share(multiple)} of baskets hold two or more {many}",
        sentence=(
            f"Baskets of {top} or more are {formats.share(float(large.mean()), digits=1)} of all, but hold {formats.share(weight)} of all pairs. "
            "In them anything meets anything, which is why chance is reckoned given basket size."
        ),
        caption=f"Share of baskets by the number of different {many} in them; {baskets.n:,} baskets.",
        alt=f"Bar chart of basket sizes from 1 to {top} and more: {formats.share(share[0])} hold one {one}, {formats.share(share[-1], digits=1)} hold {top} or more.",
        table=figures.tabulate(
            table,
            caption=f"Baskets by number of different {many}",
            labels={"size": many.capitalize(), "baskets": "Baskets", "share": "Share"},
            formats={"baskets": formats.number, "share": lambda v: formats.share(v, digits=1)},
        ),
        height=3.4,
        narrow_height=2.6,
    )  # fmt: skip


def _no_pairs(rules: Rules, *, level: str) -> figures.Figure:
    _, many = WORDS[level]
    found = (
        f"{counted(rules.pairs, 'pair is', 'pairs are')} above chance given basket size"
        if rules.pairs
        else "No pair is above chance given basket size"
    )
    return figures.show_table(
        figures.tabulate(
            pd.DataFrame(
                {
                    "what": ["Pairs looked at", "Above chance, given basket size", "Worth a try"],
                    "pairs": [rules.pairs_searched, rules.pairs, 0],
                }
            ),
            caption="What was looked at",
            labels={"what": "What", "pairs": "Pairs"},
            formats={"pairs": formats.number},
        ),
        title=f"No pair of {many} stands out enough to be shown",
        sentence=f"{found}; to be listed, a pair also needs {LEAST_CUSTOMERS} customers and must not be made by the season.",
    )


def _pair_label(first: str, second: str, *, narrow: bool) -> str:
    width = 46 if narrow else 40
    text = f"{first} + {second}"
    if len(text) <= width:
        return text
    return "\n".join([*textwrap.wrap(first, width), *textwrap.wrap(f"+ {second}", width)])


def times_text(value: float) -> str:
    """How many times, with the digits it deserves."""
    return formats.number(value, digits=1 if value >= 1.95 else 2)


def counted(count: int, one: str, many: str) -> str:
    """'1 pair', '2 pairs'."""
    return f"{count:,} {one if count == 1 else many}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def most_room(suggestions: pd.DataFrame, currency: str) -> str:
    """The upper end of all the room together, to two digits."""
    high = float(suggestions["room_high"].sum())
    step = 10 ** max(math.floor(math.log10(high)) - 1, 0) if high > 0 else 1
    return formats.money(math.ceil(high / step) * step, currency)


def _room_text(value: float, low: float, high: float, currency: str) -> str:
    if not np.isfinite(value):
        return formats.NOTHING
    return f"{formats.quantity(value, currency, low=low, high=high)} ({formats.interval(low, high, currency)})"


def _times_axis(
    ax: Axes, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], *, narrow: bool, rows: int
) -> None:
    """A logarithmic axis of times chance, with chance marked."""
    low, high = min(0.9, np.nanmin(values) * 0.95), np.nanmax(values) * 1.15
    ax.set(xscale="log", xlim=(low, high), xlabel="", ylabel="", ylim=(rows - 0.4, -1.1 if narrow else -0.8))
    ax.axvline(1, color=figures.MUTED, linewidth=1.2)
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    ax.set_xticks(ticks, ["1 = chance" if tick == 1 else f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", visible=True)


def _row_labels(
    ax: Axes, y: np.ndarray[tuple[int], np.dtype[np.float64]], labels: Iterable[str], *, narrow: bool
) -> None:
    """Names of the rows: on the axis, or above the marks on a phone."""
    if narrow:
        ax.set_yticks([])
        for place, label in zip(y, labels, strict=True):
            ax.text(0, place - 0.18, label, transform=ax.get_yaxis_transform(), va="bottom", color=figures.INK,
                    fontsize=8.5, parse_math=False,
                    bbox={"facecolor": figures.PAPER, "edgecolor": "none", "pad": 0.8})  # fmt: skip
    else:
        ax.set_yticks(y, list(labels))
        for tick in ax.get_yticklabels():
            tick.set(parse_math=False, color=figures.INK)
