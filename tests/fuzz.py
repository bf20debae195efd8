"""Exports damaged at random: nothing but a clear error, no row lost without a count, no amount read as another.

python -m tests.fuzz 0 2000      every seed from 0 to 1,999; prints those that fail, and by what
"""

from __future__ import annotations

import csv
import io
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd

import crmlib as crm
from crmlib.analysis import data_health
from crmlib.errors import CrmError
from crmlib.shop import facts

AS_OF = "2027-01-01"
ORDERS = 40


@dataclass
class Export:
    """One file on its way to being damaged: its rows, how it is written, then its bytes.

    `totals` is the truth by order id, `touched` the ids whose own cells were damaged, `guessing` says that the damage
    moved names or columns, so that no value can be held to anything.
    """

    name: str
    header: list[str]
    rows: list[list[str]]
    totals: dict[str, Decimal] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str = "utf-8"
    end: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    before: str = ""
    touched: set[str] = field(default_factory=set)
    guessing: bool = False
    damage: list[str] = field(default_factory=list)

    def text(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self.delimiter, lineterminator=self.end, quoting=self.quoting)  # type: ignore[arg-type]
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return self.before + out.getvalue()


def _moment(rng: random.Random) -> datetime:
    return datetime(2024, 1, 1) + timedelta(minutes=rng.randrange(2 * 365 * 24 * 60))


def _canonical(rng: random.Random) -> tuple[list[Export], str]:
    header = ["order_id", "ordered_at", "customer_id", "total", "status", "refunded"]
    rows, lines, totals = [], [], {}
    for number in range(ORDERS):
        total = Decimal(rng.randrange(100, 500_000)) / 100
        totals[f"O{number:04d}"] = total
        at = f"{_moment(rng):%Y-%m-%d %H:%M:%S}"
        rows.append([f"O{number:04d}", at, f"C{rng.randrange(15)}", f"{total:.2f}", "paid", ""])
        lines.append([f"O{number:04d}", rng.choice(["Mug, blue", 'Tray 12"', "Tee grün", "P1"]), "1", f"{total:.2f}"])
    names = ["order_id", "product_id", "quantity", "line_total"]
    return [Export("orders.csv", header, rows, totals), Export("order_lines.csv", names, lines)], ""


def _shopify(rng: random.Random) -> tuple[list[Export], str]:
    header = ["Name", "Email", "Financial Status", "Total", "Created at", "Id", "Lineitem name", "Tags"]
    rows, totals = [], {}
    for number in range(ORDERS):
        key, total = f"{5_000_000_000_000 + number * 7919}", Decimal(rng.randrange(100, 90_000)) / 100
        totals[key] = total
        item = rng.choice(["Linen Shirt - Sand / M", "Scarf, long", 'Frame 8" x 10"'])
        at = f"{_moment(rng):%Y-%m-%d %H:%M:%S} -0400"
        rows.append(
            [f"#{1001 + number}", f"b{rng.randrange(12)}@example.com", "paid", f"{total:.2f}", at, key, item, ""]
        )
    toml = '[columns.orders]\norder_id = "Id"\nordered_at = "Created at"\ntotal = "Total"\ncustomer_id = "Email"\n'
    return [Export("orders.csv", header, rows, totals)], toml + 'status = "Financial Status"\n'


def _continental(rng: random.Random) -> tuple[list[Export], str]:
    header = ["Bestellnummer", "Datum", "Kunde", "Summe", "Notiz"]
    rows, totals = [], {}
    for number in range(ORDERS):
        total = Decimal(rng.randrange(100, 900_000)) / 100
        totals[f"{20_001 + number}"] = total
        whole, cents = f"{total:,.2f}".replace(",", ".").rsplit(".", 1)
        note = rng.choice(["", "Schöne Grüße; bis bald", 'sagt "danke"'])
        rows.append(
            [f"{20_001 + number}", f"{_moment(rng):%d.%m.%Y %H:%M}", f"K{number % 9}", f"{whole},{cents}", note]
        )
    toml = (
        '[columns.orders]\norder_id = "Bestellnummer"\nordered_at = "Datum"\ncustomer_id = "Kunde"\ntotal = "Summe"\n'
    )
    return [Export("orders.csv", header, rows, totals, delimiter=";", encoding="cp1252")], toml


BASES = (_canonical, _shopify, _continental)


# Other ways to write the same: every amount must stay what it is.


def _other_delimiter(export: Export, rng: random.Random) -> None:
    export.delimiter = rng.choice([",", ";", "\t", "|"])


def _other_encoding(export: Export, rng: random.Random) -> None:
    export.encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "utf-32", "mac_roman"])


def _other_ends(export: Export, rng: random.Random) -> None:
    export.end = rng.choice(["\r\n", "\r", "\n\n", "\n"])


def _all_quoted(export: Export, rng: random.Random) -> None:
    export.quoting = csv.QUOTE_ALL


def _other_places(export: Export, rng: random.Random) -> None:
    order = list(range(len(export.header)))
    rng.shuffle(order)
    export.header = [export.header[place] for place in order]
    export.rows = [[row[place] for place in order] for row in export.rows]


def _title_lines(export: Export, rng: random.Random) -> None:
    export.before = rng.choice(
        ["sep=" + export.delimiter + "\n", "Report of all orders\n", "\n\n", "Orders\nfrom 2024\n\n"]
    )


def _other_dates(export: Export, rng: random.Random) -> None:
    column = _time(export)
    form = rng.choice(
        ["%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%SZ", "%d-%b-%y", "%B %d, %Y", "%Y/%m/%d"]
    )
    for row in export.rows:
        for known in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S -0400", "%d.%m.%Y %H:%M"):
            try:
                row[column] = datetime.strptime(row[column], known).strftime(form)
                break
            except ValueError:
                continue


def _signed_amounts(export: Export, rng: random.Random) -> None:
    column = _money(export)
    form = rng.choice(["${}", "{} €", "EUR {}", "{} ", "+{}", "US ${}"])
    for row in export.rows:
        row[column] = form.format(row[column])


def _mixed_decimals(export: Export, rng: random.Random) -> None:
    # A comma before two digits is one whatever the others write.
    column = _money(export)
    for row in rng.sample(export.rows, len(export.rows) // 2):
        if "." in row[column] and "," not in row[column] and row[column][-3:-2] == ".":
            row[column] = row[column].replace(".", ",")


# What no reader can undo.


def _rows_dropped(export: Export, rng: random.Random) -> None:
    for row in rng.sample(export.rows, rng.randrange(1, len(export.rows) // 2)):
        export.rows.remove(row)


def _rows_doubled(export: Export, rng: random.Random) -> None:
    export.rows += [list(row) for row in rng.sample(export.rows, rng.randrange(1, 6))]
    rng.shuffle(export.rows)


def _header_again(export: Export, rng: random.Random) -> None:
    export.rows.insert(rng.randrange(len(export.rows)), list(export.header))


def _names_swapped(export: Export, rng: random.Random) -> None:
    one, other = rng.sample(range(len(export.header)), 2)
    export.header[one], export.header[other] = export.header[other], export.header[one]
    export.guessing = True


def _name_twice(export: Export, rng: random.Random) -> None:
    export.header[rng.randrange(len(export.header))] = rng.choice(export.header)
    export.guessing = True


def _column_gone(export: Export, rng: random.Random) -> None:
    place = rng.randrange(len(export.header))
    del export.header[place]
    for row in export.rows:
        del row[place]
    export.guessing = True


def _ragged(export: Export, rng: random.Random) -> None:
    for row in rng.sample(export.rows, 3):
        _touch(export, row)
        if rng.random() < 0.5:
            row.insert(rng.randrange(len(row)), "x")
        else:
            del row[rng.randrange(len(row))]


def _odd_cells(export: Export, rng: random.Random) -> None:
    odd = ("", "NULL", "#REF!", "nan", "-", "∞", "1e400", "x" * 500, "0000-00-00", "=1+1", "\x1f", "'", "999999999999999",
           "31/02/2024", "2024-13-45", "-0", "1.2.3", "NaN", "\u202e1", "００", "1970-01-01", "ордер")  # fmt: skip
    for row in rng.sample(export.rows, 6):
        _touch(export, row)
        row[rng.randrange(len(row))] = rng.choice(odd)


def _text_damage(export: Export, rng: random.Random) -> None:
    for row in rng.sample(export.rows, 4):
        _touch(export, row)
        place = rng.randrange(len(row))
        cut = rng.randrange(len(row[place]) + 1)
        row[place] = (
            row[place][:cut] + rng.choice(["\n", "\r\n", '"', "\t", ",", ";", "\0", "\ufeff"]) + row[place][cut:]
        )


SAME = (
    _other_delimiter, _other_encoding, _other_ends, _all_quoted, _other_places, _title_lines, _other_dates,
    _signed_amounts, _mixed_decimals,
)  # fmt: skip
HARM = (
    _rows_dropped, _rows_doubled, _header_again, _names_swapped, _name_twice, _column_gone, _ragged, _odd_cells,
    _text_damage,
)  # fmt: skip


# On the bytes, line by line, so that it is known whose line was damaged.


def _bytes_flipped(line: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(max(len(line), 1))
    return line[:place] + bytes([rng.randrange(256)]) + line[place + 1 :]


def _nul(line: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(line) + 1)
    return line[:place] + b"\0" * rng.randrange(1, 5) + line[place:]


def _quote(line: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(line) + 1)
    return line[:place] + b'"' + line[place:]


def _cut(line: bytes, rng: random.Random) -> bytes:
    return line[: rng.randrange(len(line) + 1)]


def _latin(line: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(line) + 1)
    return line[:place] + rng.choice([b"\xe9", b"\xfc\xdf", b"\x96", b"\xc3"]) + line[place:]


LINES = (_bytes_flipped, _nul, _quote, _cut, _latin)


def _time(export: Export) -> int:
    return next(export.header.index(name) for name in ("ordered_at", "Created at", "Datum") if name in export.header)


def _money(export: Export) -> int:
    return next(export.header.index(name) for name in ("total", "Total", "Summe") if name in export.header)


def _touch(export: Export, row: list[str]) -> None:
    export.touched.update(cell for cell in row if cell in export.totals)


def damaged(seed: int, folder: Path) -> list[Export]:
    """Write one damaged shop; its exports, with what was done to them."""
    rng = random.Random(seed)
    exports, toml = BASES[seed % len(BASES)](rng)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.toml").write_text('timezone = "Europe/Berlin"\ndates = "day-first"\n' + toml, encoding="utf-8")
    for export in exports:
        orders = bool(export.totals)
        same: list[Callable[[Export, random.Random], None]] = [d for d in SAME if orders or d not in SAME[6:]]
        harm = rng.choice(HARM) if rng.random() < 0.6 else None
        for change in [*rng.sample(same, rng.randrange(0, 3)), *([harm] if harm else [])]:
            change(export, rng)
            export.damage.append(change.__name__)
        data = export.text().encode(export.encoding, "replace")
        narrow = export.encoding not in ("utf-16", "utf-16-le", "utf-32")
        if narrow and rng.random() < 0.4:
            end = export.end.encode()
            lines = data.split(end)
            way = rng.choice(LINES)
            export.damage.append(way.__name__)
            for place in rng.sample(range(len(lines)), 2):
                text = lines[place].decode(export.encoding, "replace")
                export.touched.update(key for key in export.totals if key in text)
                export.guessing |= place <= export.before.count("\n")
                lines[place] = way(lines[place], rng)
            data = end.join(lines)
        if narrow and rng.random() < 0.15:
            cut = rng.randrange(len(data))
            last = data[:cut].rsplit(export.end.encode(), 1)[-1].decode(export.encoding, "replace")
            rest = data[cut:].decode(export.encoding, "replace")
            export.touched.update(key for key in export.totals if key[:3] in last or key in rest)
            export.damage.append("_truncated")
            data = data[:cut]
        (folder / export.name).write_bytes(data)
    return exports


def _rows_there(path: Path, export: Export) -> tuple[int, int]:
    """Rows of a file counted by Python's own reader, and its lines that say anything: less and more than it has."""
    encoding = "utf-16" if export.encoding == "utf-16" else export.encoding
    whole = path.read_bytes().decode(encoding, "replace")
    # A line of zero bytes is nothing to Python and a row that cannot be used to us.
    lines = [line for line in whole.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip("\ufeff \t")]
    text = whole.replace("\0", "")
    rows = [
        row
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=export.delimiter)
        if any(c.strip() for c in row)
    ]
    above = sum(1 for line in export.before.split("\n") if line.strip())
    return len(rows) - 1 - above, len(lines) - 1 - above


def judge(seed: int) -> str:
    """What is wrong with the reading of one damaged shop; empty where nothing is."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        folder = Path(place) / "shop"
        exports = damaged(seed, folder)
        done = f"{'; '.join(e.name + ': ' + ' '.join(e.damage) for e in exports)}"
        try:
            shop = crm.connect(folder, as_of=AS_OF)
        except CrmError as error:
            wrong = ("report" in str(error) and "defect" in str(error)) or "fault of this software" in str(error)
            return f"{done}: {error}" if wrong else ""
        except Exception as error:
            return f"{done}: {type(error).__name__}: {str(error)[:300]}"
        try:
            if seed % 5 == 0:
                health = data_health.measure(shop)
            if seed % 20 == 0:
                data_health.page(health, shop=shop)
        except Exception as error:
            return f"{done}: data health: {type(error).__name__}: {str(error)[:300]}"
        return _counts(shop, exports, folder, done) or _amounts(shop, exports, done)


def _counts(shop: crm.Shop, exports: list[Export], folder: Path, done: str) -> str:
    table = shop.reconciliation().set_index("table")
    for export in exports:
        name = export.name.removesuffix(".csv")
        if name not in table.index:
            continue
        read, parts = int(table.loc[name, "read"]), table.loc[name, ["kept", "set_aside", "after_as_of"]].sum()
        if read != int(parts):
            return f"{done}: {name}: {read} read, {parts} accounted for"
        low, high = sorted(_rows_there(folder / export.name, export))
        if not low <= read <= high and not export.guessing:
            return f"{done}: {name}: {read} rows read, {low} to {high} are there"
    return ""


def _amounts(shop: crm.Shop, exports: list[Export], done: str) -> str:
    export = exports[0]
    if export.guessing or not shop.has("orders", "total"):
        return ""
    totals = shop.fetch("orders").set_index("order_id")["total"]
    kept = {key: None if pd.isna(total) else Decimal(f"{total:.4f}") for key, total in totals.items()}
    wrong = {
        key: (kept[key], true)
        for key, true in export.totals.items()
        if key in kept and key not in export.touched and kept[key] != true
    }
    unread = int(shop.audits["orders"].oddities.get("unreadable_value", 0))
    misread = {key: pair for key, pair in wrong.items() if pair[0] is not None}
    # A flipped digit can make an id another order's: one of the two is set aside for it, and counted.
    twice = shop.audits["orders"].set_aside.get("repeated_key", 0)
    if len(misread) > twice or len(wrong) - len(misread) > unread:
        return f"{done}: amounts {dict(list((misread or wrong).items())[:3])}, {unread} said to be unreadable"
    sold = shop.fetch(facts.sales(shop).aggregate(revenue=lambda t: t["revenue"].sum()))["revenue"].fillna(0).iloc[0]
    sound = [key for key in export.totals if key not in export.touched and key not in wrong]
    counted = sum((export.totals[key] for key in sound if kept.get(key) is not None), Decimal(0))
    loose = sum((abs(total) for key, total in kept.items() if total is not None and key not in sound), Decimal(0))
    if abs(Decimal(f"{sold:.4f}") - counted) > loose + Decimal("0.01"):
        return f"{done}: {sold} published, {counted} are right and {loose} damaged"
    return ""


def main(first: int, last: int) -> int:
    began, found = time.process_time(), Counter[str]()
    for seed in range(first, last):
        if said := judge(seed):
            found["failed"] += 1
            print(f"seed {seed}: {said}", flush=True)
    print(f"{last - first} seeds, {found['failed']} failed, {time.process_time() - began:.0f} s of CPU", flush=True)
    return min(found["failed"], 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
