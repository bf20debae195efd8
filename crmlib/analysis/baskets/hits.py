"""Would suggestions have hit more often than bestsellers, on baskets that came later? Nothing was shown to anybody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import figures, formats, wording
from crmlib.analysis.baskets import clusters
from crmlib.analysis.baskets.facts import WORDS, Baskets, Ints
from crmlib.analysis.baskets.mining import cells
from crmlib.analysis.baskets.nextitem import hidden_items, households, likeness, next_items, next_table, owned
from crmlib.analysis.baskets.owners import FRESH, by_popularity, owns_not, part_owners
from crmlib.analysis.baskets.pairs import LARGE
from crmlib.analysis.baskets.rules import LEAST_CUSTOMERS
from crmlib.analysis.baskets.suggestions import room, score
from crmlib.analysis.baskets.validation import Validation
from crmlib.findings import Action, Chart, Metric, Part

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

BESIDE, TO_CUSTOMER, REST = "beside a product", "to a customer", "rest of a basket"
SUGGESTION, BESTSELLER = "suggestion", "bestseller"
BEATEN, TIE, BETTER = "beaten", "tie", "better"
ALL, FEW_ITEMS, MANY_ITEMS = "all", f"under {LARGE} items", f"{LARGE} items or more"
LEAST_TRIALS = 100
MOST_TO_TEST = 10  # pairs a test can be set up for at a time
_RATES = ["place", "size", "method", "trials", "customers", "hits", "rate", "low", "high"]
_DIFFERENCES = ["place", "size", "difference", "low", "high", "se", "verdict"]
# Each place and size of basket: in advice, in a finding, as a row.
_WORDS = {
    (BESIDE, FEW_ITEMS): ("in small baskets", "in small baskets", "Small baskets"),
    (BESIDE, MANY_ITEMS): ("in large baskets", "in large ones", "Large baskets"),
    (BESIDE, ALL): ("in the basket", "in the basket", "Baskets"),
    (TO_CUSTOMER, ALL): ("in e-mails", "in later orders", "Later orders"),
}
Place = tuple[str, str]


@dataclass(frozen=True)
class HitRates:
    """How often what was suggested was bought, on baskets after the cut. `why` says why nothing was compared, else ''.

    rates        one row a place ('beside a product', 'to a customer'), size of baskets ('all'; beside a product also
                 those under 11 items and the others) and method ('suggestion', 'bestseller'): place, size, method,
                 trials, customers, hits, rate, low, high
    differences  one row a place and size: place, size, difference (suggestion − bestseller, same trials), low, high,
                 se, verdict (of the suggestions: better, beaten, or tie, where the interval holds 0)
    days         of the later part
    prompted     later baskets left out since a coupon, a campaign or a letter prompted them
    """

    rates: pd.DataFrame
    differences: pd.DataFrame
    days: int
    why: str = ""
    prompted: int = 0

    def rate(self, place: str, method: str, *, size: str = ALL) -> pd.Series[float] | None:
        """The row of this place and method, None where it was not measured."""
        return _row(self.rates, place=place, method=method, size=size)

    def difference(self, place: str, *, size: str = ALL) -> pd.Series[float] | None:
        """The row of this place, None where it was not measured."""
        return _row(self.differences, place=place, size=size)

    @property
    def verdicts(self) -> dict[Place, str]:
        """The verdict on the pair by place and size: small and large baskets where both are told apart, else all."""
        found = {place: self.difference(place[0], size=place[1]) for place in _WORDS}
        said = {place: str(row["verdict"]) for place, row in found.items() if row is not None}
        apart = {(BESIDE, FEW_ITEMS), (BESIDE, MANY_ITEMS)}
        left_out = {(BESIDE, ALL)} if apart <= set(said) else apart
        return {place: verdict for place, verdict in said.items() if place not in left_out}

    @property
    def better(self) -> tuple[Place, ...]:
        """Where the pair was bought more often than the bestseller."""
        return tuple(place for place, verdict in self.verdicts.items() if verdict == BETTER)

    def __repr__(self) -> str:
        said = self.why or ", ".join(f"{r.place}, {r.size}: {r.verdict}" for r in self.differences.itertuples())
        return f"HitRates({said})"


def _row(table: pd.DataFrame, **wanted: str) -> pd.Series[float] | None:
    rows = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return rows.iloc[0] if len(rows) else None


def hit_rates(baskets: Baskets, validation: Validation) -> HitRates:
    """Suggestions found before the cut, tried on the baskets after it, beside the bestsellers of the time before.

    Beside a product: every later basket with a product that one of the leading pairs is shown with is a trial, a hit
    if it holds what would have been suggested (a share of one where it has several such products). To a customer:
    everybody who came back is a trial, a hit if he then buys the item that goes best with all he had (`nextitem`), or
    the most popular of those he had not. Rest of a basket: one item is hidden, a hit if it is among the ten that go
    best with the others, or the ten bestsellers. Baskets that a coupon, a campaign or a letter prompted are no
    trials. The intervals take customers as independent, and the difference is paired: both methods are tried on the
    same. Large baskets hold the bestsellers anyway, so beside a product small and large ones are told apart too.
    """
    if validation.rules is None:
        return _measured({}, days=0, why="There are no later baskets to try pairs on.")
    earlier, since = baskets.part("earlier"), baskets.part("later")
    later, days = unprompted(since), int((since.days.max() - since.days.min()).days) + 1
    pairs = score(validation.rules, earlier, validation)
    if pairs.empty:
        return _measured({}, days=days, why="The earlier baskets gave no pair to suggest.")
    best = by_popularity(earlier)
    beside = _beside(first_choice(shown_beside(pairs), baskets.ids), later, best=best)
    trials = {
        (BESIDE, ALL): _by_customer(beside),
        (BESIDE, FEW_ITEMS): _by_customer(beside[beside["size"] < LARGE]),
        (BESIDE, MANY_ITEMS): _by_customer(beside[beside["size"] >= LARGE]),
        (TO_CUSTOMER, ALL): _to_customers(earlier, later),
        (REST, ALL): _by_customer(hidden_items(likeness(earlier.held), later, popular=best)),
    }
    enough = {place: table for place, table in trials.items() if table["trials"].sum() >= LEAST_TRIALS}
    back = trials[TO_CUSTOMER, ALL]
    if max(back[SUGGESTION].sum(), back[BESTSELLER].sum()) < LEAST_CUSTOMERS:
        # So few came back for either that nothing is to be advised of letters.
        enough.pop((TO_CUSTOMER, ALL), None)
    why = (
        ""
        if any(where != REST for where, _ in enough)
        else f"Fewer than {LEAST_TRIALS} later baskets held a product with a suggestion."
    )
    return replace(_measured(enough, days=days, why=why), prompted=since.n - later.n)


def unprompted(baskets: Baskets) -> Baskets:
    """The baskets that no coupon, campaign or letter prompted: what customers buy of themselves."""
    return baskets.rows(np.flatnonzero(~baskets.prompted), period="all") if baskets.prompted.any() else baskets


def _measured(trials: dict[Place, pd.DataFrame], *, days: int, why: str) -> HitRates:
    rates, differences = [], []
    for place, table in trials.items():
        count = table["trials"].sum()
        for method in (SUGGESTION, BESTSELLER):
            rate, _, reach = _ratio(table[method], table["trials"])
            rates.append((*place, method, int(count), len(table), float(table[method].sum()), rate,
                          max(rate - reach, 0.0), rate + reach))  # fmt: skip
        gap, se, reach = _ratio(table[SUGGESTION] - table[BESTSELLER], table["trials"])
        verdict = BETTER if gap - reach > 0 else BEATEN if gap + reach < 0 else TIE
        differences.append((*place, gap, gap - reach, gap + reach, se, verdict))
    return HitRates(
        rates=pd.DataFrame(rates, columns=_RATES),
        differences=pd.DataFrame(differences, columns=_DIFFERENCES),
        days=days,
        why=why,
    )


def _ratio(hits: pd.Series[float], trials: pd.Series[float]) -> tuple[float, float, float]:
    """Σ hits / Σ trials with its standard error and half its 95 % interval, customers as clusters."""
    rate = float(hits.sum() / trials.sum())
    se, freedom = clusters.errors(((hits - rate * trials) / trials.sum()).to_numpy()[:, None])
    return rate, float(se[0]), float(clusters.reach(se, freedom)[0])


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
    return trials.drop(columns="size", errors="ignore").groupby("customer").sum().astype(float)


def _to_customers(earlier: Baskets, later: Baskets) -> pd.DataFrame:
    """One trial a customer who came back: did he later buy what goes best with what he had, or a bestseller?"""
    has, bought = owned(earlier), owned(later)
    back = np.flatnonzero((np.diff(has.indptr) > 0) & (np.diff(bought.indptr) > 0))
    has, bought = has[back], bought[back]
    tried = next_items(likeness(households(earlier)), has, popular=by_popularity(earlier))
    hits = {
        method: cells(bought, np.arange(len(back)), items)
        for method, items in zip((SUGGESTION, BESTSELLER), tried, strict=True)
    }
    return pd.DataFrame({"trials": np.ones(len(back)), **hits})


def later_range(rate: float, *, se: float, days: int, days_ahead: int) -> tuple[float, float]:
    """In which range will the same rate come out over `days_ahead` new days, after one measured over `days`?"""
    reach = distributions.norm.ppf(0.5 + clusters.CONFIDENCE / 2) * se * np.sqrt(1 + days / days_ahead)
    return max(rate - float(reach), 0.0), min(rate + float(reach), 1.0)


def letters_about(rates: HitRates) -> bool | None:
    """What to write to customers about: the matching product (True), a bestseller (False), or nothing (None).

    Nothing where neither was clearly bought more often, or so few came back for either that letters cannot pay.
    """
    verdict = rates.verdicts.get((TO_CUSTOMER, ALL), TIE)
    found = rates.rate(TO_CUSTOMER, SUGGESTION if verdict == BETTER else BESTSELLER)
    if verdict == TIE or found is None or found["hits"] < LEAST_CUSTOMERS:
        return None
    return verdict == BETTER


def worth_a_test(rates: HitRates) -> bool:
    """Is there a place beside a product where pairs may do better: bought more often there, or not measured at all?"""
    return not rates.verdicts or any(place == BESIDE for place, _ in rates.better)


def to_test(suggestions: pd.DataFrame) -> pd.DataFrame:
    """The pairs to test: of those that lead, the ones bought more often than a bestseller beside the same product."""
    leading = suggestions.head(MOST_TO_TEST)
    return leading[leading["gain"] > 0]


def shown_beside(suggestions: pd.DataFrame) -> pd.DataFrame:
    """The pairs that would be shown: those to test, or all where a bestseller does better beside every product."""
    tested = to_test(suggestions)
    return suggestions if tested.empty else tested


def advised(rates: HitRates, *, level: str = "product") -> str:
    """What to show where, in a sentence; '' where nothing was measured. Of a tie nothing is advised."""
    one, _ = WORDS[level]
    if not rates.verdicts:
        return ""
    pair, best, open_ = (wording.listed(_where(rates, verdict, 0)) for verdict in (BETTER, BEATEN, TIE))
    if not pair:
        if not best:
            return f"Keep showing bestsellers: unprompted, the matching {one} was not clearly bought more often."
        if not open_:
            return f"Keep showing bestsellers: unprompted, they were bought more often than the matching {one}."
        return f"Keep showing bestsellers {best}; {open_} neither was clearly better."
    said = f"{wording.upper(pair)}, suggest the matching {one}"
    said += f"; {best}, keep to bestsellers" if best else ""
    return f"{said}; {open_} neither was clearly better." if open_ else f"{said}."


def _where(rates: HitRates, verdict: str, words: int) -> list[str]:
    """The places of this verdict, as `_WORDS` has them."""
    return [_WORDS[place][words] for place, said in rates.verdicts.items() if said == verdict]


def part_hits(
    rates: HitRates, suggestions: pd.DataFrame, baskets: Baskets, *, shop: Shop, replaced: pd.DataFrame | None = None
) -> Part:
    """Is what would be suggested bought more often than a bestseller, what is there to test and whom to write to?

    Nobody is written to about what replaces a thing they own: `replaced` is the table of `part_substitutes`.
    """
    owners = part_owners(
        owns_not(suggestions, baskets, shop=shop), baskets, matching=letters_about(rates), shop=shop, replaced=replaced
    )
    nearby = next_table(likeness(baskets.held), baskets, tested=set(suggestions["pair"]))
    ours, theirs = rates.rate(BESIDE, SUGGESTION), rates.rate(BESIDE, BESTSELLER)
    value, low, high = (float(ours[name]) if ours is not None else None for name in ("rate", "low", "high"))
    metric = Metric(
        id="hit_rate", label="Baskets already holding the matching product", unit="share", value=value, low=low,
        high=high, n=int(ours["trials"]) if ours is not None else None, headline=ours is not None,
        note=f"a bestseller: {formats.share(theirs['rate'])}" if theirs is not None else "",
        definition="Share of later baskets with the first product of a leading pair, found before, that hold the "
        "other too. Nothing was shown to anybody.",
    )  # fmt: skip
    part = replace(
        owners, metrics=[metric, *owners.metrics], actions=[*_to_test(rates, suggestions, baskets), *owners.actions],
        tables={"hit_rates": rates.rates, "next_items": nearby}, lists=owners.lists if len(suggestions) else {},
    )  # fmt: skip
    if not rates.verdicts:
        return replace(part, certain=[rates.why] if len(suggestions) else [])
    small = f"Small means under {LARGE} items. " if (BESIDE, FEW_ITEMS) in rates.verdicts else ""
    return replace(
        part,
        title=_title(rates),
        sentence=f"{small}Nothing was shown to anybody: this is what customers bought anyway in the last "
        f"{wording.span(rates.days)}{', unprompted by coupon or letter' if rates.prompted else ''}.",
        chart=_chart(rates),
        method=_hidden(rates)
        + [
            f"{_WORDS[where, size][2]}, matching product less bestseller on the same trials: "
            f"{formats.number(100 * gap, digits=1)} points ({formats.number(100 * low, digits=1)} to "
            f"{formats.number(100 * high, digits=1)})."
            for where, size, gap, low, high, *_ in rates.differences.itertuples(index=False)
            if (where, size) in rates.verdicts
        ],
    )


def _hidden(rates: HitRates) -> list[str]:
    """What the list of ten for each product is worth, in a sentence; none where it was not measured."""
    ours, theirs = rates.rate(REST, SUGGESTION), rates.rate(REST, BESTSELLER)
    if ours is None or theirs is None:
        return []
    return [
        f"With one product of a later basket hidden, ten products that go with the rest held it in "
        f"{formats.share(ours['rate'])} of baskets, the ten bestsellers in {formats.share(theirs['rate'])}. "
        "tables/next_items.csv has ten for every product."
    ]


def _chart(rates: HitRates) -> Chart:
    named = {SUGGESTION: "the matching product", BESTSELLER: "a bestseller"}
    here = [place in rates.verdicts for place in zip(rates.rates["place"], rates.rates["size"], strict=True)]
    shown = rates.rates[here].assign(
        name=lambda t: [f"{_WORDS[r.place, r.size][2]}: {named[r.method]}" for r in t.itertuples()],
        ours=lambda t: t["method"] == SUGGESTION,
    )
    labels = {"name": "What", "trials": "Baskets or customers", "rate": "Bought", "low": "From", "high": "To"}
    table = figures.tabulate(
        shown, caption="How often each was bought, nothing shown", labels=labels, file="tables/hit_rates.csv",
        formats={"trials": formats.number} | dict.fromkeys(("rate", "low", "high"), formats.share),
    )  # fmt: skip
    return figures.dots(shown, label="name", value="rate", low="low", high="high", strong="ours", form=formats.share,
                        what="share of baskets or customers that bought it", table=table)  # fmt: skip


def _title(rates: HitRates) -> str:
    pair, best, open_ = (_where(rates, verdict, 1) for verdict in (BETTER, BEATEN, TIE))
    if pair:
        rest = [f"less often {wording.listed(best)}"] * bool(best) + [f"not clearly {' or '.join(open_)}"] * bool(open_)
        but = f", but {' and '.join(rest)}" if rest else ""
        return f"The matching product was bought more often than a bestseller {wording.listed(pair)}{but}"
    if not best:
        return "The matching product was not clearly bought more often than a bestseller"
    said = f"The matching product was bought less often than a bestseller {wording.listed(best)}"
    return f"{said}, and not clearly more often {' or '.join(open_)}" if open_ else said


def _to_test(rates: HitRates, suggestions: pd.DataFrame, baskets: Baskets) -> list[Action]:
    """The best pairs to test; none where bestsellers did as well or better in every kind of basket."""
    best = to_test(suggestions)
    if best.empty or not worth_a_test(rates):
        return []
    count, extra, worth = len(best), room(best, baskets), "untested"
    if extra.value is not None and extra.value > 0:
        amount = wording.rounded_money(float(f"{extra.value:.2g}"), baskets.currency)
        worth = f"up to {amount} margin per 1,000 baskets"
    which = f"the {count} best pairs" if len(suggestions) > count > 1 else wording.counted(count, "pair")
    action = Action(
        what=f"Test {which} on half of visitors",
        worth=worth,
        by=wording.working_day(baskets.as_of, FRESH.days) if baskets.as_of else None,
        owner="shop",
        file="tables/suggestions.csv",
        count=count,
        weight=max(extra.low or 0.0, 0.0) * baskets.yearly / 1000,
        why="Pairs say what goes together; only a test says what showing them adds. The amount is what it comes to if "
        "showing a product wins everybody whom habit does not yet."
        if worth != "untested"
        else "Pairs say what goes together; only a test says what showing them adds.",
    )
    return [action]
