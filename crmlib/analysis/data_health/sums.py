"""Do raw exports obey their platform's own arithmetic, and who was taken to be one person?"""

from __future__ import annotations

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.findings import Action, Part
from crmlib.shop.shop import Shop


def part_sums(shop: Shop) -> Part | None:
    """For which share of orders does the platform's own arithmetic hold, and how much money is apart where it does not?

    None for a shop without raw exports.
    """
    ways = shop.exports.ways
    if not ways:
        return None
    rows = [(way.platform, way.of, way.way, way.orders, way.money) for way in ways]
    frame = pd.DataFrame(rows, columns=["platform", "of", "way", "orders", "apart"])
    frame["share"] = frame["orders"] / frame.groupby(["platform", "of"])["orders"].transform("sum")
    wrong = frame[frame["way"] == ""]
    count, apart = int(wrong["orders"].sum()), wording.rounded_money(wrong["apart"].sum(), shop.currency)
    title = f"The sums of {wording.listed(dict.fromkeys(frame['platform']))} add up"
    sentence = "Every order comes to what its own parts say."
    if count:
        amounts = wording.upper(wording.counted(count, "amount"))
        title = f"{amounts} in the exports {wording.noun(count, 'does', 'do')} not add up"
        them = wording.noun(count, "It is", "They are")
        sentence = f"{them} {apart} apart{wording.noun(count, '', ' in all')}: look whether the export was edited."
    return Part(
        title=title,
        sentence=sentence,
        detail=not count,
        chart=figures.table(
            frame.assign(way=frame["way"].where(frame["way"] != "", "none of these")),
            caption="What each amount comes to, order by order",
            labels={"platform": "Platform", "of": "Amount", "way": "Comes to", "orders": "Orders", "share": "Share",
                    "apart": "Apart"},
            formats={"orders": formats.number, "share": lambda value: formats.share(value, digits=1),
                     "apart": lambda value: formats.number(value, digits=2)},
        ),
    )  # fmt: skip


def part_people(shop: Shop) -> Part | None:
    """How were accounts and guests of raw exports told to be one person? None for a shop without raw exports."""
    crowd = shop.people
    if not crowd.people:
        return None
    counts = {
        "People": crowd.people,
        "With several accounts, or guest orders beside one": crowd.joined,
        "Known by their phone": crowd.by_phone,
        "Addresses that several people share": crowd.shared,
        "Phones in doubt": crowd.doubtful,
        "E-mail allowed in one export, not in another": crowd.disputed,
    }
    frame = pd.DataFrame(list(counts.items()), columns=["what", "number"])
    doubtful = crowd.shared + crowd.doubtful
    rule = "One account is one person; so are rows of the same e-mail address or, without one, of the same phone."
    apart = wording.upper(wording.counted(doubtful, "address or phone", "addresses or phones"))
    return Part(
        title=f"{wording.upper(wording.counted(crowd.people, 'person', 'people'))} behind accounts and guest orders",
        sentence=f"{rule} {apart} of several people joined nobody." if doubtful else f"{rule} Names alone join nobody.",
        detail=True,
        chart=figures.table(
            frame, caption="Who is one person", labels={"what": "What", "number": "How many"},
            formats={"number": formats.number},
        ),
        actions=[_disputed(crowd.disputed)] if crowd.disputed else [],
    )  # fmt: skip


def _disputed(people: int) -> Action:
    """A no may be the newer one as long as no file has a day: it stands until somebody looks."""
    many = wording.counted(people, "person", "people")
    return Action(
        what=f"Look up whether {many} agreed to e-mail: your exports disagree", count=people, owner="marketing",
        why=f"Until then {wording.noun(people, 'this one is', 'they are')} not written to. Where the newer file says "
            "yes, take the column of consent out of the older one.",
    )  # fmt: skip
