"""Scenes for evaluation: conditions, silence, polygonal rooms."""
