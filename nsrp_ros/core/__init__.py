"""Conventions, settings and results that everything shares: NumPy and SciPy only. No ROS."""
