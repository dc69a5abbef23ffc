"""What localizing a bag can be told, on the command line and in the node's parameter file."""

import argparse
from dataclasses import dataclass
import math
from pathlib import Path

from nsrp_ros.core.config import WindowConfig
from ruamel.yaml import YAML
from ruamel.yaml import YAMLError

STAMP_MARKS = ('auto', 'start', 'end', 'arrival')
"""What a stamp may mark, as in the node's parameter stamp_marks."""
_MICROPHONES = ('microphone_frames', 'microphone_frame_prefix', 'microphone_positions')


@dataclass(frozen=True)
class BagConfig:
    """How a bag is localized; the node's parameters of the same names, with its defaults."""

    room_dims: tuple[float, ...]
    room_origin: tuple[float, ...] = (0.0, 0.0, 0.0)
    frame_id: str = 'map'
    microphone_frames: tuple[str, ...] = ()
    microphone_frame_prefix: str = ''
    """Instead of frames: channel k has the frame <prefix>k."""
    microphone_positions: tuple[float, ...] = ()
    """Metres, x, y, z one after another; instead of frames."""
    microphone_positions_frame: str = ''
    """The frame of the positions, such as base_link; empty is frame_id."""
    method: str = 'backprojection'
    map_resolution: float = 0.1
    min_microphones: int = 3
    silence_threshold_db: float = -60.0
    min_confidence: float = 0.5
    window_length: float = WindowConfig().length
    window_hop: float = WindowConfig().hop
    stamp_tolerance: float = WindowConfig().stamp_tolerance
    stamp_marks: str = 'auto'

    def __post_init__(self):
        """Refuse what cannot be."""
        for name in ('room_dims', 'room_origin'):
            value = getattr(self, name)
            if len(value) != 3 or not all(math.isfinite(v) for v in value):
                raise ValueError(f'{name} must be three numbers in metres, got {list(value)}')
        if min(self.room_dims) <= 0 or self.map_resolution <= 0:
            raise ValueError('room_dims and map_resolution must be above 0')
        if len(self.microphone_positions) % 3:
            raise ValueError('microphone_positions must hold x, y, z for each microphone')
        if sum(map(bool, (self.microphone_positions, self.microphone_frames,
                          self.microphone_frame_prefix))) != 1:
            raise ValueError('either microphone_frames or microphone_frame_prefix, of /tf or '
                             '/tf_static in the bag, or microphone_positions must be given')
        if self.stamp_marks not in STAMP_MARKS:
            raise ValueError(f'stamp_marks must be one of {", ".join(STAMP_MARKS)}, got '
                             f'{self.stamp_marks!r}')
        self.window  # refuses lengths that do not fit each other

    @property
    def window(self):
        """Return how windows are cut, as the core wants it."""
        return WindowConfig(self.window_length, self.window_hop, self.stamp_tolerance)


def read_parameters(path):
    """
    Read those of the localizer's parameters that mean something for a bag.

    Raises
    ------
    ValueError
        If the file has none of them.

    """
    try:
        tree = YAML(typ='safe').load(Path(path).read_text())
    except (OSError, YAMLError) as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    found = {}

    def search(node):
        for key, value in node.items() if isinstance(node, dict) else ():
            if key == 'ros__parameters' and isinstance(value, dict):
                found.update({k: tuple(v) if isinstance(v, list) else v for k, v in value.items()
                              if k in BagConfig.__dataclass_fields__})
            else:
                search(value)

    search(tree)
    if not found:
        raise ValueError(f'{path} holds no parameters of the localizer (below ros__parameters)')
    return found


def make_parser(description):
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.bags.localize_bag', description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('bag', type=Path, help="a bag's folder, or its .mcap or .db3 file")
    add('--out', type=Path, help='folder for what comes out, which must not exist '
        '(<bag>_localized)')
    add('--topic', help='of the audio (the only one)')
    add('--info-topic', help='of its AudioInfo (<topic>_info)')
    add('--params', type=Path, help="the localizer's parameter file, such as config/localize.yaml")
    add('--room-dims', type=float, nargs=3, metavar=('X', 'Y', 'Z'), help='metres')
    add('--room-origin', type=float, nargs=3, metavar=('X', 'Y', 'Z'),
        help="the room's lowest corner in the frame, metres (0 0 0)")
    add('--frame-id', help='frame of the room (map)')
    add('--microphone-frames', nargs='+', metavar='FRAME', help="TF frame of each channel's "
        'microphone')
    add('--microphone-frame-prefix', help='instead: channel k has the frame <prefix>k')
    add('--microphone-positions', nargs='+', metavar='X,Y,Z', help='instead: metres in '
        '--microphone-positions-frame')
    add('--microphone-positions-frame', help="such as a robot's base_link (--frame-id)")
    add('--stamp-marks', choices=STAMP_MARKS, help="what a chunk's stamp marks (auto: what the "
        'drivers of that kind of audio do)')
    add('--method', help='what Localizer.load takes (backprojection)')
    add('--min-confidence', type=float, help='below it there is no pose (0.5)')
    add('--silence-threshold-db', type=float, help='dB full scale (-60)')
    add('--device', default='cpu', help='torch device (cpu)')
    return parser


def read_options(options):
    """
    Put the file's parameters and the command line's together, the latter first.

    Parameters
    ----------
    options : argparse.Namespace
        What the parser found.

    Returns
    -------
    BagConfig
        See there.

    Raises
    ------
    ValueError
        With a sentence about what is missing or wrong.

    """
    values = read_parameters(options.params) if options.params else {}
    # The command line's microphones, of whichever kind, replace the file's.
    for name in _MICROPHONES if any(getattr(options, name) for name in _MICROPHONES) else ():
        values.pop(name, None)
    for name in ('room_dims', 'room_origin', 'frame_id', 'microphone_frames',
                 'microphone_frame_prefix', 'microphone_positions_frame', 'method',
                 'min_confidence', 'silence_threshold_db', 'stamp_marks'):
        value = getattr(options, name)
        if value is not None:
            values[name] = tuple(value) if isinstance(value, list) else value
    if options.microphone_positions:
        try:
            values['microphone_positions'] = tuple(
                float(v) for triple in options.microphone_positions for v in triple.split(','))
        except ValueError as error:
            raise ValueError(f'--microphone-positions must be like 0.5,0.4,1.1: {error}'
                             ) from error
    if 'room_dims' not in values:
        raise ValueError('the room is not known: give --room-dims or --params')
    return BagConfig(**values)
