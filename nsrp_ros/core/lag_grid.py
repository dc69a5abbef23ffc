"""Which lags of a cross-correlation networks look at; the same wherever they run."""

STRIDE = 2
"""Lags of the correlations that one lag feature stands for."""
LAG_STEP = 32
"""Lags are looked at in steps, so that memory of the same size is asked for again."""
