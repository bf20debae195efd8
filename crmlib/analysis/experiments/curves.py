"""How a test looked day by day, and what it did in each segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.experiments.drawing import Row, height_of, label_of, paint_rows, upper
from crmlib.analysis.experiments.looks import Looks
from crmlib.analysis.experiments.naming import p_text, words
from crmlib.analysis.experiments.reduction import Facts
from crmlib.analysis.experiments.segments import LEAST_SHOWN, Segments
from crmlib.analysis.experiments.verdicts import Verdicts, amount, effect_text, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLEAR = 0.05  # a corrected p below it is called a difference
_NO_MOMENTS = "Needs at least three days with enough units in both arms."


def figure_looks(facts: Facts, looks: Looks, verdicts: Verdicts) -> figures.Figure:
    """What would each day's look have said, in a running test that may be looked at, else the largest that has ended?"""
    days = looks.days
    table = figures.tabulate(
        days.assign(test=[label_of(row.experiment, row.variant, facts) for row in days.itertuples()],
                    measure=[words(metric) for metric in days["metric"]],
                    on=[pd.Timestamp(day).strftime("%Y-%m-%d") for day in days["day"]],
                    said=[effect_text(row, facts.currency) for _, row in days.iterrows()],
                    units=days["n"] + days["n_control"]).iloc[::-1],
        caption="The primary effect with its always-valid interval, by the last day of arrival counted, latest first",
        labels={"on": "Arrived by", "test": "Test", "measure": "Metric", "said": "Change (interval)", "units": "Units"},
        formats={"units": formats.number},
        file="tables/looks.csv",
    )  # fmt: skip
    chosen = _chosen(days, verdicts)
    if chosen is None:
        return figures.show_table(table, title="No test can be followed day by day yet", sentence=_NO_MOMENTS)
    experiment, arm = chosen
    mine = days[(days["experiment"] == experiment) & (days["variant"] == arm)].reset_index(drop=True)
    kind, scale = str(mine["kind"].iloc[0]), 100 if mine["kind"].iloc[0] == "share" else 1
    name, metric = upper(label_of(experiment, arm, facts)), words(str(mine["metric"].iloc[0]))
    clear = (mine["low"] > 0) | (mine["high"] < 0)
    fooled = int(((mine["naive_low"] > 0) | (mine["naive_high"] < 0)).sum())
    last = mine.iloc[-1]
    if clear.iloc[-1]:
        since = mine["day"][~clear].index.max()
        start = mine["day"].iloc[0 if pd.isna(since) else int(since) + 1]
        side = "higher" if last["effect"] > 0 else "lower"
        title = f"{name}: {metric} was clearly {side} from the arrivals of {formats.day(pd.Timestamp(start), year=False)} on"
    elif clear.any():
        title = f"{name}: a difference in {metric} was clear for a while; now it is not"
    else:
        title = f"{name}: no day's look showed a clear difference in {metric}"
    sentence = (
        f"The band holds on all days at once, so a test may be watched by it. The usual interval, made for one look, was off zero on {fooled} of "
        f"these {len(mine)} days."
    )
    if verdicts.reading == "fixed":
        sentence += " It looks back on a test that has ended; whether to decide by the band (reading=always) is settled before a test begins."
    at = pd.to_datetime(mine["day"])
    effect, low, high = (scale * mine[column] for column in ("effect", "low", "high"))
    reach = 3.0 * (high.iloc[-1] - low.iloc[-1])
    bottom, top = min(0.0, effect.iloc[-1]) - reach / 2, max(0.0, effect.iloc[-1]) + reach / 2
    width = float(last["high"] - last["low"])

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns
        from matplotlib.dates import num2date

        ax.fill_between(at, low.clip(bottom, top), high.clip(bottom, top), color=figures.SOFT, alpha=0.55, linewidth=0)
        sns.lineplot(x=at, y=effect.clip(bottom, top), color=figures.ACCENT, ax=ax, legend=False)
        ax.axhline(0, color=figures.INK, linewidth=1.2)
        ax.set_ylim(bottom, top)
        ends = [(at.iloc[-1], float(effect.iloc[-1]), "change", figures.ACCENT)]
        if abs(effect.iloc[-1]) > 0.12 * (top - bottom):
            ends.append((at.iloc[-1], 0.0, "none", figures.INK))
        figures.label_ends(ax, ends, gap=0.1)
        ax.set_xlim(at.iloc[0], at.iloc[-1])
        figures.time_axis(ax, narrow=narrow)
        ax.xaxis.set_major_formatter(lambda value, _: f"{num2date(value):%-d %b}")
        ax.yaxis.set_major_formatter(
            lambda value, _: amount(value / scale, kind, facts.currency, width=width, sign=True)
        )
        ax.set(xlabel="", ylabel="")

    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        alt=f"Line of the change in {metric} with its always-valid band, by day, {at.iloc[0]:%d %b %Y} to {at.iloc[-1]:%d %b %Y}; "
        f"at the end {effect_text(last, facts.currency)}.",
        caption=f"Change in {metric} against control, in {unit_of(kind, facts.currency)}, among all who had arrived by that day; band: always-valid interval. "
        "Where it leaves the picture, early on, it is wider still.",
        table=table,
        height=3.6,
        narrow_height=3.2,
    )


def _chosen(days: pd.DataFrame, verdicts: Verdicts) -> tuple[str, str] | None:
    """Experiment and arm with at least three looks: a running one if there is one, else that with the most units."""
    sizes = days.groupby(["experiment", "variant"]).agg(looks=("day", "size"), n=("n", "max")).reset_index()
    sizes = sizes[sizes["looks"] >= 3]
    if sizes.empty:
        return None
    running = set(verdicts.table.loc[(verdicts.table["state"] == "running") | verdicts.table["early"], "experiment"])
    sizes = sizes.assign(runs=sizes["experiment"].isin(running)).sort_values(
        ["runs", "n"], ascending=False, kind="stable"
    )
    return str(sizes["experiment"].iloc[0]), str(sizes["variant"].iloc[0])


def figure_segments(facts: Facts, segments: Segments, looks: Looks) -> figures.Figure:
    """Does the change do more for some than for others, and does it wear off?"""
    effects, tests = segments.effects, segments.tests
    shown = effects.assign(
        test=[label_of(row.experiment, row.variant, facts) for row in effects.itertuples()],
        group=[f"{words(row.segment)}: {words(row.level)}" for row in effects.itertuples()],
        said=[
            effect_text(row, facts.currency) if row["effect"] == row["effect"] else "too few"
            for _, row in effects.iterrows()
        ],
        units=[count_text(row.n, row.n_control) for row in effects.itertuples()],
        **_between(segments, facts),
    )
    table = figures.tabulate(
        shown,
        caption="The primary effect within each segment, and whether the segments differ: p of no difference between them, corrected within each test (Holm), not across tests",
        labels={
            "group": "Segment",
            "test": "Test",
            "said": "Change (interval)",
            "units": "Units, in control",
            "spread": "First less second (interval)",
            "alike": "p, between segments",
        },
        file="tables/segments.csv",
    )
    title, sentence = _segment_words(tests, looks, facts)
    drawable = effects[effects["effect"].notna()]
    if drawable.empty:
        return figures.show_table(table, title=title, sentence=sentence)
    first = str(
        drawable.assign(units=drawable["n"] + drawable["n_control"]).groupby("experiment")["units"].sum().idxmax()
    )
    differing = tests[(tests["p_adjusted"] < CLEAR) | tests["reversed"].astype(bool)]
    first = str(differing["experiment"].iloc[0]) if len(differing) else first
    mine = drawable[drawable["experiment"] == first].head(14)
    scale = 100 if mine["kind"].iloc[0] == "share" else 1
    several = mine["variant"].nunique() > 1
    rows = [
        Row(f"{words(row['segment'])} {words(row['level'])}{', ' + words(row['variant']) if several else ''}: {effect_text(row, facts.currency)}",
            scale * row["effect"], scale * row["low"], scale * row["high"], False, figures.ACCENT)
        for _, row in mine.iterrows()
    ]  # fmt: skip
    kind = str(mine["kind"].iloc[0])
    width = float((mine["high"] - mine["low"]).min()) / 4
    metric = words(str(mine["metric"].iloc[0]))

    def paint(ax: Axes, narrow: bool) -> None:
        paint_rows(
            ax,
            rows,
            narrow=narrow,
            reference=0.0,
            form=lambda value: amount(value / scale, kind, facts.currency, width=width, sign=True),
        )

    return figures.draw(
        paint,
        title=title,
        sentence=sentence,
        alt=f"Dot plot with intervals of the change in {metric} in {len(rows)} segments of {words(first)}, from {min(row.low for row in rows):.3g} to "
        f"{max(row.high for row in rows):.3g}.",
        caption=f"{upper(words(first))}: change in {metric} against control, in {unit_of(kind, facts.currency)}; each interval at its own 95 %, so among twenty one "
        "is expected to miss. Hollow: holds zero.",
        table=table,
        height=height_of(rows, narrow=False),
        narrow_height=height_of(rows, narrow=True),
    )


def _between(segments: Segments, facts: Facts) -> dict[str, list[str | None]]:
    """Beside each level, what was tested: do the levels of its segment differ from one another? Said once, at the first."""
    tests = segments.tests.set_index(["experiment", "variant", "segment"])
    found: dict[str, list[str | None]] = {"spread": [], "alike": []}
    said = set()
    for row in segments.effects.itertuples():
        key = (row.experiment, row.variant, row.segment)
        known = key in tests.index and key not in said
        said.add(key)
        test = tests.loc[key] if known else None
        two = test is not None and test["apart"] == test["apart"]
        found["alike"].append(
            p_text(test["p_adjusted"]) if test is not None and test["p_adjusted"] == test["p_adjusted"] else None
        )
        if test is None or not two:
            found["spread"].append(None)
            continue
        one = pd.Series(
            {"effect": test["apart"], "low": test["apart_low"], "high": test["apart_high"], "kind": row.kind}
        )
        found["spread"].append(effect_text(one, facts.currency))
    return found


def _segment_words(tests: pd.DataFrame, looks: Looks, facts: Facts) -> tuple[str, str]:
    """Title and sentence: segments first, then whether the effect changed with time."""
    tested = tests[tests["p_adjusted"].notna()]
    differing = tested[tested["p_adjusted"] < CLEAR]
    turned = tests[tests["reversed"].astype(bool)]
    if len(turned):
        row = turned.iloc[0]
        title = f"{upper(label_of(row['experiment'], row['variant'], facts))}: the mix by {words(row['segment'])} turns the total round"
    elif len(differing):
        row = differing.iloc[0]
        title = f"{upper(label_of(row['experiment'], row['variant'], facts))}: the change does not do the same by {words(row['segment'])} ({p_text(row['p_adjusted'])}, corrected)"
    elif len(tested):
        title = "No segment differs reliably"
    else:
        title = "No segments are known that could be told apart"
    changed = looks.changes[looks.changes["p_adjusted"] < CLEAR]
    if len(changed):
        row = changed.iloc[0]
        time = f"In {label_of(row['experiment'], row['variant'], facts)} the effect changed {row['what']} ({p_text(row['p_adjusted'])}, corrected): do not count on its average to last."
    elif len(looks.changes):
        time = (
            "Nor did the effect clearly change between early and late weeks."
            if len(tested)
            else "The effect did not clearly change between early and late weeks."
        )
    else:
        time = "No test ran long enough to see whether the effect wears off."
    return (
        title,
        f"Segments explain and do not decide: look into enough of them, and one will shine by chance. {time}"
        if len(tested)
        else time,
    )


def count_text(n: int, n_control: int) -> str:
    """Units of both arms; fewer than five are not shown."""
    return ", ".join(f"<{LEAST_SHOWN}" if size < LEAST_SHOWN else formats.number(size) for size in (n, n_control))
