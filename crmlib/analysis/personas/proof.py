"""Do kinds differ in what was not used to tell them apart, on customers they were not learnt from?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.personas.cut import ERROR, fit, measured, nearest, scores
from crmlib.analysis.personas.facts import LEAST, behaviour, later
from crmlib.analysis.personas.kinds import Personas, apart, learnt_from, named
from crmlib.findings import Part
from crmlib.formats import FEW_PEOPLE
from crmlib.shop.shop import Shop
from crmlib.stats.corrections import adjust

HELD_DAYS = 180
_WHAT = {"orders_later": f"Orders in the {HELD_DAYS} days after", "sales_later": f"Sales in the {HELD_DAYS} days after",
         "returned": "Orders sent back, a share", "unhappy": "Bad reviews, a share", "age": "Age"}  # fmt: skip


def held_out(shop: Shop, found: Personas, *, seed: int = 0) -> pd.DataFrame:
    """Do kinds as they were half a year ago, learnt from one half of the customers, differ for the other half?

    A row a variable and kind: variable, kind (its name then), n, mean, p_value and q_value (of the variable, over all
    kinds; Kruskal and Wallis, corrected by Holm). Empty with too few customers.
    """
    columns = ["variable", "kind", "n", "mean", "p_value"]
    back = timedelta(days=HELD_DAYS)
    at = replace(found.at, start=found.at.start - back, until=found.at.until - back)
    frame = learnt_from(shop, behaviour(shop, at), seed=seed) if found.model is not None else pd.DataFrame()
    half = np.random.default_rng(seed).permutation(len(frame)) % 2 == 0
    scales = measured(frame[half], at.traits) if len(frame) >= 2 * LEAST else ()
    if found.model is None or not scales:
        return pd.DataFrame(columns=[*columns, "q_value"])
    z = scores(frame, scales)
    model = fit(z[half], scales, kinds=found.model.kinds, seed=seed)
    names = named([apart(centre, scales) for centre in model.centres])
    rest = frame[["customer_id"]][~half].assign(kind=nearest(z[~half], model))
    known = later(shop, at, end=found.at.until)
    known = known.filter(known["customer_id"].isin(list(rest["customer_id"])))
    rest, made, tested = rest.merge(shop.fetch(known), on="customer_id"), [], {}
    for variable in _WHAT:
        parts = {kind: part.dropna().astype(float) for kind, part in rest.groupby("kind")[variable]}
        parts = {kind: part for kind, part in parts.items() if len(part) >= FEW_PEOPLE}
        if len(parts) > 1 and np.ptp(np.concatenate(list(parts.values()))) > 0:
            tested[variable] = float(stats.kruskal(*parts.values()).pvalue)
            made += [(variable, names[kind], len(part), part.mean(), tested[variable]) for kind, part in parts.items()]
    corrected = dict(zip(tested, adjust(list(tested.values()), method="holm"), strict=True))
    return pd.DataFrame(made, columns=columns).assign(q_value=lambda t: t["variable"].map(corrected))


def part_held_out(table: pd.DataFrame, found: Personas) -> Part:
    """The finding: in which things the kinds differ that were not used to tell them apart."""
    if table.empty:
        return Part(certain=["Whether groups differ later could not be tested: too few customers half a year ago."])
    clear = [wording.lower(_WHAT[name]) for name in table.loc[table["q_value"] < ERROR, "variable"].unique()]
    said = wording.listed(clear) if clear else "nothing else"
    shown = table.assign(variable=table["variable"].map(_WHAT))
    return Part(
        title=f"Told apart by habits, {found.word}s differ in {said}", detail=True,
        sentence="Learnt from one half of customers as they were half a year ago, checked on the other half.",
        chart=figures.table(
            shown, caption="Means of what was not used to tell customers apart", file="tables/held_out.csv",
            labels={"variable": "What", "kind": wording.upper(found.word), "n": "Customers", "mean": "Mean",
                    "q_value": "Chance alone"},
            formats={"n": formats.people, "mean": lambda x: formats.number(x, digits=2),
                     "q_value": lambda q: "below 0.001" if q < 0.001 else formats.number(q, digits=3)},
        ),
        tables={"held_out": table}, certain=[f"For customers not used to find them, {found.word}s differ in {said}."],
    )  # fmt: skip
