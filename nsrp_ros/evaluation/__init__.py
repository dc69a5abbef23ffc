"""How well methods do: accuracy, calibration, robustness, voice presence, tracking."""
