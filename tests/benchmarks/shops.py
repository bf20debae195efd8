"""Do the purchase models fit shops nobody looked at? `python -m tests.benchmarks.shops [SHOPS] [FIRST SEED]`.

Each shop is simulated by a loop over purchases, of one of six kinds of customers, none of which shares code with the
models: those who stop at a rate of their own, at one rate, by chance after a purchase, never; with regular gaps; once
a year. Printed for each model: shops with a maximum, on a boundary that is a simpler model, without; and over half a
year kept aside, how far totals were off, how many 95 % ranges of totals and of single customers held what came, how
well buyers were ranked (beside recency), and log loss (beside that of the share that came).
"""

from __future__ import annotations

import sys
import time
import warnings
from datetime import date

import numpy as np
import pandas as pd

from crmlib.analysis.forecasts import Errors, band
from crmlib.analysis.lifetime_value import fit, timing
from crmlib.analysis.lifetime_value.chances import Chances
from crmlib.analysis.lifetime_value.models import PurchaseModel
from crmlib.analysis.lifetime_value.ranges import limits
from crmlib.analysis.lifetime_value.spend import SHRUNK, spend_of
from crmlib.errors import NotEnoughData
from crmlib.stats import weighted_auc

AHEAD = 182
KINDS = (
    "own rate of stopping",
    "one rate of stopping",
    "stops after a purchase",
    "never stops",
    "regular",
    "once a year",
)
DAY = date(2025, 1, 1)


def shop(seed: int) -> tuple[str, pd.DataFrame]:
    """One row a customer: history at the cut, purchases after it, and money."""
    rng = np.random.default_rng([seed, 4])
    kind = KINDS[seed % len(KINDS)]
    n, days = int(rng.integers(200, 1500)), int(rng.integers(250, 900))
    shape, gap = np.exp(rng.uniform(-0.7, 1.2)), np.exp(rng.uniform(3.0, 5.0))
    rows = []
    for _ in range(n):
        rate = rng.gamma(shape, 1 / (shape * gap))
        end = {
            "own rate of stopping": rng.exponential(1 / max(rng.gamma(0.6, 1 / 120), 1e-9)),
            "one rate of stopping": rng.exponential(250),
        }.get(kind, np.inf)
        stop = rng.beta(0.8, 3) if kind == "stops after a purchase" else 0.0
        won = int(rng.integers(1, days))
        now, at = 0.0, []
        while len(at) < 3000:
            if kind == "once a year":
                now += rng.normal(365, 12)
            elif kind == "regular":
                now += rng.gamma(4, 1 / (4 * max(rate, 1e-9)))
            else:
                now += rng.exponential(1 / max(rate, 1e-12))
            if now > won + AHEAD or now > end:
                break
            at.append(np.floor(now))
            if rng.random() < stop:
                break
        seen = np.unique([day for day in at if 0 < day < won])
        later = len({day for day in at if day >= won})
        mean = 40 * np.exp((0.02 if seed % 4 == 0 else 0.5) * rng.normal())
        spent = rng.gamma(4 * max(len(seen), 1), mean / 4) if len(seen) else 0.0
        rows.append((len(seen), seen[-1] if len(seen) else 0.0, won - 1, later, spent, spent + rng.gamma(4, mean / 4)))
    columns = ["frequency", "recency_days", "t_days", "later", "repeat_revenue", "revenue"]
    return kind, pd.DataFrame(rows, columns=columns).assign(customers=1)


def trial(people: pd.DataFrame, name: timing.Name) -> dict[str, object]:
    started = time.perf_counter()
    try:
        model = fit(people, time_unit="week", until=DAY, name=name)
    except NotEnoughData:
        return {"fit": "too few"}
    took = time.perf_counter() - started
    if not isinstance(model, PurchaseModel):
        return {"fit": "boundary" if "boundary" in model.reason else "none", "seconds": took}
    mean = model.expected(people, days=AHEAD)
    total, came = float(mean.sum()), float(people["later"].sum())
    own = np.sqrt(model.variance(people, days=AHEAD).sum()) / max(total, 1e-9)
    held = band(total, float(np.hypot(own, model.spread_of_total(people, days=AHEAD))), Errors())
    bought = (people["later"] > 0).to_numpy()
    chance = np.clip(np.where(bought, 1 - (none := model.p_none(people, days=AHEAD)), none), 1e-4, 1.0)
    base = np.clip(np.where(bought, bought.mean(), 1 - bought.mean()), 1e-4, 1.0)
    low, high = limits(model, Chances(), people, days=AHEAD, widen=1.0)
    silent = (people["recency_days"] - people["t_days"]).to_numpy(float)
    ranks = [
        float(weighted_auc(score, bought, np.ones((1, len(people))))[0]) if 0 < bought.sum() < len(people) else np.nan
        for score in (mean, silent)
    ]
    return {
        "fit": "maximum", "seconds": took, "off": total / max(came, 1) - 1, "held": held.holds(came),
        "finite": bool(np.isfinite(mean).all() and np.isfinite(model.draws(50, seed=0)).all()), "most": float(mean.max()),
        "auc": ranks[0], "recency": ranks[1], "loss": -np.log(chance).mean(), "base_loss": -np.log(base).mean(),
        "single": float(((low <= people["later"]) & (people["later"] <= high)).mean()),
        "log_likelihood": model.log_likelihood,
    }  # fmt: skip


def main(shops: int, first: int) -> None:
    warnings.simplefilter("ignore")
    rows, money = [], []
    for seed in range(first, first + shops):
        kind, people = shop(seed)
        rows += [{"kind": kind, "seed": seed, "model": name, **trial(people, name)} for name in timing.NAMES]
        for way in ("Gamma-Gamma", SHRUNK):
            spend = spend_of(people, until=DAY, name=way)
            told = spend.per_order(people)[0] if spend else np.array([np.nan])
            money.append({"way": way, "fitted": spend is not None, "finite": bool(np.isfinite(told).all())})
    found = pd.DataFrame(rows)
    some = found[found["fit"] != "too few"]
    fitted = some.groupby("seed")["fit"].apply(lambda fits: (fits == "maximum").any())
    print(f"{len(fitted)} shops large enough, of which {int((~fitted).sum())} have no model at all")
    for by in (["model"], ["kind", "model"]):
        print(
            some.groupby(by).agg(
                maximum=("fit", lambda fits: (fits == "maximum").sum()),
                boundary=("fit", lambda fits: (fits == "boundary").sum()), none=("fit", lambda fits: (fits == "none").sum()),
                seconds=("seconds", "mean"), off=("off", "mean"), off_size=("off", lambda off: off.abs().median()),
                held=("held", "mean"), single=("single", "mean"), auc=("auc", "mean"), recency=("recency", "mean"),
                loss=("loss", "mean"), base_loss=("base_loss", "mean"), finite=("finite", "mean"), most=("most", "max"),
            ).round(3).to_string()
        )  # fmt: skip
    print(pd.DataFrame(money).groupby("way").mean().round(3).to_string())


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [200, 0][len(given) :]))
