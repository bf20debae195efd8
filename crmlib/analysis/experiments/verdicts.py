"""A verdict in words for each test, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd
from scipy import stats

from crmlib import formats
from crmlib.analysis.experiments.checks import Checks, words
from crmlib.analysis.experiments.effects import Results
from crmlib.analysis.experiments.reduction import Facts

_SELLING = ("conver", "order", "purchase", "bought", "buy", "sales", "revenue", "turnover", "sold")
_MARGIN = ("margin", "profit")


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What each test says, by its primary measure alone.

    table    one row per experiment and arm: experiment, variant, state (higher, lower, no_difference, running, void, too_few,
             no_outcomes), title, brief, decision (ship, stop, extend, void), why, units (in both arms), by (a day, or '')
    """

    table: pd.DataFrame
    worthwhile: float

    def __repr__(self) -> str:
        return f"Verdicts({', '.join(self.table['title'])})"

    def count(self, *states: str) -> int:
        """How many experiments have at least one arm in one of these states?"""
        return int(self.table.loc[self.table["state"].isin(states), "experiment"].nunique())


def score(facts: Facts, checks: Checks, results: Results, *, worthwhile: float = 0.0) -> Verdicts:
    """What should be done about each test?

    The primary measure decides, by its interval; a test whose windows are still open is not decided, since it is read
    once, at its end. `worthwhile` is the smallest effect worth having, relative to control's mean; 0 leaves it unsaid.
    Higher counts as better.
    """
    rows = []
    for experiment in facts.apart["experiment"]:
        arms = facts.arms[facts.arms["experiment"] == experiment].set_index("variant")
        control = checks.controls[experiment]
        for arm in [name for name in arms.index if name != control] or [""]:
            units = int(arms["units"].get(control, 0) + arms["units"].get(arm, 0))
            state, title, decision, why, by = _verdict(facts, checks, results, str(experiment), str(arm), worthwhile)
            brief = _brief(state, title, _name(str(experiment), str(arm), facts))
            rows.append((experiment, arm, state, title, brief, decision, why, units, by))
    names = ["experiment", "variant", "state", "title", "brief", "decision", "why", "units", "by"]
    return Verdicts(table=pd.DataFrame(rows, columns=names), worthwhile=worthwhile)


def _verdict(
    facts: Facts, checks: Checks, results: Results, experiment: str, arm: str, worthwhile: float
) -> tuple[str, str, str, str, str]:
    """State, title, decision, why, by."""
    name = _name(experiment, arm, facts)
    table = results.table[results.table["experiment"] == experiment]
    if (experiment, "") in checks.blocked:
        why = "whoever is missing from an arm may differ from those who stayed; no effect is shown"
        return "void", f"{name} is void: the split broke", "void", why, ""
    if not arm:
        return (
            "too_few",
            f"{name}: too few to conclude, only one arm holds units",
            "extend",
            "there is nothing to compare with",
            "",
        )
    if experiment not in results.primary:
        return _without_outcomes(facts, experiment, name)
    metric = results.primary[experiment]
    row = table[(table["metric"] == metric) & (table["variant"] == arm)]
    if row.empty:
        return (
            "no_outcomes",
            f"{name}: {words(metric)} was never measured in this arm",
            "extend",
            "nothing was measured",
            "",
        )
    found = row.iloc[0]
    if found["open"]:
        return _running(facts, experiment, name, found)
    if found["state"] == "void":
        why = f"{words(metric)} is missing more in one arm than in the other, so the arms cannot be compared"
        return "void", f"{name} is void: {words(metric)} is missing unequally", "void", why, ""
    if found["state"] == "too_few":
        return "too_few", f"{name}: too few to conclude", "extend", str(found["reason"]), ""
    return _decided(found, table[table["variant"] == arm], name, facts.currency, worthwhile, 1 - results.confidence)


def _brief(state: str, title: str, name: str) -> str:
    """The title where several stand in one line."""
    name = name[:1].lower() + name[1:]
    said = {"no_difference": f"no difference found in {name}", "too_few": f"too few to conclude in {name}",
            "no_outcomes": f"nothing measured in {name}", "void": f"{name} is void"}  # fmt: skip
    return said.get(state, title)


def _decided(
    row: pd.Series, rows: pd.DataFrame, name: str, currency: str, worthwhile: float, alpha: float
) -> tuple[str, str, str, str, str]:
    said = f"{words(row['metric'])} {effect_text(row, currency)}"
    least = worthwhile * row["mean_control"]
    if row["low"] > 0:
        selling = any(word in words(row["metric"]).casefold() for word in _SELLING)
        title = f"{name} sells more" if selling else f"{name}: {words(row['metric'])} is higher"
        margin = _margin(rows, str(row["metric"]))
        if margin is None:
            short = " The smallest effect worth having is not assured." if row["low"] < least else ""
            return "higher", title, "ship", f"{said}.{short}", ""
        about = f"{words(margin['metric'])} {effect_text(margin, currency) if margin['state'] == 'ok' else 'could not be tested yet'}"
        if margin["low"] > 0 and margin["p_adjusted"] < alpha:
            return "higher", title, "ship", f"{said}; {about}", ""
        if margin["high"] < 0 and margin["p_adjusted"] < alpha:
            return "higher", f"{title}, but {words(margin['metric'])} falls", "stop", f"{said}; {about}", ""
        why = f"{said}; {about}. Plan a new, larger test with {words(margin['metric'])} as its primary measure; do not just let this one run on"
        return "higher", f"{title}, {words(margin['metric'])} unclear", "extend", why, ""
    if row["high"] < 0:
        return "lower", f"{name}: {words(row['metric'])} is lower", "stop", said, ""
    bound = most_text(row, currency)  # rounded away from zero
    title = f"{name}: no difference larger than {bound}"
    if worthwhile and row["high"] > least:
        why = f"{said}: an effect worth having is neither shown nor excluded; a new test needs about {needed(row, least):,} units in each arm"
        return "no_difference", f"{title} either way", "extend", why, ""
    return "no_difference", title, "stop", f"{said}; larger effects are unlikely", ""


def _running(facts: Facts, experiment: str, name: str, row: pd.Series) -> tuple[str, str, str, str, str]:
    closed, total = (
        int(row["n"] + row["n_control"] + row["missing"]),
        int(row["n"] + row["n_control"] + row["missing"] + row["open"]),
    )
    by = _end(facts, experiment, str(row["metric"]))
    why = f"{closed:,} of {total:,} windows are closed; read once, at the planned end, and not before {formats.day(by)}"
    return "running", f"{name} is still running", "extend", why, by.isoformat()


def _without_outcomes(facts: Facts, experiment: str, name: str) -> tuple[str, str, str, str, str]:
    by = _end(facts, experiment, "")
    if by > facts.as_of:
        why = f"no window has closed yet; the last closes on {formats.day(by)}"
        return "running", f"{name} is still running", "extend", why, by.isoformat()
    return (
        "no_outcomes",
        f"{name}: nothing was measured",
        "extend",
        "its units have no outcomes in this shop's tables",
        "",
    )


def _end(facts: Facts, experiment: str, metric: str) -> date:
    """The day by which the last unit's window has closed; a first as_of at which this test can be read."""
    windows = facts.moments[(facts.moments["experiment"] == experiment) & (facts.moments["metric"] == metric)][
        "window_high"
    ].dropna()
    days = float(windows.max()) if len(windows) else float(facts.window_days)
    last = facts.arms.loc[facts.arms["experiment"] == experiment, "last_at"].max() + timedelta(days=days)
    end: date = (last + timedelta(days=1) - timedelta(microseconds=1)).date()
    return end


def _margin(rows: pd.DataFrame, primary: str) -> pd.Series | None:
    """The secondary row that speaks of margin, tested or not."""
    others = rows[rows["metric"] != primary]
    chosen = others[others["metric"].str.casefold().str.contains("|".join(_MARGIN))]
    return None if chosen.empty else chosen.iloc[0]


def _name(experiment: str, arm: str, facts: Facts) -> str:
    arms = int((facts.arms["experiment"] == experiment).sum())
    name = words(experiment)
    name = name[:1].upper() + name[1:]
    return f"{name}, {words(arm)}" if arms > 2 and arm else name


def needed(row: pd.Series, least: float) -> int:
    """Units an arm needs to find `least` four times in five at p < .05, at this test's variance."""
    error = (row["high"] - row["low"]) / 2 / stats.norm.ppf(0.5 + row["level"] / 2)
    both = error**2 * 2 * row["n"] * row["n_control"] / (row["n"] + row["n_control"])
    return math.ceil((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 * both / least**2) if least else 0


def amount(value: float, kind: str, currency: str, *, width: float, sign: bool = False) -> str:
    """A value of one metric, in percentage points, money or plain, with the decimals that `width` supports."""
    scale = 100 if kind == "share" else 1
    digits = _digits(width * scale)
    text = (
        formats.money(value * scale, currency, digits=digits)
        if kind == "money"
        else formats.number(value * scale, digits=digits)
    )
    return f"+{text}" if sign and value > 0 and text.strip("0.,") else text


def effect_text(row: pd.Series, currency: str) -> str:
    """An effect with its interval, in the metric's own unit: '+0.93 points (0.41 to 1.45)'."""
    width = row["high"] - row["low"]
    ends = [amount(row[end], row["kind"], currency, width=width) for end in ("low", "high")]
    points = " points" if row["kind"] == "share" else ""
    return f"{amount(row['effect'], row['kind'], currency, width=width, sign=True)}{points} ({ends[0]} to {ends[1]})"


def most_text(row: pd.Series, currency: str) -> str:
    """The largest effect, either way, that the interval still holds; rounded up, so that it is never too small."""
    width, scale = row["high"] - row["low"], 100 if row["kind"] == "share" else 1
    step = 10.0 ** -_digits(width * scale)
    bound = math.ceil(max(abs(row["low"]), abs(row["high"])) * scale / step - 1e-9) * step / scale
    text = amount(bound, row["kind"], currency, width=width)
    return f"{text} points" if row["kind"] == "share" else text


def _digits(width: float) -> int:
    return max(0, min(4, 1 - math.floor(math.log10(width)))) if width > 0 and math.isfinite(width) else 2
