"""How a part and a report's findings look in a notebook, from their plain values."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

from crmlib import formats


def part_html(part: Mapping[str, Any]) -> str:
    """One finding as a notebook shows it: title, sentence, drawing, and the numbers behind."""
    head, chart = f"<h4>{escape(part['title'])}</h4><p>{escape(part['sentence'])}</p>", part["chart"]
    if not chart:
        return head
    table = f"<table>{table_html(chart['table'])}</table>" if chart["table"] else ""
    if not chart["wide"]:
        return head + table
    image = f'<img src="{image_address(chart["wide"])}" alt="{escape(chart["alt"])}" style="max-width:100%">'
    behind = f"<details><summary>Show the numbers</summary>{table}</details>" if table else ""
    return f"{head}{image}<p>{escape(chart['caption'])}</p>{behind}"


def table_html(payload: Mapping[str, Any]) -> str:
    """The inside of a table element, escaped."""
    heads = "".join(f'<th scope="col">{escape(column["label"])}</th>' for column in payload["columns"])
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in payload["rows"])
    return f"<caption>{escape(payload['caption'])}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"


def findings_html(said: Mapping[str, Any], numbers: Sequence[str]) -> str:
    """A report's findings under the headings of the page; `numbers` are its metrics in words."""
    actions = [
        " · ".join(filter(None, (a["what"], a["worth"], f"by {_day(a['by'])}" if a["by"] else "", a["file"])))
        for a in said["actions"]
    ]
    blocks = [
        ("Numbers", numbers),
        ("What changed", [change["text"] for change in said["changes"]]),
        ("What to do", actions or ["Nothing to do from this page today."]),
        ("How certain is this?", [*said["certain"], *said["method"]]),
        ("Limits", said["caveats"]),
    ]
    lists = "".join(
        f"<h4>{title}</h4><ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
        for title, lines in blocks
        if lines
    )
    return f"<p><strong>{escape(said['headline'])}</strong></p>{lists}"


def _day(iso: str) -> str:
    return formats.day(date.fromisoformat(iso))


def image_address(drawing: str) -> str:
    """A drawing as the address of an image that needs no file."""
    if drawing.startswith("data:image/png;base64,"):
        return drawing
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.encode("utf-8", "replace")).decode()
