"""Do suggestions hit more often than bestsellers would, on baskets that came later? And who owns one side of a pair only?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats as distributions

from crmlib import figures, formats, wording
from crmlib.analysis.baskets import clusters
from crmlib.analysis.baskets.facts import WORDS, Baskets, Ints
from crmlib.analysis.baskets.strata import LARGE
from crmlib.analysis.baskets.suggestions import room, score
from crmlib.analysis.baskets.validation import Validation
from crmlib.analysis.outreach import LEAVE, WRITE, Contactable, contactable, lots
from crmlib.findings import Action, Metric, Part

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

Flags = NDArray[np.bool_]

BESIDE, TO_CUSTOMER = "beside a product", "to a customer"
SUGGESTION, BESTSELLER = "suggestion", "bestseller"
BEATEN, TIE, BETTER = "beaten", "tie", "better"
ALL, FEW_ITEMS, MANY_ITEMS = "all", f"under {LARGE} items", f"{LARGE} items or more"
LEAST_TRIALS = 100
_PLACES = {
    "small": (BESIDE, FEW_ITEMS),
    "large": (BESIDE, MANY_ITEMS),
    "any": (BESIDE, ALL),
    "later": (TO_CUSTOMER, ALL),
}
_WHERE = {"small": "in small baskets", "large": "in large baskets", "any": "in the basket", "later": "in e-mails"}
_FOUND = {
    "small": "in small baskets",
    "large": "in large ones",
    "any": "in the basket",
    "later": "as the next purchase",
}
_ROWS = {"small": "Small baskets", "large": "Large baskets", "any": "Baskets", "later": "Next purchase"}
_FRESH = 30  # days that a list or a pair is good for
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
    def verdicts(self) -> dict[str, str]:
        """Where pairs and bestsellers were compared, and the verdict on the pair: small and large baskets if both could be
        told apart, else all; then the next purchase. Keys small, large, any, later."""
        found = {key: self.difference(place, size=size) for key, (place, size) in _PLACES.items()}
        apart = found["small"] is not None and found["large"] is not None
        left_out = {"any"} if apart else {"small", "large"}
        return {key: str(row["verdict"]) for key, row in found.items() if row is not None and key not in left_out}

    @property
    def advice(self) -> tuple[str, ...]:
        """Keys of `verdicts` where the pair was bought more often than the bestseller."""
        return tuple(key for key, verdict in self.verdicts.items() if verdict == BETTER)

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


def advised(rates: HitRates, *, level: str = "product") -> str:
    """What to show where, in a sentence; '' where nothing was measured."""
    one, _ = WORDS[level]
    pair = [_WHERE[key] for key in rates.advice]
    rest = [_WHERE[key] for key in rates.verdicts if key not in rates.advice]
    if not rates.verdicts:
        return ""
    if not pair:
        beaten = all(verdict == BEATEN for verdict in rates.verdicts.values())
        often = "more often than" if beaten else "at least as often as"
        return f"Keep showing bestsellers: they were bought {often} the matching {one}."
    said = f"{wording.upper(wording.listed(pair))}, suggest the matching {one}"
    return f"{said}; {wording.listed(rest)}, a bestseller." if rest else f"{said}."


def part_hits(rates: HitRates, suggestions: pd.DataFrame, baskets: Baskets, *, shop: Shop) -> Part:
    """Is what would be suggested bought more often than a bestseller, what is there to test and whom to write to?"""
    owners = owns_not(suggestions, baskets, shop=shop)
    people = contactable(shop, owners)
    ours, theirs = rates.rate(BESIDE, SUGGESTION), rates.rate(BESIDE, BESTSELLER)
    value, low, high = (float(ours[name]) if ours is not None else None for name in ("rate", "low", "high"))
    metric = Metric(
        id="hit_rate", label="Baskets already holding the matching product", unit="share", value=value, low=low, high=high,
        n=int(ours["trials"]) if ours is not None else None, headline=ours is not None,
        note=f"a bestseller: {formats.share(theirs['rate'])}" if theirs is not None else "",
        definition="Share of later baskets with a product that has a suggestion, found before, that hold the suggestion "
        "too. Nothing was shown to anybody.",
    )  # fmt: skip
    owning = Metric(
        id="owners", label="Customers with one product of a pair", value=len(owners), unit="customers",
        n=len(baskets.customer_ids), definition="Customers who bought one side of a suggested pair and never the other.",
    )  # fmt: skip
    said = {
        "metrics": [metric, owning],
        "actions": [*_to_test(rates, suggestions, baskets), *_to_write(people, rates, baskets)],
        "tables": {"hit_rates": rates.rates},
        "lists": {OWNERS: people.frame} if len(suggestions) else {},
    }
    if not rates.verdicts:
        return Part(certain=[rates.why], **said)
    rows = [
        (
            f"{_ROWS[key]}: {'the matching product' if method == SUGGESTION else 'a bestseller'}",
            method == SUGGESTION,
            row,
        )
        for key in rates.verdicts
        for method in (SUGGESTION, BESTSELLER)
        if (row := rates.rate(_PLACES[key][0], method, size=_PLACES[key][1])) is not None
    ]
    shown = pd.DataFrame([row for _, _, row in rows]).assign(
        name=[name for name, _, _ in rows], ours=[ours for _, ours, _ in rows]
    )
    small = f"Small means under {LARGE} items. " if "small" in rates.verdicts else ""
    return Part(
        title=_title(rates),
        sentence=f"{small}Nothing was shown to anybody: this is what customers bought anyway in the last "
        f"{wording.span(rates.days)}.",
        chart=figures.dots(
            shown,
            label="name",
            value="rate",
            low="low",
            high="high",
            what="share of baskets or customers that bought it",
            form=formats.share,
            strong="ours",
            table=figures.tabulate(
                shown,
                caption="How often each was bought, nothing shown",
                labels={
                    "name": "What",
                    "trials": "Baskets or customers",
                    "rate": "Bought",
                    "low": "From",
                    "high": "To",
                },
                formats={"trials": formats.number} | dict.fromkeys(("rate", "low", "high"), formats.share),
                file="tables/hit_rates.csv",
            ),
        ),
        **said,
        method=[
            f"{_ROWS[key]}, matching product less bestseller on the same trials: "
            f"{formats.number(100 * gap['difference'], digits=1)} points ({formats.number(100 * gap['low'], digits=1)} to "
            f"{formats.number(100 * gap['high'], digits=1)})."
            for key in rates.verdicts
            if (gap := rates.difference(_PLACES[key][0], size=_PLACES[key][1])) is not None
        ],
    )


def _title(rates: HitRates) -> str:
    pair = [_FOUND[key] for key in rates.advice]
    rest = [_FOUND[key] for key in rates.verdicts if key not in rates.advice]
    if not pair:
        same = all(verdict == TIE for verdict in rates.verdicts.values())
        return f"The matching product was bought {'as often as' if same else 'no more often than'} a bestseller"
    but = f", but not {' or '.join(rest)}" if rest else ""
    return f"The matching product was bought more often than a bestseller {wording.listed(pair)}{but}"


def _to_test(rates: HitRates, suggestions: pd.DataFrame, baskets: Baskets) -> list[Action]:
    """The pairs to test; none where bestsellers were bought more often in every kind of basket."""
    beside = [verdict for key, verdict in rates.verdicts.items() if key != "later"]
    if suggestions.empty or (beside and all(verdict == BEATEN for verdict in beside)):
        return []
    most, worth, weight = room(suggestions, baskets), "untested", 0.0
    if most.value is not None and most.high is not None and most.low is not None:
        worth = f"up to {wording.rounded_money(most.high, baskets.currency)} margin per 1,000 baskets, untested"
        weight = max(most.low, 0.0) * baskets.yearly / 1000
    several = len(suggestions) > 1
    return [
        Action(
            what=f"Test {f'these {len(suggestions)} pairs' if several else 'this pair'} on half of visitors",
            worth=worth,
            by=wording.working_day(baskets.as_of, _FRESH) if baskets.as_of else None,
            owner="shop",
            file="tables/suggestions.csv",
            count=len(suggestions),
            weight=weight,
            why="Pairs say what goes together; only a test says what showing them adds.",
        )
    ]


def _to_write(people: Contactable, rates: HitRates, baskets: Baskets) -> list[Action]:
    """Whom to write to about what they are likelier to buy; none where nobody may be written to."""
    write = int((people.frame["lot"] == WRITE).sum())
    better = rates.verdicts.get("later") == BETTER
    about = "the matching product" if better else "a bestseller"
    action = Action(
        what=f"E-mail {wording.counted(write, 'customer')} about {about}",
        worth="untested",
        by=wording.working_day(baskets.as_of, _FRESH) if baskets.as_of else None,
        owner="marketing",
        file=f"lists/{OWNERS}.csv",
        count=write,
        why=f"They own one product of a pair; what to write about is in column {'suggest' if better else 'bestseller'}. "
        f"Those marked '{LEAVE}' show what the e-mail adds. {people.note}",
    )
    return [action] if write else []
