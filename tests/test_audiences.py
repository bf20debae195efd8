"""Audiences: counts at each node, who may be written to, and nobody on a list who did not agree."""

import json
import random
from datetime import date

import pandas as pd
import pytest

import crmlib as crm
from crmlib.errors import NotAvailable, NotEnoughData
from crmlib.report.folder import store
from crmlib.report.folder.manifest import Manifest
from crmlib.report.memory import record

au = crm.audiences


def people(n=40):
    """Ids c0 …; every second agreed to e-mail, every fifth left no address, every fourth agreed to messages."""
    return [
        {"customer_id": f"c{i}", "email": "" if i % 5 == 0 else f"c{i}@example.com", "email_consent": i % 2 == 0,
         "phone": "+49301234567", "sms_consent": i % 4 == 0, "country": "DE" if i % 3 else "AT"}
        for i in range(n)
    ]  # fmt: skip


def orders(n=30):
    return [
        {"order_id": f"{i}-{k}", "customer_id": f"c{i}", "ordered_at": f"2026-0{1 + k}-05", "total": 10}
        for i in range(n)
        for k in range(1 + i % 3)
    ]


def opened(write_shop, toml="", **tables):
    folder = write_shop(**tables)
    if toml:
        (folder / "segments.toml").write_text(toml)
    return crm.connect(folder, as_of="2026-10-01")


def test_each_list_holds_those_who_agreed_and_can_be_reached(write_shop):
    shop = opened(write_shop, 'buyers = "bought"\nloyal = "bought_often(3)"', customers=people(), orders=orders())
    every = au.audiences(shop)
    said = au.page(every)
    reach = {i for i in range(30) if i % 2 == 0 and i % 5}
    assert set(said.lists["buyers"]["customer_id"]) == {f"c{i}" for i in reach}
    assert set(said.lists["loyal"]["customer_id"]) == {f"c{i}" for i in reach if i % 3 == 2}
    assert set(said.lists["buyers_sms"]["customer_id"]) == {f"c{i}" for i in range(30) if i % 4 == 0}
    assert said["people"].value == 30 and said["audiences"].value == 2
    assert said["contactable"].value == len(reach | {i for i in range(30) if i % 4 == 0})
    assert said["size_loyal"].value == 10
    table = said.tables["audiences"].set_index(["audience", "node"])
    assert table.loc[("buyers", "email"), "people"] == len(reach)
    assert table.loc[("buyers", "email"), "reason"] == "refused 15; no address 3"
    assert said["reach_email"].value == len(reach) and said["reach_email"].note == "40% of them"
    assert said.parts[0].sentence == "" and said.parts[1].sentence.endswith("Ask for consent at the checkout.")
    assert said.parts[1].title == "22 customers in ‘buyers’ can't be reached by text message"
    assert said.headline == "Two audiences hold 30 customers; 14 may be contacted."


def test_nobody_who_did_not_agree_is_ever_on_a_list(write_shop):
    """Random trees over all signs: whatever the segment, the list is inside consent, without a double."""
    lot = random.Random(8)
    leaves = ["bought", "bought_often", 'country == "DE"', 'country != "DE"', "everyone", 'bought_since("2026-02-01")']

    def tree(depth):
        if not depth:
            return lot.choice(leaves).join("()")
        return f"({tree(depth - 1)} {lot.choice('&|-')} {tree(depth - 1)})"

    toml = "\n".join(f"t{i} = {tree(3)!r}" for i in range(25))
    every = au.audiences(opened(write_shop, toml, customers=people(), orders=orders()))
    asked = {f"c{i}": i for i in range(40)}
    lists = au.page(every).lists
    assert len(lists) > 20
    for name, listed in lists.items():
        numbers = listed["customer_id"].map(asked)
        assert listed["customer_id"].is_unique
        assert (numbers % 4 == 0).all() if name.endswith("_sms") else ((numbers % 2 == 0) & (numbers % 5 > 0)).all()


def test_consent_is_that_of_the_day(write_shop):
    """Who agreed on or after as_of had not agreed yet, and who withdrew since then is not known to have agreed."""
    rows = [
        {"customer_id": f"c{i}", "email": f"c{i}@example.com", "email_consent": yes, "consent_at": at}
        for i, (yes, at) in enumerate(
            [(True, "2026-09-30"), (True, "2026-10-01"), (False, "2026-10-02"), (False, "2026-03-01")]
        )
    ]
    folder = write_shop(customers=rows)
    (folder / "segments.toml").write_text('all_of_them = "everyone"')
    for day, ids in (("2026-10-01", {"c0"}), ("2026-10-02", {"c0", "c1"}), ("2026-09-30", set())):
        said = au.page(au.audiences(crm.connect(folder, as_of=day)))
        assert set(said.lists["all_of_them"]["customer_id"] if said.lists else ()) == ids


def test_where_consent_is_not_known_there_is_no_list(write_shop):
    said = au.page(au.audiences(opened(write_shop, 'buyers = "bought"', orders=orders())))
    assert not said.lists and [a.owner for a in said.actions] == ["shop"] and said["contactable"].value == 0
    assert said.headline == "One audience holds 30 customers. The data does not say who agreed to be contacted."


@pytest.mark.parametrize(
    ("n", "says"),
    [
        (1, "One audience holds 1 customer; this one may be contacted."),
        (2, "One audience holds 2 customers; 1 may be contacted."),
    ],
)
def test_one_and_two(write_shop, n, says):
    rows = [{"customer_id": f"c{i}", "email": "a@example.com", "email_consent": i == 0} for i in range(n)]
    assert au.headline(au.audiences(opened(write_shop, 'all_of_them = "everyone"', customers=rows))) == says


def test_a_shop_without_its_own_gets_starters_as_far_as_its_tables_go(demo_shop, write_shop):
    names = [audience.name for audience in au.audiences(demo_shop).found]
    assert names == ["unhappy_regulars", "never_bought_sweets", "regulars_silent_180_days", "birthday_next_week"]
    every = au.audiences(opened(write_shop, orders=orders()))
    assert [audience.name for audience in every.found] == [
        "regulars_silent_180_days"
    ] and "unhappy_regulars" in every.missing
    said = [caveat.text for caveat in au.page(every).caveats]
    assert any("segments.toml" in text for text in said)
    (missing,) = (text for text in said if text.startswith("Could not"))
    whys = set(every.missing.values())
    assert len(whys) > 1 and all(f"({why[0].lower()}{why[1:]})" in missing for why in whys)
    with pytest.raises(NotAvailable, match="no audience can be asked"):
        au.audiences(opened(write_shop, name="texts", feedback=[{"feedback_id": "1", "text": "good"}]))
    with pytest.raises(NotEnoughData, match="nobody is in the audience rich"):
        au.audiences(opened(write_shop, 'rich = "spent(9999)"', name="poor", orders=orders()))


def test_who_left_no_number_cannot_be_texted_and_who_left_no_address_not_be_written_to(write_shop):
    rows = [{"customer_id": f"c{i}", "email": "", "phone": "", "email_consent": i < 2, "sms_consent": True}
            for i in range(9)]  # fmt: skip
    part = au.part_lost(au.audiences(opened(write_shop, 'all_of_them = "everyone"', customers=rows)))
    assert part.title == "9 customers in ‘all of them’ can't be reached by text message"
    assert part.sentence == "They left no phone number."
    some = [row | {"sms_consent": n > 5} for n, row in enumerate(rows)]
    more = au.part_lost(au.audiences(opened(write_shop, 'all_of_them = "everyone"', name="more", customers=some)))
    assert (
        more.sentence
        == "They have not agreed to marketing; <5 more for other reasons. Ask for consent at the checkout."
    )
    assert ["e-mail", "Left no address", "<5"] in [row[1:] for row in part.chart.table["rows"]]


def test_who_would_hear_twice_is_said(write_shop):
    shop = opened(write_shop, 'buyers = "bought"\nloyal = "bought_often(3)"', customers=people(), orders=orders())
    part = au.part_overlap(au.audiences(shop))
    assert part.title == "10 people are in both ‘buyers’ and ‘loyal’"
    assert isinstance(part.chart.table["rows"], list) and part.chart.table["rows"][0][-1] == "100%"
    alone = opened(
        write_shop, 'a = "bought"\nb = "everyone - bought"', name="apart", customers=people(), orders=orders()
    )
    assert not au.part_overlap(au.audiences(alone)).shown
    assert isinstance(au.lost_people(au.audiences(alone)), pd.DataFrame)


def kept(reports, day, sizes, *, segment="", report="audiences"):
    """An earlier run with people in each audience, by name: (people, rule)."""
    run_id = f"{day.replace('-', '')}-060000-{report}-00a1"
    staging = store.stage(reports, run_id)
    numbers = [{"id": f"size_{name}", "label": name, "value": n, "unit": "people", "n": None, "low": None, "high": None,
                "definition": rule} for name, (n, rule) in sizes.items()]  # fmt: skip
    (staging / "metrics.json").write_text(json.dumps({"metrics": numbers}))
    said = {"run_id": run_id, "report": report, "variant": "", "title": "Audiences", "order": "03", "as_of": day,
            "status": "published", "reason": "", "headline": "Said.", "started_at": f"{day}T06:00:00.000+00:00",
            "parameters": {"segment": segment}, "packages": {}, "inputs": [],
            "code": {"version": "0.1.0", "commit": "abc", "changed": False, "notebook": "n1"}}  # fmt: skip
    store.publish(reports, staging, Manifest.from_json(said))


def test_sizes_of_earlier_days_are_drawn_from_three_on_where_the_rule_was_the_same(write_shop, tmp_path):
    shop = opened(
        write_shop,
        'buyers = "bought"\nloyal = "bought_often(3)"\nnew = "everyone"',
        customers=people(),
        orders=orders(),
    )
    every, out, reports = au.audiences(shop), tmp_path / "out", tmp_path / "reports"
    out.mkdir()
    then = {"loyal": (6, "bought_often(3)"), "new": (40, "bought")}
    kept(reports, "2026-07-01", then | {"buyers": (28, "bought")})
    kept(reports, "2026-08-01", {"buyers": (1, "bought")}, segment="unhappy")
    kept(reports, "2026-10-01", then | {"buyers": (99, "bought")})

    def part():
        record.lay_earlier(reports, "audiences", as_of=shop.as_of, values={"segment": ""}, out=out)
        return au.part_sizes(every, crm.earlier(out), as_of=shop.as_of)

    assert crm.earlier("") == () and not part().shown  # one earlier day: no line yet
    kept(reports, "2026-09-01", then | {"buyers": (29, "bought")})
    found = part()
    assert found.detail and found.sentence == "‘loyal’ changed most: it held 6 people on 1\xa0July and holds 10 now."
    # 'new' has another rule than then, the run of a segment is another shop's, and that of the day itself is replaced.
    assert [row[1:] for row in found.chart.table["rows"]] == [
        ["buyers", "30"], ["loyal", "10"], ["buyers", "29"], ["loyal", "6"], ["buyers", "28"], ["loyal", "6"],
    ]  # fmt: skip
    assert found in au.page(every, found).parts
    kept(reports, "2026-09-02", {"loyal": (10, "bought_often(3)")})
    (reports / "2026-07-01" / "audiences" / "metrics.json").write_text("[{")
    assert part().sentence == "‘loyal’ held 6 people on 1\xa0September and holds 10 now."
    kept(reports, "2026-09-03", {"loyal": (4, "bought_often(3)")})  # under five people are shown to nobody
    assert ["loyal", "4"] not in [row[1:] for row in part().chart.table["rows"]]
    record.clear_due(out)
    assert crm.earlier(out) == ()
    same = [(date(2026, 9, day), sizes_now(every)) for day in (1, 2)]
    assert au.part_sizes(every, same, as_of=shop.as_of).sentence == "No audience has become larger or smaller."


def sizes_now(every):
    """The numbers of a run that found the same."""
    return {metric.id: metric for metric in au.part_reach(every).metrics}
