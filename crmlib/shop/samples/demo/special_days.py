"""Days on which the demo shop sold otherwise than its season says: public holidays, days it was shut, a campaign.

No order is made or lost: it comes on a day near by, in the same month, so that customers and their baskets stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crmlib.shop.samples.demo.population import AS_OF, FIRST_DAY

HOLIDAYS = ("01-01", "05-01", "10-03", "12-25", "12-26")  # Germany's that have a date of their own
STAYS = 0.5  # of a holiday's orders; the others come two to five days later
CLOSED = ("2026-01-12", "2026-01-15")  # its orders come in the sixteen days after
CAMPAIGN = ("2026-03-16", "2026-03-20")
DRAWN = 0.4  # of the orders of the eleven days after it, which came for it instead
SPANS = f"""
[[closures]]
from = {CLOSED[0]}
to = {CLOSED[1]}
name = "Stocktaking"

[[campaigns]]
from = {CAMPAIGN[0]}
to = {CAMPAIGN[1]}
name = "Spring sale"
"""


def moved(
    rng: np.random.Generator, at: NDArray[np.datetime64], *, fixed: NDArray[np.bool_]
) -> NDArray[np.datetime64]:  # fmt: skip
    """The times of orders as these days leave them, at the same time of day; those that are `fixed` stay."""
    day = at.astype("datetime64[D]")
    draw, place = rng.random(len(at)), rng.random(len(at))
    years = range(int(str(FIRST_DAY)[:4]), int(str(AS_OF)[:4]) + 1)
    holiday = np.isin(day, np.array([f"{year}-{name}" for year in years for name in HOLIDAYS], dtype="datetime64[D]"))
    (shut, open_again), (begins, ends) = (
        (np.datetime64(first), np.datetime64(last) + 1) for first, last in (CLOSED, CAMPAIGN)
    )
    new = np.select(
        [(day >= shut) & (day < open_again), (day >= ends) & (day < ends + 11) & (draw < DRAWN),
         holiday & (draw >= STAYS)],
        [_spread(open_again, 16, place), _spread(begins, int((ends - begins).astype(int)), place),
         day + 2 + (place * 4).astype(np.int64)],
        day,
    )  # fmt: skip
    return np.where(fixed, at, at + (new - day))


def _spread(first: np.datetime64, days: int, place: NDArray[np.float64]) -> NDArray[np.datetime64]:
    return first + (place * days).astype(np.int64)


def truth() -> dict[str, Any]:
    """What was planted."""
    return {
        "holidays": list(HOLIDAYS),
        "share_of_a_holiday_that_stays": STAYS,
        "closed": list(CLOSED),
        "campaign": list(CAMPAIGN),
        "share_of_the_days_after_that_came_for_the_campaign": DRAWN,
    }
