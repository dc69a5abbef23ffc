"""The live scene of a simulated room: talkers taking turns in a pyroomacoustics shoebox."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import pyroomacoustics as pra
from scipy.signal import fftconvolve

SAMPLE_RATE = 16000
CHUNK = 512
"""Samples per published message: 32 ms, a usual block of sound cards."""
MAX_ORDER = 40
"""Highest reflection order: beyond it a room would take minutes to compute."""
LEVEL = 0.05
"""Root-mean-square of the speech over all microphones, full scale being 1."""


@dataclass(frozen=True)
class Turn:
    """A talker's turn: samples [start, stop) of the live scene, at a position in metres."""

    start: int
    stop: int
    position: NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """
    A live scene: a room, its microphones, its talkers and their levels.

    Attributes
    ----------
    room_dims : tuple of float
        Metres.
    rt60 : float
        Reverberation time in seconds; 0 for an anechoic room.
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    talker_positions : numpy.ndarray
        Shape (K, 3), metres.
    turn_seconds, pause_seconds : float
        Length of each talker's turn, and of the silence after it.
    snr_db : float
        Signal-to-noise ratio of speech and sensor noise, averaged over the microphones.

    """

    room_dims: tuple[float, float, float]
    rt60: float
    mic_positions: NDArray[np.float64]
    talker_positions: NDArray[np.float64]
    turn_seconds: float = 5.0
    pause_seconds: float = 1.0
    snr_db: float = 30.0

    def __post_init__(self) -> None:
        """Raise ValueError where the room or a position is impossible."""
        if len(self.room_dims) != 3 or not all(0 < d < np.inf for d in self.room_dims):
            raise ValueError(f'room_dims must be three lengths above 0, got {self.room_dims}')
        for name, positions, fewest in (('microphone_positions', self.mic_positions, 2),
                                        ('talker_positions', self.talker_positions, 1)):
            if len(positions) < fewest:
                raise ValueError(f'{name} must hold {fewest} or more positions')
            if not np.all((positions > 0) & (positions < self.room_dims)):
                raise ValueError(f'{name} must all be inside the room of '
                                 f'{list(self.room_dims)} m')


DEFAULT_SCENE = Scene(
    room_dims=(6.0, 5.0, 2.8),
    rt60=0.4,
    mic_positions=np.array([(0.5, 0.4, 1.1), (5.6, 0.5, 0.9), (5.5, 4.6, 1.4),
                            (0.4, 4.5, 1.0), (3.0, 4.7, 1.6), (2.9, 0.3, 0.8)]),
    talker_positions=np.array([(1.5, 1.3, 1.6), (4.6, 1.6, 1.5), (4.3, 3.6, 1.7),
                               (1.7, 3.5, 1.2)]))
"""A living room: six microphones along its walls, four talkers."""


def render(scene: Scene, utterances: Sequence[NDArray[np.float32]],
           generator: np.random.Generator) -> tuple[NDArray[np.float32], list[Turn]]:
    """
    Render the microphone signals of a live scene, in which the talkers take turns.

    Parameters
    ----------
    scene : Scene
        Room, microphones and talkers.
    utterances : sequence of numpy.ndarray
        Speech to choose from, float32, 16 kHz.
    generator : numpy.random.Generator
        Draws the speech and the noise.

    Returns
    -------
    signals : numpy.ndarray
        Shape (T, M), float32, full scale being 1.
    turns : list of Turn
        Ground truth.

    Raises
    ------
    ValueError
        If no absorption gives the room this reverberation time.

    """
    if scene.rt60 > 0:
        try:
            absorption, order = pra.inverse_sabine(scene.rt60, scene.room_dims)
        except ValueError as error:
            raise ValueError(f'a room of {list(scene.room_dims)} m cannot have an rt60 of '
                             f'{scene.rt60} s: {error}') from error
    else:
        absorption, order = 1.0, 0
    room = pra.ShoeBox(scene.room_dims, fs=SAMPLE_RATE, materials=pra.Material(absorption),
                       max_order=min(order, MAX_ORDER))
    room.add_microphone_array(scene.mic_positions.T)
    for position in scene.talker_positions:
        room.add_source(position)
    room.compute_rir()

    n_turn, n_pause = (round(s * SAMPLE_RATE) for s in (scene.turn_seconds, scene.pause_seconds))
    n_mics = len(scene.mic_positions)
    signals = np.zeros(((n_turn + n_pause) * len(scene.talker_positions), n_mics))
    turns = []
    for k, position in enumerate(scene.talker_positions):
        start = k * (n_turn + n_pause)
        dry = _running_speech(utterances, n_turn, generator)
        for m in range(n_mics):
            # Reverberation beyond the end wraps to the start: the scene is played in a loop.
            wet = fftconvolve(dry, room.rir[m][k])
            np.add.at(signals[:, m], (start + np.arange(len(wet))) % len(signals), wet)
        turns.append(Turn(start, start + n_turn, position))
    signals *= LEVEL / np.sqrt(np.mean(signals ** 2))
    noise = LEVEL * 10 ** (-scene.snr_db / 20)
    signals += noise * generator.standard_normal(signals.shape)
    return signals.astype(np.float32), turns


def _running_speech(utterances: Sequence[NDArray[np.float32]], n_samples: int,
                    generator: np.random.Generator) -> NDArray[np.float32]:
    """Join utterances, each at the same level, to a length of n_samples."""
    pieces, total = [], 0
    while total < n_samples:
        utterance = utterances[int(generator.integers(len(utterances)))]
        pieces.append(utterance / np.sqrt(np.mean(utterance ** 2) + 1e-12))
        total += len(utterance)
    return np.concatenate(pieces)[:n_samples]
