"""Which few kinds of customers are there, and what goes wrong for each?

measure → part_kinds, part_cards, part_profile → problems → part_problems → answers → part_answers →
launches → part_launches → held_out → part_ahead → page
"""

from crmlib.analysis.personas.ahead import part_ahead
from crmlib.analysis.personas.answers import answers, part_answers
from crmlib.analysis.personas.cut import Model, Verdict, judge
from crmlib.analysis.personas.kinds import Personas, measure
from crmlib.analysis.personas.launches import launches, part_launches
from crmlib.analysis.personas.page import page, part_cards, part_kinds, part_lists, part_profile
from crmlib.analysis.personas.problems import Problems, part_problems, problems
from crmlib.analysis.personas.proof import held_out, part_held_out

__all__ = [
    "Model",
    "Personas",
    "Problems",
    "Verdict",
    "answers",
    "held_out",
    "judge",
    "launches",
    "measure",
    "page",
    "part_ahead",
    "part_answers",
    "part_cards",
    "part_held_out",
    "part_kinds",
    "part_launches",
    "part_lists",
    "part_problems",
    "part_profile",
    "problems",
]
