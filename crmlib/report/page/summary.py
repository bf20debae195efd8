"""Five lines of plain text for a phone: the headline, what changed, why, what to do first, and where to read on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from crmlib import formats, wording
from crmlib.findings import Action, Findings, from_json
from crmlib.report.page.page import Facts, plain
from crmlib.report.page.tiles import headlines, ranked
from crmlib.report.statuses import STATUS_WORDS

_LONGEST = 240


def of_report(facts: Facts, payload: Mapping[str, Any]) -> str:
    """The summary of a published run; each of its five lines is one line whatever the data hold."""
    said = from_json(payload) if payload else Findings(report=facts.report, headline=facts.reason, parts=())
    changes = facts.changes
    lines = [line.text for line in ranked(said.changes, changes)]
    lines += [f"{tile['label']}: {tile['change']}." for tile in headlines(said, changes) if tile["arrow"]]
    changed = wording.sentences(*lines) or ("nothing stands out." if changes else "first report.")
    why = changes.why if changes else facts.reason or "There is no earlier run to compare with."
    first = first_action(said.actions[0], near=facts.as_of) if said.actions else "nothing today."
    sure = next(iter(said.certain), "")
    return _lines(facts, said.headline, changed, why, first, sure)


def of_failure(facts: Facts) -> str:
    """The summary of a run that left no report."""
    changed = "earlier reports stand as they were."
    return _lines(facts, "no report was made.", changed, facts.reason, f"run it again: {facts.command}", "")


def first_action(action: Action, *, near: date) -> str:
    """An action in a line: what, worth, by when, who."""
    by = f"by {wording.day(action.by, near=near)}" if action.by else ""
    return f"{'; '.join(filter(None, (action.what, action.worth, by, action.owner)))}."


def _lines(facts: Facts, headline: str, changed: str, why: str, first: str, sure: str) -> str:
    title = f"{facts.title} ({facts.variant})" if facts.variant else facts.title
    shop = f", {facts.shop_name}" if facts.shop_name else ""
    head = f"{title}{shop}, {formats.day(facts.as_of)}, {STATUS_WORDS[facts.status].lower()}: {headline}"
    said = (head, f"Changed: {changed}", f"Why: {why}", f"First: {first}")
    last = f"How certain: {_cut(sure)} Page: report.html" if sure else "Page: report.html"
    return "".join(f"{_cut(line)}\n" for line in said) + f"{last}\n"


def _cut(text: str) -> str:
    """One line, not longer than a phone shows at a glance, without characters that are none."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in plain(text)).split())
    if len(line) <= _LONGEST:
        return line
    # A whole sentence says more than half of the next.
    whole = line[:_LONGEST].rpartition(". ")[0]
    return f"{whole}." if len(whole) > _LONGEST // 3 else line[: _LONGEST - 1].rpartition(" ")[0].rstrip(" ,;:") + "…"
