"""Who stands outside the funnel once the cases are allowed for? The same for teams, carriers and suppliers.

What others would have had with the same cases comes from a logistic regression with an effect of each group and of each
kind of case. A group's effect takes nothing of the cases' and the other way round, so that a slow team does not make
its own cases look hard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special
from scipy import stats as distributions

from crmlib import formats
from crmlib.stats.shrinkage import towards_mean

Floats = NDArray[np.float64]
LEAST, LEAST_EVENTS = 30, 5.0  # cases of a group, and events (and their absence) to be expected of it
ERROR = 0.05  # chance that any group of a page is called outside although all are alike
_RIDGE, _LEAST_LEVEL, _MANY = 0.1, 30, 10


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What one comparison is made of.

    kind     'team', 'department', 'carrier' or 'supplier'
    measure  a key of `funnels.MEASURES`
    frame    team (the group's name), block (twelfths of the window, 0 the newest), the columns of `mix`, n, events
    mix      what makes a case hard, beside the time of year
    """

    __repr__ = formats.outline

    kind: str
    measure: str
    frame: pd.DataFrame
    mix: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Groups beside what others would have had with the same cases.

    table    team, n, events, expected, raw, adjusted with low and high (95 %), likely (drawn together), comparable (the
             number of cases that would be as sure), z, p_value, outside (1 too many, −1 too few, 0 inside), seeming
             (raw would be outside, adjusted is not); the groups by name. What is judged is always something unwelcome
    usual    share to be expected of all cases together
    limit    z from which on a group is outside
    apart    what a group outside is worst at, by name: (column of the mix, its value)
    """

    __repr__ = formats.outline

    kind: str
    measure: str
    table: pd.DataFrame
    usual: float
    limit: float
    apart: dict[str, tuple[str, str]]

    @property
    def far(self) -> list[str]:
        """Groups outside, on either side."""
        return [str(name) for name in self.table.loc[self.table["outside"] != 0, "team"]]

    @property
    def bad(self) -> pd.DataFrame:
        """Groups with more than the cases explain, the surest first."""
        return self.table[self.table["outside"] > 0].sort_values("z", ascending=False)

    @property
    def good(self) -> pd.DataFrame:
        """Groups with less."""
        return self.table[self.table["outside"] < 0].sort_values("z")


def judge(comparisons: Sequence[Cells], *, kinds: int = 0) -> list[Verdict]:
    """Which groups are outside, over all comparisons of a page? Those with fewer than two groups to compare are left.

    The chance that any group is called outside by chance is held to 5 % in all: shared alike by the kinds (at least
    `kinds` of them), and within a kind by its groups and measures (Bonferroni).

    >>> frame = pd.DataFrame({"team": ["a", "b", "c"], "block": 0, "n": 400, "events": [150, 90, 92]})
    >>> judge([Cells(kind="team", measure="late_reply", frame=frame, mix=())])[0].bad["team"].tolist()
    ['a']
    """
    fitted = [(one, found) for one in comparisons if (found := _fit(one)) is not None]
    sizes = Counter({one.kind: 0 for one, _ in fitted})
    for one, found in fitted:
        sizes[one.kind] += int(found.judged.sum())
    shares = {kind: ERROR / max(len(sizes), kinds) / size for kind, size in sizes.items()}
    return [_verdict(one, found, limit=float(distributions.norm.isf(shares[one.kind] / 2))) for one, found in fitted]


@dataclass(frozen=True)
class _Fit:
    """A regression over cells, the effects of groups in its first columns; `judged` are groups with enough cases."""

    cells: pd.DataFrame
    names: list[str]
    group: NDArray[np.int64]
    design: Floats
    theta: Floats
    covariance: Floats
    scatter: float
    judged: NDArray[np.bool_]

    def expected(self, others: NDArray[np.bool_], of: int) -> tuple[float, float, float, Floats]:
        """Events expected of a group if it worked as `others`: their sum, its variance by chance and by doubt of the
        regression, and the events by cell."""
        size = np.bincount(self.group, self.cells["n"], len(self.names))
        weight = np.where(others & (np.arange(len(size)) != of), size, 0.0)
        effects = len(self.names)
        mine = self.group == of
        x = self.design[mine].copy()
        x[:, :effects] = weight / weight.sum()
        p, n = special.expit(x @ self.theta), self.cells["n"].to_numpy(float)[mine]
        slope = (n * p * (1 - p)) @ x
        return float(n @ p), float(n @ (p * (1 - p))), float(slope @ self.covariance @ slope), n * p


def _fit(one: Cells) -> _Fit | None:
    cells = one.frame[one.frame["n"] > 0].reset_index(drop=True)
    sizes = cells.groupby("team")["n"].sum()
    names = sorted(sizes.index[sizes >= LEAST])
    cells = cells[cells["team"].isin(names)].reset_index(drop=True)
    if len(names) < 2 or not 0 < cells["events"].sum() < cells["n"].sum():
        return None
    group = pd.Categorical(cells["team"], categories=names).codes.astype(np.int64)
    columns = [np.eye(len(names))[group]]
    levels = [cells[name].astype(str) for name in (*one.mix, "block")]
    # What is late abroad may depend on the weekday: the first two together, too.
    for level in (*levels, *([levels[0] + "|" + levels[1]] if len(levels) > 2 else [])):
        often = cells["n"].groupby(level).sum()
        level = level.where(level.map(often) >= _LEAST_LEVEL, "other")
        columns.append(pd.get_dummies(level, drop_first=True).to_numpy(float))
    design = np.column_stack(columns)
    n, y = cells["n"].to_numpy(float), cells["events"].to_numpy(float)
    theta, covariance = _logistic(design, y, n)
    p = special.expit(design @ theta)
    by = cells.assign(_off=y - n * p, _var=n * p * (1 - p)).groupby(["team", "block"])[["_off", "_var"]].sum()
    by = by[by["_var"] >= 1]
    free = len(by) - len(names)
    scatter = max(1.0, float((by["_off"] ** 2 / by["_var"]).sum()) / free) if free >= _MANY else 1.0
    found = _Fit(cells, names, group, design, theta, covariance, scatter, np.ones(len(names), dtype=np.bool_))
    size = np.bincount(group, n)
    expected = np.array([found.expected(found.judged, of)[0] for of in range(len(names))])
    found.judged[:] = (expected >= LEAST_EVENTS) & (size - expected >= LEAST_EVENTS)
    return found if found.judged.sum() >= 2 else None


def _logistic(x: Floats, y: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Coefficients and their covariance, by Newton's steps. A slight ridge keeps what nothing is known of finite."""
    theta = np.zeros(x.shape[1])
    for _ in range(30):
        p = special.expit(x @ theta)
        slope = x.T @ (y - n * p) - _RIDGE * theta
        curve = (x * (n * p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(len(theta))
        step = np.linalg.solve(curve, slope)
        theta = theta + np.clip(step, -3, 3)
        if np.abs(step).max() < 1e-8:
            break
    return theta, np.linalg.inv(curve)


def _verdict(one: Cells, fit: _Fit, *, limit: float) -> Verdict:
    """One comparison. Groups outside leave the measure that the others are held to, the furthest first."""
    standard = fit.judged.copy()
    while True:
        table, usual, spread = _standardised(fit, standard)
        far = table["z"].abs().where(standard & fit.judged).fillna(0)
        if far.max() <= limit * spread or standard.sum() <= max(2, len(standard) // 2):
            break
        standard[int(far.to_numpy().argmax())] = False
    table["outside"] = np.where(table["z"].abs() > limit * spread, np.sign(table["z"]), 0).astype(int)
    raw_z = _z(table["raw"], usual, table["comparable"])
    table["seeming"] = (raw_z.abs() > limit * spread) & (table["outside"] == 0)
    table["p_value"] = 2 * distributions.norm.sf(table["z"].abs() / spread)
    table = table[fit.judged].reset_index(drop=True)
    error = np.sqrt(np.maximum(table["adjusted"] * (1 - table["adjusted"]), usual * (1 - usual)) / table["comparable"])
    middle, _, _ = towards_mean((table["adjusted"] / usual - 1).to_numpy(float), (error / usual).to_numpy(float))
    table["likely"] = np.clip(usual * (1 + middle), 0, 1)
    worst = table[table["outside"] > 0]["team"]
    apart = {name: told for name in worst if (told := _apart(fit, standard, fit.names.index(name), one.mix))}
    return Verdict(kind=one.kind, measure=one.measure, table=table, usual=usual, limit=limit * spread, apart=apart)


def _standardised(fit: _Fit, standard: NDArray[np.bool_]) -> tuple[pd.DataFrame, float, float]:
    """Groups beside the `standard` ones; the share usual with those; how much further groups lie apart than chance."""
    rows = [fit.expected(standard, of)[:3] for of in range(len(fit.names))]
    table = pd.DataFrame(rows, columns=["expected", "_chance", "_doubt"])
    sums = fit.cells.groupby("team")[["n", "events"]].sum().reindex(fit.names).reset_index()
    table = pd.concat([sums, table], axis=1)
    usual = float(table["expected"].sum() / table["n"].sum())
    table["raw"] = table["events"] / table["n"]
    table["adjusted"] = np.clip(usual * table["events"] / table["expected"], 0, 1)
    error = usual * np.sqrt(fit.scatter * (table["_chance"] + table["_doubt"])) / table["expected"]
    table["comparable"] = usual * (1 - usual) / error**2
    table["z"] = _z(table["adjusted"], usual, table["comparable"])
    low, high = (funnel(table["adjusted"], table["comparable"], z) for z in (-1.96, 1.96))
    table = table.assign(low=low, high=high).drop(columns=["_chance", "_doubt"])
    # Among many groups each is a little of its own: the middle ones say how much (Spiegelhalter 2005).
    z = table.loc[fit.judged, "z"]
    spread = np.sqrt(max(1.0, float((z.clip(*z.quantile([0.1, 0.9])) ** 2).mean()))) if len(z) >= _MANY else 1.0
    return table, usual, float(spread)


def _z(share: pd.Series, usual: float, n: pd.Series) -> pd.Series:
    # On the scale of arcsines the scatter of a share is the same everywhere.
    return pd.Series(2 * np.sqrt(n) * (np.arcsin(np.sqrt(share)) - np.arcsin(np.sqrt(usual))), index=share.index)


def funnel(share: pd.Series | float, n: pd.Series | Floats, z: float) -> Floats:
    """Where would shares of `n` cases lie, `z` errors from `share`? Source: Spiegelhalter 2005, arcsine limits.

    >>> [round(float(funnel(0.2, np.array([100.0]), z)[0]), 3) for z in (-1.96, 1.96)]
    [0.128, 0.284]
    """
    angle = np.arcsin(np.sqrt(np.asarray(share, dtype=float))) + z / (2 * np.sqrt(np.asarray(n, dtype=float)))
    return np.asarray(np.sin(np.clip(angle, 0, np.pi / 2)) ** 2)


def _apart(fit: _Fit, standard: NDArray[np.bool_], of: int, mix: tuple[str, ...]) -> tuple[str, str] | None:
    """Where a group has more too many for each case than elsewhere: a column of the mix and its value."""
    rows = fit.cells[fit.group == of].assign(_expected=fit.expected(standard, of)[3])
    found = []
    for column in mix:
        by = rows.groupby(column)[["n", "events", "_expected"]].sum()
        rest = by.sum() - by
        share, other = by["events"] / by["n"], rest["events"] / rest["n"]
        error = np.sqrt(fit.scatter * (share * (1 - share) / by["n"] + other * (1 - other) / rest["n"]))
        more = (by["events"] - by["_expected"]) / by["n"] - (rest["events"] - rest["_expected"]) / rest["n"]
        p = distributions.norm.sf(more / error)
        many = np.minimum(by["n"], rest["n"]) >= LEAST
        found += [(at, column, str(value)) for at, value in zip(p[many], by.index[many], strict=True) if at == at]
    if not found:
        return None
    p, column, value = min(found)
    return (column, value) if p * len(found) < ERROR else None
