"""The last sieve before publication: personal data and secrets that a cell, an error or a name brought along.

A page is written without them; this is for what nobody foresaw, such as a frame an analyst left at the end of a cell.
E-mail addresses, telephone numbers and secrets are masked wherever they stand. An output that shows columns that name
customers, or what a cell took out of such columns, is left out whole: such rows belong into lists/.
"""

from __future__ import annotations

import ast
import html as markup
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from crmlib import errors, masking
from crmlib.findings import FINDINGS_MIME, PART_MIME
from crmlib.masking import PERSONAL

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL|(^|_)(DSN|AUTH|PAT)(_|$)", re.IGNORECASE)
# Secrets that are known by how they begin, whatever they are called.
_KNOWN_FORMS = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{18,}|\bxox[abeoprs]-[\w-]{10,}"
    r"|\b[srp]k[-_](?:live|test|proj|ant)[-_][\w-]{10,}|\bAIza[\w-]{30,}|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<=://)[^\s/:@'\"]{0,100}:[^\s/@'\"]{1,200}(?=@)"
)
_RANDOM = re.compile(r"[0-9a-fA-F]{32,}|(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=\D*\d)[A-Za-z0-9+/_=-]{24,}")
_CREDENTIALS = re.compile(r"\w+://[^/\s:@]*:([^/\s@]+)@")
_WORDS = frozenset(
    ["public", "private", "default", "enabled", "disabled", "required", "optional", "password", "secret", "nothing"]
)
_SHORTEST_SECRET = 6
_APART = 12  # a secret shorter than this is one only where it is no part of a longer word
_DRAWN = ("wide", "narrow")  # figures as SVG: numbers in them are places

_CUSTOMERS = re.compile(r"\bcustomers\b")
_ROWS = frozenset(
    ["values", "tolist", "to_list", "to_numpy", "to_records", "itertuples", "iterrows", "rows", "fetchall"]
)

_kept: set[str] = set()


def keep(secret: str) -> None:
    """Mask this from now on as the environment's secrets are: the reports folder's key is in no variable of ours."""
    _kept.add(secret)


def mask(text: str, *, secrets: Iterable[str] | None = None) -> str:
    """The text without e-mail addresses, telephone numbers, addresses, and secrets of the environment."""
    return masking.personal(without_secrets(text, secrets))


def mask_page(html: str) -> str:
    """The same for a finished page; telephone numbers are masked before, where text is still text."""
    known = secrets_of(os.environ)
    return masking.emails(without_secrets(html, [*known, *map(markup.escape, known)]))


def without_secrets(text: str, secrets: Iterable[str] | None = None) -> str:
    """The text with '[secret]' for each secret, by value or by a form that nothing else has."""
    for secret in secrets_of(os.environ) if secrets is None else secrets:
        if secret in text:
            apart = len(secret) < _APART
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "[secret]", text) if apart else text.replace(
                secret, "[secret]")  # fmt: skip
    return _KNOWN_FORMS.sub("[secret]", text)


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """The values that are secret by the name of their variable or by their own form, the longest first.

    With each the forms in which it is printed: quoted, line by line, a password without the address around it.
    """
    found = set(_kept)
    for name, value in environment.items():
        found |= {form for word in _CREDENTIALS.findall(value) for form in (word, unquote(word))}
        if (_SECRET_NAME.search(name) or _RANDOM.fullmatch(value) or _KNOWN_FORMS.search(value)) and not _is_path(
            value
        ):
            found |= {value, *(line for line in value.splitlines() if len(line) >= _APART)}
    found |= {form for value in found for form in (repr(value)[1:-1], json.dumps(value)[1:-1])}
    return sorted(
        (value for value in found if len(value) >= _SHORTEST_SECRET and value.casefold() not in _WORDS),
        key=lambda value: (-len(value), value),
    )


def _is_path(value: str) -> bool:
    """A path to a key file is no secret, and masking it would spoil every message that names the folder."""
    try:
        return "/" in value and all(Path(place).expanduser().exists() for place in value.split(os.pathsep))
    except (OSError, ValueError, RuntimeError):
        return False


def clean(notebook: dict[str, Any]) -> dict[str, Any]:
    """An executed notebook whose outputs can stand beside a page; changed in place and returned."""
    secrets, tainted, tables = secrets_of(os.environ), set[str](), set[str]()
    for cell in notebook["cells"]:
        if source := cell.get("source"):
            text = source if isinstance(source, str) else "".join(source)
            given = "injected-parameters" in cell.get("metadata", {}).get("tags", ())
            text = mask(text, secrets=secrets) if given else without_secrets(text, secrets)
            cell["source"] = text.splitlines(keepends=True)
        names = _names_people(cell, tainted, tables)
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                _shorten_error(output)
            data = output.get("data", {})
            said = "\n".join(filter(None, ("".join(output.get("text", "")), *_texts(data))))
            ours = {FINDINGS_MIME, PART_MIME} & data.keys()
            columns = personal_columns(said)
            if not ours and (columns or (names and _shows_values(said))):
                what = f"a table with {', '.join(columns)}" if columns else "what columns that name customers hold"
                note = f"[left out: {what}; rows that name customers go to lists/]"
                output.update({"text": note} if "text" in output else {"data": {"text/plain": note}})
                continue
            for key in ("text", "data", "ename", "evalue", "traceback"):
                if key in output:
                    output[key] = _walk(output[key], secrets)
    return notebook


def _texts(data: Mapping[str, Any]) -> Iterator[str]:
    """What a display says in each of its forms."""
    for kind, shown in data.items():
        if kind == "text/html":
            # The headings of its tables; what else it says may speak of columns without showing one.
            yield "\n".join(re.findall(r"<th[^<>]*>\s*(\w+)\s*</th>", "".join(shown)))
        elif kind == "application/json":
            yield json.dumps(shown)
        elif kind.startswith("text/"):
            yield "".join(shown)


def is_ours(ename: object, evalue: str, traceback: str) -> bool:
    """Is an error one of crmlib's own, whose message is written to be read? Others may quote a row.

    Not by its name alone: duckdb and pandas have a DataError too. Ours is shown in one line, without frames.
    """
    kind = getattr(errors, str(ename), None)
    ours = isinstance(kind, type) and issubclass(kind, errors.CrmError)
    return ours and (not traceback or traceback.strip() == f"{ename}: {evalue}".strip())


def line_of(traceback: str) -> int | None:
    """The line of the cell in which an error arose, as IPython says it."""
    found = re.findall(r"Cell In\s*\[\d+\], line (\d+)", masking.printable(traceback))
    return int(found[-1]) if found else None


def _shorten_error(output: dict[str, Any]) -> None:
    trace = "\n".join(output.get("traceback", []))
    if not is_ours(output.get("ename"), str(output.get("evalue", "")), trace):
        line = line_of(trace)
        output.update(evalue=f"in line {line} of this cell" if line else "in this cell", traceback=[])


def personal_columns(text: str) -> list[str]:
    """The personal columns that a printed frame, series, dictionary or CSV names in its heading or line by line."""
    found: set[str] = set()
    for line in text.splitlines() if ":=" not in text else ():
        words = line.split()
        typed = len(words) == 2 and _TYPES.fullmatch(words[1])
        if not typed and all(re.fullmatch(r"[A-Za-z_]\w*|\\|\.\.\.", word) for word in words):
            found |= PERSONAL & set(words)
        if match := re.match(r"Name: (\w+),", line):
            found |= PERSONAL & {match[1]}
        # A frame on its side, a row as a series, a table as CSV or Markdown, a record.
        if len(words) > 1 and words[0] in PERSONAL and not _TYPES.fullmatch(words[1]):
            found.add(words[0])
        cells = [cell.strip(" '\"\ufeff") for cell in re.split(r"[,;\t|]", line)]
        if len(cells) > 1 and "[" not in line:
            found |= PERSONAL & set(cells)
        found |= PERSONAL & set(re.findall(r"['\"](\w+)['\"]\s*:", line))
        found |= PERSONAL & set(re.findall(r"\b(\w+)=['\"\d]", line))
    return sorted(found)


_TYPES = re.compile(
    r"object|string(\[\w+\])?|str|category|u?int\d*|float\d*|bool(ean)?|datetime\d*.*|\d+", re.IGNORECASE
)
_PLAIN_WORDS = re.compile(
    r"dtype|Name|Length|object|string|str|category|u?int\d*|float\d*|bool|np|array|Index|Categories|datetime\d+|ns|us"
    r"|RangeIndex|Series|shape|size|columns|rows|[Tt]rue|[Ff]alse|None|nan|NaN|NaT|NA|e|python|pyarrow|[a-z]+64"
)


def _shows_values(text: str) -> bool:
    """Does an output hold more than a number or two: words, texts in quotes, a list?"""
    if re.search(r"\[[^\[\]]*[,\s][^\[\]]*\d|['\"][^'\"\n]+['\"]|\b\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b", text):
        return True
    words = re.findall(r"[^\W\d_]\w*", text)
    return any(not _PLAIN_WORDS.fullmatch(word) and word not in PERSONAL for word in words)


def _names_people(cell: Mapping[str, Any], tainted: set[str], tables: set[str]) -> bool:
    """Does a cell show values out of columns that name customers, or what an earlier one took? Adds to both sets."""
    if cell.get("cell_type", "code") != "code":
        return False
    try:
        tree = ast.parse("".join(cell.get("source", "")))
    except (SyntaxError, ValueError, RecursionError):
        return False

    def takes(node: ast.AST) -> bool:
        return any(
            (isinstance(part, ast.Subscript) and _columns(part.slice) & PERSONAL)
            or (isinstance(part, ast.Attribute) and part.attr in PERSONAL)
            # All of a customer's row, in a form that names no column.
            or (isinstance(part, ast.Attribute) and part.attr in _ROWS and _of_customers(part.value, tables))
            or (isinstance(part, ast.Name) and part.id in tainted)
            for part in ast.walk(node)
        )

    for node in ast.walk(tree):
        given: ast.AST | None = None
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            given, targets = node.value, node.targets if isinstance(node, ast.Assign) else [node.target]
        elif isinstance(node, ast.For | ast.comprehension):
            given, targets = node.iter, [node.target]
        if given is not None and _of_customers(given, tables):
            tables.update(part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))
        if given is not None and takes(given):
            tainted.update(part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name))
    shown = [
        node for node in tree.body if not isinstance(node, ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom)
    ]
    return any(takes(node) for node in shown)


def _of_customers(node: ast.AST, tables: set[str]) -> bool:
    return any(
        (isinstance(part, ast.Constant) and isinstance(part.value, str) and _CUSTOMERS.search(part.value))
        or (isinstance(part, ast.Attribute) and part.attr == "customers")
        or (isinstance(part, ast.Name) and part.id in tables)
        for part in ast.walk(node)
    )


def _columns(key: ast.AST) -> set[str]:
    return {part.value for part in ast.walk(key) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def _walk(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        return mask(value, secrets=secrets)
    if isinstance(value, list):
        return [_walk(item, secrets) for item in value]
    if isinstance(value, dict):
        return {
            key: item if key in _DRAWN or str(key).startswith("image/") else _walk(item, secrets)
            for key, item in value.items()
        }
    return value
