"""What an analyst meets in a notebook: what objects show of themselves, `%load_ext crmlib`, and Shift-Tab."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

import crmlib as crm
from crmlib import analysis, errors, figures, findings, formats, ipython
from tests.conftest import ROOT

ATTACK = "<img src=x onerror=window.hit=1>"


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)


@pytest.fixture
def hostile(tmp_path: Path) -> crm.Shop:
    (tmp_path / "shop.toml").write_text(f'name = "{ATTACK}"\ncurrency = "EUR"\n')
    text = f"order_id,ordered_at,total,status,{ATTACK}\n1,2025-01-01,5,ok,x\n2,never,5,ok,x\n"
    (tmp_path / "orders.csv").write_bytes(text.encode() + "3,2025-01-01,5,Köln,x\n".encode("cp1252"))
    return crm.connect(tmp_path, as_of="2025-02-01")


def test_a_shop_shows_its_tables_and_what_to_call_next(hostile: crm.Shop) -> None:
    html = hostile._repr_html_()
    assert "img" not in Tags(html).tags and "&lt;img" in html
    assert re.search(r"orders</th><td[^>]*>2</td><td[^>]*>1</td><td[^>]*>0</td>", html)
    for words in ("as of 2025-02-01", "data through 2025-01-01", "EUR", "orders.csv read as cp1252", "ordered_at"):
        assert words in html
    assert "crm run takes today" not in html
    # Without a day the notebook's is not the schedule's, and it says so.
    place = hostile._record.audits["orders"].source.path.parent
    assert "the day after the latest event; crm run takes today, 2" in crm.connect(place)._repr_html_()
    # What it says to call can be called.
    shop = hostile
    for call in re.findall(r"<code>(shop\.[^<]+)</code>", html):
        eval(call.replace("&#x27;", "'"), {"shop": shop, "expression": shop.table("orders")})


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if inspect.isclass(kind) and kind.__module__ == errors.__name__]
)
def test_an_error_shows_its_kind_and_text_and_runs_none_of_it(kind: type[errors.CrmError]) -> None:
    html = kind(ATTACK)._repr_html_()
    assert Tags(html).tags == {"p", "strong", "pre"} and kind.__name__ in html and kind.__doc__
    assert kind(ATTACK)._render_traceback_() == [f"{kind.__name__}: {ATTACK}"]


def test_findings_and_charts_show_no_live_text() -> None:
    frame = pd.DataFrame({"a": [ATTACK]})
    part = findings.Part(
        title=ATTACK, sentence=ATTACK, chart=figures.table(frame, caption=ATTACK, labels={"a": ATTACK}),
        metrics=[findings.Metric(id="a", label=ATTACK, value=1.0, unit=ATTACK, definition=ATTACK)],
        actions=[findings.Action(what=ATTACK, why=ATTACK, worth=ATTACK, file=ATTACK)],
        certain=[ATTACK], caveats=[findings.Caveat(text=ATTACK)], changes=[findings.Change(text=ATTACK)],
    )  # fmt: skip
    for shown in (part, findings.compose("x", ATTACK, [part])):
        html = shown._repr_html_() if isinstance(shown, findings.Findings) else shown._repr_mimebundle_()["text/html"]
        assert "img" not in Tags(html).tags and "&lt;img" in html


# %load_ext crmlib


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    before = dict(mpl.rcParams)
    made = InteractiveShell()
    yield made
    made.run_line_magic("unload_ext", "crmlib")
    dict.update(mpl.rcParams, before)


def test_the_extension_brings_the_name_and_the_look_and_takes_the_look_back(shell: InteractiveShell) -> None:
    styles, columns = dict(mpl.rcParams), pd.get_option("display.max_columns")
    shell.run_line_magic("load_ext", "crmlib")
    assert shell.user_ns["crm"] is crm
    assert mpl.rcParams["text.color"] == figures.INK and pd.get_option("display.max_columns") == 30
    shell.run_line_magic("load_ext", "crmlib")
    shell.run_line_magic("reload_ext", "crmlib")
    shell.run_line_magic("unload_ext", "crmlib")
    assert dict(mpl.rcParams) == styles and pd.get_option("display.max_columns") == columns
    assert shell.custom_exceptions == ()


@pytest.mark.parametrize(
    ("cell", "said", "frames"),
    [
        ("crm.basket", "crmlib has no 'basket'; did you mean 'baskets'?", 0),
        ("crm.data_health.mesure", "data_health has no 'mesure'; did you mean 'measure'", 0),
        ("crm.connect('nowhere-at-all')", "DataError: there is no shop at", 0),
        ("min_support = 1\nmin_suport", "NameError: there is no 'min_suport'; did you mean 'min_support'?", 0),
        ("quite_another", "name 'quite_another' is not defined", 1),
        ("''.lowr", "'str' object has no attribute 'lowr'", 1),
        ("1 / 0", "division by zero", 1),
    ],
)
def test_errors_fit_the_screen(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], cell: str, said: str, frames: int
) -> None:
    shell.run_line_magic("load_ext", "crmlib")
    result = shell.run_cell(cell)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert said in shown and ("Traceback" in shown) == bool(frames)
    assert frames or shown.count("\n") <= 2
    assert result.error_in_exec is not None


def test_importing_changes_nothing() -> None:
    program = (
        "import sys, matplotlib as mpl, pandas as pd\n"
        "a = dict(mpl.rcParams), pd.get_option('display.max_columns'), sys.excepthook\n"
        "import crmlib, crmlib.ipython; crmlib.load_ipython_extension\n"
        "assert (dict(mpl.rcParams), pd.get_option('display.max_columns'), sys.excepthook) == a; print('same')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.strip() == "same", done.stderr


# Shift-Tab: docstrings that suffice


def functions_of(module: ModuleType) -> dict[str, Any]:
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name) for name in getattr(module, "__all__", ())
    }


def public() -> dict[str, Any]:
    """Every function and class an analyst can reach by `crm.`, those of the analyses, and a Shop's methods."""
    found: dict[str, Any] = {}
    for name in crm.__all__:
        thing = getattr(crm, name)
        found |= functions_of(thing) if isinstance(thing, ModuleType) else {name: thing}
    found |= {
        f"Shop.{name}": thing
        for name, thing in vars(crm.Shop).items()
        if not name.startswith("_") and (callable(thing) or isinstance(thing, property))
    }
    return {name: thing for name, thing in found.items() if callable(thing) or isinstance(thing, property)}


@pytest.mark.parametrize("name", sorted(public()))
def test_a_public_name_says_what_it_answers(name: str) -> None:
    text = inspect.getdoc(public()[name]) or ""
    first = text.split("\n\n")[0]
    assert (len(first.split()) >= 3 and first[0].isupper()) or first.startswith("`"), f"{name}: {first!r}"
    assert re.search(r"[.?!:…]\)?$", first.strip()), f"{name}: {first!r}"


@pytest.mark.parametrize(
    "name", sorted(name for name in public() if name.split(".")[0] in ("Shop", "connect", "publish", "due"))
)
def test_the_shops_own_names_say_which_errors_to_expect(name: str) -> None:
    thing = public()[name]
    function = thing.fget if isinstance(thing, property) else thing
    if inspect.isclass(function):
        return
    raised = set(re.findall(r"raise (\w+)\(", inspect.getsource(function)))
    text = inspect.getdoc(thing) or ""
    assert all(error in text for error in raised), f"{name} raises {raised}"


@pytest.mark.parametrize(
    "name", ["fetch", "table", "has", "sample", "stream", "reconciliation", "faults", "set_aside", "pseudonym"]
)
def test_what_is_called_most_has_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(getattr(crm.Shop, name)) or "")


@pytest.mark.slow
def test_the_examples_run_on_the_demo_shop(demo_shop: crm.Shop) -> None:
    modules = [importlib.import_module(f"crmlib.{name}") for name in ("shop.shop", "shop.privacy", "formats", "errors")]
    attempted = 0
    for module in modules:
        found = doctest.testmod(
            module,
            extraglobs={"shop": demo_shop, "crm": crm},
            optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
        )
        assert found.failed == 0, module.__name__
        attempted += found.attempted
    assert attempted >= 18


CELL = 'shop: str = "x"  # folder\nas_of: str = ""  # day\nout: str = ""\nmin_support: float = 0.01  # in (0, 1]\n'


@pytest.mark.parametrize(
    ("cell", "later", "says"),
    [
        (CELL.replace("0.01", "2.0"), "", r"min_support must lie in \(0, 1\]; 2.0 does not"),
        (CELL.replace("0.01", "'much'"), "", "min_support is a number; 'much' is not"),
        (CELL, "min_support = 7", r"min_support must lie in \(0, 1\]; 7.0 does not"),
        (CELL, "", ""),
        ("min_support: float = 2.0  # in (0, 1]", "", ""),
        # As papermill writes them, or an analyst in a cell below.
        (CELL, "# Parameters\nmin_suport = 0.5", "no parameter 'min_suport'; did you mean 'min_support'"),
        (CELL, "min_suport = len('a')\nanother = 3", ""),
    ],
)
def test_parameters_are_held_to_their_cell_in_a_notebook_too(shell: InteractiveShell, cell, later, says) -> None:
    shell.run_cell(cell, store_history=True)
    shell.run_cell(later, store_history=True)
    shell.run_cell("shop  # where check_parameters is called", store_history=True)
    if says:
        with pytest.raises(errors.UsageError, match=says):
            ipython.check_parameters(shell)
    else:
        ipython.check_parameters(shell)


def test_the_cell_that_opens_the_shop_runs_twice_and_then_errors_are_short(
    shell: InteractiveShell, hostile: crm.Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import ibis

    monkeypatch.setattr(ipython, "_shell", lambda: shell)
    monkeypatch.setattr(ibis.options, "interactive", False)
    monkeypatch.delenv(ipython.FOLDER_VARIABLE, raising=False)
    place = hostile._record.audits["orders"].source.path.parent
    shell.run_cell(f"shop: str = {str(place)!r}\nas_of: str = ''\nmin_share: float = 0.5\n", store_history=True)
    opening = "import crmlib as crm\nshop = crm.connect(shop, as_of=as_of)"
    first, second = (shell.run_cell(opening, store_history=True) for _ in range(2))
    assert first.success and second.success and shell.user_ns["shop"].folder == str(place)
    capsys.readouterr()
    shell.run_cell("min_shar * 2", store_history=True)
    shown = capsys.readouterr().out
    assert shown.strip() == "NameError: there is no 'min_shar'; did you mean 'min_share', a parameter of this notebook?"


def test_in_a_notebook_a_table_shows_rows_and_in_a_run_it_does_not(
    shell: InteractiveShell, hostile: crm.Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ibis

    monkeypatch.setattr(ipython, "_shell", lambda: shell)
    monkeypatch.setattr(ibis.options, "interactive", False)
    place = hostile._record.audits["orders"].source.path.parent
    monkeypatch.setenv(ipython.FOLDER_VARIABLE, "")
    assert "cp1252" not in repr(crm.connect(place).table("orders")) and not ibis.options.interactive
    monkeypatch.delenv(ipython.FOLDER_VARIABLE)
    shown = repr(crm.connect(place).table("orders").select("order_id", "status"))
    assert "Köln" in shown and ibis.options.interactive
    assert len(crm.connect(place).fetch("orders")) == 2


RESULTS = [
    value
    for module in pkgutil.iter_modules(analysis.__path__)
    for name in getattr(importlib.import_module(f"crmlib.analysis.{module.name}"), "__all__", ())
    if is_dataclass(value := getattr(importlib.import_module(f"crmlib.analysis.{module.name}"), name))
]


@pytest.mark.parametrize("kind", RESULTS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_result_shows_itself_in_words_on_a_screen(kind: type[Any]) -> None:
    # What dataclass writes would print every row and every digit.
    assert not hasattr(kind.__repr__, "__wrapped__")
    if kind.__repr__ is not formats.outline:
        return
    large = (1 / 3, pd.DataFrame({"a": range(10**5)}), tuple(range(10**5)), "word " * 10**4, {"a": 2 / 3}, None)
    shown = object.__new__(kind)
    for place, field in enumerate(fields(kind)):
        object.__setattr__(shown, field.name, large[place % len(large)])
    about, *told = repr(shown).split("\n")
    assert about.startswith(f"{kind.__name__}: ") and len(about) < 1_000 and len(told) <= 30
    assert all(len(line) <= 120 for line in told) and "333333" not in "".join(told)
