"""`%load_ext crmlib`: the name `crm`, the pages' look for your own figures and frames, and errors that fit the screen.

    %load_ext crmlib
    store = crm.connect("data/demo")
    store

Nothing happens on import; `%unload_ext crmlib` puts everything back.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

from crmlib.errors import nearest
from crmlib.shop import shop as _shop
from crmlib.shop.sharing import FOLDER_VARIABLE

# Frames as an analyst reads them: no row of dots in the middle of twelve columns, no twelve decimals.
_FRAMES = {"display.max_columns": 30, "display.max_colwidth": 60, "display.precision": 3, "display.width": 140}
_MEMORY = "_crmlib_before"


@functools.wraps(_shop.connect)
def connect(*place: Any, segment: str = "", **said: Any) -> _shop.Shop:
    # The docstring is that of the shop's own.
    if shell := _shell():
        check_parameters(shell)
        if FOLDER_VARIABLE not in os.environ:
            import ibis

            # For whoever looks; a run's page shows no rows.
            ibis.options.interactive = True
    shop = _shop.connect(*place, **said)
    if not segment:
        return shop
    from crmlib.shop import segments

    who = segments.segment(segment, shop=shop)
    return shop.only(segments.members(shop, who), called=str(who))


def check_parameters(shell: Any) -> None:
    """Hold the values of a notebook's parameters to what its own cell allows, as the command line does.

    UsageError names the parameter, its value and what is allowed. A notebook without such a cell is let be.
    """
    from crmlib.report import parameters

    cells = [cell for cell in shell.user_ns.get("In", ()) if all(f"{name}: str" in cell for name in ("shop", "as_of"))]
    if not cells:
        return
    try:
        found = parameters.parse_cell(cells[-1], "this notebook")
    except SyntaxError:
        return
    for parameter in found:
        if parameter.name not in parameters.RESERVED:
            parameter.check(shell.user_ns.get(parameter.name, parameter.default))


def _shell() -> Any:
    """The notebook this runs in, or None."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def load(shell: Any) -> None:
    """Put `crm` into the notebook, set the look, and keep errors of missing names short."""
    import pandas as pd

    import crmlib
    from crmlib import figures

    if not hasattr(shell, _MEMORY):
        frames = {name: pd.get_option(name) for name in _FRAMES}
        setattr(shell, _MEMORY, (figures.set_theme(), frames, shell.CustomTB, shell.custom_exceptions))
    for name, value in _FRAMES.items():
        pd.set_option(name, value)
    shell.push({"crm": crmlib})
    shell.set_custom_exc((AttributeError,), _short)


def unload(shell: Any) -> None:
    """Put figures, pandas options and error display back; `crm` stays, for cells below may use it."""
    import pandas as pd

    from crmlib import figures

    before = shell.__dict__.pop(_MEMORY, None)
    if before is None:
        return
    styles, frames, shell.CustomTB, shell.custom_exceptions = before
    figures.reset_theme(styles)
    for name, value in frames.items():
        pd.set_option(name, value)


def _short(
    shell: Any, kind: type[BaseException], error: AttributeError, trace: Any, tb_offset: int | None = None
) -> Any:
    """A misspelt name of an analysis or a shop in one line, with the nearest; all other errors as ever."""
    owner = getattr(error, "obj", None)
    name = str(getattr(error, "name", "") or "")
    where = getattr(owner, "__name__", type(owner).__module__)
    if not str(where).startswith("crmlib") or not name:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        return None
    known = [word for word in getattr(owner, "__all__", dir(owner)) if not word.startswith("_")]
    short = str(where).rpartition(".")[2] if hasattr(owner, "__name__") else type(owner).__name__
    lines = [f"AttributeError: {short} has no '{name}'; {nearest(name, known)}"]
    shell._showtraceback(kind, error, lines)
    return lines
