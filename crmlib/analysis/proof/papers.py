"""Figures that others published, worked out again on data that came with the libraries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from crmlib.analysis.proof.checks import Check, equal
from crmlib.stats import adjust, share_interval
from crmlib.stats.compare import difference_interval, score_test
from crmlib.stats.survival import kaplan_meier

_FADER = "Fader, Hardie and Lee 2005, table 2"
_SHEETS, _LIFETIMES = "Fader, Hardie and Lee’s spreadsheets", "the lifetimes package"
_CDNOW = {
    "BG/NBD": (0.2426, 4.4136, 0.7929, 2.4259), "Pareto/NBD": (0.553, 10.578, 0.606, 11.669),
    "MBG/NBD": (0.5248, 6.183, 0.8914, 1.6140),
}  # fmt: skip
# Log-likelihood; of who bought twice, last in week 30.43 of 38.86: purchases in 39 weeks, chance that he still buys.
_KNOWN = {"BG/NBD": (-9582.43, 1.2259, 0.7266), "Pareto/NBD": (-9595.0, 1.4551, 0.8691)}
_HELD_OUT = {"BG/NBD": 1653, "Pareto/NBD": 1666, "MBG/NBD": 1577}  # purchases of all in the 39 weeks that follow
_SPEND = (6.25, 3.74, 15.44)
_ONE = pd.DataFrame({"frequency": [2], "recency_days": [7 * 30.43], "t_days": [7 * 38.86], "customers": [1]})
# Weeks until relapse under 6-MP, and whether it came.
_WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
_RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
_P_VALUES = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528,
             0.759, 1.0]  # fmt: skip


def papers(fit: Callable[..., Any], spend: Callable[..., Any]) -> tuple[Check, ...]:
    """Are published figures met? `fit` and `spend` are the models' own, as in the example.

    CDNOW's 2,357 customers as the lifetimes package brings them; small tables from the papers themselves.

    >>> all(check.passed for check in papers(crm.lifetime_value.fit, crm.lifetime_value.spend.gamma_gamma))
    True
    """
    return (*_purchases(fit), *_money(spend), *_tables())


def _purchases(fit: Callable[..., Any]) -> list[Check]:
    from lifetimes.datasets import load_cdnow_summary

    people = load_cdnow_summary()
    patterns = pd.DataFrame(
        {"frequency": people["frequency"], "recency_days": 7 * people["recency"], "t_days": 7 * people["T"],
         "customers": 1}
    )  # fmt: skip
    found = []
    for name, figures in _CDNOW.items():
        source = _FADER if name in _KNOWN else _LIFETIMES
        made = fit(patterns, time_unit="week", until=date(1997, 10, 1), name=name)
        for n, (ours, said) in enumerate(zip(made.parameters, figures, strict=True), start=1):
            found.append(equal(f"{name}, parameter {n}", ours, said, source=source, within=0.002))
        ahead = float(made.expected(patterns, days=273).sum())
        found.append(equal(f"{name}, purchases in 39 weeks", ahead, _HELD_OUT[name], source=_LIFETIMES))
        if name in _KNOWN:
            likelihood, one, alive = _KNOWN[name]
            theirs = (
                ("log-likelihood", made.log_likelihood, likelihood, 1e-5, source),
                ("purchases of one customer in 39 weeks", made.expected(_ONE, days=273)[0], one, 0.001, _SHEETS),
                ("chance that he still buys", made.p_alive(_ONE)[0], alive, 0.001, _SHEETS),
            )
            found += [
                equal(f"{name}, {what}", ours, said, source=by, within=room) for what, ours, said, room, by in theirs
            ]
    return found


def _money(spend: Callable[..., Any]) -> list[Check]:
    from lifetimes.datasets import load_cdnow_summary_data_with_monetary_value

    people = load_cdnow_summary_data_with_monetary_value().query("frequency > 0")
    count, average = people["frequency"].to_numpy(float), people["monetary_value"].to_numpy(float)
    source = "Fader and Hardie 2013"
    parameters = zip(("p", "q", "γ"), spend(count, average)[0], _SPEND, strict=True)
    return [
        equal("Gamma-Gamma, customers who came back", len(people), 946, source=source),
        equal("Gamma-Gamma, frequency with spend", np.corrcoef(count, average)[0, 1], 0.114, source=source,
              within=0.005),
        *(equal(f"Gamma-Gamma, {name}", ours, said, source=source, within=0.002) for name, ours, said in parameters),
    ]  # fmt: skip


def _tables() -> list[Check]:
    low, high = difference_interval(56, 70, 48, 80)
    share_low, share_high = share_interval(81, 263)
    at, by_then, _, _ = kaplan_meier(np.array(_WEEKS, float), np.array(_RELAPSED, float), np.ones(len(_WEEKS)))
    discoveries, holm = (int((adjust(_P_VALUES, method=how) <= 0.05).sum()) for how in ("fdr_bh", "holm"))
    # Players who came back after a day and after a week, of 44,700 and 45,489.
    day, week = score_test(20_034, 44_700, 20_119, 45_489), score_test(8_502, 44_700, 8_279, 45_489)
    newcombe, freireich = "Newcombe and Nurminen 2011, table II", "Freireich et al. 1963"
    return [
        equal("difference of two shares, lower end", low, 0.0528, source=newcombe),
        equal("difference of two shares, upper end", high, 0.3382, source=newcombe),
        equal("a share’s range, lower end", float(share_low), 0.2553, source="Newcombe 1998, table I"),
        equal("a share’s range, upper end", float(share_high), 0.3662, source="Newcombe 1998, table I"),
        equal("free of relapse for 10 weeks", 1 - float(by_then[at == 10][0]), 0.753, source=freireich),
        equal("free of relapse for 23 weeks", 1 - float(by_then[at == 23][0]), 0.448, source=freireich),
        equal("Cookie Cats, back after a day", day, 0.0744, source="statsmodels on the published counts"),
        equal(
            "Cookie Cats, back after a week", week, 0.00155, source="statsmodels on the published counts", within=0.004
        ),
        equal("findings among 15 p-values", discoveries, 4, source="Benjamini and Hochberg 1995"),
        equal("the same, by Holm", holm, 3, source="worked by hand"),
    ]
