"""Reviews: Judge.me, Loox, Yotpo, Okendo, Trustpilot, Etsy and Shopify's own of old, all of them one table of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Made, Spec, joined_text


def _export(platform: str, needs: Sequence[str], words: Sequence[str], columns: Mapping[str, Spec]) -> Export:
    """Reviews of one tool: `words` are the title and what was written. Without an id all of it names it."""
    who = [name for spec in columns.values() if isinstance(spec, str) for name in spec.split(" | ")]

    def named(rows: ir.Table) -> ir.Table:
        told = rows.mutate(
            _text=joined_text(rows, *words, by=": "), _whole=joined_text(rows, *dict.fromkeys((*who, *words)), by="|")
        )
        return told.mutate(_id=told["_whole"].hexdigest("md5").left(16))

    channel: Spec = (lambda _: ibis.literal("review"), needs[0])
    made = Made({"feedback_id": "_id", "text": "_text", "channel": channel, **columns}, rows=named)
    return Export(platform=platform, what="reviews", needs=needs, also=words, made={"feedback": made})


JUDGE_ME = _export(
    "Judge.me", ("title", "body", "rating", "review_date", "reviewer_email"), ("title", "body"),
    {"created_at": "review_date", "rating": "rating", "product_id": "product_handle | product_id", "state": "curated",
     "_email": "reviewer_email", "_name": "reviewer_name"},
)  # fmt: skip
LOOX = _export(
    "Loox", ("id", "rating", "review", "date", "nickname", "status"), ("review",),
    {"feedback_id": "id", "created_at": "date", "rating": "rating", "product_id": "handle | productId",
     "state": "status", "_email": "email", "_name": "full_name"},
)  # fmt: skip
SHOPIFY = _export(
    "Shopify", ("product_handle", "state", "rating", "title", "author", "body", "created_at"), ("title", "body"),
    {"created_at": "created_at", "rating": "rating", "product_id": "product_handle", "state": "state",
     "_email": "email", "_name": "author"},
)  # fmt: skip
YOTPO = _export(
    "Yotpo", ("Review Title", "Review Content", "Review Score", "Date", "Email"), ("Review Title", "Review Content"),
    {"created_at": "Date", "rating": "Review Score", "product_id": "Product ID", "_email": "Email",
     "_name": "Display Name"},
)  # fmt: skip
OKENDO = _export(
    "Okendo", ("Review ID", "Product ID", "Rating", "Title", "Body", "Date Created"), ("Title", "Body"),
    {"feedback_id": "Review ID", "created_at": "Date Created", "rating": "Rating", "state": "Status",
     "product_id": (lambda t: t["Product ID"].re_replace("^gid://shopify/Product/", ""), "Product ID"),
     "_name": "Reviewer Name"},
)  # fmt: skip
TRUSTPILOT = _export(
    "Trustpilot", ("Review ID", "Review Created (UTC)", "Review Content", "Review Stars"),
    ("Review Title", "Review Content"),
    {"feedback_id": "Review ID", "created_at": (lambda t: t["Review Created (UTC)"].re_replace(
        r"(\d)$", r"\1 UTC"), "Review Created (UTC)"), "rating": "Review Stars", "_name": "Review Username"},
)  # fmt: skip
# One entry for each item of an order, which nothing tells apart: of equal ones the first counts.
ETSY = _export(
    "Etsy", ("reviewer", "date_reviewed", "star_rating", "message", "order_id"), ("message",),
    {"created_at": "date_reviewed", "rating": "star_rating", "order_id": "order_id", "_name": "reviewer"},
)  # fmt: skip
