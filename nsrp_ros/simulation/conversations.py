"""
Simulated conversations of two talkers: one stands, one walks, both talk with pauses.

    room, walls and microphones (shoebox_rooms.py) -> trajectories and turns -> speech convolved
    with the responses along each trajectory (room_responses.py) -> one continuous recording

A trajectory is sampled at places; speech between two places is cross-faded from the response of
one to that of the next.

Shapes: K talkers, M microphones, T samples.
"""

from dataclasses import dataclass
import math

from nsrp_ros.simulation.acoustics.room_responses import room_spectra
from nsrp_ros.simulation.noise import add_sensor_noise
from nsrp_ros.simulation.shoebox_rooms import draw_rooms
from nsrp_ros.simulation.shoebox_rooms import RoomConfig
from nsrp_ros.simulation.shoebox_rooms import Rooms
from nsrp_ros.simulation.simulator import longest_response
from nsrp_ros.simulation.speech.bank import SpeechBank
import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
import torch

STEP = 0.06
"""Metres between two places of a trajectory: a wavelength at 6 kHz."""
_CLEAR = 0.3  # least metres between talkers and walls or microphones
_GAP = 0.1  # seconds between two utterances of a turn


@dataclass(frozen=True)
class ConversationConfig:
    """A distribution of conversations."""

    rooms: RoomConfig = RoomConfig(min_dims=(4.5, 4.5, 2.4), max_dims=(8.0, 8.0, 3.5),
                                   margin=0.1, heights=(0.5, 1.9))
    seconds: float = 20.0
    turn: tuple[float, float] = (2.0, 5.0)
    """Range of the length of a turn, seconds."""
    pause: tuple[float, float] = (0.5, 2.0)
    """Range of the length of a pause, seconds; the talkers pause independently."""
    heights: tuple[float, float] = (1.2, 1.7)
    """Range of the height of talkers' mouths above the floor, metres."""
    speed: tuple[float, float] = (0.3, 0.8)
    """Range of the walking speed, metres per second."""
    least_walk: float = 3.0
    """Least metres from the walk's start to its end."""
    apart: float = 1.0
    """Least horizontal distance of the two talkers at any time, metres."""
    level_db: float = 3.0
    """Decibels, largest difference of a talker's level from the usual one."""

    def __post_init__(self) -> None:
        """Raise ValueError where a range does not rise or a value is impossible."""
        for name in ('turn', 'pause', 'heights', 'speed'):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f'{name} must be two rising numbers above 0')
        if min(self.seconds, self.least_walk) <= 0 or min(self.apart, self.level_db) < 0:
            raise ValueError('seconds and least_walk must be above 0, apart and level_db not '
                             'below')


@dataclass(frozen=True)
class Conversation:
    """
    A recording and its ground truth.

    Attributes
    ----------
    signals : numpy.ndarray
        Shape (M, T), float32.
    sample_rate : int
        Hertz.
    mic_positions : numpy.ndarray
        Shape (M, 3), metres.
    room_dims : numpy.ndarray
        Shape (3,), metres.
    starts, ends : numpy.ndarray
        Shape (K, 3), metres: where each talker's walk begins and ends, equal if standing.
    departures, speeds : numpy.ndarray
        Shape (K,), seconds and metres per second.
    turns : tuple of numpy.ndarray
        For each talker, shape (n, 2): beginnings and ends of the turns, seconds.

    """

    signals: NDArray[np.float32]
    sample_rate: int
    mic_positions: NDArray[np.float64]
    room_dims: NDArray[np.float64]
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    departures: NDArray[np.float64]
    speeds: NDArray[np.float64]
    turns: tuple[NDArray[np.float64], ...]

    def positions(self, time: float) -> NDArray[np.float64]:
        """Return the talkers' positions at a time in seconds: (K, 3), metres."""
        return positions_on_walk(self.starts, self.ends, self.departures, self.speeds, time)

    def talking(self, begin: float, end: float) -> NDArray[np.float64]:
        """Return the share of the time from begin to end, seconds, each talker is active: (K,)."""
        return np.array([
            (np.minimum(turns[:, 1], end) - np.maximum(turns[:, 0], begin)).clip(min=0).sum()
            for turns in self.turns]) / (end - begin)


def positions_on_walk(starts: NDArray[np.float64], ends: NDArray[np.float64],
                      departures: NDArray[np.float64], speeds: NDArray[np.float64],
                      time: float) -> NDArray[np.float64]:
    """Return positions (K, 3) at a time on straight walks from starts to ends, both (K, 3)."""
    length = np.linalg.norm(ends - starts, axis=1)
    covered = np.clip((time - departures) * speeds, 0, length)
    share = np.divide(covered, length, out=np.zeros_like(length), where=length > 0)
    return starts + share[:, None] * (ends - starts)


def simulate_conversation(config: ConversationConfig, n_mics: int, bank: SpeechBank,
                          seed: int) -> Conversation:
    """
    Simulate a conversation.

    Parameters
    ----------
    config : ConversationConfig
        The distribution.
    n_mics : int
        M.
    bank : SpeechBank
        The talkers' speech.
    seed : int
        Of all random choices.

    Returns
    -------
    Conversation
        The first talker stands, the second walks.

    Raises
    ------
    ValueError
        If no walk fits into the room in a thousand tries.

    """
    generator = torch.Generator().manual_seed(seed)
    random = np.random.default_rng(seed)
    rooms = draw_rooms(config.rooms, n_mics, 1, generator)
    mics = rooms.mic_positions[0].double().numpy()
    dims = rooms.dims[0].double().numpy()
    starts, ends = _draw_walk(config, dims, mics, random)
    speeds = np.array([0.0, random.uniform(*config.speed)])
    duration = np.linalg.norm(ends[1] - starts[1]) / speeds[1]
    departures = np.array([0.0, random.uniform(1, max(1.0, config.seconds - duration))])
    turns = tuple(_draw_turns(config, random) for _ in starts)
    utterances = bank.utterances(min_seconds=0.5)
    rate = bank.sample_rate
    signals = torch.zeros(n_mics, round(config.seconds * rate))
    for k, begin in enumerate(starts):
        speech = _fill_turns(turns[k], utterances, config.seconds, rate, random)
        speech *= 10 ** (random.uniform(-1, 1) * config.level_db / 20)
        n_places = math.ceil(np.linalg.norm(ends[k] - begin) / STEP) + 1
        places = np.linspace(begin, ends[k], n_places)
        signals = signals + _render_walk(config, rooms, places, speech, departures[k], speeds[k],
                                         rate)
    noisy = add_sensor_noise(signals[None], config.rooms.snr_db, generator)[0]
    scale = 0.05 / float(noisy.std())
    return Conversation((scale * noisy).numpy(), rate, mics, dims, starts, ends, departures,
                        speeds, turns)


def _draw_walk(config: ConversationConfig, dims: NDArray[np.float64], mics: NDArray[np.float64],
               random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw starts and ends (2, 3), equal for the first talker."""
    low = np.array([_CLEAR, _CLEAR, config.heights[0]])
    high = np.array([dims[0] - _CLEAR, dims[1] - _CLEAR, min(config.heights[1], dims[2] - 0.1)])
    share = np.linspace(0, 1, 50)[:, None]
    for _ in range(1000):
        stand, begin, end = random.uniform(low, high, (3, 3))
        end[2] = begin[2]
        walk = begin + share * (end - begin)
        is_long = np.linalg.norm((end - begin)[:2]) >= config.least_walk
        are_apart = np.linalg.norm((walk - stand)[:, :2], axis=1).min() >= config.apart
        heads = np.concatenate([walk, stand[None]])
        is_clear = np.linalg.norm(heads[:, None] - mics, axis=-1).min() >= _CLEAR
        if is_long and are_apart and is_clear:
            return np.stack([stand, begin]), np.stack([stand, end])
    raise ValueError(f'no walk of {config.least_walk} m fits into a room of {dims} m')


def _draw_turns(config: ConversationConfig, random: np.random.Generator) -> NDArray[np.float64]:
    """Draw the turns of one talker: (n, 2), seconds."""
    turns, now = [], random.uniform(0, config.pause[1])
    while now < config.seconds:
        stop = min(now + random.uniform(*config.turn), config.seconds)
        turns.append((now, stop))
        now = stop + random.uniform(*config.pause)
    return np.array(turns)


def _fill_turns(turns: NDArray[np.float64], utterances: list[NDArray[np.float32]], seconds: float,
                rate: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Fill turns with utterances of one level: (T,), float32."""
    speech = np.zeros(round(seconds * rate), np.float32)
    for begin, end in turns:
        at, stop = round(begin * rate), round(end * rate)
        while at < stop:
            words = utterances[random.integers(len(utterances))]
            words = words[:stop - at] / np.sqrt(np.mean(words ** 2) + 1e-12)
            speech[at:at + len(words)] = words
            at += len(words) + round(_GAP * rate)
    return speech


def _render_walk(config: ConversationConfig, rooms: Rooms, places: NDArray[np.float64],
                 speech: NDArray[np.float32], departure: float, speed: float,
                 rate: int) -> torch.Tensor:
    """Render speech (T,) from a walk over places (N, 3) at the microphones: (M, T)."""
    n_samples = len(speech)
    n_response = longest_response(config.rooms, rate)
    time = torch.arange(n_samples, dtype=torch.float64) / rate
    step = np.linalg.norm(places[-1] - places[0]) / max(len(places) - 1, 1)
    # The talker's position as an index into the places, with a fraction.
    index = ((time - departure) * speed / step).clamp(0, len(places) - 1) if step else 0 * time
    signals = torch.zeros(rooms.mic_positions.shape[1], n_samples + n_response)
    for number, place in enumerate(places):
        weight = (1 - (index - number).abs()).clamp(min=0)
        near = weight.nonzero()[:, 0]
        if not len(near):
            continue
        first, last = int(near[0]), int(near[-1]) + 1
        dry = torch.from_numpy(speech[first:last]) * weight[first:last].float()
        if not dry.any():
            continue
        n_fft = 8 * next_fast_len(-(-(len(dry) + n_response) // 8))
        room = Rooms(rooms.dims, rooms.mic_positions,
                     torch.as_tensor(place, dtype=torch.float32)[None], rooms.absorption)
        spectrum = room_spectra(room, config.rooms.max_order, n_fft, rate)[0]
        wet = torch.fft.irfft(spectrum * torch.fft.rfft(dry, n_fft), n_fft)
        end = min(first + n_fft, signals.shape[1])
        signals[:, first:end] += wet[:, :end - first]
    return signals[:, :n_samples]
