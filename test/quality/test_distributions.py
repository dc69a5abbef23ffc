"""What differs between ROS distributions and Pythons is in one place, and does not matter."""

import ast
import os
import signal
import subprocess
import sys
import time

from support.paths import ROOT

SOURCES = sorted(path for folder in ('nsrp_ros', 'launch', 'test', 'tools')
                 for path in (ROOT / folder).rglob('*.py'))

HUMBLE = """
import sys, types
import rclpy.event_handler
theirs = types.ModuleType('rclpy.qos_event')  # what Humble calls it
theirs.SubscriptionEventCallbacks = rclpy.event_handler.SubscriptionEventCallbacks
sys.modules |= {'rclpy.event_handler': None, 'rclpy.clock_type': None, 'rclpy.qos_event': theirs}
from nsrp_ros.ros.compat import ClockType
from nsrp_ros.ros.compat import SubscriptionEventCallbacks
assert SubscriptionEventCallbacks is theirs.SubscriptionEventCallbacks
from rclpy.clock import Clock
assert Clock(clock_type=ClockType.STEADY_TIME).now().nanoseconds > 0
print('found')
"""

# A real node whose executor raises what Humble's and Jazzy's state machine raises.
REFUSING = """
import sys
from nsrp_ros.ros.compat import spin_managed
from nsrp_ros.ros.node_main import run_node
from rclpy.lifecycle import LifecycleNode

class Node(LifecycleNode):
    def __init__(self):
        super().__init__('refusing')
        self.texts = ['Failed to trigger lifecycle state machine transition: not registered',
                      'the end of the world']
        self.create_timer(0.05, self.fail)

    def fail(self):
        raise RuntimeError(self.texts.pop(0))

run_node('refusing', Node, (RuntimeError,), spin_managed)
"""

WAITING = """
import time
from nsrp_ros.ros.node_main import run_node
from rclpy.node import Node

class Slow(Node):
    def destroy_node(self):
        time.sleep(0.5)
        super().destroy_node()
        print('freed', flush=True)

def make():
    node = Slow('slow')
    print('made', flush=True)
    return node

run_node('slow', make)
"""


def run(code, domain):
    """Start a Python with some code in a DDS domain of its own."""
    return subprocess.Popen(
        [sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {'ROS_DOMAIN_ID': str(domain)})


def test_the_names_that_humble_has():
    """Without the modules that came later the same things are found elsewhere."""
    assert run(HUMBLE, 87).communicate(timeout=60)[0] == 'found\n'


def test_a_refused_transition_does_not_end_the_node():
    """What rclpy raises for it up to Jazzy is logged; whatever else is raised is not hidden."""
    process = run(REFUSING, 88)
    text = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and 'Traceback' not in text
    assert 'a transition was refused: Failed to trigger' in text
    assert 'the end of the world' in text


def test_who_interrupts_twice_sees_no_traceback():
    """The second Ctrl-C, or launch's after the terminal's, finds a node that is leaving."""
    process = run(WAITING, 89)
    assert process.stdout.readline() == 'made\n'
    time.sleep(0.3)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.15)
    assert process.communicate(timeout=10)[0] == 'freed\n'
    assert process.returncode == 0


def imports(tree):
    """Yield what a module's source imports, as (module, name)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)


def test_python_3_10_reads_everything():
    """No syntax and no library that came after the oldest Python of a supported ROS."""
    newer = {('tomllib', None), ('enum', 'StrEnum'), ('datetime', 'UTC'), ('typing', 'Self'),
             ('typing', 'override'), ('typing', 'assert_never'), ('itertools', 'batched'),
             ('contextlib', 'chdir'), ('warnings', 'deprecated')}
    for path in SOURCES:
        found = set(imports(ast.parse(path.read_text(), feature_version=(3, 10))))
        assert not found & newer, path
    assert len(SOURCES) > 100
