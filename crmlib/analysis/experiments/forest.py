"""How large is each effect, beside the old version's own mean, and how sure is it?"""

from __future__ import annotations

from typing import Any

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.judging import READ
from crmlib.analysis.experiments.measures import ENDS, capped_text, mean_text, p_text, scale_of, words
from crmlib.analysis.experiments.verdicts import Verdicts
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate

SHOWN = 8


def part_effects(verdicts: Verdicts) -> Part:
    """What did each test change that was read at its end, with zero and the smallest change worth having?"""
    facts, results = verdicts.facts, verdicts.results
    read = verdicts.table[verdicts.table["state"].isin(READ)]
    keys = pd.MultiIndex.from_frame(read[["experiment", "variant"]])
    tested = results.table[results.table["state"] == "ok"]
    tested = tested[pd.MultiIndex.from_frame(tested[["experiment", "variant"]]).isin(keys)]
    rows = tested.to_dict("records")
    shown = facts.told(tested).assign(
        base=[mean_text(row, "mean_control", facts.currency) for row in rows],
        adjusted=tested["p_adjusted"].map(p_text),
        guarded=tested["guardrail"].replace("", None),
        tail=[capped_text(row, facts.currency) or None for row in rows],
    )
    shown["label"] = [f"{row.test} · {row.measure}: {row.said}" for row in shown.itertuples()]
    labels = {"test": "Test", "measure": "Measure", "said": "Change", "base": "Old version", "n": "In the new version"}
    labels |= {"n_control": "In the old version", "adjusted": "p, corrected", "guarded": "Must not get worse"}
    labels |= {"tail": "Large values cut back", "method": "Method"}
    caption = "Every measure of every test that was read; p counts the other measures of its test, not other tests"
    counts = dict.fromkeys(("n", "n_control"), formats.number)
    table = figures.tabulate(shown, caption=caption, labels=labels, formats=counts, file="tables/results.csv")
    digits = 0 if tested[["relative_low", "relative_high"]].abs().max().max() >= 0.05 else 1
    worth = verdicts.worthwhile or None
    caption = "Right of the line: better than the old version. A bar that crosses the line could be chance. Blue: the "
    caption += f"measure that decides.{' Green: the smallest change worth having.' if worth else ''}"
    shown = shown.assign(low=shown["relative_low"], high=shown["relative_high"])
    said: dict[str, Any] = {"what": "change from the old version", "reference": 0.0, "worth": worth, "rows": SHOWN}
    said["form"] = lambda value: formats.with_sign(formats.share(value, digits=digits), value)
    chart = figures.dots(shown, label="label", value="relative", strong="primary", table=table, caption=caption, **said)
    clear = tested[tested["primary"] & ((tested["low"] > 0) | (tested["high"] < 0))]
    judged = int(tested["primary"].sum())
    title = "No new version made a clear difference" if judged else "No effect can be shown yet"
    if len(clear) == 1:
        only = facts.name(clear["experiment"].iloc[0], clear["variant"].iloc[0])
        title = f"{f'Only {only}' if judged > 1 else wording.upper(only)} made a clear difference"
    elif len(clear):
        title = f"{len(clear)} of {judged} new versions made a clear difference"
    sentence = "" if judged else f"No test has ended with a sound split and enough {facts.unit}."
    return Part(title=title, sentence=sentence, chart=chart, metrics=[_largest(verdicts)])


def _largest(verdicts: Verdicts) -> Metric:
    """The primary effect of the comparison read at its end with the most units: a choice that looks at no effect."""
    facts, results = verdicts.facts, verdicts.results
    experiment, arm = verdicts.largest
    definition = f"change of the primary measure against control in the test read at its end with the most {facts.unit}"
    said: dict[str, Any] = {"id": "primary_effect", "definition": definition}
    if not experiment:
        return Metric(label="Effect of the largest test", value=None, unit="points", **said)
    rows = results.table[results.table["primary"] & (results.table["experiment"] == experiment)]
    row = rows[rows["variant"] == arm].iloc[0]
    kind, metric = str(row["kind"]), words(row["metric"])
    unit = "points" if kind == "share" else facts.currency if kind == "money" and facts.currency else "per unit"
    scale, before = scale_of(kind), mean_text(row, "mean_control", facts.currency)
    before = formats.share(row["mean_control"], digits=1) if kind == "share" else before
    effect, low, high = (float(scale * row[end]) for end in ENDS)
    found = Estimate(value=effect, low=low, high=high, unit=unit, n=int(row["n"] + row["n_control"]))
    said["definition"] += f": {experiment}, {row['metric']}, {arm} less {row['control']}; {row['method']}"
    label = f"{wording.upper(facts.name(experiment, arm))}: {metric}"
    return Metric.of(found, label=label, headline=True, signed=True, note=f"from {before}", **said)
