"""What an analysis says: numbers with their uncertainty, what to do, what to doubt.

A notebook ends by publishing its `Findings`. They travel inside the executed notebook as display data of
their own MIME type, so the runner reads back what the analyst saw, and plain papermill loses nothing.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import pandas as pd

from crmlib import formats
from crmlib.errors import UsageError

FINDINGS_MIME = "application/vnd.crmlib.findings+json"
DUE_FILE = "due.json"
LARGEST_TABLE = 1_000_000  # bytes of CSV that may travel inside a notebook

# The wide forms of = + - @ count as formulas where keyboards type them.
_FORMULA = re.compile(r"(^|[;\t\r\n][\"']?)(?=[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")

Status = Literal["published", "warnings", "too_few"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of a report. `low` and `high` are None for complete counts; `value` None is 'not available'.

    `headline` puts it in the row of tiles; `note` is the small print there: what the interval covers, or n. `signed`
    numbers show a plus, too.
    """

    id: str
    label: str
    value: float | None
    unit: str
    definition: str
    n: int | None = None
    low: float | None = None
    high: float | None = None
    headline: bool = False
    note: str = ""
    signed: bool = False

    def __str__(self) -> str:
        span = formats.interval(self.low, self.high, self.unit)
        text = formats.quantity(self.value, self.unit, low=self.low, high=self.high)
        return f"{text} ({span})" if span else text


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something to do: for how many, worth what, until when, by whom, with which file beside the page.

    `counted` says what `count` counts, in the plural: 'customers'.
    """

    what: str
    why: str
    count: int | None = None
    counted: str = ""
    worth: str = ""
    by: str = ""
    owner: str = ""
    file: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check of the data or the method. A failed one becomes a banner on top of the page."""

    name: str
    verdict: Literal["ok", "warning", "failed"]
    text: str


@dataclass(frozen=True, kw_only=True)
class Caveat:
    """A reason not to trust the page, in one plain sentence."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A number said before it can be known: what [start, end) will bring. A later run of the same report grades it.

    `id` is the same on every run, such as 'orders_90d'; `low` and `high` bound the outcome itself, not its mean, with
    95 %. With a `band` it is one of several groups of a chance ('20–40 %'): value is then the mean chance of its `n`.
    """

    id: str
    label: str
    unit: str
    value: float
    start: date
    end: date
    low: float | None = None
    high: float | None = None
    n: int | None = None
    band: str = ""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A prediction of an earlier run whose time has come. `lists` is that run's folder of lists, None where it has none."""

    prediction: Prediction
    as_of: date
    run_id: str
    lists: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Grade:
    """What came of a prediction that was due."""

    due: Due
    actual: float


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Rows of a table to follow from run to run: who entered, who left.

    `table` is one of the findings' tables or lists, `key` the columns that name a row. With `by`, only the `top` share
    with the largest values of that column counts. `label` names the rows in the plural: 'customers in the top tenth'.
    """

    table: str
    key: tuple[str, ...]
    label: str
    by: str = ""
    top: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that one report says.

    lead      the page in one or two sentences
    so_what   three lines for the reader who stops there
    how_sure  holdout, interval, baseline beaten or not, in sentences
    for_experts   the same in the method's own terms, folded on the page
    tables    file name without ending -> frame, for `tables/`
    lists     the same for `lists/`, where whatever names a customer goes; never shown on a page
    predictions, grades   what is said of the days ahead, and what came of what earlier runs had said
    watches   rows whose coming and going the next run's page tells; other tables are compared without being named
    """

    report: str
    lead: str
    metrics: tuple[Metric, ...]
    so_what: tuple[str, ...]
    how_sure: tuple[str, ...]
    caveats: tuple[Caveat, ...]
    for_experts: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    checks: tuple[Check, ...] = ()
    status: Status = "published"
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    lists: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    predictions: tuple[Prediction, ...] = ()
    grades: tuple[Grade, ...] = ()
    watches: tuple[Watch, ...] = ()

    def __post_init__(self) -> None:
        ids = [metric.id for metric in self.metrics]
        if len(set(ids)) != len(ids):
            raise UsageError(f"metric ids repeat: {sorted({i for i in ids if ids.count(i) > 1})}")
        # Callers keep no handle by which a published table could still change.
        for name in ("tables", "lists"):
            frames = {key: frame.copy() for key, frame in getattr(self, name).items()}
            object.__setattr__(self, name, MappingProxyType(frames))

    def __getitem__(self, metric_id: str) -> Metric:
        for metric in self.metrics:
            if metric.id == metric_id:
                return metric
        raise KeyError(metric_id)

    def to_json(self) -> dict[str, Any]:
        """Everything but the tables, as plain JSON values."""
        return {
            "report": self.report,
            "status": self.status,
            "lead": self.lead,
            "metrics": [asdict(metric) for metric in self.metrics],
            "so_what": list(self.so_what),
            "how_sure": list(self.how_sure),
            "for_experts": list(self.for_experts),
            "caveats": [caveat.text for caveat in self.caveats],
            "actions": [asdict(action) for action in self.actions],
            "checks": [asdict(check) for check in self.checks],
            "predictions": [_dated(prediction) for prediction in self.predictions],
            "grades": [
                {"prediction": _dated(grade.due.prediction), "as_of": grade.due.as_of.isoformat(),
                 "run_id": grade.due.run_id, "actual": grade.actual}
                for grade in self.grades
            ],
            "watches": [asdict(watch) for watch in self.watches],
        }  # fmt: skip

    def _repr_html_(self) -> str:
        return _as_html(self)


def due(out: str | Path) -> tuple[Due, ...]:
    """What earlier runs of this report predicted and can be graded now, as the runner laid it into `out`; else nothing."""
    file = Path(out) / DUE_FILE if out else None
    if file is None or not file.is_file():
        return ()
    return tuple(
        Due(
            prediction=Prediction(
                **said["prediction"] | {end: date.fromisoformat(said["prediction"][end]) for end in ("start", "end")}
            ),
            as_of=date.fromisoformat(said["as_of"]),
            run_id=said["run_id"],
            lists=Path(said["lists"]) if said["lists"] else None,
        )
        for said in json.loads(file.read_text(encoding="utf-8"))
    )


def _dated(prediction: Prediction) -> dict[str, Any]:
    return asdict(prediction) | {"start": prediction.start.isoformat(), "end": prediction.end.isoformat()}


class Source(Protocol):
    """What publishing needs to know of a shop."""

    @property
    def as_of(self) -> date: ...

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
    tables of up to 1 MB travel inside the notebook and lists do not leave memory.
    """
    payload = {"as_of": shop.as_of.isoformat(), **findings.to_json(), "shop": shop.passport(), "complete": True}
    texts = {name: csv_text(frame) for name, frame in findings.tables.items()}
    if out:
        _write(Path(out) / "tables", texts, mode=0o755)
        if findings.lists:
            _write(Path(out) / "lists", {name: csv_text(frame) for name, frame in findings.lists.items()}, mode=0o700)
    else:
        payload["tables"] = {name: text for name, text in texts.items() if len(text.encode()) <= LARGEST_TABLE}
    payload["rows"] = {name: len(frame) for name, frame in {**findings.tables, **findings.lists}.items()}
    return Published(findings, payload)


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV no spreadsheet will run: a quote stands before text that begins like a formula.

    The same within a text after a semicolon, tab or line end, where a spreadsheet of other habits would begin a cell.
    """

    def tame(value: object) -> object:
        return _FORMULA.sub(r"\1'", value) if isinstance(value, str) else value

    text_columns = frame.select_dtypes(include=["object", "string", "category"]).columns
    safe = frame.assign(**{column: frame[column].astype(object).map(tame) for column in text_columns})
    return safe.rename(columns=lambda name: tame(str(name))).to_csv(index=False, lineterminator="\n")


def _write(folder: Path, texts: Mapping[str, str], *, mode: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(mode)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")


def _as_html(findings: Findings) -> str:
    """The findings as a notebook shows them, under the four headings every report ends with."""

    def items(lines: list[str]) -> str:
        return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"

    numbers = [f"{metric.label}: {metric}" for metric in findings.metrics]
    actions = [
        " · ".join(
            part for part in (a.what, a.why, f"{a.count:,}" if a.count is not None else "", a.worth, a.file) if part
        )
        for a in findings.actions
    ]
    blocks = [
        ("So what", list(findings.so_what)),
        ("Numbers", numbers),
        ("Actions", actions or ["Nothing to do from this page today."]),
        ("How sure", [*findings.how_sure, *findings.for_experts]),
        ("When not to trust this", [caveat.text for caveat in findings.caveats]),
    ]
    body = "".join(f"<h4>{title}</h4>{items(lines)}" for title, lines in blocks)
    return f"<p><strong>{html.escape(findings.lead)}</strong></p>{body}"
