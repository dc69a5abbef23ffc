"""
Room responses by pyroomacoustics, in NumPy: the reference for data sets and tests.

Its image sources, octave filters and high-pass filter keep their defaults; ray tracing and air
absorption are off. Its responses are delayed by half its interpolation filter, which is cut off
here, so that time zero is when the talker emits the sound.
"""

import math

from nsrp_ros.simulation.acoustics.image_sources import ImageSourceConfig
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.room_responses import window_length
from nsrp_ros.simulation.shoebox_rooms import Rooms
import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray
import pyroomacoustics
from scipy.signal import oaconvolve
import torch

# Names of the walls in the order of `Rooms.absorption`: axis by axis, the one at 0 first.
_WALLS = ('west', 'east', 'south', 'north', 'floor', 'ceiling')


def room_responses(room_dims: ArrayLike, absorption: ArrayLike, source_position: ArrayLike,
                   mic_positions: ArrayLike, max_order: int,
                   sample_rate: int = 16000) -> NDArray[np.float32]:
    """
    Compute the impulse responses from a talker to each microphone.

    Parameters
    ----------
    room_dims : array_like
        Shape (3,), metres.
    absorption : float or array_like
        Energy absorption coefficients: one for all walls, or of shape (3, 2, K), the six octave
        bands of each wall.
    source_position : array_like
        Shape (3,), metres.
    mic_positions : array_like
        Shape (M, 3), metres.
    max_order : int
        Highest reflection order of an image source; 0 is free field.
    sample_rate : int
        Hertz.

    Returns
    -------
    numpy.ndarray
        Shape (M, R), float32; unit gain at one metre, time zero when the talker emits it.

    """
    if np.ndim(absorption) == 0:
        walls = pyroomacoustics.Material(float(np.asarray(absorption)))
    else:
        # Above the highest band its value is repeated; pyroomacoustics would extrapolate.
        n_bands = math.floor(math.log2(sample_rate / BANDS[0]))
        centres = [BANDS[0] * 2 ** k for k in range(n_bands)]
        walls = {
            name: pyroomacoustics.Material({
                'coeffs': [float(bands[min(k, len(BANDS) - 1)]) for k in range(n_bands)],
                'center_freqs': centres})
            for name, bands in zip(_WALLS, np.reshape(absorption, (6, -1)), strict=True)}
    # One thread sums the images in one order, so that the same scene is equal to the last bit.
    pyroomacoustics.constants.set('num_threads', 1)
    room = pyroomacoustics.ShoeBox(
        np.asarray(room_dims, dtype=float), fs=sample_rate, materials=walls, max_order=max_order,
        air_absorption=False, ray_tracing=False)
    room.add_source(np.asarray(source_position, dtype=float))
    room.add_microphone_array(np.asarray(mic_positions, dtype=float).T)
    room.compute_rir()
    shift = pyroomacoustics.constants.get('frac_delay_length') // 2
    responses = [by_source[0][shift:] for by_source in room.rir]
    padded = np.zeros((len(responses), max(map(len, responses))), dtype=np.float32)
    for row, response in zip(padded, responses, strict=True):
        row[:len(response)] = response
    return padded


def render_microphones_reference(config: ImageSourceConfig, rooms: Rooms, speech: torch.Tensor,
                                 sample_rate: int) -> torch.Tensor:
    """
    Render the microphone signals of the last 0.5 s, without noise, one room after the other.

    Parameters
    ----------
    config : RoomConfig
        Of it, `max_order` counts: the highest reflection order.
    rooms : Rooms
        B rooms, on the CPU.
    speech : torch.Tensor
        Shape (B, N), as of `simulator.draw_scenes`.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32, to be compared with `room_responses.render_microphones`.

    """
    n_window, n_speech = window_length(sample_rate), speech.shape[1]
    rendered = []
    for b, dry in enumerate(speech.numpy()):
        responses = room_responses(
            rooms.dims[b].numpy(), rooms.absorption[b].numpy(), rooms.source_position[b].numpy(),
            rooms.mic_positions[b].numpy(), config.max_order, sample_rate)
        rendered.append(
            oaconvolve(dry[None], responses, axes=-1)[:, n_speech - n_window:n_speech])
    return torch.from_numpy(np.stack(rendered))
