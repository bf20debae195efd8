"""What did customers write, and what did they mean?

Each text is a hand-written phrasing, filled in, sometimes mistyped; its themes and polarity are known.
The stars agree only mostly. In the last eight weeks complaints about one carrier rise; one product runs small,
and one channel carries complaints about service.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.shop.samples.demo.catalogue import Catalogue
from crmlib.shop.samples.demo.complaints import BLAME, GERMAN, SHRUG, TORN
from crmlib.shop.samples.demo.population import AS_OF, by_day
from crmlib.shop.samples.demo.praise import PRAISE

Ints = NDArray[np.int64]

THEMES = ("price", "delivery", "quality", "fit", "service", "returns", "website")
POLARITIES = ("positive", "negative", "mixed", "neutral")
POLARITY_SHARES = (0.78, 0.11, 0.07, 0.04)
GERMAN_SHARE = 0.02
WRITES = 0.052  # share of orders that are written about
TYPO_SHARE, LOWER_CASE_SHARE = 0.06, 0.05
RISE_WEEKS, RISE_CARRIER, RISE_SHARE, RISE_NAMED = 8, "Parcelo", 0.016, 0.75
# One product runs small, and one channel of feedback carries complaints about service.
SMALL_PRODUCT, SMALL_SHARE = "Stoneware Mug Blue 300 ml", 0.45
SMALL_TEXTS = ("Much smaller than I thought", "Runs small", "Smaller than it looks")
LOUD_CHANNEL, LOUD_SHARE = "chat", 0.22
CARRIERS = ("Swiftpost", "BlueVan", "Parcelo")
NO_RATING_SHARE = 0.06
# Shares of one to five stars by polarity: 5 stars on a complaint and 1 on praise are misclicks.
STARS = {
    "positive": (0.012, 0.006, 0.022, 0.24, 0.72),
    "negative": (0.50, 0.31, 0.10, 0.03, 0.06),
    "mixed": (0.03, 0.16, 0.48, 0.27, 0.06),
    "neutral": (0.01, 0.04, 0.43, 0.34, 0.18),
}
# What a tag of the phrasings stands for, where it is not the name of one group.
_GROUPS = {
    "hard": ("kettles", "cups", "kitchen", "summer"),
    "food": ("tea", "coffee", "sweets"),
    "drink": ("tea", "coffee"),
    "vessel": ("kettles", "cups"),
}
_PERSONAL = {"{email}": "email", "{phone}": "phone", "{order}": "order_number", "{name}": "first_name"}


@dataclass(frozen=True)
class Phrasing:
    """One hand-written text with its meaning.

    `themes` maps a theme to a polarity; `groups` are the product groups it suits, none for all.
    """

    phrasing_id: str
    text: str
    themes: dict[str, str]
    polarity: str
    language: str
    groups: tuple[str, ...]
    weight: int

    @property
    def personal(self) -> list[str]:
        """Kinds of personal data that are filled in."""
        return [kind for slot, kind in _PERSONAL.items() if slot in self.text]


def phrasings() -> tuple[Phrasing, ...]:
    """Every phrasing, English ones first."""
    signs = {"+": "positive", "-": "negative", "0": "neutral"}
    found: list[Phrasing] = []
    for language, block in (("en", PRAISE + BLAME + TORN + SHRUG), ("de", GERMAN)):
        for line in filter(None, block.splitlines()):
            head, text = (part.strip() for part in line.split("|", 1))
            judged: dict[str, list[str]] = {}
            groups: tuple[str, ...] = ()
            weight = 1
            for token in head.split():
                if token[0] == "@":
                    groups = _GROUPS.get(token[1:], (token[1:],))
                elif token[0] == "*":
                    weight = int(token[1:])
                else:
                    judged.setdefault(token[:-1], []).append(signs[token[-1]])
            themes = {theme: _together(said) for theme, said in judged.items()}
            overall = _together([polarity for said in judged.values() for polarity in said])
            themes.pop("", None)
            name = f"{language}{len(found) + 1:03d}"
            found.append(Phrasing(name, text, themes, overall, language, groups, weight))
    return tuple(found)


def reviews(
    rng: np.random.Generator,
    *,
    planting: np.random.Generator,
    orders: pd.DataFrame,
    product: Ints,
    goods: Catalogue,
    first_names: list[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The feedback table and, parallel to it, what each text means.

    `orders` has order_id, customer_id ('' for guests) and ordered_at; `product` is the position of one
    product in each. Truth columns: feedback_id, phrasing_id, polarity, themes (dict), language, personal
    (list), typo, in_rise (written because of the planted rise), planted ('product', 'channel' or ''). `planting` draws
    which texts give way to complaints about the product that runs small and to those of the loud channel.
    """
    known = phrasings()
    chosen = np.flatnonzero(rng.random(len(orders)) < WRITES)
    written = _days_later(rng, orders["ordered_at"].iloc[chosen].to_numpy())
    which = _chosen_phrasings(rng, known, [goods.groups[product[order]] for order in chosen])

    rise_from = AS_OF - np.timedelta64(7 * RISE_WEEKS, "D")
    recent = np.flatnonzero(orders["ordered_at"].to_numpy() >= rise_from - np.timedelta64(14, "D"))
    extra = recent[rng.random(len(recent)) < RISE_SHARE]
    extra_written = _days_later(rng, orders["ordered_at"].iloc[extra].to_numpy())
    delayed = [p for p, said in enumerate(known) if said.themes == {"delivery": "negative"} and said.language == "en"]
    named = [p for p in delayed if "{carrier}" in known[p].text]
    unnamed = [p for p in delayed if "{carrier}" not in known[p].text]
    by_name = rng.random(len(extra)) < RISE_NAMED
    extra_which = np.where(by_name, rng.choice(named, len(extra)), rng.choice(unnamed, len(extra)))

    order = np.concatenate([chosen, extra])
    at = np.concatenate([written, extra_written])
    spoken = np.concatenate([which, extra_which])
    in_rise = np.arange(len(order)) >= len(chosen)
    in_time = (at < AS_OF) & (~in_rise | (at >= rise_from))
    place = np.flatnonzero(in_time)[np.argsort(at[in_time], kind="stable")]
    order, at, spoken, in_rise = order[place], at[place], spoken[place], in_rise[place]

    order_ids, buyers = orders["order_id"].tolist(), orders["customer_id"].tolist()
    rows: list[tuple[str, str, str, str]] = []
    truth: list[dict[str, object]] = []
    for number, (o, p, rising) in enumerate(zip(order, spoken, in_rise, strict=True), start=1):
        said = known[p]
        text, typo = _said(
            rng,
            said,
            goods=goods,
            product=int(product[o]),
            order_id=order_ids[o],
            names=first_names,
            carrier=RISE_CARRIER if rising else "",
        )
        rows.append((f"F{number:05d}", text, buyers[o], order_ids[o]))
        truth.append(
            {
                "feedback_id": f"F{number:05d}",
                "phrasing_id": said.phrasing_id,
                "polarity": said.polarity,
                "themes": said.themes,
                "language": said.language,
                "personal": said.personal,
                "typo": typo,
                "in_rise": bool(rising),
                "planted": "",
            }
        )
    table = pd.DataFrame(rows, columns=["feedback_id", "text", "customer_id", "order_id"])
    table.insert(2, "created_at", at.astype("datetime64[us]"))
    bought = goods.products["product_id"].to_numpy()[product[order]]
    # Some texts name no product, as those written in a mail do.
    table["product_id"] = np.where(rng.random(len(table)) < 0.85, bought, "")
    table["channel"] = rng.choice(["review", "email", "survey", "chat"], size=len(table), p=[0.7, 0.1, 0.15, 0.05])
    table["rating"] = _stars(rng, [known[p].polarity for p in spoken])
    meant = pd.DataFrame(truth)
    _plant(planting, table, meant, product=product[order], goods=goods, names=first_names)
    return table, meant


def _plant(
    rng: np.random.Generator,
    table: pd.DataFrame,
    meant: pd.DataFrame,
    *,
    product: Ints,
    goods: Catalogue,
    names: list[str],
) -> None:
    """Let some texts about one product, and some of one channel, complain instead; all else stays as it was."""
    known = phrasings()
    free = ((meant["language"] == "en") & ~meant["in_rise"]).to_numpy()
    draw = rng.random((2, len(table)))
    small = free & (product == goods.position(SMALL_PRODUCT)) & (draw[0] < SMALL_SHARE)
    loud = free & ~small & (table["channel"] == LOUD_CHANNEL).to_numpy() & (draw[1] < LOUD_SHARE)
    of_size = [p for p in known if p.themes == {"fit": "negative"} and p.text.startswith(SMALL_TEXTS)]
    of_service = [p for p in known if p.themes == {"service": "negative"} and p.language == "en" and not p.groups]
    for kind, rows, choice in (("product", small, of_size), ("channel", loud, of_service)):
        for row in np.flatnonzero(rows):
            said = choice[int(rng.random() * len(choice))]
            text, typo = _said(
                rng,
                said,
                goods=goods,
                product=int(product[row]),
                order_id=table.at[row, "order_id"],
                names=names,
                carrier="",
            )
            table.loc[row, ["text", "rating"]] = [text, _stars(rng, [said.polarity]).iat[0]]
            for name, value in (
                ("phrasing_id", said.phrasing_id), ("polarity", said.polarity), ("themes", said.themes),
                ("personal", said.personal), ("typo", typo), ("planted", kind),
            ):  # fmt: skip
                meant.at[row, name] = value


def _together(said: list[str]) -> str:
    both = {"positive", "negative"} <= set(said)
    if both:
        return "mixed"
    return next((polarity for polarity in said if polarity != "neutral"), "neutral")


def _days_later(rng: np.random.Generator, ordered_at: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    seconds = (86_400 * (1.5 + rng.gamma(2.0, 3.5, len(ordered_at)))).astype(np.int64)
    moved: NDArray[np.datetime64] = ordered_at + seconds.astype("timedelta64[s]")
    return by_day(moved)


def _chosen_phrasings(rng: np.random.Generator, known: tuple[Phrasing, ...], groups: list[str]) -> Ints:
    polarity = rng.choice(len(POLARITIES), size=len(groups), p=POLARITY_SHARES)
    german = rng.random(len(groups)) < GERMAN_SHARE
    chosen = np.zeros(len(groups), dtype=np.int64)
    group_of = np.array(groups)
    for language in ("en", "de"):
        for place, name in enumerate(POLARITIES):
            for group in sorted(set(groups)):
                rows = np.flatnonzero((polarity == place) & (group_of == group) & (german == (language == "de")))
                fit = [
                    p
                    for p, said in enumerate(known)
                    if said.language == language and said.polarity == name and (not said.groups or group in said.groups)
                ]
                weights = np.array([known[p].weight for p in fit], dtype=np.float64)
                chosen[rows] = rng.choice(fit, size=len(rows), p=weights / weights.sum())
    return chosen


def _said(
    rng: np.random.Generator,
    said: Phrasing,
    *,
    goods: Catalogue,
    product: int,
    order_id: str,
    names: list[str],
    carrier: str,
) -> tuple[str, bool]:
    draw = rng.random(5)
    name = names[int(draw[0] * len(names))]
    filled = {
        "{noun}": goods.nouns[product],
        "{brand}": str(goods.products["brand"].iat[product]),
        "{carrier}": carrier or CARRIERS[int(draw[1] * len(CARRIERS))],
        "{name}": name,
        "{email}": f"{name.lower()}.{int(draw[2] * 900) + 100}@example.com",
        "{phone}": f"+49 30 23125 {int(draw[2] * 1000):03d}",
        "{order}": order_id,
    }
    text = said.text
    for slot, value in filled.items():
        text = text.replace(slot, value)
    text = text[0].upper() + text[1:] if said.text[0] == "{" else text
    if draw[3] < LOWER_CASE_SHARE:
        text = text.lower().rstrip(".")
    if draw[4] >= TYPO_SHARE or said.personal:
        return text, False
    return _mistyped(text, rng.random(2))


def _mistyped(text: str, draw: NDArray[np.float64]) -> tuple[str, bool]:
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text, False
    place = long[int(draw[0] * len(long))]
    word = words[place]
    at = 1 + int(draw[1] * (len(word) - 2))
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    # Swapping a double letter changes nothing: drop one of the two instead.
    words[place] = swapped if swapped != word else word[:at] + word[at + 1 :]
    return " ".join(words), True


def _stars(rng: np.random.Generator, polarity: list[str]) -> pd.Series[int]:
    edges = np.cumsum([STARS[name] for name in polarity], axis=1)
    stars = 1 + (rng.random(len(polarity))[:, None] > edges).sum(axis=1)
    given = pd.Series(np.minimum(stars, 5), dtype="Int64")
    given[rng.random(len(polarity)) < NO_RATING_SHARE] = pd.NA
    return given
