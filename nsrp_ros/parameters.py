"""
The localizer's parameters: one dataclass from which the node declares them.

Each field carries its description, its range and whether it may change while the node runs;
`NodeConfig` refuses combinations that make no sense, with a sentence.
"""

from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from dataclasses import replace
import math

from nsrp_ros.core.config import WindowConfig
from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterUninitializedException
from rclpy.parameter import Parameter

_WINDOW = WindowConfig()
# An empty list has no type of its own in ROS: a field without a default is declared by its type.
_LIST_TYPES = {tuple[float, ...]: Parameter.Type.DOUBLE_ARRAY,
               tuple[str, ...]: Parameter.Type.STRING_ARRAY}


def _parameter(default, description, low=None, high=None, live=False):
    return field(default=default, metadata={
        'description': description, 'range': (low, high), 'live': live})


@dataclass(frozen=True)
class NodeConfig:
    """What the localizer node can be told; the descriptions are its documentation."""

    method: str = _parameter(
        'neural_srp', "'srp_phat', 'srp_phat_2d', a network in models/ such as 'neural_srp', or "
        'the path of a .safetensors file')
    device: str = _parameter('cpu', "torch device that networks run on, such as 'cuda:0'")
    threads: int = _parameter(0, "CPU threads a network may use; 0 leaves torch's choice", 0, 256)
    frame_id: str = _parameter('map', 'frame of the room and of everything that is published')
    room_dims: tuple[float, ...] = _parameter(
        (), 'length, width and height of the room along the axes of frame_id, metres; required')
    room_origin: tuple[float, ...] = _parameter(
        (0.0, 0.0, 0.0), "the room's lowest corner in frame_id, metres")
    map_resolution: float = _parameter(
        0.1, "side of the likelihood map's square cells, metres", 0.01, 2.0, live=True)
    microphone_source: str = _parameter(
        'tf', "where microphone positions come from: 'tf' (microphone_frames) or 'pose_array' "
        '(the topic microphones)')
    microphone_frames: tuple[str, ...] = _parameter(
        (), "TF frame of each audio channel's microphone, in the channels' order")
    transform_timeout: float = _parameter(
        0.2, 'how long a window waits for a transform that has not arrived yet, seconds',
        0.0, 5.0, live=True)
    pose_timeout: float = _parameter(
        0.0, 'age from which on a stamped PoseArray is stale, seconds; 0 means never',
        0.0, 3600.0, live=True)
    min_microphones: int = _parameter(
        3, 'fewest microphones that an estimate may rest on (two leave a whole hyperbola)',
        2, 1024, live=True)
    silence_threshold_db: float = _parameter(
        -60.0, 'a window is silent where its loudest channel is below this level, dB full scale',
        -200.0, 0.0, live=True)
    min_confidence: float = _parameter(
        0.0, 'source_pose is not published where the confidence is below this; likelihood is',
        0.0, 1.0, live=True)
    window_length: float = _parameter(
        _WINDOW.length, 'length of a window, seconds', 0.1, 10.0)
    window_hop: float = _parameter(
        _WINDOW.hop, 'time between two windows, seconds', 0.01, 10.0)
    stamp_tolerance: float = _parameter(
        _WINDOW.stamp_tolerance, "how far a chunk's stamp may stray from the sample count before "
        'it counts as a gap or an overlap, seconds (at most half a chunk)', 0.0001, 1.0)
    queue_size: int = _parameter(
        2, 'windows that may wait for the localizer; beyond it the oldest is dropped', 1, 1000)

    def __post_init__(self):
        """Refuse what no single range can: vectors, choices and combinations."""
        for name in ('room_dims', 'room_origin'):
            value = getattr(self, name)
            if len(value) != 3 or not all(math.isfinite(v) for v in value):
                raise ValueError(f'{name} must be three numbers in metres, got {list(value)}')
        if min(self.room_dims) <= 0:
            raise ValueError(f'room_dims must be above 0, got {list(self.room_dims)}')
        if not self.frame_id:
            raise ValueError('frame_id must not be empty')
        if self.microphone_source not in ('tf', 'pose_array'):
            raise ValueError("microphone_source must be 'tf' or 'pose_array', got "
                             f'{self.microphone_source!r}')
        if self.microphone_source == 'tf':
            if len(self.microphone_frames) < 2:
                raise ValueError('microphone_frames must name one TF frame for each audio channel '
                                 "(2 or more), or microphone_source be 'pose_array'")
            if len(set(self.microphone_frames)) < len(self.microphone_frames):
                raise ValueError('microphone_frames names a frame twice')
        self.window  # refuses lengths that do not fit each other

    @property
    def window(self):
        """Return how windows are cut, as the core wants it."""
        return WindowConfig(self.window_length, self.window_hop, self.stamp_tolerance)


def _descriptor(spec):
    low, high = spec.metadata['range']
    descriptor = ParameterDescriptor(
        description=spec.metadata['description'], read_only=not spec.metadata['live'])
    if low is not None and spec.type is int:
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    elif low is not None:
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor


def declare(node):
    """
    Declare every field of NodeConfig on a node and read what the user set.

    Raises
    ------
    ValueError, rclpy.exceptions.ParameterException
        With a sentence about the value that is wrong.

    """
    values = {}
    for spec in fields(NodeConfig):
        default = spec.default
        if isinstance(default, tuple):
            default = list(default) or _LIST_TYPES[spec.type]
        node.declare_parameter(spec.name, default, _descriptor(spec))
        try:
            value = node.get_parameter(spec.name).value
        except ParameterUninitializedException:
            value = None
        if value is not None:
            values[spec.name] = tuple(value) if isinstance(spec.default, tuple) else value
    return NodeConfig(**values)


def updated(config, parameters):
    """
    Apply changes that arrive while the node runs.

    Parameters
    ----------
    config : NodeConfig
        What is in force.
    parameters : list of rclpy.parameter.Parameter
        What somebody asks for; names that are not ours are left alone.

    Returns
    -------
    tuple
        The new NodeConfig and the SetParametersResult; the old one where it was refused.

    """
    ours = {spec.name for spec in fields(NodeConfig)}
    changes = {p.name: p.value for p in parameters if p.name in ours}
    try:
        return replace(config, **changes), SetParametersResult(successful=True)
    except (TypeError, ValueError) as error:
        return config, SetParametersResult(successful=False, reason=str(error))
