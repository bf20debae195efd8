"""crmlib: an analytical CRM for an online shop.

    import crmlib as crm

    shop = crm.connect("data/demo", as_of="2026-10-01")
    shop.reconciliation()

In a notebook, `%load_ext crmlib` does the import, sets the look of figures and frames, and keeps errors short.

`crm.connect` opens a shop, the analysis modules answer one question each, and `crm.publish` hands a report's
findings to whoever reads the notebook.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crmlib.analysis import (
        audiences,
        baskets,
        briefing,
        cohorts,
        customers,
        data_health,
        experiments,
        feedback,
        lifetime_value,
        overview,
        personas,
        prices,
        proof,
        purchase_cycles,
        retention,
        seasons,
        teams,
    )
    from crmlib.figures.own import page
    from crmlib.findings import Part, compose
    from crmlib.ipython import connect
    from crmlib.publishing import due, earlier, publish, published
    from crmlib.shop.segments import segment
    from crmlib.shop.shop import Shop

__version__ = "0.2.0"
__all__ = [
    "Part",
    "Shop",
    "audiences",
    "baskets",
    "briefing",
    "cohorts",
    "compose",
    "connect",
    "customers",
    "data_health",
    "due",
    "earlier",
    "experiments",
    "feedback",
    "lifetime_value",
    "overview",
    "page",
    "personas",
    "prices",
    "proof",
    "publish",
    "published",
    "purchase_cycles",
    "retention",
    "seasons",
    "segment",
    "teams",
]

_FUNCTIONS = {
    "Shop": "crmlib.shop.shop",
    "connect": "crmlib.ipython",
    "Part": "crmlib.findings",
    "compose": "crmlib.findings",
    "due": "crmlib.publishing",
    "earlier": "crmlib.publishing",
    "page": "crmlib.figures.own",
    "publish": "crmlib.publishing",
    "published": "crmlib.publishing",
    "segment": "crmlib.shop.segments",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `crm --help` and a notebook pay for what they call.
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in __all__:
        return importlib.import_module(f"crmlib.analysis.{name}")
    if not name.startswith("_"):
        from crmlib.errors import nearest

        raise AttributeError(f"crmlib has no '{name}'; {nearest(name, __all__)}")
    raise AttributeError(f"crmlib has no '{name}'")


def __dir__() -> list[str]:
    return __all__


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext crmlib` does; see crmlib.ipython."""
    from crmlib import ipython

    ipython.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext crmlib` does: everything as it was before."""
    from crmlib import ipython

    ipython.unload(shell)
