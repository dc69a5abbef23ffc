"""
Rooms through pyroomacoustics, in NumPy: the reference for data sets, tests and the demo's room.

Its image sources, octave filters and high-pass filter are left as they come; ray tracing and air
absorption are off. Its responses are delayed by half its interpolation filter, which is cut off
here, so that a response begins when the sound sets off.
"""

import math

from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.room_responses import window_length
import numpy as np
import pyroomacoustics
from scipy.signal import oaconvolve
import torch

# Names of the walls in the order of `Rooms.absorption`: axis by axis, the one at 0 first.
_WALLS = ('west', 'east', 'south', 'north', 'floor', 'ceiling')


def room_responses(room_dims, absorption, source_position, mic_positions, max_order,
                   sample_rate=16000):
    """
    Compute the impulse responses from a talker to each microphone.

    Parameters
    ----------
    room_dims : array_like
        Shape (3,), metres.
    absorption : float or array_like
        Share of the energy that walls swallow: one for all, or of shape (3, 2, K), the six
        octave bands of each wall.
    source_position : array_like
        Shape (3,), metres.
    mic_positions : array_like
        Shape (M, 3), metres.
    max_order : int
        Most reflections of an image source; 0 is free field.
    sample_rate : int
        Hertz.

    Returns
    -------
    numpy.ndarray
        Shape (M, R), float32; unit gain at one metre, time zero when the talker speaks.

    """
    if np.ndim(absorption) == 0:
        walls = pyroomacoustics.Material(float(absorption))
    else:
        # Above the highest band its value holds on; by itself it would be extrapolated.
        n_bands = math.floor(math.log2(sample_rate / BANDS[0]))
        centres = [BANDS[0] * 2 ** k for k in range(n_bands)]
        walls = {
            name: pyroomacoustics.Material({
                'coeffs': [float(bands[min(k, len(BANDS) - 1)]) for k in range(n_bands)],
                'center_freqs': centres})
            for name, bands in zip(_WALLS, np.reshape(absorption, (6, -1)), strict=True)}
    # One thread adds the images up in one order, and the same scene comes out to the last bit.
    pyroomacoustics.constants.set('num_threads', 1)
    room = pyroomacoustics.ShoeBox(
        np.asarray(room_dims, dtype=float), fs=sample_rate, materials=walls, max_order=max_order,
        air_absorption=False, ray_tracing=False)
    room.add_source(np.asarray(source_position, dtype=float))
    room.add_microphone_array(np.asarray(mic_positions, dtype=float).T)
    room.compute_rir()
    shift = pyroomacoustics.constants.get('frac_delay_length') // 2
    responses = [of_mic[0][shift:] for of_mic in room.rir]
    together = np.zeros((len(responses), max(map(len, responses))), dtype=np.float32)
    for row, response in zip(together, responses, strict=True):
        row[:len(response)] = response
    return together


def hear_reference(config, rooms, speech, sample_rate):
    """
    Compute what the microphones hear in the last 0.5 s, without noise, one room after the other.

    Parameters
    ----------
    config : RoomConfig
        Says how many reflections count.
    rooms : Rooms
        B rooms, on the CPU.
    speech : torch.Tensor
        Shape (B, N), as `simulation.draw_scenes` has it.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32, to be compared with `simulation.hear`.

    """
    n_window, n_speech = window_length(sample_rate), speech.shape[1]
    heard = []
    for b, said in enumerate(speech.numpy()):
        responses = room_responses(
            rooms.dims[b].numpy(), rooms.absorption[b].numpy(), rooms.source_position[b].numpy(),
            rooms.mic_positions[b].numpy(), config.max_order, sample_rate)
        heard.append(oaconvolve(said[None], responses, axes=-1)[:, n_speech - n_window:n_speech])
    return torch.from_numpy(np.stack(heard))
