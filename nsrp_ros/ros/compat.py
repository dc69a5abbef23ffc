"""
What differs between the ROS 2 distributions, Humble to Rolling, detected by what is installed.

Other modules import these names from here; docs/distributions.md lists what was compared.
"""

from typing import TYPE_CHECKING

import rclpy
from rclpy.clock import ClockType  # its own module, rclpy.clock_type, is not in Humble

if TYPE_CHECKING:
    from rclpy.lifecycle import LifecycleNode

try:  # from Iron on
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble; where both exist, the old name warns
    from rclpy.qos_event import SubscriptionEventCallbacks

__all__ = ['ClockType', 'spin_managed', 'SubscriptionEventCallbacks']

_REFUSED = 'lifecycle state machine transition'
"""Part of the text of rclpy's error about a refused transition."""


def spin_managed(node: 'LifecycleNode') -> None:
    """
    Spin a lifecycle node, and survive requests for transitions that are not allowed.

    Up to Jazzy such a request raises an error out of the executor, which would end the node; from
    Kilted on rclpy answers that the transition failed.

    Parameters
    ----------
    node : rclpy.lifecycle.LifecycleNode
        Spun until the context is shut down, or another error is raised.

    """
    while rclpy.ok():
        try:
            rclpy.spin(node)
        except RuntimeError as error:  # RCLError, which has no public name, is one
            if _REFUSED not in str(error):
                raise
            node.get_logger().error(f'a transition was refused: {error}')
