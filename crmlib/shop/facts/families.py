"""Which products are one thing in several sizes, colours or designs?"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import ibis
import numpy as np
import pandas as pd

from crmlib.errors import NotAvailable
from crmlib.shop.facts.orders import line_money
from crmlib.shop.shop import Shop

SAID, SIZE, VARIANT, COLOUR, DESIGN = "shop.toml", "size", "variant", "colour", "design"
_MOST = 200_000  # products whose names are read, the most sold first
_ALIKE = 1.25  # colours and designs of one thing cost the same: the dearest over the cheapest
_FEW = 3  # products that begin or end alike, before that makes them designs of one thing
_NUMBER = r"\d+(?:[.,]\d+)?"
_UNIT = (
    r"(?:mg|g|kg|ml|cl|dl|l|liter|litre|mm|cm|m|inch|in|ft|oz|fl oz|lb|lbs|qt|pt|gal|ct|pc|pcs|pk|piece|pieces|pack|"
    r"packs|bag|bags|tin|tins|capsule|capsules|sachet|sachets|tablet|tablets|cup|cups|roll|rolls|sheet|sheets|w|v|kw)"
)
_AMOUNT = re.compile(
    rf"\b(?:{_NUMBER}\s*[x×]\s*)?{_NUMBER}\s*{_UNIT}\b|\b(?:set|pack|box|case)\s+of\s+\d+\b|\b(?:set|pack)/\d+\b|"
    rf"\b{_NUMBER}\s*[x×]\s*{_NUMBER}\b|\b{_NUMBER}\b"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLAIN_SIZES = _words("xxs xs s m l xl xxl xxxl small medium large extra-large klein mittel groß gross")
_SIZES = _PLAIN_SIZES | _words("""
    mini midi maxi big jumbo giant family travel refill single double twin petit petite moyen grand grande pequeño
    mediano piccolo medio
""")
_COLOURS = _words("""
    black white red blue green yellow orange pink purple violet brown grey gray beige ivory cream navy teal turquoise
    aqua mint lilac lavender coral gold golden silver bronze copper khaki olive burgundy maroon mauve taupe charcoal
    sand natural clear dark light pale bright deep royal pastel multicolour multicolor assorted colour color schwarz
    weiß weiss rot blau grün gelb rosa lila braun grau dunkel hell noir noire blanc blanche rouge bleu bleue vert verte
    jaune rose gris grise marron negro negra blanco blanca rojo roja azul verde amarillo nero nera bianco bianca rosso
    rossa blu giallo zwart wit rood blauw groen geel
""")
_FILLERS = _words("a an the of for in with and to by on w & de la le du des en y e und mit für aus")


def families(shop: Shop) -> pd.DataFrame:
    """Grain: a product that belongs to a family. Columns product_id, name, family, evidence; largest families first.

    A family is one thing in several sizes, colours or designs; `evidence` says how it is known: 'shop.toml' names it,
    'variant' (the same title before a variant), 'size' or 'colour' (the same words without them), 'design' (several
    names that begin or end alike, and cost about the same). Products that stand alone are not in it, nor is anything
    of two categories or brands together. Names are those of products, else ids that are names. Not enough to say that
    one replaces the other.

    >>> list(families(shop).columns)
    ['product_id', 'name', 'family', 'evidence']
    """
    return family_of(_products(shop), said=shop.settings.families)


def family_of(products: pd.DataFrame, *, said: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """`families` of a frame with product_id, name, kind (category and brand, may be empty) and price (may be NaN).

    `said` maps a family to ids, names or beginnings of names; the order of `products` decides whose words name one.

    >>> shop = pd.DataFrame({"product_id": ["1", "2", "3"], "name": ["Mug red", "Mug blue", "Cup"], "kind": "",
    ...                      "price": [9.0, 9.0, 5.0]})
    >>> family_of(shop, said={"Crockery": ["Mug", "3"]})["family"].tolist()
    ['Crockery', 'Crockery', 'Crockery']
    """
    found = _Found(products)
    left = found.say(said)
    for stem, group in found.groups(left, words):
        found.join(group, stem, VARIANT if any(found.titles[p] != found.names[p] for p in group) else SIZE)
    for stem, group in found.groups(left, _colours):
        for alike in found.alike(group):
            found.join(alike, stem, COLOUR)
    found.designs(left)
    return found.frame()


def words(name: str, sizes: frozenset[str] = _SIZES) -> tuple[str, ...]:
    """The words of a name, one of several as many, without amounts, sizes and filler.

    >>> words("House Espresso Beans 1 kg"), words("Set of 3 Cake Tins")
    (('house', 'espresso', 'bean'), ('cake', 'tin'))
    """
    bare = _WORD.findall(_AMOUNT.sub(" ", name.lower()))
    return tuple(_singular(word) for word in bare if word not in sizes and word not in _FILLERS)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _colours(name: str, sizes: frozenset[str] = _SIZES) -> tuple[str, ...]:
    bare = tuple(word for word in words(name, sizes) if word not in _COLOURS)
    # Tea that is black or green is no tea in two colours.
    return bare if len(bare) > 1 else ()


def _titles(names: Sequence[str]) -> list[str]:
    """Names without their variants, as in 'Linen Shirt - Sand / M', where several names have the same title."""
    parts = [name.rpartition(" - ") for name in names]
    stems = [words(title) for title, _, _ in parts]
    often = Counter(
        stem for stem, (_, _, variant) in zip(stems, parts, strict=True) if len(stem) > 1 or " / " in variant
    )
    return [
        title if (" / " in variant and stem) or (len(stem) > 1 and often[stem] > 1) else name
        for name, stem, (title, _, variant) in zip(names, stems, parts, strict=True)
    ]


def _ends(name: str) -> Iterator[tuple[str, ...]]:
    """What a name begins and ends with, of two words and more, but not all of it."""
    # A jumbo bag is a thing; a large one is a size of it.
    bare = _colours(name, _PLAIN_SIZES)
    for length in range(2, len(bare)):
        yield bare[:length]
        yield bare[-length:]


class _Found:
    """Families as they are found: which products belong together, after which words, and why."""

    def __init__(self, products: pd.DataFrame) -> None:
        self.ids: list[str] = products["product_id"].tolist()
        self.names: list[str] = products["name"].tolist()
        self.titles = _titles(self.names)
        self.kinds: list[str] = products["kind"].fillna("").tolist()
        self.prices = products["price"].to_numpy(dtype=float)
        self.of = list(range(len(self.ids)))  # the first product of a family stands for it
        self.members = [[place] for place in self.of]
        self.labels: dict[int, tuple[str, str]] = {}  # of each family: how it is called, and how it is known

    def say(self, said: Mapping[str, Sequence[str]]) -> list[int]:
        """Families as shop.toml names them; the products it does not name."""
        left = list(range(len(self.ids)))
        for family, wanted in said.items():
            begin = tuple(word.casefold() for word in wanted)
            named = [p for p in left if self.ids[p] in wanted or self.names[p].casefold().startswith(begin)]
            for place in named:
                self._unite(named[0], place)
            if named:
                self.labels[named[0]] = family, SAID
            left = [place for place in left if place not in set(named)]
        return left

    def groups(
        self, places: Iterable[int], key: Callable[[str], tuple[str, ...]]
    ) -> Iterator[tuple[tuple[str, ...], list[int]]]:
        """Products of one kind with the same words, two and more."""
        found: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
        for place in places:
            if stem := key(self.titles[place]):
                found[self.kinds[place], stem].append(place)
        yield from ((stem, group) for (_, stem), group in found.items() if len(group) > 1)

    def alike(self, group: list[int]) -> Iterator[list[int]]:
        """Parts of a group that cost about the same; what has no price goes with the cheapest."""
        dear = sorted(group, key=lambda place: np.nan_to_num(self.prices[place], nan=-1))
        part: list[int] = []
        for place in dear:
            known = [self.prices[other] for other in part if not np.isnan(self.prices[other])]
            if known and self.prices[place] > known[0] * _ALIKE:
                yield part
                part = []
            part.append(place)
        yield part

    def designs(self, places: list[int]) -> None:
        """Join names that begin or end alike, where nearly all that do cost about the same; the commonest first."""
        found: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
        for place in places:
            for stem in dict.fromkeys(_ends(self.titles[place])):
                found[self.kinds[place], stem].append(place)
        settled: set[int] = set()
        for (kind, stem), group in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
            prices = self.prices[group]
            if np.isnan(prices).all():
                alike = group if kind or len(stem) > 2 else []
            else:
                middle = float(np.nanmedian(prices))
                near = (prices <= middle * _ALIKE) & (prices >= middle / _ALIKE)
                alike = [place for place, fits in zip(group, near, strict=True) if fits]
            free = [place for place in alike if place not in settled]
            named = {words(self.titles[place]) for place in free}
            if len(alike) * 3 >= len(group) * 2 and len(named) >= _FEW:
                longest = set.intersection(*(set(_ends(self.titles[place])) for place in free))
                self.join(free, max(longest, key=len), DESIGN)
                settled.update(self.members[self.of[free[0]]])

    def join(self, group: list[int], stem: tuple[str, ...], evidence: str) -> None:
        """Make one family of a group, called after these words as its first product writes them."""
        if len({self.of[place] for place in group}) < 2:
            return
        for place in group:
            self._unite(group[0], place)
        self.labels[self.of[group[0]]] = _written(self.titles[min(group)], stem), evidence

    def frame(self) -> pd.DataFrame:
        rows: list[tuple[str, str, str, str]] = []
        taken: Counter[str] = Counter()
        for first in sorted(self.labels, key=lambda place: (-len(self.members[place]), place)):
            label, evidence = self.labels[first]
            taken[label] += 1
            family = label if taken[label] == 1 else f"{label} ({taken[label]})"
            rows += [(self.ids[place], self.names[place], family, evidence) for place in self.members[first]]
        return pd.DataFrame(rows, columns=["product_id", "name", "family", "evidence"])

    def _unite(self, one: int, other: int) -> None:
        first, second = sorted((self.of[one], self.of[other]))
        if first == second:
            return
        for place in self.members[second]:
            self.of[place] = first
        self.members[first] += self.members[second]
        self.members[second] = []
        self.labels.pop(second, None)


def _written(name: str, stem: tuple[str, ...]) -> str:
    """The part of a name that holds these words, as it is written.

    >>> _written("PINK REGENCY TEACUP AND SAUCER", ("regency", "teacup", "saucer"))
    'REGENCY TEACUP AND SAUCER'
    """
    places = [(_singular(found[0].lower()), found.span()) for found in _WORD.finditer(name)]
    for place, (word, _) in enumerate(places):
        if word == stem[0]:
            left, end = list(stem), place
            for end, (other, _) in enumerate(places[place:], start=place):
                if other == left[0]:
                    left.pop(0)
                if not left:
                    found = name[places[place][1][0] : places[end][1][1]]
                    return found + ")" * (found.count("(") - found.count(")"))
    return " ".join(stem)


def _products(shop: Shop) -> pd.DataFrame:
    """Products, the most sold first: product_id, name, kind, price. Only those whose name says something."""
    sold = None
    if shop.has("order_lines"):
        lines = shop.table("order_lines")
        try:
            each = (line_money(shop) / lines["quantity"].nullif(0)).cast("float64")
        except NotAvailable:
            each = ibis.null("float64")
        lines = lines.mutate(_each=each)
        sold = lines.group_by("product_id").aggregate(_lines=lines.count(), _price=lines["_each"].median())
    if shop.has("products"):
        listed = shop.table("products").select("product_id", "name", "category", "brand", "list_price")
        both = listed if sold is None else listed.left_join(sold, "product_id").drop("product_id_right")
        price = both["list_price"].cast("float64")
        rows = both.select(
            "product_id",
            name=both["name"].fill_null(both["product_id"]),
            kind=both["category"].fill_null("") + "|" + both["brand"].fill_null(""),
            price=price if sold is None else both["_price"].fill_null(price),
            lines=ibis.literal(0) if sold is None else both["_lines"].fill_null(0),
        )
    elif sold is not None:
        rows = sold.select("product_id", name="product_id", kind=ibis.literal("|"), price="_price", lines="_lines")
    else:
        raise NotAvailable("families need order_lines or products")
    rows = rows.filter(~rows["product_id"].isin(list(shop.not_goods))) if shop.not_goods else rows
    rows = rows.order_by(rows["lines"].desc(), "product_id").limit(_MOST)
    frame = shop.fetch(rows, max_rows=_MOST)
    # 'P0017' is no name.
    said = {word for wanted in shop.settings.families.values() for word in wanted}
    named = frame["product_id"].isin(said) | frame["name"].str.contains(r"[^\W\d_]{3,}.*[^\W\d_]{2,}", regex=True)
    return frame[named].reset_index(drop=True).assign(kind=lambda t: t["kind"].where(t["kind"] != "|", ""))
