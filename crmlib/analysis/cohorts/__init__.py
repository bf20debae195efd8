"""Are newer customers better, what makes loyal ones, where do we lose people?

measure → part_curves, shift → part_change → part_mix → league → part_firsts, part_groups → payback, paths, ahead → page
"""

from crmlib.analysis.cohorts.ahead import ahead, grade, part_ahead
from crmlib.analysis.cohorts.change import Shift, newest, part_change, shift
from crmlib.analysis.cohorts.curves import part_curves
from crmlib.analysis.cohorts.facts import Newcomers, measure
from crmlib.analysis.cohorts.firsts import by_group, league, part_firsts, part_groups
from crmlib.analysis.cohorts.mix import part_mix
from crmlib.analysis.cohorts.page import page
from crmlib.analysis.cohorts.paths import part_paths, ways
from crmlib.analysis.cohorts.payback import part_payback, payback

__all__ = [
    "Newcomers",
    "Shift",
    "ahead",
    "by_group",
    "grade",
    "league",
    "measure",
    "newest",
    "page",
    "part_ahead",
    "part_change",
    "part_curves",
    "part_firsts",
    "part_groups",
    "part_mix",
    "part_paths",
    "part_payback",
    "payback",
    "shift",
    "ways",
]
