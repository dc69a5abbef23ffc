"""Parameters are declared from one dataclass, and wrong ones are refused with a sentence."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from nsrp_ros.ros.localizer_parameters import NodeConfig
from nsrp_ros.ros.parameter_declaration import declare_settings
from nsrp_ros.ros.parameter_declaration import updated_settings
import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter

MakeNode = Callable[..., Node]
ROOM: dict[str, Any] = {'room_dims': (6.0, 5.0, 3.0), 'microphone_frames': ('a', 'b', 'c')}


def test_what_the_user_sets_arrives(make_node: MakeNode) -> None:
    """Overrides reach the configuration with their types, defaults fill the rest."""
    config = declare_settings(make_node(**ROOM, map_resolution=0.25, min_microphones=4),
                              NodeConfig)
    assert config == NodeConfig(**ROOM, map_resolution=0.25, min_microphones=4)
    assert config.window.length == 0.5


def test_every_parameter_is_described(make_node: MakeNode) -> None:
    """Descriptions, ranges and what may change live are there for `ros2 param describe`."""
    node = make_node(**ROOM)
    declare_settings(node, NodeConfig)
    for spec in fields(NodeConfig):
        descriptor = node.describe_parameter(spec.name)
        assert len(descriptor.description) > 10
        assert descriptor.read_only is not spec.metadata['live']
        if spec.type in (int, float):
            assert descriptor.integer_range or descriptor.floating_point_range


def test_topics_share_the_microphones() -> None:
    """Equally by default; a single topic may have any number where no parameter says it."""
    assert NodeConfig(**ROOM).topic_channels == (3,)
    assert NodeConfig(**ROOM, audio_topics=('a', 'b', 'c')).topic_channels == (1, 1, 1)
    assert NodeConfig(**ROOM, audio_topics=('a', 'b'), audio_channels=(1, 2)).topic_channels == (
        1, 2)
    poses = NodeConfig(room_dims=(6.0, 5.0, 3.0), microphone_source='pose_array')
    assert poses.topic_channels == (0,)


def test_room_dims_are_not_needed_with_a_map() -> None:
    """They come from the map."""
    config = NodeConfig(microphone_frames=('a', 'b'), room_source='map')
    assert config.room_dims == () and config.room_height > 0


def test_what_stamps_mark_depends_on_the_source() -> None:
    """Unless stamp_marks is set."""
    marks = {kind: NodeConfig(**ROOM, audio_source=kind).stamps
             for kind in ('ros_drivers_stamped', 'ros_drivers', 'mgonzs13', 'audio_utils')}
    assert list(marks.values()) == ['start', 'arrival', 'start', 'end']
    assert NodeConfig(**ROOM, stamp_marks='end').stamps == 'end'


@pytest.mark.parametrize('values, sentence', [
    (ROOM | {'min_confidence': float('nan')}, 'min_confidence'),
    ({'microphone_frames': ('a', 'b')}, 'room_dims must be three numbers'),
    (ROOM | {'room_dims': (6.0, 5.0)}, 'room_dims must be three numbers'),
    (ROOM | {'room_dims': (6.0, -5.0, 3.0)}, 'room_dims must be above 0'),
    (ROOM | {'room_origin': (0.0, float('nan'), 0.0)}, 'room_origin must be three numbers'),
    (ROOM | {'frame_id': ''}, 'frame_id'),
    (ROOM | {'microphone_frames': ('a',)}, 'one TF frame for each'),
    (ROOM | {'microphone_frames': ('a', 'b', 'a')}, 'a frame twice'),
    (ROOM | {'microphone_frames': ('a', 'b', 'c', 'd'), 'microphone_frame_prefix': 'mic_'},
     'exclude each other'),
    (ROOM | {'microphone_source': 'telepathy'}, "one of 'tf', 'pose_array', 'fixed'"),
    (ROOM | {'microphone_source': 'fixed'}, 'x, y, z in metres for each'),
    (ROOM | {'microphone_source': 'fixed', 'microphone_positions': (1.0,) * 7}, 'x, y, z'),
    (ROOM | {'room_source': 'guess'}, 'room_source must be one of'),
    (ROOM | {'audio_source': 'gramophone'}, 'audio_source must be one of'),
    (ROOM | {'audio_source': 'ros_drivers', 'stamp_marks': 'end'}, 'has no stamps'),
    (ROOM | {'audio_topics': ('a', 'a')}, 'different topics'),
    (ROOM | {'audio_topics': ('a', 'b')}, 'audio_channels must say'),
    (ROOM | {'audio_topics': ('a', 'b'), 'audio_channels': (1, 1)}, '2 together, but 3'),
    (ROOM | {'audio_topics': ('a', 'b'), 'audio_channels': (3,)}, 'for each of audio_topics'),
    (ROOM | {'device_clocks': 'wound'}, 'device_clocks must be one of'),
    (ROOM | {'window_hop': 0.6}, 'hop must be'),
    (ROOM | {'map_resolution': 0.0}, 'map_resolution'),
    (ROOM | {'queue_size': 0}, 'queue_size'),
    (ROOM | {'method': 7}, 'method'),
])
def test_wrong_values_are_refused(make_node: MakeNode, values: dict[str, Any],
                                  sentence: str) -> None:
    """The sentence names the parameter."""
    with pytest.raises((ValueError, rclpy.exceptions.ParameterException), match=sentence):
        declare_settings(make_node(**values), NodeConfig)


def test_live_changes_are_all_or_nothing() -> None:
    """A change that makes no sense leaves everything as it was, and says why."""
    config = NodeConfig(**ROOM)
    changed, result = updated_settings(config, [Parameter('min_microphones', value=2)])
    assert result.successful and changed.min_microphones == 2
    same, result = updated_settings(config, [Parameter('frame_id', value='')])
    assert not result.successful and 'frame_id' in result.reason and same is config
    same, result = updated_settings(config, [Parameter('min_microphones', value=4),
                                             Parameter('min_confidence', value=None)])
    assert not result.successful and 'min_confidence' in result.reason and same is config
    other, result = updated_settings(config, [Parameter('use_sim_time', value=True)])
    assert result.successful and other == config
