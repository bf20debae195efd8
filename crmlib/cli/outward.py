"""crm export, outcome, subject, erase: what leaves the house, what was done with it, what is kept of a person, and how
it is taken away.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crmlib.cli import common
from crmlib.errors import UsageError
from crmlib.lots import LEAVE

if TYPE_CHECKING:
    from crmlib.report.erasing import Person
    from crmlib.shop.shop import Shop

_TARGETS = ("klaviyo", "mailchimp", "shopify", "google", "meta", "brevo", "spreadsheet", "calendar")
_PAUSE_DAYS = 7  # between two lists for one customer
_YES, _NO = ("yes", "y", "true", "1"), ("no", "n", "false", "0")


@click.command()
@click.argument("report")
@click.argument("name", metavar="LIST")
@click.option("--to", "target", required=True, type=click.Choice(_TARGETS), help="The tool that takes the file.")
@click.option("--channel", help="email, sms or ads: what people must have agreed to; the tool's first by default.")
@click.option("--for", "form", default="", metavar="FORM",
              help="For --to spreadsheet: excel-de and the like have semicolons and decimal commas.")  # fmt: skip
@click.option("--out", "folder_out", metavar="DIR", help="Where to; lists/exports in the reports folder by default.")
@click.option("--shop", metavar="DIR", help="The shop's folder; that of the reports folder by default.")
@common.reports_option
@common.variant_option
def export(report: str, name: str, target: str, channel: str | None, **options: str | None) -> None:
    """Write a list of a report's newest good run as a file for another tool.

    Only people who agreed to the channel, as the shop's tables say today, and whom no list leaves alone are in it; all
    others are in a file beside it, each with the reason.
    """
    from crmlib.handover import TARGETS
    from crmlib.handover.people import Asked, hand_over
    from crmlib.handover.spreadsheet import FORMS
    from crmlib.report import archive
    from crmlib.report.folder import kept
    from crmlib.report.folder.manifest import slug_of

    form = options["form"] or ""
    if form not in FORMS or (form and target != "spreadsheet"):
        raise UsageError(f"--for is for --to spreadsheet, and one of {', '.join(filter(None, FORMS))}; not {form!r}")
    reports = common.reports_folder(options["folder"] or "reports")
    run = archive.newest_good(reports, slug_of(report, common.variant_name(options["variant"] or "")))
    rows, as_of = archive.list_rows(run, name), date.fromisoformat(run.parent.name)
    to = TARGETS[target]
    asked = Asked(
        name=name, target=to, channel=channel or to.channels[0], held=frozenset(kept.held(reports, as_of)),
        elsewhere=frozenset(kept.elsewhere(reports, name, as_of, days=_PAUSE_DAYS)),
    )  # fmt: skip
    store = _shop(reports, options["shop"])
    handed = hand_over(store, rows, asked)
    said_ = {"for": form, "as_of": str(as_of), "list": name, "country": store.settings.country}
    text = to.text(handed.people, said_)
    if to.most_bytes and len(text.encode()) > to.most_bytes:
        raise UsageError(f"{target} takes files of up to {to.most_bytes // 10**6} MB; export a shorter list")
    place = Path(options["folder_out"]).expanduser() if options["folder_out"] else kept.folder(reports) / "exports"
    written = [place / f"{as_of}-{report}-{name}-{target}{end}" for end in (f".{to.suffix}", "-rejected.csv")]
    for path, said in zip(written, (text, _rejected(handed.rejected)), strict=True):
        kept.private_text(path, said)
    export_ = {"list": name, "channel": asked.channel, "day": str(as_of)}
    if to.suffix == "csv":  # a calendar names nobody, so that nobody is written to by it
        own = {row["customer_id"]: "yes" for row in rows if row.get("lot") == ""}
        people = [person["customer_id"] for person in handed.people]
        kept.contacted(reports, [{**export_, "customer_id": who, "personal": own.get(who, "")} for who in people])
        kept.assign(reports, name, rows, as_of)
    kept.note(reports, "export", report=report, list=name, day=str(as_of), to=target, channel=asked.channel,
                 people=len(handed.people), rejected=handed.counts())  # fmt: skip
    said = f"{len(handed.people):,} of {len(rows):,} in {common.near(written[0])}"
    common.say(f"{said}; {len(handed.rejected):,} in {common.near(written[1])}")
    common.echo_columns((f"  {count:,}", why) for why, count in handed.counts().items())
    if len(handed.people) < to.fewest:
        common.say(f"{target} wants {to.fewest} people or more; this file may be refused.")
    common.say(to.notice)


def _rejected(pairs: tuple[tuple[str, str], ...]) -> str:
    """Who is not in the file, with the reason, as CSV."""
    import pandas as pd

    from crmlib.publishing import list_text

    return list_text(pd.DataFrame(list(pairs), columns=["customer_id", "reason"]))


@click.command()
@click.argument("report")
@click.argument("name", metavar="LIST")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--channel", default="phone", show_default=True, help="How they were contacted.")
@common.reports_option
@common.variant_option
def outcome(report: str, name: str, file: Path, channel: str, folder: str, variant: str) -> None:
    """Take in what was done with a list, so that what it earned can be told.

    FILE is a CSV with the columns customer_id, contacted_at (a day such as 2026-11-23) and, if you like, answered (yes
    or no). Each row belongs to the list's newest run before its day. Giving the same file twice changes nothing.
    """
    from crmlib.publishing import csv_rows
    from crmlib.report import archive
    from crmlib.report.folder import kept
    from crmlib.report.folder.manifest import slug_of

    reports, slug = common.reports_folder(folder), slug_of(report, common.variant_name(variant))
    done = [_done(row, number, name, channel) for number, row in enumerate(csv_rows(file), start=2)]
    if not done:
        raise UsageError(
            f"{file} is not there"
            if not file.is_file()
            else f"{file.name} names nobody: it needs rows with customer_id and contacted_at"
        )
    # Before anything is written, each day must have its run and its list.
    runs = dict.fromkeys(archive.newest_good(reports, slug, until=day) for day in sorted({row["day"] for row in done}))
    lists = {date.fromisoformat(run.parent.name): archive.list_rows(run, name) for run in runs}
    listed: dict[str, str] = {}
    for as_of, rows in lists.items():
        kept.assign(reports, name, rows, as_of)
        listed |= {row["customer_id"]: row.get("lot", "no lot") for row in rows}
    personal = {True: "yes", False: ""}
    kept.contacted(reports, [{**row, "personal": personal[listed.get(row["customer_id"]) == ""]} for row in done])
    kept.note(reports, "outcome", report=report, list=name, channel=channel, people=len(done))
    strange = sum(row["customer_id"] not in listed for row in done)
    alone = sum(listed.get(row["customer_id"]) == LEAVE for row in done)
    answered = sum(row["answered"] == "yes" for row in done)
    common.say(f"{len(done):,} contacted, {answered:,} answered; {strange:,} of them not on the list, "
               f"{alone:,} to be left alone")  # fmt: skip


def _done(row: dict[str, str], number: int, name: str, channel: str) -> dict[str, str]:
    """A row of what was done as it is kept. UsageError names the line that cannot be read."""
    who, day, answered = (row.get(key, "").strip() for key in ("customer_id", "contacted_at", "answered"))
    try:
        day = str(date.fromisoformat(day))
    except ValueError:
        raise UsageError(f"line {number}: contacted_at is {day!r}; a day such as 2026-11-23 is needed") from None
    if not who or answered.casefold() not in ("", *_YES, *_NO):
        raise UsageError(f"line {number}: customer_id is {who!r}, answered {answered!r}; an id, and yes, no or nothing")
    said = "yes" if answered.casefold() in _YES else "no" if answered else ""
    return {"customer_id": who, "list": name, "channel": channel, "day": day, "answered": said}


@click.command()
@click.argument("customer")
@click.option("--shop", metavar="DIR", help="The shop's folder; that of the reports folder by default.")
@click.option("--out", "target", metavar="FILE", help="Where to; subject-….json here by default.")
@common.reports_option
def subject(customer: str, shop: str | None, target: str | None, folder: str) -> None:
    """Write all that is kept of a customer, named by id or e-mail address, into a file.

    The rows of the shop's tables and of every list, prediction and export, and the name under which pages speak of the
    customer. For the customer, who may ask for it; only its owner can read the file.
    """
    from crmlib.report import erasing
    from crmlib.report.folder import kept
    from crmlib.shop import subjects

    reports = common.reports_folder(folder)
    store = _shop(reports, shop)
    who = subjects.find(store, customer)
    found = erasing.of_person(reports, _person(store, customer, who))
    if who is None and not found:
        raise UsageError(_unknown(customer))
    told = {"customer": who or customer, "tables": subjects.rows(store, who) if who else {}, "kept": found}
    told["pages call the customer"] = store.pseudonym(who or customer)
    path = Path(target or f"subject-{store.pseudonym(who or customer)}.json")
    kept.private_text(path, json.dumps(told, indent=1, ensure_ascii=False, default=str) + "\n")
    kept.note(reports, "subject", files=len(found), rows=sum(map(len, found.values())))
    common.say(f"wrote {common.near(path.resolve())}")


@click.command()
@click.argument("customer")
@click.option("--shop", metavar="DIR", help="The shop's folder; that of the reports folder by default.")
@common.reports_option
def erase(customer: str, shop: str | None, folder: str) -> None:
    """Take a customer, named by id or e-mail address, out of everything that is kept.

    Lists, predictions, exports, superseded and failed runs, and all that was kept of the shop's files. Pages show
    counts and stay. Later runs leave the customer's rows out, whatever the shop's files hold: orders count as a
    guest's. Exit code 75 where a report was being run: its new lists leave the customer out, and the command is to be
    given again for its old ones.
    """
    from dataclasses import replace

    from crmlib import stones
    from crmlib.report import erasing
    from crmlib.report.folder import kept
    from crmlib.shop import erased, subjects
    from crmlib.shop.intake import kept as intake

    reports = common.reports_folder(folder)
    store = _shop(reports, shop)
    file, beside = kept.folder(reports) / kept.ERASED, Path(_folder(reports, shop)) / erased.FILE
    known, who = stones.read(file), subjects.find(store, customer)
    kind = stones.CONTACT if "@" in customer else stones.ID
    before = any(one.holds(kind, customer) for one in (known, *erased.stones(beside.parent)))
    person = _person(store, customer, who)
    found = erasing.of_person(reports, person)
    if who is None and not before and not found:
        raise UsageError(_unknown(customer))
    # Who was erased before is known by what is still to be erased.
    listed = (row.get(column, "") for rows in found.values() for row in rows for column in ("email", "phone"))
    person = replace(person, contacts=person.contacts | set(filter(None, listed)))
    # First the stone: a run that ends meanwhile finds it.
    known = known.with_ones(ids=person.ids, contacts=[contact for contact in person.contacts if "@" in contact])
    kept.private_text(file, known.text())
    intake.drop(reports / kept.INTAKE)  # the next run reads the shop's files anew, and keeps none with the customer
    try:
        if beside.parent.is_dir():  # a database has no folder
            kept.private_text(beside, known.text())
    except OSError as error:
        common.say(f"crm: {beside} cannot be written ({error.strerror}): notebooks run by hand still see the customer",
                   err=True)  # fmt: skip
    files, rows, locked = erasing.erase(reports, person)
    kept.note(reports, "erase", files=files, rows=rows, again=before)
    said = f"{rows:,} row{'s' if rows != 1 else ''} taken out, {files:,} file{'s' if files != 1 else ''} changed"
    common.say(f"{'erased before; ' if before else ''}{said}")
    for slug in locked:
        common.say(f"crm: {slug} is being run: give the command again once it has ended", err=True)
    common.say("The shop's own files, its platform, tools that got an export and backups still hold the customer: "
               "delete there, too.")  # fmt: skip
    sys.exit(75 if locked else 0)


def _person(store: Shop, customer: str, who: str | None) -> Person:
    """All under which a customer may stand in a list; named by an address that no table knows, that alone."""
    from crmlib.report.erasing import Person
    from crmlib.shop import subjects

    contacts = {*subjects.contacts(store, who), *([customer] if "@" in customer else [])}
    ids = {who} if who else {customer} - contacts
    return Person(frozenset(ids), frozenset(contacts))


def _unknown(customer: str) -> str:
    return f"nothing is kept of {customer!r}: no customer's id or e-mail address, in no table and in no list"


def _folder(reports: Path, shop: str | None) -> str:
    from crmlib.report.folder.manifest import holder

    named = shop or holder(reports).get("folder", "")
    if not named:
        raise UsageError("this reports folder does not say whose it is: name the shop with --shop DIR")
    return str(common.shop_folder(common.project_folder(), named)[0])


def _shop(reports: Path, shop: str | None) -> Shop:
    """The shop as it is today; what concerns single customers is known from the reports folder."""
    import os
    from datetime import timedelta

    import crmlib
    from crmlib.report.folder import kept
    from crmlib.report.key import KEY_VARIABLE, key_of
    from crmlib.shop.intake.settings import read_settings

    place = _folder(reports, shop)
    os.environ[KEY_VARIABLE] = key_of(reports)
    os.environ[kept.VARIABLE] = str(reports / kept.FOLDER)
    settings = read_settings(place)
    # What was withdrawn today counts, too.
    today = settings.as_of or common.today(settings.timezone) + timedelta(days=1)
    return crmlib.connect(place, as_of=today)
