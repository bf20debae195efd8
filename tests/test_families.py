"""Families of products: sizes, colours and designs of one name."""

from __future__ import annotations

import pandas as pd
import pytest

import crmlib as crm
from crmlib.errors import DataError
from crmlib.shop import facts
from crmlib.shop.facts.families import family_of
from tests.conftest import ShopWriter


def _products(*rows: tuple[str, float], kind: str = "") -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["name", "price"]).assign(kind=kind)
    return frame.assign(product_id=[f"P{number}" for number in range(len(rows))])


def _families(products: pd.DataFrame) -> dict[str, tuple[str, set[str]]]:
    found = family_of(products, said={})
    return {str(name): (rows["evidence"].iloc[0], set(rows["name"])) for name, rows in found.groupby("family")}


# Names and prices of a gift shop that sells designs of one thing, and one design on many things.
GIFTS = _products(
    ("JUMBO BAG RED RETROSPOT", 1.95), ("JUMBO BAG STRAWBERRY", 1.95), ("JUMBO BAG APPLES", 2.08),
    ("LUNCH BAG RED RETROSPOT", 1.65), ("LUNCH BAG  BLACK SKULL.", 1.65), ("LUNCH BAG APPLE DESIGN", 1.65),
    ("RED RETROSPOT CHARLOTTE BAG", 0.85), ("STRAWBERRY CHARLOTTE BAG", 0.85), ("CHARLOTTE BAG SUKI DESIGN", 0.85),
    ("RED RETROSPOT PLATE", 1.69), ("RED RETROSPOT MUG", 2.95), ("RED RETROSPOT CAKE STAND", 10.95),
    ("GREEN REGENCY TEACUP AND SAUCER", 2.95), ("ROSES REGENCY TEACUP AND SAUCER ", 2.95),
    ("REGENCY CAKESTAND 3 TIER", 12.75), ("HEART OF WICKER SMALL", 1.65), ("HEART OF WICKER LARGE", 2.95),
    ("VINTAGE CHRISTMAS BUNTING", 4.95), ("VINTAGE CHRISTMAS TABLECLOTH", 12.5), ("VINTAGE CHRISTMAS STOCKING", 2.55),
)  # fmt: skip


def test_designs_of_one_thing_are_a_family_and_things_of_one_design_are_not() -> None:
    found = _families(GIFTS)
    assert {name: why for name, (why, _) in found.items()} == {
        "JUMBO BAG": "design", "LUNCH BAG": "design", "CHARLOTTE BAG": "design",
        "REGENCY TEACUP AND SAUCER": "colour", "HEART OF WICKER": "size",
    }  # fmt: skip
    assert found["JUMBO BAG"][1] == {"JUMBO BAG RED RETROSPOT", "JUMBO BAG STRAWBERRY", "JUMBO BAG APPLES"}
    assert len(found["CHARLOTTE BAG"][1]) == 3


def test_variants_behind_a_title_are_one_product_whatever_they_cost() -> None:
    found = _families(
        _products(
            ("Aurora Bra Top - Mauve / S", 66), ("Aurora Bra Top - Noire / M", 88), ("AURORA BRA TOP - Mauve / L", 44),
            ("Aurora Legging - Mauve / S", 66), ("Aurora Leggings - Noire / S", 95), ("Tea - Earl Grey", 7), ("Tea - Assam", 7),
        )
    )  # fmt: skip
    assert {name: len(names) for name, (_, names) in found.items()} == {"Aurora Bra Top": 3, "Aurora Legging": 2}


def test_black_tea_is_no_colour_of_green_tea_and_nothing_of_two_categories_is_one() -> None:
    assert _families(_products(("Black tea 100 g", 5), ("Green tea 100 g", 5))) == {}
    one = _products(("Linen shirt red", 20), ("Linen shirt blue", 21))
    assert _families(one)["Linen shirt"][0] == "colour"
    assert _families(one.assign(kind=["Men", "Women"])) == {}
    assert _families(one.assign(price=[20, 60])) == {}, "no colour trebles a price"


def test_without_prices_only_a_category_says_that_names_which_begin_alike_are_designs() -> None:
    bags = _products(*((f"Jumbo bag {design}", float("nan")) for design in ("retrospot", "owls", "apples")))
    assert _families(bags) == {}
    assert _families(bags.assign(kind="Bags"))["Jumbo bag"][0] == "design"


def test_shop_toml_names_families_and_keeps_products_apart(write_shop: ShopWriter) -> None:
    lines = [
        {"order_id": f"O{order}", "product_id": product, "quantity": 1, "unit_price": 5}
        for order, product in enumerate(["Mug red cup", "Mug blue cup", "Mug green cup", "P 17 x", "Kettle cup", "85099"])
    ]  # fmt: skip
    plain = facts.families(crm.connect(write_shop("plain", order_lines=lines)))
    assert plain["family"].tolist() == ["Mug red cup".replace("red ", "red ")] * 0 + [plain["family"].iloc[0]] * 3
    toml = '[families]\n"Crockery" = ["Kettle", "Mug red cup", "85099"]\n"Alone" = ["Mug blue cup"]\n'
    said = facts.families(crm.connect(write_shop("said", order_lines=lines, toml=toml))).set_index("product_id")
    assert said.loc[["Mug red cup", "Kettle cup", "85099"], "family"].unique().tolist() == ["Crockery"]
    assert (said.loc["Mug blue cup", "family"], said.loc["Mug blue cup", "evidence"]) == ("Alone", "shop.toml")
    assert "Mug green cup" not in said.index


@pytest.mark.parametrize(
    "toml", ["families = ['x']", "[families]\nBag = 'x'", "[families]\nBag = [1]", "[families]\nBag = ['']"]
)
def test_families_written_otherwise_are_an_error_that_shows_how(write_shop: ShopWriter, toml: str) -> None:
    with pytest.raises(DataError, match=r"\[families\]"):
        crm.connect(write_shop(orders=[{"order_id": 1, "ordered_at": "2026-01-01"}], toml=toml))
