"""
What differs between the ROS 2 distributions, Humble to Rolling, told apart by what is there.

Other modules import these names from here; docs/distributions.md lists what was compared.
"""

import rclpy
from rclpy.clock import ClockType  # its own module, rclpy.clock_type, is not in Humble

try:  # from Iron on
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble; where both are there, the old name warns
    from rclpy.qos_event import SubscriptionEventCallbacks

__all__ = ['ClockType', 'spin_managed', 'SubscriptionEventCallbacks']

_REFUSED = 'lifecycle state machine transition'
"""What rclpy's error says of a transition that the state machine refuses."""


def spin_managed(node):
    """
    Spin a lifecycle node, whatever transitions it is asked for.

    Up to Jazzy, a request for a transition that the node's state does not allow is raised out of
    the executor, which would end the node; from Kilted on rclpy answers that it failed.

    Parameters
    ----------
    node : rclpy.lifecycle.LifecycleNode
        Spun until the context is shut down, or something else is raised.

    """
    while rclpy.ok():
        try:
            rclpy.spin(node)
        except RuntimeError as error:  # RCLError, which has no public name, is one
            if _REFUSED not in str(error):
                raise
            node.get_logger().error(f'a transition was refused: {error}')
