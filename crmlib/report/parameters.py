"""A notebook's parameters: read from its own cell, typed, and checked before a kernel starts.

The cell tagged `parameters` is the interface. Each line reads `name: type = default  # help`, and the help may end
with the values allowed: `in [1, 1095]`, `in (0, 1]` or `one of product, category, brand`.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crmlib.errors import UsageError, nearest

Value = str | int | float | bool
TYPES: dict[str, type[Value]] = {"str": str, "int": int, "float": float, "bool": bool}
RESERVED = {"shop": "--shop", "as_of": "--as-of", "out": "--reports"}

_FILE = re.compile(r"\d\d_([a-z][a-z0-9_]*)\.ipynb")
_INTERVAL = re.compile(r"[,;]?\s*\bin ([\[(])\s*(-?[\d.e+-]+|-inf)\s*,\s*(-?[\d.e+-]+|inf)\s*([\])])\s*$")
_SECRET = re.compile(r"(^|_)(password|passwd|secret|token|api_?key|credentials?)(_|$)")
_CHOICES = re.compile(r"[,;]?\s*\bone of ([^,]+(?:,[^,]+)+)\s*$")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One line of a parameters cell. `bounds` is the interval as written, '' where there is none."""

    name: str
    type: str
    default: Value
    help: str = ""
    bounds: str = ""
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The values allowed, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        return f"in {self.bounds}" if self.bounds else ""

    def parse(self, text: str) -> Value:
        """The value a text on the command line stands for; a string stays as it was typed."""
        if self.type == "str":
            value: Value = text
        elif self.type == "bool" and text in ("true", "false"):
            value = text == "true"
        elif self.type == "int" and re.fullmatch(r"[+-]?\d+", text, re.ASCII):
            value = int(text)
        elif self.type == "float" and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
            value = float(text)
        else:
            hint = ": true or false" if self.type == "bool" else ""
            raise UsageError(f"{self.name} is {_article(self.type)}{hint}; {text!r} is not")
        return self.check(value)

    def check(self, value: object) -> Value:
        """`value` as this parameter's type; UsageError where it does not fit."""
        if self.type == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not TYPES[self.type]:
            raise UsageError(f"{self.name} is {_article(self.type)}; {value!r} is not")
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{self.name} must be a finite number; {value!r} is not")
        if self.choices and value not in self.choices:
            raise UsageError(f"{self.name} must be {self.allowed}; not {value!r}: {nearest(str(value), self.choices)}")
        if self.bounds and isinstance(value, int | float) and not _within(value, self.bounds):
            raise UsageError(f"{self.name} must lie {self.allowed}; {value!r} does not")
        return value


@dataclass(frozen=True, kw_only=True)
class Report:
    """A notebook as the runner knows it, by its file alone.

    `needs` is what its metadata says under crm: tables and columns without which it has no answer, each with its
    alternatives, such as 'outcomes or orders.customer_id'. One with `after` reads what the others have published, and
    runs after them.
    """

    name: str
    title: str
    notebook: Path
    parameters: tuple[Parameter, ...]
    needs: tuple[str, ...] = ()
    after: bool = False

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)


def find_reports(notebooks: Path) -> dict[str, Path]:
    """Report name -> notebook, in the order of the numbers in front of their names."""
    found: dict[str, Path] = {}
    for path in sorted(notebooks.glob("*.ipynb")):
        match = _FILE.fullmatch(path.name)
        if match and match[1] in found:
            raise UsageError(f"{found[match[1]].name} and {path.name} are both the report {match[1]!r}: rename one")
        if match:
            found[match[1]] = path
    return found


def select(notebooks: Path, names: Sequence[str] = ()) -> list[Report]:
    """The named reports, or all of them, read from their notebooks. UsageError for an unknown name."""
    found = find_reports(notebooks)
    if not found:
        raise UsageError(f"no notebooks in {notebooks}: a report is a file like 08_baskets.ipynb")
    for name in names:
        if name not in found:
            raise UsageError(f"there is no report {name!r}; {nearest(name, found)}")
    return [read_report(path) for name, path in found.items() if not names or name in names]


def usable(notebooks: Path) -> tuple[list[Report], list[str]]:
    """All reports whose notebooks can be read, and for each that cannot, why: one of them does not stop the others.

    UsageError where none can.
    """
    reports, faults = [], []
    for path in find_reports(notebooks).values():
        try:
            report = read_report(path)
            if (language := _language(path)) not in ("python", "ipython"):
                faults.append(f"{path.name} is written in {language}; reports run on this environment's own Python")
            else:
                reports.append(report)
        except UsageError as error:
            faults.append(str(error))
    if not reports:
        raise UsageError(
            faults[0] if faults else f"no notebooks in {notebooks}: a report is a file like 08_baskets.ipynb"
        )
    return reports, faults


def read_report(notebook: Path) -> Report:
    """Title and parameters of one notebook. UsageError where the notebook does not keep the convention."""
    try:
        return _read(notebook, json.loads(notebook.read_text(encoding="utf-8")))
    except UsageError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        SyntaxError,
        tokenize.TokenError,
    ) as error:
        what = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise UsageError(f"{notebook.name} cannot be read as a notebook: {what}") from error


def _language(notebook: Path) -> str:
    about = json.loads(notebook.read_text(encoding="utf-8")).get("metadata", {})
    said = about.get("kernelspec", {}).get("language") or about.get("language_info", {}).get("name")
    return str(said or "python").casefold()


def _read(notebook: Path, written: Mapping[str, Any]) -> Report:
    cells: list[dict[str, Any]] = written["cells"]
    match = _FILE.fullmatch(notebook.name)
    name = match[1] if match else notebook.stem
    title = next((title for cell in cells if (title := heading(cell))), name.replace("_", " ").capitalize())
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise UsageError(f"{notebook.name} needs exactly one cell tagged 'parameters'; it has {len(tagged)}")
    parameters = tuple(parse_cell("".join(tagged[0]["source"]), notebook.name))
    missing = [name for name in RESERVED if name not in {parameter.name for parameter in parameters}]
    if missing:
        raise UsageError(f"{notebook.name}: the parameters cell lacks {', '.join(missing)}")
    about = written.get("metadata", {}).get("crm", {})
    needs, after = tuple(map(str, about.get("needs", ()))), about.get("after") == "others"
    return Report(name=name, title=title, notebook=notebook, parameters=parameters, needs=needs, after=after)


def heading(cell: Mapping[str, Any]) -> str:
    """The text of a markdown cell's first '# ' line, or ''."""
    if cell.get("cell_type") != "markdown":
        return ""
    match = re.search(r"^#\s+(.+?)\s*#*\s*$", "".join(cell["source"]), re.MULTILINE)
    return match[1] if match else ""


def resolve(
    reports: Sequence[Report],
    given: Iterable[str],
    *,
    defaults: Mapping[str, Mapping[str, object]] | None = None,
    known: Iterable[str] = (),
) -> dict[str, dict[str, Value]]:
    """Report -> all its parameter values but shop, as_of and out.

    `given` are `name=value` or `report.name=value`; `defaults` the shop's own, by report; `known` every report there
    is, for the shop may name ones that do not run now. The command line wins over the shop, the shop over the cell.
    """
    values = {r.name: {p.name: p.default for p in r.parameters if p.name not in RESERVED} for r in reports}
    _apply_defaults(values, reports, defaults or {}, {*known, *values})
    pairs = [_split(text) for text in given]
    names = [name for name, _ in pairs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"-p gives {repeated[0]} more than once")
    # One report's own value is set after, and so over, the value for all.
    for name, text in sorted(pairs, key=lambda pair: "." in pair[0]):
        scope, _, bare = name.rpartition(".")
        for report in _in_scope(scope, bare, reports):
            values[report.name][bare] = report[bare].parse(text)
    return values


def _in_scope(scope: str, bare: str, reports: Sequence[Report]) -> list[Report]:
    if bare in RESERVED:
        raise UsageError(f"{bare} is not set with -p; use {RESERVED[bare]}")
    chosen = [report for report in reports if scope in ("", report.name)]
    if not chosen:
        names = [report.name for report in reports]
        raise UsageError(f"-p {scope}.{bare}: report {scope!r} is not in this run; {nearest(scope, names)}")
    for report in chosen:
        names = [parameter.name for parameter in report.parameters if parameter.name not in RESERVED]
        if bare in names:
            continue
        others = [other.name for other in chosen if bare in {parameter.name for parameter in other.parameters}]
        hint = f"for one report only: -p {others[0]}.{bare}=…" if others else nearest(bare, names)
        raise UsageError(f"{report.name} has no parameter {bare!r}; {hint}")
    return chosen


def _apply_defaults(
    values: dict[str, dict[str, Value]],
    reports: Sequence[Report],
    defaults: Mapping[str, Mapping[str, object]],
    known: Iterable[str],
) -> None:
    words = list(known)
    for name in defaults:
        if name not in words:
            raise UsageError(f"shop.toml: [parameters.{name}] names no report; {nearest(name, words)}")
    for report in reports:
        for name, value in defaults.get(report.name, {}).items():
            if name not in values[report.name]:
                hint = nearest(name, values[report.name])
                raise UsageError(f"shop.toml: [parameters.{report.name}] has no parameter {name!r}; {hint}")
            try:
                values[report.name][name] = report[name].check(value)
            except UsageError as error:
                raise UsageError(f"shop.toml: [parameters.{report.name}] {error}") from error


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"-p wants name=value, or report.name=value; {text!r} is neither")
    return name.strip(), value


def parse_cell(source: str, where: str) -> list[Parameter]:
    """The parameters of a cell's source. UsageError for a line that is none, and a default that does not fit."""
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    parameters: list[Parameter] = []
    for node in ast.parse(source).body:
        line = f"{where}, parameters cell, line {node.lineno}"
        if not (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(node.annotation, ast.Name)
            and node.annotation.id in TYPES
            and node.value is not None
        ):
            raise UsageError(f"{line}: write `name: type = default  # help`, the type one of {', '.join(TYPES)}")
        if _SECRET.search(node.target.id):
            raise UsageError(
                f"{line}: {node.target.id} sounds like a secret, and parameters stand on the page: read it from the "
                "environment instead"
            )
        if node.target.id in {parameter.name for parameter in parameters}:
            raise UsageError(f"{line}: {node.target.id} is there twice")
        comment = comments.get(node.lineno, "")
        parameters.append(_parameter(node.target.id, node.annotation.id, node.value, comment, line))
    return parameters


def _parameter(name: str, kind: str, default: ast.expr, comment: str, where: str) -> Parameter:
    bounds, words = "", comment
    choices: tuple[str, ...] = ()
    if match := _INTERVAL.search(comment):
        bounds, words = f"{match[1]}{match[2]}, {match[3]}{match[4]}", comment[: match.start()]
    elif kind == "str" and (match := _CHOICES.search(comment)):
        choices, words = tuple(word.strip() for word in match[1].split(",")), comment[: match.start()]
    bare = Parameter(name=name, type=kind, default="", help=words.strip(), bounds=bounds, choices=choices)
    try:
        value = bare.check(ast.literal_eval(default))
    except (ValueError, UsageError) as error:
        raise UsageError(f"{where}: the default of {name} does not fit: {error}") from error
    return replace(bare, default=value)


def _within(value: float, bounds: str) -> bool:
    low, high = (float(end) for end in bounds[1:-1].split(","))
    above = value >= low if bounds[0] == "[" else value > low
    below = value <= high if bounds[-1] == "]" else value < high
    return above and below


def _article(kind: str) -> str:
    return {"str": "a text", "int": "a whole number", "float": "a number", "bool": "a switch"}[kind]
