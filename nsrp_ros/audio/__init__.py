"""From messages to windows: sample formats, clocks, seams, several devices. No ROS."""
