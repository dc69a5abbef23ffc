"""Rooms, talkers, devices and noise, drawn and rendered. No ROS."""
