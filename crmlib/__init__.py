"""crmlib: an analytical CRM for an online shop.

    import crmlib as crm

    shop = crm.connect("data/demo", as_of="2026-10-01")
    shop.reconciliation()

`crm.connect` opens a shop, the analysis modules answer one question each, and `crm.publish` hands a report's
findings to whoever reads the notebook.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crmlib.analysis import baskets, data_health, experiments, feedback, lifetime_value
    from crmlib.findings import due, publish
    from crmlib.shop.engine import Shop, connect

__version__ = "0.1.0"
__all__ = ["Shop", "baskets", "connect", "data_health", "due", "experiments", "feedback", "lifetime_value", "publish"]

_FUNCTIONS = {
    "Shop": "crmlib.shop.engine",
    "connect": "crmlib.shop.engine",
    "due": "crmlib.findings",
    "publish": "crmlib.findings",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that `crm --help` and a notebook pay for what they call.
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    if name in __all__:
        return importlib.import_module(f"crmlib.analysis.{name}")
    raise AttributeError(f"crmlib has no '{name}'; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
