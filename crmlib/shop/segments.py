"""Sets of customers, combined by AND, OR and BUT NOT: `bought_often & unhappy - bought_since("2026-06-01")`.

`&` is AND, `|` is OR, `-` is BUT NOT; the words `and`, `or` and `and not` say the same. As in Python, `-` binds before
`&`, and `&` before `|`; brackets decide where it matters. A rule (see `RULES`) is a name, with arguments or without; a
column of `customers`, the shop's own too, is compared: `country == "DE"`. A missing value is in no comparison but `!=`
and `not in`, so that nobody drops out unseen. Who agreed to be written to is asked afterwards, by whoever makes a list.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import UsageError, nearest
from crmlib.shop.rules import RULES, Given, compare, everyone
from crmlib.shop.shop import Shop, resolve

FILE = "segments.toml"

Join = Literal["AND", "OR", "BUT NOT"]

_SIGNS: dict[type[ast.operator], Join] = {ast.BitAnd: "AND", ast.BitOr: "OR", ast.Sub: "BUT NOT"}
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.In: "in",
    ast.NotIn: "not in",
}  # fmt: skip
_MOST_NODES = 200
_MOST_CHARACTERS = 10_000


@dataclass(frozen=True)
class Segment:
    """A set of customers: a rule, or two sets joined by AND, OR or BUT NOT. Nothing is asked before `members`.

    >>> often, unhappy = parse("bought_often"), parse("unhappy")
    >>> str((often | unhappy) - parse("spent(500)"))
    '(bought_often OR unhappy) BUT NOT spent(500)'
    """

    rule: Given | None = None
    join: Join | None = None
    parts: tuple[Segment, ...] = ()

    def __and__(self, other: Segment) -> Segment:
        return Segment(join="AND", parts=(self, other))

    def __or__(self, other: Segment) -> Segment:
        return Segment(join="OR", parts=(self, other))

    def __sub__(self, other: Segment) -> Segment:
        return Segment(join="BUT NOT", parts=(self, other))

    def __str__(self) -> str:
        if self.rule is not None:
            return self.rule.text
        sides = [f"({part})" if part.rule is None and part.join != self.join else str(part) for part in self.parts]
        if self.join == "BUT NOT" and self.parts[1].rule is None:
            sides[1] = f"({self.parts[1]})"
        return f" {self.join} ".join(sides)

    @property
    def lasting(self) -> bool:
        """Is a customer in it whatever was bought or said since the first order?

        >>> parse('country == "DE"').lasting, parse('everyone - bought_last("90d")').lasting
        (True, False)
        """
        return all(node.rule.lasting for _, node in self.nodes() if node.rule is not None)

    def nodes(self, depth: int = 0) -> Iterator[tuple[int, Segment]]:
        """The whole and its parts, each with its depth, from the top."""
        yield depth, self
        for part in self.parts:
            yield from part.nodes(depth + 1)


def parse(text: str, *, names: Mapping[str, str] | None = None) -> Segment:
    """Which set of customers does this text mean? `names` are segments that may be spoken of by name.

    Nothing is run: only names, calls, comparisons and the signs are read. UsageError says what cannot be read.

    >>> str(parse('(bought("Tea") | bought("Coffee")) - bought("Cup")'))
    '(bought("Tea") OR bought("Coffee")) BUT NOT bought("Cup")'
    """
    return _Reader(names or {}).read(text)


def saved(shop: Shop) -> dict[str, str]:
    """The shop's own segments, by name, as segments.toml beside its tables has them: name = "expression".

    UsageError where the file cannot be read, or a name is one of our rules.

    >>> saved(shop)
    {}
    """
    path = resolve(shop.folder) / FILE
    if not path.is_file():
        return {}
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{FILE} cannot be read: {error}") from None
    for name, text in raw.items():
        if not isinstance(text, str) or not name.isidentifier():
            raise UsageError(
                f'{FILE}: write each segment as a_name = "bought_often - bought_last(\\"90d\\")", not {name!r}'
            )
        if name in RULES:
            raise UsageError(f"{FILE}: '{name}' is a rule already; choose another name")
    return raw


def segment(text: str, *, shop: Shop | None = None) -> Segment:
    """The segment that `text` says; with a shop, its own segments may be spoken of by name.

    >>> str(segment("bought_often - bought_last('90d')", shop=shop))
    "bought_often BUT NOT bought_last('90d')"
    """
    return parse(text, names=saved(shop) if shop else None)


def members(shop: Shop, who: Segment) -> ir.Table:
    """Who is in a segment? Lazily: customer_id, each once.

    >>> sorted(members(shop, parse("everyone")).columns)
    ['customer_id']
    """
    table, columns = _memberships(shop, who)
    return table.filter(_holds(who, table, columns)).select("customer_id")


def reasons(shop: Shop, who: Segment) -> ir.Table:
    """Which rules does each member meet? Lazily: customer_id, and a true or false column for each rule, by its text.

    >>> list(reasons(shop, parse("everyone & bought")).columns)
    ['customer_id', 'everyone', 'bought']
    """
    table, columns = _memberships(shop, who)
    found = table.filter(_holds(who, table, columns))
    return found.select("customer_id", **{rule.text: found[column] for rule, column in columns.items()})


def lost(shop: Shop, who: Segment) -> ir.Table:
    """Whom does each node take off its first side, and why? Lazily: customer_id, rule (the node), why; a row a node.

    >>> shop.fetch(lost(shop, parse("everyone - bought")))["why"].unique().tolist()
    ['in bought']
    """
    table, columns = _memberships(shop, who)
    rows = [table.limit(0).select("customer_id", rule=ibis.literal(""), why=ibis.literal(""))]
    for _, node in who.nodes():
        if node.join in ("AND", "BUT NOT"):
            off = table.filter(_holds(node.parts[0], table, columns) & ~_holds(node, table, columns))
            why = f"{'not in' if node.join == 'AND' else 'in'} {node.parts[1]}"
            rows.append(off.select("customer_id", rule=ibis.literal(str(node)), why=ibis.literal(why)))
    return ibis.union(*rows)


def sizes(shop: Shop, who: Segment) -> pd.DataFrame:
    """How many people are at each node, and how many does it lose? One row a node, from the top.

    Columns depth, rule, people, and left_out: those of the first side whom AND and BUT NOT take off.

    >>> list(sizes(shop, parse("everyone & bought"))["people"])  # doctest: +SKIP
    [4, 5, 4]
    """
    table, columns = _memberships(shop, who)
    nodes = list(who.nodes())
    flags = {
        f"n{i}": _holds(node, table, columns).cast("int64").sum().fill_null(0) for i, (_, node) in enumerate(nodes)
    }
    counted = shop.fetch(table.aggregate(**flags)).iloc[0]
    people = {id(node): int(counted[f"n{i}"]) for i, (_, node) in enumerate(nodes)}
    rows = []
    for depth, node in nodes:
        before = [people[id(part)] for part in node.parts]
        left = before[0] - people[id(node)] if node.join in ("AND", "BUT NOT") else 0
        rows.append((depth, str(node), people[id(node)], left))
    return pd.DataFrame(rows, columns=["depth", "rule", "people", "left_out"])


def only(shop: Shop, who: Segment) -> Shop:
    """The same shop with the rows of a segment's customers alone; guests are out. `audits` count the whole.

    >>> only(shop, parse('country == "DE"')).segment
    'country == "DE"'
    """
    ids = shop.keep(members(shop, who))
    tables = dict(shop._tables)
    for name, table in tables.items():
        if name in ("assignments", "outcomes"):
            tables[name] = table.semi_join(ids, table["unit_id"] == ids["customer_id"])
        elif "customer_id" in table.columns:
            tables[name] = table.semi_join(ids, "customer_id")
    for name in ("order_lines", "shipments"):
        if name in tables and "orders" in tables:
            tables[name] = tables[name].semi_join(tables["orders"], "order_id")
    kept = {name: shop.keep(table) if table is not shop._tables[name] else table for name, table in tables.items()}
    return replace(shop, _tables=kept, segment=str(who))


def _memberships(shop: Shop, *whole: Segment) -> tuple[ir.Table, dict[Given, str]]:
    """One row a customer, a true or false column a rule. The same rule is asked once."""
    rules = dict.fromkeys(node.rule for who in whole for _, node in who.nodes() if node.rule is not None)
    columns = {rule: f"rule_{i}" for i, rule in enumerate(rules)}
    table = everyone(shop)
    for rule, column in columns.items():
        found = rule.ask(shop).select(_id="customer_id").distinct().mutate(_in=ibis.literal(True))
        joined = table.left_join(found, table["customer_id"] == found["_id"])
        table = joined.select(*table.columns, **{column: joined["_in"].fill_null(False)})
    return shop.keep(table), columns


def _holds(who: Segment, table: ir.Table, columns: Mapping[Given, str]) -> ir.BooleanValue:
    if who.rule is not None:
        return table[columns[who.rule]]
    first, *rest = [_holds(part, table, columns) for part in who.parts]
    for side in rest:
        first = first & side if who.join == "AND" else first | side if who.join == "OR" else first & ~side
    return first


class _Reader:
    """From text to a segment, by Python's own grammar and an allow-list."""

    def __init__(self, names: Mapping[str, str], within: tuple[str, ...] = ()) -> None:
        self.names, self.within, self.nodes, self.text = names, within, 0, ""

    def read(self, text: str) -> Segment:
        shown = text if len(text) <= 80 else text[:77] + "…"
        if len(text) > _MOST_CHARACTERS:
            raise UsageError(f"a segment may have {_MOST_CHARACTERS:,} characters; this has {len(text):,}")
        self.text = " ".join(text.split())
        try:
            tree = ast.parse(self.text, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise UsageError(
                f"the segment '{shown}' cannot be read; write rules joined by & (AND), | (OR) and - (BUT NOT), such as "
                'bought_often - bought_last("90d")'
            ) from None
        try:
            return self.node(tree.body)
        except RecursionError:
            raise UsageError(f"the segment '{shown}' is nested too deeply; name its parts in {FILE}") from None

    def node(self, node: ast.expr) -> Segment:
        self.nodes += 1
        if self.nodes > _MOST_NODES:
            raise UsageError(f"a segment may have {_MOST_NODES} parts; name parts of it in {FILE} and join those")
        if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
            return Segment(join=_SIGNS[type(node.op)], parts=(self.node(node.left), self.node(node.right)))
        if isinstance(node, ast.BoolOp):
            return self.words(node)
        if isinstance(node, ast.Compare):
            return Segment(rule=self.comparison(node))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return Segment(rule=self.rule(node.func.id, node))
        if isinstance(node, ast.Name):
            return self.name(node.id)
        raise UsageError(f"'{self.said(node)}' is no rule; in brackets, comparisons can be joined: {_HOW}")

    def words(self, node: ast.BoolOp) -> Segment:
        """`a and not b` is a BUT NOT; a `not` without something before it has no set to take from."""
        found: Segment | None = None
        for value in node.values:
            negative = isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)
            side = self.node(value.operand if isinstance(value, ast.UnaryOp) and negative else value)
            if negative and (found is None or isinstance(node.op, ast.Or)):
                raise UsageError(
                    f"'{self.said(value)}' stands alone; write 'everyone - …' or '… and {self.said(value)}'"
                )
            if found is None:
                found = side
            elif negative:
                found = found - side
            else:
                found = found | side if isinstance(node.op, ast.Or) else found & side
        assert found is not None
        return found

    def name(self, name: str) -> Segment:
        if name in self.names:
            if name in self.within:
                raise UsageError(f"{FILE}: {' → '.join((*self.within, name))} goes round in a circle")
            inner = _Reader(self.names, (*self.within, name))
            inner.nodes = self.nodes
            found = inner.read(self.names[name])
            self.nodes = inner.nodes
            return found
        if name in RULES:
            return Segment(rule=self.rule(name, None))
        known = [*RULES, *self.names]
        raise UsageError(
            f"no rule or segment is called '{name}'; {nearest(name, known)} (a column is compared: {name} == …)"
        )

    def rule(self, name: str, call: ast.Call | None) -> Given:
        if name not in RULES:
            raise UsageError(f"no rule is called '{name}'; {nearest(name, RULES)}")
        args = tuple(self.value(arg) for arg in call.args) if call else ()
        said = {str(word.arg): self.value(word.value) for word in call.keywords} if call else {}
        return RULES[name].given(args, said, self.said(call) if call else name)

    def comparison(self, node: ast.Compare) -> Given:
        sign = _COMPARISONS.get(type(node.ops[0]))
        if len(node.ops) > 1 or sign is None or not isinstance(node.left, ast.Name):
            raise UsageError(f"'{self.said(node)}' is no comparison of a column with a value; {_HOW}")
        return compare(node.left.id, sign, self.value(node.comparators[0]), self.said(node))

    def said(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.text, node) or ast.unparse(node)

    def value(self, node: ast.expr) -> Any:
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, RecursionError):
            raise UsageError(f"'{self.said(node)}' is no value; texts stand in quotes. {_HOW}") from None
        values = value if isinstance(value, list | tuple) else (value,)
        if not all(isinstance(one, str | int | float | bool) for one in values):
            raise UsageError(f"'{self.said(node)}' is no text, number, yes or no")
        return tuple(value) if isinstance(value, list) else value


_HOW = '(country == "DE") & unhappy'
