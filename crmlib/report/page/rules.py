"""The last reader before publication: a finished page against its own rules.

The template escapes everything, so nothing here should ever be found. It is looked for all the same, with a parser
of its own, in every page that is published, the index and the failures included.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

from crmlib import formats
from crmlib.errors import PageError

TEMPLATES = Path(__file__).parent / "template"
STYLE = (TEMPLATES / "style.css").read_text(encoding="utf-8")
# The one script a page may hold: sorting, filtering, opening. The policy names it by its hash and nothing else runs.
SCRIPT = (TEMPLATES / "page.js").read_text(encoding="utf-8")
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)
SOFT_LIMIT, HARD_LIMIT = 1_000_000, 5_000_000  # bytes

_TAGS = frozenset(
    re.findall(
        r"\w+",
        """html head meta title style link body a header nav main section aside footer h1 h2 h3 h4 h5 h6 p ul ol li dl
        dt dd div span strong em code pre br hr table caption thead tbody tfoot tr th td figure figcaption picture
        source img details summary blockquote small time del wbr script""",
    )
)
_DATA_IMAGE = re.compile(r"data:image/(svg\+xml|png);base64,[A-Za-z0-9+/]+={0,2}")
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.\-]*:|[/\\])", re.IGNORECASE)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.headings: list[int] = []
        self.policies: list[str] = []
        self.scripts: list[str] = []
        self.language = self.title = ""
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in = tag
        if tag not in _TAGS:
            self.faults.append(f"<{tag}> is not allowed")
        for name, value in given.items():
            self._attribute(tag, name, value)
        if tag == "html":
            self.language = given.get("lang", "")
        if tag == "img" and not given.get("alt", "").strip():
            self.faults.append("an image has no alt text")
        if tag == "th" and given.get("scope") not in ("col", "row"):
            self.faults.append("a table heading has no scope")
        if tag == "meta" and given.get("http-equiv", "").casefold() == "content-security-policy":
            self.policies.append(given.get("content", ""))
        if tag == "script":
            self.scripts.append("")
            if given:
                self.faults.append(f"<script {next(iter(given))}> is not allowed")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_data(self, data: str) -> None:
        if self._in == "title":
            self.title += data
        if self._in == "script":
            self.scripts[-1] += data
        if self._in == "style" and re.search(r"url\(|@import|expression\(", data, re.IGNORECASE):
            self.faults.append("the style sheet asks for another file")

    def handle_endtag(self, tag: str) -> None:
        self._in = "" if tag == self._in else self._in

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name.startswith("on") or name in ("style", "srcdoc", "action", "formaction", "ping", "target", "background"):
            self.faults.append(f"<{tag} {name}> is not allowed")
        elif name in ("src", "srcset") or (tag == "link" and name == "href"):
            if not _DATA_IMAGE.fullmatch(value):
                self.faults.append(f"<{tag} {name}> is not an image within the page: {value[:60]!r}")
        elif name == "href" and _SCHEME.match(value):
            self.faults.append(f"<{tag} href> leaves the reports folder: {value[:60]!r}")
        elif name == "http-equiv" and value.casefold() not in ("content-security-policy", "refresh"):
            self.faults.append(f"<meta http-equiv={value[:40]!r}> is not allowed")


def validate(html: str) -> list[str]:
    """Hold a finished page against its own rules; warnings are returned, a broken rule raises PageError."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    faults = reader.faults
    levels = reader.headings
    if levels.count(1) != 1 or levels[0] != 1:
        faults.append(f"a page has one h1, first of its headings; this has {levels.count(1)}")
    if any(after > before + 1 for before, after in pairwise(levels)):
        faults.append("a heading level is skipped")
    if reader.policies != [POLICY]:
        faults.append("the content security policy is missing or too wide")
    if len(reader.scripts) > 1 or any(script != SCRIPT for script in reader.scripts):
        faults.append("a <script> other than the page's own is not allowed")
    if not reader.language or not reader.title.strip():
        faults.append("lang or title is missing")
    size = len(html.encode())
    if size > HARD_LIMIT:
        faults.append(
            f"the page has {formats.number(size / 1e6, digits=1)} MB; at most {HARD_LIMIT // 10**6} are allowed"
        )
    if faults:
        shown = "; ".join(dict.fromkeys(faults[:5]))
        raise PageError(f"the page broke its own rules and was not published: {shown}")
    return [f"the page has {size / 1e6:.1f} MB; one is the aim"] if size > SOFT_LIMIT else []
