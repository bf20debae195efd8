"""Statistics that several analyses share; scipy and statsmodels where they have them."""

from crmlib.stats.compare import heterogeneity
from crmlib.stats.corrections import adjust
from crmlib.stats.intervals import Floats, chance_range, rate_interval, share_interval

__all__ = ["Floats", "adjust", "chance_range", "heterogeneity", "rate_interval", "share_interval"]
