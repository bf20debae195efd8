"""Who are the customers, who moves up, who slides, and who buys again?

profiles (as of a day) → cuts → kinds, stages → moves between two days → test (the score on later time) → parts,
part_ahead → page
"""

from crmlib.analysis.customers.ahead import part_ahead
from crmlib.analysis.customers.facts import Profiles, earlier, profiles
from crmlib.analysis.customers.likeness import part_common, part_lookalikes, traits
from crmlib.analysis.customers.migration import moves, part_grid, part_moves
from crmlib.analysis.customers.page import page
from crmlib.analysis.customers.people import part_cuts, part_kinds, part_list
from crmlib.analysis.customers.rfm import Cuts, cuts, kinds, stages
from crmlib.analysis.customers.score import part_score, test

__all__ = [
    "Cuts",
    "Profiles",
    "cuts",
    "earlier",
    "kinds",
    "moves",
    "page",
    "part_ahead",
    "part_common",
    "part_cuts",
    "part_grid",
    "part_kinds",
    "part_list",
    "part_lookalikes",
    "part_moves",
    "part_score",
    "profiles",
    "stages",
    "test",
    "traits",
]
