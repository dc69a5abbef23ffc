"""Validation of a scene: signals, microphones and surroundings."""

from nsrp_ros.core.geometry import microphone_pairs
from nsrp_ros.core.signal_checks import check_distinct
from nsrp_ros.core.surroundings import Surroundings
import numpy as np
from numpy.typing import ArrayLike

ROOM_MARGIN = 0.25
"""Metres by which a microphone may be outside the room's box before it is an error."""


def check_scene(signals: ArrayLike, sample_rate: float, mic_positions: ArrayLike,
                room_dims: ArrayLike | Surroundings
                ) -> tuple[np.ndarray, np.ndarray, Surroundings]:
    """
    Refuse a scene that cannot be localized, with the reason.

    Parameters
    ----------
    signals : array_like
        Shape (M, T), floating point.
    sample_rate : float
        Hertz.
    mic_positions : array_like
        Shape (M, 3), metres in the frame of the surroundings.
    room_dims : array_like or Surroundings
        Shape (3,), metres, for a room that is a box from the origin, which holds the microphones;
        or surroundings, which need not: a robot may stand outside the area that it searches.

    Returns
    -------
    signals, mic_positions : numpy.ndarray
        Float32 and float64.
    surroundings : Surroundings
        An exact box where lengths were given.

    Raises
    ------
    ValueError
        Naming the first thing that is wrong: shapes, NaN, too few microphones, two microphones
        in one place, a microphone outside the room whose lengths were given.

    """
    signals = np.asarray(signals, dtype=np.float32)
    mic_positions = np.asarray(mic_positions, dtype=np.float64)
    if signals.ndim != 2:
        raise ValueError(f'signals must have shape (M, T), got {signals.shape}')
    n_mics = len(signals)
    if n_mics < 2:
        raise ValueError(f'localization needs at least 2 microphones, got {n_mics}')
    if mic_positions.shape != (n_mics, 3):
        raise ValueError(f'{n_mics} channels need mic_positions of shape ({n_mics}, 3), '
                         f'got {mic_positions.shape}')
    if isinstance(room_dims, Surroundings):
        surroundings, is_room = room_dims, False
    else:
        surroundings, is_room = _exact_box(room_dims), True
    if not np.isfinite(sample_rate) or sample_rate <= 0:
        raise ValueError(f'sample_rate must be a positive number of hertz, got {sample_rate}')
    if not np.all(np.isfinite(signals)):
        bad = np.flatnonzero(~np.isfinite(signals).all(axis=1)).tolist()
        raise ValueError(f'signals hold NaN or infinity in channels {bad}')
    check_distinct(signals)
    if not np.all(np.isfinite(mic_positions)):
        raise ValueError('mic_positions hold NaN or infinity')
    outside = np.any((mic_positions < surroundings.lower - ROOM_MARGIN)
                     | (mic_positions > surroundings.upper + ROOM_MARGIN), axis=1)
    if is_room and outside.any():
        k = int(np.flatnonzero(outside)[0])
        where = ', '.join(f'{v:.2f}' for v in mic_positions[k])
        box = ' x '.join(f'{v:g}' for v in surroundings.upper)
        raise ValueError(f'microphone {k} at ({where}) m is outside the room of {box} m')
    i, j = microphone_pairs(n_mics).T
    apart = np.linalg.norm(mic_positions[i] - mic_positions[j], axis=1)
    if apart.min() < 1e-3:
        k = int(apart.argmin())
        raise ValueError(f'microphones {i[k]} and {j[k]} are in the same place')
    return signals, mic_positions, surroundings


def _exact_box(room_dims: ArrayLike) -> Surroundings:
    dims = np.asarray(room_dims, dtype=np.float64)
    if dims.shape != (3,) or not np.all(np.isfinite(dims)) or np.any(dims <= 0):
        raise ValueError(f'room_dims must be three positive lengths in metres, got {dims}')
    return Surroundings.box(dims)
