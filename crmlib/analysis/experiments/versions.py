"""Which of several new versions is best? Asked before two of one test are given to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pandas as pd

from crmlib import wording
from crmlib.analysis.experiments.judging import Decision, Proviso, State, Verdict
from crmlib.analysis.experiments.measures import effect_text, words
from crmlib.analysis.experiments.results import Results, holm, measured_arms, row_of

_COLUMNS = ["experiment", "metric", "variant", "against", "n", "n_against", "effect", "low", "high", "p_value",
            "p_adjusted", "kind", "method"]  # fmt: skip


def between(results: Results) -> pd.DataFrame:
    """How do the new versions of each test compare with one another, in the measure that decides?

    One row for each pair of arms other than control that can be compared, `variant` less `against`; low and high hold
    for all pairs of a test together (Bonferroni), p_adjusted is Holm's over them.
    """
    rows = []
    for kind, experiment, metric, by_arm in measured_arms(results.facts):
        control = results.checks.controls[experiment]
        pairs = list(combinations([arm for arm in by_arm.index if arm != control], 2))
        if (experiment, metric) not in results.rules or results.primary.get(experiment) != metric:
            continue
        # The order statistics of a quantile were ranked for as many comparisons as there are new versions.
        pairs = [] if kind == "quantile" and len(pairs) > 3 else pairs
        arms = by_arm.assign(low=by_arm["low_all"], high=by_arm["high_all"]) if kind == "quantile" else by_arm
        decides = results.rules[(experiment, metric)]
        for one, other in pairs:
            rule = replace(decides, level=1 - (1 - results.confidence) / len(pairs))
            row = row_of(results.checks, arms.loc[[one, other]], kind=kind, metric=metric, rule=rule, limit=None)
            if row["state"] == "ok":
                rows.append(row | {"experiment": experiment, "against": one, "n_against": row["n_control"]})
    return holm(pd.DataFrame(rows, columns=[name for name in _COLUMNS if name != "p_adjusted"]))[_COLUMNS]


def settled(verdicts: Sequence[Verdict], pairs: pd.DataFrame, *, currency: str) -> list[Verdict]:
    """One test's arms, of which no two are given to everybody.

    Of those that would be, one that another clearly beats is dropped; where several are left, one is to be chosen. What
    is still open beside them is left out. `pairs` are the rows of `between` of this test.
    """
    ships = [one.variant for one in verdicts if one.decision == Decision.SHIP]
    if not ships:
        return list(verdicts)
    won = [(row.variant, row.against) for row in pairs.itertuples() if row.low > 0]
    won += [(row.against, row.variant) for row in pairs.itertuples() if row.high < 0]
    beaten = {loser: winner for winner, loser in won if winner in ships and loser in ships}
    left = [arm for arm in ships if arm not in beaten] or ships
    found = []
    for one in verdicts:
        if one.variant in ships and (len(left) > 1 or one.variant not in left):
            tied = one.variant in left
            others = left if tied else [beaten[one.variant]]
            decision, proviso = (Decision.CHOOSE, Proviso.TIED) if tied else (Decision.STOP, Proviso.LESS)
            why, about = f"{one.why}{_beside(one.variant, others, pairs, currency)}", wording.listed(map(words, others))
            one = replace(one, why=why, decision=decision, proviso=proviso, about=about)
        elif one.state == State.OPEN:
            one = replace(one, decision=Decision.STOP)
        found.append(one)
    return found


def _beside(arm: str, others: Sequence[str], pairs: pd.DataFrame, currency: str) -> str:
    """This arm beside each of the others, in words."""
    said = []
    for row in pairs.to_dict("records"):
        if arm in (row["variant"], row["against"]) and {row["variant"], row["against"]} <= {arm, *others}:
            text = effect_text(row, currency)
            said.append(f" {wording.upper(words(row['variant']))} less {words(row['against'])}: {text}.")
    return "".join(said)
