"""
Times as messages carry them and as we count them; needs no ROS, since bags are read without it.

A stamp is anything with `sec` and `nanosec`, such as a builtin_interfaces/Time.
"""

NS = 1_000_000_000
"""Nanoseconds in a second: stamps are integers, since a float cannot hold them exactly."""


def stamp_to_ns(stamp):
    """Return a stamp as integer nanoseconds."""
    return int(stamp.sec) * NS + int(stamp.nanosec)


def set_stamp(stamp, time_ns):
    """Write integer nanoseconds into a stamp."""
    stamp.sec, stamp.nanosec = divmod(int(time_ns), NS)
