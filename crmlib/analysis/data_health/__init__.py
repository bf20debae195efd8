"""Can the shop's tables be trusted, and do they add up to what the platform itself reports?

health = crm.data_health.measure(shop)
crm.publish(crm.data_health.page(health, shop=shop), shop=shop)
"""

from crmlib.analysis.data_health.admin import Bridge, measure_admin, part_admin
from crmlib.analysis.data_health.facts import Health, guest_orders, measure, order_totals, refunds, unlisted_buyers
from crmlib.analysis.data_health.gaps import part_checks, part_fields, part_guests
from crmlib.analysis.data_health.months import part_months
from crmlib.analysis.data_health.page import page
from crmlib.analysis.data_health.reading import part_files, part_states
from crmlib.analysis.data_health.rows import part_faults, part_rows
from crmlib.analysis.data_health.sums import part_people, part_sums

__all__ = [
    "Bridge",
    "Health",
    "guest_orders",
    "measure",
    "measure_admin",
    "order_totals",
    "page",
    "part_admin",
    "part_checks",
    "part_faults",
    "part_fields",
    "part_files",
    "part_guests",
    "part_months",
    "part_people",
    "part_rows",
    "part_states",
    "part_sums",
    "refunds",
    "unlisted_buyers",
]
