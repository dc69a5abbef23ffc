"""
The settings that nodes and bags share: one dataclass, with their names and defaults.

`ros/localizer_parameters.py` adds those of a running node; `bags/options.py` checks those of a
bag. Each field carries its description, its range and whether it may change while a node runs.
"""

from dataclasses import dataclass
from dataclasses import field
import math
from typing import Any

from nsrp_ros.core.config import WindowConfig

_WINDOW = WindowConfig()
STAMP_MARKS = ('auto', 'start', 'end', 'arrival')
"""The values of `stamp_marks`: what the stamp of a chunk marks."""


def setting(default: Any, description: str, low: float | None = None, high: float | None = None,
            live: bool = False) -> Any:
    """
    Make a dataclass field that is a parameter.

    Parameters
    ----------
    default : bool, int, float, str or tuple
        Its type is the parameter's; of an empty tuple the annotation gives it.
    description : str
        Shown by `ros2 param describe`.
    low, high : int or float, optional
        The range, for numbers.
    live : bool
        Whether it may change while the node runs.

    Returns
    -------
    dataclasses.Field
        With a metadata entry for the description, the range and `live`.

    """
    return field(default=default, metadata={
        'description': description, 'range': (low, high), 'live': live})


@dataclass(frozen=True)
class Room:
    """
    A box along the axes of frame_id.

    Attributes
    ----------
    origin, dims : tuple of float
        The lowest corner, and length, width and height, metres.

    """

    origin: tuple[float, ...]
    dims: tuple[float, ...]


@dataclass(frozen=True)
class LocalizationSettings:
    """How windows are cut, screened and located; the descriptions are the documentation."""

    method: str = setting(
        'backprojection', "'srp_phat', 'srp_phat_2d', a network in models/ such as "
        "'backprojection', one for ONNX Runtime such as 'backprojection.onnx', or the "
        'path of a .safetensors or .onnx.zip file')
    frame_id: str = setting('map', 'frame of the room and of everything that is published')
    room_dims: tuple[float, ...] = setting(
        (), 'length, width and height of the room along the axes of frame_id, metres; required '
        'unless room_source is map')
    room_origin: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0), "the room's lowest corner in frame_id, metres")
    map_resolution: float = setting(
        0.1, "side of the likelihood map's square cells, metres", 0.01, 2.0, live=True)
    stamp_marks: str = setting(
        'auto', "what a chunk's stamp marks, its 'start' or its 'end'; 'auto' is what the "
        "drivers of that kind of message do, and 'arrival' ignores stamps")
    microphone_frames: tuple[str, ...] = setting(
        (), "TF frame of each audio channel's microphone, in the channels' order")
    microphone_frame_prefix: str = setting(
        '', 'instead of microphone_frames: channel k has the frame <prefix>k')
    microphone_positions: tuple[float, ...] = setting(
        (), "the microphones' x, y, z one after another, metres in microphone_positions_frame")
    microphone_positions_frame: str = setting(
        '', 'the frame of microphone_positions, such as base_link; empty is frame_id')
    min_microphones: int = setting(
        3, 'fewest microphones that an estimate may rest on (two leave a whole hyperbola)',
        2, 1024, live=True)
    silence_threshold_db: float = setting(
        -60.0, 'a window is silent where its loudest channel is below this level, dB full scale',
        -200.0, 0.0, live=True)
    min_confidence: float = setting(
        0.5, 'no pose is published where the confidence is below this, but the map is',
        0.0, 1.0, live=True)
    window_length: float = setting(
        _WINDOW.length, 'length of a window, seconds', 0.1, 10.0)
    window_hop: float = setting(
        _WINDOW.hop, 'time between two windows, seconds', 0.01, 10.0)
    stamp_tolerance: float = setting(
        _WINDOW.stamp_tolerance, "how far a chunk's stamp may stray from the sample count before "
        'it counts as a gap or an overlap, seconds (at most half a chunk)', 0.0001, 1.0)

    def check_room(self, *names: str) -> None:
        """
        Refuse an invalid room.

        Parameters
        ----------
        names : str
            The fields to check: 'room_dims', 'room_origin' or both.

        Raises
        ------
        ValueError
            With a sentence that names the field.

        """
        for name in names:
            value = getattr(self, name)
            if len(value) != 3 or not all(math.isfinite(v) for v in value):
                raise ValueError(f'{name} must be three numbers in metres, got {list(value)}')
        if self.room_dims and min(self.room_dims) <= 0:
            raise ValueError(f'room_dims must be above 0, got {list(self.room_dims)}')

    @property
    def room(self) -> Room:
        """Return the room that the parameters describe."""
        return Room(self.room_origin, self.room_dims)

    @property
    def window(self) -> WindowConfig:
        """Return how windows are cut; ValueError where length and hop contradict each other."""
        return WindowConfig(self.window_length, self.window_hop, self.stamp_tolerance)
