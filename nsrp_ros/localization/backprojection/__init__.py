"""The default network at work on a robot, with or without torch."""
