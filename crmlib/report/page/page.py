"""From an executed notebook to a page a reviewer can read and nothing in the data can run.

Only three things reach a page: findings, our own drawings as images, and escaped text. Whatever else a cell
displays is left out and named, and `validate` reads every finished page once more before it is published.
"""

from __future__ import annotations

import base64
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from crmlib import formats
from crmlib.report.page import notebook as method
from crmlib.report.page import privacy as personal
from crmlib.report.page.notebook import FIGURE_MIME as FIGURE_MIME
from crmlib.report.page.notebook import FINDINGS_MIME as FINDINGS_MIME
from crmlib.report.page.notebook import dropped as dropped
from crmlib.report.page.notebook import plain as plain
from crmlib.report.page.rules import POLICY, SCRIPT, STYLE, TEMPLATES
from crmlib.report.statuses import STATUS_WORDS

if TYPE_CHECKING:
    from crmlib.report.memory.changes import Change, Changes
    from crmlib.report.memory.record import Record

DETAIL = "detail"  # the tag of a notebook's cell whose figures are folded behind the main findings

_BRIEF = 48  # characters that fit two lines beside the text
_PNG = re.compile(r"data:image/png;base64,(iVBORw0KGgo[A-Za-z0-9+/]{33,}={0,2})")
_VERDICTS = {"ok": "passed", "warning": "warning", "failed": "failed"}
_RANGE = re.compile(r"[€$£¥₹]?\d[\d.,]*\N{EN DASH}[€$£¥₹]?\d[\d.,]*(?:\N{NO-BREAK SPACE}%| %)?")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the runner knows of a run and the notebook does not say."""

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


def published(notebook: Mapping[str, Any]) -> dict[str, Any] | None:
    """The findings in the outputs of the last code cell, or None: then the notebook did not reach its end."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    for output in reversed(code[-1].get("outputs", []) if code else []):
        payload = output.get("data", {}).get(FINDINGS_MIME)
        if isinstance(payload, dict) and payload.get("complete") is True:
            return payload
    return None


def render(notebook: Mapping[str, Any], facts: Facts, *, scrub: Sequence[tuple[str, str]] = ()) -> str:
    """The page of an executed notebook.

    `scrub` are pairs of local paths and what stands for them in cell outputs. The caller validates the page.
    """
    payload = published(notebook) or {}
    figures = list(_figures(notebook))
    model = {
        "run": facts,
        "masthead": _masthead(facts, payload),
        "lead": payload.get("lead") or facts.reason,
        "tiles": [tile | {"spark": facts.trends.get(tile["id"])} for tile in headlines(payload, facts.changes)],
        "changes": _changes(facts) if payload else None,
        "so_what": payload.get("so_what", []),
        "actions": _actions(payload.get("actions", []), facts.files) if payload else None,
        "checks": _data_checks(payload, facts.as_of) if payload else None,
        "sections": [_section(figure, facts.files) for figure, detail in figures if not detail],
        "details": [_section(figure, facts.files) for figure, detail in figures if detail],
        "how_sure": payload.get("how_sure", []),
        "for_experts": payload.get("for_experts", []),
        "record": _record(facts.record),
        "caveats": payload.get("caveats", []),
        "metrics": [_definition(metric) for metric in payload.get("metrics", [])],
        "origin": _origin(facts, payload),
        "method": list(method.parts(notebook, scrub)),
    }
    model["contents"] = _contents(model)
    return _export(notebook, model)


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


def render_template(name: str, **values: Any) -> str:
    """One of our templates that needs no notebook: the index, a failure, a forwarding page."""
    html = personal.mask_page(str(environment().get_template(name).render(**values)).lstrip())
    return html.encode("utf-8", "replace").decode("utf-8")


@cache
def environment() -> Any:
    """The one Jinja environment, escaping everything."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["urlencode"] = lambda path: quote(str(path), errors="replace")
    made.filters["ranges"] = _ranges
    icon = base64.b64encode((TEMPLATES / "icon.svg").read_bytes()).decode()
    made.globals.update(
        css=STYLE,
        js=SCRIPT,
        policy=POLICY,
        icon=f"data:image/svg+xml;base64,{icon}",
        status_words=STATUS_WORDS,
    )
    return made


def warm_up() -> None:
    """Load what rendering needs, while others work."""
    _exporter()
    method.markdown()


def headlines(payload: Mapping[str, Any], changes: Changes | None = None) -> list[dict[str, Any]]:
    """The headline numbers as text, with what they did since the last comparable run."""
    moved = changes.metrics if changes else {}
    return [_tile(metric, moved.get(metric["id"])) for metric in payload.get("metrics", []) if metric.get("headline")]


@contextmanager
def lean_imports() -> Iterator[None]:
    """Import nbformat's dependents in half the time: jsonschema's optional check of one address format builds a
    grammar for 1.3 s, and no notebook has such an address."""
    name = "rfc3987_syntax"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(name, None)


def _ranges(text: object) -> Any:
    """Escaped text whose ranges, like 7.8–11.1 %, do not break over two lines."""
    from markupsafe import Markup, escape

    return Markup(_RANGE.sub(r'<span class="range-of">\g<0></span>', str(escape(text))))


def _export(notebook: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    with lean_imports():
        import nbformat
    exporter = _exporter()
    node = nbformat.from_dict(notebook)
    html, _ = exporter.from_notebook_node(node, resources={"page": model})
    # Half a character, as broken exports have them, would make the file unwritable.
    return personal.mask_page(str(html)).encode("utf-8", "replace").decode("utf-8")


@cache
def _exporter() -> Any:
    with lean_imports():
        from nbconvert.exporters.templateexporter import TemplateExporter

    class PageExporter(TemplateExporter):
        """nbconvert with our template alone: no stock template, no user's template path, no script."""

        def _create_environment(self) -> Any:
            return environment()

        def _file_extension_default(self) -> str:
            return ".html"

    make: Any = PageExporter
    return make(template_name="template", template_paths=[str(TEMPLATES)], template_file="index.html.j2")


# What the template shows, in the order of the page.


def _masthead(facts: Facts, payload: Mapping[str, Any]) -> dict[str, Any]:
    shop = payload.get("shop", {})
    through = shop.get("data_through")
    stale = f"stale: newer data was due within {shop['max_age']}" if shop.get("stale") and shop.get("max_age") else ""
    failed = [check for check in payload.get("checks", []) if check["verdict"] == "failed"]
    return {
        "shop": shop.get("name") or facts.shop_name,
        "as_of": formats.day(facts.as_of),
        "as_of_iso": facts.as_of.isoformat(),
        "through": formats.day(date.fromisoformat(through)) if through else "",
        "status": STATUS_WORDS[facts.status],
        "stale": stale or ("stale" if shop.get("stale") else ""),
        "banner": [{"name": check["name"], "text": check["text"]} for check in failed],
    }


def _tile(metric: Mapping[str, Any], change: Change | None = None) -> dict[str, Any]:
    value, unit, low, high = metric["value"], str(metric["unit"]), metric.get("low"), metric.get("high")
    text, span = formats.quantity(value, unit, low=low, high=high), formats.interval(low, high, unit)
    if metric.get("signed"):
        text, span = formats.with_sign(text, value), _signed_span(low, high, unit)
    counted = unit not in ("share", "index", "") and not (len(unit) == 3 and unit.isupper())
    words = unit.replace("_", " ")
    said = words.casefold() in str(metric["label"]).casefold()
    note, n = str(metric.get("note") or ""), metric.get("n")
    # What the small print says already need not be said twice.
    repeated = n is None or formats.number(n) in (text, *re.findall(r"\d+(?:,\d{3})*", note))
    return {
        "id": str(metric["id"]),
        "label": str(metric["label"]),
        "number": finite(value),
        "spread": _spread(low, high),
        "counted_in": unit,
        "value": text,
        "unit": words if counted and not said and text != formats.NOTHING else "",
        "interval": span,
        "note": note,
        "n": "" if repeated else f"n = {formats.number(n)}",
        "arrow": change.arrow if change else "",
        "change": change.words if change else "",
    }


def _signed_span(low: float | None, high: float | None, unit: str) -> str:
    if low is None or high is None:
        return ""
    return " to ".join(formats.with_sign(formats.quantity(end, unit, low=low, high=high), end) for end in (low, high))


def _spread(low: float | None, high: float | None) -> float:
    """The width of an interval; 0 where there is none."""
    return high - low if low is not None and high is not None and math.isfinite(high - low) else 0.0


def _definition(metric: Mapping[str, Any]) -> dict[str, Any]:
    return _tile(metric) | {"definition": str(metric.get("definition") or "")}


def _changes(facts: Facts) -> dict[str, Any]:
    """The section 'What changed': a sentence, why, each difference by its class, and the tables by key."""
    from crmlib.report.memory.changes import KINDS

    changes = facts.changes
    if changes is None:
        return {"since": "", "first": True}
    said = {kind: [d.text for d in changes.differences if d.kind == kind] for kind in KINDS}
    tables = [
        {
            "name": table.label or table.table,
            "counts": [formats.number(n) for n in (table.before, table.now, table.entered, table.left, table.moved)],
            "measure": table.measure or "any column",
            "names": ", ".join(table.names),
        }
        for table in changes.tables
    ]
    return {
        "since": formats.day(changes.since, year=changes.since.year != facts.as_of.year),
        "first": False,
        "link": changes.link,
        "summary": changes.summary,
        "why": changes.why,
        "classes": [{"kind": kind, "texts": texts} for kind, texts in said.items()],
        "tables": tables,
    }


def _record(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "sentence": f"{record.sentence} {record.calibration}".rstrip(),
        "caution": record.caution if record.due else "",
        "lines": record.lines,
        "chances": [
            {"label": c.label, "verdict": c.verdict, "n": formats.number(c.n), "said": formats.share(c.said, digits=1),
             "came": formats.share(c.came, digits=1), "interval": formats.interval(c.low, c.high, "share")}
            for c in record.chances
        ],
    }  # fmt: skip


def counted(action: Mapping[str, Any]) -> str:
    """How many, and of what: '318 customers'. Empty where nothing is counted."""
    if action.get("count") is None:
        return ""
    return f"{formats.number(action['count'])} {action.get('counted') or ''}".rstrip()


def _actions(actions: Sequence[Mapping[str, Any]], files: Mapping[str, int | None]) -> dict[str, Any]:
    columns = [("what", "What"), ("why", "Why"), ("count", "Count"), ("worth", "Worth"), ("by", "By"),
               ("owner", "Owner"), ("file", "List")]  # fmt: skip
    used = [(key, label) for key, label in columns if any(action.get(key) not in (None, "") for action in actions)]
    rows = [[_action_cell(key, label, action, files) for key, label in used] for action in actions]
    return {"columns": used, "rows": rows}


def _action_cell(key: str, label: str, action: Mapping[str, Any], files: Mapping[str, int | None]) -> dict[str, Any]:
    text = (counted(action) if key == "count" else str(action.get(key) or "")) or formats.DASH
    kind = f"{key} none" if text == formats.DASH else key
    return {"key": kind, "label": label, "text": text, "link": text if key == "file" and text in files else ""}


def _data_checks(payload: Mapping[str, Any], as_of: date) -> dict[str, Any]:
    shop = payload.get("shop", {})
    tables = shop.get("tables", [])
    faults = sorted(shop.get("faults", []), key=lambda fault: (bool(fault["kept"]), -fault["rows"], fault["table"]))
    results = [check | {"word": _VERDICTS[check["verdict"]]} for check in payload.get("checks", [])]
    keys = ("read", "kept", "set_aside", "after_as_of")
    total = {key: sum(table[key] for table in tables) for key in keys}

    def counts(row: Mapping[str, Any]) -> list[str]:
        return [formats.number(row[key]) for key in keys]

    return {
        "tables": [{"name": table["table"], "counts": counts(table)} for table in tables],
        "total": counts(total) if len(tables) > 1 else [],
        "summary": _reconciled(total, as_of) if tables else "",
        "faults": [fault | {"rows": formats.number(fault["rows"])} for fault in faults],
        "fault_count": len(faults),
        "money": shop.get("money", "") if _in_money(payload) else "",
        "not_as_known": shop.get("not_as_known", []),
        "open": [check for check in results if check["verdict"] != "ok"],
        "passed": [check for check in results if check["verdict"] == "ok"],
    }


def _in_money(payload: Mapping[str, Any]) -> bool:
    """Is an amount among the numbers?"""
    return any(len(unit := str(metric["unit"])) == 3 and unit.isupper() for metric in payload.get("metrics", []))


def _reconciled(total: Mapping[str, int], as_of: date) -> str:
    read, kept, aside, after = (total[key] for key in ("read", "kept", "set_aside", "after_as_of"))
    parts = [f"{formats.number(kept)} kept"]
    parts += [f"{formats.number(aside)} set aside"] if aside else []
    parts += [f"{formats.number(after)} dated {formats.day(as_of)} or later, left for a later report"] if after else []
    if read != kept + aside + after:
        return f"{formats.number(read)} rows read, but {' and '.join(parts)} do not add up to that."
    if not aside and not after:
        return f"All {formats.number(read)} rows read were kept."
    return f"{formats.number(read)} rows read: " + ", ".join(parts) + "."


def _section(figure: Mapping[str, Any], files: Mapping[str, int | None]) -> dict[str, Any]:
    table = figure.get("table") or {}
    rows, total, file = table.get("rows", []), table.get("total", 0), str(table.get("file") or "")
    wide, narrow = str(figure.get("wide") or ""), str(figure.get("narrow") or "")
    path = next((path for path in (file, f"tables/{file}", f"tables/{file}.csv") if file and path in files), "")
    return {
        "title": str(figure["title"]),
        "sentence": str(figure.get("sentence") or ""),
        "caption": str(figure.get("caption") or ""),
        "alt": str(figure.get("alt") or ""),
        "wide": _image(wide) if wide else None,
        "narrow": _image(narrow) if narrow else None,
        "table": table if rows else None,
        "more": f"First {len(rows)} of {formats.number(total)} rows." if total > len(rows) else "",
        "file": path,
    }


def _image(drawing: str) -> dict[str, Any]:
    if (png := _PNG.fullmatch(drawing)) is not None:
        # Width and height stand in the first chunk, after its name.
        head = base64.b64decode(png[1][:44])
        return {"src": drawing, "width": int.from_bytes(head[16:20]), "height": int.from_bytes(head[20:24])}
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing[:2000])
    # Points to pixels; the browser needs the ratio before it has read the drawing.
    width, height = (round(float(side) * 4 / 3) for side in box.groups()) if box else (None, None)
    return {
        "src": "data:image/svg+xml;base64," + base64.b64encode(drawing.encode("utf-8", "replace")).decode(),
        "width": width,
        "height": height,
    }


def _figures(notebook: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Every figure, in the notebook's order, and whether its cell is tagged as detail."""
    for cell in notebook["cells"]:
        detail = DETAIL in cell.get("metadata", {}).get("tags", ())
        for output in cell.get("outputs", []):
            payload = output.get("data", {}).get(FIGURE_MIME)
            if isinstance(payload, dict) and payload.get("title"):
                yield payload, detail


def _origin(facts: Facts, payload: Mapping[str, Any]) -> dict[str, Any]:
    inputs = [
        {"table": table["table"], "file": Path(str(table["file"])).name, "rows": formats.number(table["read"]),
         "sha256": str(table["sha256"])[:16]}
        for table in payload.get("shop", {}).get("tables", [])
    ]  # fmt: skip
    outputs = [
        {"path": path, "rows": formats.number(rows) if rows is not None else ""}
        for path, rows in sorted(facts.files.items())
    ]
    return {"inputs": inputs, "outputs": outputs, "duration": duration(facts.seconds)}


def duration(seconds: float) -> str:
    """A length of time as one says it."""
    return f"{seconds:.1f} seconds" if seconds < 90 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _contents(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = [("changed", "What changed", model["changes"]), ("so-what", "So what", model["so_what"]),
             ("actions", "Do this", model["actions"]), ("checks", "Data checks", model["checks"])]  # fmt: skip
    parts += [(f"finding-{i}", _brief(section["title"]), True) for i, section in enumerate(model["sections"], start=1)]
    parts += [("details", "In more detail", model["details"]), ("how-sure", "How sure", model["how_sure"]), ("record", "Track record", model["record"]), ("caveats", "When not to trust this", model["caveats"]),
              ("origin", "Where it comes from", True), ("method", "Method and code", model["method"])]  # fmt: skip
    return [(anchor, text) for anchor, text, there in parts if there]


def _brief(title: str) -> str:
    """A finding for the table of contents: its first clause, where the whole would take three lines there."""
    first = re.split(r"(?<=\w{2})[,;:] ", title, maxsplit=1)[0]
    return first if len(title) > _BRIEF and len(first) >= _BRIEF // 2 else title


def finite(value: Any) -> Any:
    """A number as JSON allows it: None where it is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
