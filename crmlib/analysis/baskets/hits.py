"""Do suggestions hit more often than bestsellers would, on baskets that came later? And who owns one side of a pair only?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats as distributions

from crmlib.analysis.baskets import clusters
from crmlib.analysis.baskets.facts import Baskets, Ints
from crmlib.analysis.baskets.strata import LARGE
from crmlib.analysis.baskets.validation import Validation, score
from crmlib.analysis.outreach import lots

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

Flags = NDArray[np.bool_]

BESIDE, TO_CUSTOMER = "beside a product", "to a customer"
SUGGESTION, BESTSELLER = "suggestion", "bestseller"
BEATEN, TIE, BETTER = "beaten", "tie", "better"
ALL, FEW_ITEMS, MANY_ITEMS = "all", f"under {LARGE} items", f"{LARGE} items or more"
LEAST_TRIALS = 100
OWNERS = "owns_one_side"  # lists/owns_one_side.csv, by whose name its lots are drawn


@dataclass(frozen=True)
class HitRates:
    """How often what was suggested was bought, on baskets after the cut. `why` says why nothing was compared, else ''.

    rates        one row a place ('beside a product', 'to a customer'), size of baskets ('all'; beside a product also those
                 under 11 items and the others) and method ('suggestion', 'bestseller'): place, size, method, trials, customers,
                 hits, rate, low, high
    differences  one row a place and size: place, size, difference (suggestion − bestseller, same trials), low, high, se,
                 verdict (of the suggestions: better, beaten, or tie, where the interval holds 0)
    days         of the later part
    """

    rates: pd.DataFrame
    differences: pd.DataFrame
    days: int
    why: str = ""

    def rate(self, place: str, method: str, *, size: str = ALL) -> pd.Series[float] | None:
        """The row of this place and method, None where it was not measured."""
        rows = self.rates[
            (self.rates["place"] == place) & (self.rates["method"] == method) & (self.rates["size"] == size)
        ]
        return rows.iloc[0] if len(rows) else None

    def difference(self, place: str, *, size: str = ALL) -> pd.Series[float] | None:
        """The row of this place, None where it was not measured."""
        rows = self.differences[(self.differences["place"] == place) & (self.differences["size"] == size)]
        return rows.iloc[0] if len(rows) else None

    @property
    def turned(self) -> bool:
        """Does it turn round with the size of the basket: the pair likelier in small ones, the bestseller in large, or the reverse?"""
        said = [self.difference(BESIDE, size=size) for size in (FEW_ITEMS, MANY_ITEMS)]
        return {row["verdict"] for row in said if row is not None} == {BETTER, BEATEN}

    @property
    def opposite(self) -> str:
        """Where it turns round: the size of basket that says the opposite of all baskets together; '' where these say neither."""
        overall = self.difference(BESIDE)
        if not self.turned or overall is None or overall["verdict"] == TIE:
            return ""
        small = self.difference(BESIDE, size=FEW_ITEMS)
        return MANY_ITEMS if small is not None and small["verdict"] == overall["verdict"] else FEW_ITEMS

    def __repr__(self) -> str:
        if self.why:
            return f"HitRates({self.why})"
        return "HitRates(" + ", ".join(f"{r.place}, {r.size}: {r.verdict}" for r in self.differences.itertuples()) + ")"


def hit_rates(baskets: Baskets, validation: Validation) -> HitRates:
    """Suggestions found before the cut, tried on the baskets after it, beside the bestsellers of the time before.

    Beside a product: every later basket with a product that has a suggestion is a trial, a hit if it holds what would have
    been suggested (a share of one where it has several such products). To a customer: everybody who had bought one side of a pair and never the other is a trial, a hit if
    he buys the other after the cut; the bestseller is then the most popular item he never bought. The intervals take
    customers as independent, and the difference is paired: both methods are tried on the same. Large baskets hold the
    bestsellers anyway, so beside a product small and large ones are told apart too. Nothing was shown to anybody.
    """
    columns = ["place", "size", "method", "trials", "customers", "hits", "rate", "low", "high"]
    none = HitRates(rates=pd.DataFrame(columns=columns), differences=pd.DataFrame(columns=["place", "size"]), days=0)
    if validation.rules is None:
        return HitRates(rates=none.rates, differences=none.differences, days=0, why=validation.why)
    earlier, later = baskets.earlier(), baskets.later()
    days = int((later.days.max() - later.days.min()).days) + 1
    pairs = score(validation.rules, earlier, validation)
    if pairs.empty:
        why = "The earlier baskets gave no pair to suggest."
        return HitRates(rates=none.rates, differences=none.differences, days=days, why=why)
    best = np.argsort(-_totals(earlier), kind="stable")
    rates, differences = [], []
    beside = _beside(first_choice(pairs, baskets.ids), later, best=best)
    for place, size, trials in (
        (BESIDE, ALL, _by_customer(beside)),
        (BESIDE, FEW_ITEMS, _by_customer(beside[beside["size"] < LARGE])),
        (BESIDE, MANY_ITEMS, _by_customer(beside[beside["size"] >= LARGE])),
        (TO_CUSTOMER, ALL, _to_customers(pairs, earlier, later, best=best)),
    ):
        if trials["trials"].sum() < LEAST_TRIALS:
            continue
        for method in (SUGGESTION, BESTSELLER):
            rate, se, freedom = _ratio(trials[method], trials["trials"])
            reach = float(clusters.reach(np.array(se), np.array(freedom)))
            rates.append((place, size, method, int(trials["trials"].sum()), len(trials), float(trials[method].sum()), rate,
                          max(rate - reach, 0.0), rate + reach))  # fmt: skip
        gap, se, freedom = _ratio(trials[SUGGESTION] - trials[BESTSELLER], trials["trials"])
        reach = float(clusters.reach(np.array(se), np.array(freedom)))
        verdict = BETTER if gap - reach > 0 else BEATEN if gap + reach < 0 else TIE
        differences.append((place, size, gap, gap - reach, gap + reach, se, verdict))
    if not rates:
        why = f"Fewer than {LEAST_TRIALS} later baskets held a product with a suggestion."
        return HitRates(rates=none.rates, differences=none.differences, days=days, why=why)
    return HitRates(
        rates=pd.DataFrame(rates, columns=columns),
        differences=pd.DataFrame(differences, columns=["place", "size", "difference", "low", "high", "se", "verdict"]),
        days=days,
    )


def first_choice(pairs: pd.DataFrame, ids: tuple[str, ...]) -> dict[int, int]:
    """What to show beside each item: of its suggestions the one most often taken with it. Positions."""
    place = {item: position for position, item in enumerate(ids)}
    ordered = pairs.sort_values("share", ascending=False, kind="stable").drop_duplicates("item_id")
    return {place[a]: place[b] for a, b in zip(ordered["item_id"], ordered["suggest_id"], strict=True)}


def beside_rate(choice: dict[int, int], baskets: Baskets) -> tuple[float, int]:
    """How often do baskets with the first item of a choice hold the second, and how many trials were there?"""
    trials = _beside(choice, baskets, best=np.arange(len(baskets.ids)))
    count = int(trials["trials"].sum())
    return (float(trials[SUGGESTION].sum()) / count if count else float("nan")), count


def owns_not(suggestions: pd.DataFrame, baskets: Baskets, *, shop: Shop) -> pd.DataFrame:
    """Who bought one side of a pair and never the other? One row a customer, the pair most often taken together first.

    Columns customer_id, lot ('write' or 'leave alone', by the shop's key: what writing adds is told by the half left
    alone), owns_id, owns, last_bought (day), suggest_id, suggest, share (of baskets with the one that hold
    the other), bestseller_id, bestseller (the most popular item this customer never bought). Guests are not in it.
    """
    columns = ["customer_id", "lot", "owns_id", "owns", "last_bought", "suggest_id", "suggest", "share", "bestseller_id",
               "bestseller"]  # fmt: skip
    if suggestions.empty or not baskets.customer_ids:
        return pd.DataFrame(columns=columns)
    owned = _owned(baskets)
    chosen, shown, wanted = _choose(suggestions, baskets.ids, owned)
    best = _best_not_owned(owned[chosen], np.argsort(-_totals(baskets), kind="stable"))
    share = dict(zip(suggestions["pair"], suggestions["share"], strict=True))
    bought = _last_bought(baskets, chosen, shown)
    table = pd.DataFrame(
        {
            "customer_id": [baskets.customer_ids[c] for c in chosen],
            "lot": lots([baskets.customer_ids[c] for c in chosen], shop=shop, of=OWNERS),
            "owns_id": [baskets.ids[i] for i in shown],
            "owns": [baskets.names[i] for i in shown],
            "last_bought": bought,
            "suggest_id": [baskets.ids[i] for i in wanted],
            "suggest": [baskets.names[i] for i in wanted],
            "share": [share[min(a, b), max(a, b)] for a, b in zip(shown.tolist(), wanted.tolist(), strict=True)],
            "bestseller_id": [baskets.ids[i] for i in best],
            "bestseller": [baskets.names[i] for i in best],
        }
    )
    return table.sort_values(["share", "customer_id"], ascending=[False, True], ignore_index=True)


def _totals(baskets: Baskets) -> Ints:
    return np.asarray(baskets.held.sum(axis=0)).ravel().astype(np.int64)


def _beside(choice: dict[int, int], baskets: Baskets, *, best: Ints) -> pd.DataFrame:
    """Trials and hits, one row a basket with items that have a suggestion: one trial, shared among them.

    Columns customer, size, trials, suggestion, bestseller.
    """
    shown, wanted = (np.array(side, dtype=np.int64) for side in (list(choice), list(choice.values())))
    popular = np.array([best[0] if best[0] != item else best[1] for item in shown], dtype=np.int64)
    held = baskets.held[:, shown]
    shared = np.asarray(held.sum(axis=1)).ravel().astype(float)
    # Otherwise a few large baskets, which hold everything, would be most of the trials.
    each = 1 / np.maximum(shared, 1)
    table = pd.DataFrame({"customer": baskets.customers, "size": baskets.sizes, "trials": (shared > 0).astype(float)})
    for method, other in ((SUGGESTION, wanted), (BESTSELLER, popular)):
        table[method] = each * np.asarray(held.multiply(baskets.held[:, other]).sum(axis=1)).ravel()
    return table[table["trials"] > 0]


def _by_customer(trials: pd.DataFrame) -> pd.DataFrame:
    return trials.drop(columns="size").groupby("customer").sum().astype(float)


def _to_customers(pairs: pd.DataFrame, earlier: Baskets, later: Baskets, *, best: Ints) -> pd.DataFrame:
    """One trial a customer: did what was suggested, or the bestseller, come to be bought?"""
    owned, bought = _owned(earlier), _owned(later)
    chosen, _, wanted = _choose(pairs, earlier.ids, owned)
    popular = _best_not_owned(owned[chosen], best)
    return pd.DataFrame(
        {
            "trials": np.ones(len(chosen)),
            SUGGESTION: bought[chosen, wanted].astype(float),
            BESTSELLER: bought[chosen, popular].astype(float),
        }
    )


def _owned(baskets: Baskets) -> Flags:
    """Known customers × items: has this customer ever bought it?"""
    known = np.flatnonzero(baskets.customers < len(baskets.customer_ids))
    answer = np.zeros((len(baskets.customer_ids), len(baskets.ids)), dtype=bool)
    held = baskets.held[known].tocoo()
    answer[baskets.customers[known][held.row], held.col] = True
    return answer


def _choose(pairs: pd.DataFrame, ids: tuple[str, ...], owned: Flags) -> tuple[Ints, Ints, Ints]:
    """For everybody with a side of a pair and not the other: customer, the side owned, the side to suggest."""
    place = {item: position for position, item in enumerate(ids)}
    ordered = pairs.sort_values("share", ascending=False, kind="stable")
    shown, wanted = (np.full(len(owned), -1, dtype=np.int64) for _ in range(2))
    for a, b in zip(ordered["item_id"], ordered["suggest_id"], strict=True):
        first, second = place[a], place[b]
        here = owned[:, first] & ~owned[:, second] & (shown < 0)
        shown[here], wanted[here] = first, second
    chosen = np.flatnonzero(shown >= 0)
    return chosen, shown[chosen], wanted[chosen]


def _best_not_owned(owned: Flags, best: Ints) -> Ints:
    """The first of `best` that each row does not own; the very first for somebody who owns everything."""
    return np.asarray(best[np.argmin(owned[:, best], axis=1)])


def _last_bought(baskets: Baskets, customers: Ints, items: Ints) -> list[object]:
    held = baskets.held.tocoo()
    bought = pd.DataFrame(
        {"customer": baskets.customers[held.row], "item": held.col, "day": baskets.days.to_numpy()[held.row]}
    )
    last = bought.groupby(["customer", "item"])["day"].max()
    asked = last.reindex(pd.MultiIndex.from_arrays([customers, items]))
    return list(asked.dt.date)


def _ratio(hits: pd.Series[float], trials: pd.Series[float]) -> tuple[float, float, float]:
    """Σ hits / Σ trials with its standard error and degrees of freedom, customers as clusters."""
    rate = float(hits.sum() / trials.sum())
    se, freedom = clusters.errors(((hits - rate * trials) / trials.sum()).to_numpy()[:, None])
    return rate, float(se[0]), float(freedom[0])


def later_range(rate: float, *, se: float, days: int, days_ahead: int) -> tuple[float, float]:
    """In which range will the same rate come out over `days_ahead` new days, after one measured over `days`?"""
    reach = distributions.norm.ppf(0.5 + clusters.CONFIDENCE / 2) * se * np.sqrt(1 + days / days_ahead)
    return max(rate - float(reach), 0.0), min(rate + float(reach), 1.0)
