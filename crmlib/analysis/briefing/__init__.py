"""What should each person do this week?

earned → queue → part_contacts, part_actions, part_earned, part_days → page
"""

from crmlib.analysis.briefing.occasions import occasions
from crmlib.analysis.briefing.page import page, part_actions, part_contacts, part_days
from crmlib.analysis.briefing.queue import Queue, queue
from crmlib.analysis.earned import Earned, earned, part_earned

__all__ = [
    "Earned",
    "Queue",
    "earned",
    "occasions",
    "page",
    "part_actions",
    "part_contacts",
    "part_days",
    "part_earned",
    "queue",
]
