"""A notebook's cells run one after the other in this process, and what became of the report: quick, for many shops."""

from __future__ import annotations

import ast
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from crmlib.errors import CrmError
from crmlib.report.page import notebook as executed
from crmlib.report.page import page
from crmlib.report.page.rules import validate
from crmlib.report.parameters import Report, resolve, select
from tests.conftest import ROOT

REPORTS = select(ROOT / "notebooks")


def run_cells(report: Report, folder: Path, out: Path, as_of: str = "2026-10-01") -> dict[str, Any]:
    """The executed notebook with what its last cells showed."""
    notebook = nbformat.read(report.notebook, as_version=4)
    names: dict[str, Any] = {"shop": str(folder), "as_of": as_of, "out": str(out)}
    names |= resolve([report], ())[report.name]
    for cell in notebook.cells:
        if cell.cell_type != "code" or "parameters" in cell.metadata.get("tags", ()):
            continue
        tree = ast.parse(cell.source)
        shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, report.name, "exec"), names)
        value = eval(compile(ast.Expression(shown.value), report.name, "eval"), names) if shown else None
        bundle = value._repr_mimebundle_() if hasattr(value, "_repr_mimebundle_") else {"text/plain": repr(value)}
        kept = json.loads(json.dumps(bundle))
        cell.outputs = [nbformat.v4.new_output("execute_result", data=kept)]
    return dict(json.loads(nbformat.writes(notebook)))


def answer(report: Report, folder: Path, out: Path, as_of: str = "2026-10-01") -> tuple[str, str]:
    """What became of a report, with its headline or what is missing; its page made and held to the rules where there
    is one."""
    try:
        notebook = run_cells(report, folder, out, as_of)
    except CrmError as error:
        assert error.exit_code == 0, error
        assert not clumsy(str(error)), error
        return error.status, str(error)
    payload = executed.published(notebook)
    assert payload is not None
    facts = page.Facts(run_id="20261122-060000-small-0a1b", report=report.name, title=report.title,
                       as_of=pd.Timestamp(payload["as_of"]).date(), status=payload["status"], command="crm run")  # fmt: skip
    html = page.render(notebook, facts)
    validate(html)
    assert not (found := clumsy(words_of(html))), found
    return str(payload["status"]), str(payload["headline"])


def words_of(html: str) -> str:
    """What a page says in sentences: no code, no table, no alt text."""
    plain = re.sub(r"<(script|style|pre|code|table)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", "\n", plain)).split(" "))


_NO_NOUN = "is|was|has|does|less|as|plus|minus|its|this|across|unless|holds|yes|us|always|versus"
_ONE = re.compile(rf"(?<![\w.,:/–−-])1 (?!(?:{_NO_NOUN})\b)[a-z]+s\b")
_NO_NUMBER = re.compile(r"(?<!\w)(?:nan|NaN|None|inf|NaT|<NA>)(?!\w)")
_TWO_MEANINGS = re.compile(r"\brecency\b", re.IGNORECASE)


def clumsy(text: str) -> list[str]:
    """Numbers that are not there, one of a thing called many, and a word that means two things.

    >>> clumsy("1 rows of 1 was nan"), clumsy("1 row is 11 days old")
    (['1 rows', 'nan'], [])
    """
    return _ONE.findall(text) + _NO_NUMBER.findall(text) + _TWO_MEANINGS.findall(text)
