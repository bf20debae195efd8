"""Personas, in the order of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.outreach import contactable
from crmlib.analysis.personas.cut import DRAWS
from crmlib.analysis.personas.facts import FEW, LEAST, LEAST_ORDERS, YEAR
from crmlib.analysis.personas.kinds import Personas
from crmlib.analysis.personas.problems import Problems
from crmlib.findings import Action, Caveat, Findings, Metric, Part, compose

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

MAX_CUSTOMERS, _WITHIN_DAYS, _MOST_WORDS = 5_000_000, 7, 20
_BEFORE = "the year before"
_COLUMNS = ["kind", "name", "customers", "share", "before", "sales_year", "share_sales", "margin_year", "orders_each",
            "spend_per_order", "clear", "stability", "basket", "write", "leave_out"]  # fmt: skip


def page(found: Personas, parts: Sequence[Part], *, troubles: Problems) -> Findings:
    """Which few kinds of customers, and what goes wrong for each; `parts` in the order of the page.

    With fewer than 60 customers of three orders and more there is no page to conclude from: what there is is shown.
    """
    if found.verdict is None:
        need = f"{LEAST} customers with {wording.small(LEAST_ORDERS)} orders in two years are needed."
        few = f"Too few to conclude (n = {formats.number(found.enough)}): {need}"
        if found.enough >= LEAST:
            few = f"No habit tells {wording.counted(found.enough, 'customer')} apart: all differ by chance only."
        return compose("personas", few, [part_few(found)], status="too_few")
    return compose("personas", headline(found, troubles), [*parts, part_limits(found, troubles)])


def headline(found: Personas, troubles: Problems) -> str:
    """How many kinds, and what goes wrong for whom, or which brings most."""
    top, named, n = found.kinds.iloc[0], troubles.named, wording.upper(wording.small(len(found.kinds)))
    lead = f"{n} kinds of customers" if found.word == "kind" else f"{n} groups with blurred borders"
    if len(named):
        worst = named.iloc[0]
        often = wording.times(worst["ratio"], word="often")
        said = f"{lead}; ‘{worst['name']}’ customers have {worst['problem']} {often} per order."
        return said if len(said.split()) <= _MOST_WORDS else said.replace("’ customers have", "’ have", 1)
    who = f"‘{top['name']}’, {formats.share(top['share'])} of customers"
    return f"{lead}: {who}, {formats.share(top['share_sales'])} of sales." if found.money else f"{lead}: {who}."


def part_kinds(found: Personas) -> Part:
    """The finding: which kinds there are, what share of sales each brings, and whether they are kinds at all."""
    if found.verdict is None:
        return Part()
    verdict, top, share = found.verdict, found.kinds.iloc[0], formats.share
    shown = found.table.assign(
        label=[f"{name}: {share(part)} of customers" for name, part in found.table[["name", "share"]].to_numpy()]
    )
    real = f"Each kind is {share(verdict.gain)} closer together than one smooth crowd, cut as often, would be."
    if not verdict.structure:
        real = "Cuts, not kinds that exist: one smooth crowd can be cut as well."
    brings = f", {share(top['share_sales'])} of sales" if found.money else ""
    return Part(
        title=f"‘{top['name']}’: {share(top['share'])} of customers{brings}", sentence=real, glance=True,
        chart=figures.bars(
            shown, label="label", value="share_sales" if found.money else "share", form=share, table=_table(found),
            what=f"share of {'sales of the last 365 days' if found.money else 'customers'}",
        ),
        metrics=_metrics(found), tables={"personas": _published(found)},
        certain=[f"With customers drawn again, groups stay {share(verdict.stability.mean())} the same; groups of one "
                 f"smooth crowd stay {share(verdict.null)}."],
        method=[f"k-means on habits in units of their own scatter; gain over {DRAWS} draws of a Gaussian copula with "
                f"the same margins and rank correlations {share(verdict.gain, digits=1)}, p = {verdict.p_value:.2f}."],
    )  # fmt: skip


def _metrics(found: Personas) -> list[Metric]:
    verdict, top, few = found.verdict, found.kinds.iloc[0], found.table[found.table["kind"] == FEW]
    assert verdict is not None
    value, then = ("share_sales", "sales_before") if found.money else ("share", "before")
    before = found.table["before"].notna().any()
    clear = float((found.kinds["clear"] * found.kinds["customers"]).sum() / found.kinds["customers"].sum())

    def compared(amount: float) -> dict[str, Any]:
        return {"before": float(amount), "against": _BEFORE} if before else {"note": "a year ago is not known"}

    return [
        Metric(id="personas", label=f"{wording.upper(found.word)}s of customers", value=len(found.kinds), unit="groups",
               headline=True, n=found.enough, note="beside those of too few orders",
               definition="groups by habits, without those of too few orders"),
        Metric(id="top_share", label=f"‘{top['name']}’, of {'sales' if found.money else 'customers'}", unit="share",
               value=float(top[value]), headline=True, **compared(top[then]),
               definition="share of the group with most sales, a year before by the same rule"),
        Metric(id="clear", label="Clearly in one group", value=clear, unit="share", headline=True, n=found.enough,
               note="the others lie between two", definition="share whose chance of being in their group is above 80%"),
        Metric(id="too_few_orders", label="Too few orders to tell", value=float(few["share"].sum()), unit="share",
               headline=True, **compared(few["before"].sum()), definition="share of customers with too few orders"),
        Metric(id="structure", label="Kinds that exist", value=float(verdict.structure), unit="index",
               definition="1 where kinds hold together better than those of one Gaussian with the same margins"),
        Metric(id="stability", label="Same when drawn again", value=float(verdict.stability.mean()), unit="share",
               definition=f"mean Jaccard likeness over bootstraps; {formats.share(verdict.null)} for one smooth crowd"),
    ]  # fmt: skip


def _published(found: Personas) -> pd.DataFrame:
    rows = found.table.rename(columns={"year": "sales_year", "margin": "margin_year"})
    each = {"orders_each": rows["orders"] / rows["customers"], "spend_per_order": rows["sales"] / rows["orders"]}
    return rows.assign(**each).round(4).reindex(columns=_COLUMNS)


def _table(found: Personas) -> dict[str, Any]:
    rows = _published(found)
    what = "margin" if rows["margin_year"].notna().any() else "sales"
    rows["each"] = rows[f"{what}_year"] / rows["customers"]
    said = {"name": wording.upper(found.word), "customers": "Customers", "share_sales": "Of sales",
            "each": f"{wording.upper(what)} each, a year", "orders_each": "Orders in two years",
            "spend_per_order": "Per order", "clear": "Clearly in it"}  # fmt: skip
    forms = {"customers": formats.people, "orders_each": lambda x: formats.number(x, digits=1)}
    forms |= dict.fromkeys(("share_sales", "clear"), formats.share)
    forms |= dict.fromkeys(("each", "spend_per_order"), lambda x: formats.money(x, found.currency))
    return figures.tabulate(rows, caption="What each is like", labels=said, formats=forms, file="tables/personas.csv")


def part_cards(found: Personas) -> Part:
    """The finding: what each kind buys more than others, and what to write to it."""
    if found.verdict is None:
        return Part()
    return Part(
        title="What to write to each, and what to leave out",
        sentence="Ideas from what sets each apart, not tested.",
        chart=figures.table(
            found.table, caption="A message for each", file="tables/personas.csv",
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
        title="How far each lies from the middle", detail=True, sentence="0 is like most; 1 is far from most.",
        chart=figures.grid(long, row="habit", column="name", value="value", what="distance from the middle",
                           form=lambda x: formats.with_sign(formats.number(x, digits=1), x)),
    )  # fmt: skip


def part_lists(shop: Shop, found: Personas) -> Part:
    """Who of each kind ordered within a year and may be written to, a list a kind; the first action is on the page."""
    lists, actions = {}, []
    for place, row in enumerate(found.kinds.itertuples() if found.verdict is not None else (), 1):
        active = found.people["last_day"] >= ibis.literal(found.at.until - timedelta(days=YEAR))
        rows = found.people.filter((found.people["kind"] == row.kind) & active)
        frame = shop.fetch(rows.select("customer_id", "clear", "orders", sales_year="year"), max_rows=MAX_CUSTOMERS)
        frame = frame.sort_values(["sales_year", "customer_id"], ascending=[False, True]).assign(persona=row.name)
        reached = contactable(shop, frame, name=f"persona_{place}")
        lists[f"persona_{place}"] = reached.frame
        n = len(reached.write)
        what = f"Write to {wording.counted(n, f'‘{row.name}’ customer')}: {row.write}"
        actions += [
            Action(
                what=what, owner="marketing", by=wording.working_day(shop.as_of, _WITHIN_DAYS), count=n,
                file=f"lists/persona_{place}.csv", why=wording.sentences(f"Leave out {row.leave_out}.", reached.note),
            )
        ][: int(n > 0)]  # fmt: skip
    return Part(lists=lists, actions=actions[:1])


def part_limits(found: Personas, troubles: Problems) -> Part:
    """When not to trust the page."""
    said = [] if found.word == "kind" else ["Other cuts fit nearly as well: do not build teams or ranges on these."]
    if troubles.missing:
        needs = wording.listed(f"{name} (needs {what})" for name, what in troubles.missing.items())
        said.append(f"Not compared: {needs}.")
    if found.left_out:
        said.append(not_in_any(found.left_out))
    said.append("Whoever has a habit differs from others in more than that: nothing here proves a cause.")
    return Part(caveats=[Caveat(text=text) for text in said])


def not_in_any(left_out: Mapping[str, int]) -> str:
    """How many customers are in no group, and why."""
    order = wording.noun(left_out.get("dealer", 0), "orders", "order")
    why = {"never": "never ordered", "before": "last ordered over two years ago",
           "dealer": f"{order} as dealers do, far beyond others"}  # fmt: skip
    those = [f"{wording.counted(left_out[one], 'customer')} who {said}" for one, said in why.items() if one in left_out]
    return f"In no group: {wording.listed(those)}."


def part_few(found: Personas) -> Part:
    """What there is, where there is little."""
    said = {"name": "Who", "customers": "Customers", "orders": "Orders"}
    return Part(
        title="What there is", sentence="Customers who ordered in the last two years.",
        chart=figures.table(found.table, caption="Customers with an order", labels=said) if len(found.table) else None,
        metrics=[Metric(id="personas", label="Groups", value=0, unit="groups", definition="groups by habits")],
        tables={"personas": _published(found)},
    )  # fmt: skip
