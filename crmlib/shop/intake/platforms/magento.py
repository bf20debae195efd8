"""Magento 2: the orders and customers grids, and the customers' main file, of which no password is ever read."""

from __future__ import annotations

from crmlib.shop.intake.platforms.base import Export, Identity, Made, joined_text, number

ORDERS = Export(
    platform="Magento",
    what="orders grid",
    needs=("ID", "Purchase Date", "Grand Total (Base)", "Status", "Customer Email"),
    key="ID",
    numbers=("Grand Total (Base)", "Subtotal", "Shipping and Handling", "Total Refunded"),
    made={
        "orders": Made({
            "order_id": "_key", "ordered_at": "Purchase Date", "total": "Grand Total (Base)", "status": "Status",
            "channel": "Purchase Point", "shipping": "Shipping and Handling", "refunded": "Total Refunded",
            "payment_method": "Payment Method", "customer_group": "Customer Group", "subtotal": "Subtotal",
            "_email": "Customer Email", "_name": "Customer Name | Bill-to Name", "_label": "_key",
        }),
        "customers": Made({"_email": "Customer Email", "_name": "Customer Name | Bill-to Name",
                           "name": "Customer Name | Bill-to Name"}, rank=1),
    },
    sums=(Identity("Grand Total", lambda t: t["# Grand Total (Base)"], {
        "Subtotal + Shipping": lambda t: number(t, "Subtotal", "Shipping and Handling")}),),
)  # fmt: skip

CUSTOMERS = Export(
    platform="Magento",
    what="customers grid",
    needs=("ID", "Name", "Email", "Group", "Customer Since"),
    key="ID",
    made={
        "customers": Made({
            "_account": "ID", "_email": "Email", "_phone": "Phone", "_name": "Name", "created_at": "Customer Since",
            "first_name": "Billing Firstname", "last_name": "Billing Lastname", "birth_date": "Date of Birth",
            "gender": "Gender", "country": "Country", "region": "State/Province", "city": "City", "postcode": "ZIP",
            "customer_group": "Group", "name": "Name",
        })
    },
)  # fmt: skip

MAIN_FILE = Export(
    platform="Magento",
    what="customers main file",
    needs=("email", "_website", "created_at", "firstname", "lastname", "group_id"),
    key="email",
    made={
        "customers": Made({
            "_email": "email", "_name": (lambda t: joined_text(t, "firstname", "lastname"), "firstname"),
            "created_at": "created_at", "first_name": "firstname", "last_name": "lastname", "birth_date": "dob",
            "gender": "gender", "customer_group": "group_id",
        })
    },
)  # fmt: skip
