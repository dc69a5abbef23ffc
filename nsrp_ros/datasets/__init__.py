"""Scenes on disk: simulated, recorded, or played through measured responses."""
