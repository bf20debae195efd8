"""The templates: one Jinja environment that escapes everything, and what it writes numbers, days and pictures with."""

from __future__ import annotations

import base64
import re
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
    r"[€$£¥₹]?\d[\d.,]*%?\N{EN DASH}[€$£¥₹]?\d[\d.,]*%?|\N{MINUS SIGN}?[€$£¥₹]\d[\d.,]*[km]?\b"
    r"|\d[\d.,]*(?: ?%|\N{NO-BREAK SPACE}\w+)"
)
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")


def render_template(name: str, **values: Any) -> str:
    """A page from one of our templates, masked."""
    html = privacy.mask_page(environment().get_template(name).render(**values).lstrip())
    # Half a character, as broken exports have them, would make the file unwritable.
    return html.encode("utf-8", "replace").decode("utf-8")


def warm_up() -> None:
    """Load what rendering needs, while others work."""
    environment().get_template("page.html.j2")
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
        finalize=_set,
    )
    made.filters.update(
        urlencode=lambda path: quote(str(path), safe="/#", errors="replace"),
        whole=_whole,
        image=_image,
        number=formats.number,
        share=formats.share,
        day=formats.day,
        short=_short,
    )
    icon = base64.b64encode((TEMPLATES / "icon.svg").read_bytes()).decode()
    made.globals.update(
        css=STYLE,
        js=SCRIPT,
        policy=POLICY,
        icon=f"data:image/svg+xml;base64,{icon}",
        status_words=STATUS_WORDS,
    )
    return made


def _short(value: date, near: date) -> str:
    """A day as a row has it, '15 Oct', with its year where that is not the year of `near`."""
    return f"{value.day}\N{NO-BREAK SPACE}{value:%b}" + (f" {value.year}" if value.year != near.year else "")


def _whole(text: object) -> Any:
    """Escaped text in which no amount, share, day or range breaks over two lines."""
    from markupsafe import Markup, escape

    return Markup(_WHOLE.sub(r'<span class="whole">\g<0></span>', str(escape(_set(text)))))


def _set(value: object) -> object:
    """A text with the apostrophes of print; what is markup already stays."""
    return _APOSTROPHE.sub("\N{RIGHT SINGLE QUOTATION MARK}", value) if type(value) is str else value


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
