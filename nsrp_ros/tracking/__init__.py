"""Talkers over time: peaks of maps, tracks, and whom to follow. No ROS."""
