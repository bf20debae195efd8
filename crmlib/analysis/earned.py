"""What have lists earned? Those a list writes to against those it leaves alone, by lot, whoever was reached."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.outreach import kept
from crmlib.findings import Caveat, Metric, Part
from crmlib.formats import outline
from crmlib.lots import LEAVE, WINDOW_DAYS, half_year
from crmlib.shop import consent
from crmlib.shop.facts import contact_cost, has_costs, letters, net_orders, order_margins
from crmlib.shop.shop import Shop
from crmlib.stats.sequential import split_p, widening

ALL = "all lists"
Verdict = Literal["earns", "costs more than it brings", "not known yet", "spoilt"]
_BEFORE_DAYS = 365
_PLAN = (205, 51)  # of 256, as `privacy.lot` draws
_LEAST = 30  # people left alone whose window is over, below which a mean of money says nothing
_PLANNED = (
    1_000  # people at whom the range is narrowest: fixed, since a range that may be read weekly must not follow data
)
_WORTHWHILE = 0.1  # of what those left alone bring: the gain by which the day of an answer is reckoned
_SPOILT = 0.05  # share of those left alone who were contacted all the same
_SPLIT = 0.001
_MOST_ROWS = 5_000_000
_TWO_YEARS = 730
_WEEKS, _LEAST_WEEKS = 26, 3
_COLUMNS = (
    "list", "written", "left_alone", "waiting", "contacted", "answered", "contaminated", "split_p", "mean",
    "mean_alone", "each", "low", "high", "verdict", "answer_by",
)  # fmt: skip


@dataclass(frozen=True)
class Earned:
    """What lists brought within WINDOW_DAYS, by list, ALL first; empty where no list is known to have been used.

    table     written and left_alone are people whose window is over, `waiting` those whose is not; mean and mean_alone
              what each brought, `each` the difference less `cost`, with a range that holds whenever it
              is read; `answer_by` the day by which a gain of a tenth would show, empty where that is beyond two years
    money     'margin' or 'revenue', in `currency`
    cost      of a contact, with the offer or gift that goes with it
    weeks     the first row as each of the last weeks read it, as far as enough windows had closed: day, each, low, high
    """

    table: pd.DataFrame
    money: str
    currency: str
    cost: float
    as_of: date
    weeks: pd.DataFrame = field(default_factory=pd.DataFrame)

    __repr__ = outline

    def __len__(self) -> int:
        return len(self.table)

    def of(self, name: str) -> dict[str, Any]:
        """A list's row; empty where it was never used."""
        rows = self.table[self.table["list"] == name].to_dict("records")
        return {str(key): value for key, value in rows[0].items()} if rows else {}

    @property
    def stopped(self) -> tuple[str, ...]:
        """Lists that cost more than they bring, and are not proposed again."""
        return tuple(self.table.loc[self.table["verdict"] == "costs more than it brings", "list"])


def earned(shop: Shop, *, confidence: float = 0.95) -> Earned:
    """What did the lists that were handed over, or said to be used, bring against those whom the lot left alone?

    Intent to treat: everybody a used list named counts, on the side the lot put them, from the first day in a
    half-year on. The lot is one for all lists, so a list's row says what all writing to its people added.

    >>> earned(store).table.empty
    True
    """
    rows, sent = _kept(consent.ASSIGNED, shop.as_of), _kept(consent.EXPORTED, shop.as_of)
    cost, paid = contact_cost(shop), shop.has("orders", "customer_id")
    money = "margin" if paid and has_costs(shop) else "revenue"
    if rows.empty or not paid:
        return Earned(pd.DataFrame(columns=list(_COLUMNS)), money, shop.currency, cost, shop.as_of)
    people = _brought(shop, _first(rows), margin=money == "margin")
    people = _reached(people, sent, _from_outside(shop, people))
    table = pd.DataFrame(_rows(people, shop.as_of, cost=cost, confidence=confidence), columns=list(_COLUMNS))
    whole = people[people["list"] == table["list"].iloc[0]]
    return Earned(table, money, shop.currency, cost, shop.as_of, by_week(whole, shop.as_of, cost=cost))


def by_week(people: pd.DataFrame, as_of: date, *, cost: float = 0.0) -> pd.DataFrame:
    """What `compare` read each week up to a day, the last _WEEKS of them; weeks with too few are left out.

    >>> len(by_week(PEOPLE, DAY))
    0
    """
    days = [as_of - timedelta(days=7 * back) for back in range(_WEEKS - 1, -1, -1)]
    looks = [{"day": day, **compare(known, day, cost=cost)} for day in days
             if len(known := people[people["day"] < pd.Timestamp(day)])]  # fmt: skip
    return pd.DataFrame(looks, columns=["day", "each", "low", "high"]).dropna(ignore_index=True)


def _kept(name: str, as_of: date) -> pd.DataFrame:
    """A file of what is kept of customers, as of a day."""
    frame = pd.DataFrame(kept(name), dtype=str)
    if frame.empty:
        return frame
    frame["day"] = pd.to_datetime(frame["day"])
    return frame[frame["day"] < pd.Timestamp(as_of)].reset_index(drop=True)


def _first(rows: pd.DataFrame) -> pd.DataFrame:
    """Each list's people, and all lists' under ALL, once a half-year from their first day on."""
    rows = rows.assign(alone=rows["lot"] == LEAVE, half=[half_year(day.date()) for day in rows["day"]])
    both = pd.concat([rows.assign(list=ALL), rows]).sort_values("day", kind="stable")
    return both.drop_duplicates(["list", "customer_id", "half"]).reset_index(drop=True)


def _brought(shop: Shop, people: pd.DataFrame, *, margin: bool) -> pd.DataFrame:
    """With `value`, what each brought in the window, and `before`, what in the year before it."""
    days = people[["customer_id", "day"]].drop_duplicates()
    asked = ibis.memtable(days.assign(day=days["day"].dt.date), schema={"customer_id": "string", "day": "date"})
    orders = _amounts(shop, margin=margin)
    joined = shop.keep(asked).inner_join(orders, "customer_id")
    after = joined["_day"].delta(joined["day"], unit="day")
    joined = joined.mutate(_after=after).filter(lambda t: (t["_after"] >= -_BEFORE_DAYS) & (t["_after"] < WINDOW_DAYS))
    sums = joined.group_by("customer_id", "day").aggregate(
        value=joined["_amount"].sum(where=joined["_after"] >= 0),
        before=joined["_amount"].sum(where=joined["_after"] < 0),
    )
    found = shop.fetch(sums, max_rows=_MOST_ROWS)
    found["day"] = pd.to_datetime(found["day"])
    whole = people.merge(found, on=["customer_id", "day"], how="left")
    return whole.assign(**{name: whole[name].fillna(0.0).astype(float) for name in ("value", "before")})


def _amounts(shop: Shop, *, margin: bool) -> ir.Table:
    rows = order_margins(shop) if margin else net_orders(shop)
    amount = rows["margin" if margin else "revenue"].cast("float64").fill_null(0)
    return rows.select("customer_id", _day="day", _amount=amount).filter(lambda t: t["customer_id"].notnull())


def _from_outside(shop: Shop, people: pd.DataFrame) -> pd.Series[bool]:
    """Who got a letter of the shop's own record within the window that did not go to both sides.

    A letter that reached those left alone at least half as often as those written to, and at least as many customers
    whom the list does not name, is a newsletter: it changes nothing between the sides.
    """
    written = letters(shop)
    if written is None:
        return pd.Series(False, index=people.index)
    begin, end = people["day"].min().date(), (people["day"].max() + timedelta(days=WINDOW_DAYS)).date()
    rows = written.select("customer_id", "letter", sent=written["at"].date()).distinct()
    rows = shop.keep(rows.filter((rows["sent"] >= ibis.literal(begin)) & (rows["sent"] < ibis.literal(end))))
    named = ibis.memtable(people[["customer_id"]].drop_duplicates(), schema={"customer_id": "string"})
    got = shop.fetch(rows.semi_join(shop.keep(named), "customer_id"), max_rows=_MOST_ROWS)
    every = shop.fetch(rows.group_by("letter").aggregate(every=rows.count())).set_index("letter")["every"]
    pairs = people.reset_index()[["index", "customer_id", "list", "day", "alone"]].merge(got, on="customer_id")
    after = (pd.to_datetime(pairs["sent"]) - pairs["day"]).dt.days
    pairs = pairs[(after >= 0) & (after < WINDOW_DAYS)]
    sides = people.groupby(["list", "alone"])["customer_id"].nunique().unstack(fill_value=0)
    sides = sides.reindex(columns=[False, True], fill_value=0)
    reach = pairs.groupby(["list", "letter", "alone"])["customer_id"].nunique().unstack(fill_value=0)
    reach = reach.reindex(columns=[False, True], fill_value=0)
    share = reach / sides.reindex(reach.index.get_level_values("list")).clip(lower=1).to_numpy()
    others = reach.index.get_level_values("letter").map(every).to_numpy() - reach.sum(axis=1)
    both = (share[True] >= share[False] / 2) & (others >= reach[True])
    own = pairs.set_index(["list", "letter"]).index.map(~both)
    return pd.Series(people.index.isin(pairs.loc[np.asarray(own, dtype=bool), "index"]), index=people.index)


def _reached(people: pd.DataFrame, sent: pd.DataFrame, outside: pd.Series[bool]) -> pd.DataFrame:
    """With `contacted`, by whichever list or letter within the window, and `answered`."""
    if sent.empty:
        return people.assign(contacted=outside, answered=False)
    sent = sent.reindex(columns=["customer_id", "day", "answered", "personal"], fill_value="")
    sent = sent[sent["personal"] != "yes"]  # an answer that was waited for goes to both sides
    pairs = people.reset_index()[["index", "customer_id", "list", "day"]].merge(
        sent, on="customer_id", suffixes=("", "_of")
    )
    after = (pairs["day_of"] - pairs["day"]).dt.days
    pairs = pairs[(after >= 0) & (after < WINDOW_DAYS)]
    marks = {"contacted": pairs, "answered": pairs[pairs["answered"] == "yes"]}
    found = {name: people.index.isin(rows["index"]) for name, rows in marks.items()}
    return people.assign(contacted=found["contacted"] | outside, answered=found["answered"])


def _rows(people: pd.DataFrame, as_of: date, *, cost: float, confidence: float) -> Iterator[dict[str, Any]]:
    names = sorted(set(people["list"]) - {ALL})
    for name in [ALL, *names] if len(names) > 1 else names:
        yield {"list": name, **compare(people[people["list"] == name], as_of, cost=cost, confidence=confidence)}


def compare(people: pd.DataFrame, as_of: date, *, cost: float = 0.0, confidence: float = 0.95) -> dict[str, Any]:
    """What one list brought to each it wrote to: rows with day, alone, value, before, contacted, answered.

    The difference of means, less what the year before explains (CUPED, Deng et al. 2013), with an interval that holds
    at every weekly look (Waudby-Smith et al. 2024).

    >>> compare(PEOPLE, DAY)["verdict"]
    'not known yet'
    """
    over = people["day"] + timedelta(days=WINDOW_DAYS) <= pd.Timestamp(as_of)
    done, alone = people[over], people.loc[over, "alone"]
    n, n_alone = int((~alone).sum()), int(alone.sum())
    every = (int((~people["alone"]).sum()), int(people["alone"].sum()))
    found: dict[str, Any] = {
        "written": n, "left_alone": n_alone, "waiting": int((~over).sum()),
        "contacted": int((people["contacted"] & ~people["alone"]).sum()), "answered": int(people["answered"].sum()),
        "contaminated": int((people["contacted"] & people["alone"]).sum()),
        "split_p": float(split_p([every], _PLAN)[-1]),
        **dict.fromkeys(("mean", "mean_alone", "each", "low", "high"), math.nan),
        "verdict": "not known yet", "answer_by": None,
    }  # fmt: skip
    begin = people["day"].min().date()
    if min(n, n_alone) < _LEAST:
        return {**found, "answer_by": _readable(people.loc[people["alone"], "day"], begin, as_of)}
    value = _less_what_was_known(done)
    sides = value[~alone], value[alone]
    each = float(sides[0].mean() - sides[1].mean()) - cost
    error = math.sqrt(sum(float(side.var()) / len(side) for side in sides))
    half = float(widening(n, n_alone, alpha=1 - confidence, planned=_PLANNED)) * error
    found |= {
        "mean": float(done.loc[~alone, "value"].mean()), "mean_alone": float(done.loc[alone, "value"].mean()),
        "each": each, "low": each - half, "high": each + half,
    }  # fmt: skip
    if found["split_p"] < _SPLIT or found["contaminated"] > _SPOILT * every[1]:
        found["verdict"] = "spoilt"
    elif found["low"] > 0 or found["high"] < 0:
        found["verdict"] = "earns" if found["low"] > 0 else "costs more than it brings"
    else:
        wanted = _WORTHWHILE * abs(found["mean_alone"]) or cost
        more = (half / wanted) ** 2 - 1 if wanted else math.inf
        days = max(more, 0.0) * max((as_of - begin).days - WINDOW_DAYS, 7)
        found["answer_by"] = as_of + timedelta(days=math.ceil(days)) if days <= _TWO_YEARS else None
    return found


def _readable(alone: pd.Series, begin: date, as_of: date) -> date | None:
    """The day from which a first answer can be read: enough are left alone by then, and their window is over."""
    window = timedelta(days=WINDOW_DAYS)
    if len(alone) >= _LEAST:
        enough: date = alone.sort_values().iloc[_LEAST - 1].date()
        return enough + window
    days = (as_of - begin).days * _LEAST / max(len(alone), 0.01)
    return begin + timedelta(days=math.ceil(days)) + window if days <= _TWO_YEARS else None


def _less_what_was_known(done: pd.DataFrame) -> pd.Series:
    """What each brought, less what their year before leads one to expect; the mean stays as it was."""
    value, before = done["value"], done["before"] - done["before"].mean()
    inside = before - before.groupby(done["alone"]).transform("mean")
    spread = float((inside**2).sum())
    return value - (float((inside * value).sum()) / spread if spread > 0 else 0.0) * before


def part_earned(measured: Earned) -> Part:
    """What past lists earned against those left alone, list by list."""
    metric = _metric(measured)
    if not len(measured):
        how = ("No list is known to have been used: hand it over by ‘crm export’, or say what was done by ‘crm "
               "outcome’. One in five is left alone, so that the difference can be seen.")  # fmt: skip
        return Part(title=title_earned(measured), sentence=how, metrics=[metric], detail=True)
    table = measured.table.assign(list=measured.table["list"].str.replace("_", " "))
    each = f"{wording.upper(measured.money)} each"
    labels = {"list": "List", "written": "Written to", "left_alone": "Left alone", "each": each, "low": "From",
              "high": "To", "verdict": "Verdict", "answer_by": "Answer by"}  # fmt: skip
    money = {name: lambda value: formats.money(value, measured.currency, digits=2) for name in ("each", "low", "high")}
    said = table.assign(answer_by=[formats.day(day) if isinstance(day, date) else "" for day in table["answer_by"]])
    chart = figures.table(
        said, caption="What each list brought", labels=labels, formats=money, file="tables/earned.csv"
    )
    if len(shown := table[table["each"].notna()]):
        chart = figures.dots(
            shown, label="list", value="each", low="low", high="high", reference=0.0, table=chart.table,
            form=lambda value: formats.with_sign(money["each"](value), value),
            what=f"{measured.money} for each written to",
        )  # fmt: skip
    if len(measured.weeks) >= _LEAST_WEEKS:
        chart = figures.line(
            measured.weeks, x="day", y="each", low="low", high="high", reference=0.0, table=chart.table,
            form=money["each"], what=f"{measured.money} for each written to, beyond those left alone",
            caption="As each week read it. The ranges hold whenever they are read.",
        )  # fmt: skip
    spoilt = table.loc[table["verdict"] == "spoilt", "list"].tolist()
    lost = (f"The control of {wording.listed(spoilt)} is spoilt: too many of those to be left alone were contacted, or "
            "too few of them are left. What was earned cannot be told.")  # fmt: skip
    return Part(
        title=title_earned(measured), sentence=_sentence(measured), chart=chart, metrics=[metric],
        caveats=[Caveat(text=lost)] if spoilt else [], tables={"earned": measured.table},
        method=["Everybody a used list names counts on the side the lot put them, from their first day in a half-year.",
                "The range is a confidence sequence (Waudby-Smith et al. 2024), so that it may be read every week; "
                "what people bought in the year before narrows it (CUPED)."],
    )  # fmt: skip


def _metric(measured: Earned) -> Metric:
    whole = _whole(measured)
    read = bool(whole) and math.isfinite(whole["each"]) and whole["verdict"] != "spoilt"
    value, low, high = ((whole[name] * whole["written"] if read else None) for name in ("each", "low", "high"))
    by = whole.get("answer_by")
    note = f"first answer by {formats.day(by, year=False)}" if isinstance(by, date) else "no list marked as sent"
    return Metric(
        id="earned", label="Earned by writing", value=value, low=low, high=high, unit=measured.currency or "amount",
        n=whole.get("written") or None, headline=True, spread=True, signed=True, said="" if read else "not yet",
        note="" if read else "the control is spoilt" if whole.get("verdict") == "spoilt" else note,
        definition=f"{measured.money} within {WINDOW_DAYS} days of those written to beyond that of those left alone, "
        "less the cost of contacts, offers and gifts; the range holds whenever it is read",
    )  # fmt: skip


def _whole(measured: Earned) -> dict[str, Any]:
    """The first row: all lists, or the only one."""
    return {str(key): value for key, value in measured.table.iloc[0].items()} if len(measured) else {}


def title_earned(measured: Earned) -> str:
    """What past lists earned, in a line."""
    if not len(measured):
        return "What lists earn is not measured yet"
    rows = measured.table[measured.table["list"] != ALL]
    for verdict, one, many in (("earns", "earns", "earn"), ("costs more than it brings", "costs", "cost")):
        names = [name.replace("_", " ") for name in rows.loc[rows["verdict"] == verdict, "list"]]
        if names:
            does = wording.noun(len(names), one, many)
            than = "nothing done would" if one == "earns" else f"{wording.noun(len(names), 'it brings', 'they bring')}"
            return f"{wording.upper(wording.listed(names, most=3))} {does} more than {than}"
    return "No list is shown to earn yet"


def _sentence(measured: Earned) -> str:
    whole = _whole(measured)
    mean, alone, each, low, high = (
        formats.money(whole[name], measured.currency, digits=2)
        for name in ("mean", "mean_alone", "each", "low", "high")
    )
    said = (
        f"Each of {formats.number(whole['written'])} written to brought {mean} within {WINDOW_DAYS} days, each of "
        f"{formats.number(whole['left_alone'])} left alone {alone}; allowing for the year before and for costs, "
        f"writing added {each} ({low} to {high})."
    )
    by = whole["answer_by"]
    ahead = f"A gain of a tenth would show by {formats.day(by)}." if isinstance(by, date) else ""
    stopped = wording.listed(name.replace("_", " ") for name in measured.stopped)
    gone = f"{wording.upper(stopped)} will not be proposed again." if stopped else ""
    too_few = "No window has closed for enough people yet."
    return wording.sentences(said if math.isfinite(whole["each"]) else too_few, ahead, gone)
