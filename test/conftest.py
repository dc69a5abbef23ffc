"""The few scenes and helpers that several test files share."""

from collections.abc import Callable
from collections.abc import Iterator
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.anechoic import Anechoic
from support.paths import RECORDED
from support.patience import patience

if TYPE_CHECKING:
    from rclpy.node import Node
    from support.localizer_rig import LocalizerRig

# Tests never talk to other machines, nor other machines to them.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a busy machine have more time for a test than pyproject.toml says."""
    plugin = item.config.pluginmanager.hasplugin('timeout')
    if plugin and item.get_closest_marker('timeout') is None:
        option = item.config.getoption('timeout')
        seconds = float(option if option is not None else item.config.getini('timeout') or 0)
        item.add_marker(pytest.mark.timeout(patience(seconds)))
    yield


@pytest.fixture
def anechoic() -> Anechoic:
    """Return the scene, for tests that need no reverberation to be true."""
    return Anechoic()


@pytest.fixture
def recorded_folder() -> Path:
    """Return the folder of real recordings, or skip."""
    if not (RECORDED / 'scenes.json').is_file():
        pytest.skip(f'the real recordings are not at {RECORDED} (NSRP_RECORDED names another '
                    'place)')
    return RECORDED


@pytest.fixture
def make_rig(tmp_path: Path) -> 'Iterator[Callable[[int], LocalizerRig]]':
    """Make rigs for one test alone, each in a domain of its own; all processes must end well."""
    from support.localizer_rig import LocalizerRig
    rigs = []

    def make(domain: int) -> LocalizerRig:
        rigs.append(LocalizerRig(domain, tmp_path))
        return rigs[-1]
    yield make
    for rig in rigs:
        assert set(rig.close()) <= {0}, rig.logs()


@pytest.fixture
def own(make_rig: 'Callable[[int], LocalizerRig]') -> 'Callable[[int], LocalizerRig]':
    """Return `make_rig`."""
    return make_rig


@pytest.fixture
def make_node() -> 'Iterator[Callable[..., Node]]':
    """Return a maker of nodes with parameter overrides, in a context of its own."""
    import rclpy
    from rclpy.context import Context
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    context = Context()
    rclpy.init(context=context, domain_id=31)
    nodes = []

    def make(**values: object) -> Node:
        overrides = [Parameter(name, value=list(v) if isinstance(v, tuple) else v)
                     for name, v in values.items()]
        nodes.append(Node('test', context=context, parameter_overrides=overrides))
        return nodes[-1]
    yield make
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()
