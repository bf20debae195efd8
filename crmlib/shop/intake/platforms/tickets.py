"""Zendesk: tickets, with the satisfaction that customers gave; 'Offered' is no answer, and so no unhappy one."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Made, either


def _first_reply(rows: ir.Table) -> ir.Value:
    """So many minutes after the ticket came in, where it says when in the usual way."""
    minutes = either(rows, "First reply time in minutes", "First reply time (min)").try_cast("float64")
    opened = rows["Created at"].try_cast("timestamp")
    return opened + (minutes * 60).round().cast("int64").as_interval("s")


def _satisfaction(rows: ir.Table) -> ir.Value:
    word = rows["Satisfaction Score"].lower()
    return ibis.cases((word.startswith("good"), 1), (word.startswith("bad"), 0), else_=ibis.null("int64"))


ZENDESK = Export(
    platform="Zendesk",
    what="tickets",
    needs=("Subject", "Status", "Created at", "Solved at"),
    also=("First reply time in minutes", "First reply time (min)"),
    made={
        "tickets": Made({
            "ticket_id": "Id | Ticket ID", "opened_at": "Created at", "closed_at": "Solved at",
            "first_reply_at": (_first_reply, "Created at"), "topic": "Ticket type | Subject", "subject": "Subject",
            "staff_id": "Assignee", "state": "Status", "_email": "Requester Email",
            "_name": "Requester", "satisfaction": (_satisfaction, "Satisfaction Score"),
            "reopened": (lambda t: ibis.ifelse(t["Reopens"].fill_null("0") == "0", "no", "yes"), "Reopens"),
        })
    },
)  # fmt: skip
