"""Data sets: simulated, recorded, or convolved with measured room responses. No ROS."""
