"""The lags of a cross-correlation that the back-projection network evaluates, on every engine."""

STRIDE = 2
"""Lags of the correlations that one lag feature stands for."""
LAG_STEP = 32
"""The largest lag is rounded up to a multiple of this, so that array sizes are reused."""
