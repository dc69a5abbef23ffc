"""From audio messages to windows: formats, clocks, discontinuities, several devices. No ROS."""
