"""How well methods do: accuracy, calibration, robustness, silence, tracking."""
