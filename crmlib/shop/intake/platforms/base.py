"""What a platform's module says of each file it writes: how to know it, and which of our tables its columns make."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir

# A column of ours: theirs by name, the first of several that says something as 'Email | Billing Email', or a function
# of the rows with the columns without which it has nothing to say.
Spec = str | tuple[Callable[[ir.Table], ir.Value], *tuple[str, ...]]
Rows = Callable[[ir.Table], ir.Table]
Amount = Callable[[ir.Table], ir.Value]


@dataclass(frozen=True)
class Made:
    """One of our tables, as an export makes it.

    columns  ours -> theirs; beside the canonical ones `_account`, `_email`, `_phone` and `_name`, by which people are
             known, and `_label`, by which refunds find their order; others become columns of the shop's own
    rows     which rows make the table, where it is not one of theirs each
    rank     0: rows of this platform's own; 1: only for keys that no better file has; 2: only where no file is better
    """

    columns: Mapping[str, Spec]
    rows: Rows | None = None
    rank: int = 0


@dataclass(frozen=True)
class Identity:
    """An arithmetic of the platform's own: what is to be told, and the ways in which an order may come to it."""

    of: str
    amount: Amount
    ways: Mapping[str, Amount]
    where: Callable[[ir.Table], ir.BooleanValue] | None = None


@dataclass(frozen=True, kw_only=True)
class Export:
    """One kind of file of one platform.

    needs     columns by which it is known; the most specific export whose needs are all met is taken
    numbers   columns that are reckoned with: as amounts they are named '# Total'
    key       what names a record: in several files, those of the last file that has it count; empty: whole rows
    adjacent  records run over rows that follow one another with the same value here; `key` is on the first of them
    time      when a record began: two files that differ in it for one key have two records of one name
    many      a pattern of columns that repeat, such as 'line_item_1'
    or_key    names a record where `key` is empty
    unnamed   records without a key are named by their day and place in the file
    short_rows  its rows end where nothing follows, and quotes in them are words
    also      other columns of theirs that its functions use
    sums      what should add up, order by order, in the rows of `sums_of`
    called    columns that this file has in another language: as they are named here -> as it names them
    """

    platform: str
    what: str
    needs: Sequence[str]
    made: Mapping[str, Made]
    numbers: Sequence[str] = ()
    key: str = ""
    adjacent: str = ""
    time: str = ""
    many: str = ""
    sums: Sequence[Identity] = ()
    sums_of: str = "orders"
    also: Sequence[str] = ()
    unnamed: bool = False
    or_key: str = ""
    short_rows: bool = False
    called: Mapping[str, str] = field(default_factory=dict)

    @property
    def needed(self) -> frozenset[str]:
        """Columns by which it is known, in small letters as the file has them."""
        return frozenset(self.called.get(name, name).casefold() for name in self.needs)

    def names(self, header: Iterable[str]) -> dict[str, str]:
        """The columns of a header by their names here, in small letters; of two alike the first."""
        ours = {theirs.casefold(): name for name, theirs in self.called.items()}
        there = {name.strip().casefold(): name for name in reversed(list(header))}
        return {ours.get(name, name).casefold(): theirs for name, theirs in reversed(there.items())}

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of theirs that is named here, once."""
        specs = (name for made in self.made.values() for spec in made.columns.values() for name in names_of(spec))
        key = (self.key, self.adjacent, self.or_key)
        named = dict.fromkeys(name for name in (*self.needs, *self.numbers, *key, *self.also, *specs) if name)
        return tuple(named)


def names_of(spec: Spec) -> Iterator[str]:
    """Their columns that a column of ours is made from."""
    yield from re.split(r" \| ", spec) if isinstance(spec, str) else spec[1:]


def number(rows: ir.Table, *names: str) -> ir.DecimalValue:
    """The sum of columns of amounts, with 0 for what is empty."""
    amounts = [rows[f"# {name}"].fill_null(0) for name in names]
    total = amounts[0]
    for amount in amounts[1:]:
        total = total + amount
    return total


def numbered(rows: ir.Table) -> ir.Table:
    """Rows with `_no`, their place within their record, from 1."""
    place = ibis.row_number().over(group_by=rows["_key"], order_by=[rows["_file"], rows["_row"]]) + 1
    return rows.mutate(_no=place.cast("string"))


def one_per(rows: ir.Table, key: str = "_key", **more: ir.Value) -> ir.Table:
    """One row per record: of each column the first value that says something."""
    kept = [name for name in rows.columns if name != key and name not in more]
    firsts = {name: rows[name].first(order_by=[rows["_file"], rows["_row"]]) for name in kept}
    return rows.group_by(key).aggregate(**{**firsts, **more})


def with_refunds(rows: ir.Table, *, amount: ir.Value, at: ir.Value, refund: ir.BooleanValue) -> ir.Table:
    """One row per record whose refunds are rows of their own: `_total`, `_at_`, `_back` and `_back_at` beside the rest.

    A record that has refunds only, its sale being in a file that is not here, is a credit note of that day.
    """
    told = rows.mutate(_amount=amount, _when=at, _is_back=refund.fill_null(False))
    order, back = [told["_file"], told["_row"]], told["_is_back"]
    paid, given = told["_amount"].sum(where=~back), -told["_amount"].sum(where=back)
    sold = (~back).sum() > 0
    return one_per(
        told,
        _total=ibis.ifelse(sold, paid, -given).cast("decimal(18, 4)"),
        _at_=told["_when"].first(where=~back, order_by=order).coalesce(told["_when"].first(order_by=order)),
        _back=ibis.ifelse(sold, given, ibis.null("decimal(18, 4)")).cast("decimal(18, 4)"),
        _back_at=ibis.ifelse(sold, told["_when"].max(where=back), ibis.null("string")),
    )


def either(rows: ir.Table, *names: str) -> ir.Value:
    """The first of several columns that says something, of those that there are."""
    return ibis.coalesce(*(rows[name] for name in names if name in rows.columns), ibis.null("string"))


def joined_text(rows: ir.Table, *names: str, by: str = " ") -> ir.StringValue:
    """Several columns as one text, without those that are empty."""
    texts = [rows[name].fill_null("") for name in names if name in rows.columns]
    whole = texts[0]
    for text in texts[1:]:
        whole = whole + ibis.ifelse((whole != "") & (text != ""), by, "") + text
    return whole.strip().nullif("")


def spread(rows: ir.Table, amount: ir.Value, over: ir.Value) -> ir.DecimalValue:
    """An order's `amount` spread over its lines in proportion to `over`, to the cent and without a remainder."""
    order = {"group_by": [rows["_key"]], "order_by": [rows["_file"], rows["_row"]]}
    whole = over.sum().over(ibis.window(group_by=[rows["_key"]]))
    so_far = over.sum().over(ibis.cumulative_window(**order))
    before = so_far - over
    share = [(amount.cast("float64") * part.cast("float64") / whole.nullif(0).cast("float64")).round(2)
             for part in (so_far, before)]  # fmt: skip
    return (share[0] - share[1]).fill_null(0).cast("decimal(18, 4)")


def constant(value: str, *needs: str) -> Spec:
    """The same word in every row."""
    return (lambda _: ibis.literal(value), *needs)
