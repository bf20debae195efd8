"""Which tables of a shop system's own database make a shop, and how do they become flat exports?

One entry each: the tables with the columns that are copied, and what is asked of the copies, here, not on the server.
Passwords, tokens and addresses of computers are in none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """Columns of a table, ordered by the first; those with a ? may be missing. `where` is for the server."""

    columns: str
    where: str = ""
    optional: bool = False

    @property
    def names(self) -> dict[str, bool]:
        """Column -> must it be there?"""
        return {name.rstrip("?"): not name.endswith("?") for name in self.columns.split()}


@dataclass(frozen=True)
class Schema:
    """A shop system's database: `tables` by what stands behind their prefix, `flat` exports by name, in SQL.

    It is known by its first table, of which `orders` is the condition that a row is an order: of two schemas in one
    database, as WooCommerce has them while it moves from one to the other, the one with more orders counts. `zone` asks
    for the shop's time zone.
    """

    platform: str
    tables: Mapping[str, Wanted]
    flat: Mapping[str, str]
    zone: str
    orders: str = "1 = 1"


_META = (
    "_order_total", "_order_tax", "_order_shipping", "_order_shipping_tax", "_cart_discount", "_order_currency",
    "_customer_user", "_billing_email", "_billing_phone", "_billing_first_name", "_billing_last_name",
    "_billing_country", "_billing_state", "_billing_city", "_billing_postcode", "_payment_method_title",
)  # fmt: skip
_LINE_META = ("_product_id", "_variation_id", "_qty", "_line_subtotal", "_line_total")


def _in(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN {words}" if len(words) > 1 else f"{column} = {words[0]!r}"


def _meta(key: str, kind: str = "VARCHAR") -> str:
    return f"try_cast(max(meta_value) FILTER (meta_key = '{key}') AS {kind})"


_MONEY = "DECIMAL(18, 4)"
_AT = "strftime({}::TIMESTAMP, '%Y-%m-%d %H:%M:%S+00:00')"
_WOO_LINES = Wanted(
    "order_item_id order_id order_item_name order_item_type", _in("order_item_type", ("line_item", "fee", "coupon"))
)
_WOO_TABLES = {
    "woocommerce_order_items": _WOO_LINES,
    "woocommerce_order_itemmeta": Wanted("meta_id order_item_id meta_key meta_value", _in("meta_key", _LINE_META)),
    "wc_customer_lookup": Wanted(
        "customer_id user_id email first_name last_name date_registered country state city postcode", optional=True
    ),
    "options": Wanted("option_id option_name option_value", _in("option_name", ("timezone_string",)), optional=True),
    "term_relationships": Wanted("object_id term_taxonomy_id", optional=True),
    "term_taxonomy": Wanted(
        "term_taxonomy_id term_id taxonomy parent", _in("taxonomy", ("product_cat",)), optional=True
    ),
    "terms": Wanted("term_id name", optional=True),
}
# Of a product's several categories the first that lies in another; WordPress keeps their names as a page has them.
_CATEGORIES = """
    categories AS (
        SELECT r.object_id::VARCHAR AS product, replace(
            first(t.name ORDER BY x.parent::VARCHAR = '0', x.term_taxonomy_id), '&amp;', '&') AS category
        FROM term_relationships r JOIN term_taxonomy x USING (term_taxonomy_id) JOIN terms t ON t.term_id = x.term_id
        GROUP BY r.object_id)"""
_ITEMS = f"""
    items AS (
        SELECT i.order_id, i.order_item_id, any_value(i.order_item_name) AS name, any_value(i.order_item_type) AS type,
            {_meta("_product_id")} AS product, {_meta("_variation_id")} AS variation,
            {_meta("_qty", "DOUBLE")} AS quantity,
            {_meta("_line_subtotal", _MONEY)} AS subtotal, {_meta("_line_total", _MONEY)} AS total
        FROM woocommerce_order_items i LEFT JOIN woocommerce_order_itemmeta m USING (order_item_id)
        GROUP BY i.order_id, i.order_item_id)"""


def _woocommerce(sold: str, back: str) -> dict[str, str]:
    """The flat exports of WooCommerce: `sold` and `back` are its orders and refunds."""
    return {
        "orders": f"""
            WITH o AS ({sold}), {_ITEMS}, sums AS (
                SELECT order_id, sum(total) FILTER (type = 'line_item') AS lines,
                    sum(total) FILTER (type = 'fee') AS fees,
                    string_agg(name, ', ' ORDER BY order_item_id) FILTER (type = 'coupon') AS coupon
                FROM items GROUP BY order_id)
            SELECT o.id AS "WooCommerce order", {_AT.format("o.moment")} AS ordered_at, o.* EXCLUDE (id, moment),
                sums.lines, sums.fees, sums.coupon
            FROM o LEFT JOIN sums ON sums.order_id = o.id ORDER BY o.id""",
        "lines": f"""
            WITH o AS ({sold}), {_ITEMS}, {_CATEGORIES}
            SELECT items.order_item_id AS "WooCommerce line", items.order_id,
                coalesce(nullif(items.variation, '0'), items.product) AS product_id, items.name, items.quantity,
                items.total AS line_total, greatest(items.subtotal - items.total, 0) AS discount, c.category
            FROM items SEMI JOIN o ON o.id = items.order_id LEFT JOIN categories c ON c.product = items.product
            WHERE items.type = 'line_item'
            ORDER BY items.order_item_id""",
        "refunds": f"""
            WITH r AS ({back})
            SELECT r.id AS "WooCommerce refund", r.order_id, abs(r.amount) AS amount,
                {_AT.format("r.moment")} AS refunded_at
            FROM r ORDER BY r.id""",
        "customers": f"""
            SELECT user_id AS "WooCommerce customer", email, first_name, last_name, country, state AS region, city,
                postcode, {_AT.format("date_registered")} AS created_at
            FROM wc_customer_lookup WHERE user_id IS NOT NULL ORDER BY customer_id""",
    }


HPOS = Schema(
    platform="WooCommerce",
    tables={
        "wc_orders": Wanted("id type status currency tax_amount total_amount customer_id billing_email "
                            "date_created_gmt parent_order_id payment_method_title?"),
        "wc_order_addresses": Wanted("id order_id address_type first_name last_name phone country state city postcode",
                                     "address_type = 'billing'"),
        "wc_order_operational_data": Wanted("id order_id shipping_total_amount discount_total_amount"),
        **_WOO_TABLES,
    },
    flat=_woocommerce(
        f"""SELECT o.id, o.date_created_gmt AS moment, o.status, o.currency, o.total_amount::{_MONEY} AS total,
                o.tax_amount::{_MONEY} AS tax, d.shipping_total_amount::{_MONEY} AS shipping,
                d.discount_total_amount::{_MONEY} AS discount, o.customer_id AS account, o.billing_email AS email,
                a.phone, a.first_name, a.last_name, a.country, a.state AS region, a.city, a.postcode,
                o.payment_method_title AS payment_method
            FROM wc_orders o LEFT JOIN wc_order_operational_data d ON d.order_id = o.id
                LEFT JOIN wc_order_addresses a ON a.order_id = o.id AND a.address_type = 'billing'
            WHERE o.type = 'shop_order'""",
        f"""SELECT id, parent_order_id AS order_id, date_created_gmt AS moment, total_amount::{_MONEY} AS amount
            FROM wc_orders WHERE type = 'shop_order_refund'""",
    ),
    zone="SELECT max(option_value) FROM options WHERE option_name = 'timezone_string'",
    orders="type = 'shop_order'",
)  # fmt: skip

LEGACY = Schema(
    platform="WooCommerce",
    tables={
        "posts": Wanted("ID post_type post_status post_date_gmt post_parent",
                        _in("post_type", ("shop_order", "shop_order_refund"))),
        "postmeta": Wanted("meta_id post_id meta_key meta_value", _in("meta_key", (*_META, "_refund_amount"))),
        **_WOO_TABLES,
    },
    flat=_woocommerce(
        f"""SELECT p.ID AS id, any_value(p.post_date_gmt) AS moment, any_value(p.post_status) AS status,
                {_meta("_order_currency")} AS currency, {_meta("_order_total", _MONEY)} AS total,
                coalesce({_meta("_order_tax", _MONEY)}, 0) + coalesce({_meta("_order_shipping_tax", _MONEY)}, 0) AS tax,
                {_meta("_order_shipping", _MONEY)} AS shipping, {_meta("_cart_discount", _MONEY)} AS discount,
                {_meta("_customer_user")} AS account, {_meta("_billing_email")} AS email,
                {_meta("_billing_phone")} AS phone, {_meta("_billing_first_name")} AS first_name,
                {_meta("_billing_last_name")} AS last_name, {_meta("_billing_country")} AS country,
                {_meta("_billing_state")} AS region, {_meta("_billing_city")} AS city,
                {_meta("_billing_postcode")} AS postcode, {_meta("_payment_method_title")} AS payment_method
            FROM posts p LEFT JOIN postmeta m ON m.post_id = p.ID WHERE p.post_type = 'shop_order' GROUP BY p.ID""",
        f"""SELECT p.ID AS id, any_value(p.post_parent) AS order_id, any_value(p.post_date_gmt) AS moment,
                coalesce({_meta("_refund_amount", _MONEY)}, {_meta("_order_total", _MONEY)}) AS amount
            FROM posts p LEFT JOIN postmeta m ON m.post_id = p.ID
            WHERE p.post_type = 'shop_order_refund' GROUP BY p.ID""",
    ),
    zone="SELECT max(option_value) FROM options WHERE option_name = 'timezone_string'",
    orders="post_type = 'shop_order'",
)  # fmt: skip

MAGENTO = Schema(
    platform="Magento",
    tables={
        "sales_order": Wanted(
            "entity_id increment_id state customer_id customer_email customer_firstname customer_lastname created_at "
            "base_currency_code base_grand_total base_subtotal base_discount_amount base_shipping_amount "
            "base_tax_amount coupon_code? base_discount_tax_compensation_amount?"),
        "sales_order_item": Wanted("item_id order_id parent_item_id product_id product_type sku name qty_ordered "
                                   "base_price base_row_total base_discount_amount base_cost?"),
        "sales_creditmemo": Wanted("entity_id order_id created_at base_grand_total"),
        "sales_order_address": Wanted("entity_id parent_id address_type telephone country_id region city postcode",
                                      "address_type = 'billing'"),
        "customer_entity": Wanted("entity_id email firstname lastname dob? gender? created_at"),
        "newsletter_subscriber": Wanted("subscriber_id customer_id subscriber_status change_status_at", optional=True),
        "core_config_data": Wanted("config_id scope path value", "path = 'general/locale/timezone'", optional=True),
    },
    flat={
        "orders": f"""
            SELECT o.increment_id AS "Magento order", {_AT.format("o.created_at")} AS ordered_at, o.state AS status,
                o.base_currency_code AS currency, o.base_grand_total::{_MONEY} AS total,
                o.base_tax_amount::{_MONEY} AS tax, o.base_shipping_amount::{_MONEY} AS shipping,
                abs(o.base_discount_amount)::{_MONEY} AS discount, o.customer_id AS account, o.customer_email AS email,
                a.telephone AS phone, o.customer_firstname AS first_name, o.customer_lastname AS last_name,
                a.country_id AS country, a.region, a.city, a.postcode, o.coupon_code AS coupon,
                (o.base_subtotal + o.base_discount_amount)::{_MONEY} AS lines,
                o.base_discount_tax_compensation_amount::{_MONEY} AS fees
            FROM sales_order o
                LEFT JOIN sales_order_address a ON a.parent_id = o.entity_id AND a.address_type = 'billing'
            ORDER BY o.entity_id""",
        # A product that can be configured has a row with its price, and one below it that says which was bought; of a
        # bundle it is the rows below that have the prices.
        "lines": f"""
            WITH below AS (
                SELECT parent_item_id, any_value(product_id) AS product_id, sum(base_row_total) AS sum
                FROM sales_order_item WHERE parent_item_id IS NOT NULL GROUP BY parent_item_id),
            told AS (
                SELECT i.*, b.product_id AS chosen, p.product_type AS above, p.base_row_total AS price_above,
                    i.product_type = 'bundle' AND coalesce(b.sum, 0) > 0 AS taken_apart
                FROM sales_order_item i LEFT JOIN below b ON b.parent_item_id = i.item_id
                    LEFT JOIN sales_order_item p ON p.item_id = i.parent_item_id)
            SELECT t.item_id AS "Magento line", o.increment_id AS order_id,
                CASE WHEN t.product_type = 'configurable' AND t.chosen IS NOT NULL THEN t.chosen ELSE t.product_id END
                    AS product_id,
                t.name, t.sku, t.qty_ordered::DOUBLE AS quantity, t.base_price::{_MONEY} AS unit_price,
                (t.base_row_total - t.base_discount_amount)::{_MONEY} AS line_total,
                t.base_discount_amount::{_MONEY} AS discount, t.base_cost::{_MONEY} AS unit_cost
            FROM told t JOIN sales_order o ON o.entity_id = t.order_id
            WHERE (t.parent_item_id IS NULL AND NOT t.taken_apart) OR (t.above = 'bundle' AND t.base_row_total > 0)
            ORDER BY t.item_id""",
        "refunds": f"""
            SELECT c.entity_id AS "Magento refund", o.increment_id AS order_id, c.base_grand_total::{_MONEY} AS amount,
                {_AT.format("c.created_at")} AS refunded_at
            FROM sales_creditmemo c JOIN sales_order o ON o.entity_id = c.order_id ORDER BY c.entity_id""",
        "customers": f"""
            SELECT c.entity_id AS "Magento customer", c.email, c.firstname AS first_name, c.lastname AS last_name,
                c.dob::VARCHAR AS birth_date,
                CASE c.gender::VARCHAR WHEN '1' THEN 'male' WHEN '2' THEN 'female' END AS gender,
                {_AT.format("c.created_at")} AS created_at,
                CASE WHEN n.subscriber_status::VARCHAR = '1' THEN 'yes' WHEN n.subscriber_status IS NOT NULL THEN 'no'
                    END AS email_consent,
                {_AT.format("n.change_status_at")} AS consent_at
            FROM customer_entity c LEFT JOIN newsletter_subscriber n ON n.customer_id::VARCHAR = c.entity_id::VARCHAR
            ORDER BY c.entity_id""",
    },
    zone="SELECT max(value) FROM core_config_data WHERE scope = 'default'",
)  # fmt: skip

SCHEMAS = (HPOS, LEGACY, MAGENTO)
