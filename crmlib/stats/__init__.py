"""Statistics that several analyses share; scipy and statsmodels where they have them."""

from crmlib.stats.corrections import adjust
from crmlib.stats.intervals import Floats, chance_range, rate_interval, share_interval
from crmlib.stats.ranking import top_share, weighted_auc

__all__ = ["Floats", "adjust", "chance_range", "rate_interval", "share_interval", "top_share", "weighted_auc"]
