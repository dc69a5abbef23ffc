"""
Simulated scenes as the arrays of a data set: which ones, quantized and padded to equal sizes.

Shapes: B scenes, M microphones, T samples, K talkers, N planes, C corners of an outline.
"""

from typing import Any

from nsrp_ros.core.surroundings.batch import SurroundingsBatch
from nsrp_ros.datasets.storage import FURTHER
from nsrp_ros.datasets.storage import MOST_CORNERS
from nsrp_ros.datasets.storage import MOST_PLANES
from nsrp_ros.simulation.joined_scenes import box_outline
from nsrp_ros.simulation.presets import MixtureConfig
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.rooms.told import ToldConfig
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
import numpy as np
from numpy.typing import ArrayLike
import torch

_LEVEL = (0.0, 0.0, 1.0, 0.0)  # a plane that stands for none, as in `batch.stack`


def further_arrays(config: Any) -> dict[str, Any]:
    """
    Find out which arrays the scenes of a preset have beyond those of all.

    Parameters
    ----------
    config : RoomConfig, RealConfig, MixtureConfig or ToldConfig
        The preset's.

    Returns
    -------
    dict
        What the manifest has to say of it: 'further', the names of arrays, and 'n_talkers', K
        where they are several; nothing if they are as all.

    """
    parts = [part for part in _distributions(config) if isinstance(part, RealConfig)]
    people = [part.talkers.most for part in parts if part.talkers is not None]
    told = _is_told(config)
    names = [name for name in FURTHER if
             (name in ('talkers', 'n_talking') and people) or (name.startswith('told') and told)
             or (name == 'outline' and (told or any(part.polygons for part in parts)))]
    return {**({'further': names} if names else {}),
            **({'n_talkers': max(people)} if people else {})}


def to_arrays(scenes: Scenes[torch.Tensor], further: dict[str, Any]) -> dict[str, np.ndarray]:
    """
    Turn scenes into the arrays of a data set.

    Parameters
    ----------
    scenes : Scenes
        Of tensors.
    further : dict
        Returned by `further_arrays` for their preset.

    Returns
    -------
    dict of str to numpy.ndarray
        By the names of files, see storage.py.

    Raises
    ------
    ValueError
        If a scene has more corners or planes than a data set has room for.

    """
    signals = scenes.signals.cpu().numpy()
    scale = np.abs(signals).max(axis=(1, 2)) / 32767
    made = {'signals': np.rint(signals / scale[:, None, None]).astype(np.int16), 'scale': scale,
            'mic_positions': scenes.mic_positions.cpu().numpy(),
            'source_position': scenes.source_position.cpu().numpy(),
            'room_dims': scenes.room_dims.cpu().numpy()}
    names = further.get('further', ())
    if 'talkers' in names:
        made['talkers'] = _padded(scenes.all_talkers, further['n_talkers'])
        made['n_talking'] = scenes.talking_mask.sum(dim=1).cpu().numpy()
    if 'outline' in names:
        dims = scenes.room_dims if scenes.true_room_dims is None else scenes.true_room_dims
        made['outline'] = _padded(box_outline(torch.zeros_like(dims), dims)
                                  if scenes.outline is None else scenes.outline, MOST_CORNERS)
    if 'told_area' in names:
        if scenes.surroundings is None:
            raise ValueError('scenes of this preset must have surroundings')
        made |= _told(scenes.surroundings)
    return made


def _distributions(config: Any) -> list[RoomConfig | RealConfig]:
    """Return all ideal and realistic rooms that a preset is made of."""
    if isinstance(config, ToldConfig):
        return _distributions(config.rooms)
    if isinstance(config, MixtureConfig):
        return [one for part in config.parts for one in _distributions(part)]
    return [config]


def _is_told(config: Any) -> bool:
    if isinstance(config, MixtureConfig):
        return any(_is_told(part) for part in config.parts)
    return isinstance(config, ToldConfig)


def _told(told: SurroundingsBatch[torch.Tensor]) -> dict[str, np.ndarray]:
    outline = (box_outline(told.area[:, 0], told.area[:, 1]) if told.outline is None
               else told.outline)
    return {'told_area': told.area.cpu().numpy(),
            'told_planes': _padded(told.planes, MOST_PLANES, _LEVEL),
            'told_std': _padded(told.std, MOST_PLANES, np.inf),
            'told_ends': _padded(told.ends, MOST_PLANES, (-np.inf, np.inf)),
            'told_outline': _padded(outline, MOST_CORNERS)}


def _padded(tensor: torch.Tensor, size: int, fill: ArrayLike | None = None) -> np.ndarray:
    """Pad (B, n, ...) to (B, size, ...) by a fill, or by repeating the last entry."""
    array = tensor.cpu().numpy()
    missing = size - array.shape[1]
    if missing < 0:
        raise ValueError(f'data sets have room for {size} corners or planes, not for '
                         f'{array.shape[1]}')
    rest = array[:, -1:] if fill is None else np.asarray(fill)
    shape = (len(array), missing, *array.shape[2:])
    return np.concatenate([array, np.broadcast_to(rest, shape)], axis=1)
