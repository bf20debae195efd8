"""The folded part of a page: a notebook's prose and code, with the outputs that may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from crmlib.report.page import privacy as personal

FINDINGS_MIME = "application/vnd.crmlib.findings+json"
FIGURE_MIME = "application/vnd.crmlib.figure+json"
LONGEST_OUTPUT = 20_000  # characters of one cell's text
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def parts(notebook: Mapping[str, Any], scrub: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Prose as HTML, code as text with what it showed, cell by cell."""
    as_html = markdown()
    for number, cell in enumerate(notebook["cells"], start=1):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if html := as_html(source).strip():
                yield {"prose": html, "source": ""}
        elif cell["cell_type"] == "code" and source.strip():
            if "injected-parameters" in cell.get("metadata", {}).get("tags", []):
                continue
            outputs = list(_outputs(cell.get("outputs", []), number, scrub))
            yield {"prose": "", "source": source.strip("\n"), "name": _first_words(source), "outputs": outputs}


def _first_words(source: str) -> str:
    line = next((line.strip() for line in source.splitlines() if line.strip()), "")
    line = line.lstrip("#").strip() or line
    return line if len(line) <= 72 else line[:71].rstrip() + "…"


def _outputs(
    outputs: Iterable[Mapping[str, Any]], number: int, scrub: Sequence[tuple[str, str]]
) -> Iterator[dict[str, str]]:
    for output in outputs:
        data = output.get("data", {})
        if FIGURE_MIME in data or FINDINGS_MIME in data:
            continue
        png = "".join("".join(data.get("image/png", "")).split())
        if re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", png):
            yield {"png": f"data:image/png;base64,{png}", "alt": f"Output of cell {number}"}
        elif output["output_type"] == "error":
            yield {"text": plain(f"{output.get('ename')}: {output.get('evalue')}", scrub)}
        elif text := "".join(output.get("text", "") or data.get("text/plain", "")):
            yield {"text": plain(text, scrub)}


@cache
def markdown() -> Any:
    """Prose as HTML: raw HTML escaped, headings under the section's own, no outside link or image left live."""
    import mistune

    class Prose(mistune.HTMLRenderer):
        level = 2

        def heading(self, text: str, level: int, **_: Any) -> str:
            if level == 1:
                return ""
            self.level = min(level + 1, self.level + 1, 6)
            return f"<h{self.level}>{text}</h{self.level}>\n"

        def link(self, text: str, url: str, **_: Any) -> str:
            address = mistune.escape(url)
            return text if url.startswith("#") or text == address else f"{text} ({address})"

        def image(self, text: str, **_: Any) -> str:
            return text

        def block_code(self, code: str, **_: Any) -> str:
            return f'<pre tabindex="0"><code>{mistune.escape(code)}</code></pre>\n'

    def cell(_: Any, text: str, align: str | None = None, head: bool = False) -> str:
        side = ' class="number"' if align == "right" else ""
        return f'<th scope="col"{side}>{text}</th>' if head else f"<td{side}>{text}</td>"

    def table(_: Any, text: str) -> str:
        return f'<div class="scroll" tabindex="0"><table>{text}</table></div>\n'

    made = mistune.create_markdown(renderer=Prose(escape=True), plugins=["table"])
    made.renderer.register("table_cell", cell)
    made.renderer.register("table", table)
    return made


def plain(text: str, scrub: Sequence[tuple[str, str]] = ()) -> str:
    """Text of a cell without terminal colours and local paths."""
    text = _ANSI.sub("", text)
    for path, instead in scrub:
        text = text.replace(path, instead)
    text = personal.mask(text)
    if len(text) > LONGEST_OUTPUT:
        text = f"{text[:LONGEST_OUTPUT]}\n… {len(text) - LONGEST_OUTPUT:,} characters more"
    return text


def dropped(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The displays that no page shows: cell and type."""
    shown = {FINDINGS_MIME, FIGURE_MIME, "text/plain", "image/png"}
    ours = {FINDINGS_MIME, FIGURE_MIME}
    return [
        {"cell": number, "type": kind}
        for number, cell in enumerate(notebook["cells"], start=1)
        for output in cell.get("outputs", [])
        if not ours & set(output.get("data", {}))
        for kind in sorted(set(output.get("data", {})) - shown)
    ]
