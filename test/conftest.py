"""The few scenes and helpers that several test files share."""

import os

import pytest
from support.anechoic import Anechoic
from support.paths import RECORDED

# Tests never talk to other machines, nor other machines to them.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'


@pytest.fixture
def anechoic():
    """Return the scene, for tests that need no reverberation to be true."""
    return Anechoic()


@pytest.fixture
def recorded_folder():
    """Return the folder of real recordings, or skip."""
    if not (RECORDED / 'scenes.json').is_file():
        pytest.skip(f'the real recordings are not at {RECORDED} (NSRP_RECORDED names another '
                    'place)')
    return RECORDED


@pytest.fixture
def own(tmp_path):
    """Make rigs for one test alone, each in a domain of its own; all processes must end well."""
    from support.node_rig import Rig
    rigs = []

    def make(domain):
        rigs.append(Rig(domain, tmp_path))
        return rigs[-1]
    yield make
    for rig in rigs:
        assert set(rig.close()) <= {0}, [p.log.read_text() for p in rig._processes]


@pytest.fixture
def make_node():
    """Return a maker of nodes with parameter overrides, in a context of its own."""
    import rclpy
    from rclpy.context import Context
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    context = Context()
    rclpy.init(context=context, domain_id=31)
    nodes = []

    def make(**values):
        overrides = [Parameter(name, value=list(v) if isinstance(v, tuple) else v)
                     for name, v in values.items()]
        nodes.append(Node('test', context=context, parameter_overrides=overrides))
        return nodes[-1]
    yield make
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()
