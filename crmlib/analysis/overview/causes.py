"""Why did sales move? The change shared out exactly, by what was ordered and by who bought."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import figures, formats, wording
from crmlib.analysis.overview.facts import UNIT
from crmlib.analysis.overview.measure import Change, Measured
from crmlib.findings import Part

Floats = NDArray[np.float64]

# cause: its row on the page, and how a sentence names it where it adds and where it takes away.
ORDERED = {
    "orders": ("Number of orders", "more orders", "fewer orders"),
    "quantity": ("Pieces per order", "more pieces per order", "fewer pieces per order"),
    "mix": ("Which products", "dearer products", "cheaper products"),
    "price": ("Prices paid", "higher prices", "lower prices"),
    "new_products": ("New products", "new products", "new products"),
    "dropped_products": ("Products no longer sold", "products no longer sold", "products no longer sold"),
    "other": ("Shipping, discounts, refunds", "shipping, discounts and refunds", "shipping, discounts and refunds"),
    "basket": ("Average order", "larger orders", "smaller orders"),
}
BOUGHT = {
    "new": "New customers", "returned": "Came back", "more": "Bought more", "less": "Bought less",
    "lost": "Did not come again", "guests": "Guests' orders",
}  # fmt: skip
_CAME = {"new": "new", "returned": "returning"}


def ordered(change: Change) -> pd.Series:
    """By cause, how much more or less came in, in ten-thousandths: orders, quantity, mix, price, new and dropped
    products and other, or orders and basket where no lines are known. Adds up to the change exactly.

    Products sold in both periods are split at the midpoints of both (Bennet 1920): prices at the mean quantity, and
    quantity at the mean price into orders × pieces per order × share of each product. A product that was only not sold
    in one of them has kept its price; one first sold after the earlier period is new, one not sold since it is dropped.
    What has no lines is split into orders and the rest per order.

    >>> (ordered(measure(store).changes["month"]).sum() - measure(store).changes["month"].of("now")) <= 0
    np.True_
    """
    n = np.array([change.of("orders_before"), change.of("orders_now")], dtype=float)
    total = np.array([change.of("before"), change.of("now")], dtype=np.int64)
    goods, rows = np.zeros(2), {}
    if len(change.products):
        table = change.products
        fresh = pd.to_datetime(table["first"]) >= pd.Timestamp(change.pair.until)
        gone = pd.to_datetime(table["last"]) < pd.Timestamp(change.pair.start)
        sums = table[["before", "now"]].to_numpy(np.int64)
        goods = sums.sum(axis=0)
        apart = {"new_products": fresh, "dropped_products": gone & ~fresh}
        rows = {name: int(np.diff(sums[rows_of]).sum()) for name, rows_of in apart.items()}
        pieces = table.loc[~fresh & ~gone, ["pieces_before", "pieces_now"]].to_numpy(float)
        rows |= _known(sums[~fresh & ~gone].astype(float), pieces, n)
    rest = (total - goods) / np.where(n > 0, n, np.nan)
    rest = np.nan_to_num(np.where(np.isnan(rest), rest[::-1], rest))  # a period without orders: as in the other
    rows["orders"] = rows.get("orders", 0) + round(float(rest.mean() * (n[1] - n[0])))
    rows["other" if len(change.products) else "basket"] = int(total[1] - total[0]) - sum(rows.values())
    return pd.Series({name: rows[name] for name in ORDERED if name in rows}, dtype="int64")


def _known(money: Floats, pieces: Floats, n: Floats) -> dict[str, int]:
    """Orders, quantity, mix and price of products that both periods knew; they add up to the change of their money."""
    prices = np.divide(money, pieces, out=np.full(money.shape, np.nan), where=pieces > 0)
    prices = np.where(np.isnan(prices), prices[:, ::-1], prices)
    volume = pieces.sum(axis=0)
    if not len(money) or not volume.any():
        return dict.fromkeys(("orders", "quantity", "mix", "price"), 0)
    shares = np.divide(pieces, volume, out=np.full(pieces.shape, np.nan), where=volume > 0)
    shares = np.where(np.isnan(shares), shares[:, ::-1], shares)
    size = np.divide(volume, n, out=np.full(2, np.nan), where=n > 0)
    size = np.nan_to_num(np.where(np.isnan(size), size[::-1], size))
    price = prices.mean(axis=1)
    paid = float((price * shares.mean(axis=1)).sum())
    found = {
        "orders": paid * size.mean() * (n[1] - n[0]),
        "quantity": paid * n.mean() * (size[1] - size[0]),
        "mix": volume.mean() * float((price * (shares[:, 1] - shares[:, 0])).sum()),
    }
    rounded = {name: round(float(amount)) for name, amount in found.items()}
    # Both sides are whole: what prices did is known as exactly as the money is.
    return rounded | {"price": round(float(np.diff(money).sum())) - sum(rounded.values())}


def bought(change: Change) -> pd.Series:
    """By kind of customer, how much more or less came in, in ten-thousandths; adds up to the change exactly.

    >>> set(bought(measure(store).changes["month"]).index) <= {"new", "returned", "more", "less", "lost", "guests"}
    True
    """
    moved = (change.kinds["now"] - change.kinds["before"]).set_axis(change.kinds["kind"])
    return pd.Series({name: moved[name] for name in BOUGHT if name in moved.index}, dtype="int64")


def chief(change: Change) -> tuple[str, bool] | None:
    """What weighed most in the direction that sales took, in words, and whether it was at least half of it all."""
    whole, causes = change.of("now") - change.of("before"), ordered(change)
    same = causes[np.sign(causes) == np.sign(whole)]
    if same.empty or not whole * (change.now - change.alike) > 0:
        return None
    name = str(same.abs().idxmax())
    return ORDERED[name][1 if same[name] > 0 else 2], bool(2 * abs(same[name]) >= abs(whole))


def part_why(found: Measured) -> Part:
    """The finding: from last year's month to this, cause by cause."""
    change = found.main
    if change is None:
        return Part()
    moved, causes = change.now - change.alike, ordered(change)
    lead = chief(change) if change.moved else None
    title = (
        f"Mostly {lead[0]}" if lead and lead[1] else f"Several causes, above all {lead[0]}" if lead
        else "Within what months usually do"
    )  # fmt: skip
    ends = [_month(change.pair.before), _month(change.pair.start)]
    return Part(
        title=title,
        glance=True,
        chart=_bridge(causes.rename(lambda name: ORDERED[str(name)][0]), change, ends, found),
        certain=[_sure(change, found, moved), *_year(found)],
        method=["The change is split at midpoints of both periods (Bennet 1920), in whole ten-thousandths: the causes "
                "add up to it exactly. New products are those first sold after the earlier period."],
    )  # fmt: skip


def _sure(change: Change, found: Measured, moved: float) -> str:
    ends = formats.Estimate(value=moved, low=moved - change.half, high=moved + change.half, unit=found.unit)
    why = "customers and past months vary" if change.usual else "customers vary"
    more, on = change.alike - change.before, change.pair.fairly
    longer = f"The {'longer' if more > 0 else 'shorter'} month alone makes {found.money(abs(more))} of the change."
    said = f"As {why}, the change on {on}{',' if more else ''} is {ends.between} (95% range)."
    rule = "It counts as moved only where that range is on one side of zero."
    return wording.sentences(longer if more else "", said, rule)


def _year(found: Measured) -> list[str]:
    """How sure the change of twelve months is, by the rule of the month."""
    change = found.changes.get("12m")
    if change is None or not change.enough or change.before <= 0:
        return []
    now, low, high = ((change.now + side * change.half) / change.before - 1 for side in (0, -1, 1))
    between = formats.Estimate(value=now, low=low, high=high, unit="share").between
    said = "" if change.moved else ": no more than they vary"
    return [f"Judged alike, sales of 12 months changed by {between} on the 12 before{said}."]


def part_who(found: Measured) -> Part:
    """The finding: who brought the change of a year, or of the month where there is no year before."""
    change = found.changes.get("12m") or found.main
    if change is None or not found.tells_new(change) or not change.enough:
        return Part()
    parts, sums = bought(change), change.kinds.set_index("kind")
    came = [name for name in ("new", "returned") if parts.get(name, 0)]
    won = sum(int(parts[name]) for name in came) / UNIT
    lost, stayed = int(parts.get("lost", 0)) / UNIT, int(parts.get("more", 0) + parts.get("less", 0)) / UNIT
    money = found.money
    ends = ["12 months before", "Last 12 months"] if change.pair.months > 1 else [
        _month(change.pair.before), _month(change.pair.start)]  # fmt: skip
    # Guests of both periods are nobody twice: their number would be that of neither.
    # A month's buyers may have come in between.
    gone = "did not come again" if change.pair.months > 1 else f"did not buy in {change.pair.start:%B}"
    called = BOUGHT | {"lost": wording.upper(gone)}
    named = {name: called[name] + ("" if name == "guests" else f" ({formats.people(sums.at[name, 'customers'])})")
             for name in parts.index}  # fmt: skip
    kept = f"{money(abs(stayed))} {'more' if stayed >= 0 else 'less'}"
    title = wording.upper(wording.listed(text for amount, text in (
        (won, f"{wording.listed(_CAME[name] for name in came)} customers added {money(won)}"),
        (lost, f"those who {gone} took {money(-lost)} away")) if amount)
    ) or f"Customers who stayed brought {kept}"  # fmt: skip
    cause = "months usually vary" if change.usual else "chance explains"
    return Part(
        title=title,
        sentence=wording.sentences(
            f"Customers of both periods brought {kept}."
            if won or lost else "", "" if change.moved else f"In all, that is no more than {cause}.",
        ),
        chart=_bridge(parts.rename(named), change, ends, found),
        method=["New customers have their first order in the later period; who came back had bought before both, and "
                f"not in the earlier; who {gone} bought in the earlier alone, whatever their rhythm."],
    )  # fmt: skip


def _month(day: date) -> str:
    return f"{day:%B %Y}"


def _bridge(parts: pd.Series, change: Change, ends: list[str], found: Measured) -> figures.Chart:
    rows = pd.DataFrame({"cause": list(parts.index), "amount": parts.to_numpy() / UNIT})
    return figures.bridge(rows[rows["amount"] != 0], label="cause", amount="amount", start=(ends[0], change.before),
                          end=ends[1], what="net sales", form=found.money, quiet=not change.moved)  # fmt: skip


def change_table(found: Measured) -> pd.DataFrame:
    """What did each cause do? For change.csv: compared (year, month, 12m), by (order, customer), cause, amount.

    Each pair of the first two adds up to how much sales moved, the row 'all' of its own.
    """
    rows = []
    for name, change in found.changes.items():
        for by, parts in (
            ("order", ordered(change)),
            *((("customer", bought(change)),) if found.tells_new(change) else ()),
        ):
            rows += [(name, by, cause, amount / UNIT) for cause, amount in parts.items()]
    return pd.DataFrame(rows, columns=["compared", "by", "cause", "amount"])
