"""Parameters come from dataclasses: one declaration each, live or read-only, all or nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import fields
from typing import Any

from nsrp_ros.pipeline.settings import setting
from nsrp_ros.ros.audio_player_node import PlayerSettings
from nsrp_ros.ros.follower_node import FollowSettings
from nsrp_ros.ros.localizer_parameters import NodeConfig
from nsrp_ros.ros.parameter_declaration import declare_settings
from nsrp_ros.ros.parameter_declaration import updated_settings
from nsrp_ros.ros.simulated_room_node import RoomSettings
from nsrp_ros.ros.tracker_node import TrackerSettings
import pytest
from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

MakeNode = Callable[..., Node]


@dataclass(frozen=True)
class Oven:
    """Something with settings."""

    name: str = setting('oven', 'what it is called')
    heat: float = setting(180.0, 'degrees', 0.0, 300.0, live=True)
    least: float = setting(50.0, 'degrees that it has at least', 0.0, 300.0, live=True)
    shelves: tuple[int, ...] = setting((), 'which are in', live=True)

    def __post_init__(self) -> None:
        """Refuse what does not fit."""
        if self.heat < self.least:
            raise ValueError('heat must not be below least')


def test_lists_and_numbers_arrive(make_node: MakeNode) -> None:
    """Lists become tuples; an empty list has its type nevertheless."""
    assert declare_settings(make_node(shelves=[1, 3], heat=200.0), Oven) == Oven(
        heat=200.0, shelves=(1, 3))
    assert declare_settings(make_node(), Oven) == Oven()


@pytest.mark.parametrize('values, sentence', [
    ({'heat': 400.0}, 'heat'), ({'heat': float('nan')}, 'heat'),
    ({'heat': 20.0}, 'must not be below least'), ({'shelves': ['top']}, 'shelves'),
    ({'name': 3}, 'name')])
def test_wrong_values_are_refused(make_node: MakeNode, values: dict[str, Any],
                                  sentence: str) -> None:
    """Ranges, types and combinations, each with the parameter's name."""
    with pytest.raises((ValueError, ParameterException), match=sentence):
        declare_settings(make_node(**values), Oven)


def test_changes_are_checked_together(make_node: MakeNode) -> None:
    """What fits together is taken, though one of it alone would not be; else nothing is."""
    node = make_node()
    config = [declare_settings(node, Oven)]

    def change(parameters: list[Parameter[Any]]) -> SetParametersResult:
        config[0], result = updated_settings(config[0], parameters)
        return result
    node.add_on_set_parameters_callback(change)

    def ask(**values: Any) -> SetParametersResult:
        return node.set_parameters_atomically(
            [Parameter(name, value=value) for name, value in values.items()])
    assert not ask(least=200.0).successful and config[0] == Oven()
    assert ask(least=200.0, heat=250.0, shelves=[2]).successful
    assert config[0] == Oven(least=200.0, heat=250.0, shelves=(2,))
    assert not ask(heat=260.0, least=280.0).successful
    assert not ask(heat=301.0).successful
    assert 'read-only' in ask(name='stove').reason
    assert config[0] == Oven(least=200.0, heat=250.0, shelves=(2,))
    assert node.get_parameter('heat').value == 250.0


@pytest.mark.parametrize('kind', [NodeConfig, TrackerSettings, FollowSettings, PlayerSettings,
                                  RoomSettings])
def test_every_setting_is_described(kind: type) -> None:
    """A description, a range for each number, and whether it is live."""
    for spec in fields(kind):
        assert len(spec.metadata['description']) > 10, spec.name
        assert isinstance(spec.metadata['live'], bool)
        if spec.type in (int, float) and spec.name != 'start_time':
            low, high = spec.metadata['range']
            assert low < high and low <= spec.default <= high
