"""The sections of the page: verdicts, effects, the split, the days, the checks."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.measures import p_text, words
from crmlib.analysis.experiments.results import Results
from crmlib.analysis.experiments.split import BLOCKED
from crmlib.analysis.experiments.verdicts import READ, Verdicts, amount, effect_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ROWS = 14
_STATES = {"higher": "higher", "lower": "lower", "no_difference": "no worthwhile difference", "no_gain": "no worthwhile gain",
           "open": "open", "running": "still running",
           "void": "void", "too_few": "too few to conclude", "no_outcomes": "nothing measured"}  # fmt: skip
_DECISIONS = {"extend": "let it run on", "open": "none yet"}


@dataclass(frozen=True)
class Row:
    label: str
    value: float
    low: float
    high: float
    strong: bool
    colour: str


def table_verdicts(facts: Facts, results: Results, verdicts: Verdicts) -> figures.Figure:
    """What does each test say, by the one measure that decides?"""
    primary = results.table[results.table["primary"]].set_index(["experiment", "variant"])
    shown = verdicts.table.copy()
    shown["test"] = [label_of(row.experiment, row.variant, facts) for row in shown.itertuples()]
    shown["measure"] = [words(results.primary.get(name, "")) or None for name in shown["experiment"]]
    shown["effect"] = [
        effect_text(primary.loc[(row.experiment, row.variant)], facts.currency) if row.state in READ else None
        for row in shown.itertuples()
    ]
    shown["verdict"] = shown["state"].map(_STATES)
    shown["decision"] = shown["decision"].replace(_DECISIONS)
    return figures.show_table(
        figures.tabulate(
            shown,
            caption=f"One row a test and new version; the range is what the data still allow. {_measure_rule(results)}",
            labels={"test": "Test", "verdict": "Verdict", "measure": "Measure that decides", "effect": "Change from the old version (range)",
                    "units": upper(facts.unit), "decision": "Decision"},
            formats={"units": formats.number},
            file="tables/results.csv",
        ),
        title=headline(verdicts),
        sentence=f"{told(verdicts)}{_rule(results)}",
    )  # fmt: skip


def headline(verdicts: Verdicts) -> str:
    """What the tests say in one line; what the largest says where there are many."""
    table = verdicts.table
    if len(table) == 1:
        return str(table["title"].iloc[0])
    if len(table) <= 3:
        return upper("; ".join([table["brief"].iloc[0], *(_lower(text) for text in table["brief"].iloc[1:])]))
    settled = table[table["state"].isin(READ)].sort_values("units", ascending=False, kind="stable")
    return str(settled["title"].iloc[0]) if len(settled) else f"None of {len(table)} comparisons can be read"


def told(verdicts: Verdicts) -> str:
    """How many comparisons stand how, where they are too many for one line."""
    counts = verdicts.table["state"].value_counts()
    said = ", ".join(f"{counts[state]} {name}" for state, name in _STATES.items() if state in counts)
    return f"Of {len(verdicts.table)} comparisons {said}. " if len(verdicts.table) > 3 else ""


def figure_effects(facts: Facts, results: Results, verdicts: Verdicts) -> figures.Figure:
    """How large is each effect, beside control's own mean, and how sure is it?"""
    settled = verdicts.table[verdicts.table["state"].isin(READ)]
    pairs = pd.MultiIndex.from_frame(settled[["experiment", "variant"]])
    tested = results.table[results.table["state"] == "ok"]
    tested = tested[pd.MultiIndex.from_frame(tested[["experiment", "variant"]]).isin(pairs)]
    drawable = tested[tested["relative_low"].notna() & tested["relative_high"].notna()]
    drawn = drawable.head(_MOST_ROWS)
    rows = [
        Row(f"{label_of(row.experiment, row.variant, facts)} · {words(row.metric)}: {effect_text(pd.Series(row._asdict()), facts.currency)}",
             100 * row.relative, 100 * row.relative_low, 100 * row.relative_high, row.primary,
             figures.ACCENT if row.primary else figures.MUTED)
        for row in drawn.itertuples()
    ]  # fmt: skip
    table = _effects_table(tested, facts)
    if not rows:
        waiting = (
            "No effect can be drawn yet"
            if tested.empty
            else "No effect can be shown as a share of the old version's mean"
        )
        sentence = (
            f"No test has reached its end with a sound split and enough {facts.unit}."
            if tested.empty
            else "Their own units are in the table."
        )
        return figures.show_table(table, title=waiting, sentence=sentence)
    first = drawn.iloc[0]
    clear = tested[tested["primary"] & ((tested["low"] > 0) | (tested["high"] < 0))]
    judged = int(tested["primary"].sum())
    only = upper(label_of(clear["experiment"].iloc[0], clear["variant"].iloc[0], facts)) if len(clear) else ""
    title = (
        f"{'Only ' + only[:1].lower() + only[1:] if judged > 1 else only} differs clearly from its old version"
        if len(clear) == 1
        else f"{len(clear)} of {judged} new versions differ clearly from the old one"
        if len(clear)
        else "No new version differs clearly from its old one"
    )
    left = len(tested) - len(drawn)
    note = f" {left} more {'stands' if left == 1 else 'stand'} in the table only." if left else ""
    lo, hi = min(row.low for row in rows), max(row.high for row in rows)
    worth = verdicts.worthwhile * 100

    def paint(ax: Axes, narrow: bool) -> None:
        def percent(value: float) -> str:
            return formats.share(value / 100, digits=0 if max(hi, -lo) >= 5 else 1)

        paint_rows(
            ax,
            rows,
            narrow=narrow,
            reference=0.0,
            worth=worth,
            form=lambda value: ("+" if value > 0 else "") + percent(value),
        )

    mark = " Green: the smallest effect worth having." if worth else ""
    return figures.draw(
        paint,
        title=title,
        sentence="Right of the line is more than in the old version, left is less; a bar that reaches over the line may be chance. The blue measure "
        f"decides, unless margin, or a measure that must not get worse, holds it back.{note}",
        alt=f"Dot plot with intervals of {len(rows)} effects as a share of the old version's mean, from {lo:.0f} to {hi:.0f} per cent; "
        f"the first, {words(first['metric'])} of {words(first['experiment'])}, is {100 * first['relative']:+.1f} per cent.",
        caption="Change as a share of the old version's mean; beside each name the same in its own unit (points are percentage points), with "
        f"the {'always-valid ' if results.reading == 'always' else ''}{100 * results.confidence:g} % interval. Blue: the measure that decides.{mark}",
        table=table,
        height=height_of(rows, narrow=False),
        narrow_height=height_of(rows, narrow=True),
    )


def figure_split(facts: Facts, checks: Checks) -> figures.Figure:
    """Did each arm get the units it was meant to get?"""
    ratios = checks.ratios
    p_values = checks.table[checks.table["check"] == "sample_ratio"].set_index("experiment")["p_value"]
    broken = sorted(name for name, metric in checks.blocked if not metric)
    table = figures.tabulate(
        ratios.assign(test=[label_of(row.experiment, row.variant, facts) for row in ratios.itertuples()],
                      p=[p_text(p_values[name]) for name in ratios["experiment"]],
                      span=[f"{row.low:.3f}–{row.high:.3f}" for row in ratios.itertuples()]),
        caption=f"{upper(facts.unit)} in each version; 1.000 is the planned split",
        labels={"test": "Test", "variant": "New version", "units": upper(facts.unit), "units_control": "In the old version", "ratio": "Of planned",
                "span": "Interval", "p": "Chi-square"},
        formats={"units": formats.number, "units_control": formats.number, "ratio": lambda value: f"{value:.3f}"},
        file="tables/checks.csv",
    )  # fmt: skip
    sentence = "Equal chances give nearly equal numbers. Where they do not, somebody is missing, and those who stayed are no fair comparison."
    if broken:
        said = ", ".join(words(name) for name in broken[:3]) + (
            f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        )
        title = f"The split broke in {said}: nothing is concluded from it"
    else:
        doubtful = checks.table[
            checks.table["check"].isin(["sample_ratio", "sample_ratio_any_day"])
            & (checks.table["verdict"] == "warning")
        ]
        named = ", ".join(sorted({words(name) for name in doubtful["experiment"]} if len(ratios) else ()))
        title = (
            f"The split in {named} is doubtful: read it with care"
            if named
            else "No mismatch found in the split of any test"
        )
        title = title if len(ratios) else "No test has two arms yet"
    if ratios.empty:
        return figures.show_table(
            table, title=title, sentence=f"A test needs {facts.unit} in the old version and in a new one."
        )
    worst = ratios.assign(off=(ratios["ratio"] - 1).abs()).sort_values("off", ascending=False, kind="stable")
    drawn = ratios[ratios.index.isin(worst.index[:_MOST_ROWS])]
    rows = [
        Row(f"{label_of(row.experiment, row.variant, facts)}: {row.units:,} v {row.units_control:,}, {p_text(p_values[row.experiment])}",
             100 * row.ratio, 100 * row.low, 100 * row.high, True, figures.ORANGE if row.experiment in broken else figures.ACCENT)
        for row in drawn.itertuples()
    ]  # fmt: skip

    def paint(ax: Axes, narrow: bool) -> None:
        paint_rows(
            ax,
            rows,
            narrow=narrow,
            reference=100.0,
            form=lambda value: formats.number(value, digits=0 if value == round(value) else 1),
        )

    lo, hi = min(row.low for row in rows), max(row.high for row in rows)
    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        alt=f"Dot plot with intervals of {facts.unit} in each new version per 100 in the old one, as planned = 100; {len(rows)} arms, from {lo:.1f} "
        f"to {hi:.1f}.",
        caption=f"{upper(facts.unit)} in the new version for 100 in the old one, corrected for the plan (100 = as planned), with 95 % intervals. "
        f"Orange: the split broke (p < {BLOCKED:g}).",
        table=table,
        height=height_of(rows, narrow=False),
        narrow_height=height_of(rows, narrow=True),
    )


def figure_days(facts: Facts, checks: Checks) -> figures.Figure:
    """How many units reached each arm on each day, in the test whose split is least sound?"""
    ratio = checks.table[checks.table["check"] == "sample_ratio"].sort_values(["p_value", "experiment"], kind="stable")
    experiment = str(ratio["experiment"].iloc[0])
    days = facts.days[facts.days["experiment"] == experiment].assign(day=lambda frame: pd.to_datetime(frame["day"]))
    wide = days.pivot_table(index="day", columns="variant", values="units", fill_value=0, aggfunc="sum")
    if len(wide):
        wide = wide.reindex(pd.date_range(wide.index[0], wide.index[-1]), fill_value=0)
    table = figures.tabulate(
        wide.rename_axis("day").reset_index().assign(day=lambda frame: frame["day"].dt.strftime("%Y-%m-%d")),
        caption=f"{upper(facts.unit)} assigned per day, {words(experiment)}",
        labels={"day": "Day"} | {arm: words(arm) for arm in wide.columns},
        formats=dict.fromkeys(wide.columns, formats.number),
    )
    each = ", ".join(f"{formats.number(wide[arm].mean())} to {words(arm)}" for arm in wide.columns[:4])
    title = (
        f"{upper(words(experiment))}: on an average day {each}"
        if each
        else f"No {facts.unit} belong to one version alone"
    )
    sentence = (
        "The test with the least even split, day by day. Days are for finding a cause; the verdict is on the total."
    )
    if len(wide) < 3:
        return figures.show_table(table, title=title, sentence=sentence)
    colours = dict(zip([checks.controls[experiment], *(arm for arm in wide.columns if arm != checks.controls[experiment])],
                       (figures.MUTED, figures.ACCENT, figures.ORANGE, figures.GREEN, figures.PURPLE, figures.INK), strict=False))  # fmt: skip

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns
        from matplotlib.dates import num2date

        for arm in wide.columns:
            sns.lineplot(x=wide.index, y=wide[arm], color=colours.get(arm, figures.SOFT), ax=ax, legend=False)
        top = 1.15 * wide.to_numpy().max()
        ax.set_ylim(0, top or 1)
        ends = [(wide.index[-1], float(wide[arm].iloc[-1]), "\n".join(textwrap.wrap(words(str(arm)), 12)), colours.get(arm, figures.INK))
                for arm in wide.columns]  # fmt: skip
        figures.label_ends(ax, ends, gap=0.13 if narrow else 0.09)
        ax.set_xlim(wide.index[0], wide.index[-1])
        figures.time_axis(ax, narrow=narrow)
        ax.xaxis.set_major_formatter(lambda value, _: f"{num2date(value):%-d %b}")
        ax.yaxis.set_major_formatter(lambda value, _: formats.number(value))
        ax.set(xlabel="", ylabel="")
        _no_math(ax)

    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        alt=f"Lines of {facts.unit} assigned per day, one for each of {len(wide.columns)} arms, {wide.index[0]:%d %b %Y} to {wide.index[-1]:%d %b %Y}, "
        f"from {wide.to_numpy().min():,.0f} to {wide.to_numpy().max():,.0f} a day.",
        caption=f"{upper(facts.unit)} assigned per day, to each version.",
        table=table,
        height=3.4,
        narrow_height=3.0,
    )


def _effects_table(tested: pd.DataFrame, facts: Facts) -> dict[str, object]:
    shown = tested.assign(
        test=[label_of(row.experiment, row.variant, facts) for row in tested.itertuples()],
        measure=[words(metric) for metric in tested["metric"]],
        said=[effect_text(row, facts.currency) for _, row in tested.iterrows()],
        base=[_mean_text(row, "mean_control", facts.currency) for _, row in tested.iterrows()],
        adjusted=[p_text(p) for p in tested["p_adjusted"]],
        guarded=[row["guardrail"] or None for _, row in tested.iterrows()],
        tail=[capped_text(row, facts.currency) or None for _, row in tested.iterrows()],
    )
    return figures.tabulate(
        shown,
        caption="Every metric of every test that was read: its change from the old version; p corrected within each test (Holm), not across tests; each interval stands for itself",
        labels={"test": "Test", "measure": "Metric", "said": "Change (interval)", "base": "Old version's mean", "n": upper(facts.unit), "n_control": "In the old version",
                "adjusted": "p, corrected", "guarded": "Guardrail", "tail": "Largest cut back", "method": "Method"},
        formats={"n": formats.number, "n_control": formats.number},
        file="tables/results.csv",
    )  # fmt: skip


def capped_text(row: pd.Series, currency: str) -> str:
    """The same effect with the outermost thousandth of values cut back, a check that decides nothing; '' where there is none."""
    if row["capped_effect"] != row["capped_effect"]:
        return ""
    names = {"capped_effect": "effect", "capped_low": "low", "capped_high": "high"}
    return effect_text(row[[*names, "kind"]].rename(names), currency)


def _mean_text(row: pd.Series, column: str, currency: str) -> str:
    text = amount(row[column], row["kind"], currency, width=row["high"] - row["low"])
    return f"{text}\N{NO-BREAK SPACE}%" if row["kind"] == "share" else text


def _rule(results: Results) -> str:
    when = (
        "Its range is always valid, so it may be read on any day."
        if results.reading == "always"
        else "Each test is read once, as if its last arrival had been its planned end."
    )
    return (
        "A change ships when the measure that decides is higher and margin, where measured, is shown to gain. It stops when either is shown to lose or no "
        f"gain worth having is left; else it stays open. {when}"
    )


def _measure_rule(results: Results) -> str:
    if results.named:
        return "The measure that decides was named for this run"
    return "No measure that decides was named for this run, so a rule took it, without a look at the data"


def label_of(experiment: str, arm: str, facts: Facts) -> str:
    many = int((facts.arms["experiment"] == experiment).sum()) > 2
    return f"{words(experiment)} ({words(arm)})" if many and arm else words(experiment)


def _wrapped(row: Row, narrow: bool) -> list[str]:
    # Where one line does not hold it, the numbers stand below the name, unbroken.
    width = 42 if narrow else 96
    parts = [row.label] if len(row.label) <= width else row.label.rpartition(": ")[::2]
    return [line for part in parts for line in textwrap.wrap(part, width, break_long_words=True)] or [""]


def _band(row: Row, narrow: bool) -> float:
    """Inches that a row takes: its words, and the interval below them."""
    return 0.19 * len(_wrapped(row, narrow)) + 0.36


def height_of(rows: Sequence[Row], *, narrow: bool) -> float:
    return sum(_band(row, narrow) for row in rows) + 0.55


def paint_rows(
    ax: Axes, rows: Sequence[Row], *, narrow: bool, reference: float, form: Callable[[float], str], worth: float = 0.0
) -> None:
    """One interval below another, each under its words; hollow where it holds the reference."""
    import seaborn as sns

    at, top = [], 0.0
    for row in rows:
        lines = _wrapped(row, narrow)
        ax.text(0, top + 0.04, "\n".join(lines), transform=ax.get_yaxis_transform(), va="top", ha="left", color=figures.INK,
                fontsize=9 if narrow else 10.5, fontweight="bold" if row.strong and not narrow else "normal", parse_math=False, linespacing=1.15,
                bbox={"facecolor": figures.PAPER, "edgecolor": "none", "pad": 1.5, "alpha": 0.7}, zorder=1)  # fmt: skip
        at.append(top + 0.19 * len(lines) + 0.17)
        top += _band(row, narrow)
    for row, y in zip(rows, at, strict=True):
        # The line stands beside each interval, not behind the words.
        ax.vlines(reference, y - 0.15, y + 0.17, color=figures.INK, linewidth=1.2, zorder=0)
        ax.hlines(y, row.low, row.high, color=row.colour, linewidth=2.4, zorder=2)
        if worth and row.strong:
            ax.vlines(worth, y - 0.12, y + 0.12, color=figures.GREEN, linewidth=2.4, zorder=1)
        hollow = row.low <= reference <= row.high
        sns.scatterplot(
            x=[row.value],
            y=[y],
            s=58,
            color=figures.PAPER if hollow else row.colour,
            edgecolor=row.colour,
            linewidth=2,
            ax=ax,
            zorder=3,
        )
    low, high = (
        min([reference, *(row.low for row in rows)]),
        max([reference, worth or reference, *(row.high for row in rows)]),
    )
    margin = 0.06 * (high - low or 1)
    ax.set_xlim(low - margin, high + margin)
    ax.set_ylim(top, 0)
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.xaxis.set_major_locator(_ticks(4 if narrow else 7))
    ax.xaxis.set_major_formatter(lambda value, _: form(value))
    ax.set(xlabel="", ylabel="")
    _no_math(ax)


def _ticks(most: int):  # type: ignore[no-untyped-def]
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=most)


def _no_math(ax: Axes) -> None:
    # A shop's own names may hold dollar signs, which would be read as formulas.
    for text in ax.texts:
        text.set_parse_math(False)


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
