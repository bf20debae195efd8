"""How large are baskets, and do more of them hold several products than a year ago?"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.baskets.facts import WORDS, Baskets, tally
from crmlib.findings import Caveat, Change, Chart, Metric, Part
from crmlib.stats import surely

_LARGEST = 10  # from here on sizes share a bar
_YEAR = timedelta(days=365)
_KEPT = "Kept orders with at least one line of positive quantity, guests and single items included."
_CLEAR = 1.96  # standard errors between two years, from which a change is told


def part_sizes(baskets: Baskets) -> Part:
    """How many baskets hold several products, and how does that compare with the year before?"""
    _, many = WORDS[baskets.level]
    several = int((baskets.sizes >= 2).sum())
    every = baskets.n + baskets.undrawn + len(baskets.wholesale)
    places = baskets.sizes * (baskets.sizes - 1)
    large = baskets.sizes >= _LARGEST
    weight = float(places[large].sum() / places.sum()) if places.sum() else 0.0
    sentence = "In large baskets more meets by chance, so each pair is judged given basket size."
    if weight > large.mean():
        sentence = (
            f"Baskets of {_LARGEST} or more are {formats.share(float(large.mean()), digits=1)} of all but hold "
            f"{formats.share(weight)} of all pairs, so each pair is judged given basket size."
        )
    lately, changes = _lately(baskets, many)
    return Part(
        title=f"{formats.share(several / baskets.n)} of baskets hold two or more {many}",
        sentence=sentence,
        detail=True,
        chart=_chart(baskets),
        metrics=[
            *lately,
            replace(tally("baskets", "Baskets", every, every, _KEPT, unit="baskets"), running=True),
            tally("multiple_share", f"Baskets with two or more {many}, all years", several / baskets.n, baskets.n,
                  f"Share of baskets with at least two different {many}.", unit="share"),
            tally("items", f"Different {many}", baskets.items, baskets.n, "Distinct items.", unit="items")
        ],
        changes=changes,
        caveats=[Caveat(text=text) for text in _limits(baskets) if text],
    )  # fmt: skip


def _chart(baskets: Baskets) -> Chart:
    _, many = WORDS[baskets.level]
    counts = np.bincount(np.minimum(baskets.sizes, _LARGEST), minlength=_LARGEST + 1)[1:]
    labels = [*(str(size) for size in range(1, _LARGEST)), f"{_LARGEST}+"]
    table = pd.DataFrame({"size": labels, "baskets": counts, "share": counts / baskets.n})
    return figures.columns(
        table,
        period="size",
        value="share",
        what=f"share of baskets, by {many} in them",
        form=formats.share,
        table=figures.tabulate(
            table,
            caption=f"Baskets by number of different {many}",
            labels={"size": wording.upper(many), "baskets": "Baskets", "share": "Share"},
            formats={"baskets": formats.number, "share": lambda v: formats.share(v, digits=1)},
        ),
    )


def _lately(baskets: Baskets, many: str) -> tuple[list[Metric], list[Change]]:
    """The share of the last twelve months as a tile, beside the year before where there is one, and the change if
    clear."""
    if baskets.as_of is None or baskets.days.isna().any():
        return [], []
    several, days = pd.Series(baskets.sizes >= 2, index=baskets.days.index), baskets.days.dt.date
    start: date = baskets.as_of - _YEAR
    now, before = several[days >= start], several[(days < start) & (days >= start - _YEAR)]
    whole = len(before) > 0 and days.min() <= start - _YEAR + timedelta(days=31)
    if now.empty:
        return [], []
    by_month = several.groupby(baskets.days.dt.to_period("M").dt.start_time).mean()
    by_month = by_month[by_month.index < pd.Timestamp(baskets.as_of.replace(day=1))].tail(24)
    tile = Metric(
        id="multiple_share_12m", label=f"Baskets with two or more {many}", value=float(now.mean()), unit="share",
        n=len(now),
        headline=True, before=float(before.mean()) if whole else None, against="the year before",
        history=tuple((month.date().isoformat(), float(value)) for month, value in by_month.items()),
        definition=f"Share of the last 365 days' baskets with at least two different {many}.",
    )  # fmt: skip
    if not whole:
        return [tile], []
    gap, both = float(now.mean() - before.mean()), pd.concat([now, before]).mean()
    error = float(np.sqrt(both * (1 - both) * (1 / len(now) + 1 / len(before))))
    if abs(gap) <= _CLEAR * error:
        return [tile], []
    moved = wording.change(float(now.mean()), float(before.mean()), "share")
    ends = (1 + (gap + side * _CLEAR * error) / max(float(before.mean()), error) for side in (-1, 1))
    text = f"{formats.share(float(now.mean()))} of baskets hold two or more {many}, {moved} on the year before."
    return [tile], [Change(text=text, size=surely(*ends), better=gap > 0)]


def _limits(baskets: Baskets) -> tuple[str, ...]:
    empty = int((baskets.sizes == 0).sum())
    return (
        f"The shop has more baskets than can be compared: one customer in {baskets.one_in} was chosen at random. "
        "Shares and multiples hold for all; counts and lists are of those chosen."
        if baskets.one_in > 1
        else "",
        wording.sentences(
            f"{formats.share(baskets.guests / baskets.n)} of baskets have no customer; each counts as somebody new."
            if baskets.guests
            else "",
            f"{wording.counted(empty, 'basket')} {wording.noun(empty, 'holds', 'hold')} nothing with a known "
            f"{baskets.level}."
            if empty
            else "",
        ),
        _wholesale(baskets),
        "Orders have no days here, so pairs made by the season are not recognised." if baskets.cut is None else "",
    )


def _wholesale(baskets: Baskets) -> str:
    """How many baskets were left out as wholesale, and what they hold; '' where none was."""
    if not baskets.wholesale:
        return ""
    count, (_, many) = len(baskets.wholesale), WORDS[baskets.level]
    low, high = (formats.number(end) for end in (baskets.wholesale[-1], baskets.wholesale[0]))
    held = high if low == high else f"{low} to {high}"
    return (
        f"{wording.upper(wording.counted(count, 'wholesale basket'))} of {held} {many} "
        f"{wording.noun(count, 'is', 'are')} counted but not compared: in {wording.noun(count, 'it', 'them')} "
        "everything meets."
    )
