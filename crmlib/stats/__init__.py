"""Statistics that several analyses share; scipy and statsmodels where they have them."""

from crmlib.stats.compare import heterogeneity, surely
from crmlib.stats.corrections import adjust
from crmlib.stats.intervals import Floats, chance_range, dispersion, rate_interval, rate_ratio, share_interval
from crmlib.stats.ranking import top_share, weighted_auc

__all__ = [
    "Floats",
    "adjust",
    "chance_range",
    "dispersion",
    "heterogeneity",
    "rate_interval",
    "rate_ratio",
    "share_interval",
    "surely",
    "top_share",
    "weighted_auc",
]
