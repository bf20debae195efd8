"""A verdict in words for each test, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd
from scipy import stats

from crmlib import formats
from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.measures import words
from crmlib.analysis.experiments.results import Results
from crmlib.analysis.experiments.worth import Worth, margin_row

LONGEST = 84  # days of a test that anybody would still plan
DECIDED = ("higher", "lower", "no_difference", "no_gain")
READ = (*DECIDED, "open")  # read at its end, whether or not that settles what to do
STATES = (*READ, "running", "void", "too_few", "no_outcomes")
_SELLING = ("conver", "order", "purchase", "bought", "buy", "sales", "revenue", "turnover", "sold")
# Of one guardrail, and of several.
_UNSURE_OF = {"broken": ("gets worse than it may", "get worse than they may"), "unclear": ("is not assured", "are not assured"),
              "absent": ("was not measured", "were not measured")}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What each test says, by its primary measure alone.

    table    one row per experiment and arm: experiment, variant, state (one of `STATES`), title, brief, decision (ship, stop, open, extend, void), why, units (in both arms), by (a day, or ''), early
             (decided while windows are still open, which only an always-valid reading may)
    """

    table: pd.DataFrame
    worthwhile: float
    reading: str

    def __repr__(self) -> str:
        return f"Verdicts({', '.join(self.table['title'])})"

    def count(self, *states: str) -> int:
        """How many experiments have at least one arm in one of these states?"""
        return int(self.table.loc[self.table["state"].isin(states), "experiment"].nunique())


def score(facts: Facts, checks: Checks, results: Results, worth: Worth, *, worthwhile: float = 0.0) -> Verdicts:
    """What should be done about each test?

    It ships where the primary measure is higher, its margin less the offer's cost, where measured, is shown to gain, and
    every guardrail holds. It stops where measure or margin is shown to lose, a guardrail is broken, or no gain worth
    having is left. In between it is open: a test read once is over, so a new one is to be planned; only an always-valid
    reading may let it run on. A test whose windows are still open is not decided when it is read once, at its end; under an
    always-valid reading it is, as soon as its interval clears zero. `worthwhile` is the smallest effect worth having,
    relative to control's mean; 0 leaves it unsaid, and then no interval
    excludes it. Higher counts as better.
    """
    rows = []
    for experiment in facts.apart["experiment"]:
        arms = facts.arms[facts.arms["experiment"] == experiment].set_index("variant")
        control = checks.controls[experiment]
        for arm in [name for name in arms.index if name != control] or [""]:
            units = int(arms["units"].get(control, 0) + arms["units"].get(arm, 0))
            state, title, decision, why, by = _verdict(
                facts, checks, results, worth, str(experiment), str(arm), worthwhile
            )
            brief = _brief(state, title, _name(str(experiment), str(arm), facts))
            early = state in DECIDED and _is_open(results, str(experiment), str(arm))
            rows.append((experiment, arm, state, title, brief, decision, why, units, by, early))
    names = ["experiment", "variant", "state", "title", "brief", "decision", "why", "units", "by", "early"]
    return Verdicts(table=pd.DataFrame(rows, columns=names), worthwhile=worthwhile, reading=results.reading)


def _verdict(
    facts: Facts, checks: Checks, results: Results, worth: Worth, experiment: str, arm: str, worthwhile: float
) -> tuple[str, str, str, str, str]:
    """State, title, decision, why, by."""
    name = _name(experiment, arm, facts)
    table = results.table[results.table["experiment"] == experiment]
    if (experiment, "") in checks.blocked:
        why = "find out where the rest are, such as a redirect, an error or a blocked script: they may differ from those who stayed, so no effect is shown"
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
    early = found["state"] == "ok" and (found["low"] > 0 or found["high"] < 0)
    if found["open"] and not early:
        return _running(facts, experiment, name, found)
    if found["state"] == "void":
        why = f"{words(metric)} is missing more in one arm than in the other, so the arms cannot be compared"
        return "void", f"{name} is void: {words(metric)} is missing unequally", "void", why, ""
    if found["state"] == "too_few":
        return "too_few", f"{name}: too few to conclude", "extend", str(found["reason"]), ""
    mine = table[table["variant"] == arm]
    state, title, decision, why = _decided(found, mine, name, facts, results, worth, worthwhile)
    if found["open"] and state == "open":
        by = end_of(facts, experiment, metric)
        return "running", title, decision, why, by.isoformat()
    if found["open"]:
        why += "; read before its end, which this interval allows, but early winners are exaggerated"
    return state, title, decision, why, ""


def _is_open(results: Results, experiment: str, arm: str) -> bool:
    table = results.table
    mine = table[table["primary"] & (table["experiment"] == experiment) & (table["variant"] == arm)]
    return bool((mine["open"] > 0).any())


def _brief(state: str, title: str, name: str) -> str:
    """The title where several stand in one line."""
    name = name[:1].lower() + name[1:]
    said = {"no_difference": f"no worthwhile difference in {name}", "no_gain": f"no worthwhile gain in {name}", "too_few": f"too few to conclude in {name}",
            "no_outcomes": f"nothing measured in {name}", "void": f"{name} is void"}  # fmt: skip
    return said.get(state, title.partition(", from ")[0])


def _decided(
    row: pd.Series, rows: pd.DataFrame, name: str, facts: Facts, results: Results, worth: Worth, worthwhile: float
) -> tuple[str, str, str, str]:
    """State, title, decision, why, of a primary measure that may be read."""
    said = f"{words(row['metric'])} {effect_text(row, facts.currency)}"
    least = worthwhile * row["mean_control"]
    if row["low"] > 0:
        # More revenue an order, or in the upper tenth, is not more sold.
        plain = not set("/@") & set(row["metric"])
        selling = plain and any(word in words(row["metric"]).casefold() for word in _SELLING)
        title = f"{name} sells more" if selling else f"{name}: {words(row['metric'])} is higher"
        title, decision, why = _may_ship(row, rows, title, said, facts, results, worth, least)
        return "open" if decision in ("open", "extend") else "higher", title, decision, why
    if row["high"] < 0:
        return "lower", f"{name}: {words(row['metric'])} is lower", "stop", said
    low, high, most = ends_text(row, facts.currency)
    within = f"{words(row['metric'])} between {low} and {high}"
    if least > 0 and row["high"] < least:
        wish = size_text(least, row["kind"], facts.currency)
        if row["low"] > -least:
            why = f"{within}: effects beyond ±{most} are unlikely, and {wish} would be the smallest worth having"
            return "no_difference", f"{name}: no difference larger than {most}", "stop", why
        why = f"{within}: a gain of {wish} or more, the smallest worth having, is unlikely; a loss is not excluded"
        return "no_gain", f"{name}: no gain worth having", "stop", why
    factor = float(stats.norm.ppf(0.5 + row["level"] / 2) + stats.norm.ppf(0.8))
    why = f"{within}: neither a gain nor a loss is shown"
    if row["error"] > 0:
        why += f"; an effect smaller than about {size_text(factor * row['error'], row['kind'], facts.currency)} is easily missed by a test of this size"
    if least > 0 and row["error"] > 0:
        wish = size_text(least, row["kind"], facts.currency)
        why += (
            f". One of {wish}, the smallest worth having, needs about {needed(row, least):,} {facts.unit} in each arm"
        )
    return "open", f"{name} stays open, from {low} to {high}", _on(results), why


def _on(results: Results) -> str:
    """What an unsettled test may do: run on where any day may be read, else end without a decision."""
    return "extend" if results.reading == "always" else "open"


def _may_ship(
    row: pd.Series,
    rows: pd.DataFrame,
    title: str,
    said: str,
    facts: Facts,
    results: Results,
    worth: Worth,
    least: float,
) -> tuple[str, str, str]:
    """Title, decision and why of a primary measure that is higher: what stands in the way of shipping it?"""
    for verdict in ("broken", "absent", "unclear"):
        names = [words(name) for name, found in _rails(rows, results).items() if found == verdict]
        if names:
            guarded = " and ".join(names)
            decision = "stop" if verdict == "broken" else _on(results)
            return (
                f"{title} but {guarded} {_UNSURE_OF[verdict][len(names) > 1]}",
                decision,
                f"{said}; {_rails_text(rows, results, facts)}",
            )
    safe = f"; {_rails_text(rows, results, facts)}" if results.guardrails else ""
    margin = margin_row(rows)
    if margin is None:
        short = ". The smallest effect worth having is not assured" if row["low"] < least else ""
        return title, "ship", f"{said}{safe}{short}"
    what = words(margin["metric"]) + (" less the offer's cost" if worth.offer_cost else "")
    if margin["state"] != "ok":
        return f"{title} but {what} is unclear", _on(results), f"{said}; {what} could not be tested yet{safe}"
    net = margin.copy()
    for name in ("effect", "low", "high"):
        net[name] -= worth.offer_cost
    why = f"{said}; {what} {effect_text(net, facts.currency)}{safe}"
    # Where the offer costs nothing, the corrected p-value says what the interval says, for all metrics at once.
    clear = bool(worth.offer_cost) or margin["primary"] or margin["p_adjusted"] < 1 - results.confidence
    if net["low"] > 0 and clear:
        return title, "ship", why
    if net["high"] < 0 and clear:
        return f"{title} but {what} falls", "stop", why
    days = _more_days(net, facts, float(net["effect"]))
    title = f"{title} but {what} is unclear"
    new = f"Plan a new, longer or bolder test with {words(margin['metric'])} as its primary measure"
    if days is None:
        return title, _on(results), f"{why}. {new}"
    best = _more_days(net, facts, float(net["high"]))
    soonest = f"{best:,} if it is as large as the range allows, " if best and best < days else ""
    long = f"To show an effect of that size four times in five takes about {days:,} days at this pace ({soonest}longer if it is smaller)"
    if results.reading == "always" and days <= LONGEST:
        return f"{title}: run {days} more days", "extend", f"{why}. {long}"
    if days > LONGEST:
        return title, _on(results), f"{why}. {long}: too long to wait for"
    return title, "open", f"{why}. {long}, in a new test with {words(margin['metric'])} as its primary measure"


def _rails(rows: pd.DataFrame, results: Results) -> dict[str, str]:
    """Guardrail metric -> holds, unclear, broken, or absent."""
    found = rows.set_index("metric")["guardrail"].to_dict()
    return {rail.metric: found.get(rail.metric) or "absent" for rail in results.guardrails}


def _rails_text(rows: pd.DataFrame, results: Results, facts: Facts) -> str:
    by_metric = rows.set_index("metric")
    verdicts = _rails(rows, results)
    parts = []
    for rail in results.guardrails:
        verdict = verdicts[rail.metric]
        seen = ""
        if verdict != "absent" and by_metric.loc[rail.metric, "state"] == "ok":
            seen = f" {effect_text(by_metric.loc[rail.metric], facts.currency)}"
        word = {"holds": "holds", "broken": "is broken", "unclear": "is not assured", "absent": "was not measured"}[
            verdict
        ]
        parts.append(f"guardrail {words(rail.metric)}{seen} {word} ({rail.text})")
    return "; ".join(parts)


def _more_days(row: pd.Series, facts: Facts, effect: float) -> int | None:
    """Days of a new test, in whole weeks and at this one's pace, that finds an effect four times in five; None where it cannot be said."""
    arms = facts.arms[facts.arms["experiment"] == row["experiment"]]
    span = (arms["last_at"].max().date() - arms["first_at"].min().date()).days + 1
    units = needed(row, effect) * len(arms)
    weeks = math.ceil(units / (float(arms["units"].sum()) / span) / 7) if units else 0
    return 7 * weeks if 0 < 7 * weeks <= 10_000 else None


def _running(facts: Facts, experiment: str, name: str, row: pd.Series) -> tuple[str, str, str, str, str]:
    closed, total = (
        int(row["n"] + row["n_control"] + row["missing"]),
        int(row["n"] + row["n_control"] + row["missing"] + row["open"]),
    )
    by = end_of(facts, experiment, str(row["metric"]))
    when = (
        f"no effect is clear yet by a range that may be read every day; the last of them will be on {formats.day(by)}"
        if row["state"] in ("ok", "unread")
        else f"read once, at the planned end, and not before {formats.day(by)}"
    )
    why = f"{closed:,} of {total:,} {facts.unit} have been followed for their whole window; {when}"
    left = (by - facts.as_of).days
    title = (
        f"{name} is still running: {left} more {'day' if left == 1 else 'days'}"
        if left > 0
        else f"{name} is still running"
    )
    return "running", title, "extend", why, by.isoformat()


def _without_outcomes(facts: Facts, experiment: str, name: str) -> tuple[str, str, str, str, str]:
    by = end_of(facts, experiment, "")
    if by > facts.as_of:
        why = (
            f"none of its {facts.unit} has been followed for a whole window yet; the last will be on {formats.day(by)}"
        )
        return "running", f"{name} is still running", "extend", why, by.isoformat()
    return (
        "no_outcomes",
        f"{name}: nothing was measured",
        "extend",
        f"its {facts.unit} have no outcomes in this shop's tables",
        "",
    )


def end_of(facts: Facts, experiment: str, metric: str) -> date:
    """The day by which the last unit's window has closed; a first as_of at which this test can be read."""
    known = facts.moments[facts.moments["experiment"] == experiment]
    # A ratio ends with the later of its two metrics, a quantile with its own.
    windows = known[known["metric"].isin({metric, *metric.split("/"), metric.rpartition("@")[0]})][
        "window_high"
    ].dropna()
    days = float(windows.max()) if len(windows) else float(facts.window_days)
    last = facts.arms.loc[facts.arms["experiment"] == experiment, "last_at"].max() + timedelta(days=days)
    end: date = (last + timedelta(days=1) - timedelta(microseconds=1)).date()
    return end


def _name(experiment: str, arm: str, facts: Facts) -> str:
    arms = int((facts.arms["experiment"] == experiment).sum())
    name = words(experiment)
    name = name[:1].upper() + name[1:]
    return f"{name}, {words(arm)}" if arms > 2 and arm else name


def needed(row: pd.Series, least: float) -> int:
    """Units an arm needs to find `least` four times in five at this row's level, at this test's variance."""
    both = row["error"] ** 2 * 2 * row["n"] * row["n_control"] / (row["n"] + row["n_control"])
    factor = stats.norm.ppf(0.5 + row["level"] / 2) + stats.norm.ppf(0.8)
    return math.ceil(factor**2 * both / least**2) if least and row["error"] > 0 else 0


def amount(value: float, kind: str, currency: str, *, width: float, sign: bool = False) -> str:
    """A value of one metric, in percentage points, money or plain, with the decimals that an interval of `width` supports."""
    return _amount(value, kind, currency, digits=_digits(width * _scale(kind)), sign=sign)


def size_text(value: float, kind: str, currency: str) -> str:
    """A size, such as the smallest effect worth having, with its own two leading digits: '0.32 points'."""
    shown = value * _scale(kind)
    text = _amount(value, kind, currency, digits=max(0, min(4, 1 - math.floor(math.log10(shown)))) if shown > 0 else 2)
    return f"{text} points" if kind == "share" else text


def unit_of(kind: str, currency: str) -> str:
    """What a metric's axis counts in."""
    return "percentage points" if kind == "share" else (currency or "money") if kind == "money" else "its own unit"


def effect_text(row: pd.Series, currency: str) -> str:
    """An effect with its interval, in the metric's own unit: '+0.93 points (0.41 to 1.45)'."""
    digits = _row_digits(row)
    low, high = (_amount(row[end], row["kind"], currency, digits=digits) for end in ("low", "high"))
    points = " points" if row["kind"] == "share" else ""
    return f"{_amount(row['effect'], row['kind'], currency, digits=digits, sign=True)}{points} ({low} to {high})"


def ends_text(row: pd.Series, currency: str) -> tuple[str, str, str]:
    """Both ends of an interval and the larger of them, rounded as `effect_text` does: what a sentence says, the table says."""
    digits = _row_digits(row)
    ends = [_amount(row[end], row["kind"], currency, digits=digits, sign=True) for end in ("low", "high")]
    most = _amount(max(-row["low"], row["high"]), row["kind"], currency, digits=digits)
    points = " points" if row["kind"] == "share" else ""
    return ends[0], f"{ends[1]}{points}", f"{most}{points}"


def _row_digits(row: pd.Series) -> int:
    """As the interval's width supports, and one more where an end that is off zero would else read as zero."""
    scale = _scale(row["kind"])
    digits = _digits((row["high"] - row["low"]) * scale)
    if row["low"] * row["high"] > 0 and round(min(abs(row["low"]), abs(row["high"])) * scale, digits) == 0:
        return min(4, digits + 1)
    return digits


def _amount(value: float, kind: str, currency: str, *, digits: int, sign: bool = False) -> str:
    shown = value * _scale(kind)
    text = formats.money(shown, currency, digits=digits) if kind == "money" else formats.number(shown, digits=digits)
    return f"+{text}" if sign and value > 0 and text.strip("0.,") else text


def _scale(kind: str) -> int:
    return 100 if kind == "share" else 1


def _digits(width: float) -> int:
    """The interval is eight to eighty steps of the last digit, as in the page's tiles."""
    return max(0, min(4, -math.floor(math.log10(width / 8)))) if width > 0 and math.isfinite(width) else 2
