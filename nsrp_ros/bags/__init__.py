"""Recorded bags: read, localized and written without ROS."""
