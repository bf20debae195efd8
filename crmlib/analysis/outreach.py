"""Who may be written to, and who of them is left alone so that the difference can be seen?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import ibis
import pandas as pd

from crmlib import formats, wording

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

WRITE, LEAVE = "write", "leave alone"
Channel = Literal["email", "sms"]
Reason = Literal["refused", "unknown", "no address"]

_COLUMNS = {"email": ("email_consent", "email"), "sms": ("sms_consent", "phone")}
_SUBJECTS = {"email": "marketing e-mail", "sms": "text messages"}
_ADDRESSES = {"email": "an e-mail address", "sms": "a phone number"}
_MAX_CUSTOMERS = 5_000_000


class Draws(Protocol):
    """What drawing lots needs of a shop."""

    def lot(self, value: object, *, of: str) -> bool: ...


@dataclass(frozen=True)
class Contactable:
    """The rows of a list whose customers may be written to.

    frame     those rows, in their order, numbered anew
    left_out  customers taken off, by reason: consent refused or withdrawn, consent unknown, no address
    channel   email or sms
    checked   whether the shop's data says who agreed; where it does not, nobody was taken off for want of consent
    """

    frame: pd.DataFrame
    left_out: Mapping[Reason, int]
    channel: Channel
    checked: bool

    @property
    def note(self) -> str:
        """Who was left out and why, as a sentence for `Action.why`."""
        subject = _SUBJECTS[self.channel]
        said = {
            "refused": f"not agreed to {subject}",
            "unknown": "no consent on record",
            "no address": f"not left {_ADDRESSES[self.channel]}",
        }
        gone = [
            f"{formats.number(count)} who {wording.noun(count, 'has')} {said[reason]}"
            for reason, count in self.left_out.items()
            if count
        ]
        left = f"Left out: {wording.listed(gone)}." if gone else ""
        if not self.checked:
            return wording.sentences(
                f"The data does not say who agreed to {subject}: check that before anybody is written to.", left
            )
        return left or f"All on the list have agreed to {subject}."


def contactable(shop: Shop, frame: pd.DataFrame, *, channel: Channel = "email") -> Contactable:
    """Which rows of a list (column customer_id) are of customers who may be written to, and how many are left out, why?

    Consent is what it was at the shop's as_of. A customer without a row in `customers`, or with consent left blank, has
    not agreed. Where the shop has no column of consent nobody is taken off for it, and `checked` is False; the same
    for addresses.
    """
    consent, address = _COLUMNS[channel]
    checked, addressed = shop.has("customers", consent), shop.has("customers", address)
    if not (checked or addressed) or frame.empty:
        return Contactable(frame.reset_index(drop=True), {}, channel, checked)
    customers = shop.table("customers")
    # Only whether there is an address leaves the engine, not the address.
    asked = customers.select(
        "customer_id",
        agreed=customers[consent] if checked else ibis.literal(True),
        reached=(customers[address].fill_null("").strip() != "") if addressed else ibis.literal(True),
    )
    known = shop.fetch(asked, max_rows=_MAX_CUSTOMERS).drop_duplicates("customer_id").set_index("customer_id")
    of_row = known.reindex(frame["customer_id"])
    agreed, reached = (of_row[name].astype("boolean").reset_index(drop=True) for name in ("agreed", "reached"))
    answer = frame.reset_index(drop=True)
    reasons: dict[Reason, pd.Series[bool]] = {
        "refused": checked & ~agreed.fillna(True),
        "unknown": checked & agreed.isna(),
        "no address": addressed & agreed.fillna(not checked) & ~reached.fillna(False),
    }
    left_out: dict[Reason, int] = {
        reason: int(answer.loc[test.to_numpy(dtype=bool), "customer_id"].nunique()) for reason, test in reasons.items()
    }
    off = pd.concat(reasons.values(), axis=1).any(axis=1).to_numpy(dtype=bool)
    kept = answer[~off].reset_index(drop=True)
    return Contactable(kept, {reason: count for reason, count in left_out.items() if count}, channel, checked)


def lots(customers: Iterable[str], *, shop: Draws, of: str, act: str = WRITE) -> list[str]:
    """Whom of the list `of` to `act` on, and whom to leave alone: about half each, the same on every run with one key.

    What acting adds is told by the half left alone. An id keeps its lot when the list changes.
    """
    return [act if shop.lot(customer, of=of) else LEAVE for customer in customers]
