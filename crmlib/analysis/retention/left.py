"""Who left, and which share of each month's customers stayed?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.retention.facts import MAX_CUSTOMERS, YEAR, Limits, leaving, months, standing
from crmlib.findings import Change, Metric, Part
from crmlib.shop.facts import has_costs
from crmlib.shop.shop import Shop
from crmlib.stats import compare, surely
from crmlib.stats.intervals import share_interval

_OPEN = 0.05  # share of a month's customers about whom it is too early to tell, from which on the month is not known
_LEAST_MONTH = 20
_PAUSED = "paused unusually long"
_SHOWN_MONTHS = 36


@dataclass(frozen=True)
class Left:
    """Who left in the last span, beside the span before as it was known at its end.

    base, left, once    customers there were, who of them left, and of those after a single purchase
    before              the same three of the span before, and who bought since; None where the shop is too young
    months              month, customers, stayed, left, open, share, low, high, known, and shares exact and rolling
    people              everybody who has left, a row each, as `facts.standing` has them
    called              what their money is called: margin, or sales
    """

    __repr__ = formats.outline

    at: Limits
    base: int
    left: int
    once: int
    before: tuple[int, int, int, int] | None
    months: pd.DataFrame
    people: pd.DataFrame
    called: str

    @property
    def share(self) -> float | None:
        """Share of the customers there were who left."""
        return self.left / self.base if self.base else None

    @property
    def paid(self) -> bool:
        """Does the data say what they paid?"""
        return not self.at.few and bool(self.people["money"].notna().any())

    @property
    def lately(self) -> pd.DataFrame:
        """Those of `people` who left in the last span."""
        return self.people[self.people["over"] <= self.at.span]


def left(shop: Shop, at: Limits) -> Left:
    """Who is silent for longer than 95 of 100 gaps beside their own rhythm, and since when?

    >>> found = left(store, limits(store))
    >>> found.left == len(found.lately)
    True
    """
    called = "margin" if has_costs(shop) else "sales"
    if at.few:
        return Left(at, 0, 0, 0, None, pd.DataFrame(), pd.DataFrame({"over": []}), called)
    spans = shop.fetch(leaving(shop, at)).set_index("back")
    now, then = spans.loc[0], spans.loc[at.span]
    # Nobody can have left a shop that had been selling for less than a limit.
    young = then["first"] < 2 * at.span + at.once or then["base"] < _LEAST_MONTH
    people = shop.fetch(standing(shop, at), max_rows=MAX_CUSTOMERS).sort_values("customer_id", ignore_index=True)
    return Left(
        at, int(now["base"]), int(now["left"]), int(now["once"]),
        None if young else (int(then["base"]), int(then["left"]), int(then["once"]), int(then["returned"])),
        _known(shop.fetch(months(shop, at)), at), people, called,
    )  # fmt: skip


def _known(rows: pd.DataFrame, at: Limits) -> pd.DataFrame:
    """Shares of each month with a range; of a month too young to tell, between what is sure and what is possible."""
    n, stayed, early = (rows[name].to_numpy(float) for name in ("customers", "stayed", "open"))
    known = early <= _OPEN * n
    running = pd.to_datetime(rows["month"]).dt.to_period("M") == pd.Timestamp(at.day).to_period("M")
    known &= ~running.to_numpy()
    low, high = share_interval(stayed, n - np.where(known, early, 0))
    # The month after the last whole one is not over: what was bought in it so far is no month's.
    over = pd.to_datetime(rows["month"]) + pd.DateOffset(months=2) <= pd.Timestamp(at.day)
    share = np.where(known, stayed / np.maximum(n - early, 1), np.nan)
    return rows.assign(
        left=rows["customers"] - rows["stayed"] - rows["open"], share=share,
        low=np.where(known, low, stayed / n), high=np.where(known, high, (stayed + early) / n), known=known,
        **{name: (rows[name] / n).where(over) for name in ("exact", "rolling")},
    )  # fmt: skip


def part_left(found: Left, *, currency: str, silent: bool = False) -> Part:
    """The finding: how many left, or are only `silent` where most come back unasked, and the share of each month's."""
    metrics = _metrics(found, currency, silent=silent)
    if found.at.few:
        return Part(metrics=metrics)
    rows = found.months[found.months["customers"] >= _LEAST_MONTH].tail(_SHOWN_MONTHS)
    known = rows[rows["known"]]
    shown = rows.assign(what=np.where(rows["known"], "known", "not yet known"))
    title, sentence = _title(found, _PAUSED if silent else "left"), f"{_sentence(known)}."
    if found.before is None and len(known):  # then the title would say what the headline says
        title, sentence = _sentence(known), ""
    gone = rows.assign(share=1 - rows["share"], low=1 - rows["high"], high=1 - rows["low"])
    early = rows.loc[~rows["known"], "month"]
    return Part(
        title=title, sentence=sentence, metrics=metrics,
        chart=figures.line(
            gone, x="month", y="share", low="low", high="high", what=f"share of that month's buyers who {_PAUSED}",
            form=formats.share, mark=(pd.Timestamp(early.iloc[0]), "not yet known") if len(early) else None,
            table=figures.tabulate(
                shown[::-1].assign(month=[f"{pd.Timestamp(day):%B %Y}" for day in shown["month"][::-1]]),
                caption="Customers of each month, by whether they bought again within their own limit. Exact: bought "
                "in the very next month. Rolling: bought in it or any later month, so far",
                labels={"month": "Month", "customers": "Customers", "stayed": "Within it", "left": "Paused longer",
                        "open": "Too early to tell", "share": "Share within it", "what": "Month is", "exact": "Exact",
                        "rolling": "Rolling"},
                formats={"customers": formats.people, "stayed": formats.people, "left": formats.people,
                         "open": formats.people} | dict.fromkeys(["share", "exact", "rolling"], formats.share),
                file="tables/months.csv", rows=40,
            ),
        ),
        tables={"months": found.months}, certain=[_rule(found, silent=silent)], changes=_changes(found),
    )  # fmt: skip


def _title(found: Left, went: str) -> str:
    if not found.base:
        return f"Nobody bought in {wording.span(found.at.span)}"
    if found.before is None or not found.before[0]:
        return f"{formats.share(found.share)} of customers {went} in {wording.span(found.at.span)}"
    way, before = _beside(found), _against(found.at)
    if not way:
        return f"About the same share {went} as {before}"
    return f"A {'larger' if way > 0 else 'smaller'} share {went} than {before}"


def _beside(found: Left) -> int:
    """1 where a larger share left than before, −1 where a smaller one did, 0 where that may be chance."""
    if found.before is None or not found.before[0]:
        return 0
    low, high = compare.difference_interval(found.left, found.base, found.before[1], found.before[0])
    return 1 if low > 0 else -1 if high < 0 else 0


def _sentence(known: pd.DataFrame) -> str:
    """Of a month's buyers also those count who have come back since."""
    if known.empty:
        return "No month is old enough to say who of its customers stayed"
    last = known.iloc[-1]
    gone = formats.share(1 - last["share"])
    return f"{gone} of {pd.Timestamp(last['month']):%B %Y}’s buyers {_PAUSED}"


def _rule(found: Left, *, silent: bool) -> str:
    at = found.at
    said = (
        f"{'They are' if silent else 'Left:'} silent for longer than 95 of 100 pauses at such a rhythm; after a single "
        f"order, for over {wording.counted(at.once, 'day')}."
    )
    if found.before is None or not found.before[1]:
        return said
    ago = "a year ago" if at.span == YEAR else f"{wording.span(at.span)} ago"
    return f"{said} Of those who had left {ago}, {formats.share(found.before[3] / found.before[1])} have bought since."


def _changes(found: Left) -> list[Change]:
    """The share beside that of before, where they differ beyond chance: the tile says it anyway."""
    if not _beside(found) or found.before is None or found.share is None:
        return []
    was = found.before[1] / found.before[0]
    said = wording.change(found.share, was, "share", against=_against(found.at))
    size = surely(*compare.ratio_interval(found.left, found.base, found.before[1], found.before[0]))
    return [Change(text=f"The share of customers who left is {said}.", size=size, better=found.share < was)]


def _against(at: Limits) -> str:
    return "the year before" if at.span == YEAR else f"the {at.span} days before"


def _metrics(found: Left, currency: str, *, silent: bool) -> list[Metric]:
    before, there = found.before, not found.at.few
    within = f"in the last {found.at.span} days"
    lost = float(found.lately["money"].sum()) if found.paid else None
    against = _against(found.at) if before else ""
    tile = there and found.base > 0
    n, after = found.left, f"{formats.number(found.once)} after a single order"
    low, high = map(float, share_interval(n, found.base)) if tile else (None, None)
    return [
        Metric(
            id="left", label="Silent unusually long" if silent else "Customers who left",
            value=n if there else None, unit="customers", n=found.base or None,
            headline=tile, before=before[1] if before else None, against=against, note=after,
            definition=f"customers whose silence passed their own limit {within} and lasts: the gap beside their "
            "rhythm by which 95% of closed gaps had closed",
        ),
        Metric(
            id="left_share", label="Share silent" if silent else "Share of customers who left", unit="share",
            value=found.share if there else None, low=low, high=high,
            n=found.base or None, headline=tile, before=before[1] / before[0] if before and before[0] else None,
            against=against, definition=f"of customers who had not left before, or bought {within}",
        ),
        Metric(
            id="left_once", label="Left after a single order", value=found.once if there else None, unit="customers",
            n=n if there else None, before=before[2] if before else None, against=against,
            definition="those of them who had bought on one day only",
        ),
        Metric(
            id="left_money", label=f"{wording.upper(found.called)} they brought", unit=currency or "amount",
            value=lost, n=n if there else None, headline=bool(lost),
            note="in their last year",
            definition=f"{found.called} of the 365 days up to their last purchase, of those who left {within}",
        ),
    ]  # fmt: skip
