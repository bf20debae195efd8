"""Small notebooks and findings for the tests of the report floor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import nbformat

from crmlib.report.page import page
from crmlib.report.page.page import FINDINGS_MIME
from crmlib.report.plan import Plan

AS_OF = date(2026, 11, 22)
GATHERED = ("actions", "changes", "signals", "checks", "method", "ahead", "predictions", "grades", "watches")
PARAMETERS = 'shop: str = "data/shop"  # folder\nas_of: str = ""  # day\nout: str = ""  # folder\n'


def code(source: str, *, tags: Sequence[str] = (), outputs: Sequence[Any] = ()) -> Any:
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}, outputs=list(outputs))


def prose(text: str) -> Any:
    return nbformat.v4.new_markdown_cell(text)


def show(mime: str, payload: Mapping[str, Any]) -> str:
    """Source that displays a payload without importing anything heavy."""
    shown = f"display({{{mime!r}: json.loads({json.dumps(payload)!r})}}, raw=True)"
    return f"import json\nfrom IPython.display import display\n{shown}"


def write_notebook(project: Path, name: str, cells: Sequence[Any], *, title: str = "", parameters: str = "") -> Path:
    """notebooks/NN_name.ipynb with a title, a parameters cell and the cells given."""
    head = [prose(f"# {title or name}"), code(PARAMETERS + parameters, tags=["parameters"])]
    path = project / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[*head, *cells]), path)
    return path


def make_project(folder: Path) -> Path:
    """A project with a shop of one order."""
    (folder / "data" / "shop").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("")
    (folder / "data" / "shop" / "orders.csv").write_text("order_id,ordered_at,total\n1,2026-11-01,10\n")
    return folder


def make_plan(project: Path, **changes: Any) -> Plan:
    known: dict[str, Any] = {
        "project": project,
        "reports": project / "reports",
        "shop": "data/shop",
        "shop_name": "Small shop",
        "as_of": AS_OF,
        "warm": False,  # what a warm process imports for reports takes longer than these notebooks
    }
    return Plan(**known | changes)


def payload(**changes: Any) -> dict[str, Any]:
    """Findings as a notebook publishes them."""
    known: dict[str, Any] = {
        "as_of": AS_OF.isoformat(),
        "report": "small",
        "status": "published",
        "headline": "Ten baskets were sold.",
        "parts": [],
        "metrics": [metric()],
        "certain": ["Counted, not estimated."],
        "caveats": ["One shop only."],
        "shop": passport(),
        "rows": {},
        "complete": True,
    }
    return known | {name: [] for name in GATHERED if name not in known} | changes


def metric(**changes: Any) -> dict[str, Any]:
    known = {
        "id": "baskets", "label": "Baskets", "value": 10.0, "unit": "baskets", "n": 10, "low": None, "high": None,
        "definition": "Kept orders with a positive line.", "headline": True, "note": "",
    }  # fmt: skip
    return known | changes


def passport(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "name": "Small shop",
        "folder": "data/shop",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "data_through": "2026-11-21",
        "stale": False,
        "max_age": None,
        "money": "Revenue is total less refunds, tax and shipping included.",
        "not_as_known": [],
        "tables": [
            {"table": "orders", "file": "orders.csv", "sha256": "ab" * 32, "read": 12, "kept": 10, "set_aside": 1,
             "after_as_of": 1},
        ],
        "faults": [{"table": "orders", "code": "no_time", "meaning": "the time is missing", "rows": 1, "kept": False}],
    }  # fmt: skip
    return known | changes


def part(**changes: Any) -> dict[str, Any]:
    """A finding with a drawing, as JSON; `chart` may hold what is different about it."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 60"><rect width="90" height="60" fill="#123"/></svg>'
    chart = {
        "wide": svg,
        "narrow": svg,
        "alt": "Bars of baskets by weekday, Monday highest.",
        "caption": "Baskets by weekday.",
        "table": table(),
    }
    known: dict[str, Any] = {
        "title": "Mondays sell most",
        "sentence": "Three in ten baskets fall on a Monday.",
        "detail": False,
        "glance": False,
    }
    return known | changes | {"chart": chart | (changes.get("chart") or {})}


def action(**changes: Any) -> dict[str, Any]:
    known = {"what": "Call 3 customers", "worth": "€30", "by": "2026-11-27", "owner": "Service",
             "file": "lists/late.csv", "count": 3, "why": "They are late.", "weight": 30.0}  # fmt: skip
    return known | changes


def table(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "caption": "Baskets by weekday",
        "columns": [{"label": "Day", "numeric": False}, {"label": "Baskets", "numeric": True}],
        "rows": [["Monday", "3"], ["Tuesday", "1"]],
        "total": 2,
        "file": "",
    }
    return known | changes


def executed(cells: Sequence[Any]) -> dict[str, Any]:
    """A notebook as if run, as plain JSON."""
    made: dict[str, Any] = json.loads(nbformat.writes(nbformat.v4.new_notebook(cells=[prose("# A title"), *cells])))
    return made


def displayed(mime: str, content: Any) -> Any:
    return nbformat.v4.new_output("display_data", data={mime: content})


def page_of(findings: Mapping[str, Any], *, cells: Sequence[Any] = (), **facts: Any) -> str:
    """A rendered page, without a kernel."""
    last = code("crm.publish()", outputs=[displayed(FINDINGS_MIME, findings)])
    known: dict[str, Any] = {
        "run_id": "20261122-060000-small-0a1b",
        "report": "small",
        "title": "A title",
        "as_of": AS_OF,
        "status": "published",
        "command": "crm run small --shop data/shop",
    }
    return page.render(executed([*cells, last]), page.Facts(**known | facts))
