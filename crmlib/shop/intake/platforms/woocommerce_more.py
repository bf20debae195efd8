"""WooCommerce's other files: order lines in rows, the Advanced Order Export plugin, analytics, and products."""

from __future__ import annotations

from crmlib.shop.intake.platforms.base import Export, Identity, Made, Spec, joined_text, number, numbered, one_per
from crmlib.shop.intake.platforms.woocommerce import _ORDER, _PERSON

WEBTOFFEE_ROWS = Export(
    platform="WooCommerce",
    what="orders (WebToffee, lines in rows)",
    needs=("order_id", "order_date", "order_total", "item_product_id", "item_quantity", "item_total"),
    key="order_id",
    also=("billing_last_name",),
    numbers=("order_total", "shipping_total", "tax_total", "fee_total", "item_total"),
    made={
        "orders": Made(rows=lambda t: one_per(t, _lines=t["# item_total"].sum()), columns=_ORDER),
        "order_lines": Made(rows=numbered, columns={
            "order_id": "_key", "product_id": "item_product_id | item_sku | item_name", "quantity": "item_quantity",
            "line_total": "item_total", "line_no": "_no"}),
        "products": Made(rank=1, rows=lambda t: one_per(t.mutate(_goods=t["item_product_id"]), "_goods"), columns={
            "product_id": "item_product_id | item_sku | item_name", "name": "item_name"}),
        "customers": Made(_PERSON, rank=1),
    },
    sums=(Identity("order_total", lambda t: t["# order_total"], {
        "line items + shipping + fees + tax": lambda t:
        t["_lines"] + number(t, "shipping_total", "fee_total", "tax_total")}),),
)  # fmt: skip


_NAME: Spec = (lambda t: joined_text(t, "First Name (Billing)", "Last Name (Billing)"), "First Name (Billing)")
_WHO: dict[str, Spec] = {"_email": "Email (Billing)", "_phone": "Phone (Billing)", "_name": _NAME}

ADVANCED = Export(
    platform="WooCommerce",
    what="orders (Advanced Order Export)",
    needs=("Order Number", "Order Status", "Order Date", "Order Total Amount"),
    key="Order Number",
    also=("Last Name (Billing)",),
    numbers=("Order Total Amount", "Order Subtotal Amount", "Cart Discount Amount", "Order Shipping Amount",
             "Order Total Tax Amount", "Item Cost", "Quantity"),
    made={
        "orders": Made(rows=one_per, columns={
            "order_id": "_key", "ordered_at": "Order Date", "total": "Order Total Amount", "status": "Order Status",
            "discount": "Cart Discount Amount", "shipping": "Order Shipping Amount",
            "tax": "Order Total Tax Amount | Order Tax Amount", "refunded": "Order Refund Amount",
            "payment_method": "Payment Method Title", **_WHO}),
        "order_lines": Made(rows=lambda t: numbered(t.filter(t["Quantity"].notnull())) if "Quantity" in t.columns else
                            numbered(t).limit(0), columns={
            "order_id": "_key", "product_id": "SKU | Name", "quantity": "Quantity", "unit_price": "Item Cost",
            "line_no": "_no"}),
        "customers": Made(rank=1, columns={
            **_WHO, "first_name": "First Name (Billing)", "last_name": "Last Name (Billing)",
            "country": "Country Code (Billing)", "city": "City (Billing)", "postcode": "Postcode (Billing)"}),
    },
    sums=(Identity("Order Total Amount", lambda t: t["# Order Total Amount"], {
        "subtotal − discount + shipping + tax": lambda t:
        number(t, "Order Subtotal Amount", "Order Shipping Amount", "Order Total Tax Amount")
        - number(t, "Cart Discount Amount"),
        "subtotal + shipping + tax": lambda t:
        number(t, "Order Subtotal Amount", "Order Shipping Amount", "Order Total Tax Amount")}),),
)  # fmt: skip
