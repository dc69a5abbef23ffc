"""
Conversion between the stamps of messages and integer nanoseconds.

Needs no ROS, since bags are read without it.
"""

from typing import Protocol

NS = 1_000_000_000
"""Nanoseconds in a second: times are integers, since a float cannot hold them exactly."""


class Stamp(Protocol):
    """Any time of a message, such as a builtin_interfaces/Time."""

    sec: int
    nanosec: int


def stamp_to_ns(stamp: Stamp) -> int:
    """Return a stamp as integer nanoseconds."""
    return int(stamp.sec) * NS + int(stamp.nanosec)


def set_stamp(stamp: Stamp, time_ns: int) -> None:
    """Write integer nanoseconds into a stamp."""
    stamp.sec, stamp.nanosec = divmod(int(time_ns), NS)
