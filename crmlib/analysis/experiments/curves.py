"""How a test looked day by day, and what it did in each segment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.experiments.drawing import Row, height_of, label_of, paint_rows, upper
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.looks import Looks
from crmlib.analysis.experiments.measures import p_text, words
from crmlib.analysis.experiments.segments import LEAST_SHOWN, Segments
from crmlib.analysis.experiments.verdicts import Verdicts, amount, effect_text, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLEAR = 0.05  # a corrected p below it is called a difference
_NO_MOMENTS = "Needs a mean or a share that decides, and at least three days with enough {} in both arms."


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
        labels={"on": "Arrived by", "test": "Test", "measure": "Metric", "said": "Change (interval)", "units": upper(facts.unit)},
        formats={"units": formats.number},
        file="tables/looks.csv",
    )  # fmt: skip
    chosen = _chosen(days, verdicts)
    if chosen is None:
        return figures.show_table(
            table, title="No test can be followed day by day yet", sentence=_NO_MOMENTS.format(facts.unit)
        )
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
            "units": f"{upper(facts.unit)}, in the old version",
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
        title = "No segments that could be told apart"
    steady = (
        "No test ran long enough to see whether the effect wears off."
        if looks.changes.empty
        else "Nor did the effect clearly change with time."
        if len(tested)
        else "The effect did not clearly change with time."
    )
    time = _time_words(looks, facts) or steady
    return (
        title,
        f"Segments explain and do not decide: look into enough of them, and one will shine by chance. {time}"
        if len(tested)
        else time,
    )


def _time_words(looks: Looks, facts: Facts) -> str:
    changed = looks.changes[looks.changes["p_adjusted"] < CLEAR]
    if changed.empty:
        return ""
    row = changed.iloc[0]
    name = label_of(row["experiment"], row["variant"], facts)
    return f"In {name} the effect changed {row['what']} ({p_text(row['p_adjusted'])}, corrected): do not count on its average to last."


def stands_out(tests: pd.DataFrame, looks: Looks, facts: Facts) -> tuple[str, ...]:
    """What the reader must not miss though it is folded away: a mix that turns a total round, segments that differ, effects that fade."""
    found = (
        [f"{_segment_words(tests, looks, facts)[0]}."]
        if (tests["reversed"].astype(bool) | (tests["p_adjusted"] < CLEAR)).any()
        else []
    )
    time = _time_words(looks, facts)
    return tuple([*found, time] if time else found)


def figure_novelty(facts: Facts, looks: Looks) -> figures.Figure:
    """Does the effect wear off: by day since first seen where orders tell, else by week of arrival?"""
    by_day = not looks.since.empty
    frame = looks.since if by_day else looks.weeks
    if by_day:
        frame = frame.assign(
            kind="number", metric="orders", at=[_days_text(row.first_day, row.last_day) for row in frame.itertuples()]
        )
        frame[["effect", "low", "high"]] *= 100
    else:
        frame = frame.assign(
            at=[
                f"week {row.week}, from {formats.day(pd.Timestamp(row.first_day), year=False)}"
                for row in frame.itertuples()
            ]
        )
    table = figures.tabulate(
        frame.assign(test=[label_of(row.experiment, row.variant, facts) for row in frame.itertuples()],
                     said=[effect_text(row, facts.currency) for _, row in frame.iterrows()], units=frame["n"] + frame["n_control"]),
        caption=f"Orders a day of 100 {facts.unit} more than in the old version, by days since they first saw the new one" if by_day
        else "The effect among the arrivals of one week each",
        labels={"at": "Since first seen" if by_day else "Arrived in", "test": "Test", "said": "Change (interval)", "units": upper(facts.unit)},
        formats={"units": formats.number},
        file="tables/since_seen.csv" if by_day else "",
    )  # fmt: skip
    sizes = frame.groupby(["experiment", "variant"]).agg(points=("at", "size"), n=("n", "max")).reset_index()
    sizes = sizes[sizes["points"] >= 2].sort_values("n", ascending=False, kind="stable")
    if sizes.empty:
        return figures.show_table(
            table,
            title="Too early to see an effect wear off",
            sentence=f"Needs two weeks of arrivals with enough {facts.unit}, or orders.",
        )
    what = "since first seen" if by_day else "by week of arrival"
    changes = looks.changes[looks.changes["what"] == what].merge(sizes, on=["experiment", "variant"])
    row = (
        changes.sort_values("p_adjusted", kind="stable").iloc[0]
        if (changes["p_adjusted"] < CLEAR).any()
        else sizes.iloc[0]
    )
    mine = frame[(frame["experiment"] == row["experiment"]) & (frame["variant"] == row["variant"])].reset_index(
        drop=True
    )
    known = changes[(changes["experiment"] == row["experiment"]) & (changes["variant"] == row["variant"])]
    name = label_of(row["experiment"], row["variant"], facts)
    title, test = _novelty_words(name, known, by_day=by_day)
    kind, scale = str(mine["kind"].iloc[0]), 100 if mine["kind"].iloc[0] == "share" else 1
    width = float((mine["high"] - mine["low"]).min())
    metric = words(str(mine["metric"].iloc[0]))
    effect, low, high = (scale * mine[column].astype(float) for column in ("effect", "low", "high"))
    at = mine["last_day" if by_day else "week"].astype(float)

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        ax.axhline(0, color=figures.INK, linewidth=1.2, zorder=1)
        ax.vlines(at, low, high, color=figures.ACCENT, linewidth=2.2, zorder=2)
        hollow = (low <= 0) & (high >= 0)
        sns.scatterplot(
            x=at,
            y=effect,
            s=46,
            color=figures.ACCENT,
            edgecolor=figures.ACCENT,
            linewidth=2,
            ax=ax,
            zorder=3,
            legend=False,
        )
        sns.scatterplot(
            x=at[hollow],
            y=effect[hollow],
            s=46,
            color=figures.PAPER,
            edgecolor=figures.ACCENT,
            linewidth=2,
            ax=ax,
            zorder=4,
            legend=False,
        )
        ax.set_xlim(at.min() - 0.5, at.max() + 0.5)
        shown = at if not narrow or len(at) <= 7 else at[::2]
        ax.set_xticks(shown, [f"{value:g}" for value in shown])
        ax.yaxis.set_major_formatter(
            lambda value, _: amount(value / scale, kind, facts.currency, width=width, sign=True)
        )
        ax.set(xlabel="days since first seen" if by_day else "week of arrival", ylabel="")

    unit = f"orders a day of 100 {facts.unit}" if by_day else unit_of(kind, facts.currency)
    return figures.draw(
        paint,
        title=title,
        sentence=f"{test} A new thing may be tried because it is new: what wears off is not worth its average.",
        alt=f"Dots with intervals of the change in {metric}, {unit}, in {len(mine)} steps {what}, from {low.min():.3g} to {high.max():.3g}.",
        caption=f"{upper(name)}: change in {metric} from the old version, in {unit}, {what}; each bar at its own 95 %, so one in twenty misses. Hollow: holds zero. "
        + (f"The same {facts.unit} at every point." if by_day else f"Other {facts.unit} at every point."),
        table=table,
        height=3.4,
        narrow_height=3.2,
    )


def _novelty_words(name: str, known: pd.DataFrame, *, by_day: bool) -> tuple[str, str]:
    """Title, and the test in a sentence."""
    when = "since it was first seen" if by_day else "from week to week"
    compared = "the first days and the later ones" if by_day else "the weeks"
    if known.empty or math.isnan(known["p_adjusted"].iloc[0]):
        return (
            f"Whether the effect of {name} changed {when} could not be tested",
            "There were too few orders in one half of the window.",
        )
    p = float(known["p_adjusted"].iloc[0])
    tested = f"The test of no difference between {compared}: {p_text(p)}, corrected for all such tests."
    if p >= CLEAR:
        return f"No clear change in the effect of {name} {when}", tested
    if not by_day:
        return f"The effect of {name} was not the same in every week", tested
    return (
        f"The effect of {name} was {'larger' if known['value'].iloc[0] > 0 else 'smaller'} in the first days than later",
        tested,
    )


def _days_text(first: int, last: int) -> str:
    return f"day {first}" if first == last else f"days {first} to {last}"


def count_text(n: int, n_control: int) -> str:
    """Units of both arms; fewer than five are not shown."""
    return ", ".join(f"<{LEAST_SHOWN}" if size < LEAST_SHOWN else formats.number(size) for size in (n, n_control))
