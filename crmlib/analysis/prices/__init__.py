"""Are prices right, and for whom?

floors → history → slopes → advise → willing, asked → part_advice, part_floor, part_ladder, part_willing,
part_asked → page
"""

from crmlib.analysis.prices.advice import Advice, Floors, advise, floors, part_floor
from crmlib.analysis.prices.asked import Asked, asked, part_asked
from crmlib.analysis.prices.history import History, history, part_history
from crmlib.analysis.prices.page import page, part_advice, part_tests
from crmlib.analysis.prices.slopes import Slopes, part_ladder, slopes
from crmlib.analysis.prices.willing import Willing, part_willing, willing

__all__ = [
    "Advice",
    "Asked",
    "Floors",
    "History",
    "Slopes",
    "Willing",
    "advise",
    "asked",
    "floors",
    "history",
    "page",
    "part_advice",
    "part_asked",
    "part_floor",
    "part_history",
    "part_ladder",
    "part_tests",
    "part_willing",
    "slopes",
    "willing",
]
