"""`%load_ext crmlib`: the name `crm`, the pages' look for your own figures and frames, and errors that fit the screen.

    %load_ext crmlib
    shop = crm.connect("data/demo")
    shop

Nothing happens on import; `%unload_ext crmlib` puts everything back.
"""

from __future__ import annotations

import ast
import difflib
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from crmlib.errors import UsageError, nearest
from crmlib.shop import shop as _shop
from crmlib.shop.sharing import FOLDER_VARIABLE

if TYPE_CHECKING:
    from crmlib.report.parameters import Parameter

# Frames as an analyst reads them: no row of dots in the middle of twelve columns, no twelve decimals.
_FRAMES = {"display.max_columns": 30, "display.max_colwidth": 60, "display.precision": 3, "display.width": 140}
_MEMORY = "_crmlib_before"


@functools.wraps(_shop.connect)
def connect(*place: Any, segment: str = "", **said: Any) -> _shop.Shop:
    # The docstring is that of the shop's own.
    if place and isinstance(place[0], _shop.Shop):
        # The cell `shop = crm.connect(shop, …)`, run once more.
        place, said = (place[0].folder, *place[1:]), {"engine": place[0]._engine.name} | said
    if shell := _shell():
        check_parameters(shell)
        if FOLDER_VARIABLE not in os.environ:
            import ibis

            # For whoever looks; a run's page shows no rows, and says of an error in which line it was.
            ibis.options.interactive = True
            if not shell.custom_exceptions:
                shell.set_custom_exc((AttributeError, NameError), _short)
    shop = _shop.connect(*place, **said)
    if not segment:
        return shop
    from crmlib.shop import segments

    return segments.only(shop, segments.segment(segment, shop=shop))


def check_parameters(shell: Any) -> None:
    """Hold the names and values of a notebook's parameters to what its own cell allows, as the command line does.

    UsageError names the parameter, its value and what is allowed, or the nearest name. A notebook without such a cell
    is let be.
    """
    said = list(shell.user_ns.get("In", ()))
    at, found = _interface(said)
    known = {parameter.name for parameter in found}
    for name in _set_after(said[at + 1 : -1]):
        if name not in known and (near := difflib.get_close_matches(name, known, n=1, cutoff=0.8)):
            raise UsageError(f"this notebook has no parameter {name!r}; did you mean {near[0]!r}?")
    from crmlib.report.parameters import RESERVED

    for parameter in found:
        if parameter.name not in RESERVED:
            parameter.check(shell.user_ns.get(parameter.name, parameter.default))


def _interface(said: list[str]) -> tuple[int, list[Parameter]]:
    """Which of the cells that ran holds the parameters, the last of several, and what it says of them."""
    from crmlib.report import parameters

    for at in reversed(range(len(said))):
        if all(f"{name}: str" in said[at] for name in ("shop", "as_of")):
            try:
                return at, parameters.parse_cell(said[at], "this notebook")
            except SyntaxError:
                break
    return 0, []


def _set_after(cells: Iterable[str]) -> Iterator[str]:
    """The names that a cell between the parameters and the shop gives a plain value, as papermill's does."""
    for cell in cells:
        try:
            body = ast.parse(cell).body
        except SyntaxError:
            continue
        for node in body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (target.id for target in targets if isinstance(target, ast.Name))


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
    shell.set_custom_exc((AttributeError, NameError), _short)


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
    shell: Any, kind: type[BaseException], error: BaseException, trace: Any, tb_offset: int | None = None
) -> Any:
    """A misspelt name of an analysis, a shop or a parameter in one line, with the nearest; other errors as ever."""
    line = _slip(shell, error)
    if not line:
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
        return None
    lines = [f"{kind.__name__}: {line}"]
    shell._showtraceback(kind, error, lines)
    return lines


def _slip(shell: Any, error: BaseException) -> str:
    """What was misspelt and what it is near to; '' for another's error."""
    name = str(getattr(error, "name", "") or "")
    if isinstance(error, NameError):
        known = {parameter.name for parameter in _interface(list(shell.user_ns.get("In", ())))[1]}
        own = {word for word in shell.user_ns if not word.startswith("_")}
        near = difflib.get_close_matches(name, known | own, n=1, cutoff=0.8)
        what = ", a parameter of this notebook" if near and near[0] in known else ""
        return f"there is no {name!r}; did you mean {near[0]!r}{what}?" if near else ""
    owner = getattr(error, "obj", None)
    where = str(getattr(owner, "__name__", type(owner).__module__))
    if not where.startswith("crmlib") or not name:
        return ""
    public = [word for word in getattr(owner, "__all__", dir(owner)) if not word.startswith("_")]
    short = where.rpartition(".")[2] if hasattr(owner, "__name__") else type(owner).__name__
    return f"{short} has no '{name}'; {nearest(name, public)}"
