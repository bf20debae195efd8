"""The baskets page: figures, tables and findings, in a shop owner's words."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis import stats
from crmlib.analysis.baskets.facts import Baskets
from crmlib.analysis.baskets.later import GONE, HELD, LEAST_CUSTOMERS, UNCLEAR, Validation
from crmlib.analysis.baskets.rules import Rules
from crmlib.findings import Action, Caveat, Check, Findings, Metric

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


def figure_pairs(rules: Rules, suggestions: pd.DataFrame, validation: Validation, *, level: str) -> figures.Figure:
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
        ends = rows[["times_low", "times_high", "lately"]].to_numpy(dtype=float)
        low, high = min(0.9, np.nanmin(ends) * 0.95), np.nanmax(ends) * 1.15
        ax.set(xscale="log", xlim=(low, high), xlabel="", ylabel="", ylim=(len(rows) - 0.4, -1.1 if narrow else -0.8))
        ax.axvline(1, color=figures.MUTED, linewidth=1.2)
        ticks = [tick for tick in _TICKS if low <= tick <= high]
        ax.set_xticks(ticks, ["1 = chance" if tick == 1 else f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", visible=True)
        labels = [_pair_label(row.item, row.suggest, narrow=narrow) for row in rows.itertuples()]
        if narrow:
            ax.set_yticks([])
            for place, label in zip(y, labels, strict=True):
                ax.text(0, place - 0.18, label, transform=ax.get_yaxis_transform(), va="bottom", color=figures.INK,
                        fontsize=8.5, parse_math=False,
                        bbox={"facecolor": figures.PAPER, "edgecolor": "none", "pad": 0.8})  # fmt: skip
        else:
            ax.set_yticks(y, labels)
            for tick in ax.get_yticklabels():
                tick.set(parse_math=False, color=figures.INK)

    first = suggestions.iloc[0]
    lines = max(_pair_label(row.item, row.suggest, narrow=True).count("\n") + 1 for row in chosen.itertuples())
    wide_lines = max(_pair_label(row.item, row.suggest, narrow=False).count("\n") + 1 for row in chosen.itertuples())
    ring = " Rings: the last quarter of the time alone." if table["lately"].notna().any() else ""
    span = f"{_times(ordered['times'].min())} to {_times(ordered['times'].max())}"
    shown = table[["item", "suggest", "times", "times_low", "times_high", "lately"]]
    return figures.draw(
        paint,
        title=f"{first['item']} and {first['suggest']}: together {_times(first['times'])} times as often as chance",
        sentence=(
            f"Given basket size, this pair is in {first['baskets']:,} baskets of {first['customers']:,} customers where chance would put it in "
            f"{formats.number(first['baskets'] / first['times'])}. It heads the list because it adds most baskets beyond chance."
        ),
        caption=(
            "Times as often together as chance, given basket size (dots), with the range in which 95 of 100 such ranges "
            f"hold the truth, had other customers come.{ring} Logarithmic scale."
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
            formats=dict.fromkeys(("times", "times_low", "times_high", "lately"), _times),
            file="tables/rules.csv",
        ),
        height=1.0 + len(ordered) * (0.14 + 0.19 * wide_lines),
        narrow_height=0.9 + min(len(ordered), _SHOWN_NARROW) * (0.36 + 0.15 * lines),
    )  # fmt: skip


def figure_suggestions(suggestions: pd.DataFrame, *, level: str) -> figures.Figure:
    """What can be shown with what, and what stands behind it?"""
    _, many = WORDS[level]
    shown = suggestions.assign(
        range=[f"{_times(r.times)} ({_times(r.times_low)}–{_times(r.times_high)})" for r in suggestions.itertuples()],
        later=suggestions["later"].map(_LATER),
    )
    if suggestions.empty:
        title = f"No pair of {many} can be suggested yet"
    else:
        title = f"{_counted(len(suggestions), 'pair', 'pairs')} of {many} can be tried as suggestions"
    return figures.show_table(
        figures.tabulate(
            shown,
            caption=f"Shown with: pairs with at least {LEAST_CUSTOMERS} customers behind them",
            labels={"item": "Shown with", "suggest": "Suggest", "baskets": "Baskets", "customers": "Customers",
                    "share": "Of its baskets", "range": "Times chance (range)", "later": "Held later"},
            formats={"baskets": formats.number, "customers": formats.number, "share": lambda v: formats.share(v, digits=1)},
            file="tables/rules.csv",
        ),
        title=title,
        sentence=(
            f"Each is more often together than chance given basket size, also within single months where days are known, in baskets of at least {LEAST_CUSTOMERS} "
            "customers; the pairs that add most baskets beyond chance come first. Whether a suggestion sells more, only a test tells."
        ),
    )  # fmt: skip


def figure_season(rules: Rules, baskets: Baskets) -> figures.Figure:
    """Which pairs does the season explain?"""
    table = rules.table
    pairs = table[table["above"] & (table["itemset"].map(len) == 2)].drop_duplicates("itemset")
    tested = pairs[pairs["times_in_months"].notna()]
    only = tested[~tested["beyond_season"]]
    # Without such a pair, the table shows those that came nearest.
    nearest = tested.assign(left=tested["times_in_months"] / tested["times"]).sort_values("left", kind="stable").head(5)
    rows = nearest if only.empty else only
    shown = pd.DataFrame(
        {
            "pair": [" and ".join(baskets.names[i] for i in pair) for pair in rows["itemset"]],
            "baskets": rows["count"].to_numpy(),
            "times": rows["times"].to_numpy(),
            "within": rows["times_in_months"].to_numpy(),
        }
    )
    if tested.empty:
        title, sentence = (
            "Whether a season makes the pairs is not known",
            "No pair could be held against the months it was sold in.",
        )
    elif only.empty:
        title = "No pair found is explained by the months its items sell in"
        sentence = (
            f"All {len(tested):,} pairs above chance stay above it when each month is held against its own totals."
        )
    else:
        title = f"The season is enough to explain {shown.iloc[0]['pair']}"
        title = title if len(only) == 1 else f"The season is enough to explain {len(only):,} pairs"
        sentence = (
            f"Of {len(tested):,} pairs above chance over the whole time, {_counted(len(only), 'is', 'are')} not shown to be above it once "
            "each month is held against its own totals, so not suggested."
        )
    return figures.show_table(
        figures.tabulate(
            shown,
            caption="Pairs above chance over the whole time, "
            + ("those that weaken most within months" if only.empty else "but not shown to be within months"),
            labels={
                "pair": "Pair",
                "baskets": "Baskets",
                "times": "Times chance, whole time",
                "within": "Times chance, within months",
            },
            formats={"baskets": formats.number, "times": _times, "within": _times},
            rows=12,
            file="tables/rules.csv",
        ),
        title=title,
        sentence=sentence,
    )


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


def findings(baskets: Baskets, rules: Rules, validation: Validation, suggestions: pd.DataFrame) -> Findings:
    """What does this page say?"""
    _, many = WORDS[baskets.level]
    multiple = int((baskets.sizes >= 2).sum())
    pairs_tested = rules.pairs_searched
    listed = set(suggestions["pair"])
    held = validation.count(HELD)
    followed = len(validation.found)
    low, high = stats.share_interval(held, followed) if followed else (np.nan, np.nan)
    level_note = f"{many} are the items"
    metrics = (
        Metric(id="baskets", label="Baskets", value=baskets.n, unit="baskets", n=baskets.n, headline=True, note="all kept orders with something in them",
               definition="Kept orders with at least one line of positive quantity, guests and single items included."),
        Metric(id="multiple_share", label=f"Baskets with two or more {many}", value=multiple / baskets.n, unit="share", n=baskets.n, headline=True,
               note=f"{multiple:,} of {baskets.n:,}", definition=f"Share of baskets with at least two different {many}. A complete count."),
        Metric(id="pairs_above_chance", label="Pairs above chance, given basket size", value=rules.pairs, unit="pairs", n=pairs_tested, headline=True,
               note=f"of {pairs_tested:,} looked at; about {formats.share(rules.rate)} of those found may be false",
               definition="Pairs of items in more baskets than the configuration model expects of basket sizes and item totals, "
               f"Benjamini–Hochberg false-discovery rate {rules.rate:g}, customers as clusters."),
        Metric(id="held_later", label="Held up later", value=held / followed if followed else None, unit="share", n=followed or None,
               low=float(low) if followed else None, high=float(high) if followed else None, headline=True,
               note=f"{held:,} of {followed:,} pairs found earlier; range as if pairs were independent" if followed else validation.why or "no pairs to follow",
               definition="Share of the pairs found in the first three quarters of the time whose interval lies above chance again in the last."),
        Metric(id="suggestions", label="Pairs worth a try", value=len(suggestions), unit="pairs", n=rules.pairs, headline=True,
               note=f"of the {rules.pairs:,}, with {LEAST_CUSTOMERS} customers or more, not made by the season",
               definition=f"Pairs above chance given basket size, also within months, with at least {LEAST_CUSTOMERS} customers."),
        Metric(id="items", label=f"Different {many}", value=baskets.items, unit="items", n=baskets.n, definition=f"Distinct items in all baskets; {level_note}."),
        Metric(id="rules_mined", label="Rules with enough support and confidence", value=rules.mined, unit="rules", n=rules.searched,
               definition=f"All splits of sets of up to {rules.max_items} items in at least {rules.least:,} baskets, with confidence of at least {rules.min_confidence:g}."),
        Metric(id="rules_kept", label="Rules kept", value=rules.kept, unit="rules", n=rules.mined,
               definition="Of these, rules within the false-discovery rate" + ("." if rules.keep_redundant else " and not redundant beside a shorter rule.")),
        Metric(id="minimum_count", label="Baskets a rule must be in", value=rules.least, unit="baskets", n=baskets.n,
               definition=f"ceil({baskets.min_support:g} × {baskets.n:,}) in exact arithmetic."),
        Metric(id="searched", label="Candidate rules searched", value=rules.searched, unit="rules",
               definition="Every pair of frequent sets that could have been a rule, found or not; the correction counts them all."),
    )  # fmt: skip
    return Findings(
        report="baskets",
        lead=_lead(baskets, rules, suggestions),
        metrics=metrics,
        so_what=_so_what(validation, suggestions),
        how_sure=_how_sure(rules, validation),
        caveats=_caveats(baskets),
        actions=_actions(suggestions),
        checks=_checks(rules),
        tables={"rules": rules_table(rules, baskets, listed=listed)},
    )


def rules_table(rules: Rules, baskets: Baskets, *, listed: set[tuple[int, ...]]) -> pd.DataFrame:
    """One row a rule kept, as tables/rules.csv has it: ids and names as JSON arrays, then the measures."""
    table = rules.table

    def arrays(side: str, words: tuple[str, ...]) -> list[str]:
        # Positions follow the sorted ids, so ids come out sorted and names in the same order.
        return [json.dumps([words[i] for i in items], ensure_ascii=False) for items in table[side]]

    named = pd.DataFrame(
        {
            "antecedents": arrays("antecedent", baskets.ids),
            "antecedent_names": arrays("antecedent", baskets.names),
            "consequents": arrays("consequent", baskets.ids),
            "consequent_names": arrays("consequent", baskets.names),
        },
        index=table.index,
    )
    measured = table[
        ["count", "customers", "support", "confidence", "lift", "lift_low", "lift_high", "p_value", "q_value", "leverage",
         "conviction", "zhang", "expected", "times", "times_low", "times_high", "extra", "extra_low", "expected_in_months",
         "times_in_months", "q_in_months"]
    ].rename(columns={"times": "times_chance", "times_low": "times_chance_low", "times_high": "times_chance_high",
                      "times_in_months": "times_chance_in_months"})  # fmt: skip
    return named.join(measured).assign(listed=[itemset in listed for itemset in table["itemset"]])


def _lead(baskets: Baskets, rules: Rules, suggestions: pd.DataFrame) -> str:
    _, many = WORDS[baskets.level]
    if not rules.pairs:
        return (
            f"In {baskets.n:,} baskets no pair of {many} was found together more often than chance, given basket size."
        )
    first = f"In {baskets.n:,} baskets, {_counted(rules.pairs, 'pair', 'pairs')} of {many} came together more often than chance, given basket size."
    return f"{first} {_counted(len(suggestions), 'of them is', 'of them are')} worth a try as a suggestion."


def _so_what(validation: Validation, suggestions: pd.DataFrame) -> tuple[str, ...]:
    if suggestions.empty:
        return (
            "No pair is strong enough to be shown to customers on this evidence.",
            "Bestsellers remain the plainer suggestion.",
            validation.verdict,
        )
    top = suggestions.iloc[0]
    return (
        f"Start with {top['item']}: {formats.share(top['share'], digits=1)} of its baskets also hold {top['suggest']}, "
        f"{_times(top['times'])} times as often as chance ({_times(top['times_low'])}–{_times(top['times_high'])}), given basket size.",
        validation.verdict,
        "Try suggestions on a random half of visitors: pairs say what goes together, not what a suggestion adds.",
    )


def _how_sure(rules: Rules, validation: Validation) -> tuple[str, ...]:
    table = rules.table
    pairs = table[table["above"] & (table["itemset"].map(len) == 2)]
    big = ""
    if len(pairs):
        factor = float((pairs["lift"] / pairs["times"]).median())
        big = f" Plain lift, which takes baskets for alike, would be {formats.number(factor, digits=1)} times as high for the middle pair."
    return (
        "Chance means baskets that keep their sizes and items that keep their totals, otherwise filled at random "
        f"(bipartite configuration model).{big}",
        f"{rules.searched:,} candidate rules were searched, and the correction counts them all; of the pairs called above chance, about "
        f"{formats.share(rules.rate)} at most are expected to be false.",
        "Ranges cover what other customers of the same kind would have given (95 %): customers, not baskets, are taken as independent, so one "
        "household's habit makes a range wide.",
        validation.verdict,
    )


def _caveats(baskets: Baskets) -> tuple[Caveat, ...]:
    texts = [
        "Bought together does not mean that suggesting one sells the other; only a test tells.",
        "Promotions, shelf and page placement create pairs too.",
        f"Below {LEAST_CUSTOMERS} customers nothing is suggested; such rules are in the table only.",
        "Size variants, sets and gifts of one another are not sorted out; look before you show a pair.",
    ]
    if baskets.guests:
        share = formats.share(baskets.guests / baskets.n)
        texts.append(
            f"{share} of baskets have no customer; each counts as a customer of its own, so a guest who comes often is not recognised."
        )
    if baskets.cut is None:
        texts.append("Orders have no days here, so pairs made by a season alone are not recognised.")
    if empty := int((baskets.sizes == 0).sum()):
        texts.append(
            f"{empty:,} baskets hold only products without a known {baskets.level}; they count as baskets and hold no items."
        )
    return tuple(Caveat(text=text) for text in texts)


def _actions(suggestions: pd.DataFrame) -> tuple[Action, ...]:
    if suggestions.empty:
        return ()
    top = suggestions.iloc[0]
    return (
        Action(
            what="Show these pairs with each other, to a random half of visitors",
            why=f"above chance given basket size, {LEAST_CUSTOMERS} customers or more; first {top['item']} with {top['suggest']}",
            count=len(suggestions),
            worth="untested",
            owner="Shop",
            file="tables/rules.csv",
        ),
    )


def _checks(rules: Rules) -> tuple[Check, ...]:
    met = rules.chance.gap < 0.01
    checks = [
        Check(
            name="chance model",
            verdict="ok" if met else "warning",
            text=f"Fitted item totals and basket sizes differ from the observed by at most {formats.share(rules.chance.gap, digits=2)}.",
        )
    ]
    if rules.least < 5:
        checks.append(
            Check(
                name="minimum count",
                verdict="warning",
                text=f"A rule may rest on {rules.least} baskets; raise min_support unless you look for rare pairs on purpose.",
            )
        )
    return tuple(checks)


def _no_pairs(rules: Rules, *, level: str) -> figures.Figure:
    _, many = WORDS[level]
    found = (
        f"{_counted(rules.pairs, 'pair is', 'pairs are')} above chance given basket size"
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


def _times(value: float) -> str:
    return formats.number(value, digits=1 if value >= 1.95 else 2)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
