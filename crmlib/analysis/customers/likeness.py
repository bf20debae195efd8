"""What do the best have in common, and who is like them?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.customers.facts import MAX_CUSTOMERS, Profiles
from crmlib.analysis.customers.rfm import BEST, Cuts, kinds
from crmlib.analysis.outreach import contactable
from crmlib.errors import NotEnoughData
from crmlib.findings import Action, Part
from crmlib.shop import segments
from crmlib.shop.facts import customer_traits
from crmlib.shop.facts.gaps import since
from crmlib.shop.shop import Shop
from crmlib.stats import compare
from crmlib.stats.corrections import adjust
from crmlib.stats.logistic import chance, fit_logistic

_LEAST_BEST = 30
_LEAST_CELL = 5
_MOST_VALUES = 30
_DID = {
    "country": "live in", "region": "live in", "gender": "are", "acquisition_channel": "came from",
    "first_product": "first bought", "first_channel": "first ordered through", "first_coupon": "first ordered",
}  # fmt: skip


def traits(shop: Shop) -> pd.DataFrame:
    """What is known of each customer besides purchases: customer_id, and a column for each trait the shop has.

    Country, region, gender and where they came from, as the shop has them; of the first order its channel, whether it
    had a coupon, and the category of its first product by id. Rare values are 'other'.

    >>> "first_channel" in traits(shop)
    True
    """
    frame = shop.fetch(customer_traits(shop), max_rows=MAX_CUSTOMERS)
    for column in frame.columns.drop("customer_id"):
        values = frame[column].fillna("").replace("", "unknown")
        often = values.value_counts().head(_MOST_VALUES).index
        frame[column] = values.where(values.isin(often), "other")
    return frame


def common(people: pd.DataFrame, chosen: pd.Series) -> pd.DataFrame:
    """Which traits are more frequent among the `chosen` than among the rest? One row a trait and value.

    Columns trait, value, chosen, share, others (share among the rest), ratio, low, high, p_value, q_value. Score test
    and interval of Miettinen and Nurminen, corrected over all rows by Benjamini and Hochberg; values held by fewer
    than five of the chosen are left out.
    """
    inside = chosen.to_numpy(bool)
    n, rest = int(inside.sum()), int((~inside).sum())
    if n < _LEAST_BEST or rest < _LEAST_BEST:
        raise NotEnoughData(f"a comparison needs {_LEAST_BEST} customers on both sides; there are {n} and {rest}")
    rows = []
    for trait in people.columns.drop("customer_id"):
        counted = pd.crosstab(people[trait], inside).reindex(columns=[False, True], fill_value=0)
        for value, (others, best) in counted.iterrows():
            if best < _LEAST_CELL or value in ("unknown", "other") or others + best == n + rest:
                continue
            low, high = compare.ratio_interval(int(best), n, int(others), rest)
            p = compare.score_test(int(best), n, int(others), rest)
            ratio = (best / n) / (others / rest) if others else np.nan
            rows.append((trait, value, int(best), best / n, others / rest, ratio, low, high, p))
    columns = ["trait", "value", "chosen", "share", "others", "ratio", "low", "high", "p_value"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["q_value"] = adjust(frame["p_value"], method="fdr_bh") if len(frame) else pd.Series(dtype=float)
    return frame.sort_values(["q_value", "p_value"], ignore_index=True)


def part_common(today: Profiles, at: Cuts, *, shop: Shop) -> Part:
    """The finding: what the best have in common that the rest have less of; nothing where they are too few."""
    try:
        known = traits(shop).set_index("customer_id")
        if since(shop)[0]:  # what looks like a first order may be a later one
            known = known.drop(columns=[name for name in known if str(name).startswith("first_")])
        people = known.reindex(today.frame["customer_id"]).fillna("unknown").reset_index()
        found = common(people, kinds(today.frame, at) == BEST)
    except NotEnoughData:
        return Part()
    if found.empty:
        return Part()
    clear = found[(found["q_value"] < 0.05) & (found["ratio"] > 1) & np.isfinite(found["low"])]
    if len(clear) and clear["chosen"].max() < _LEAST_BEST:
        return Part(tables={"common": found})
    clear = clear[clear["chosen"] >= _LEAST_BEST].sort_values("low", ascending=False).head(8)
    if clear.empty:
        return Part(
            title="The best come from everywhere",
            sentence="Nothing known of them, from country to first order, sets them apart beyond chance.",
            chart=figures.table(
                found.head(8), caption="Traits of the best beside the rest",
                labels={"value": "Trait", "share": "Of the best", "others": "Of the rest"},
                formats={"share": formats.share, "others": formats.share}, file="tables/common.csv",
            ),
            tables={"common": found}, detail=True,
        )  # fmt: skip
    named = clear.assign(
        name=[f"{_DID[str(row.trait)]} {str(row.value).replace('_', ' ')}" for row in clear.itertuples()]
    )
    top = named.iloc[0]
    return Part(
        title=f"More of the best {top['name']}",
        sentence=f"{formats.share(top['share'])} of the best, {formats.share(top['others'])} of the rest: a sign to "
        "look for, not proof that it made them loyal.",
        chart=figures.dots(
            named, label="name", value="ratio", low="low", high="high", reference=1.0, form=formats.multiple,
            what="times as frequent as among the rest",
            table=figures.tabulate(
                named, caption="Traits of the best beside the rest",
                labels={"name": "Trait", "share": "Of the best", "others": "Of the rest", "ratio": "Times"},
                formats={"share": formats.share, "others": formats.share, "ratio": formats.multiple},
                file="tables/common.csv",
            ),
        ),
        tables={"common": found},
    )  # fmt: skip


def lookalikes(people: pd.DataFrame, profiles: Profiles, inside: pd.Series, *, most: int = 500) -> pd.DataFrame:
    """Who is not in a segment and most like those who are? customer_id and likeness (0 to 1), the most alike first.

    A logistic regression with a ridge on traits and purchases. NotEnoughData below 30 on either side.
    """
    y = inside.to_numpy(float)
    if min(y.sum(), len(y) - y.sum()) < _LEAST_BEST:
        raise NotEnoughData(
            f"lookalikes need {_LEAST_BEST} customers in the segment and out of it; in it: {int(y.sum())}"
        )
    x = _design(people, profiles)
    likeness = chance(fit_logistic(x, y), x)
    alike = pd.DataFrame({"customer_id": profiles.frame["customer_id"], "likeness": likeness})
    return alike[y == 0].nlargest(most, "likeness").reset_index(drop=True)


def part_lookalikes(today: Profiles, like: str, *, shop: Shop) -> Part:
    """A segment by two traits, folded, and a list of those most like it; nothing where no segment is asked for."""
    if not like:
        return Part()
    who = segments.segment(like, shop=shop)
    ids = set(shop.fetch(segments.members(shop, who), max_rows=MAX_CUSTOMERS)["customer_id"])
    people = traits(shop)
    alike = lookalikes(people, today, today.frame["customer_id"].isin(ids))
    found = contactable(shop, alike, name="lookalikes")
    n = len(found.write)
    action = Action(
        what=f"Show them what ‘{who}’ like", owner="marketing", file="lists/lookalikes.csv", count=n, why=found.note
    )
    carried: dict[str, Any] = {"lists": {"lookalikes": found.frame}, "actions": [action] if n else []}
    people = people[people["customer_id"].isin(ids)]
    two = [name for name in people.columns.drop("customer_id") if people[name].nunique() > 1][:2]
    if len(two) < 2:
        return Part(**carried)
    cells = people.groupby(two).size().rename("customers").reset_index()
    # Whoever is one of few is not told apart, by the number or by the ink.
    cells["customers"] = cells["customers"].where(cells["customers"] >= _LEAST_CELL, 1)
    down, across = (name.replace("_", " ") for name in two)
    return Part(
        title=f"‘{who}’ by {down} and {across}", detail=True, sentence="Fewer than five are not counted out.",
        chart=figures.grid(cells, row=two[0], column=two[1], value="customers", what="customers", form=formats.people,
                           down=wording.upper(down), across=wording.upper(across)), **carried,
    )  # fmt: skip


def _design(people: pd.DataFrame, profiles: Profiles) -> np.ndarray:
    frame = profiles.frame
    numbers = np.column_stack(
        [
            np.log(frame["purchases"]),
            np.log1p(frame["silent_days"]),
            np.log1p(frame["sales"].clip(lower=0)),
            np.log1p(frame["known_days"]),
        ]
    )
    numbers = (numbers - numbers.mean(axis=0)) / np.maximum(numbers.std(axis=0), 1e-9)
    known = people.set_index("customer_id").reindex(frame["customer_id"]).fillna("unknown")
    flags = pd.get_dummies(known).to_numpy(float) if len(known.columns) else np.empty((len(frame), 0))
    return np.column_stack([numbers, flags])
