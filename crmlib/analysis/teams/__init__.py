"""Who does well after a fair adjustment, and where is help needed?

measure → part_all, part_funnel, part_times → returns → part_returns → page
"""

from crmlib.analysis.teams.funnels import part_all, part_funnel
from crmlib.analysis.teams.judge import Cells, Verdict, judge
from crmlib.analysis.teams.marketing import Returns, part_returns, returns
from crmlib.analysis.teams.measure import Judged, measure
from crmlib.analysis.teams.page import page, part_times

__all__ = [
    "Cells",
    "Judged",
    "Returns",
    "Verdict",
    "judge",
    "measure",
    "page",
    "part_all",
    "part_funnel",
    "part_returns",
    "part_times",
    "returns",
]
