"""How many come back, and by when? Cohorts side by side, each only as far as all of it is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.cohorts.change import Newest, Shift, month_name, moved
from crmlib.analysis.cohorts.facts import GROUPS, LEAST, MONTHS, Newcomers
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate
from crmlib.stats.intervals import share_interval

_LINES, _YEAR = 5, 12


def table(found: Newcomers) -> pd.DataFrame:
    """Contract's cohorts.csv: by, cohort, month (since the first order), customers, revenue, margin, repeat, low, high,
    mature.

    Of each month since the first order: those known that long, what they had brought by then in sum, and which share
    had bought again. `mature` is false for a month of first orders of which some are not known that long yet: what is
    there is of its oldest only, to be compared with nothing.
    """
    rows = pd.concat(
        [_rows(found.of("all"), by="month", cohort=found.of("all")["first"].dt.strftime("%Y-%m"))]
        + [_rows(rows, by=by, cohort=rows["cohort"]) for by in GROUPS if len(rows := found.of(by))],
        ignore_index=True,
    )  # fmt: skip
    if not rows["revenue"].any():  # orders without amounts
        rows[["revenue", "margin"]] = np.nan
    return rows


def _rows(cells: pd.DataFrame, *, by: str, cohort: pd.Series) -> pd.DataFrame:
    sums = cells.drop(columns=["by", "cohort", "first"]).groupby(cohort.rename("cohort")).sum().reset_index()
    parts = []
    for month in MONTHS:
        n, back = sums[f"n_{month}"], sums[f"back_{month}"]
        low, high = share_interval(back, n)
        parts.append(
            pd.DataFrame(
                {"by": by, "cohort": sums["cohort"], "month": month, "customers": n,
                 "revenue": sums[f"revenue_{month}"], "margin": sums[f"margin_{month}"],
                 "repeat": (back / n.where(n > 0)).astype(float), "low": low, "high": high,
                 "mature": (n == sums["n"]) if by == "month" else n > 0}
            )
        )  # fmt: skip
    return pd.concat(parts).sort_values(["cohort", "month"], ignore_index=True)


def periods(found: Newcomers) -> pd.DataFrame:
    """Newcomers by month, quarter or year of the first order, whichever gives a handful, in sums.

    Columns start, name and those of `Newcomers.cells`; whole: the period had ended by as_of.
    """
    rows = found.of("all")
    months = rows["first"].nunique()
    freq, name = ("M", "month") if months <= 6 else ("Q", "quarter") if months <= 48 else ("Y", "year")
    of = rows["first"].dt.to_period(freq)
    ends = rows.groupby(of)["first"]
    sums = rows.drop(columns=["by", "cohort", "first"]).groupby(of).sum().reset_index(names="start")
    sums["whole"] = sums["start"].dt.end_time < pd.Timestamp(found.as_of)
    sums["name"] = [_called(*both, name) for both in zip(ends.min(), ends.max(), strict=True)]
    return sums


def _called(first: pd.Timestamp, last: pd.Timestamp, name: str) -> str:
    """A period by the months in it that have newcomers: where the data begins in its middle, they are fewer."""
    if name == "year":
        return f"{first:%Y}"
    return f"{first:%B %Y}" if first == last else f"{first:%b}–{last:%b %Y}"


def repeat_year(found: Newcomers) -> tuple[Estimate | None, float | None]:
    """Which share of the newest year of newcomers that can be judged bought again within 12 months; and the year
    before them."""
    rows = found.of("all").sort_values("first")
    known = rows[(rows[f"n_{_YEAR}"] == rows["n"]) & (rows["n"] > 0)]
    if known.empty:
        return None, None
    last = known["first"].max()
    age = (last.year - known["first"].dt.year) * 12 + last.month - known["first"].dt.month
    lots = [known[(age >= start) & (age < start + 12)] for start in (0, 12)]
    (back, n), (back_then, n_then) = ((int(lot[f"back_{_YEAR}"].sum()), int(lot["n"].sum())) for lot in lots)
    if n < LEAST:
        return None, None
    low, high = share_interval(back, n)
    whole = age.max() >= 23 and n_then >= LEAST
    now = Estimate(value=back / n, low=float(low), high=float(high), unit="share", n=n)
    return now, back_then / n_then if whole else None


def part_curves(found: Newcomers, step: Shift, latest: Newest | None) -> Part:
    """The finding: the share who had come back by each month since the first order, youngest cohort marked."""
    sums = periods(found)
    lines = []
    for row in sums.itertuples():
        known = [month for month in MONTHS if month <= _YEAR and getattr(row, f"n_{month}") == row.n]
        if row.n >= LEAST and row.whole and len(known) > 1:
            lines += [(row.name, month, getattr(row, f"back_{month}") / row.n) for month in known]
    frame = pd.DataFrame(lines, columns=["cohort", "month", "share"])
    names = list(frame["cohort"].drop_duplicates())[-_LINES:]
    frame = frame[frame["cohort"].isin(names)]
    now, before = repeat_year(found)
    metrics = [
        Metric(id="cohorts", label="Cohorts", value=int((found.of("all")["n"] > 0).sum()), unit="cohorts",
               definition="months with a first order")
    ]  # fmt: skip
    if now is not None:
        metrics.append(
            Metric.of(now, id="repeat_12m", label="Newcomers back within a year", headline=True, before=before,
                      against="the year before" if before is not None else "",
                      definition="share who bought again within 365 days of the first order, of the newest twelve "
                      "months of newcomers all known that long")
        )  # fmt: skip
    return Part(
        title=_title(frame, names, moved(step, latest)), sentence=_sentence(found),
        chart=figures.line(
            frame, x="month", y="share", group="cohort", strong=names[-1] if names else "", form=formats.share,
            x_form=formats.number, across="Months since the first order", what="share who have come back",
            table=_numbers(sums, found),
        ) if names else figures.Chart(table=_numbers(sums, found)),
        metrics=metrics, tables={"cohorts": table(found)},
    )  # fmt: skip


def _title(frame: pd.DataFrame, names: list[str], differs: bool) -> str:
    """Where the youngest stands among the others, at the last month all of it is known."""
    if len(names) < 2:
        return "How many newcomers come back"
    if not differs:
        return "The newest customers do not clearly differ from earlier ones"
    at = frame[frame["cohort"] == names[-1]].iloc[-1]
    others = frame[(frame["month"] == at["month"]) & (frame["cohort"] != names[-1])]["share"]
    if at["share"] < others.min() or at["share"] > others.max():
        place = "below" if at["share"] < others.min() else "above"
        return f"The newest customers are {place} all {wording.small(len(others))} earlier groups"
    return "The newest customers lie among earlier ones"


def _sentence(found: Newcomers) -> str:
    """When they are lost: of months all known for a year, or as far as there are any."""
    rows = found.of("all")
    year, month = (rows[rows[f"n_{age}"] == rows["n"]] for age in (_YEAR, 1))
    if month.empty:
        return "Nobody is known for a month yet."
    if year.empty:
        return f"{formats.share(month['back_1'].sum() / month['n'].sum())} of newcomers come back within a month."
    n, soon, later = (float(year[name].sum()) for name in ("n", "back_3", f"back_{_YEAR}"))
    rest = f"; of the rest, {formats.share((later - soon) / (n - soon))} later" if n > soon else ""
    won = f"Of those won up to {month_name(year['first'].max())}"
    return f"{won}, {formats.share(soon / n)} came back within three months{rest}."


def _numbers(sums: pd.DataFrame, found: Newcomers) -> dict[str, object]:
    shown, enough = sums.copy(), sums["n"] >= LEAST
    for month in (1, 3, 6, 12):
        known = shown["n"].where(enough & (shown[f"n_{month}"] == shown["n"]))
        shown[f"share_{month}"], shown[f"worth_{month}"] = (
            shown[f"back_{month}"] / known,
            shown[f"margin_{month}"] / known,
        )
    gross = shown["gross"].where(enough & (shown["gross"] > 0))
    shown["refunds"], shown["off"] = shown["given_back"] / gross, shown["off"] / (gross + shown["off"])
    shown["name"] = shown["name"].astype(str) + np.where(shown["whole"], "", " (so far)")
    labels = {"name": "First order", "n": "Newcomers", "share_1": "Back in 1 month", "share_3": "3 months",
              "share_6": "6 months", "share_12": "12 months", "worth_3": f"{wording.upper(found.called)} in 3 months",
              "worth_12": "in 12 months", "off": "Discount on first orders",
              "refunds": "Refunds of first orders"}  # fmt: skip
    shares = dict.fromkeys(("share_1", "share_3", "share_6", "share_12"), formats.share)
    money = dict.fromkeys(("worth_3", "worth_12"), lambda value: formats.money(value, found.currency))
    small = dict.fromkeys(("off", "refunds"), lambda value: formats.share(value, digits=1))
    # All zeros are of a shop that gives nothing, or whose data does not say.
    labels = {name: label for name, label in labels.items() if name not in small or shown[name].any()}
    return figures.tabulate(
        shown.iloc[::-1], caption="A row is those who first bought then; a dash: not all are known that long yet",
        labels=labels, formats={"n": formats.people, **shares, **money, **small}, file="tables/cohorts.csv",
    )  # fmt: skip
