"""Lists on their way out: one table-driven module for each tool that takes them."""

from __future__ import annotations

from crmlib.handover import brevo, calendar, google, klaviyo, mailchimp, meta, shopify, spreadsheet
from crmlib.handover.table import Target

__all__ = ["TARGETS", "Target"]

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        klaviyo.TARGET, mailchimp.TARGET, shopify.TARGET, google.TARGET, meta.TARGET, brevo.TARGET, spreadsheet.TARGET,
        calendar.TARGET,
    )
}  # fmt: skip
