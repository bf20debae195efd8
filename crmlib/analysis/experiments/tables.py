"""The tables of the page: money a month, the planner, and the checks."""

from __future__ import annotations

import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.drawing import label_of, upper
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.measures import title as head
from crmlib.analysis.experiments.measures import words
from crmlib.analysis.experiments.planning import USUAL_EFFECT, power_of
from crmlib.analysis.experiments.results import Results
from crmlib.analysis.experiments.verdicts import amount, size_text
from crmlib.analysis.experiments.worth import ASSUMED, Worth


def month_text(row: pd.Series, currency: str) -> str:
    """Margin a month with its range: '€1,900 (300 to 3,500)'."""
    value = formats.quantity(row["month"], currency or "units", low=row["month_low"], high=row["month_high"])
    return f"{value} ({formats.interval(row['month_low'], row['month_high'], currency or 'units')})"


def loss_text(loss: float) -> str:
    """A chance of loss, never as 0 or 100 %.

    >>> loss_text(0.0001), loss_text(0.083)
    ('under 1\\xa0%', '8\\xa0%')
    """
    if loss != loss:
        return "said at the end"
    return (
        "under 1\N{NO-BREAK SPACE}%"
        if loss < 0.01
        else "over 99\N{NO-BREAK SPACE}%"
        if loss > 0.99
        else formats.share(loss)
    )


def table_worth(facts: Facts, worth: Worth) -> figures.Figure:
    """What would each change bring a month, and how likely is a loss?"""
    table = worth.table
    if table.empty:
        return figures.show_table(
            figures.tabulate(
                table.assign(test=""), caption="No margin was measured", labels={"test": "Test", "metric": "Metric"}
            ),
            title="No test can be told in money yet",
            sentence=f"That takes a sound test that can be read, with a metric of margin or profit for each of the {facts.unit}; revenue is not what is earned.",
        )
    shown = table.assign(
        test=[label_of(row.experiment, row.variant, facts) for row in table.itertuples()],
        unit=[_per_unit(row, facts.currency) for _, row in table.iterrows()],
        said=[month_text(row, facts.currency) for _, row in table.iterrows()],
        risk=[loss_text(loss) for loss in table["loss"]],
    )
    best = table.sort_values("units", ascending=False, kind="stable").iloc[0]
    name = upper(label_of(best["experiment"], best["variant"], facts))
    low, high = (
        formats.quantity(abs(best[end]), facts.currency or "units", low=best["month_low"], high=best["month_high"])
        for end in ("month_low", "month_high")
    )
    if best["month_low"] > 0:
        title = f"Between {low} and {high} more margin a month: {name[:1].lower()}{name[1:]}"
    elif best["month_high"] < 0:
        title = f"Between {high} and {low} less margin a month: {name[:1].lower()}{name[1:]}"
    else:
        title = f"Between {low} less and {high} more margin a month: {name[:1].lower()}{name[1:]}"
    cost = (
        f"less {formats.money(worth.offer_cost, facts.currency, digits=2)} for the offer"
        if worth.offer_cost
        else "no further cost of the offer was named"
    )
    return figures.show_table(
        figures.tabulate(
            shown,
            caption=f"Margin for each of the {facts.unit} ({cost}) and a month, at the test's own number of {facts.unit} unless another was named",
            labels={
                "test": "Test",
                "unit": "Margin each (range)",
                "units_a_month": f"{upper(facts.unit)} a month",
                "said": "Margin a month (range)",
                "risk": "Chance of loss",
            },
            formats={"units_a_month": formats.number},
            file="tables/worth.csv",
        ),
        title=title,
        sentence=f"The range is the interval of the mean effect. The chance of loss is reckoned {ASSUMED}.",
    )


def _per_unit(row: pd.Series, currency: str) -> str:
    width = row["high"] - row["low"]
    ends = [amount(row[end], "money", currency, width=width) for end in ("low", "high")]
    return f"{amount(row['per_unit'], 'money', currency, width=width, sign=True)} ({ends[0]} to {ends[1]})"


def _span(found: pd.DataFrame) -> str:
    """From the finest test to the coarsest: '9 %', '9 to 12 %'; in points, '0.57 to 0.77 points', where all measures are shares."""
    if (found["kind"] == "share").all():
        low, high = (size_text(value, "share", "") for value in (found["detectable"].min(), found["detectable"].max()))
        return low if low == high else f"{low.removesuffix(' points')} to {high}"
    relative = found["detectable"] / found["base"].abs()
    ends = [formats.share(value, digits=0 if value >= 0.02 else 1) for value in (relative.min(), relative.max())]
    return ends[0] if ends[0] == ends[1] else f"{ends[0].removesuffix('%').strip()} to {ends[1]}"


def table_plan(facts: Facts, results: Results, *, worthwhile: float = 0.0) -> figures.Figure:
    """How small an effect could each test have found, and what would a smaller one take?"""
    found = power_of(facts, results, worthwhile=worthwhile)
    # Of nothing there is no share.
    found = found[found["base"].abs() > 0]
    if found.empty:
        return figures.show_table(
            figures.tabulate(
                found.assign(test=""),
                caption=f"No test with enough {facts.unit}",
                labels={"test": "Test", "units": upper(facts.unit)},
            ),
            title="No test is large enough to plan the next one by",
            sentence="With the old version's mean and its spread at hand, plan(…) says size, days and smallest effect.",
        )

    shown = found.assign(
        test=[label_of(row.experiment, row.variant, facts) for row in found.itertuples()],
        measure=[words(metric) for metric in found["metric"]],
        could=[size_text(row["detectable"], row["kind"], facts.currency) for _, row in found.iterrows()],
        wish=[size_text(row["least"], row["kind"], facts.currency) for _, row in found.iterrows()],
    )
    share = worthwhile or USUAL_EFFECT
    named = (
        "the smallest effect worth having"
        if worthwhile
        else "named as an example, since no smallest effect worth having was given"
    )
    return figures.show_table(
        figures.tabulate(
            shown,
            caption=f"Planner: {facts.unit} and days to find a change of {formats.share(share)} of the old version's mean, {named}",
            labels={"test": "Test", "measure": "Measure that decides", "units": f"{upper(facts.unit)} had", "could": "Could find", "wish": "To find",
                    "needed": "Needed in each version", "needed_days": "Days at its pace"},
            formats={"units": formats.number, "needed": formats.number, "needed_days": formats.number},
        ),
        title=f"Changes under {_span(found)} are easily missed by {'tests' if len(found) > 1 else 'a test'} of this size",
        sentence=f"'Could find' means: four times in five, if it is there. Half the effect takes four times the {facts.unit}. Days are whole weeks of arrivals; the outcome window comes on top.",
    )  # fmt: skip


def table_checks(checks: Checks, splits: pd.DataFrame | None = None) -> figures.Figure:
    """What was checked before any effect was looked at, and what was found? Those that found nothing are counted only."""
    order = {"failed": 0, "warning": 1, "ok": 2}
    all_checks = (
        checks.table if splits is None or splits.empty else pd.concat([checks.table, splits], ignore_index=True)
    )
    ranked = all_checks.sort_values("verdict", key=lambda column: column.map(order), kind="stable")
    bad = ranked[ranked["verdict"] != "ok"]
    quiet = ranked[ranked["verdict"] == "ok"].groupby("experiment").size()
    folded = pd.DataFrame(
        {
            "verdict": "ok",
            "text": [
                f"{head(str(name))}: {count} {'check' if count == 1 else 'checks'} found nothing."
                for name, count in quiet.items()
            ],
        }
    )
    # A split that broke is seen by two checks, and is one fault.
    split = bad["check"].isin(["sample_ratio", "sample_ratio_any_day"])
    faults = bad.assign(check=bad["check"].mask(split, "split"))[bad["verdict"] == "failed"]
    failed = len(faults.drop_duplicates(["experiment", "check"]))
    title = f"{len(bad)} of {len(ranked)} checks {'needs' if len(bad) == 1 else 'need'} a look"
    title += (
        f"; {failed} {'fault voids a test or metric' if failed == 1 else 'faults void a test or metric'}"
        if failed
        else ""
    )
    return figures.show_table(
        figures.tabulate(
            pd.concat([bad[["verdict", "text"]], folded], ignore_index=True),
            caption="Checks of the tests themselves, the gravest first",
            labels={"text": "What was found", "verdict": "Verdict"},
            file="tables/checks.csv",
        ),
        title=title if len(bad) else f"Nothing was found in {len(ranked)} checks",
        sentence="These are asked before any effect is looked at. A check that finds nothing is no proof that nothing is wrong.",
    )
