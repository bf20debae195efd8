"""Who left, what did they have in common, who is worth winning back?

limits → left → common (matched with those who stayed) → back (coming unasked) → worth → lists → parts, page
"""

from crmlib.analysis.retention.back import Back, back, part_back
from crmlib.analysis.retention.common import Common, common, part_common
from crmlib.analysis.retention.facts import Limits, limits
from crmlib.analysis.retention.left import Left, left, part_left
from crmlib.analysis.retention.lists import Lists, lists, part_lists
from crmlib.analysis.retention.page import page, part_few
from crmlib.analysis.retention.worth import Worth, part_worth, worth

__all__ = [
    "Back",
    "Common",
    "Left",
    "Limits",
    "Lists",
    "Worth",
    "back",
    "common",
    "left",
    "limits",
    "lists",
    "page",
    "part_back",
    "part_common",
    "part_few",
    "part_left",
    "part_lists",
    "part_worth",
    "worth",
]
