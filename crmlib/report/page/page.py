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
from crmlib.findings import FINDINGS_MIME, PART_MIME, Findings, from_json
from crmlib.report.page import notebook as cells
from crmlib.report.page.notebook import dropped, plain, published
from crmlib.report.page.templates import render_template, warm_up
from crmlib.report.page.tiles import duration, finite, headlines, ranked
from crmlib.report.statuses import STATUS_WORDS

if TYPE_CHECKING:
    from crmlib.report.memory.changes import Changes
    from crmlib.report.memory.record import Record

__all__ = ["FINDINGS_MIME", "PART_MIME", "Facts", "dropped", "duration", "finite", "headlines", "plain", "published",
           "render", "render_failure", "render_template", "warm_up"]  # fmt: skip
HEALTH = "data_health"  # the report that lists every fault of the data


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
    payload = published(notebook) or {}
    said = from_json(payload) if payload else Findings(report=facts.report, headline=facts.reason, parts=())
    shown = [part for part in said.parts if part.shown]
    shown += cells.own_parts(notebook, known={part.title for part in shown})
    main = [part for part in shown if not part.detail]
    hero = next((part for part in main if part.chart and part.chart.wide), None)
    parts = [part for part in main if part is not hero]
    return render_template(
        "page.html.j2",
        run=facts,
        answered=bool(payload),
        said=said,
        masthead=_masthead(facts, said, payload.get("shop", {})),
        tiles=headlines(said, facts.changes, facts.trends),
        hero=hero,
        parts=parts,
        details=[part for part in shown if part.detail],
        actions=[(action, action.file if action.file in facts.files else "") for action in said.actions],
        changes=[line.text for line in ranked(said.changes, facts.changes)],
        warnings=[check for check in said.checks if check.verdict == "warning"],
        passed=[check for check in said.checks if check.verdict == "ok"],
        record=facts.record if facts.record and facts.record.due else None,
        source=_source(payload.get("shop", {}), said, facts),
        method=list(cells.parts(notebook, scrub)),
    )


def render_failure(facts: Facts, *, message: str, cell: str = "", scrub: Sequence[tuple[str, str]] = ()) -> str:
    """The page a failed run leaves: what went wrong, where, and how to run it again."""
    return render_template(
        "failed.html.j2",
        run=facts,
        status=STATUS_WORDS[facts.status],
        as_of=formats.day(facts.as_of),
        message=plain(message, scrub),
        cell=plain(cell, scrub),
    )


def _masthead(facts: Facts, said: Findings, shop: Mapping[str, Any]) -> dict[str, Any]:
    through = date.fromisoformat(shop["data_through"]) if shop.get("data_through") else None
    late = through is not None and through < facts.as_of - timedelta(days=1)
    warnings = sum(check.verdict != "ok" for check in said.checks)
    word = "" if facts.status == "published" else STATUS_WORDS[facts.status].lower()
    if facts.status == "warnings" and warnings:
        word = wording.counted(warnings, "warning")
    return {
        "shop": (shop.get("name") or facts.shop_name) + (f", only {only}" if (only := shop.get("segment")) else ""),
        "through": through if late else None,
        "word": word,
        "stale": f"stale: newer data was due within {shop.get('max_age') or 'its time'}" if shop.get("stale") else "",
        "banner": [check for check in said.checks if check.verdict == "failed"],
    }


def _source(shop: Mapping[str, Any], said: Findings, facts: Facts) -> dict[str, Any]:
    tables = [
        {**table, "file": Path(str(table["file"])).name, "sha256": str(table["sha256"])[:16]}
        for table in shop.get("tables", [])
    ]
    money = any(len(metric.unit) == 3 and metric.unit.isupper() for metric in said.metrics)
    keys = ("read", "kept", "set_aside", "after_as_of")
    read, kept, aside, after = (sum(table[key] for table in tables) for key in keys)
    # Of all tables, also those that this report does not read.
    unused = f"{formats.number(aside)} of the shop’s {wording.counted(read, 'row')} could not be used." if aside else ""
    if read != kept + aside + after:
        unused = f"The rows do not add up: {formats.number(read)} were read, {formats.number(kept)} used."
    return {
        "tables": tables,
        # The report on the data itself tells them one by one.
        "rows": "" if facts.report == HEALTH and read == kept + aside + after else unused,
        "money": shop.get("money", "") if money else "",
        "zone": shop.get("timezone", ""),
        "not_as_known": shop.get("not_as_known", []),
        "duration": duration(facts.seconds),
        "metrics": [(metric, metric.estimate.text, metric.estimate.span) for metric in said.metrics],
        "health": next((link for _, link, _ in facts.siblings if f"/{HEALTH}" in link), ""),
    }
