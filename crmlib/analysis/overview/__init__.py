"""How are we doing, what moved, and why?

measure → ordered, bought → part_why, part_who → tree → part_tree → movers → part_movers → kpis → part_kpis → page
"""

from crmlib.analysis.overview.causes import bought, change_table, ordered, part_who, part_why
from crmlib.analysis.overview.kpis import dictionary, kpis, part_kpis
from crmlib.analysis.overview.measure import Change, Measured, measure
from crmlib.analysis.overview.movers import movers, part_movers
from crmlib.analysis.overview.page import page
from crmlib.analysis.overview.tree import part_tree, tree

__all__ = [
    "Change",
    "Measured",
    "bought",
    "change_table",
    "dictionary",
    "kpis",
    "measure",
    "movers",
    "ordered",
    "page",
    "part_kpis",
    "part_movers",
    "part_tree",
    "part_who",
    "part_why",
    "tree",
]
