"""What the baskets page shows: figures and tables, each titled with its finding."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.baskets.facts import Baskets
from crmlib.analysis.baskets.rules import Rules, directions
from crmlib.analysis.baskets.strata import LARGE, SEASON, SEASONS, SIZE, season_of
from crmlib.analysis.baskets.validation import GONE, HELD, LEAST_CUSTOMERS, UNCLEAR, Validation, by_season

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORDS = {
    "product": ("product", "products"),
    "category": ("kind of product", "kinds of product"),
    "brand": ("brand", "brands"),
}
_SHOWN, _SHOWN_NARROW, _LARGEST_BAR = 20, 12, 10
_SEASON_WORDS = dict(
    zip(SEASONS, ("December to February", "March to May", "June to August", "September to November"), strict=True)
)
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_LATER = {HELD: "yes", UNCLEAR: "too few to tell", GONE: "no", "": "not known"}


def figure_pairs(
    rules: Rules, suggestions: pd.DataFrame, validation: Validation, *, strata: pd.DataFrame, level: str
) -> figures.Figure:
    """Which pairs stand out, by how much, and did they lately?"""
    if suggestions.empty:
        return _no_pairs(rules, level=level)
    chosen = suggestions.head(_SHOWN)
    later = validation.shown.set_index("itemset")["times_over_all"] if len(validation.shown) else pd.Series(dtype=float)
    table = chosen.assign(lately=[float(later.get(pair, np.nan)) for pair in chosen["pair"]])
    rings = bool(table["lately"].notna().any())

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        rows = table.head(_SHOWN_NARROW) if narrow else table
        y = np.arange(len(rows), dtype=float)
        ax.hlines(y, rows["times_low"], rows["times_high"], color=figures.ACCENT, linewidth=2)
        sns.scatterplot(x=rows["times"].to_numpy(), y=y, ax=ax, color=figures.ACCENT, s=55, zorder=3, legend=False)
        ax.scatter(rows["lately"], y, s=60, facecolors="none", edgecolors=figures.ORANGE, linewidths=1.6, zorder=4)
        _times_axis(
            ax, rows[["times_low", "times_high", "lately"]].to_numpy(dtype=float), narrow=narrow, rows=len(rows)
        )
        figures.row_labels(
            ax, y, [_pair_label(row.item, row.suggest, narrow=narrow) for row in rows.itertuples()], narrow=narrow
        )
        _key(ax, ("whole time", figures.ACCENT), *([(f"{validation.lately} alone", figures.ORANGE)] if rings else []))

    first = suggestions.iloc[0]
    named = f"{first['item']} and {first['suggest']}"
    seasons = strata[(strata["pair"] == first["pair"]) & (strata["dimension"] == SEASON)]
    if len(seasons) == 4 and (seasons["times_low"] > 1).all():
        title = f"{named} belong together, all year"
    else:
        title = f"{named}: together {times_text(first['times'])} times as often as chance"
    by_size = strata[(strata["pair"] == first["pair"]) & (strata["dimension"] == SIZE)]
    apart = _by_size(by_size, overall=float(first["times"]), level=level)
    best = (
        "has the most room in margin (next section)"
        if suggestions["room"].notna().any()
        else "adds most baskets beyond chance even at the low end"
    )
    lines = max(_pair_label(row.item, row.suggest, narrow=True).count("\n") + 1 for row in chosen.itertuples())
    wide_lines = max(_pair_label(row.item, row.suggest, narrow=False).count("\n") + 1 for row in chosen.itertuples())
    ring = f" Rings: the {validation.lately} alone." if rings else ""
    span = f"{times_text(table['times'].min())} to {times_text(table['times'].max())}"
    top = table.loc[table["times"].idxmax()]
    shown = table[["item", "suggest", "times", "times_low", "times_high", "lately"]]
    return figures.draw(
        paint,
        title=title,
        sentence=(
            f"This pair is in {first['baskets']:,} baskets of {first['customers']:,} customers where chance, given basket size, would put it in "
            f"{formats.number(first['expected'])}: {_about(first['times'])} times as often as chance ({times_text(first['times_low'])}–"
            f"{times_text(first['times_high'])}).{apart} It heads the list because it {best}."
        ),
        caption=(
            "Times as often together as chance, given basket size (dots), drawn a little towards what all pairs do so that few baskets "
            "do not look like much; lines: the 95 % range, had other customers come."
            f"{ring} {_shown_of(len(suggestions))}Each step to the right multiplies."
        ),
        alt=(
            f"Dot plot of {len(table)} pairs by how many times as often as chance they are bought together, given basket size: "
            f"from {span}, chance marked at 1. The highest is {top['item']} with {top['suggest']}."
        ),
        table=figures.tabulate(
            shown,
            caption="Pairs bought together more often than chance, given basket size",
            labels={"item": "Item", "suggest": "With", "times": "Times chance", "times_low": "From", "times_high": "To",
                    "lately": f"{validation.lately.capitalize()} alone"},
            formats=dict.fromkeys(("times", "times_low", "times_high", "lately"), times_text),
            file="tables/rules.csv",
        ),
        height=1.0 + len(table) * (0.14 + 0.19 * wide_lines),
        narrow_height=0.9 + min(len(table), _SHOWN_NARROW) * (0.36 + 0.15 * lines),
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
        title = f"{counted(len(suggestions), 'pair', 'pairs')} of {many} to try, with room for {room(suggestions, baskets.currency)}; untested"
    else:
        title = f"{counted(len(suggestions), 'pair', 'pairs')} of {many} can be tried as suggestions"
    relatives = (
        f" {counted(left_out, 'pair', 'pairs')} of sizes, sets or gifts of one another {'is' if left_out == 1 else 'are'} left out."
        if left_out
        else ""
    )
    worth = (
        f"Room: the extra margin if suggesting worked as well as the habit already does{_thousand(baskets)}. Untested."
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
            f"Each is above chance given basket size, also within months and groups of customers where these are known.{relatives} {worth}"
        ),
    )  # fmt: skip


def figure_season(rules: Rules, baskets: Baskets, *, suggestions: pd.DataFrame) -> figures.Figure:
    """Which pairs does the season explain? Those first, then the suggestions in their order, then the rest."""
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
    explained = by_season(tested)
    only = pd.concat([tested[explained], tested[~tested["beyond_season"].astype(bool) & ~explained]])
    place = {pair: row for row, pair in enumerate(suggestions["pair"])}
    beyond = tested[tested["beyond_season"].astype(bool)]
    beyond = beyond.iloc[np.argsort([place.get(pair, len(place)) for pair in beyond["itemset"]], kind="stable")]
    rows = pd.concat([only, beyond]).head(_SHOWN)
    way = directions(rules)
    named = [[baskets.names[i] for i in way[pair]] for pair in rows["itemset"]]
    busiest = [season_of(pair, baskets) for pair in rows["itemset"]]
    shown = pd.DataFrame(
        {
            "pair": [" + ".join(names) for names in named],
            "label": [_pair_label(*names, narrow=False) for names in named],
            "label_narrow": [_pair_label(*names, narrow=True) for names in named],
            "baskets": rows["count"].to_numpy(),
            "times": rows["times"].to_numpy(), "times_low": rows["times_low"].to_numpy(), "times_high": rows["times_high"].to_numpy(),
            "within": rows["times_in_months"].to_numpy(), "within_low": rows["times_low_in_months"].to_numpy(),
            "within_high": rows["times_high_in_months"].to_numpy(),
            "busiest": [f"{season} ({formats.share(part)})" for season, part in busiest],
        }
    )  # fmt: skip
    shown["range"] = [_ranged(r.times, r.times_low, r.times_high) for r in shown.itertuples()]
    shown["range_within"] = [_ranged(r.within, r.within_low, r.within_high) for r in shown.itertuples()]
    if only.empty:
        title = "No pair found is explained by the months its items sell in"
        sentence = (
            f"All {len(tested):,} pairs above chance stay above it when each month is held against its own totals."
        )
    else:
        first, (season, part) = shown.iloc[0], busiest[0]
        alike = int(explained.sum()) if explained.any() else len(only)
        names = " and ".join(named[0])
        title = f"{names} {'are explained by' if explained.any() else 'cannot be told from'} the season"
        if alike > 1:
            title += f", and so {'is' if alike == 2 else 'are'} {counted(alike - 1, 'other pair', 'other pairs')}" if explained.any() else (
                f", nor can {counted(alike - 1, 'other pair', 'other pairs')}")  # fmt: skip
        sentence = (
            f"Within months they are together {times_text(first['within'])} times as often as chance ({times_text(first['within_low'])}–"
            f"{times_text(first['within_high'])}), over the whole time {first['range']}; {'all' if part == 1 else formats.share(part)} of their {first['baskets']:,} baskets "
            f"are from {_SEASON_WORDS[season]}. Of {len(tested):,} pairs above chance over "
            f"the whole time, {len(only):,} {'is' if len(only) == 1 else 'are'} not found above it within months, so not suggested."
        )

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        drawn = shown.head(_SHOWN_NARROW) if narrow else shown
        y = np.arange(len(drawn), dtype=float)
        # On a phone the names stand above the marks.
        pale, dark = (0.05, 0.25) if narrow else (-0.1, 0.1)
        for name, colour, off in (("times", figures.SOFT, pale), ("within", figures.ACCENT, dark)):
            ax.hlines(y + off, drawn[f"{name}_low"], drawn[f"{name}_high"], color=colour, linewidth=2)
            sns.scatterplot(x=drawn[name].to_numpy(), y=y + off, ax=ax, color=colour, s=45, zorder=3, legend=False)
        ends = ["times", "times_low", "times_high", "within", "within_low", "within_high"]
        _times_axis(ax, drawn[ends].to_numpy(dtype=float), narrow=narrow, rows=len(drawn))
        figures.row_labels(ax, y, drawn["label_narrow" if narrow else "label"], narrow=narrow)
        _key(ax, ("whole time", figures.MUTED), ("within months", figures.ACCENT))

    lines = max(label.count("\n") + 1 for label in shown["label"])
    lines_narrow = max(label.count("\n") + 1 for label in shown["label_narrow"])
    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        caption="Times as often together as chance: over the whole time (pale) and with each month held against its own sales (dark), each with its 95 % range. "
        f"{_shown_of(len(tested))}Each step to the right multiplies.",
        alt=(
            f"Dot plot of {len(shown)} pairs by times as often as chance, over the whole time and within months: within months from "
            f"{times_text(shown['within'].min())} to {times_text(shown['within'].max())}, chance marked at 1."
        ),
        table=figures.tabulate(
            shown,
            caption="Pairs above chance over the whole time, and within months",
            labels={"pair": "Pair", "baskets": "Baskets", "busiest": "Most of them in", "range": "Times chance, whole time (range)",
                    "range_within": "Times chance, within months (range)"},
            formats={"baskets": formats.number},
            file="tables/rules.csv",
        ),
        height=1.0 + len(shown) * (0.14 + 0.19 * lines),
        narrow_height=0.9 + min(len(shown), _SHOWN_NARROW) * (0.36 + 0.15 * lines_narrow),
    )  # fmt: skip


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


def _about(value: float) -> str:
    """The same inside a sentence: '5', '36', '1.82'."""
    return (
        formats.number(value) if value >= 9.95 or abs(value - round(value)) < 0.05 <= value - 1 else times_text(value)
    )


def _ranged(value: float, low: float, high: float) -> str:
    return f"{times_text(value)} ({times_text(low)}–{times_text(high)})"


def _by_size(parts: pd.DataFrame, *, overall: float, level: str) -> str:
    """How a pair stands out in small baskets and in large, as a sentence; '' unless it stands out less the larger they are."""
    if len(parts) < 2 or not parts["times"].is_monotonic_decreasing or parts.iloc[0]["times"] <= overall:
        return ""
    _, many = WORDS[level]
    *small, last = parts.itertuples()
    sizes = [f"{_about(part.times)} times with {part.part.removesuffix(' items')}" for part in small]
    sizes[0] += f" {many}"
    text = f" In small baskets far more ({', '.join(sizes)})"
    if str(last.part).startswith(str(LARGE)):
        return f"{text}; in baskets of {last.part} anything meets anything ({times_text(last.times)})."
    return f"{text}, in those of {last.part} {times_text(last.times)}."


def _shown_of(pairs: int) -> str:
    """What a drawing leaves out, as a sentence with a space behind it; '' where it shows all."""
    if pairs > _SHOWN:
        return f"Drawn are the first {_SHOWN} of {pairs:,} (on a phone {_SHOWN_NARROW}). "
    return f"On a phone the first {_SHOWN_NARROW} of {pairs} are drawn. " if pairs > _SHOWN_NARROW else ""


def _thousand(baskets: Baskets) -> str:
    """How long 1,000 baskets take at last year's pace: '; 1,000 baskets are about 19 days of orders'."""
    if baskets.days.isna().any() or not baskets.n:
        return ""
    last = baskets.days.max()
    since = max(baskets.days.min(), last - pd.Timedelta(days=364))
    a_day = int((baskets.days >= since).sum()) * baskets.one_in / ((last - since).days + 1)
    days = max(1, round(1000 / a_day))
    return f"; 1,000 baskets are about {counted(days, 'day', 'days')} of orders"


def counted(count: int, one: str, many: str) -> str:
    """'1 pair', '2 pairs'."""
    return f"{count:,} {one if count == 1 else many}"


def room(suggestions: pd.DataFrame, currency: str) -> str:
    """All the room together, to two digits: 'about €350 of margin per 1,000 baskets (up to €400)'."""
    value, high = (float(suggestions[name].sum()) for name in ("room", "room_high"))
    step = 10 ** max(math.floor(math.log10(high)) - 1, 0) if high > 0 else 1
    most = formats.money(math.ceil(high / step) * step, currency)
    return f"about {formats.money(round(value / step) * step, currency)} of margin per 1,000 baskets (up to {most})"


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


def _key(ax: Axes, *kinds: tuple[str, str]) -> None:
    """What the colours stand for, in words of their colour above the drawing."""
    from matplotlib.artist import Artist
    from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea

    words: list[Artist] = [TextArea(word, textprops={"color": color, "fontsize": 9}) for word, color in kinds]
    row = HPacker(children=words, pad=0, sep=12)
    ax.add_artist(
        AnchoredOffsetbox(
            "lower right",
            child=row,
            pad=0,
            borderpad=0,
            frameon=False,
            bbox_to_anchor=(1, 1),
            bbox_transform=ax.transAxes,
        )
    )
