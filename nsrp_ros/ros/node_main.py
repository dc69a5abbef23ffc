"""How a node of this package lives and ends as a process."""

import gc
import signal
import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException


def run_node(name, make_node, refusals=(), spin=rclpy.spin, args=None):
    """
    Make a node and spin it until it is interrupted.

    Parameters
    ----------
    name : str
        Under which a refusal is logged, since the node may not exist.
    make_node : callable
        Returns the node.
    refusals : tuple of type
        Exceptions whose text is a sentence for the user: logged without a traceback, and the
        process exits with 1. Wrong parameters are always among them.
    spin : callable
        Called with the node; returns when its work is done.
    args : list of str, optional
        Command line, sys.argv if None.

    """
    rclpy.init(args=args)
    node = None
    try:
        node = make_node()
        spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (ParameterException, *refusals) as error:
        rclpy.logging.get_logger(name).fatal(str(error))
        sys.exit(1)
    except Exception:  # noqa: B902
        # Who is interrupted while something is being made finds the context gone.
        if rclpy.ok():
            raise
    finally:
        # Who is impatient, or has launch forward what the terminal sent already, interrupts twice:
        # what is left takes no time, and is not to end in a traceback.
        signal.signal(signal.SIGINT, lambda *_: None)
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        # Python's last look at all that torch and SciPy made would take more than a second.
        gc.freeze()
