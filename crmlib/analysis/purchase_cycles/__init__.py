"""When do customers buy again, who is due, who is late for their own rhythm?

gap_counts → part_second, part_orders → chances (tested on later days) → late → part_due → replenished → page
"""

from crmlib.analysis.purchase_cycles.chances import Chances, chances, grade, part_chances
from crmlib.analysis.purchase_cycles.facts import gap_counts, group_counts
from crmlib.analysis.purchase_cycles.late import Late, late, part_due
from crmlib.analysis.purchase_cycles.page import page
from crmlib.analysis.purchase_cycles.products import part_products, replenished
from crmlib.analysis.purchase_cycles.returns import (
    Again,
    again,
    order_numbers,
    part_groups,
    part_orders,
    part_second,
    wait,
)

__all__ = [
    "Again",
    "Chances",
    "Late",
    "again",
    "chances",
    "gap_counts",
    "grade",
    "group_counts",
    "late",
    "order_numbers",
    "page",
    "part_chances",
    "part_due",
    "part_groups",
    "part_orders",
    "part_products",
    "part_second",
    "replenished",
    "wait",
]
