"""What may not get worse, by how much it may, and whether that is assured (non-inferiority)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from crmlib.errors import UsageError

_WRITTEN = re.compile(r"^(?P<metric>.+?)\s+(?P<sign>[+\-\u2212])\s*(?P<size>\d*\.?\d+)\s*(?P<unit>%|points?)?$")


@dataclass(frozen=True, kw_only=True)
class Guardrail:
    """One metric's limit: `limit` above 0 is how far it may rise, below 0 how far it may fall, against control.

    relative  is `limit` a share of control's mean, else in the metric's own unit
    """

    metric: str
    limit: float
    relative: bool
    text: str

    def verdict(self, row: Mapping[str, float]) -> str:
        """holds, where the whole interval is on the safe side of the limit; broken, where all is beyond it; else unclear.

        All guardrails must hold, so none is corrected for the others (an intersection–union test, Berger 1982).
        """
        ends = ("relative_low", "relative_high") if self.relative else ("low", "high")
        # A fall is judged as a rise, mirrored.
        low, high = sorted(math.copysign(1, self.limit) * float(row[end]) for end in ends)
        if math.isnan(low) or math.isnan(high):
            return "unclear"
        return "holds" if high < abs(self.limit) else "broken" if low > abs(self.limit) else "unclear"


def read_guardrails(text: str) -> tuple[Guardrail, ...]:
    """'refunded +0.5 points, margin -2 %' as limits: refunds may rise by half a point, margin may fall by two per cent.

    `points` are percentage points of a share, `%` is of control's mean, a bare number is in the metric's own unit.
    Raises UsageError for what is not written so, a limit of 0 too: no test can show that nothing at all got worse.
    """
    found = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        match = _WRITTEN.match(part)
        size = float(match["size"]) if match else 0.0
        if match is None or not size > 0:
            raise UsageError(
                f"guardrails are written as refunded +0.5 points, margin -2 %, with limits other than 0; '{part}' is not"
            )
        sign, unit = (1 if match["sign"] == "+" else -1), match["unit"] or ""
        verb = "rise" if sign > 0 else "fall"
        shown = f"{match['size']}\N{NO-BREAK SPACE}%" if unit == "%" else f"{match['size']} {unit}".strip()
        found.append(
            Guardrail(
                metric=match["metric"].strip(),
                limit=sign * (size / 100 if unit else size),
                relative=unit == "%",
                text=f"may {verb} by at most {shown}",
            )
        )
    return tuple(found)
