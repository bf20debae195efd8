"""What had those who left in common? They are compared with customers who stayed and were alike until then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import figures, formats, wording
from crmlib.analysis.retention.exposures import ASKED, Window, exposed
from crmlib.analysis.retention.facts import CLASSES, Limits
from crmlib.findings import Part, Signal
from crmlib.shop.shop import Shop
from crmlib.stats.corrections import adjust
from crmlib.stats.strata import matched

LEVEL = 0.05
_LEAST = 30  # of those who left, and of those who stayed, below which nothing is compared
_LEAST_HAVE = 10  # of both together, below which a reason is not looked at
_MOST_VALUES = 8
_MATCHED = 0.8
_COLUMNS = ["reason", "left", "stayed", "ratio", "low", "high", "q_value", "customers", "goes_with", "key"]
_TRAITS = {"first_product": "first ordered", "first_channel": "first ordered through", "first_coupon": "first ordered",
           "acquisition_channel": "came from"}  # fmt: skip


@dataclass(frozen=True)
class Common:
    """What those who left had in common, beside those who stayed.

    table    reason, left and stayed (shares, alike in time, orders so far, spend and tenure), ratio, low, high, q_value
             (Benjamini and Hochberg over all looked at), customers (who left and had it), goes_with (another reason
             that accounts for it), key; the clearest first
    people   customer_id and, for each key, whether they have it; only of those who left
    left, stayed, alike  customers compared, and the share of those who left that had somebody alike
    lacking  what the data does not say
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    people: pd.DataFrame
    left: int
    stayed: int
    alike: float
    window: Window
    lacking: tuple[str, ...]

    @property
    def clear(self) -> pd.DataFrame:
        """Reasons more frequent among those who left, beyond chance and not explained by another one."""
        rows = self.table
        return rows[(rows["q_value"] < LEVEL) & (rows["ratio"].fillna(np.inf) > 1) & (rows["goes_with"] == "")]


def common(shop: Shop, at: Limits) -> Common:
    """Which experiences and beginnings had those who left in common, more often than those who stayed?

    The last purchase before leaving is compared with purchases after which their customer stayed, by what had happened
    `at.landmark` days later; those followed by another before that are left out, so that nobody had more time for
    trouble than others. Shares and ratios are those within strata of the same month, number of purchases, spend and
    tenure; one purchase a customer on each side.

    >>> list(common(store, limits(store)).table.columns[:7])
    ['reason', 'left', 'stayed', 'ratio', 'low', 'high', 'q_value']
    """
    nothing = pd.DataFrame(columns=_COLUMNS)
    if at.few:
        return Common(nothing, pd.DataFrame({"customer_id": []}), 0, 0, 0.0, Window(0, 0), ())
    frame, window = exposed(shop, at)
    lacking = tuple(name for name in ASKED if name not in frame)
    group = frame["left"].to_numpy(bool)
    n, rest = int(group.sum()), int((~group).sum())
    if min(n, rest) < _LEAST:
        return Common(nothing, frame.loc[group, ["customer_id"]], n, rest, 0.0, window, lacking)
    stratum, alike = _strata(frame, group)
    has = {key: (reason, column) for key, reason, column in _asked(frame, window)}
    table = _compare(has, group, stratum)
    people = pd.DataFrame({"customer_id": frame["customer_id"], **{key: column for key, (_, column) in has.items()}})
    return Common(table, people[group].reset_index(drop=True), n, rest, alike, window, lacking)


def _strata(frame: pd.DataFrame, group: NDArray[np.bool_]) -> tuple[NDArray[np.int64], float]:
    """Groups of customers alike in time, purchases so far, spend and tenure, as fine as most who left allow."""
    kind = np.searchsorted(CLASSES, frame["number"].to_numpy(), side="right")
    each = (frame["spent"] / frame["number"]).fillna(0)
    spend = (each.groupby(kind).rank(pct=True) * 3).clip(upper=2.999).astype(int)
    tenure = np.searchsorted((1, 90, 365), frame["behind"].to_numpy(), side="right")
    days = pd.to_datetime(frame["day"])
    for time in (days.dt.to_period("M"), days.dt.to_period("Q"), days.dt.year * 0):
        code = pd.DataFrame({"time": time, "kind": kind, "spend": spend, "tenure": tenure})
        stratum = code.groupby(list(code.columns)).ngroup().to_numpy(np.int64)
        others = np.bincount(stratum[~group], minlength=stratum.max() + 1)[stratum[group]]
        alike = float((others > 0).mean())
        if alike >= _MATCHED:
            break
    return stratum, alike


def _asked(frame: pd.DataFrame, window: Window) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Each thing looked at: its key, in words, and who has it."""
    for name in ASKED:
        if name in frame:
            yield name, said(name, window), frame[name].to_numpy(bool)
    for column, begins in _TRAITS.items():
        if column not in frame:
            continue
        values = frame[column].fillna("").astype(str)
        often = list(values[values != ""].value_counts().head(_MOST_VALUES).index)
        # Of two values that are all there is, one says what the other does.
        for value in often[:1] if len(often) == 2 and not (values == "").any() else often:
            yield f"{column}={value}", f"{begins} {value.replace('_', ' ')}", (values == value).to_numpy()


def said(key: str, window: Window) -> str:
    """What happened to somebody, as it follows 'they'."""
    return {
        "late delivery": f"had a parcel that took over {wording.counted(window.late, 'day')}",
        "refund": "had money refunded", "ticket": "wrote to service",
        "slow answer": "waited over 2 days for service", "unhappy text": "wrote an unhappy text",
        "dearer": "bought what became dearer", "sold out": "bought what then was no longer sold",
    }[key]  # fmt: skip


def _compare(
    has: dict[str, tuple[str, NDArray[np.bool_]]], group: NDArray[np.bool_], stratum: NDArray[np.int64]
) -> pd.DataFrame:
    rows, least = [], []
    for key, (reason, column) in has.items():
        if not _LEAST_HAVE <= column.sum() <= len(column) - _LEAST_HAVE:
            continue
        found = matched(column, group, stratum)
        rows.append((reason, found.one, found.other, found.ratio, found.low, found.high, np.nan,
                     int((column & group).sum()), "", key))  # fmt: skip
        least.append(found.p_value)
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table["q_value"] = adjust(least, method="fdr_bh") if rows else table["q_value"].astype(float)
    table = table.assign(_p=least).sort_values("_p", kind="stable", ignore_index=True).drop(columns="_p")
    # The clearest is taken first; a later one stays only if it holds among people alike in those taken before, too.
    taken: list[str] = []
    finer = stratum.copy()
    for row in table[table["q_value"] < LEVEL].itertuples():
        column = has[str(row.key)][1]
        if taken and not matched(column, group, finer).p_value < LEVEL:
            table.loc[row.Index, "goes_with"] = taken[0]
            continue
        taken.append(str(row.reason))
        finer = np.unique(np.column_stack([finer, column]), axis=0, return_inverse=True)[1].reshape(-1)
    return table


def part_common(found: Common) -> Part:
    """The finding: what those who left had in common more often than those who stayed; no cause is claimed."""
    rows = found.table
    tables = {"reasons": rows[[name for name in _COLUMNS if name != "key"]]}
    if rows.empty:
        title, why = _nothing(found)
        lacking = pd.DataFrame({"what": [wording.upper(name) for name in found.lacking]})
        chart = figures.table(lacking, caption=why, labels={"what": "Not in the data"}) if len(lacking) else None
        return Part(title=title, sentence="" if chart else why, chart=chart, tables=tables)
    clear = found.clear
    shown = rows.assign(strong=rows["key"].isin(clear["key"]))
    signals = [
        Signal(id=f"left_{row.key}", text=f"Those who left {row.reason} more often.",
               gone=f"Those who left no longer more often {row.reason}.")
        for row in clear.head(3).itertuples()
    ]  # fmt: skip
    return Part(
        title=_title(clear),
        sentence=_sentence(found),
        chart=figures.dots(
            shown, label="reason", value="ratio", low="low", high="high", strong="strong", reference=1.0, log=True,
            form=formats.multiple, what="times as often as those who stayed", rows=8,
            table=figures.tabulate(
                shown, caption="What those who left had in common, and those who stayed",
                labels={"reason": "What", "left": "Of those who left", "stayed": "Of those who stayed",
                        "ratio": "Ratio", "low": "From", "high": "To", "q_value": "Corrected p",
                        "goes_with": "Explained by"},
                formats={"left": lambda v: formats.share(v, digits=1), "stayed": lambda v: formats.share(v, digits=1),
                         "ratio": formats.multiple, "low": formats.multiple, "high": formats.multiple,
                         "q_value": lambda v: "<0.001" if v < 0.001 else formats.number(v, digits=3)},
                file="tables/reasons.csv",
            ),
        ),
        tables=tables, signals=signals,
        certain=[f"Compared are {formats.people(found.left)} who left, some of whom are back, with others alike in "
                 "time, orders so far, spend and tenure. What they had in common need not be why they left: only an "
                 "experiment tells."],
        method=[_method(found)],
    )  # fmt: skip


def _nothing(found: Common) -> tuple[str, str]:
    """Why nothing was compared; no words where nobody left."""
    if not found.left:
        return "", ""
    title = "What those who left had in common is not known"
    if min(found.left, found.stayed) < _LEAST:
        there = f"{formats.number(found.left)} and {formats.number(found.stayed)}"
        return title, f"It takes {_LEAST} who left and {_LEAST} who stayed; there are {there}."
    return title, "The data says too little of deliveries, refunds, service, reviews, prices and channels."


def stood_out(found: Common) -> str:
    """What stood out most among those who left, in a sentence; '' where nothing did.

    >>> stood_out(common(store, limits(store)))
    ''
    """
    clear = found.clear
    if clear.empty:
        return ""
    top = clear.iloc[0]
    left, stayed = (formats.share(top[name], digits=0 if top["stayed"] >= 0.02 else 1) for name in ("left", "stayed"))
    if np.isnan(top["ratio"]):
        return f"{left} of leavers compared {top['reason']}, and nobody like them who stayed did."
    return f"{left} of leavers compared {top['reason']}, {stayed} of similar customers who stayed."


def _title(clear: pd.DataFrame) -> str:
    if clear.empty:
        return "Nothing we looked at was clearly more common among those who went silent"
    return f"Those who left {clear.iloc[0]['reason']} more often"


def _sentence(found: Common) -> str:
    clear = found.clear
    if clear.empty:
        n = len(found.table)
        return f"{wording.upper(wording.counted(n, 'thing'))} {wording.noun(n, 'was', 'were')} compared."
    more = wording.listed(clear["reason"].iloc[1:], most=2)
    return f"They also more often {more}." if more else ""


def _method(found: Common) -> str:
    return (
        f"{wording.upper(wording.counted(found.left, 'customer'))} who left, also those who have come back since, "
        f"beside {formats.number(found.stayed)} who stayed, by what had happened "
        f"{wording.counted(found.window.landmark, 'day')} after a purchase; "
        f"{formats.share(found.alike)} of those who left had somebody of the same month, number of purchases, spend "
        "and tenure. Mantel–Haenszel ratios with Greenland–Robins intervals; p corrected by Benjamini–Hochberg."
    )
