"""The main function of every node of this package: making, spinning and shutting down."""

from collections.abc import Callable
import gc
import signal
import sys
from typing import TypeVar

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

AnyNode = TypeVar('AnyNode', bound=Node)


def run_node(name: str, make_node: Callable[[], AnyNode],
             refusals: tuple[type[Exception], ...] = (),
             spin: Callable[[AnyNode], None] = rclpy.spin,
             args: list[str] | None = None) -> None:
    """
    Make a node and spin it until it is interrupted.

    Parameters
    ----------
    name : str
        Name of the logger for errors at the start, when there may be no node.
    make_node : callable
        Returns the node.
    refusals : tuple of type
        Exceptions whose text is a sentence for the user: they are logged without a traceback,
        and the process exits with 1. Those about wrong parameters are always included.
    spin : callable
        Called with the node; returns when its work is done.
    args : list of str, optional
        Command line, sys.argv if None.

    """
    for_user: tuple[type[Exception], ...] = (ParameterException, *refusals)
    rclpy.init(args=args)
    node = None
    try:
        node = make_node()
        spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except for_user as error:
        rclpy.logging.get_logger(name).fatal(str(error))
        sys.exit(1)
    except Exception:  # noqa: B902
        # An interrupt while the node is being made shuts the context down.
        if rclpy.ok():
            raise
    finally:
        # A second interrupt, such as launch's after the terminal's, must not cause a traceback
        # during the rest of the shutdown, which is short.
        signal.signal(signal.SIGINT, lambda *_: None)
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        # Python puts its own handlers back to the default at its end; what is ignored stays so.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # A garbage collection of all objects of torch and SciPy would take more than a second.
        gc.freeze()
