"""A new report that runs at once: a notebook, its module and its test, to be made one's own."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crmlib.errors import UsageError
from crmlib.report.folder.manifest import write_text
from crmlib.report.parameters import find_reports

_STARTER = Path(__file__).parent / "starter"
_NAME = re.compile(r"[a-z][a-z_]{1,38}[a-z]")
_PROSE = (
    "Which weekday brings the orders, and is any of them more than chance? Replace this question with yours: one that "
    "somebody at the shop asks, and that a number with its range can answer.",
    "## The facts\n\nReduced in the engine to the smallest table the question needs, here one row a day; it crosses once. "
    "Change the cell and look at it.",
    "## What is measured\n\nWeeks vary as wholes, so a week is the unit: each weekday's share is a mean over full weeks, and "
    "its interval says how far chance alone may have moved it. Seven days are looked at, so the intervals hold for the seven "
    "together.",
    "## Which day is busiest?\n\nThe title of the figure is the finding, and it changes with the data: where no day stands "
    "out, it says so.",
    "## So what, actions, how sure, when not to trust this",
)


def create(project: Path, name: str, *, title: str = "") -> list[Path]:
    """Write a report's notebook, module and test and name it where reports are named; the files made and changed.

    Raises UsageError, before anything is written, for a name that will not do or a project that has no place for it.
    """
    title = title.strip() or name.replace("_", " ").capitalize()
    made = _new_files(project, name, title)
    changed = {
        project / "crmlib" / "__init__.py": _with_name(project / "crmlib" / "__init__.py", name),
        project / "README.md": _with_row(project / "README.md", made, title),
    }
    for path, text in {**made, **changed}.items():
        write_text(path, text)
    return [*made, *changed]


def _new_files(project: Path, name: str, title: str) -> dict[Path, str]:
    notebooks = project / "notebooks"
    if not (project / "crmlib" / "__init__.py").is_file() or not notebooks.is_dir():
        raise UsageError("a new report is written into the workbook's own sources: crmlib/, notebooks/, tests/")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(
            f"a report's name is three to forty small letters and _, such as returns_by_week; {name!r} is not"
        )
    if any(sign in title for sign in '"\\\n|<>'):
        raise UsageError("a title is one plain line")
    taken = {*find_reports(notebooks), *_public_names(project / "crmlib" / "__init__.py"), "stats"}
    if name in taken:
        raise UsageError(f"{name!r} is taken; choose another name, the taken ones are {', '.join(sorted(taken))}")
    number = 1 + max((int(path.name[:2]) for path in find_reports(notebooks).values()), default=-1)
    if number > 99:
        raise UsageError("the numbers of the notebooks are used up: 99 is the last")
    words = {"__NAME__": name, "__TITLE__": title}
    made = {
        notebooks / f"{number:02d}_{name}.ipynb": json.dumps(_notebook(name, title), indent=1, ensure_ascii=False)
        + "\n",
        project / "crmlib" / "analysis" / f"{name}.py": _filled("analysis", words),
        project / "tests" / f"test_{name}.py": _filled("test", words),
    }
    if there := [path for path in made if path.exists()]:
        raise UsageError(f"{there[0].relative_to(project).as_posix()} is there already")
    return made


def _filled(part: str, words: Mapping[str, str]) -> str:
    text = (_STARTER / f"{part}.txt").read_text(encoding="utf-8")
    for word, instead in words.items():
        text = text.replace(word, instead)
    return text


def _notebook(name: str, title: str) -> dict[str, Any]:
    question, the_facts, measured, figure, end = _PROSE
    cells = [
        _prose(f"# {title}\n\n{question}"),
        _code(
            'shop: str = "data/demo"  # folder with the tables of the shop\n'
            'as_of: str = ""  # exclusive day, such as 2026-11-21; empty: as shop.toml says, else the day after the latest event\n'
            'out: str = ""  # folder for tables and lists; empty: none',
            tags=["parameters"],
        ),
        _code("import crmlib as crm\n\nstore = crm.connect(shop, as_of=as_of)\nstore"),
        _prose(the_facts),
        _code(f"daily = store.fetch(crm.{name}.daily_orders(store))\ndaily.tail()"),
        _prose(measured),
        _code(f"weekdays = crm.{name}.measure(store)\nweekdays.table.round(3)"),
        _code(
            "# NBVAL_CHECK_OUTPUT\nprint(f\"the shares of {len(weekdays.table)} days add up to {weekdays.table['share'].sum():.0%}\")",
            says="the shares of 7 days add up to 100%\n",
        ),
        _prose(figure),
        _code(f"crm.{name}.figure_weekdays(weekdays)"),
        _prose(end),
        _code(f"findings = crm.{name}.findings(weekdays)\ncrm.publish(findings, shop=store, out=out)"),
    ]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    named = [cell | {"id": f"cell-{number:02d}"} for number, cell in enumerate(cells)]
    return {"cells": named, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _prose(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(source: str, *, tags: Sequence[str] = (), says: str = "") -> dict[str, Any]:
    """A code cell; with `says` one whose output is kept, to be compared."""
    outputs = [{"name": "stdout", "output_type": "stream", "text": [says]}] if says else []
    return {
        "cell_type": "code",
        "execution_count": 1 if says else None,
        "metadata": {"tags": list(tags)} if tags else {},
        "outputs": outputs,
        "source": source.splitlines(keepends=True),
    }


# Where a report is named.


def _public_names(init: Path) -> list[str]:
    match = re.search(r"^__all__ = \[(.*?)\]", init.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if not match:
        raise UsageError("crmlib/__init__.py has no list __all__ to name the report in")
    return re.findall(r'"(\w+)"', match[1])


def _with_name(init: Path, name: str) -> str:
    """crmlib/__init__.py with one more analysis, in __all__ and among the imports for type checkers."""
    text = init.read_text(encoding="utf-8")
    imported = re.search(r"^    from crmlib\.analysis import (\([^)]*\)|[^\n(]*)$", text, re.MULTILINE)
    if not imported:
        raise UsageError(
            "crmlib/__init__.py does not import the analyses in one statement, so the name cannot be added"
        )
    analyses = sorted([*re.findall(r"\w+", imported[1]), name])
    statement = "    from crmlib.analysis import (\n" + "".join(f"        {a},\n" for a in analyses) + "    )"
    text = text.replace(imported[0], statement)
    # Classes stand before functions and modules, each in the order of the alphabet.
    names = sorted([*_public_names(init), name], key=lambda word: (word[0].islower(), word))
    listed = "__all__ = [\n" + "".join(f'    "{word}",\n' for word in names) + "]"
    return re.sub(r"^__all__ = \[.*?\]", listed, text, count=1, flags=re.MULTILINE | re.DOTALL)


def _with_row(readme: Path, made: Mapping[Path, str], title: str) -> str:
    """README.md with the notebook in its table."""
    lines = readme.read_text(encoding="utf-8").splitlines(keepends=True) if readme.is_file() else []
    rows = [number for number, line in enumerate(lines) if line.startswith("| [notebooks/")]
    if not rows:
        raise UsageError("README.md has no table of notebooks to name the report in")
    notebook = next(f"notebooks/{path.name}" for path in made if path.suffix == ".ipynb")
    row = f"| [{notebook}]({notebook}) | {title} | orders |\n"
    return "".join([*lines[: rows[-1] + 1], row, *lines[rows[-1] + 1 :]])
