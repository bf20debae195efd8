"""All that crosses from the engine before a test is judged, gathered into one frozen value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.analysis.experiments.facts import Facts, assigned_days, assigned_units, measured, moments
from crmlib.analysis.experiments.measures import unit_called
from crmlib.analysis.experiments.shapes import cut_back, order_statistics, ratio_moments, read_quantiles, read_ratios
from crmlib.errors import NotEnoughData, UsageError, nearest

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop


def facts(
    shop: Shop,
    *,
    experiment: str = "",
    window_days: int = 14,
    ratios: str = "",
    quantiles: str = "",
    primary: str = "",
    unit: str = "",
    confidence: float = 0.95,
) -> Facts:
    """Who was in which arm, and what did each arm do?

    `experiment` picks one, empty means all. `ratios` such as 'revenue/orders' and `quantiles` such as 'revenue@0.95' are
    compared beside the metrics, and so is `primary` where it is one of them. `unit` is what was assigned, in the plural;
    empty is as the metrics' names say. `confidence` is that of the quantiles' order statistics. Raises NotAvailable without assignments or anything to measure by,
    NotEnoughData where nothing had been assigned by as_of, UsageError for an experiment that does not exist.
    """
    assignments = shop.table("assignments")
    names = shop.fetch(assignments.select("experiment").distinct().order_by("experiment"))["experiment"].tolist()
    if not names:
        raise NotEnoughData(f"no unit had been assigned to an experiment before {shop.as_of}: needs assignments")
    if experiment and experiment not in names:
        raise UsageError(f"there is no experiment '{experiment}'; {nearest(experiment, names)}")
    units = shop.keep(assigned_units(shop, experiment=experiment))
    single = units.filter(units["arms"] == 1)
    arms = single.group_by("experiment", "variant").aggregate(
        units=single.count(), first_at=single["assigned_at"].min(), last_at=single["assigned_at"].max()
    )
    outcomes = shop.keep(measured(shop, units=units, window_days=window_days))
    found = moments(shop, outcomes)
    metrics = sorted(set(found["metric"]))
    source = "outcomes" if shop.has("outcomes") else "orders"
    if primary and primary not in metrics:
        ratios, quantiles = _also(primary, ratios, "/"), _also(primary, quantiles, "@")
    fetched = shop.fetch(arms.order_by("experiment", "variant"))
    return Facts(
        as_of=shop.as_of,
        source=source,
        window_days=window_days,
        currency=shop.currency,
        dated=not shop.has("outcomes") or shop.has("outcomes", "observed_at"),
        arms=fetched,
        apart=shop.fetch(_apart(shop, units)),
        days=shop.fetch(assigned_days(units)),
        moments=found,
        ratios=ratio_moments(shop, outcomes, ratios=read_ratios(ratios, metrics=metrics)),
        quantiles=order_statistics(
            shop,
            outcomes,
            quantiles=read_quantiles(quantiles, metrics=metrics),
            confidence=confidence,
            arms=fetched.groupby("experiment").size().to_dict(),
        ),
        capped=_capped(shop, outcomes, found),
        unit=unit.strip() or unit_called(metrics, source=source),
    )


def _also(primary: str, named: str, mark: str) -> str:
    """The ratios (or quantiles) that were named, and the primary measure if it is one; each once."""
    parts = [part.strip() for part in f"{named},{primary if mark in primary else ''}".split(",") if part.strip()]
    return ", ".join(dict.fromkeys(parts))


def _capped(shop: Shop, outcomes: ir.Table, found: pd.DataFrame) -> pd.DataFrame:
    """Means with the outermost values cut back, of metrics that are not mere zeros and ones."""
    names = ["experiment", "metric", "variant", "largest", "n", "mean", "var"]
    spread = sorted(set(found.loc[found["off_binary"] > 0, "metric"]))
    if not spread:
        return pd.DataFrame(columns=names)
    return moments(shop, cut_back(outcomes.filter(outcomes["metric"].isin(spread))))[names]


def _apart(shop: Shop, units: ir.Table) -> ir.Table:
    """Grain: an experiment. Columns experiment, two_arms, repeats, unassigned_rows, unassigned_units."""
    apart = units.group_by("experiment").aggregate(
        two_arms=(units["arms"] > 1).sum(), repeats=ibis.ifelse(units["arms"] == 1, units["rows"] - 1, 0).sum()
    )
    if not shop.has("outcomes"):
        return apart.mutate(unassigned_rows=ibis.literal(0), unassigned_units=ibis.literal(0)).order_by("experiment")
    stray = shop.table("outcomes").anti_join(units, ["experiment", "unit_id"])
    stray = stray.group_by("experiment").aggregate(
        unassigned_rows=stray.count(), unassigned_units=stray["unit_id"].nunique()
    )
    apart = apart.left_join(stray, "experiment").drop("experiment_right")
    return apart.mutate(
        unassigned_rows=apart["unassigned_rows"].fill_null(0), unassigned_units=apart["unassigned_units"].fill_null(0)
    ).order_by("experiment")
