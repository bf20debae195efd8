"""What a run is asked for, how it is under way, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from crmlib.report.folder.manifest import slug_of
from crmlib.report.parameters import Report, Value


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one report's run ended. `path` is its page, the failure's page included; None when it never began.

    `status` is the manifest's, or 'locked', or 'up_to_date' where the run that stands was left as it is.
    """

    report: str
    status: str
    exit_code: int
    message: str = ""
    path: Path | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What every report of a run shares. `shop` is the folder, relative to `project`; `engine` works on its tables.

    `timeout` is for a whole notebook, `cell_timeout` for each of its cells, both in seconds; 0 is no limit of its own.
    With `force` a report is run though it is up to date; so is one of a shop in a `database`. `warm` forks kernels from
    one process that has imported what they need; with `keep` what was read of a file is kept. `planned` are order, slug
    and title of all reports of this run.
    """

    project: Path
    reports: Path
    shop: str
    shop_name: str
    as_of: date
    engine: str = ""
    variant: str = ""
    timeout: float = 1800.0
    cell_timeout: float = 0.0
    force: bool = False
    warm: bool = True
    keep: bool = True
    database: bool = False
    planned: tuple[tuple[str, str, str], ...] = ()

    @property
    def address(self) -> str:
        """The shop as the notebooks get it: its folder, after the engine where one was asked for."""
        return f"{self.engine}:{self.shop}" if self.engine else self.shop

    @property
    def holder(self) -> dict[str, str]:
        """The shop as the reports folder remembers it."""
        return {"name": self.shop_name, "folder": self.shop}

    def slug(self, report: Report) -> str:
        """The name of a report's folder in this run."""
        return slug_of(report.name, self.variant)


@dataclass(kw_only=True)
class Job:
    """One report's run under way: where it writes, which cell it is in, and what has been heard of it."""

    number: int
    report: Report
    run_id: str
    staging: Path
    values: Mapping[str, Value]
    held: ExitStack
    started: datetime
    made_from: Mapping[str, Any] = field(default_factory=dict)
    clock: float = 0.0
    cell: int = 0
    cell_clock: float = 0.0
    source: str = ""
    overdue: str = ""
    killed_at: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)

    def scrub(self, plan: Plan) -> list[tuple[str, str]]:
        """Local paths that must not travel, and what stands for them."""
        home = str(Path.home())
        pairs = [(f"{self.staging}/", ""), (str(self.staging), ""), (f"{plan.project}/", "")]
        return pairs + ([(f"{home}/", "~/")] if home != "/" else [])
