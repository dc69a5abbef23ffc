"""Devices in simulated rooms: where they are, how they differ, what they hear of themselves."""
