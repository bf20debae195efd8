"""Data health, in the order of its page."""

from __future__ import annotations

from crmlib import wording
from crmlib.analysis.data_health.admin import measure_admin, part_admin
from crmlib.analysis.data_health.apart import part_credits, part_not_goods
from crmlib.analysis.data_health.facts import Health
from crmlib.analysis.data_health.gaps import part_checks, part_fields, part_guests
from crmlib.analysis.data_health.months import compare, month_title, part_months
from crmlib.analysis.data_health.reading import part_files, part_states
from crmlib.analysis.data_health.rows import part_faults, part_rows
from crmlib.analysis.data_health.spent import part_spent
from crmlib.analysis.data_health.sums import part_people, part_sums
from crmlib.findings import Findings, Part, compose
from crmlib.shop.shop import Shop

_LITTLE = 0.01  # of a month's sales


def page(health: Health, *, shop: Shop) -> Findings:
    """What the shop's owner should know of the data before reading any other page."""
    checks = part_checks(health, shop=shop)
    parts = [
        part_months(health, rule=shop.money_rule()),
        part_faults(health, nameless=shop.people.nameless),
        part_states(shop),
        part_credits(shop),
        part_not_goods(shop),
        part_files(shop),
        part_sums(shop),
        part_spent(shop),
        part_admin(measure_admin(shop), currency=shop.currency),
        part_people(shop),
        part_guests(health),
        part_fields(health),
        part_rows(health),
        checks,
    ]
    return compose("data_health", _headline(health, checks), parts)


def _headline(health: Health, checks: Part) -> str:
    failed = [check.text for check in checks.checks if check.verdict == "failed"]
    month = compare(health, 1)
    sales = f"{month_title(health, month)}{_nobody_new(health)}." if month is not None else ""
    lost = health.money_missing
    # Next to nothing is no news: sales lead.
    little = health.measure == "revenue" and month is not None and 0 < lost < _LITTLE * month.now
    if little and not failed:
        return wording.sentences(sales, _usable(health))
    return wording.sentences(failed[0] if failed else _usable(health), sales)


def _nobody_new(health: Health) -> str:
    """That nobody has joined for months, without which sales that fall say little of the shop."""
    since = health.nobody_new
    return f"; no new customers since {since:%B %Y}" if since else ""


def _usable(health: Health) -> str:
    """Whether all rows could be used, and what those that could not are worth."""
    read, aside = int(health.total["read"]), int(health.total["set_aside"])
    if not aside:
        return f"All {wording.counted(read, 'row')} could be used." if read != 1 else "The only row could be used."
    count, lost = int(health.missing["orders"].sum()), health.money_missing
    if count:
        money, orders = wording.rounded_money(lost, health.currency), wording.counted(count, "order")
        # Those whose total is below zero or unknown add nothing to the money.
        paid = int(health.missing.loc[health.missing["money"].astype(float) > 0, "orders"].sum())
        if lost and paid < count:
            return f"{orders} could not be used, {paid:,} of them worth {money}."
        return f"{orders}{f' worth {money}' if lost else ''} could not be used."
    return f"{aside:,} of {read:,} rows could not be used; no order is missing because of it."
