"""Rooms that are no boxes, and what a robot is told of walls."""
