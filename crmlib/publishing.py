"""Findings as display data inside the executed notebook, and frames as CSV: written and read back in one place."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from crmlib import masking
from crmlib.findings import AVERAGE, FINDINGS_MIME, Action, Due, Findings, Metric, due_from
from crmlib.plain import typed

if TYPE_CHECKING:
    import pandas as pd

DUE_FILE = "due.json"
EARLIER_FILE = "earlier.json"
PUBLISHED_FILE = "published.json"
LARGEST_TABLE = 1_000_000  # bytes of CSV that may travel inside a notebook

# The wide forms of = + - @ count as formulas where keyboards type them.
_STARTS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
# Quotes before one are counted in, so that taking ours off again gives the text back.
_FORMULA = re.compile(rf"(^|[;\t\r\n][\"']?)(?='*[{_STARTS}])")
_TAMED = re.compile(rf"(^|[;\t\r\n][\"']?)'(?='*[{_STARTS}])")


class Source(Protocol):
    """What publishing needs to know of a shop."""

    @property
    def as_of(self) -> date: ...

    @property
    def owners(self) -> Mapping[str, str]: ...

    def passport(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Published:
    """Findings with the data they rest on; showing it in the last cell is what completes a report."""

    findings: Findings
    payload: dict[str, Any]

    def __repr__(self) -> str:
        return f"Published({self.findings.report}, as of {self.payload['as_of']}, {self.findings.status})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            FINDINGS_MIME: self.payload,
            "text/html": self.findings._repr_html_(),
            "text/plain": repr(self),
        }


def publish(findings: Findings, *, shop: Source, out: str | Path = "") -> Published:
    """Hand a report's findings to whoever reads the notebook; the last call of each notebook.

    With `out`, tables go to `out`/tables and customer lists to `out`/lists (readable by their owner only). Without,
    tables of up to 1 MB travel inside the notebook and lists do not leave memory. Owners are named as shop.toml does.
    """
    named = tuple(
        replace(part, actions=[replace(a, owner=shop.owners.get(a.owner, "")) for a in part.actions])
        for part in findings.parts
    )
    findings = replace(findings, parts=named)
    payload = {"as_of": shop.as_of.isoformat(), **findings.to_json(), "shop": shop.passport(), "complete": True}
    texts = {name: csv_text(frame) for name, frame in findings.tables.items()}
    if out:
        _write(Path(out) / "tables", texts, mode=0o755)
        for name, text in findings.texts.items():
            (Path(out) / name).write_bytes(masking.emails(text).encode())
        if findings.lists:
            lists = {name: list_text(frame) for name, frame in findings.lists.items()}
            _write(Path(out) / "lists", lists, mode=0o700)
    else:
        payload["tables"] = {name: text for name, text in texts.items() if len(text.encode()) <= LARGEST_TABLE}
    payload["rows"] = {name: len(frame) for name, frame in {**findings.tables, **findings.lists}.items()}
    return Published(findings, payload)


def due(out: str | Path) -> tuple[Due, ...]:
    """What earlier runs of this report predicted and can be graded now, as the runner laid it into `out`."""
    return tuple(due_from(said) for said in _laid(out, DUE_FILE))


def earlier(out: str | Path) -> tuple[tuple[date, Mapping[str, Metric]], ...]:
    """What did earlier runs of this report with the same parameters find? Day and numbers by id, the oldest first.

    As the runner laid it into `out`; a run whose numbers cannot be read is left out, and `crm verify` tells.
    """
    found = []
    for said in _laid(out, EARLIER_FILE):
        try:
            metrics = json.loads((Path(said["folder"]) / "metrics.json").read_text(encoding="utf-8"))["metrics"]
        except (OSError, ValueError, KeyError):
            continue
        found.append((date.fromisoformat(said["as_of"]), {one["id"]: Metric(**one) for one in metrics}))
    return tuple(sorted(found, key=lambda run: run[0]))


def _laid(out: str | Path, name: str) -> list[dict[str, Any]]:
    """What the runner left for a notebook in a file of that name; nothing where it left none."""
    file = Path(out) / name if out else None
    return list(json.loads(file.read_text(encoding="utf-8"))) if file and file.is_file() else []


@dataclass(frozen=True, kw_only=True)
class Run:
    """What another report has published: its numbers by id, its actions, the rows of its tables and lists; and its
    `record`, what became of earlier predictions: label, due, banded (with a range), inside.
    """

    report: str
    title: str
    as_of: date
    headline: str
    metrics: Mapping[str, Metric]
    folder: Path
    actions: tuple[Action, ...] = ()
    record: tuple[Mapping[str, Any], ...] = ()

    def rows(self, name: str, *, of: Literal["tables", "lists"] = "tables") -> list[dict[str, str]]:
        """The rows of one of its tables or lists; none where it has no such one, or it is not ours to read."""
        return csv_rows(self.folder / of / f"{name}.csv")


def published(out: str | Path) -> tuple[Run, ...]:
    """What other reports had published by this day, as the runner laid it into `out`, the newest first.

    For a notebook that says so in its metadata: `"crm": {"after": "others"}`. It then runs after them.
    """
    found = [
        Run(report=said["report"], title=said["title"], as_of=date.fromisoformat(said["as_of"]),
            headline=said["headline"], metrics={one["id"]: Metric(**one) for one in said["metrics"]},
            actions=tuple(typed(Action, one) for one in said.get("actions", ())),
            record=tuple(said.get("record", ())), folder=Path(said["folder"]))
        for said in _laid(out, PUBLISHED_FILE)
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda run: run.as_of, reverse=True))


def newest(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The newest run of each report, of `runs` as `published` has them."""
    return tuple({run.report: run for run in reversed(runs)}.values())


def average_order(runs: Iterable[Run]) -> float:
    """What an order comes to, as a report has published it; 0 where none has."""
    return next((one.value or 0.0 for run in runs if (one := run.metrics.get(AVERAGE))), 0.0)


def csv_text(
    frame: pd.DataFrame, *, mask: bool = True, numbers: frozenset[str] = frozenset(), separator: str = ","
) -> str:
    """A frame as CSV no spreadsheet will run: a quote stands before text that begins like a formula.

    The same within a text after a semicolon, tab or line end, where a spreadsheet of other habits would begin a cell.
    E-mail addresses and telephone numbers, as a product's name or a channel may hold, are masked but in lists.
    `numbers` are columns that were put into text already, where -1 is no formula.
    """

    def tame(value: object) -> object:
        if not isinstance(value, str):
            return value
        return _FORMULA.sub(r"\1'", masking.contacts(value) if mask else value)

    text_columns = frame.select_dtypes(include=["object", "string", "category"]).columns.difference(list(numbers))
    safe = frame.assign(**{column: frame[column].astype(object).map(tame) for column in text_columns})
    # A lone carriage return is quoted by nothing less, and would end the row for whoever reads it.
    returns = any(safe[column].astype(str).str.contains("\r", regex=False).any() for column in text_columns)
    quoting = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    return safe.rename(columns=lambda name: tame(str(name))).to_csv(
        index=False, lineterminator="\n", quoting=quoting, sep=separator
    )


def list_text(frame: pd.DataFrame, *, separator: str = ",", numbers: frozenset[str] = frozenset()) -> str:
    """A list of people as CSV that opens in a spreadsheet by a double click: a byte order mark, no noise of floats.

    Contacts stay as they are, days are days; nothing in it runs, as `csv_text` has it, with the same `numbers`.

    >>> list_text(pd.DataFrame({"customer_id": ["-1"], "sum": [0.1 + 0.2]})).splitlines()
    ['\ufeffcustomer_id,sum', "'-1,0.3"]
    """
    floats = frame.select_dtypes(include="floating").columns
    plain = {name: [_plain_number(value) for value in frame[name]] for name in floats}
    text = csv_text(frame.assign(**plain), mask=False, numbers=numbers | set(floats), separator=separator)
    return "\ufeff" + text


def _plain_number(value: float) -> str:
    if not math.isfinite(value):
        return ""
    text = f"{value:.10g}" if abs(value) < 1e10 else f"{value:.2f}"
    return f"{value:.12f}".rstrip("0").rstrip(".") if "e" in text else text


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV that `csv_text` wrote, as they were: the quote it put before a formula is off again.

    None where the file is not there or not ours to read, as another user's lists are.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, csv.Error, UnicodeDecodeError):
        return []
    return [{_bare(name): _bare(text or "") for name, text in row.items() if name is not None} for row in rows]


def _bare(text: str) -> str:
    return _TAMED.sub(r"\1", text)


def _write(folder: Path, texts: Mapping[str, str], *, mode: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(mode)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
