"""From an executed notebook to a page a reviewer can read and nothing in the data can run.

Only three things reach a page: findings, our own drawings as images, and escaped text. Whatever else a cell
displays is left out and named, and `validate` reads every finished page once more before it is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crmlib import formats, wording
from crmlib.findings import FINDINGS_MIME as FINDINGS_MIME
from crmlib.findings import PART_MIME as PART_MIME
from crmlib.findings import Chart, Findings, Part, from_json
from crmlib.report.page import notebook as cells
from crmlib.report.page.notebook import dropped as dropped
from crmlib.report.page.notebook import plain as plain
from crmlib.report.page.notebook import published as published
from crmlib.report.page.templates import lean_imports as lean_imports
from crmlib.report.page.templates import render_page
from crmlib.report.page.templates import render_template as render_template
from crmlib.report.page.templates import warm_up as warm_up
from crmlib.report.page.tiles import duration as duration
from crmlib.report.page.tiles import finite as finite
from crmlib.report.page.tiles import headlines as headlines
from crmlib.report.page.tiles import ranked
from crmlib.report.statuses import STATUS_WORDS

if TYPE_CHECKING:
    from crmlib.report.memory.changes import Changes
    from crmlib.report.memory.record import Record


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the runner knows of a run and the notebook does not say.

    `siblings` are the day's reports for the line of links: title, link, and whether it is this one.
    """

    run_id: str
    report: str
    title: str
    as_of: date
    status: str
    shop_name: str = ""
    variant: str = ""
    reason: str = ""
    seconds: float = 0.0
    parameters: Sequence[Mapping[str, str]] = ()
    code: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    files: Mapping[str, int | None] = field(default_factory=dict)
    changes: Changes | None = None
    record: Record | None = None
    trends: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    siblings: Sequence[tuple[str, str, bool]] = ()


def render(notebook: Mapping[str, Any], facts: Facts, *, scrub: Sequence[tuple[str, str]] = ()) -> str:
    """The page of an executed notebook.

    `scrub` are pairs of local paths and what stands for them in cell outputs. The caller validates the page.
    """
    payload = published(notebook)
    said = from_json(payload) if payload else Findings(report=facts.report, headline=facts.reason, parts=())
    parts = [*said.parts, *cells.own_parts(notebook, known={part.title for part in said.parts})]
    shown = [_shown(part, facts.files) for part in parts if part.shown]
    main = [part for part in shown if not part["detail"]]
    hero = next((part for part in main if part["wide"]), None)
    model = {
        "run": facts,
        "answered": payload is not None,
        # Plain texts: nbconvert copies what it is given, and a part's frames are not for copying.
        "said": {name: getattr(said, name) for name in ("headline", "certain", "caveats", "method")},
        "masthead": _masthead(facts, said, (payload or {}).get("shop", {})),
        "tiles": headlines(said, facts.changes, facts.trends),
        "hero": hero,
        "parts": [part for part in main if part is not hero],
        "details": [part for part in shown if part["detail"]],
        "actions": [_action(action, facts) for action in said.actions],
        "changes": _changes(said, facts) if payload else None,
        "warnings": [check for check in said.checks if check.verdict == "warning"],
        "passed": [check for check in said.checks if check.verdict == "ok"],
        "record": facts.record if facts.record and facts.record.due else None,
        "source": _source((payload or {}).get("shop", {}), said, facts),
        "method": list(cells.parts(notebook, scrub)),
    }
    model["contents"] = _contents(model)
    return render_page(notebook, model)


def render_failure(
    facts: Facts, *, message: str, cell: str = "", traceback: str = "", scrub: Sequence[tuple[str, str]] = ()
) -> str:
    """The page a failed run leaves: what went wrong, where, and how to run it again."""
    return render_template(
        "failed.html.j2",
        run=facts,
        status=STATUS_WORDS[facts.status],
        as_of=formats.day(facts.as_of),
        message=plain(message, scrub),
        cell=cell,
        traceback=plain(traceback, scrub),
    )


def _masthead(facts: Facts, said: Findings, shop: Mapping[str, Any]) -> dict[str, Any]:
    through = date.fromisoformat(shop["data_through"]) if shop.get("data_through") else None
    late = through is not None and through < facts.as_of - timedelta(days=1)
    warnings = sum(check.verdict != "ok" for check in said.checks)
    word = "" if facts.status == "published" else STATUS_WORDS[facts.status].lower()
    if facts.status == "warnings" and warnings:
        word = wording.counted(warnings, "warning")
    return {
        "shop": shop.get("name") or facts.shop_name,
        "through": through if late else None,
        "word": word,
        "stale": f"stale: newer data was due within {shop['max_age']}" if shop.get("stale") else "",
        "banner": [check for check in said.checks if check.verdict == "failed"],
    }


def _shown(part: Part, files: Mapping[str, int | None]) -> dict[str, Any]:
    """A part as the template takes it, its table without rows left out and its file only where that is there."""
    chart = part.chart or Chart()
    table = chart.table
    rows, total, file = table.get("rows", []), table.get("total", 0), str(table.get("file") or "")
    path = next((path for path in (file, f"tables/{file}", f"tables/{file}.csv") if file and path in files), "")
    return {
        "title": part.title,
        "sentence": part.sentence,
        "detail": part.detail,
        "wide": chart.wide,
        "narrow": chart.narrow,
        "alt": chart.alt,
        "caption": chart.caption,
        "table": table if rows else None,
        "more": f"First {len(rows)} of {formats.number(total)} rows." if total > len(rows) else "",
        "file": path,
    }


def _action(action: Any, facts: Facts) -> dict[str, Any]:
    return {
        "what": action.what,
        "worth": action.worth,
        "by": action.by,
        "owner": action.owner,
        "why": action.why,
        "file": action.file,
        "name": Path(action.file).name,
        "link": action.file if action.file in facts.files else "",
    }


def _changes(said: Findings, facts: Facts) -> dict[str, Any]:
    changes = facts.changes
    return {
        "lines": [text for text, _ in ranked(said.changes, changes)],
        "since": wording.day(changes.since, near=facts.as_of) if changes else "",
        "kinds": [
            (kind, [item.text for item in changes.differences if item.kind == kind])
            for kind in ("data", "parameters", "code", "environment")
        ]
        if changes
        else [],
    }


def _source(shop: Mapping[str, Any], said: Findings, facts: Facts) -> dict[str, Any]:
    tables = [
        {**table, "file": Path(str(table["file"])).name, "sha256": str(table["sha256"])[:16]}
        for table in shop.get("tables", [])
    ]
    money = any(len(metric.unit) == 3 and metric.unit.isupper() for metric in said.metrics)
    keys = ("read", "kept", "set_aside", "after_as_of")
    read, kept, aside, after = (sum(table[key] for table in tables) for key in keys)
    unused = f"{wording.counted(aside, 'row')} of {formats.number(read)} could not be used."
    if read != kept + aside + after:
        unused = f"The rows do not add up: {formats.number(read)} were read, {formats.number(kept)} used."
    return {
        "tables": tables,
        "rows": wording.upper(unused) if tables and (aside or read != kept + aside + after) else "",
        "money": shop.get("money", "") if money else "",
        "not_as_known": shop.get("not_as_known", []),
        "duration": duration(facts.seconds),
        "metrics": [(metric, metric.estimate.text, metric.estimate.span) for metric in said.metrics],
        "health": next((link for title, link, here in facts.siblings if title == "Data health" and not here), ""),
    }


def _contents(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    said, changes = model["said"], model["changes"] or {"since": "", "lines": ()}
    entries: list[tuple[str, str, Any]] = [("changed", "What changed", changes["since"] or changes["lines"])]
    entries += [(f"finding-{i}", part["title"], True) for i, part in enumerate(model["parts"], start=1)]
    entries += [
        ("certain", "How certain is this?", said["certain"]),
        ("limits", "Limits", said["caveats"]),
        ("checks", "Data checks", model["warnings"]),
        ("details", "More detail", model["details"]),
        ("record", "Track record", model["record"]),
        ("sources", "Sources and settings", True),
        ("method", "Method and code", model["method"]),
    ]
    return [(anchor, text) for anchor, text, there in entries if there]
