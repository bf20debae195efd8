"""What an analysis says, plain and typed: findings as parts, each with its numbers, actions, doubts and forecasts.

A part lives where its question is computed; `compose` puts parts in order under a headline. Nothing above reads the
sentences back: what the runner, the index and the next run need travels as values. Imports no pandas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from crmlib import display, formats
from crmlib.errors import UsageError, nearest
from crmlib.formats import Estimate
from crmlib.plain import plain, typed

if TYPE_CHECKING:
    import pandas as pd

FINDINGS_MIME = "application/vnd.crmlib.findings+json"
PART_MIME = "application/vnd.crmlib.part+json"
AVERAGE = "average_order_12m"  # the id of the metric by which money is told in orders
MOST_TILES = 4
# Who may be asked to act; shop.toml's [owners] says who that is. data/README.md lists them.
ROLES = ("service", "marketing", "sales", "purchasing", "shop")

Status = Literal["published", "warnings", "too_few"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of a report. `low` and `high` are None for complete counts; `value` None is 'not available'.

    `headline` makes it a tile. `before` is the same number of the comparable period and `against` names that period as
    it follows 'on': 'last September', 'the year before'. `history` is its line: ISO day and value, oldest first.
    `note` is the small print where there is nothing to compare with. A `running` total only grows, so that it is never
    called a change; `signed` numbers show a plus, too; `spread` says that the tile shows the range. `said` stands in
    the value's place where words say it better: '4% too high'.
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
    before: float | None = None
    against: str = ""
    history: tuple[tuple[str, float], ...] = ()
    running: bool = False
    signed: bool = False
    spread: bool = False
    said: str = ""

    @classmethod
    def of(cls, estimate: Estimate, **said: Any) -> Metric:
        """A metric with the value, range, unit and n of an estimate."""
        return cls(value=estimate.value, low=estimate.low, high=estimate.high, unit=estimate.unit, n=estimate.n, **said)

    @property
    def estimate(self) -> Estimate:
        """The number with its range alone."""
        return Estimate(value=self.value, low=self.low, high=self.high, unit=self.unit, n=self.n)

    def __str__(self) -> str:
        span = self.estimate.span
        return f"{self.estimate.text} ({span})" if span else self.estimate.text


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something to do, in a line: the verb first and how many, what it is worth, by when, who, and the list.

    `what` is a whole line: 'Contact the 39 best customers who are wavering'. `owner` is one of ROLES, whom shop.toml's
    [owners] names; a shop that names nobody shows nobody. `why` is for whoever asks, folded on the page. By these two
    actions of several reports are ranked, 0 where they are not known: `weight`, the money at stake in the shop's
    currency, and `touched`, how many customers, orders or tickets a year it goes worse for than usual, at the end of
    its range nearest to none.
    """

    what: str
    worth: str = ""
    by: date | None = None
    owner: str = ""
    file: str = ""
    count: int | None = None
    why: str = ""
    weight: float = 0.0
    touched: float = 0.0

    def severity(self, order: float) -> float:
        """How many orders' worth it is about, where an order comes to `order`; 0 where that is not known.

        >>> Action(what="Raise a price", weight=500.0).severity(50.0), Action(what="Ask", touched=12.0).severity(0.0)
        (10.0, 12.0)
        """
        return max(self.touched, self.weight / order if order > 0 else 0.0)


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
class Change:
    """What one period brought beside the comparable one, in a sentence: never a running total.

    `size` ranks it among all of the day, 0 to 1: how far it is from the usual, as a share of it, at the end of its
    range nearest to no change (`stats.surely`). `better` says which way it went, None where that is no gain or loss.
    """

    text: str
    size: float = 0.0
    better: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A finding that may come and go from run to run. `text` says it; `gone` says that it no longer holds."""

    id: str
    text: str
    gone: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A number said before it can be known: what [start, end) will bring. A later run of the same report grades it.

    `id` is the same on every run, such as 'orders_90d'; `low` and `high` bound the outcome itself, not its mean, with
    95 %. With a `band` it is one of several groups of a chance ('20–40%'): value is then the mean chance of its `n`.
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
    """A prediction of an earlier run whose time has come. `lists` is that run's folder of lists, if it has one."""

    prediction: Prediction
    as_of: date
    run_id: str
    lists: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Grade:
    """What became of a prediction that was due."""

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
class Chart:
    """A drawing, wide and narrow, as SVG or as a PNG's data URI, with the numbers behind it; or those alone.

    `alt` says what a listener needs: finding, type of figure, range. `table` is the payload `figures.tabulate` makes.
    """

    wide: str = ""
    narrow: str = ""
    alt: str = ""
    caption: str = ""
    table: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One finding of a page and all that comes with it, made in the file that computes it.

    `title` says the finding and `sentence` what it means; with neither sentence nor chart a part is not shown and only
    carries its numbers. `detail` folds it behind the main findings, `glance` lends its chart to the index. `certain`
    are sentences for 'How certain is this?', `method` the same in the method's own terms, folded; `ahead` says in a
    sentence what is to be expected. `tables` and `lists` are frames by file name: whatever names a customer goes into a
    list and is never shown. `texts` are whole files beside the page, by name: for a mailer, for a calendar.
    """

    title: str = ""
    sentence: str = ""
    chart: Chart | None = None
    detail: bool = False
    glance: bool = False
    metrics: Sequence[Metric] = ()
    actions: Sequence[Action] = ()
    changes: Sequence[Change] = ()
    signals: Sequence[Signal] = ()
    checks: Sequence[Check] = ()
    caveats: Sequence[Caveat] = ()
    certain: Sequence[str] = ()
    method: Sequence[str] = ()
    ahead: Sequence[str] = ()
    predictions: Sequence[Prediction] = ()
    grades: Sequence[Grade] = ()
    watches: Sequence[Watch] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    lists: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _GATHERED:
            object.__setattr__(self, name, tuple(getattr(self, name)))
        # Callers keep no handle by which a published table could still change.
        for name in ("tables", "lists"):
            frames = {key: frame.copy() for key, frame in getattr(self, name).items()}
            object.__setattr__(self, name, MappingProxyType(frames))
        object.__setattr__(self, "texts", MappingProxyType(dict(self.texts)))

    @property
    def shown(self) -> bool:
        """Is there something to see, or only numbers that travel along?"""
        return bool(self.sentence or self.chart)

    def to_json(self) -> dict[str, Any]:
        """What a page shows of it."""
        chart = asdict(replace(self.chart, table=dict(self.chart.table))) if self.chart else None
        return {name: getattr(self, name) for name in ("title", "sentence", "detail", "glance")} | {"chart": chart}

    def __repr__(self) -> str:
        return f"Part({self.title or self.sentence!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            PART_MIME: self.to_json(),
            "text/html": display.part_html(self.to_json()),
            "text/plain": f"{self.title}. {self.sentence}",
        }


_GATHERED = (
    "metrics", "actions", "changes", "signals", "checks", "caveats", "certain", "method", "ahead", "predictions",
    "grades", "watches",
)  # fmt: skip


def _of_parts() -> Any:
    return field(init=False, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that one report says: a headline of one or two sentences over parts in the order of the page.

    The first part with a drawing carries the headline. Metrics, actions and the rest are those of its parts, in order.
    """

    report: str
    headline: str
    parts: tuple[Part, ...]
    status: Status = "published"
    metrics: tuple[Metric, ...] = _of_parts()
    actions: tuple[Action, ...] = _of_parts()
    changes: tuple[Change, ...] = _of_parts()
    signals: tuple[Signal, ...] = _of_parts()
    checks: tuple[Check, ...] = _of_parts()
    caveats: tuple[Caveat, ...] = _of_parts()
    certain: tuple[str, ...] = _of_parts()
    method: tuple[str, ...] = _of_parts()
    ahead: tuple[str, ...] = _of_parts()
    predictions: tuple[Prediction, ...] = _of_parts()
    grades: tuple[Grade, ...] = _of_parts()
    watches: tuple[Watch, ...] = _of_parts()

    def __post_init__(self) -> None:
        for name in _GATHERED:
            found = tuple(item for part in self.parts for item in getattr(part, name))
            object.__setattr__(self, name, found)

    @property
    def tiles(self) -> tuple[Metric, ...]:
        """The numbers beside the headline."""
        return tuple(metric for metric in self.metrics if metric.headline)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """File name without ending -> frame, for `tables/`."""
        return {name: frame for part in self.parts for name, frame in part.tables.items()}

    @property
    def lists(self) -> dict[str, pd.DataFrame]:
        """The same for `lists/`, where whatever names a customer goes."""
        return {name: frame for part in self.parts for name, frame in part.lists.items()}

    @property
    def texts(self) -> dict[str, str]:
        """File name -> text, beside the page."""
        return {name: text for part in self.parts for name, text in part.texts.items()}

    def __getitem__(self, metric_id: str) -> Metric:
        for metric in self.metrics:
            if metric.id == metric_id:
                return metric
        raise KeyError(metric_id)

    def to_json(self) -> dict[str, Any]:
        """Everything but the tables, as plain JSON values; `from_json` reads it back."""
        return {
            "report": self.report,
            "status": self.status,
            "headline": self.headline,
            "parts": [part.to_json() for part in self.parts if part.shown],
            "caveats": [caveat.text for caveat in self.caveats],
            "certain": list(self.certain),
            "method": list(self.method),
            "ahead": list(self.ahead),
            **{
                name: [plain(asdict(item)) for item in getattr(self, name)]
                for name in ("metrics", "actions", "changes", "signals", "checks", "predictions", "grades", "watches")
            },
        }

    def _repr_html_(self) -> str:
        return display.findings_html(self.to_json(), [f"{metric.label}: {metric}" for metric in self.metrics])


def severest(asked: Iterable[tuple[int, Action, Any]], *, order: float) -> list[tuple[int, Action, Any]]:
    """What several reports ask for (the place in its report, the action, what goes with it), the gravest first.

    Where nothing is known of how many it touches, each report's first comes before any report's second.

    >>> asked = [(0, Action(what="Drop it", weight=50.0), ""), (1, Action(what="Ask why", touched=90.0), "")]
    >>> [action.what for _, action, _ in severest(asked, order=40.0)]
    ['Ask why', 'Drop it']
    """
    return sorted(asked, key=lambda one: (-one[1].severity(order), one[0], -one[1].weight))


def compose(report: str, headline: str, parts: Sequence[Part | None], *, status: Status | None = None) -> Findings:
    """A report from its parts, in the order of the page; what is None is left out.

    Without a `status` a check that is not 'ok' makes it 'warnings'. Raises UsageError, for whoever writes a report, for
    an empty headline, more than four tiles, ids or file names that repeat, a `before` without `against`, a unit that is
    none and an owner who is none of ROLES.

    >>> compose("returns", "Few orders come back.", [Part(title="3% come back", sentence="As last year.")]).status
    'published'
    """
    there = tuple(part for part in parts if part is not None)
    made = Findings(report=report, headline=headline, parts=there)
    if not headline.strip():
        raise UsageError("a page needs a headline that says what happened and what it means")
    for what, names in (
        ("metric ids", [metric.id for metric in made.metrics]),
        ("tables", [name for part in there for name in (*part.tables, *part.lists)]),
    ):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"{what} repeat: {twice}")
    if len(made.tiles) > MOST_TILES:
        raise UsageError(f"a page has at most {MOST_TILES} tiles; headline=True is set on {[m.id for m in made.tiles]}")
    for metric in made.metrics:
        _fits(metric)
    for owner in (action.owner for action in made.actions if action.owner):
        if owner not in ROLES:
            raise UsageError(f"no action can be given to {owner!r}; {nearest(owner, ROLES)}")
    if status is None:
        status = "warnings" if any(check.verdict != "ok" for check in made.checks) else "published"
    return replace(made, status=status)


def _fits(metric: Metric) -> None:
    """UsageError for a metric that a page would say wrongly."""
    if meant := formats.misspelt(metric.unit):
        raise UsageError(f"metric {metric.id}: the unit {metric.unit!r} is none; write {meant}. Units: {formats.UNITS}")
    if metric.before is not None and not metric.against:
        raise UsageError(f"metric {metric.id}: `before` needs `against`, the period it is of: 'the year before'")


def from_json(said: Mapping[str, Any]) -> Findings:
    """Findings as another program or a later run reads them back; frames stay in their files."""
    kinds = {"metrics": Metric, "actions": Action, "changes": Change, "signals": Signal, "checks": Check,
             "predictions": Prediction, "watches": Watch}  # fmt: skip
    carried: dict[str, Any] = {name: tuple(typed(kinds[name], item) for item in said.get(name, ())) for name in kinds}
    carried |= {name: said.get(name, ()) for name in ("certain", "method", "ahead")}
    grades = tuple(Grade(due=due_from(grade["due"]), actual=grade["actual"]) for grade in said.get("grades", ()))
    shown = [
        Part(**{**part, "chart": Chart(**part["chart"]) if part["chart"] else None}) for part in said.get("parts", ())
    ]
    caveats = tuple(Caveat(text=text) for text in said.get("caveats", ()))
    rest = Part(**carried, grades=grades, caveats=caveats)
    return Findings(report=said["report"], headline=said["headline"], parts=(*shown, rest), status=said["status"])


def due_from(said: Mapping[str, Any]) -> Due:
    """A prediction that has come due, as JSON keeps it."""
    lists = said.get("lists")
    return Due(
        prediction=typed(Prediction, said["prediction"]),
        as_of=date.fromisoformat(said["as_of"]),
        run_id=said["run_id"],
        lists=Path(lists) if lists else None,
    )
