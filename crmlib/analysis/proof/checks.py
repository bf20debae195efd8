"""A number worked out here beside what it must be: a paper's, another library's, a planted truth, a declared rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.findings import Metric, Part
from crmlib.formats import outline
from crmlib.stats import share_interval

Kind = Literal["reference", "nothing there", "planted"]
_CALLED: dict[Kind, str] = {
    "reference": "published figures",
    "nothing there": "declared rates where nothing is to be found",
    "planted": "planted truths",
}
_SURE = 0.999  # of the range of a rate: a dozen of them must not fail by chance


@dataclass(frozen=True)
class Check:
    """One number and what it must be: `low` to `high`. `source` says where that comes from."""

    __repr__ = outline

    kind: Kind
    name: str
    ours: float
    reference: str
    low: float
    high: float
    source: str

    @property
    def said(self) -> str:
        """Ours as the reference is written."""
        return formats.share(self.ours, digits=1) if self.kind == "nothing there" else f"{self.ours:.6g}"

    @property
    def passed(self) -> bool:
        """Does ours lie where it must?"""
        return bool(self.low <= self.ours <= self.high)


@dataclass(frozen=True)
class Proof:
    """All checks, as one table: kind, check, reference, ours, source, verdict."""

    checks: tuple[Check, ...]

    __repr__ = outline

    @property
    def table(self) -> pd.DataFrame:
        """One row a check, the failed first."""
        rows = [
            {"kind": one.kind, "check": one.name, "reference": one.reference, "ours": one.said,
             "source": one.source, "verdict": "passed" if one.passed else "failed"}
            for one in sorted(self.checks, key=lambda one: one.passed)
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["kind", "check", "reference", "ours", "source", "verdict"])

    @property
    def failed(self) -> tuple[Check, ...]:
        """Those that do not hold."""
        return tuple(one for one in self.checks if not one.passed)


def equal(name: str, ours: float, reference: float, *, source: str, within: float = 0.001) -> Check:
    """Is a number that of a paper or another library? `within` is relative, for its rounding.

    >>> equal("half", 0.5, 0.5, source="arithmetic").passed
    True
    """
    room = within * abs(reference)
    return Check("reference", name, float(ours), f"{reference:.6g}", reference - room, reference + room, source)


def rate(name: str, found: Sequence[bool] | np.ndarray, declared: float, *, source: str, most: bool = False) -> Check:
    """Does something happen as often as declared, over so many draws with nothing to be found?

    What 999 of 1,000 such draws would show passes; with `most` fewer is as good.

    >>> rate("heads", [True, False] * 50, 0.5, source="a fair coin").passed
    True
    """
    share = float(np.mean(found))
    low, high = share_interval(declared * len(found), len(found), confidence=_SURE)
    said = f"{'at most ' if most else ''}{formats.share(declared, digits=1)}"
    return Check("nothing there", name, share, said, 0.0 if most else float(low), float(high), source)


def inside(name: str, truth: float, low: float, high: float, *, source: str) -> Check:
    """Does a range hold the truth that was planted? `ours` is the truth, the reference our range.

    >>> inside("gain", 0.1, 0.05, 0.2, source="simulation").passed
    True
    """
    return Check("planted", name, float(truth), f"{low:.4g} to {high:.4g}", float(low), float(high), source)


def named(name: str, wanted: Iterable[str], found: Iterable[str], *, source: str) -> Check:
    """Is all that was planted found, and nothing beside it? `ours` counts what is missing or too much.

    >>> named("teams", ["slow"], ["slow"], source="simulation").passed
    True
    """
    apart = set(wanted) ^ set(found)
    return Check("planted", name, len(apart), "0 missing or too many", 0.0, 0.0, source)


def proof(*checks: Check) -> Proof:
    """All checks together."""
    return Proof(checks)


def part_checks(found: Proof) -> Part:
    """How many numbers are what they must be, by where that comes from."""
    n, bad = len(found.checks), found.failed
    counts = pd.DataFrame(
        [
            {"kind": wording.upper(called), "passed": sum(c.passed for c in mine), "all": len(mine)}
            for kind, called in _CALLED.items()
            if (mine := [check for check in found.checks if check.kind == kind])
        ]
    )
    labels = {"check": "Check", "reference": "Must be", "ours": "Is", "source": "Source", "verdict": "Verdict"}
    numbers = figures.tabulate(found.table, caption="Every check", labels=labels, file="tables/checks.csv")
    title = (
        f"All {n} numbers are what they must be" if not bad else f"{len(bad)} of {n} numbers are not what they must be"
    )
    return Part(
        title=title,
        sentence=f"{'; '.join(f'{c.name}: {c.said}, must be {c.reference}' for c in bad)}." if bad else "",
        chart=figures.bars(counts, label="kind", value="passed", whole="all", what="checks that passed",
                           form=formats.number, table=numbers) if len(counts) else None,
        metrics=[
            Metric(id="passed", label="Checks passed", value=n - len(bad), unit="checks", headline=True, n=n,
                   definition="numbers recomputed in this run that are what a paper, another library, a planted truth "
                   "or a declared rate says"),
            Metric(id="failed", label="Checks failed", value=len(bad), unit="checks", headline=True,
                   definition="those that are not"),
        ],
        tables={"checks": found.table},
    )  # fmt: skip


def finite(value: float | None) -> bool:
    """Is there a number?"""
    return value is not None and math.isfinite(value)
