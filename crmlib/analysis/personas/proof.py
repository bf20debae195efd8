"""Do kinds differ in what was not used to tell them apart, on customers they were not learnt from?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.personas.cut import fit, measured, nearest, scores
from crmlib.analysis.personas.facts import LEAST_ORDERS, behaviour, later
from crmlib.analysis.personas.kinds import FITTED, LEAST, Personas, apart, named
from crmlib.findings import Part
from crmlib.stats.corrections import adjust

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

HELD_DAYS = 180
_WHAT = {"orders_later": f"Orders in the {HELD_DAYS} days after", "sales_later": f"Sales in the {HELD_DAYS} days after",
         "returned": "Sent something back", "unhappy": "Bad review, of those who wrote one", "age": "Age"}  # fmt: skip


def held_out(shop: Shop, found: Personas, *, seed: int = 0) -> pd.DataFrame:
    """Do kinds as they were half a year ago, learnt from one half of the customers, differ for the other half?

    A row a variable and kind: variable, kind (its name then), n, mean, p_value and q_value (of the variable, over all
    kinds; Kruskal and Wallis, corrected by Holm). Empty with too few customers.
    """
    columns = ["variable", "kind", "n", "mean", "p_value", "q_value"]
    back = timedelta(days=HELD_DAYS)
    at = replace(found.at, start=found.at.start - back, until=found.at.until - back)
    people = behaviour(shop, at)
    frame = shop.sample(people.filter(people["orders"] >= LEAST_ORDERS), rows=FITTED, key="customer_id", seed=seed)
    if found.model is None or len(frame) < 2 * LEAST:
        return pd.DataFrame(columns=columns)
    frame = frame.sort_values("customer_id", ignore_index=True)
    half = np.random.default_rng(seed).permutation(len(frame)) % 2 == 0
    scales = measured(frame[half], at.traits)
    if not scales:
        return pd.DataFrame(columns=columns)
    z = scores(frame, scales)
    model = fit(z[half], scales, kinds=found.model.kinds, seed=seed)
    names = named([apart(centre, [scale.trait for scale in scales]) for centre in model.centres])
    rest = frame[["customer_id"]][~half].assign(kind=nearest(z[~half], model))
    known = later(shop, at, end=found.at.until)
    known = shop.sample(known, rows=10 * FITTED, key="customer_id", seed=seed)
    rest = rest.merge(known, on="customer_id").assign(age=lambda t: at.until.year - t["born"].astype(float))
    made = []
    for variable in _WHAT:
        parts = {kind: part.dropna() for kind, part in rest.groupby("kind")[variable]}
        parts = {kind: part.astype(float) for kind, part in parts.items() if len(part) >= 5}
        if len(parts) > 1 and np.ptp(np.concatenate(list(parts.values()))) > 0:
            p = float(stats.kruskal(*parts.values()).pvalue)
            made += [(variable, names[kind], len(part), part.mean(), p) for kind, part in parts.items()]
    table = pd.DataFrame(made, columns=columns[:-1])
    firsts = table.drop_duplicates("variable").set_index("variable")["p_value"]
    return table.assign(q_value=table["variable"].map(dict(zip(firsts.index, adjust(firsts, method="holm"), strict=True))))


def part_held_out(table: pd.DataFrame, found: Personas) -> Part:
    """The finding: in which things the kinds differ that were not used to tell them apart."""
    if table.empty:
        return Part(certain=[f"Whether {found.word}s differ later could not be tested: too few customers so far."])
    clear = [_WHAT[name].lower() for name in table.loc[table["q_value"] < 0.05, "variable"].unique()]
    shown = table.assign(variable=table["variable"].map(_WHAT), q_value=[_p(q) for q in table["q_value"]])
    said = wording.listed(clear) if clear else "nothing else"
    return Part(
        title=f"Told apart by habits, {found.word}s differ in {said}", detail=True,
        sentence="Learnt from one half of customers as they were half a year ago, checked on the other half.",
        chart=figures.table(
            shown, caption="Means of what was not used to tell customers apart",
            labels={"variable": "What", "kind": wording.upper(found.word), "n": "Customers", "mean": "Mean",
                    "q_value": "Chance alone"},
            formats={"n": formats.people, "mean": lambda x: formats.number(x, digits=2)}, file="tables/held_out.csv",
        ),
        tables={"held_out": table},
        certain=[f"On customers and months not used, {found.word}s differ in {said}."],
    )  # fmt: skip


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else formats.number(value, digits=3)
