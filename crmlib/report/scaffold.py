"""A new report that runs at once: a notebook, its module and its test, to be made one's own."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crmlib.errors import UsageError
from crmlib.report.folder.manifest import write_text
from crmlib.report.parameters import find_reports

_STARTER = Path(__file__).parent / "starter"
_NAME = re.compile(r"[a-z][a-z_]{1,38}[a-z]")
_KEPT = "7 rows\n"  # what the cell that is compared prints


def create(project: Path, name: str, *, title: str = "") -> tuple[list[Path], list[Path]]:
    """Write a report's notebook, module and test and name it where reports are named; the files made, those changed.

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
    return list(made), list(changed)


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
    taken = {
        *find_reports(notebooks),
        *_public_names(project / "crmlib" / "__init__.py"),
        "stats",
        "forecasts",
        "outreach",
    }
    if name in taken:
        raise UsageError(f"{name!r} is taken; choose another name, the taken ones are {', '.join(sorted(taken))}")
    number = 1 + max((int(path.name[:2]) for path in find_reports(notebooks).values()), default=-1)
    if number > 99:
        raise UsageError("the numbers of the notebooks are used up: 99 is the last")
    words = {"__NAME__": name, "__TITLE__": title}
    made = {
        notebooks / f"{number:02d}_{name}.ipynb": _notebook(words),
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


def _notebook(words: Mapping[str, str]) -> str:
    cells = [_cell(number, text) for number, text in enumerate(_filled("notebook", words).split("%% ")[1:])]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"crm": {"needs": ["orders"]}, "kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, text: str) -> dict[str, Any]:
    """A cell from its kind and source; one that is 'kept' has its output with it, to be compared."""
    kind, _, source = text.rstrip("\n").partition("\n")
    metadata = {"tags": ["parameters"]} if kind == "parameters" else {}
    cell = {"id": f"cell-{number:02d}", "metadata": metadata, "source": source.splitlines(keepends=True)}
    if kind == "prose":
        return cell | {"cell_type": "markdown"}
    said = [{"name": "stdout", "output_type": "stream", "text": [_KEPT]}] if kind == "kept" else []
    return cell | {"cell_type": "code", "execution_count": 1 if said else None, "outputs": said}


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
    row = f"| [{notebook}]({notebook}) | {title}: write the question here | orders |\n"
    return "".join([*lines[: rows[-1] + 1], row, *lines[rows[-1] + 1 :]])
