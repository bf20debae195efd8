"""Which kinds of customers are there? A partition with cuts that are printed: everybody is in exactly one kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crmlib import formats, wording
from crmlib.analysis.customers.facts import Profiles
from crmlib.errors import UsageError

TOP = 0.1
_MOST_TOP = 0.2  # with more than that above the cut nobody stands out
_NO_GAPS_DAYS = 180

BEST, REGULAR, RETURNING, NEW = "best", "regular", "returning", "new"
BEST_QUIET, QUIET, ONCE = "best, gone quiet", "repeat, gone quiet", "one order only"
# From the best to the least: a move up is a move towards the first.
KINDS = (BEST, REGULAR, RETURNING, NEW, BEST_QUIET, QUIET, ONCE)
STAGES = ("new", "active", "late", "gone")


@dataclass(frozen=True)
class Cuts:
    """Where one kind ends and the next begins; the same cuts on every date that is compared.

    late_days   silent for longer than half of gaps between purchases in this shop, each customer counted once
    quiet_days  silent for longer than 95 % of them
    regular     purchase days from which a customer is a regular
    best        what the year up to the last purchase has to have brought for one of the best; inf: nobody is
    brought     what that is: margin where costs are known, else sales
    """

    __repr__ = formats.outline

    late_days: int
    quiet_days: int
    regular: int
    best: float
    brought: str = "sales"


def cuts(profiles: Profiles, *, quiet_days: int = 0, regular: int = 3) -> Cuts:
    """Cuts that come from the shop itself: its own gaps between purchases, and the top tenth of those still buying.

    `quiet_days` 0 takes the shop's own. Ties stay together: where the top would hold more than a fifth, nobody is best.

    >>> cuts(profiles).quiet_days
    180
    """
    if quiet_days < 0 or regular < 2:
        raise UsageError(f"quiet_days must be 0 or more, and regular 2 or more; they are {quiet_days} and {regular}")
    gaps, own = profiles.gaps, (_NO_GAPS_DAYS // 2, _NO_GAPS_DAYS)
    if len(gaps):
        reached = (gaps["w"].cumsum() / gaps["w"].sum()).to_numpy()
        own = (
            int(gaps["gap"].iloc[np.searchsorted(reached, 0.5)]),
            int(gaps["gap"].iloc[np.searchsorted(reached, 0.95)]),
        )
    quiet = quiet_days or own[1]
    frame = profiles.frame
    still = frame.loc[frame["silent_days"].le(quiet) & frame["last_year"].gt(0), "last_year"].round(2)
    best = float(still.quantile(1 - TOP, interpolation="higher")) if len(still) else np.inf
    if len(still) and (still >= best).mean() > _MOST_TOP:
        best = np.inf
    return Cuts(min(own[0], quiet), quiet, regular, best, profiles.brought)


def kinds(frame: pd.DataFrame, at: Cuts) -> pd.Series:
    """The kind of each row of `Profiles.frame`: each is in exactly one, as `rules` says.

    >>> set(kinds(profiles.frame, cuts(profiles))) <= set(KINDS)
    True
    """
    quiet, best = frame["silent_days"] > at.quiet_days, frame["last_year"].round(2) >= at.best
    again, regular = frame["purchases"] >= 2, frame["purchases"] >= at.regular
    tests = {
        BEST_QUIET: quiet & best, QUIET: quiet & again, ONCE: quiet, BEST: best, REGULAR: regular, RETURNING: again,
    }  # fmt: skip
    chosen = np.select(list(tests.values()), list(tests), default=NEW)
    return pd.Series(pd.Categorical(chosen, categories=KINDS, ordered=True), index=frame.index)


def stages(frame: pd.DataFrame, at: Cuts) -> pd.Series:
    """Where each customer stands: new (one recent purchase), active, late (beyond half of all gaps) or gone.

    >>> set(stages(profiles.frame, cuts(profiles))) <= set(STAGES)
    True
    """
    silent = frame["silent_days"]
    chosen = np.select(
        [silent > at.quiet_days, frame["purchases"] < 2, silent > at.late_days],
        ["gone", "new", "late"],
        default="active",
    )
    return pd.Series(pd.Categorical(chosen, categories=STAGES, ordered=True), index=frame.index)


def rules(at: Cuts, currency: str) -> dict[str, str]:
    """What makes somebody one of each kind, in words; without the best where nothing separates them.

    >>> rules(cuts(profiles), "EUR")["one order only"]
    'one purchase day, over 180 days ago'
    """
    cents = 2 if at.best % 1 else 0  # whoever recounts must find the same people
    amount = f"{formats.money(at.best, currency, digits=cents)} of {at.brought}" if np.isfinite(at.best) else ""
    more = f"{at.regular} purchase days or more"
    two = "2 purchase days" if at.regular == 3 else f"2 to {at.regular - 1} purchase days"
    last = f"the last at most {wording.counted(at.quiet_days, 'day')} ago"
    ago = f"the last over {wording.counted(at.quiet_days, 'day')} ago"
    but = ", not best" if amount else ""
    found = {
        BEST: f"at least {amount} in the year up to the last purchase, {last}",
        REGULAR: f"{more}, {last}{but}",
        RETURNING: f"{two}, {last}{but}",
        NEW: f"one purchase day, at most {wording.counted(at.quiet_days, 'day')} ago{but}",
        BEST_QUIET: f"at least {amount} in the year up to the last purchase, {ago}",
        QUIET: f"2 purchase days or more, {ago}{but}",
        ONCE: f"one purchase day, over {wording.counted(at.quiet_days, 'day')} ago{but}",
    }
    if not amount:
        del found[BEST], found[BEST_QUIET]
    if at.regular == 2:
        del found[RETURNING]
    return found


def separates(frame: pd.DataFrame, at: Cuts) -> bool:
    """Is there more than one kind at all?"""
    return kinds(frame, at).nunique() > 1


def called(kind: str, count: int) -> str:
    """People of a kind, as a sentence has them.

    >>> called("best, gone quiet", 1), called("new", 20)
    ('1 best customer gone quiet', '20 new customers')
    """
    customer = wording.noun(count, "customer")
    said = {
        BEST_QUIET: f"best {customer} gone quiet", QUIET: f"repeat {customer} gone quiet",
        ONCE: f"{customer} with one old order",
    }  # fmt: skip
    return f"{formats.number(count)} {said.get(kind, f'{kind} {customer}')}"
