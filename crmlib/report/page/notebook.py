"""What an executed notebook holds for its page: the findings, an analyst's own figures, prose and code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from crmlib.findings import FINDINGS_MIME, PART_MIME, Chart, Part
from crmlib.report.page import privacy

DETAIL = "detail"  # the tag of a notebook's cell whose own figures are folded behind the main findings
LONGEST_OUTPUT = 20_000  # characters of one cell's text
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def published(notebook: Mapping[str, Any]) -> dict[str, Any] | None:
    """The findings in the outputs of the last code cell, or None: then the notebook did not reach its end."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    for output in reversed(code[-1].get("outputs", []) if code else []):
        payload = output.get("data", {}).get(FINDINGS_MIME)
        if isinstance(payload, dict) and payload.get("complete") is True:
            return payload
    return None


def own_parts(notebook: Mapping[str, Any], *, known: Iterable[str]) -> Iterator[Part]:
    """What an analyst showed and did not publish: parts of other titles, and pictures under their prose's heading."""
    seen, heading = set(known), ""
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] == "markdown":
            heads = re.findall(r"^#{2,6} +(.+?) *#*$", "".join(cell["source"]), re.MULTILINE)
            heading = heads[-1] if heads else heading
        detail = DETAIL in cell.get("metadata", {}).get("tags", ())
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown = data.get(PART_MIME)
            if isinstance(shown, dict) and shown.get("title") not in seen:
                if not (shown["sentence"] or shown["chart"]):
                    continue  # a part with nothing to see, as one without a finding is
                seen.add(shown["title"])
                chart = Chart(**shown["chart"]) if shown["chart"] else None
                title = shown["title"] or heading or "A finding of the notebook"
                yield Part(title=title, sentence=shown["sentence"], chart=chart, detail=detail)
            elif shown is None and FINDINGS_MIME not in data and (png := _picture(data)):
                alt = f"Figure of cell {number} of the notebook" + (f": {heading}" if heading else "")
                chart = Chart(wide=png, alt=alt)
                yield Part(title=heading or "A figure of the notebook", chart=chart, detail=detail)


def _picture(data: Mapping[str, Any]) -> str:
    png = "".join("".join(data.get("image/png", "")).split())
    return f"data:image/png;base64,{png}" if re.fullmatch(r"iVBORw0KGgo[A-Za-z0-9+/]{33,}={0,2}", png) else ""


def parts(notebook: Mapping[str, Any], scrub: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Prose as HTML, code as text with what it showed, cell by cell."""
    as_html = markdown()
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if html := as_html(source).strip():
                yield {"prose": html, "source": ""}
        elif cell["cell_type"] == "code" and source.strip():
            if "injected-parameters" in cell.get("metadata", {}).get("tags", []):
                continue
            outputs = list(_outputs(cell.get("outputs", []), scrub))
            yield {"prose": "", "source": source.strip("\n"), "name": _first_words(source), "outputs": outputs}


def _first_words(source: str) -> str:
    line = next((line.strip() for line in source.splitlines() if line.strip()), "")
    line = line.lstrip("#").strip() or line
    return line if len(line) <= 72 else line[:71].rstrip() + "…"


def _outputs(outputs: Iterable[Mapping[str, Any]], scrub: Sequence[tuple[str, str]]) -> Iterator[str]:
    for output in outputs:
        data = output.get("data", {})
        if {PART_MIME, FINDINGS_MIME} & data.keys() or _picture(data):
            continue
        if output["output_type"] == "error":
            yield plain(f"{output.get('ename')}: {output.get('evalue')}", scrub)
        elif text := "".join(output.get("text", "") or data.get("text/plain", "")):
            yield plain(text, scrub)


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
    text = privacy.mask(text)
    if len(text) > LONGEST_OUTPUT:
        text = f"{text[:LONGEST_OUTPUT]}\n… {len(text) - LONGEST_OUTPUT:,} characters more"
    return text


def dropped(notebook: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The displays that no page shows: cell and type."""
    shown = {FINDINGS_MIME, PART_MIME, "text/plain", "image/png"}
    ours = {FINDINGS_MIME, PART_MIME}
    return [
        {"cell": number, "type": kind}
        for number, cell in enumerate(notebook["cells"], start=1)
        for output in cell.get("outputs", [])
        if not ours & set(output.get("data", {}))
        for kind in sorted(set(output.get("data", {})) - shown)
    ]
