"""What does the next period need? A contest of simple forecasts on earlier periods, and each product's part in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import optimize

from crmlib import figures, formats, wording
from crmlib.analysis import forecasts
from crmlib.analysis.forecasts import Errors, Total
from crmlib.errors import UsageError
from crmlib.findings import Action, Due, Grade, Metric, Part, Prediction
from crmlib.shop import facts as shared
from crmlib.shop.shop import Shop
from crmlib.stats.intervals import Floats

MISSED = 0.25  # a last test that missed by more leads nowhere
_RECENT, _TESTS, _LEAST_TESTS, _MOST_PRODUCTS = 3, 12, 3, 2_000
_BACK = 40  # periods that are looked at
_ORDER_DAYS = 2


@dataclass(frozen=True, kw_only=True)
class Method:
    """A forecast, the simplest first, with the errors it made on earlier periods."""

    name: str
    value: float
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """One number of the next period: the methods tried, the one chosen, its range, and what came before."""

    methods: tuple[Method, ...]
    chosen: Method | None
    total: Total | None
    last_year: float | None
    latest: float

    @property
    def leads(self) -> bool:
        """May a page lead with it: was it tested, and was the last test within a quarter?"""
        return bool(self.chosen and self.total and abs(np.expm1(self.chosen.errors.seen[-1])) <= MISSED)


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The next period [start, end): sales or orders in all, pieces in all, and products that add up to those.

    products  product (its id), name, forecast, low, high (95 %, of what will come), last_year, recent; pieces
    sales     its unit is a currency, or 'orders' where there are no amounts; pieces None without quantities
    held      share of products of the last test inside their range, of `held_n`
    """

    __repr__ = formats.outline

    start: date
    end: date
    unit: str
    sales: Ahead
    pieces: Ahead | None
    products: pd.DataFrame
    held: float
    held_n: int

    @property
    def called(self) -> str:
        """The period as one says it: 'October', or 'the four weeks from 3 May'."""
        if self.start.day == 1 and self.end.day == 1:
            return f"{self.start:%B}"
        return f"the {wording.span((self.end - self.start).days)} from {wording.day(self.start, near=self.start)}"


def periods(as_of: date, period_days: int) -> list[tuple[date, date]]:
    """Periods [start, end), the next one last: calendar months for 0, else so many days that end with as_of.

    The next month is the first that has not begun; the month under way, part of which is known, is left out.

    >>> periods(date(2026, 10, 15), 0)[-2:]
    [(datetime.date(2026, 9, 1), datetime.date(2026, 10, 1)), (datetime.date(2026, 11, 1), datetime.date(2026, 12, 1))]
    """
    if period_days:
        if not 7 <= period_days <= 92:
            raise UsageError(f"period_days is {period_days}; it is 0 for the next calendar month, or 7 to 92")
        starts = [as_of + timedelta(days=period_days * back) for back in range(-_BACK, 1)]
        return [(start, start + timedelta(days=period_days)) for start in starts]
    this = pd.Period(as_of, "M")
    ahead = this if as_of.day == 1 else this + 1
    months = [this - back for back in range(_BACK, 0, -1)] + [ahead]
    return [(month.start_time.date(), (month + 1).start_time.date()) for month in months]


def sold(shop: Shop) -> ir.Table:
    """Grain: a product and a day with an order that stands. Columns day, product_id, pieces. Not enough for money."""
    lines = shared.goods(shop)
    lines = lines.filter((lines["quantity"] > 0).fill_null(False))
    rows = lines.inner_join(shared.net_orders(shop).select("order_id", "day"), "order_id")
    return rows.group_by("day", "product_id").aggregate(pieces=rows["quantity"].sum().cast("float64"))


def by_period(rows: ir.Table, spans: Sequence[tuple[date, date]]) -> ir.Table:
    """Grain: a product and a period (its place in `spans`). Columns product_id, period, pieces."""
    rows = rows.filter(rows["day"] >= ibis.literal(spans[0][0]))
    cases = [(rows["day"] < ibis.literal(end), place) for place, (_, end) in enumerate(spans)]
    rows = rows.mutate(period=ibis.cases(*cases, else_=len(spans)).cast("int64"))
    rows = rows.filter(rows["period"] < len(spans) - 1)
    found = rows.group_by("product_id", "period").aggregate(pieces=rows["pieces"].sum())
    return found.order_by("product_id", "period")


def _recent(rate: Floats, at: int, _: int, gap: int) -> float:
    return float(rate[..., at - gap - _RECENT + 1 : at - gap + 1].mean())


def _year_before(rate: Floats, at: int, year: int, _: int) -> float:
    return float(rate[at - year])


def _growing(rate: Floats, at: int, year: int, gap: int) -> float:
    lately = slice(at - gap - _RECENT + 1, at - gap + 1)
    before = rate[lately.start - year : lately.stop - year].mean()
    return float(rate[at - year] * rate[lately].mean() / before) if before > 0 else 0.0


METHODS: tuple[tuple[str, Callable[[Floats, int, int, int], float], bool], ...] = (
    ("the last three periods", _recent, False),
    ("the same period a year before", _year_before, True),
    ("the same period a year before, with this year's growth", _growing, True),
)


def contest(amounts: Floats, lengths: Floats, *, year: int, gap: int) -> Ahead:
    """Which simple forecast did best on the last periods, and what does it say of the next?

    `amounts` of the periods known, oldest first, `lengths` in days of those and the next; `gap` periods lie between
    the last one known and the next (1: none). A later method is taken only where its squared errors were smaller in
    more than chance's share of the tests (a t-test of pairs, one-sided at 10 %); a tie goes to the simpler.
    """
    from scipy import stats

    rate = amounts / lengths[:-1]
    begun = int(np.argmax(amounts > 0)) if (amounts > 0).any() else len(amounts)
    found = []
    for name, method, seasonal in METHODS:
        needs = begun + (year + gap + _RECENT if method is _growing else year if seasonal else gap + _RECENT - 1)
        tests = [at for at in range(needs, len(amounts)) if amounts[at] > 0][-_TESTS:]
        said = [method(rate, at, year, gap) * lengths[at] for at in tests]
        if len(tests) < _LEAST_TESTS or min(said) <= 0:
            continue
        value = float(method(rate, len(amounts) - 1 + gap, year, gap) * lengths[-1])
        errors = forecasts.errors_of([amounts[at] for at in tests], said, [0.0] * len(tests))
        found.append(Method(name=name, value=value, errors=errors))
    best = found[0] if found else None
    for other in found[1:]:
        assert best is not None
        both = min(len(best.errors.seen), len(other.errors.seen))
        gain = np.square(best.errors.seen[-both:]) - np.square(other.errors.seen[-both:])
        if both >= 2 and gain.mean() > 0 and stats.ttest_1samp(gain, 0, alternative="greater").pvalue < 0.1:
            best = other
    total = forecasts.band(best.value, 0.0, best.errors) if best else None
    place = len(amounts) - 1 + gap - year
    last = float(amounts[place]) if begun <= place < len(amounts) else None
    return Ahead(
        methods=tuple(found),
        chosen=best,
        total=total,
        last_year=last,
        latest=float(amounts[-1]) if len(amounts) else 0.0,
    )


def demand(shop: Shop, frame: pd.DataFrame, *, period_days: int = 0) -> Demand:
    """What does the next calendar month, or the next `period_days`, need, in all and of each product?

    `frame` is `Days.frame`. Products are dealt the forecast of all pieces by what each sold lately and, where that did
    better on the last period, by what it sold in the same period a year before; they add up to it.

    >>> demand(store, measure(store).frame).end > store.as_of
    True
    """
    spans = periods(shop.as_of, period_days)
    year = 12 if not period_days else round(365 / period_days)
    gap = 1 if period_days or shop.as_of.day == 1 else 2
    money = len(frame) > 0 and bool(frame["sales"].notna().all())
    known = [span for span in spans[:-1] if len(frame) and pd.Timestamp(span[0]) >= frame.index[0]]
    spans = [*known, spans[-1]]
    lengths = np.array([(end - start).days for start, end in spans], dtype=float)
    column = frame["sales" if money else "orders"]
    amounts = np.array([
        column[(column.index >= pd.Timestamp(start)) & (column.index < pd.Timestamp(end))].sum() for start, end in known
    ])  # fmt: skip
    sales = contest(np.maximum(amounts, 0.0), lengths, year=year, gap=gap)
    pieces, products, held, held_n = None, _nobody(), float("nan"), 0
    if known and shop.has("order_lines", "quantity"):
        table = shop.fetch(_largest(shop, spans), max_rows=_MOST_PRODUCTS * (_BACK + 1))
        grid = table.pivot(index="product_id", columns="period", values="pieces")
        grid = grid.reindex(columns=range(len(known))).fillna(0.0)
        pieces = contest(grid.to_numpy().sum(axis=0), lengths, year=year, gap=gap)
        if pieces.total is not None:
            products, held, held_n = _dealt(grid, lengths, pieces, year=year, gap=gap)
            products.insert(1, "name", names(shop, products["product"]))
    return Demand(start=spans[-1][0], end=spans[-1][1], unit=(shop.currency if money else "orders") or "amount",
                  sales=sales, pieces=pieces, products=products, held=held, held_n=held_n)  # fmt: skip


def _nobody() -> pd.DataFrame:
    return pd.DataFrame(columns=["product", "name", "forecast", "low", "high", "last_year", "recent"])


def _largest(shop: Shop, spans: Sequence[tuple[date, date]]) -> ir.Table:
    """`by_period` of the products sold most in the last year; all others together as ''."""
    rows = sold(shop)
    lately = rows.filter(rows["day"] >= ibis.literal(shop.as_of - timedelta(days=365)))
    top = lately.group_by("product_id").aggregate(_n=lately["pieces"].sum())
    top = top.order_by(ibis.desc("_n"), "product_id").limit(_MOST_PRODUCTS - 1)
    rows = rows.left_join(top, "product_id").drop("product_id_right")
    return by_period(rows.mutate(product_id=ibis.ifelse(rows["_n"].notnull(), rows["product_id"], "")), spans)


def names(shop: Shop, products: pd.Series) -> list[str]:
    """What products are called; their ids where nothing says."""
    if not shop.has("products", "name"):
        return ["other products" if not one else str(one) for one in products]
    table = shop.table("products").select("product_id", "name")
    known = shop.fetch(table.filter(table["product_id"].isin([one for one in products if one] or [""])))
    called = dict(zip(known["product_id"], known["name"], strict=True))
    return ["other products" if not one else str(called.get(one) or one) for one in products]


def _dealt(
    grid: pd.DataFrame, lengths: Floats, pieces: Ahead, *, year: int, gap: int
) -> tuple[pd.DataFrame, float, int]:
    """Products of the next period that add up to `pieces`, and the share of the last test's inside their range."""
    assert pieces.total is not None
    rate = grid.to_numpy() / lengths[:-1]
    size = rate.shape[1]

    def parts(at: int, weight: float) -> Floats:
        """Each product's part, by what it sold lately and a year before."""
        lately = rate[:, at - gap - _RECENT + 1 : at - gap + 1].mean(axis=1)
        before = rate[:, at - year] if at >= year else lately
        mixed = [one / one.sum() if one.sum() > 0 else np.full(len(one), 1 / len(one)) for one in (lately, before)]
        return np.asarray((1 - weight) * mixed[0] + weight * mixed[1])

    tests = list(range(max(gap + _RECENT - 1, size - 6), size))
    weights = (0.0, 0.5, 1.0) if size - len(tests) >= year else (0.0,)
    actual = {at: grid.to_numpy()[:, at] for at in tests}

    def errors(weight: float, among: Sequence[int]) -> tuple[Floats, Floats]:
        said = np.concatenate([parts(at, weight) * actual[at].sum() for at in among])
        return said, np.concatenate([actual[at] for at in among]) - said

    # The simplest first: another mix has to be better by a fiftieth.
    deviance = [float(np.mean(errors(weight, tests)[1] ** 2)) for weight in weights]
    weight = weights[0] if deviance[0] <= 1.02 * min(deviance) else weights[int(np.argmin(deviance))]
    value = parts(size - 1 + gap, weight) * pieces.total.value
    held, held_n = float("nan"), 0
    if len(tests) >= 2:
        said, _ = errors(weight, tests[-1:])
        ends = _ranges(said, *errors(weight, tests[:-1]), wide=0.0)
        inside = (ends[0] <= actual[tests[-1]]) & (actual[tests[-1]] <= ends[1])
        held, held_n = float(inside.mean()), len(inside)
    half = forecasts.half_width(0.0, pieces.chosen.errors) / 1.96 if pieces.chosen else 0.0
    low, high = _ranges(value, *errors(weight, tests), wide=half)
    place = size - 1 + gap - year
    frame = pd.DataFrame({
        "product": grid.index, "forecast": value, "low": low, "high": high,
        "last_year": grid.to_numpy()[:, place] if 0 <= place < size else np.nan,
        "recent": rate[:, -_RECENT:].mean(axis=1) * lengths[-1],
    })  # fmt: skip
    kept = frame[(frame["forecast"] > 0) | (frame["recent"] > 0)]
    return kept.sort_values("forecast", ascending=False, ignore_index=True), held, held_n


def _ranges(value: Floats, said: Floats, off: Floats, *, wide: float) -> tuple[Floats, Floats]:
    """Where counts of these means will lie: chance, and as products went their own ways before, and the total's error.

    The variance grows with the mean and its square; both parts are those of earlier misses.
    """
    fine = said > 0
    design = np.column_stack([said[fine], said[fine] ** 2]) / np.maximum(said[fine], 1.0)[:, None]
    parts, _ = optimize.nnls(design, off[fine] ** 2 / np.maximum(said[fine], 1.0)) if fine.any() else ((1.0, 0.0), 0)
    scatter = np.maximum(parts[0], 1.0) + (parts[1] + wide**2) * value
    ends = [forecasts.count_band(float(mean), scatter=float(by)) for mean, by in zip(value, scatter, strict=True)]
    low, high = np.array(ends).reshape(-1, 2).T
    return low, high


def predictions(found: Demand) -> list[Prediction]:
    """What is said of the next period, for a later run to grade."""
    rows = [("sales", "Net sales" if found.unit != "orders" else "Orders", found.unit, found.sales)]
    if found.pieces is not None:
        rows.append(("pieces", "Pieces sold", "pieces", found.pieces))
    return [
        Prediction(id=f"next_{name}", label=f"{label} in {found.called}", unit=unit, value=said.total.value,
                   start=found.start, end=found.end, low=said.total.low, high=said.total.high)
        for name, label, unit, said in rows if said.total is not None
    ]  # fmt: skip


def grade(shop: Shop, frame: pd.DataFrame, due: tuple[Due, ...]) -> list[Grade]:
    """What became of what earlier runs said of their next period."""
    found = []
    for one in due:
        said = one.prediction
        if said.end > shop.as_of or said.id not in ("next_sales", "next_pieces"):
            continue
        if said.id == "next_pieces":
            if not shop.has("order_lines", "quantity"):
                continue
            rows = sold(shop).filter(
                lambda t, s=said: (t["day"] >= ibis.literal(s.start)) & (t["day"] < ibis.literal(s.end))
            )
            actual = float(shop.fetch(rows.aggregate(n=rows["pieces"].sum().fill_null(0)))["n"].iloc[0])
        else:
            inside = (frame.index >= pd.Timestamp(said.start)) & (frame.index < pd.Timestamp(said.end))
            actual = float(frame.loc[inside, "orders" if said.unit == "orders" else "sales"].sum())
        found.append(Grade(due=one, actual=actual))
    return found


def part_demand(found: Demand, grades: Sequence[Grade] = (), *, shop: Shop) -> Part:
    """The finding: what the next period should bring and what to have in stock for it."""
    said = found.sales
    metrics, table = [_metric(found)], found.products
    tables = {"demand": table.round(4)}
    ahead = [f"{wording.upper(found.called)} should bring {amount(found)}."] if said.leads else []
    if table.empty or found.pieces is None or found.pieces.total is None or not found.pieces.leads:
        title = f"No forecast of products for {found.called}"
        why = "it needs six periods with quantities" if table.empty else "the last test missed by more than a quarter"
        return Part(title=title, sentence=f"{wording.upper(why)}.", metrics=metrics, tables=tables, grades=grades,
                    ahead=ahead, predictions=predictions(found), detail=True)  # fmt: skip
    whole = found.pieces.total
    shown = table.assign(known=table["last_year"].fillna(0.0))
    top = shown.iloc[0]
    count = wording.counted(len(table), "product")
    sums = float(top["forecast"]) < whole.value / 2
    held = f"{formats.share(found.held)} of products fell inside their range in the last test." if found.held_n else ""
    return Part(
        # What is sold by measure, as petrol is, counts in no pieces: its sum says nothing.
        title=f"{wording.upper(found.called)} needs about {_pieces(whole)} pieces, most of {top['name']}" if sums
        else f"{wording.upper(count)} have a forecast for {found.called}",
        sentence=f"{wording.upper(count)} add up to the forecast of all; each has its own range in the table.",
        chart=figures.bars(
            shown.head(8), label="name", value="forecast", low="low", high="high", form=formats.number,
            what=f"pieces in {found.called}",
            table=figures.tabulate(
                table, caption=f"Pieces in {found.called}",
                labels={"name": "Product", "forecast": "Expected", "low": "From", "high": "To",
                        "last_year": "Last year", "recent": "Lately"},
                formats=dict.fromkeys(("forecast", "low", "high", "last_year", "recent"), formats.number),
                file="tables/demand.csv", rows=30,
            ),
        ),
        metrics=metrics, tables=tables, grades=grades, ahead=ahead, predictions=predictions(found),
        certain=[wording.sentences(_tested(found), held)],
        actions=[
            Action(
                what=f"Have stock for {wording.counted(len(table), 'product')} in {found.called}", owner="purchasing",
                worth=f"about {_pieces(whole)} pieces" if sums else "", file="tables/demand.csv", count=len(table),
                by=wording.working_day(shop.as_of, _ORDER_DAYS),
                why="Expected pieces of each product, and the most that is likely: order up to that where running out "
                "costs more than keeping. The shop's data holds no stock, so what is there has to be taken off.",
            )
        ],
    )  # fmt: skip


def _metric(found: Demand) -> Metric:
    said, label = found.sales, f"Expected in {found.called}"
    total = said.total
    before = said.last_year if said.leads else None
    return Metric(
        id="forecast_next", label=label, value=total.value if total else None, unit=found.unit,
        low=total.low if total else None, high=total.high if total else None, headline=said.leads, spread=True,
        before=before, against="a year before" if before is not None else "", note="" if before else "no year before",
        definition=f"{'net sales' if found.unit != 'orders' else 'orders'} of the next period by the forecast that did "
        "best on the last twelve; 95 % range from its errors there",
    )  # fmt: skip


def _tested(found: Demand) -> str:
    chosen = found.sales.chosen
    if chosen is None:
        return ""
    worst = formats.share(max(abs(np.expm1(error)) for error in chosen.errors.seen))
    return (
        f"The forecast goes by {chosen.name}, and missed by up to {worst} in "
        f"{wording.counted(len(chosen.errors.seen), 'test')}."
    )


def amount(found: Demand) -> str:
    """The forecast as a headline has it: no more digits than its tile, which has what the range allows."""
    total, unit = found.sales.total, found.unit if found.unit != "amount" else ""
    if total is None:
        return formats.NOTHING
    if found.unit != "orders" and total.value >= 999_500:
        return f"about {wording.rounded_money(total.value, unit)}"
    said = formats.quantity(total.value, found.unit, low=total.low, high=total.high)
    return f"about {said} orders" if found.unit == "orders" else f"about {said}"


def _pieces(total: Total) -> str:
    return formats.quantity(total.value, "pieces", low=total.low, high=total.high)
