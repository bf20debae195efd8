"""Which engine works out the expressions of a shop?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crmlib.errors import UsageError, nearest
from crmlib.shop.engines.protocol import (
    BLANK,
    DUCKDB,
    ENGINES,
    FOLDER_VARIABLE,
    SPARK,
    Engine,
    Raw,
    Sharing,
    flag,
    our_names,
    without_decimals,
)

__all__ = [
    "BLANK",
    "DUCKDB",
    "ENGINES",
    "FOLDER_VARIABLE",
    "SPARK",
    "Engine",
    "Raw",
    "Sharing",
    "flag",
    "open_engine",
    "our_names",
    "without_decimals",
]


def open_engine(engine: Any, *, scratch: Path, folder: Path | None = None) -> Engine:
    """The engine of that name, or the one of an open Spark session. UsageError where it is neither.

    Only the engine that is asked for is loaded. It reads files below `folder` and uses `scratch` for its own.
    """
    if engine == DUCKDB:
        from crmlib.shop.engines.duckdb import DuckDB

        return DuckDB(scratch, folder=folder)
    if engine == SPARK or hasattr(engine, "sparkContext"):
        from crmlib.shop.engines.spark import Spark

        return Spark(scratch, folder=folder, session=None if engine == SPARK else engine)
    if isinstance(engine, str):
        raise UsageError(f"there is no engine '{engine}'; {nearest(engine, ENGINES)}")
    raise UsageError(f"an engine is 'duckdb', 'spark' or an open Spark session, not {type(engine).__name__}")
