"""Talkers over time: peaks of maps, multi-target tracking, following a talker. No ROS."""
