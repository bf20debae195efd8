"""What is normal for now, what is not, what does next month need?

measure → normal → watch → alerts → part_alerts → shifts → part_shifts → part_year, part_week, part_holidays → demand →
part_demand → page
"""

from crmlib.analysis.seasons.alerts import Alerts, alerts, part_alerts
from crmlib.analysis.seasons.demand import Demand, demand, grade, part_demand
from crmlib.analysis.seasons.facts import Days, measure
from crmlib.analysis.seasons.normal import Normal, normal, part_holidays, part_week, part_year
from crmlib.analysis.seasons.page import page
from crmlib.analysis.seasons.shifts import Shifts, part_shifts, shifts
from crmlib.analysis.seasons.watching import Watch, watch

__all__ = [
    "Alerts",
    "Days",
    "Demand",
    "Normal",
    "Shifts",
    "Watch",
    "alerts",
    "demand",
    "grade",
    "measure",
    "normal",
    "page",
    "part_alerts",
    "part_demand",
    "part_holidays",
    "part_shifts",
    "part_week",
    "part_year",
    "shifts",
    "watch",
]
