"""The templates: one Jinja environment that escapes everything, alone and as what nbconvert renders with."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import cache
from typing import Any
from urllib.parse import quote

from crmlib import formats
from crmlib.report.page import privacy
from crmlib.report.page.notebook import markdown
from crmlib.report.page.rules import POLICY, SCRIPT, STYLE, TEMPLATES
from crmlib.report.statuses import STATUS_WORDS

# Ranges, amounts and days that must not break over two lines.
_WHOLE = re.compile(
    r"[€$£¥₹]?\d[\d.,]*%?\N{EN DASH}[€$£¥₹]?\d[\d.,]*%?|\N{MINUS SIGN}?[€$£¥₹]\d[\d.,]*[km]?\b|\d[\d.,]*(?: ?%|\N{NO-BREAK SPACE}\w+)"
)


def render_template(name: str, **values: Any) -> str:
    """One of our templates that needs no notebook: the index, a failure, a forwarding page."""
    return _masked(environment().get_template(name).render(**values))


def render_page(notebook: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """A report's page from its executed notebook and what the page shows of it."""
    with lean_imports():
        import nbformat
    html, _ = _exporter().from_notebook_node(nbformat.from_dict(notebook), resources={"page": model})
    return _masked(html)


def _masked(html: object) -> str:
    # Half a character, as broken exports have them, would make the file unwritable.
    return privacy.mask_page(str(html).lstrip()).encode("utf-8", "replace").decode("utf-8")


def warm_up() -> None:
    """Load what rendering needs, while others work."""
    _exporter()
    markdown()


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
    made.filters["urlencode"] = lambda path: quote(str(path), safe="/#", errors="replace")
    made.filters["whole"] = _whole
    made.filters["number"] = formats.number
    made.filters["image"] = _image
    made.filters["share"] = formats.share
    made.filters["day"] = formats.day
    made.filters["short"] = short
    icon = base64.b64encode((TEMPLATES / "icon.svg").read_bytes()).decode()
    made.globals.update(
        css=STYLE,
        js=SCRIPT,
        policy=POLICY,
        icon=f"data:image/svg+xml;base64,{icon}",
        status_words=STATUS_WORDS,
    )
    return made


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
    return make(template_name="template", template_paths=[str(TEMPLATES)], template_file="page.html.j2")


def short(value: date, near: date) -> str:
    """A day as a row has it, '15 Oct', with its year where that is not the year of `near`."""
    return f"{value.day}\N{NO-BREAK SPACE}{value:%b}" + (f" {value.year}" if value.year != near.year else "")


def _whole(text: object) -> Any:
    """Escaped text in which no amount, share, day or range breaks over two lines."""
    from markupsafe import Markup, escape

    return Markup(_WHOLE.sub(r'<span class="whole">\g<0></span>', str(escape(text))))


_PNG = re.compile(r"data:image/png;base64,(iVBORw0KGgo[A-Za-z0-9+/]{33,}={0,2})")


def _image(drawing: str) -> dict[str, Any]:
    """A drawing as an image's address, with the size that a browser needs before it has read it."""
    if (png := _PNG.fullmatch(drawing)) is not None:
        # Width and height stand in the first chunk, after its name.
        head = base64.b64decode(png[1][:44])
        return {"src": drawing, "width": int.from_bytes(head[16:20]), "height": int.from_bytes(head[20:24])}
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing[:2000])
    width, height = (round(float(side) * 4 / 3) for side in box.groups()) if box else (None, None)
    text = base64.b64encode(drawing.encode("utf-8", "replace")).decode()
    return {"src": f"data:image/svg+xml;base64,{text}", "width": width, "height": height}
