"""The options of localizing a bag: its command line, and the node's parameter file."""

import argparse
from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

from nsrp_ros.pipeline.settings import LocalizationSettings
from nsrp_ros.pipeline.settings import STAMP_MARKS
from ruamel.yaml import YAML
from ruamel.yaml import YAMLError

_MICROPHONES = ('microphone_frames', 'microphone_frame_prefix', 'microphone_positions')


@dataclass(frozen=True)
class BagConfig(LocalizationSettings):
    """How a bag is localized: the node's parameters of the same names and defaults."""

    def __post_init__(self) -> None:
        """Refuse invalid values and combinations."""
        self.check_room('room_dims', 'room_origin')
        if not self.map_resolution > 0:
            raise ValueError(f'map_resolution must be above 0, got {self.map_resolution}')
        if len(self.microphone_positions) % 3:
            raise ValueError('microphone_positions must hold x, y, z for each microphone')
        if sum(bool(getattr(self, name)) for name in _MICROPHONES) != 1:
            raise ValueError('either microphone_frames or microphone_frame_prefix, of /tf or '
                             '/tf_static in the bag, or microphone_positions must be given')
        if self.stamp_marks not in STAMP_MARKS:
            raise ValueError(f'stamp_marks must be one of {", ".join(STAMP_MARKS)}, got '
                             f'{self.stamp_marks!r}')
        self.window  # raises ValueError where length and hop contradict each other


def read_parameters(path: str | os.PathLike[str]) -> dict[str, Any]:
    """
    Read the localizer's parameters that apply to a bag from its parameter file.

    Raises
    ------
    ValueError
        If the file cannot be read, or has none of them.

    """
    try:
        tree = YAML(typ='safe').load(Path(path).read_text())
    except (OSError, YAMLError) as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    found: dict[str, Any] = {}

    def search(node: Any) -> None:
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


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        prog='python -m nsrp_ros.bags.localize_bag', description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('bag', type=Path, help="a bag's folder, or its .mcap or .db3 file")
    add('--out', type=Path, help='output folder, which must not exist (<bag>_localized)')
    add('--topic', help='topic of the audio (the only one)')
    add('--info-topic', help='topic of its AudioInfo (<topic>_info)')
    add('--params', type=Path, help="the localizer's parameter file, such as config/localize.yaml")
    add('--room-dims', type=float, nargs=3, metavar=('X', 'Y', 'Z'),
        help='length, width and height of the room along the axes of --frame-id, metres')
    add('--room-origin', type=float, nargs=3, metavar=('X', 'Y', 'Z'), help=_help('room_origin'))
    add('--frame-id', help=_help('frame_id'))
    add('--microphone-frames', nargs='+', metavar='FRAME', help=_help('microphone_frames'))
    add('--microphone-frame-prefix', help=_help('microphone_frame_prefix'))
    add('--microphone-positions', nargs='+', metavar='X,Y,Z',
        help='instead: metres in --microphone-positions-frame')
    add('--microphone-positions-frame', help=_help('microphone_positions_frame'))
    add('--stamp-marks', choices=STAMP_MARKS, help=_help('stamp_marks'))
    add('--method', help=_help('method'))
    add('--min-confidence', type=float, help=_help('min_confidence'))
    add('--silence-threshold-db', type=float, help=_help('silence_threshold_db'))
    add('--device', default='cpu', help='torch device (%(default)s)')
    return parser


def _help(name: str) -> str:
    """Return a setting's description and default, as argparse takes them."""
    spec = BagConfig.__dataclass_fields__[name]
    values = spec.default if isinstance(spec.default, tuple) else (spec.default,)
    default = ' '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in values)
    text = spec.metadata['description'] + (f' ({default})' if default else '')
    return text.replace('%', '%%')


def read_options(options: argparse.Namespace) -> BagConfig:
    """
    Merge the parameters of the file and of the command line, which takes precedence.

    Parameters
    ----------
    options : argparse.Namespace
        Of `make_parser`.

    Returns
    -------
    BagConfig
        See there.

    Raises
    ------
    ValueError
        If a value is missing or invalid; the sentence names it.

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
