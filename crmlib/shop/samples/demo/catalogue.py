"""What does the demo shop sell?

About 150 products with readable names, prices, unit costs and suppliers. Popularity is Zipf-like
within each category, and some products are sold in some months only. Nothing here is random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# name | brand | list price in euros | what a customer calls it
TEA = """
Assam Breakfast 100 g | Leaf & Ladle | 6.90
Darjeeling First Flush 100 g | Leaf & Ladle | 11.90
Darjeeling First Flush 250 g | Leaf & Ladle | 26.90
Earl Grey Classic 100 g | Leaf & Ladle | 7.50
Peppermint Leaves 75 g | Meadowkin | 4.90
East Frisian Blend 250 g | Deichkind Tee | 9.90
Sencha Uji 100 g | Kumo | 12.50
Camomile Flowers 60 g | Meadowkin | 4.50
Rooibos Vanilla 100 g | Meadowkin | 5.90
Jasmine Pearls 50 g | Kumo | 13.90
Ginger Lemon Infusion 90 g | Meadowkin | 5.50
Ceylon Orange Pekoe 100 g | Leaf & Ladle | 7.90
Fruit Medley 150 g | Meadowkin | 6.50
Matcha Ceremonial 30 g | Kumo | 22.90
English Breakfast 50 bags | Leaf & Ladle | 5.90
Green Gunpowder 100 g | Kumo | 5.90
White Peony 50 g | Kumo | 14.50
Lemon Verbena 40 g | Meadowkin | 6.90
Oolong Milk 50 g | Kumo | 12.90
Lapsang Souchong 100 g | Leaf & Ladle | 10.50
Chai Masala 100 g | Leaf & Ladle | 8.50
Lavender Night 60 g | Meadowkin | 6.20
Pu-erh Cake 100 g | Kumo | 18.90
Genmaicha 100 g | Kumo | 9.90
Nettle Leaves 50 g | Meadowkin | 4.20
Rosehip Hibiscus 150 g | Meadowkin | 5.90
Yunnan Gold 50 g | Leaf & Ladle | 13.50
Hojicha 80 g | Kumo | 9.50
Elderflower Infusion 60 g | Meadowkin | 6.40
Decaf Earl Grey 100 g | Leaf & Ladle | 8.90
Tea Sampler 12 Tins | Leaf & Ladle | 29.90
Advent Tea Calendar | Leaf & Ladle | 24.90
Winter Spice 100 g | Meadowkin | 6.90
Liquorice Root Tea 75 g | Meadowkin | 5.20
"""
COFFEE = """
House Espresso Beans 250 g | Kranich Roasters | 8.90
House Espresso Beans 1 kg | Kranich Roasters | 29.90
Ethiopia Yirgacheffe 250 g | Kranich Roasters | 12.90
Colombia Huila 250 g | Kranich Roasters | 11.90
French Press Grind 500 g | Kranich Roasters | 14.90
Decaf Mexico 250 g | Kranich Roasters | 11.50
Brazil Cerrado 500 g | Kranich Roasters | 15.90
Kenya AA 250 g | Third Street | 14.90
Filter Roast Ground 500 g | Third Street | 12.90
Guatemala Antigua 250 g | Third Street | 13.50
Sumatra Mandheling 250 g | Third Street | 12.90
Ristretto Capsules 40 | Third Street | 14.90
Lungo Capsules 40 | Third Street | 14.90
Cold Brew Bags 6 | Third Street | 9.90
Costa Rica Honey 250 g | Third Street | 14.50
Barley Coffee 200 g | Meadowkin | 5.90
Christmas Roast 250 g | Kranich Roasters | 12.50
Peru Organic 1 kg | Kranich Roasters | 28.90
"""
KETTLES = """
Gooseneck Kettle 1.0 l | Hutt & Stroem | 64.90
Stovetop Kettle 2.0 l | Hutt & Stroem | 39.90
Glass Kettle 1.7 l | Voltara | 44.90
Variable Temperature Kettle 1.5 l | Voltara | 79.90
Travel Kettle 0.5 l | Voltara | 27.90
Enamel Kettle Red 1.5 l | Hutt & Stroem | 34.90
Cast Iron Kettle 0.8 l | Kumo | 54.90
Copper Kettle 1.2 l | Hutt & Stroem | 119.00
Quiet Kettle 1.7 l | Voltara | 69.90
"""
CUPS = """
Stoneware Mug Blue 300 ml | Tonhaus | 12.90 | mug
Stoneware Mug Sand 300 ml | Tonhaus | 12.90 | mug
Double-Wall Glass 2 x 250 ml | Klarglas | 19.90 | set
Espresso Cups Set of 4 | Tonhaus | 24.90 | set
Glass Teapot 1.2 l | Klarglas | 29.90 | teapot
Travel Mug Steel 400 ml | Voltara | 22.90 | travel mug
Enamel Mug White 350 ml | Hutt & Stroem | 8.90 | mug
Cappuccino Cups Set of 2 | Tonhaus | 18.90 | set
Cast Iron Teapot 0.8 l | Kumo | 49.90 | teapot
Porcelain Teacup and Saucer | Tonhaus | 16.90 | teacup
Tea Bowl Celadon | Kumo | 14.90 | tea bowl
Porcelain Teapot 1.0 l | Tonhaus | 34.90 | teapot
Tea for One Set | Tonhaus | 27.90 | set
Latte Glasses Set of 4 | Klarglas | 21.90 | set
Children's Mug Fox 200 ml | Tonhaus | 9.90 | mug
Giant Mug 600 ml | Tonhaus | 15.90 | mug
Thermos Flask 1.0 l | Voltara | 32.90 | flask
Milk Jug 200 ml | Tonhaus | 11.90 | jug
Sugar Bowl with Lid | Tonhaus | 12.50 | sugar bowl
Cup Saucers Set of 6 | Tonhaus | 19.90 | set
"""
KITCHEN = """
Paper Filters 100 | Hutt & Stroem | 3.90 | pack
Tea Infuser Ball | Hutt & Stroem | 5.90 | infuser
Descaler 500 ml | Klarwerk | 6.50 | descaler
Pour-Over Dripper | Hutt & Stroem | 18.90 | dripper
Bamboo Whisk | Kumo | 14.90 | whisk
Kitchen Thermometer | Voltara | 12.90 | thermometer
Tea Warmer Steel | Hutt & Stroem | 15.90 | warmer
French Press 1.0 l | Hutt & Stroem | 32.90 | press
Milk Frother | Voltara | 24.90 | frother
Barista Oat Drink 1 l | Haferfee | 2.90 | oat drink
Coffee Grinder Hand | Voltara | 49.90 | grinder
Moka Pot 6 Cups | Hutt & Stroem | 28.90 | moka pot
Tea Filter Bags 100 | Hutt & Stroem | 4.50 | pack
Coffee Scoop Beech | Holzmann Werk | 6.90 | scoop
Storage Tin 500 g | Hutt & Stroem | 9.90 | tin
Storage Tin 100 g | Hutt & Stroem | 6.90 | tin
Digital Scale 2 kg | Voltara | 26.90 | scale
Tea Towel Linen Stripe | Webgut | 9.90 | tea towel
Apron Linen Grey | Webgut | 29.90 | apron
Apron Cotton Navy | Webgut | 24.90 | apron
Oven Glove Pair | Webgut | 16.90 | pair
Oak Serving Tray | Holzmann Werk | 34.90 | tray
Cutting Board Beech | Holzmann Werk | 22.90 | board
Bread Tin 1 kg | Hutt & Stroem | 18.90 | baking tin
Mixing Bowl 2 l | Tonhaus | 21.90 | bowl
Egg Cups Set of 4 | Tonhaus | 13.90 | set
Butter Dish | Tonhaus | 17.90 | butter dish
Honey Spoon Olive Wood | Holzmann Werk | 5.90 | spoon
Napkins Linen Set of 4 | Webgut | 26.90 | set
Tablecloth 140 x 220 | Webgut | 49.90 | tablecloth
Seat Cushion 40 x 40 | Webgut | 19.90 | cushion
Knife Small 9 cm | Holzmann Werk | 14.90 | knife
Bread Knife 20 cm | Holzmann Werk | 29.90 | knife
Salt Mill | Holzmann Werk | 24.90 | mill
Pepper Mill | Holzmann Werk | 24.90 | mill
Electric Grinder | Voltara | 89.90 | grinder
Knock Box | Voltara | 21.90 | knock box
Tamper 58 mm | Voltara | 19.90 | tamper
Cleaning Brush | Klarwerk | 4.90 | brush
Water Filter Cartridge 3 | Klarwerk | 17.90 | set
"""
SWEETS = """
All-Butter Shortbread 200 g | Bramblewick | 4.90
Oat Biscuits 250 g | Bramblewick | 3.90
Dark Chocolate 70 % 100 g | Kakaowerk | 3.50
Almond Cantuccini 200 g | Bramblewick | 5.50
Rock Sugar 500 g | Deichkind Tee | 3.90
Wildflower Honey 500 g | Bienenhof | 8.90
Lemon Curd 320 g | Bramblewick | 5.90
Orange Marmalade 340 g | Bramblewick | 5.50
Milk Chocolate Sea Salt 100 g | Kakaowerk | 3.90
Ginger Snaps 150 g | Bramblewick | 3.50
Chocolate Espresso Beans 125 g | Kakaowerk | 5.90
Rusk Classic 225 g | Bramblewick | 2.90
Candied Ginger 150 g | Bramblewick | 4.90
Gingerbread Hearts 200 g | Bramblewick | 4.50
Stollen 750 g | Bramblewick | 14.90
Fennel Honey 250 g | Bienenhof | 7.90
"""
SUMMER = """
Straw Sun Hat | Strandgut | 24.90 | hat
Beach Towel Striped | Strandgut | 29.90 | towel
Iced Tea Pitcher 1.5 l | Klarglas | 26.90 | pitcher
Ice Cube Tray Silicone | Hutt & Stroem | 7.90 | tray
Picnic Blanket Tartan | Strandgut | 39.90 | blanket
Cool Bag 15 l | Strandgut | 32.90 | cool bag
Garden Lantern | Hutt & Stroem | 22.90 | lantern
Glass Straws Set of 6 | Klarglas | 8.90 | set
Lemonade Syrup 500 ml | Meadowkin | 6.90 | syrup
Fly Cover Net | Webgut | 9.90 | net
Folding Fan | Kumo | 11.90 | fan
Water Bottle 750 ml | Voltara | 17.90 | bottle
"""

# category, its products, popularity of the category, share of the price that the goods cost,
# supplier, what customers call a product of it when the table above does not say
CATEGORIES: tuple[tuple[str, str, float, float, str, str], ...] = (
    ("Tea", TEA, 1.00, 0.42, "Hanse Tea Import", "tea"),
    ("Coffee", COFFEE, 1.00, 0.48, "Kranich Roasters", "coffee"),
    ("Kettles", KETTLES, 0.16, 0.58, "Voltara Europe", "kettle"),
    ("Cups and pots", CUPS, 0.32, 0.50, "Tonhaus Manufaktur", "cup"),
    ("Kitchen", KITCHEN, 0.45, 0.52, "Nordlicht Wholesale", "thing"),
    ("Sweets", SWEETS, 0.62, 0.55, "Bramblewick Foods", "treat"),
    ("Summer", SUMMER, 0.30, 0.45, "Strandgut Trading", "thing"),
)

# The pairs of which the second is added to an order when the first is in it, with this probability.
AFFINITIES: tuple[tuple[str, str, float], ...] = (
    ("Pour-Over Dripper", "Paper Filters 100", 0.45),
    ("Matcha Ceremonial 30 g", "Bamboo Whisk", 0.30),
    ("Gooseneck Kettle 1.0 l", "Kitchen Thermometer", 0.25),
    ("Glass Teapot 1.2 l", "Tea Warmer Steel", 0.35),
    ("Earl Grey Classic 100 g", "All-Butter Shortbread 200 g", 0.15),
    ("French Press 1.0 l", "French Press Grind 500 g", 0.40),
    ("Milk Frother", "Barista Oat Drink 1 l", 0.30),
    ("House Espresso Beans 1 kg", "Descaler 500 ml", 0.12),
)
# Sold from June to August only, and independent of one another then: the year round they look like a pair.
SEASON_PAIR: tuple[str, str] = ("Straw Sun Hat", "Beach Towel Striped")
SEASON_MONTHS: tuple[int, ...] = (6, 7, 8)
# Of two sizes that would land in one order, the second is left out with this probability.
SUBSTITUTES: tuple[tuple[str, str, float], ...] = (
    ("Darjeeling First Flush 100 g", "Darjeeling First Flush 250 g", 0.90),
    ("House Espresso Beans 250 g", "House Espresso Beans 1 kg", 0.90),
)
# Once the first is in an order, the customer's next order within the window has the second with this probability.
SEQUENCES: tuple[tuple[str, str, float], ...] = (
    ("Coffee Grinder Hand", "Kenya AA 250 g", 0.40),
    ("Glass Kettle 1.7 l", "Water Filter Cartridge 3", 0.40),
)
SEQUENCE_DAYS = 60
# What one customer buys again and again, and hardly anybody else.
OBSESSION: tuple[str, str] = ("Liquorice Root Tea 75 g", "Fennel Honey 250 g")

# Popularity relative to the most popular tea, where a planted pair needs another than its place gives it.
_POPULARITY: dict[str, float] = {
    "Darjeeling First Flush 100 g": 0.62,
    "Darjeeling First Flush 250 g": 0.52,
    "House Espresso Beans 250 g": 0.70,
    "House Espresso Beans 1 kg": 0.55,
    "Earl Grey Classic 100 g": 0.55,
    "All-Butter Shortbread 200 g": 0.28,
    "Matcha Ceremonial 30 g": 0.30,
    "Bamboo Whisk": 0.06,
    "Pour-Over Dripper": 0.20,
    "Paper Filters 100": 0.16,
    "Gooseneck Kettle 1.0 l": 0.17,
    "Kitchen Thermometer": 0.07,
    "Glass Teapot 1.2 l": 0.18,
    "Tea Warmer Steel": 0.06,
    "French Press 1.0 l": 0.16,
    "French Press Grind 500 g": 0.14,
    "Milk Frother": 0.18,
    "Barista Oat Drink 1 l": 0.12,
    "Descaler 500 ml": 0.12,
    "Straw Sun Hat": 0.62,
    "Beach Towel Striped": 0.62,
    "Liquorice Root Tea 75 g": 0.006,
    "Fennel Honey 250 g": 0.006,
}
# Sold in November and December only.
_CHRISTMAS = ("Advent Tea Calendar", "Christmas Roast 250 g", "Gingerbread Hearts 200 g", "Stollen 750 g")


@dataclass(frozen=True)
class Catalogue:
    """The products as a table, and how popular each is in each month.

    `products` has one row per product with the columns of the canonical table; `weights` is months by
    products; `nouns` and `groups` say what a reviewer calls a product and which reviews suit it.
    """

    products: pd.DataFrame
    weights: NDArray[np.float64]
    nouns: tuple[str, ...]
    groups: tuple[str, ...]

    def position(self, name: str) -> int:
        """Row of the product of that name."""
        return int(np.flatnonzero((self.products["name"] == name).to_numpy())[0])


def catalogue() -> Catalogue:
    """The shop's products: product_id, name, category, brand, list_price, unit_cost, supplier."""
    rows: list[tuple[str, str, str, float, float, str]] = []
    popularity: list[float] = []
    nouns: list[str] = []
    for category, block, weight, cost_share, supplier, noun in CATEGORIES:
        for place, line in enumerate(block.strip().splitlines()):
            name, brand, price, *called = (part.strip() for part in line.split("|"))
            # A spread of a few points between products, by a fixed pattern.
            cost = round(float(price) * (cost_share + 0.02 * (place % 5 - 2)), 2)
            rows.append((name, category, brand, float(price), cost, supplier))
            popularity.append(_POPULARITY.get(name, weight * (1 + place / 2) ** -0.9))
            nouns.append(called[0] if called else noun)
    table = pd.DataFrame(rows, columns=["name", "category", "brand", "list_price", "unit_cost", "supplier"])
    table.insert(0, "product_id", [f"P{place:03d}" for place in range(1, len(table) + 1)])
    weights = np.tile(np.array(popularity), (12, 1))
    for place, (name, category) in enumerate(zip(table["name"], table["category"], strict=True)):
        for month in range(1, 13):
            weights[month - 1, place] *= _in_month(name, category, month)
    groups = tuple(category.split()[0].lower() for category in table["category"])
    return Catalogue(products=table, weights=weights, nouns=tuple(nouns), groups=groups)


def _in_month(name: str, category: str, month: int) -> float:
    if name in SEASON_PAIR:
        return 1.0 if month in SEASON_MONTHS else 0.0
    if name in _CHRISTMAS:
        return 2.5 if month in (11, 12) else 0.0
    if category == "Summer":
        return {5: 1.5, 6: 2.5, 7: 3.0, 8: 2.5, 9: 1.0}.get(month, 0.3)
    return 1.0
