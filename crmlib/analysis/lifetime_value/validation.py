"""Was the forecast right? Models beside simple rules on later times they had not seen, from several earlier days."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from functools import cached_property

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import formats
from crmlib.analysis.forecasts import Errors, errors_of
from crmlib.analysis.lifetime_value import chances, methods, ranges
from crmlib.analysis.lifetime_value.chances import Chances
from crmlib.analysis.lifetime_value.contest import choose, compare
from crmlib.analysis.lifetime_value.methods import HISTORY, MODELS, NOBODY, RECENCY, Fits, Look, look
from crmlib.analysis.lifetime_value.models import PurchaseModel, TimeUnit, Unfit, cut_day, facts
from crmlib.analysis.lifetime_value.season import LEAST_SEASON_DAYS, monthly_repeats
from crmlib.analysis.lifetime_value.shares import tier_misses
from crmlib.analysis.lifetime_value.spend import GAMMA_GAMMA, SHRUNK, SpendModel, spend_of
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.analysis.lifetime_value.truncation import Beginning, beginning
from crmlib.errors import NotEnoughData
from crmlib.formats import Estimate, outline
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

_MOST_CUTS = 6
_QUARTER, _YEAR = 91, 365
_FRESH_DAYS = 30
MISSED = 0.25  # a forecast that was off by more is not led with


class Trust(Enum):
    """May a page lead with a forecast?"""

    TESTED = "tested"
    UNTESTED = "reaches beyond the longest time any forecast was tested over"
    MISSED = "the last forecast missed by more than a quarter"


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One look back: what was forecast at `start` for the days until `end`, what came, and the deviation expected."""

    start: date
    end: date
    forecast: float
    actual: int
    own: float


@dataclass(frozen=True, kw_only=True)
class Validation(Look):
    """How the methods did on the last `holdout_days` before as_of, for customers known before, and from earlier days.

    Itself the look from the day the holdout begins; its models were fitted on what came before.

    looks      windows over which the methods were compared
    ranking    method -> score per row of the holdout's patterns, higher is likelier to buy
    measures   method, measure, value, low, high: 95 % intervals by resampling customers
    chosen     the simplest method that none beats, by Poisson deviance per customer over all cuts
    unaided    what windows that were over before the holdout choose by themselves, '' where there are none
    cuts       the holdout first, then earlier ones of the same length
    recent     quarters of the holdout, where there are too few cuts of its length
    known      cuts that were over when the holdout began: what its forecast could know of its own errors
    chances    how likely single customers are to order: the model's chances, or learnt ones where those were closer
    then       the same as known when the holdout began
    now        the chosen model fitted on everything up to as_of
    widen      how many times as wide as the model's ranges of single customers must be to hold 95 % of the holdout
    tier_misses  what came of each tier over what was forecast of it, in the holdout and earlier
    weekly     week from the holdout's start, purchases
    spends     fitted before the holdout, and `spend` the one used; sales_forecast and sales_actual are net sales in
               it, nan without amounts
    """

    __repr__ = outline

    looks: int
    ranking: Mapping[str, Floats]
    measures: pd.DataFrame
    chosen: str
    unaided: str
    cuts: tuple[Cut, ...]
    recent: tuple[Cut, ...]
    known: tuple[Cut, ...]
    chances: Chances
    then: Chances
    now: Fits
    widen: float
    tier_misses: Mapping[str, tuple[float, ...]]
    weekly: pd.DataFrame
    time_unit: TimeUnit
    beginning: Beginning
    spends: tuple[SpendModel, ...]
    spend: SpendModel | None
    sales_forecast: float
    sales_actual: float

    @property
    def models(self) -> Mapping[str, PurchaseModel]:
        """Those that could be fitted."""
        return self.fits.models

    @property
    def failed(self) -> tuple[Unfit, ...]:
        """Those that could not, and why."""
        return self.fits.failed

    @property
    def model(self) -> PurchaseModel | None:
        """The model used, or the simplest one fitted where a rule is used."""
        return self.models.get(self.chosen) or next((m for n in MODELS if (m := self.models.get(n))), None)

    @cached_property
    def split(self) -> Floats:
        """What the chosen method expected of each row, shared out as the chances known then would have it."""
        return _split(self, self.chosen, self.then)

    @property
    def forecast(self) -> float:
        """Repeat orders the chosen method expected in the holdout."""
        return self.total(self.chosen)

    @property
    def off(self) -> float:
        """By what share orders were forecast too high in the holdout; infinite where none came."""
        if not self.actual:
            return float("inf") if self.forecast >= 1 else 0.0
        return self.forecast / self.actual - 1

    @property
    def missed(self) -> float:
        """By what share the test was off, in orders or in money, whichever was worse."""
        return max(abs(self.off), abs(self.sales_off) if np.isfinite(self.sales_off) else 0.0)

    def trust(self, horizon_days: int) -> Trust:
        """Was a forecast so long ever tested, and did the last one come within a quarter of what came?"""
        if self.missed > MISSED:
            return Trust.MISSED
        longest = max((cut.end - cut.start).days for cut in (*self.cuts, *self.known, *self.recent))
        return Trust.TESTED if horizon_days <= longest else Trust.UNTESTED

    @property
    def errors(self) -> Errors:
        """Of all cuts up to as_of: what a forecast from as_of on can know of how far it may be off."""
        return _errors((*self.cuts, *self.recent))

    @property
    def errors_known(self) -> Errors:
        """Of the cuts that were over when the holdout began."""
        return _errors(self.known)

    def measure(self, method: str, name: str) -> tuple[float, float, float]:
        """value, low, high of one measure; nan where the method has none."""
        row = self.measures[(self.measures["method"] == method) & (self.measures["measure"] == name)]
        if row.empty:
            return (float("nan"),) * 3
        value, low, high = row[["value", "low", "high"]].iloc[0]
        return float(value), float(low), float(high)

    def estimate(self, method: str, name: str, unit: str, *, n: int) -> Estimate:
        """The same as an estimate, empty where it has none."""
        value, low, high = (end if np.isfinite(end) else None for end in self.measure(method, name))
        return Estimate(value=value, low=low, high=high, unit=unit, n=n)

    @property
    def sales_off(self) -> float:
        """By what share net sales were forecast too high in the holdout; nan where there are none."""
        if not np.isfinite(self.sales_forecast) or not self.sales_actual > 0:
            return float("nan")
        return self.sales_forecast / self.sales_actual - 1


def holdout_length(shop: Shop, *, asked: int = 0) -> int:
    """How many of the last days to keep aside: `asked`, or if 0 a year where two years came before, else a quarter.

    A year holds every season once; a quarter says more about the season than about the model.
    """
    if asked:
        return asked
    first, _ = _span(shop, until=shop.as_of)
    known = (shop.as_of - first).days if first else 0
    return _YEAR if known >= 3 * _YEAR else _QUARTER


def weekly_repeats(shop: Shop, *, start: date, end: date) -> ir.Table:
    """Grain: a week counted from `start` (negative before). Columns week, purchases.

    Repeat purchase days before `end` of customers who were known at `start`.
    """
    days = shop_facts.purchase_days(shop)
    first = days["day"].min().over(group_by="customer_id")
    known = days.mutate(_first=first).filter(lambda t: t._first < ibis.literal(start), lambda t: t.day > t._first)
    known = known.filter(known["day"] < ibis.literal(end))
    offset = known["day"].delta(ibis.literal(start), unit="day").cast("float64")
    weeks = known.group_by(week=(offset / 7).floor().cast("int64"))
    return weeks.aggregate(purchases=known.count()).order_by("week")


def validate(shop: Shop, *, holdout_days: int, time_unit: TimeUnit = "day", seed: int = 0) -> Validation:
    """Do the models beat simple rules on the last `holdout_days` before as_of, which they have not seen?

    The rules: nobody buys; everybody goes on at the rate so far; everybody does what customers as long silent did one
    holdout earlier. Decided by one measure named here, Poisson deviance per customer, over the holdout and earlier
    days; a tie goes to the simpler method. Raises NotEnoughData where too little came before the holdout, or the shop
    has stood still for 30 days.
    """
    start, end = cut_day(shop, days=holdout_days), shop.as_of
    months = shop.fetch(monthly_repeats(shop, until=end))
    holdout = look(shop, start=start, end=end, time_unit=time_unit, months=months)
    first, last = _span(shop, until=end)
    assert first is not None and last is not None
    if (end - last).days > _FRESH_DAYS:
        late, needed = f"the last order is {(end - last).days} days before {end}", f"one in the last {_FRESH_DAYS}"
        raise NotEnoughData(f"too few to conclude: {late}; needed is {needed}")
    # A forecast that knows the season can only be judged by others that did.
    least = LEAST_SEASON_DAYS if holdout.fits.clock else 0
    begins = _starts(first, start, holdout_days, max(holdout_days, least))
    earlier, recent, quarter = _looks(shop, begins, holdout_days, time_unit, months), [], max(holdout_days // 4, 7)
    if len(earlier) < 2:
        begins = [start + timedelta(days=k * quarter) for k in range(4) if (k + 1) * quarter <= holdout_days]
        recent = _looks(shop, begins, quarter, time_unit, months)
    known = [found for found in earlier if found.end <= start]
    if len(known) < 3 and not least:
        # As far as asked where the past is twice as long, else a third of it.
        past = (start - first).days
        length = holdout_days if past >= 2 * holdout_days else max(min(holdout_days, past // 3), 7)
        begins = _starts(first, start - timedelta(days=length), length, length // 2, overlap=True)
        known = _looks(shop, begins, length, time_unit, months)
    voters = {(at.start, at.end): at for at in (holdout, *earlier, *recent, *known)}
    chosen, contests, now = _lasting(shop, list(voters.values()), time_unit, months)
    ranking = {name: mean for name, mean in holdout.expected.items() if name not in (NOBODY, RECENCY)}
    ranking[RECENCY] = -(holdout.patterns["t_days"] - holdout.patterns["recency_days"]).to_numpy(float)
    voting = list(voters.values())
    seen = methods.windows(shop, voting, method=chosen, first=first, time_unit=time_unit, months=months)
    likely, then, widen = _chances(shop, holdout, seen, chosen, first)
    split = _split(holdout, chosen, then)
    if chosen != NOBODY:
        ranking[chosen] = ranking[chosen] if chosen == RECENCY else split
    measures = pd.concat([compare(holdout, ranking, seed=seed), contests], ignore_index=True)
    spends, spend, money = _sales(shop, holdout, split)
    before = [at for at in voters.values() if at.end <= start]
    return Validation(
        **vars(holdout), looks=len(voters), ranking=ranking, measures=measures, chosen=chosen,
        unaided=choose(before)[0] if before else "", cuts=_cuts([holdout, *earlier], chosen),
        recent=_cuts(recent, chosen), known=_cuts(known, chosen), chances=likely, then=then, now=now, widen=widen,
        tier_misses=tier_misses(
            [at for at in (holdout, *earlier, *recent) if chosen in at.expected], chosen, money=money[~money["big"]]
        ),
        weekly=shop.fetch(weekly_repeats(shop, start=start, end=end)), time_unit=time_unit, beginning=beginning(shop),
        spends=spends, spend=spend,
        sales_forecast=float(money["said"].sum(skipna=False)), sales_actual=float(money["came"].sum(skipna=False)),
    )  # fmt: skip


def _lasting(
    shop: Shop, looks: Sequence[Look], time_unit: TimeUnit, months: pd.DataFrame
) -> tuple[str, pd.DataFrame, Fits]:
    """The method chosen among those that can be taught with everything up to as_of too, and that fit.

    One method is tested, led with and makes the lists.
    """
    patterns = shop.fetch(facts(shop), max_rows=5_000_000)
    without: set[str] = set()
    while True:
        chosen, contests = choose(looks, without=without)
        fits = Fits(models={}, failed=(), clock=None)
        able = chosen != RECENCY or methods.recency_bins(shop, start=shop.as_of, days=looks[0].days) is not None
        if chosen in MODELS:
            told = {"time_unit": time_unit, "until": shop.as_of, "months": months}
            fits = methods.fit_all(shop, patterns, names=(chosen,), **told)
            able = chosen in fits.models
        if able:
            return chosen, contests, fits
        without.add(chosen)


def _chances(
    shop: Shop, holdout: Look, seen: Sequence[chances.Window], chosen: str, first: date
) -> tuple[Chances, Chances, float]:
    """Chances of the chosen model as windows that are over teach them; the same as known before the test; widening."""
    model = holdout.fits.models.get(chosen)
    if model is None:
        return Chances(), Chances(), 1.0
    learning = methods.taught(shop, first=first)
    likely = chances.judge(seen, learning)
    likely = chances.go_on(likely, learning, patterns=holdout.patterns, model=model, days=holdout.days)
    then = chances.as_of(likely, learning, model=model)
    return likely, then, ranges.widening(model, then, holdout.patterns, days=holdout.days)


def _split(holdout: Look, chosen: str, then: Chances) -> Floats:
    """What the chosen method expected of each row, shared out as the chances known then would have it."""
    model = holdout.fits.models.get(chosen)
    if model is None or then.mending is None:
        return holdout.expected[chosen]
    return then.orders(model, holdout.patterns, days=holdout.days)


def _span(shop: Shop, *, until: date) -> tuple[date | None, date | None]:
    days = shop_facts.purchase_days(shop)
    days = days.filter(days["day"] < ibis.literal(until))
    row = shop.fetch(days.aggregate(first=days["day"].min(), last=days["day"].max())).iloc[0]
    if pd.isna(row["first"]):
        return None, None
    return pd.Timestamp(row["first"]).date(), pd.Timestamp(row["last"]).date()


def _starts(first: date, start: date, days: int, least: int, *, overlap: bool = False) -> list[date]:
    """Days to look from, before `start` (with `overlap` on it too), with at least `least` days of past.

    Long windows overlap, or no shop would have more than one.
    """
    step = max(days // 4, 7) if overlap or days > _QUARTER else days
    begins = [start - timedelta(days=k * step) for k in range(0 if overlap else 1, _MOST_CUTS)]
    return [begin for begin in begins if (begin - first).days >= least]


def _looks(shop: Shop, begins: Sequence[date], days: int, time_unit: TimeUnit, months: pd.DataFrame) -> list[Look]:
    """Looks from those days on which there was enough to fit."""
    found = []
    for begin in begins:
        with contextlib.suppress(NotEnoughData):
            end = begin + timedelta(days=days)
            found.append(look(shop, start=begin, end=end, time_unit=time_unit, months=months))
    return found


def _cuts(looks: Sequence[Look], method: str) -> tuple[Cut, ...]:
    return tuple(
        Cut(start=at.start, end=at.end, forecast=at.total(method), actual=at.actual, own=at.own_deviation(method))
        for at in looks
        if method in at.expected
    )


def _errors(cuts: Sequence[Cut]) -> Errors:
    return errors_of([cut.actual for cut in cuts], [cut.forecast for cut in cuts], [cut.own for cut in cuts])


def _sales(shop: Shop, holdout: Look, split: Floats) -> tuple[tuple[SpendModel, ...], SpendModel | None, pd.DataFrame]:
    """Ways of telling spend, the one that came closer to what buyers of the holdout spent; what it said, and what came.

    Gamma-Gamma unless own averages, shrunk, are clearly closer by Gamma deviance of a purchase day's amount.
    """
    history = shop_facts.customer_history(shop, until=holdout.start)
    later = shop_facts.later_purchases(shop, start=holdout.start, end=holdout.end)
    later = later.select("customer_id", later="revenue", days="purchases")
    rows = history.left_join(later, "customer_id").select(
        *HISTORY, "revenue", "repeat_revenue", later=ibis._["later"].fill_null(0), days=ibis._["days"].fill_null(0)
    )
    people = shop.fetch(rows.order_by(*HISTORY, "repeat_revenue", "revenue", "later"), max_rows=20_000_000)
    tried = (spend_of(people, until=holdout.start, name=name) for name in (GAMMA_GAMMA, SHRUNK))
    models = tuple(model for model in tried if model is not None)
    if not models:
        return (), None, pd.DataFrame({"said": [np.nan], "came": np.nan, "big": True})
    told, large = zip(*(model.per_order(people) for model in models), strict=True)
    came, days = people["later"].to_numpy(float), people["days"].to_numpy(float)
    best = 0
    some = (came > 0) & (days > 0) & (np.min(told, axis=0) > 0)
    if len(told) > 1 and some.sum() > 1:
        each = came[some] / days[some]
        loss = [np.log(mean[some]) + each / mean[some] for mean in told]
        apart = days[some] * (loss[1] - loss[0])
        best = int(apart.mean() + 1.96 * apart.std() / np.sqrt(some.sum()) < 0)
    mean = holdout.patterns[HISTORY].assign(mean=split).drop_duplicates(HISTORY)
    purchases = people.merge(mean, on=HISTORY, how="left")["mean"].to_numpy(float)
    return models, models[best], pd.DataFrame({"said": purchases * told[best], "came": came, "big": large[best]})


def off_words(off: float) -> str:
    """How far a forecast was off: '4% too high'.

    >>> off_words(0.038), off_words(-0.2), off_words(0.001), off_words(float("inf"))
    ('4% too high', '20% too low', 'within 1%', 'wrong: nothing came')
    """
    if not np.isfinite(off):
        return "wrong: nothing came"
    if abs(off) < 0.01:
        return "within 1%"
    return f"{formats.share(abs(off))} too {'high' if off > 0 else 'low'}"
