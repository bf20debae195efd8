"""Personas, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.outreach import contactable
from crmlib.analysis.personas.cut import DRAWS
from crmlib.analysis.personas.facts import DAYS, FEW, LEAST_ORDERS, YEAR
from crmlib.analysis.personas.kinds import LEAST, Personas
from crmlib.analysis.personas.problems import Problems
from crmlib.findings import Action, Caveat, Findings, Metric, Part, compose

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

MAX_CUSTOMERS = 5_000_000
_WITHIN_DAYS, _MOST_ACTIONS = 7, 3
_COLUMNS = ["kind", "name", "customers", "share", "before", "sales_year", "share_sales", "margin_year", "orders_each",
            "spend_per_order", "clear", "stability", "basket", "write", "leave_out"]  # fmt: skip


def page(found: Personas, parts: Sequence[Part], *, troubles: Problems) -> Findings:
    """Which few kinds of customers, and what goes wrong for each; `parts` in the order of the page.

    With fewer than 60 customers of three orders and more there is no page to conclude from: what there is is shown.
    """
    if found.verdict is None:
        few = f"Too few to conclude (n = {formats.number(found.enough)}): {LEAST} customers with {wording.small(LEAST_ORDERS)} orders are needed."
        return compose("personas", few, [part_few(found)], status="too_few")
    return compose("personas", headline(found, troubles), [*parts, part_limits(found, troubles)])


def headline(found: Personas, troubles: Problems) -> str:
    """Which kind brings most, and what goes wrong for whom."""
    top, named = found.kinds.iloc[0], troubles.named
    if len(named):
        worst = named.iloc[0]
        return f"‘{worst['name']}’ customers have {worst['problem']} {wording.times(worst['ratio'], word='often')} as others."
    n = wording.small(len(found.kinds))
    lead = f"There are {n} kinds of customers" if found.word == "kind" else f"No kinds of customers stand apart; of {n} cuts"
    if top["share_sales"] == top["share_sales"]:
        brings = f"‘{top['name']}’ brings {formats.share(top['share_sales'])} of sales"
        return f"{lead}{';' if found.word == 'kind' else ','} {brings}."
    return f"{lead}{';' if found.word == 'kind' else ','} ‘{top['name']}’ is the largest."


def part_kinds(found: Personas) -> Part:
    """The finding: which kinds there are, what share of sales each brings, and whether they are kinds at all."""
    if found.verdict is None:
        return Part()
    rows, verdict, top = found.table, found.verdict, found.kinds.iloc[0]
    money = bool(rows["year"].sum() > 0)
    shown = rows.assign(label=[f"{row['name']}: {formats.share(row['share'])} of customers" for _, row in rows.iterrows()])
    brings = f"{formats.share(top['share'])} of customers, {formats.share(top['share_sales'])} of sales"
    word, many = found.word, wording.small(len(found.kinds))
    real = (
        f"They hold together {formats.share(verdict.gain)} more closely than one smooth crowd would: kinds that are there."
        if verdict.structure else
        f"{wording.upper(many)} cuts, a way to divide customers, not kinds that exist: one smooth crowd looks the same."
    )  # fmt: skip
    return Part(
        title=f"‘{top['name']}’: {brings}" if money else f"‘{top['name']}’: {formats.share(top['share'])} of customers",
        sentence=real, glance=True,
        chart=figures.bars(
            shown, label="label", value="share_sales" if money else "share", form=formats.share,
            what="share of the last year's sales" if money else "share of customers",
            table=_table(found),
        ),
        metrics=_metrics(found, money), tables={"personas": _published(found)},
        certain=[
            f"Customers drawn again give the same {word}s to {formats.share(verdict.stability.mean())}; "
            f"of one smooth crowd to {formats.share(verdict.null)}.",
        ],
        method=[
            f"k-means on habits in units of their own scatter, chance taken out; gain over {DRAWS} draws of a Gaussian "
            f"copula with the same margins and rank correlations {formats.share(verdict.gain, digits=1)}, "
            f"p = {formats.number(verdict.p_value, digits=2)}; stability is Hennig's Jaccard likeness.",
        ],
    )  # fmt: skip


def _metrics(found: Personas, money: bool) -> list[Metric]:
    verdict, top = found.verdict, found.kinds.iloc[0]
    assert verdict is not None
    value, before = ("share_sales", "sales_before") if money else ("share", "before")
    known = before in top and top[before] == top[before]
    clear = float((found.kinds["clear"] * found.kinds["customers"]).sum() / found.kinds["customers"].sum())
    few = found.table.loc[found.table["kind"] == FEW]
    return [
        Metric(id="personas", label="Kinds of customers" if verdict.structure else "Cuts, not kinds", unit="groups",
               value=len(found.kinds), headline=True, n=found.enough, note="beside those with too few orders",
               definition="groups by habits, without those of too few orders"),
        Metric(id="top_share", label=f"{'Sales' if money else 'Customers'}: ‘{top['name']}’", value=float(top[value]),
               unit="share", headline=True, before=float(top[before]) if known else None,
               against="the year before" if known else "", note="the year before is not known",
               definition="share of the group with most sales, a year before by the same rule"),
        Metric(id="clear", label="Clearly in one group", value=clear, unit="share", headline=True, n=found.enough,
               note="the others lie between two", definition="share whose chance of being in their group is above 80%"),
        Metric(id="too_few_orders", label="Too few orders to tell", headline=True, unit="share",
               value=float(few["share"].sum()), note=f"fewer than {wording.small(LEAST_ORDERS)} in two years",
               before=float(few["before"].sum()) if known and "before" in few else None,
               against="the year before" if known else "", definition="share of customers with too few orders"),
        Metric(id="structure", label="Kinds that exist", value=float(verdict.structure), unit="index",
               definition="1 where kinds hold together better than those of one Gaussian with the same margins, else 0"),
        Metric(id="stability", label="Same group when drawn again", value=float(verdict.stability.mean()), unit="share",
               definition=f"mean Jaccard likeness over bootstraps; {formats.share(verdict.null)} for one smooth crowd"),
    ]  # fmt: skip


def _published(found: Personas) -> pd.DataFrame:
    rows = found.table
    return rows.assign(
        sales_year=rows["year"].round(2), margin_year=rows["margin"].round(2), orders_each=rows["orders"] / rows["customers"],
        spend_per_order=rows["sales"] / rows["orders"],
    ).reindex(columns=_COLUMNS)  # fmt: skip


def _table(found: Personas) -> dict:
    rows = _published(found)
    each = "margin_year" if rows["margin_year"].notna().any() else "sales_year"
    rows = rows.assign(each=rows[each] / rows["customers"])
    money = lambda x: formats.money(x, found.currency)  # noqa: E731
    labels = {"name": wording.upper(found.word), "customers": "Customers", "share_sales": "Of sales",
              "each": f"{'Margin' if each == 'margin_year' else 'Sales'} each, a year", "orders_each": "Orders in two years",
              "spend_per_order": "Per order", "clear": "Clearly in it", "basket": "More than others"}  # fmt: skip
    return figures.tabulate(
        rows, caption="What each is like", labels=labels, file="tables/personas.csv",
        formats={"customers": formats.people, "share_sales": formats.share, "each": money, "spend_per_order": money,
                 "orders_each": lambda x: formats.number(x, digits=1), "clear": formats.share},
    )  # fmt: skip


def part_cards(found: Personas) -> Part:
    """The finding: what each kind is like and buys, and what to write to it."""
    if found.verdict is None:
        return Part()
    rows = found.table
    return Part(
        title="What to write to each, and what to leave out", sentence="From what sets them apart; untested: send to half first.",
        chart=figures.table(
            rows, caption="A message for each", file="tables/personas.csv",
            labels={"name": wording.upper(found.word), "basket": "Buys more than others", "write": "Write",
                    "leave_out": "Leave out"},
        ),
    )  # fmt: skip


def part_profile(found: Personas) -> Part:
    """The habits of each kind beside those of all, folded."""
    if found.verdict is None:
        return Part()
    names = found.table.set_index("kind")["name"]
    long = found.centres.assign(name=[names[n] for n in found.centres.index]).melt("name", var_name="habit")
    return Part(
        title="How far each lies from the middle", sentence="In units of the spread of all customers; 0 is like most.",
        detail=True,
        chart=figures.grid(long, row="habit", column="name", value="value", what="distance from the middle",
                           form=lambda x: formats.with_sign(formats.number(x, digits=1), x)),
    )  # fmt: skip


def part_lists(shop: Shop, found: Personas) -> Part:
    """Who of each kind may be written to, with the message, as lists; those who ordered within a year."""
    lists, actions = {}, []
    for place, row in enumerate(found.kinds.itertuples() if found.verdict is not None else (), 1):
        rows = found.people.filter((found.people["kind"] == row.kind) & (found.people["year"] > 0))
        frame = shop.fetch(rows.select("customer_id", "clear", "orders", sales_year="year"), max_rows=MAX_CUSTOMERS)
        frame = frame.sort_values(["sales_year", "customer_id"], ascending=[False, True]).assign(persona=row.name)
        reached = contactable(shop, frame, name=f"persona_{place}")
        n = len(reached.write)
        lists[f"persona_{place}"] = reached.frame
        if n:
            actions.append(
                Action(
                    what=f"Write to {wording.counted(n, f'‘{row.name}’ customer')}: {row.write}", owner="marketing",
                    by=wording.working_day(shop.as_of, _WITHIN_DAYS), file=f"lists/persona_{place}.csv", count=n,
                    why=wording.sentences(f"Leave out {row.leave_out}.", reached.note),
                )
            )  # fmt: skip
    return Part(lists=lists, actions=actions[:1])


def part_limits(found: Personas, troubles: Problems) -> Part:
    """When not to trust the page."""
    said = [] if found.word == "kind" else ["Other cuts would fit nearly as well; do not build teams or ranges on these."]
    if troubles.missing:
        said.append(f"Not asked: {wording.listed(f'{name} (needs {what})' for name, what in troubles.missing.items())}.")
    said.append("Who has a habit differs from who does not: nothing here proves a cause.")
    return Part(caveats=[Caveat(text=text) for text in said[:4]])


def part_few(found: Personas) -> Part:
    """What there is, where there is little."""
    rows = found.table
    return Part(
        title="What there is", sentence="Customers who ordered in the last two years.",
        chart=figures.table(rows, caption="Customers with an order", labels={"name": "Who", "customers": "Customers", "orders": "Orders"},
                            formats={"customers": formats.number, "orders": formats.number}) if len(rows) else None,
        metrics=[Metric(id="personas", label="Kinds of customers", value=0, unit="groups", definition="groups by habits")],
        tables={"personas": _published(found), "problems": pd.DataFrame(columns=["kind", "problem"])},
    )  # fmt: skip
