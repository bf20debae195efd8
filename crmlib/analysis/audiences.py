"""Whom exactly do I want to reach, and may I? Saved segments, counted at each node, then held against consent.

audiences → part_reach, part_lost, part_nodes, part_overlap, part_sizes → page
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.outreach import Channel, Contactable, contactable
from crmlib.errors import NotAvailable, NotEnoughData
from crmlib.findings import Action, Caveat, Findings, Metric, Part, Watch, compose
from crmlib.shop import segments
from crmlib.shop.facts import net_orders
from crmlib.shop.segments import Segment
from crmlib.shop.shop import Shop

__all__ = [
    "Audience", "Audiences", "audiences", "headline", "lost_people", "page", "part_lost", "part_nodes", "part_overlap",
    "part_reach", "part_sizes", "starters",
]  # fmt: skip

_MAX_CUSTOMERS = 5_000_000
_LEAST_DAYS, _MOST_LINES = 3, 6  # days from which a line is drawn; the largest audiences
_CHANNELS: tuple[Channel, ...] = ("email", "sms")
_CALLED = {"email": "e-mail", "sms": "text message"}
_ACTS = {"email": "Write to", "sms": "Text"}


@dataclass(frozen=True)
class Audience:
    """A saved segment with its people.

    nodes    depth, rule, people, left_out: one row a node of the expression, from the top
    people   customer_id of everybody in it, and the rules each of them meets, true or false
    reached  by channel: who of them may be written to, and how many may not, by reason
    """

    __repr__ = formats.outline

    name: str
    who: Segment
    nodes: pd.DataFrame
    people: pd.DataFrame
    reached: Mapping[str, Contactable]

    @property
    def called(self) -> str:
        """Its name as one says it."""
        return self.name.replace("_", " ")

    @property
    def contactable(self) -> pd.Series:
        """True for each row of `people` whom some channel reaches."""
        return self.people["customer_id"].isin(
            {c for found in self.reached.values() for c in found.frame["customer_id"]}
        )


@dataclass(frozen=True)
class Audiences:
    """All audiences of a shop; `missing` says of those that could not be asked what they need."""

    __repr__ = formats.outline

    found: tuple[Audience, ...]
    missing: Mapping[str, str]
    own: bool

    @property
    def people(self) -> int:
        """Customers in any of them."""
        return len({c for audience in self.found for c in audience.people["customer_id"]})

    @property
    def contactable(self) -> int:
        """Those of them whom some channel reaches."""
        return len({c for a in self.found for c in a.people.loc[a.contactable, "customer_id"]})


def starters(shop: Shop) -> dict[str, str]:
    """Audiences for a shop that has saved none, by name: unhappy regulars, never bought, long silent, birthdays.

    'Never bought' takes the shop's own three best-selling categories: who bought one of the first two, not the third.

    >>> starters(shop)["unhappy_regulars"]
    'bought_often & unhappy'
    """
    found = {"unhappy_regulars": "bought_often & unhappy"}
    if shop.has("order_lines") and shop.has("products", "category"):
        lines = shop.table("order_lines").semi_join(net_orders(shop), "order_id")
        sold = lines.inner_join(shop.table("products").select("product_id", "category"), "product_id")
        counted = (
            sold.group_by("category").aggregate(n=sold["order_id"].nunique()).filter(lambda t: t["category"] != "")
        )
        best = shop.fetch(counted.order_by([counted["n"].desc(), "category"]).limit(3))["category"].tolist()
        if len(best) == 3:
            one, two, three = (json.dumps(name, ensure_ascii=False) for name in best)
            name = re.sub(r"\W+", "_", best[2].casefold()).strip("_") or "more"
            found[f"never_bought_{name}"] = f"(bought({one}) | bought({two})) - bought({three})"
    return found | {
        "regulars_silent_180_days": 'bought_often - bought_last("180d")',
        "birthday_next_week": 'birthday("7d")',
    }


def audiences(shop: Shop) -> Audiences:
    """Who is in each saved segment, and who of them may be written to? segments.toml's, else the `starters`.

    An audience that asks for a table or column the shop lacks is named in `missing`. NotAvailable where none can be
    asked; NotEnoughData where nobody is in any. UsageError for a segment that cannot be read.

    >>> [audience.name for audience in audiences(shop).found]
    ['unhappy_regulars', 'never_bought_kitchen', 'regulars_silent_180_days', 'birthday_next_week']
    """
    saved = segments.saved(shop)
    texts = saved or starters(shop)
    found, missing = [], {}
    for name, text in texts.items():
        try:
            found.append(_audience(shop, name, segments.parse(text, names=saved)))
        except NotAvailable as error:
            missing[name] = str(error)
    if not found:
        raise NotAvailable(f"no audience can be asked of this shop: {'; '.join(sorted(set(missing.values())))}")
    every = Audiences(tuple(found), missing, own=bool(saved))
    if not every.people:
        which = f"any of the {len(found)} audiences" if len(found) > 1 else f"the audience {found[0].name}"
        raise NotEnoughData(f"nobody is in {which}")
    return every


def _audience(shop: Shop, name: str, who: Segment) -> Audience:
    nodes = segments.sizes(shop, who)
    people = shop.fetch(segments.reasons(shop, who), max_rows=_MAX_CUSTOMERS).sort_values(
        "customer_id", ignore_index=True
    )
    reached: dict[str, Contactable] = {
        channel: contactable(shop, people[["customer_id"]], channel=channel, name=_file(name, channel))
        for channel in _CHANNELS
        # Where the shop does not say who agreed, nobody is put on a list.
        if shop.has("customers", f"{channel}_consent")
    }
    return Audience(name, who, nodes, people, reached)


def part_reach(every: Audiences) -> Part:
    """The finding: how many people each audience holds, and how many of them may be written to."""
    frame = pd.DataFrame(
        [(a.called, len(a.people), int(a.contactable.sum())) for a in every.found],
        columns=["audience", "people", "contactable"],
    ).sort_values("people", ascending=False, kind="stable")
    share = every.contactable / every.people
    first, them = frame["audience"].iloc[0], "them" if len(frame) > 1 else "it"
    title = f"‘{first}’ is the largest audience" if len(frame) > 1 else f"One audience: ‘{first}’"
    asked = bool(_reach(every))
    metrics = [
        Metric(id="audiences", label="Audiences", value=len(every.found), unit="audiences",
               definition="saved segments that this shop's data can answer"),
        Metric(id="people", label=f"People in {them}", value=every.people, unit="people", headline=True,
               definition="customers in at least one audience, each counted once"),
        Metric(id="contactable", label="People who may be contacted", value=every.contactable, unit="people",
               headline=asked and every.contactable not in _reach(every).values(),
               note=f"{formats.share(share)} of them",
               definition="those who agreed to a channel and can be reached on it"),
        *(Metric(id=f"reach_{channel}", label=f"People by {_CALLED[channel]}", value=n, unit="people", headline=True,
                 note=f"{formats.share(n / every.people)} of them",
                 definition="those of them who can be reached on this channel")
          for channel, n in _reach(every).items()),
        *(Metric(id=f"size_{a.name}", label=wording.upper(a.called), value=len(a.people), unit="people",
                 definition=str(a.who)) for a in every.found),
    ]  # fmt: skip
    return Part(
        title=title,
        chart=figures.bars(
            frame, label="audience", value="contactable" if asked else "people", whole="people" if asked else "",
            what="customers who may be contacted, of all in it" if asked else "customers", form=formats.number,
            table=figures.tabulate(
                frame, caption="People in each audience",
                labels={"audience": "Audience", "people": "People", "contactable": "May be contacted"},
                formats={"people": formats.people, "contactable": formats.people}, file="tables/audiences.csv",
            ),
        ),
        metrics=metrics, actions=_actions(every), lists=dict(_lists(every)), tables={"audiences": _table(every)},
        watches=[Watch(table="audiences", key=("audience", "node"), label="rules of audiences")],
        caveats=_caveats(every),
    )  # fmt: skip


def _reach(every: Audiences) -> dict[str, int]:
    """How many people each channel reaches, of those for which the shop says who agreed."""
    ids: dict[str, set[str]] = {}
    for audience in every.found:
        for channel, found in audience.reached.items():
            ids.setdefault(channel, set()).update(found.frame["customer_id"])
    return {channel: len(who) for channel, who in ids.items()}


_REASONS = {
    "refused": "have not agreed to marketing",
    "unknown": "have no consent on record",
    "unsubscribed": "have unsubscribed",
    "bounced": "have an address that bounced",
    "no address": "left no address",
    "complaint": "wait for an answer to a complaint",
    "under control": "are left alone by an earlier list",
    "another list": "were on another list this week",
}


def lost_people(every: Audiences) -> pd.DataFrame:
    """Why may somebody not be written to? One row an audience, channel and reason: audience, channel, reason, people.

    >>> list(lost_people(audiences(shop)).columns)
    ['audience', 'channel', 'reason', 'people']
    """
    rows = [
        (audience.name, channel, str(reason), count)
        for audience in every.found
        for channel, found in audience.reached.items()
        for reason, count in found.left_out.items()
        if count
    ]
    return pd.DataFrame(rows, columns=["audience", "channel", "reason", "people"])


def part_lost(every: Audiences) -> Part:
    """The finding: why people of an audience may not be written to, by channel."""
    lost = lost_people(every)
    if lost.empty:
        return Part()
    asked = lost.sort_values("people", ascending=False, kind="stable")["reason"].iloc[0] in ("refused", "unknown")
    reasons = [
        "left no phone number" if reason == "no address" and channel == "sms" else _REASONS[str(reason)]
        for channel, reason in zip(lost["channel"], lost["reason"], strict=True)
    ]
    lost = lost.assign(
        audience=lost["audience"].str.replace("_", " "), channel=lost["channel"].map(_CALLED),
        reason=[wording.upper(reason) for reason in reasons],
    ).sort_values("people", ascending=False, kind="stable")  # fmt: skip
    top = lost.iloc[0]
    same = (lost[["audience", "channel"]] == top[["audience", "channel"]]).all(axis=1)
    others = (
        f"; {formats.people(more)} more for other reasons"
        if (more := int(lost.loc[same, "people"].sum() - top["people"]))
        else ""
    )
    return Part(
        title=f"{wording.counted(int(top['people']), 'customer')} in ‘{top['audience']}’ can't be reached by "
        f"{top['channel']}",
        sentence=f"They {wording.lower(top['reason'])}{others}.{' Ask for consent at the checkout.' if asked else ''}",
        chart=figures.table(
            lost, caption="Why people may not be contacted",
            labels={"audience": "Audience", "channel": "Channel", "reason": "Reason", "people": "People"},
            formats={"people": formats.people},
        ),
    )  # fmt: skip


def part_nodes(every: Audiences) -> Part:
    """How many people are at each node of each audience, and how many it loses; folded."""
    frame = _table(every)
    frame = frame[frame["reason"] == ""]
    shown = frame.assign(
        rule=["\N{NO-BREAK SPACE}" * 3 * d + r for d, r in zip(frame["depth"], frame["rule"], strict=True)]
    )
    return Part(
        title="What each rule keeps and loses",
        sentence="AND and BUT NOT take people off what stands before them; OR takes off nobody.",
        detail=True,
        chart=figures.table(
            shown, caption="People at each node",
            labels={"audience": "Audience", "rule": "Rule", "people": "People", "left_out": "Taken off"},
            formats={"people": formats.people, "left_out": formats.people}, rows=60, file="tables/audiences.csv",
        ),
    )  # fmt: skip


def part_overlap(every: Audiences) -> Part:
    """The finding: who would hear from us twice, in pairs of audiences."""
    ids = {a.name: set(a.people["customer_id"]) for a in every.found}
    rows = [
        (one.called, other.called, len(both), len(both) / min(len(ids[one.name]), len(ids[other.name])))
        for i, one in enumerate(every.found)
        for other in every.found[i + 1 :]
        if (both := ids[one.name] & ids[other.name])
    ]
    frame = pd.DataFrame(rows, columns=["one", "other", "people", "share"])
    if frame.empty:
        return Part()
    frame = frame.sort_values("people", ascending=False, kind="stable")
    twice = every.people and sum(len(found) for found in ids.values()) - every.people
    top = frame.iloc[0]
    return Part(
        title=f"{wording.upper(wording.counted(int(top['people']), 'person', 'people'))} "
        f"{wording.noun(int(top['people']), 'is', 'are')} in both ‘{top['one']}’ and ‘{top['other']}’",
        sentence="Write to each of them once, from the list that matters more." if twice else "",
        detail=len(frame) < 2,
        chart=figures.table(
            frame, caption="People in two audiences at once",
            labels={"one": "Audience", "other": "And", "people": "In both", "share": "Of the smaller"},
            formats={"people": formats.people, "share": formats.share},
        ),
    )  # fmt: skip


def part_sizes(every: Audiences, runs: Sequence[tuple[date, Mapping[str, Metric]]], *, as_of: date) -> Part:
    """How many people did each audience hold on earlier days? By `crm.earlier`, from three days on; folded.

    A run counts for an audience whose rule was the same then and that held nobody or five people and more.
    """
    rows = [
        (audience.called, day, int(size.value))
        for audience in every.found
        for day, metrics in runs
        if (size := metrics.get(f"size_{audience.name}")) and size.value is not None
        and size.definition == str(audience.who)
    ]  # fmt: skip
    frame = pd.DataFrame(
        [*rows, *((audience.called, as_of, len(audience.people)) for audience in every.found)],
        columns=["audience", "day", "people"],
    )
    frame = frame[~frame["people"].between(1, formats.FEW_PEOPLE - 1)]
    frame = frame[frame.groupby("audience")["day"].transform("nunique") >= _LEAST_DAYS]
    if frame.empty:
        return Part()
    ends = frame.sort_values("day").groupby("audience").agg(
        since=("day", "first"), before=("people", "first"), now=("people", "last")
    )  # fmt: skip
    ends = ends.sort_values("now", ascending=False, kind="stable").head(_MOST_LINES)
    moved = ends.loc[(ends["now"] - ends["before"]).abs().idxmax()]
    before, now = wording.counted(int(moved["before"]), "person", "people"), formats.number(moved["now"])
    most = "changed most: it " if len(ends) > 1 else ""
    return Part(
        title="Size over time",
        sentence=f"‘{moved.name}’ {most}held {before} on {wording.day(moved['since'], near=as_of)} and holds {now} now."
        if moved["before"] != moved["now"] else "No audience has become larger or smaller.",
        detail=True,
        chart=figures.line(
            frame[frame["audience"].isin(ends.index)], x="day", y="people", group="audience" if len(ends) > 1 else "",
            what="people in the audience", form=formats.number,
        ),
    )  # fmt: skip


def page(every: Audiences, sizes: Part | None = None) -> Findings:
    """What whoever writes to customers should know before sending anything; `sizes` are those of earlier days."""
    parts = [part_reach(every), part_lost(every), part_overlap(every), part_nodes(every), sizes or Part()]
    return compose("audiences", headline(every), parts)


def headline(every: Audiences) -> str:
    """How many people there are, and whether they may be written to."""
    n = len(every.found)
    hold = f"{wording.upper(wording.small(n))} {wording.noun(n, 'audience')} {wording.noun(n, 'holds', 'hold')} "
    said = f"{hold}{wording.counted(every.people, 'customer')}"
    if not _reach(every):
        return f"{said}. The data does not say who agreed to be contacted."
    if every.contactable == every.people:
        return f"{said}; {'all' if every.people > 1 else 'this one'} may be contacted."
    return f"{said}; {formats.number(every.contactable) if every.contactable else 'none'} may be contacted."


def _actions(every: Audiences) -> list[Action]:
    if not _reach(every):
        return [Action(what="Export who agreed to marketing e-mail; then lists can be made", owner="shop")]
    made: list[Action] = []
    for audience in sorted(every.found, key=lambda a: -len(a.people)):
        for channel, found in audience.reached.items():
            n = len(found.write)
            if n and not any(action.file.endswith(f"/{_file(audience.name, channel)}.csv") for action in made):
                made.append(
                    Action(
                        what=f"{_ACTS[channel]} {wording.counted(n, 'customer')} in ‘{audience.called}’",
                        owner="marketing", file=f"lists/{_file(audience.name, channel)}.csv", count=n,
                        why=wording.sentences(f"In it is who meets: {audience.who}.", found.note),
                    )
                )  # fmt: skip
    return sorted(made, key=lambda action: (action.what.startswith(_ACTS["sms"]), -(action.count or 0)))


def _lists(every: Audiences) -> Iterator[tuple[str, pd.DataFrame]]:
    """Those who may be written to, one list an audience and channel, with the rules each of them meets."""
    for audience in every.found:
        for channel, found in audience.reached.items():
            if len(found.frame):
                yield _file(audience.name, channel), found.frame.merge(audience.people, on="customer_id")


def _file(name: str, channel: str) -> str:
    return name if channel == "email" else f"{name}_{channel}"


def _table(every: Audiences) -> pd.DataFrame:
    """Contract's audiences.csv: each node of each audience, then who may not be contacted, by channel and reason."""
    rows: list[dict[str, Any]] = []
    for audience in every.found:
        for i, node in enumerate(audience.nodes.to_dict("records")):
            rows.append({"audience": audience.name, "node": str(i), "reason": "", **node})
        for channel, found in audience.reached.items():
            rows.append(
                {"audience": audience.name, "node": channel, "depth": 0, "people": len(found.frame),
                 "rule": f"may be contacted by {_CALLED[channel]}", "left_out": len(audience.people) - len(found.frame),
                 "reason": "; ".join(f"{reason} {count}" for reason, count in found.left_out.items() if count)}
            )  # fmt: skip
    return pd.DataFrame(rows, columns=["audience", "node", "depth", "rule", "people", "left_out", "reason"])


def _caveats(every: Audiences) -> list[Caveat]:
    said = []
    if not every.own:
        said.append("These are examples: write your own into segments.toml, beside the shop's tables.")
    if every.missing:
        whys: dict[str, list[str]] = {}
        for name, why in every.missing.items():
            whys.setdefault(why, []).append(name.replace("_", " "))
        each = [f"{wording.listed(names, most=3)} ({wording.lower(why)})" for why, names in whys.items()]
        said.append(f"Could not be worked out: {wording.listed(each, most=3)}.")
    said.append("Being in an audience does not mean that writing to somebody pays.")
    return [Caveat(text=text) for text in said]
