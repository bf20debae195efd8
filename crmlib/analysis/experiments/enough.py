"""Is there enough to judge by: units, events, spread, and large values that both arms share?"""

from __future__ import annotations

import math

import pandas as pd

from crmlib import formats
from crmlib.analysis.experiments.measures import words

LEAST_UNITS = 30  # units an arm needs for a mean
LEAST_EVENTS = 10  # expected events and non-events an arm needs for a share; expected units other than zero for a mean
# Kohavi, Deng, Longbotham and Xu 2014, rule 7: 355 skewness² units make a mean's tails right, where the mean's own
# skewness is 1 / √355. Here it is asked of the difference, in which equal arms cancel.
SKEWED = 1 / math.sqrt(355)


def is_rare(arm: pd.Series, control: pd.Series) -> bool:
    """Are a share's events, or those without one, so few that no normal curve stands for them?"""
    share = (arm["mean"] * arm["n"] + control["mean"] * control["n"]) / max(arm["n"] + control["n"], 1)
    return bool(min(share, 1 - share) * min(arm["n"], control["n"]) < LEAST_EVENTS)


def lacking(arm: pd.Series, control: pd.Series, *, kind: str, unit: str = "units", exact: bool = False) -> str:
    """What is lacking, in words, and how much would do; '' where there is enough. `exact` tests take any number."""
    smallest = int(min(arm["n"], control["n"]))
    if smallest < LEAST_UNITS:
        return f"needs {LEAST_UNITS} {unit} in each arm, has {smallest}"
    if kind == "quantile":
        rare = min(float(arm["share"]), 1 - float(arm["share"]))
        if smallest * rare < LEAST_EVENTS:
            return f"needs {math.ceil(LEAST_EVENTS / rare):,} {unit} in each arm for this quantile, has {smallest:,}"
        stuck = any(row["low"] == row["high"] for row in (arm, control))
        return f"has so many {unit} that share one value that this quantile cannot move" if stuck else ""
    if kind == "ratio":
        found = int(min(arm["nonzero"], control["nonzero"]))
        if found < LEAST_UNITS:
            return f"needs {LEAST_UNITS} {unit} in each arm to divide by, has {found}"
        return _lopsided(arm, control, unit)
    if kind == "share":
        if exact:
            return ""
        share = (arm["mean"] * arm["n"] + control["mean"] * control["n"]) / (arm["n"] + control["n"])
        rare, what = min(share, 1 - share), f"{unit} with it" if share <= 0.5 else f"{unit} without it"
    else:
        rare, what = (arm["nonzero"] + control["nonzero"]) / (arm["n"] + control["n"]), f"{unit} other than zero"
    expected = smallest * rare
    if expected >= LEAST_EVENTS:
        return "" if kind == "share" else _lopsided(arm, control, unit)
    would = f"; about {math.ceil(LEAST_EVENTS / rare):,} {unit} in each arm would do" if rare > 0 else ""
    return f"needs {LEAST_EVENTS} expected {what} in each arm, has {expected:.1f}{would}"


def unfit(arm: pd.Series, control: pd.Series, *, kind: str, unit: str = "units") -> str:
    """Why no number of units would do, in words: values that do not differ within an arm leave nothing to tell chance
    by; '' where they do."""
    if kind == "quantile" or min(arm["n"], control["n"]) < LEAST_UNITS:
        return ""
    if kind == "share":
        exposed = {arm["mean"], control["mean"]} == {0.0, 1.0}
        return f"only says which version {unit} saw: all of one have it, and none of the other" if exposed else ""
    if kind == "ratio" and min(arm["nonzero"], control["nonzero"]) < LEAST_UNITS:
        return ""
    least = 1e-12 * max(abs(arm["mean"]), abs(control["mean"])) ** 2
    if arm["var"] > least or control["var"] > least:
        return ""
    means = (float(row["mean"]) for row in (control, arm))
    one, other = (formats.number(mean, digits=0 if mean.is_integer() else 2) for mean in means)
    if one == other:
        return f"is {one} for all {unit}, in either version"
    both = f"is {one} for all {unit} of {words(str(control.name))} and {other} for all of {words(str(arm.name))}"
    return f"{both}: that cannot be judged from constant values"


def _lopsided(arm: pd.Series, control: pd.Series, unit: str) -> str:
    """Large values that weigh too much in arms of unequal size: false in 13 to 19 of 100 tests of two equal things.

    The skewness of the difference, had both arms the values of the two together: 0 for arms of one size.
    """
    if "skew3" not in arm.index:
        return ""
    a, b = float(control["n"]), float(arm["n"])
    third, var = ((a * control[name] + b * arm[name]) / (a + b) for name in ("skew3", "var"))
    skew = abs(third * (1 / b**2 - 1 / a**2)) / (var * (1 / a + 1 / b)) ** 1.5
    if skew <= SKEWED:
        return ""
    would = f"arms of one size, or about {math.ceil(min(a, b) * (skew / SKEWED) ** 2):,} {unit} in the smaller"
    large = f"has a few large values, which arms of {int(a):,} and {int(b):,} {unit} cannot share out evenly"
    return f"{large}; {would}, would do"


def skewness(a: pd.Series, b: pd.Series) -> float:
    """Skewness of the difference of two means: (κ3b / nb² − κ3a / na²) / SE³."""
    if min(a["n"], b["n"]) < 3:
        return 0.0
    variance = a["var"] / a["n"] + b["var"] / b["n"]
    if not variance > 0:
        return 0.0
    return float((b["skew3"] / b["n"] ** 2 - a["skew3"] / a["n"] ** 2) / variance**1.5)
