"""Five lines of plain text for a phone: the headline, what changed, why, what to do first, and where to read on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crmlib import formats
from crmlib.report.page.page import Facts, counted, headlines, plain
from crmlib.report.statuses import STATUS_WORDS

_LONGEST = 240


def of_report(facts: Facts, payload: Mapping[str, Any]) -> str:
    """The summary of a published run; each of its five lines is one line whatever the data hold."""
    tiles = headlines(payload, facts.changes)
    lead = str(payload.get("lead") or facts.reason)
    if tiles:
        first = tiles[0]
        span = f" ({first['interval']})" if first["interval"] else ""
        unit = f" {first['unit']}" if first["unit"] else ""
        lead = f"{first['label']} {first['value']}{unit}{span}. {lead}"
    changes = facts.changes
    changed = (
        f"Since {formats.day(changes.since)}: {changes.summary}"
        if changes
        else "Change: no earlier run to compare with."
    )
    why = (
        f"Why: {changes.why}"
        if changes
        else f"Why: {facts.reason or 'the first run of this report that has an answer.'}"
    )
    sure = next(iter(payload.get("how_sure", ())), "")
    do = first_action(payload) or "nothing from this page today."
    return _lines(facts, lead, changed, why, f"Do first: {do}", sure)


def of_failure(facts: Facts) -> str:
    """The summary of a run that left no report."""
    return _lines(
        facts,
        "no report was made.",
        "Change: earlier reports stand as they were.",
        f"Why: {facts.reason}",
        f"Do first: run it again: {facts.command}",
        "",
    )


def _lines(facts: Facts, lead: str, changed: str, why: str, first: str, sure: str) -> str:
    title = f"{facts.title} ({facts.variant})" if facts.variant else facts.title
    shop = f", {facts.shop_name}" if facts.shop_name else ""
    head = f"{title}{shop}, {formats.day(facts.as_of)}, {STATUS_WORDS[facts.status].lower()}: {lead}"
    last = f"How sure: {_cut(sure)} Page: report.html" if sure else "Page: report.html"
    return "".join(f"{_cut(line)}\n" for line in (head, changed, why, first)) + f"{last}\n"


def first_action(payload: Mapping[str, Any]) -> str:
    """What to do first, for how many, why, by when and by whom; empty where there is nothing to do."""
    actions = payload.get("actions", [])
    if not actions:
        return ""
    action = actions[0]
    count = f" ({many})" if (many := counted(action)) else ""
    rest = [f"by {action['by']}" if action.get("by") else "", str(action.get("owner") or "")]
    tail = ", ".join(part for part in rest if part)
    return f"{action['what']}{count}, {action['why']}{f'; {tail}' if tail else ''}"


def _cut(text: str) -> str:
    """One line, not longer than a phone shows at a glance, without characters that are none."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in plain(text)).split())
    if len(line) <= _LONGEST:
        return line
    # A whole sentence says more than half of the next.
    whole = line[:_LONGEST].rpartition(". ")[0]
    return f"{whole}." if len(whole) > _LONGEST // 3 else line[: _LONGEST - 1].rpartition(" ")[0].rstrip(" ,;:") + "…"
