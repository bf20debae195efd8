"""A hostile shop: nothing in its data comes alive on a page, and nobody in it can be found there.

The real notebooks run over a shop whose every text is an attack and whose every customer is a canary; then every file
that was published is read again, with a parser and in Chromium with its content security policy switched off.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import itertools
import json
import os
import re
import stat
import time
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner

import crmlib as crm
from crmlib import cli, formats
from crmlib.errors import UsageError
from crmlib.publishing import csv_text
from crmlib.report import key
from crmlib.report.page import page
from crmlib.report.page import privacy as personal
from crmlib.report.page.page import FINDINGS_MIME
from crmlib.report.page.rules import validate
from crmlib.report.parameters import resolve, select
from crmlib.report.plan import Outcome
from crmlib.report.runner.supervisor import run
from crmlib.shop import privacy as pseudonyms
from crmlib.shop.samples import demo
from crmlib.shop.tables import TABLES
from tests.conftest import ROOT
from tests.pages_helpers import code, make_plan, make_project, payload, prose, show, write_notebook

pytestmark = pytest.mark.slow

HIT = "window.hit=1"
CORPUS = [
    f"<script>{HIT}</script>", f"</script><script>{HIT}</script>", f"<ScRiPt/x>{HIT}</sCrIpT>", f"<scr\x00ipt>{HIT}</scr\x00ipt>",
    f"<script src=data:,{HIT}></script>", f"<img src=x onerror={HIT}>", f"<img/src=x/onerror={HIT}>",
    "<img src=https://evil.example/x.png>", f"<svg onload={HIT}>", f"<svg><script>{HIT}</script></svg>",
    f"<svg><animate onbegin={HIT} attributeName=x>", f"<svg><a xlink:href=javascript:{HIT}><text>x</text></a></svg>",
    f"<math><mtext></mtext><mglyph><style><img src=x onerror={HIT}></style></mglyph></math>",
    f"<math href=javascript:{HIT}>x</math>", f"<iframe src=javascript:{HIT}></iframe>", f"<iframe srcdoc='<script>{HIT}</script>'>",
    f"<body onload={HIT}>", f"<a href=javascript:{HIT}>x</a>", "<a href=https://evil.example>x</a>", "<object data=x>", "<embed src=x>",
    f"<form action=https://evil.example><input autofocus onfocus={HIT}></form>", f"<button formaction=javascript:{HIT}>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>", "<link rel=stylesheet href=https://evil.example/x.css>",
    "<base href=https://evil.example/>", "<style>@import 'https://evil.example/x.css';</style>", "<style>body{display:none}</style>",
    f"</style><script>{HIT}</script>", f"</title><script>{HIT}</script>", f"</textarea><script>{HIT}</script>",
    f"<details open ontoggle={HIT}>", f"<video><source onerror={HIT}></video>", f"<audio src=x onerror={HIT}>",
    f'<noscript><p title="</noscript><img src=x onerror={HIT}>">', f"<template><script>{HIT}</script></template>",
    f'" onmouseover="{HIT}', f"' onmouseover='{HIT}", f'"><script>{HIT}</script>', f"'><script>{HIT}</script>", f"` onfocus={HIT} `",
    "{{ 7*7 }}{% for x in () %}", "{{ ''.__class__.__mro__ }}", f"{{% raw %}}<script>{HIT}</script>", "${7*7} #{7*7} <%= 7*7 %>",
    f"<!-- x --><script>{HIT}</script>", f"--><script>{HIT}</script>", f"]]><script>{HIT}</script>",
    f"&lt;script&gt;{HIT}&lt;/script&gt;", f"&#60;script&#62;{HIT}&#60;/script&#62;", f"\u202e<script>{HIT}</script>",
    "\u200b\u200d\ufeff zero width", "e\u0301" * 40, "\ud800 half a character", f"javascript:{HIT}", f"data:text/html,<script>{HIT}</script>",
    f"[click](javascript:{HIT}) ![x](https://evil.example/x.png)", "$\\href{javascript:1}{x}$ $5 to $10 \\(x\\)", "`code` **b** | a | b |",
    f"\x1b[31mred\x1b[0m\x1b]8;;javascript:{HIT}\x07link\x1b]8;;\x07", "=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1",
    "＝1+1", "a;=1+1", '=HYPERLINK("https://evil.example","x")', "../../../../etc/passwd", "..\\..\\x", "/etc/passwd\x00.html", "%2e%2e%2f",
    "NULL", "None", "nan", "true", "-1", "' OR 1=1 --", '"); DROP TABLE orders; --', "long " * 400, "%s%n{0}{x!r}", "\N{PILE OF POO}" * 9,
]  # fmt: skip
SECRET = "sk-live-zq5gkq0v8c7f1a2b3c4d"
WRITABLE = [text.encode("utf-8", "replace").decode() for text in CORPUS]  # what a file in UTF-8 can hold

KINDS = {
    "01_raises": [code("import json\nraise ValueError('\\n'.join(json.loads(Path('corpus.json').read_text())))")],
    "02_shows": [
        prose("\n\n".join(f"## {text}\n\n{text}" for text in WRITABLE)),
        code(
            "import json, os\nfrom IPython.display import HTML, Markdown, Latex, SVG, display\nimport pandas as pd\n"
            "words = json.loads(Path('corpus.json').read_text())\n"
            "display(HTML(words[0]), Markdown(words[0]), Latex('$x$'), {'application/javascript': words[0]}, raw=False)\n"
            "print('\\n'.join(words), os.environ['CRM_TEST_API_KEY'])"
        ),
        code("pd.DataFrame({word: [word] for word in words}, index=pd.Index([words[0]], name=words[1]))"),
        code("people = pd.read_csv('data/shop/customers.csv')\npeople"),
        code("print(people[['customer_id', 'email']])\npeople['last_name']"),
        code("people.rename(columns={'email': 'contact', 'phone': 'number'})[['contact', 'number']]"),
        # Written so that only what the cell says has the address, not its source.
        code(
            show(FINDINGS_MIME, payload(headline="Write to anna.leak0@leak.example.", caveats=WRITABLE)).replace(
                "leak0@", r"leak0\\u0040"
            )
        ),
    ],
}


def hostile_shop(source: Path, folder: Path) -> Path:
    """The demo shop with every text an attack and every customer a canary."""
    folder.mkdir()
    endless = itertools.cycle(WRITABLE)

    def attacks(frame: pd.DataFrame, *columns: str) -> None:
        for column in columns:
            values = {value: f"{next(endless)} {i}" for i, value in enumerate(frame[column].dropna().unique())}
            frame[column] = frame[column].map(values)

    for path in sorted(source.glob("*.csv")):
        frame = pd.read_csv(path, dtype="string", keep_default_na=False)
        if path.stem in ("assignments", "outcomes"):
            frame = frame[frame["unit_id"].str[-1].isin(["0", "5"])].reset_index(drop=True)
        if path.stem == "customers":
            numbers = frame.index.astype(str)
            frame = frame.assign(
                first_name=[next(endless) for _ in numbers], last_name="Zqlast" + numbers,
                email="anna.leak" + numbers + "@leak.example", phone="+49 170 55 " + numbers.str.zfill(5),
                postcode="ZQ" + numbers.str.zfill(6), birth_date="1971-03-07",
            )  # fmt: skip
            attacks(frame, "country", "region", "city", "acquisition_channel")
            signed = dict(zip(frame["customer_id"], frame["last_name"], strict=True))
        if path.stem == "products":
            attacks(frame, "name", "category", "brand", "supplier")
        if path.stem == "feedback":
            tails = [
                f" Yours, {signed.get(who, 'a guest')}, anna.leak{i}@leak.example {next(endless)}"
                for i, who in enumerate(frame["customer_id"])
            ]
            frame["text"] = frame["text"] + tails
            attacks(frame, "channel")
        if path.stem == "orders":
            attacks(frame, "channel", "coupon")
        if path.stem == "assignments":
            names = {name: f"{text} {name}" for name, text in zip(frame["experiment"].unique(), WRITABLE, strict=False)}
            arms = {"treatment": f"{WRITABLE[8]} arm"}
        if path.stem in ("assignments", "outcomes"):
            frame["experiment"] = frame["experiment"].map(names)
        if path.stem == "assignments":
            frame["variant"] = frame["variant"].replace(arms)
        if path.stem == "outcomes":
            frame["metric"] = frame["metric"] + " " + WRITABLE[4]
        frame[f'{WRITABLE[0]} "own" column'] = "=1+1"
        frame.to_csv(folder / path.name, index=False)
    (folder / "<img src=x onerror=alert(1)>.csv").write_text("x\n1\n")
    (folder / "shop.toml").write_text(
        f"name = {json.dumps(WRITABLE[0])}\ntimezone = 'Europe/Berlin'\ncurrency = 'EUR'\n"
    )
    assert tomllib.loads((folder / "shop.toml").read_text())["name"] == WRITABLE[0]
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Outcome]]]:
    """All five reports over the hostile shop, and two notebooks of an unlucky analyst, in one reports folder."""
    folder = tmp_path_factory.mktemp("hostile")
    project = make_project(folder / "project")
    shop = hostile_shop(demo.make(folder / "demo", customers=400), project / "data" / "hostile")
    people = pd.read_csv(shop / "customers.csv", dtype="string").head(9)
    people.to_csv(project / "data" / "shop" / "customers.csv", index=False)
    (project / "corpus.json").write_text(json.dumps(WRITABLE))
    for name, cells in KINDS.items():
        cells = [cells[0], code("from pathlib import Path"), *cells[1:]] if name == "02_shows" else [
            code("from pathlib import Path"), *cells]  # fmt: skip
        write_notebook(project, name, cells, title=f"{WRITABLE[0]} {name}", parameters='label: str = "x"  # a text\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRM_TEST_API_KEY", SECRET)
        patch.delenv("CRM_KEY")
        plan = make_plan(project, shop=str(shop), shop_name=WRITABLE[0], as_of=pd.Timestamp("2026-10-01").date())
        real, own = select(ROOT / "notebooks"), select(project / "notebooks")
        values = resolve(real, ()) | resolve(own, [f"label={WRITABLE[5]}"])
        outcomes = run([*real, *own], plan=plan, values=values, workers=2)
    yield plan.reports, {outcome.report: outcome for outcome in outcomes}


class Markup(HTMLParser):
    """Every element with its attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data


def pages(reports: Path) -> list[Path]:
    return sorted(reports.rglob("*.html"))


def test_the_corpus_is_large_and_has_no_twins() -> None:
    assert len(set(CORPUS)) == len(CORPUS) >= 80


def test_every_report_answers_a_hostile_shop(site: tuple[Path, dict[str, Outcome]]) -> None:
    _, outcomes = site
    wrong = {name: (outcome.status, outcome.message) for name, outcome in outcomes.items() if outcome.exit_code}
    assert set(wrong) == {"raises"}, wrong
    assert "not_available" not in {outcome.status for outcome in outcomes.values()}
    assert set(outcomes) == {report.name for report in select(ROOT / "notebooks")} | {"raises", "shows"}


def test_no_page_has_a_live_node(site: tuple[Path, dict[str, Outcome]]) -> None:
    reports, outcomes = site
    assert len(pages(reports)) >= len(outcomes) + 1
    for path in pages(reports):
        html = path.read_text(encoding="utf-8")
        validate(html)
        found = Markup(html)
        tags = [tag for tag, _ in found.elements]
        assert not {"iframe", "object", "embed", "form", "input", "button", "svg", "math", "base", "video",
                    "audio", "template", "noscript", "textarea", "a:a"} & set(tags), path  # fmt: skip
        assert (
            max(tags.count("style"), tags.count("script")) <= 1 and tags.count("title") == 1 and tags.count("body") == 1
        )
        for tag, attributes in found.elements:
            assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcdoc")], (
                path,
                tag,
            )
            if link := attributes.get("href", ""):
                inside = (path.parent / link.split("#")[0]).resolve() if not link.startswith("data:") else reports
                assert link.startswith(("#", "data:image/svg+xml;base64,")) or inside.is_relative_to(reports.resolve())
            for name in ("src", "srcset"):
                assert attributes.get(name, "data:image/").startswith("data:image/"), (path, tag)
        assert f"{HIT}</script>" in found.words or "latest" in path.parts, f"{path}: the attack never reached the page"
        assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|(?<!\d)49(?=\{% for)", html)


@pytest.mark.browser
def test_nothing_runs_in_a_browser_without_its_policy(site: tuple[Path, dict[str, Outcome]]) -> None:
    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if not Path(path).exists():
        pytest.skip(f"no Chromium at {path}")
    playwright = importlib.import_module("playwright.sync_api")
    reports, _ = site
    with playwright.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", "--no-first-run"])
        context = chromium.new_context(bypass_csp=True)
        opened = context.new_page()
        heard: list[str] = []
        asked: list[str] = []
        opened.on("dialog", lambda dialog: (heard.append("dialog"), dialog.dismiss()))
        opened.on("request", lambda request: asked.append(request.url))
        # The canary itself must be able to sing, or silence would prove nothing.
        opened.set_content(f"<img src=x onerror={HIT}>")
        opened.wait_for_function("window.hit === 1")
        for path in pages(reports):
            if "latest" in path.parts:
                continue
            asked.clear()
            opened.goto(path.as_uri())
            opened.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            opened.evaluate(
                "document.querySelectorAll('a, summary, th').forEach(e => e.dispatchEvent(new Event('mouseover')))"
            )
            assert opened.evaluate("window.hit") is None and heard == []
            assert [url for url in asked if not url.startswith(("data:", path.as_uri()))] == []
            live = opened.evaluate(
                "[...document.querySelectorAll('*')].filter(e => e.namespaceURI != 'http://www.w3.org/1999/xhtml' ||"
                " [...e.attributes].some(a => a.name.startsWith('on'))).map(e => e.outerHTML.slice(0, 80))"
            )
            assert live == []
        chromium.close()


def published_texts(reports: Path) -> Iterator[tuple[Path, str]]:
    """Every file a reader may be handed: all but lists/, what is kept of the shop's files, locks and the key."""
    for path in sorted(reports.rglob("*")):
        hidden = {"lists", ".intake", ".locks", ".staging"} & set(path.relative_to(reports).parts)
        if path.is_file() and not hidden and path.name != ".key":
            yield path, path.read_text(encoding="utf-8", errors="replace")


CANARIES = {
    "e-mail": r"leak\d+@|@leak\.example", "name": r"Zqlast\d", "phone": r"170 55 \d", "postcode": r"ZQ\d{6}",
    "birthday": r"1971-03-07|7.March.1971", "customer": r"\bC\d{5}\b", "unit": r"\bv\d{6}\b", "secret": SECRET,
}  # fmt: skip


@pytest.mark.parametrize("canary", CANARIES)
def test_nobody_and_no_secret_is_found_in_what_is_published(site: tuple[Path, dict[str, Outcome]], canary: str) -> None:
    reports, _ = site
    texts = list(published_texts(reports))
    assert len(texts) > 30
    found = {
        str(path.relative_to(reports)): hit[0] for path, text in texts if (hit := re.search(CANARIES[canary], text))
    }
    assert found == {}


def test_the_canaries_were_there_to_be_found(site: tuple[Path, dict[str, Outcome]]) -> None:
    reports, _ = site
    lists = "".join(path.read_text() for path in reports.rglob("lists/*.csv"))
    assert re.search(CANARIES["customer"], lists)
    shop = "".join(path.read_text() for path in (reports.parent / "data" / "hostile").glob("*.csv"))
    assert all(re.search(pattern, shop) for name, pattern in CANARIES.items() if name != "secret")


def test_what_names_customers_is_for_its_owner_alone(site: tuple[Path, dict[str, Outcome]]) -> None:
    reports, _ = site
    restricted = [path for path in reports.rglob("*") if path.is_file() and {"lists", ".intake"} & set(path.parts)]
    assert {path.parent.name for path in restricted} >= {"lists", ".intake"}
    for path in [*restricted, *reports.rglob("executed.ipynb"), reports / ".key"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for folder in {path.parent for path in restricted}:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_cell_of_any_csv_is_run_by_a_spreadsheet(site: tuple[Path, dict[str, Outcome]]) -> None:
    reports, _ = site
    files = sorted(reports.rglob("*.csv"))
    assert len(files) > 5
    attacked = 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        for row in csv.reader(text.splitlines(keepends=True)):
            for cell in row:
                attacked += cell.startswith("'")
                number = re.fullmatch(r"-?\d*\.?\d+(e[+-]?\d+)?", cell)
                assert number or not re.match(r"[=+\-@\t\r＝＋－＠]", cell), (path, cell)
    assert attacked > 0 or any("window.hit" in path.read_text() for path in files)


@pytest.mark.parametrize("text", WRITABLE)
def test_a_spreadsheet_runs_no_cell_whatever_its_separator(text: str) -> None:
    plain = csv_text(pd.DataFrame({text: [text], "kind": pd.Categorical([text])}))
    for separator in ",;\t":
        for row in csv.reader(plain.encode("utf-8", "replace").decode().splitlines(), delimiter=separator):
            assert not [cell for cell in row if re.match(r"[=+\-@＝＋－＠]", cell.lstrip('\t\r\n"'))]


# The key, pseudonyms, masks


def test_a_reports_folder_has_a_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_KEY", raising=False)
    one, same, other = key.key_of(tmp_path / "a"), key.key_of(tmp_path / "a"), key.key_of(tmp_path / "b")
    assert one == same != other and len(one) == 64
    file = tmp_path / "a" / ".key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    key.key_of(tmp_path / "a")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("short")
    with pytest.raises(UsageError, match="damaged"):
        key.key_of(tmp_path / "a")
    monkeypatch.setenv("CRM_KEY", "a key from the schedule")
    assert key.key_of(tmp_path / "c") == "a key from the schedule" and not (tmp_path / "c").exists()
    monkeypatch.setenv("CRM_KEY", "short")
    with pytest.raises(UsageError, match="fewer than 16"):
        key.key_of(tmp_path / "c")


def test_pseudonyms_hold_within_a_key_and_tell_nothing_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {}
    make_project(tmp_path / "project")
    for secret in ("one key of the shop", "one key of the shop", "another of the shop"):
        monkeypatch.setenv("CRM_KEY", secret)
        shop = crm.connect(tmp_path / "project" / "data" / "shop")
        names.setdefault(secret, []).append((shop.pseudonym("C00017"), shop.pseudonym("C00017", kind="order")))
    (first, again), (other,) = names.values()
    assert first == again and not {*first} & {*other} and first[0][2:] != first[1][2:]
    assert re.fullmatch(r"c-[0-9a-f]{12}", first[0])
    # RFC 2104 by another road: HMAC spelt out with SHA-256 alone.
    block = b"one key of the shop".ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + b"customer\0C00017").digest()
    assert hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest()[:12] == first[0][2:]
    monkeypatch.delenv("CRM_KEY")
    assert pseudonyms.key() == pseudonyms.key() and len(pseudonyms.key()) == 32


def test_the_kernel_gets_the_folders_key(site: tuple[Path, dict[str, Outcome]]) -> None:
    reports, _ = site
    assert re.fullmatch(r"[0-9a-f]{64}\n", (reports / ".key").read_text())
    assert (reports / ".key").read_text().strip() not in "".join(text for _, text in published_texts(reports))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to anna.m+x@ex-am.co.uk today", "write to [e-mail] today"),
        ("+49 30 23125 959", "[phone]"), ("+4917612345678", "[phone]"), ("0176 1234567", "[phone]"), ("030/1234567", "[phone]"),
        ("+44 (0)20 7946 0958", "[phone]"),
        *[(same, same) for same in (
            "rose by +1,234,567", "2026-10-01T10:00:00+0200", "0.0034567891", "0 1 2 3 4 5 6", "+12 %, +300 to +400",
            "EAN 0123456789012", "@media print", "0  1234  5678", "10-20 2026-10-01", "+0.4 points (0.04–0.76)",
        )],
    ],
)  # fmt: skip
def test_addresses_and_telephones_are_masked_and_figures_are_not(text: str, masked: str) -> None:
    assert personal.mask(text) == masked


@pytest.mark.parametrize(
    ("frame", "columns"),
    [
        (pd.DataFrame({"email": ["a"], "n": [1]}), ["email"]),
        (pd.DataFrame({"n": [1]}, index=pd.Index(["C1"], name="customer_id")), ["customer_id"]),
        (pd.DataFrame({f"c{i}": [1] for i in range(40)} | {"last_name": ["x"]}), ["last_name"]),
        (pd.Series(["a"], name="phone"), ["phone"]),
        (pd.DataFrame({"customers": [5], "revenue": [1.0]}), []),
    ],
)
def test_a_frame_that_names_customers_is_known_by_its_heading(frame: pd.DataFrame, columns: list[str]) -> None:
    output = nbformat.v4.new_output("execute_result", data={"text/plain": repr(frame), "text/html": "<table>"})
    notebook = personal.clean({"cells": [{"outputs": [output]}]})
    shown = notebook["cells"][0]["outputs"][0]["data"]
    assert personal.personal_columns(repr(frame)) == columns
    assert ("left out" in shown["text/plain"]) == bool(columns) == ("text/html" not in shown)


def test_the_personal_columns_are_canonical() -> None:
    assert set(TABLES["customers"].names) >= personal.PERSONAL
    assert set(TABLES["customers"].names) - personal.PERSONAL == {
        "created_at", "gender", "country", "region", "city", "acquisition_channel", "email_consent", "sms_consent", "consent_at",
        "language", "ads_consent", "email_status",
    }  # fmt: skip


def test_a_parameter_that_sounds_like_a_secret_is_refused(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    write_notebook(project, "01_own", [prose("x")], parameters='api_key: str = ""  # of the shop\n')
    with pytest.raises(UsageError, match="api_key sounds like a secret"):
        select(project / "notebooks")


# Names that become paths, and errors that become pages


@pytest.mark.parametrize("text", [text for text in CORPUS if not re.fullmatch(r"[a-z]+", text)])
def test_no_name_leaves_its_folder(tmp_path: Path, text: str) -> None:
    runner = CliRunner()
    shown = text.encode("utf-8", "replace").decode().replace("\0", "")
    for words in (["run", "baskets", "--variant", shown], ["run", shown], ["run", "baskets", "--as-of", shown]):
        done = runner.invoke(cli.main, [*words, "--reports", str(tmp_path / "reports")])
        assert done.exit_code == 2, done.output
        assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("text", CORPUS)
def test_an_error_says_its_text_and_runs_none_of_it(text: str) -> None:
    facts = page.Facts(run_id="r", report=text, title=text, as_of=pd.Timestamp("2026-01-01").date(), status="failed",
                       shop_name=text, variant=text, command=text, code=text)  # fmt: skip
    html = page.render_failure(facts, message=text, cell=text)
    validate(html)
    plain = page.render_failure(facts, message="x", cell="x")
    assert [tag for tag, _ in Markup(html).elements] == [tag for tag, _ in Markup(plain).elements]


def test_few_people_are_not_counted_to_the_last() -> None:
    assert [formats.people(n) for n in (0, 1, 4, 5, 1234, None)] == ["0", "<5", "<5", "5", "1,234", formats.NOTHING]


def test_masking_a_page_of_megabytes_takes_no_time() -> None:
    # Quadratic in the length of a word would be minutes here.
    picture = "A" * 3_000_000
    began = time.process_time()
    assert personal.mask_page(f"{picture} anna@example.org @") == f"{picture} [e-mail] @"
    assert time.process_time() - began < 2
