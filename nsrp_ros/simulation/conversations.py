"""
Two people in a room for a while: one stands, one walks across, both talk with pauses.

    shoebox_rooms.py draws room, walls and microphones -> who is where and talks when -> each
    place's response (room_responses.py) of what is said there -> one continuous recording

Each talker's words take as many ways to the microphones as there are places on the walk: what is
said between two places is cross-faded from the response of one to that of the next.

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
import numpy as np
from scipy.fft import next_fast_len
import torch

STEP = 0.06
"""Metres between two places of a walk: a wavelength at 6 kHz."""
_CLEAR = 0.3  # metres that talkers keep from walls and microphones
_GAP = 0.1  # seconds between two utterances of a turn
_MAX_BYTES = 2 ** 28


@dataclass(frozen=True)
class ConversationConfig:
    """A distribution of conversations."""

    rooms: RoomConfig = RoomConfig(min_dims=(4.5, 4.5, 2.4), max_dims=(8.0, 8.0, 3.5),
                                   margin=0.1, heights=(0.5, 1.9))
    seconds: float = 20.0
    turn: tuple = (2.0, 5.0)
    """Seconds between which each turn lasts."""
    pause: tuple = (0.5, 2.0)
    """Seconds between which each pause lasts; each talker pauses without regard to the other."""
    heights: tuple = (1.2, 1.7)
    """Metres above the floor of talkers' mouths."""
    speed: tuple = (0.3, 0.8)
    """Metres a second."""
    least_walk: float = 3.0
    """Metres from the walk's start to its end."""
    apart: float = 1.0
    """Metres that the two always keep between them."""
    level_db: float = 3.0
    """Decibels that a talker may be louder or softer than is usual."""

    def __post_init__(self):
        """Refuse what cannot be."""
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
    A recording, and the truth about it.

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
        Shape (K, 3), metres: where each talker's walk begins and ends, the same for one who
        stands.
    departures, speeds : numpy.ndarray
        Shape (K,), seconds and metres a second.
    turns : tuple of numpy.ndarray
        For each talker, shape (n, 2): when turns begin and end, seconds.

    """

    signals: np.ndarray
    sample_rate: int
    mic_positions: np.ndarray
    room_dims: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    departures: np.ndarray
    speeds: np.ndarray
    turns: tuple

    def positions(self, time):
        """Return where the talkers are at a time in seconds: (K, 3), metres."""
        return walked(self.starts, self.ends, self.departures, self.speeds, time)

    def talking(self, begin, end):
        """Return the share of a stretch of time, in seconds, in which each talker talks: (K,)."""
        return np.array([
            (np.minimum(turns[:, 1], end) - np.maximum(turns[:, 0], begin)).clip(min=0).sum()
            for turns in self.turns]) / (end - begin)


def walked(starts, ends, departures, speeds, time):
    """Return positions (K, 3) at a time on walks from starts to ends, both (K, 3)."""
    length = np.linalg.norm(ends - starts, axis=1)
    gone = np.clip((time - departures) * speeds, 0, length)
    share = np.divide(gone, length, out=np.zeros_like(length), where=length > 0)
    return starts + share[:, None] * (ends - starts)


def converse(config, n_mics, bank, seed):
    """
    Simulate a conversation.

    Parameters
    ----------
    config : ConversationConfig
        The distribution.
    n_mics : int
        M.
    bank : SpeechBank
        What is said.
    seed : int
        Of everything.

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
    walk = np.linalg.norm(ends[1] - starts[1]) / speeds[1]
    departures = np.array([0.0, random.uniform(1, max(1.0, config.seconds - walk))])
    turns = tuple(_draw_turns(config, random) for _ in starts)
    utterances = bank.utterances(min_seconds=0.5)
    rate = bank.sample_rate
    signals = 0
    for k, begin in enumerate(starts):
        said = _say(turns[k], utterances, config.seconds, rate, random)
        said *= 10 ** (random.uniform(-1, 1) * config.level_db / 20)
        n_places = math.ceil(np.linalg.norm(ends[k] - begin) / STEP) + 1
        places = np.linspace(begin, ends[k], n_places)
        signals = signals + _heard(config, rooms, places, said, departures[k], speeds[k], rate)
    noisy = add_sensor_noise(signals[None], config.rooms.snr_db, generator)[0]
    scale = 0.05 / float(noisy.std())
    return Conversation((scale * noisy).numpy(), rate, mics, dims, starts, ends, departures,
                        speeds, turns)


def _draw_walk(config, dims, mics, random):
    """Draw starts and ends (2, 3), the first talker's alike."""
    low = np.array([_CLEAR, _CLEAR, config.heights[0]])
    high = np.array([dims[0] - _CLEAR, dims[1] - _CLEAR, min(config.heights[1], dims[2] - 0.1)])
    share = np.linspace(0, 1, 50)[:, None]
    for _ in range(1000):
        stand, begin, end = random.uniform(low, high, (3, 3))
        end[2] = begin[2]
        way = begin + share * (end - begin)
        far = np.linalg.norm((end - begin)[:2]) >= config.least_walk
        apart = np.linalg.norm((way - stand)[:, :2], axis=1).min() >= config.apart
        heads = np.concatenate([way, stand[None]])
        clear = np.linalg.norm(heads[:, None] - mics, axis=-1).min() >= _CLEAR
        if far and apart and clear:
            return np.stack([stand, begin]), np.stack([stand, end])
    raise ValueError(f'no walk of {config.least_walk} m fits into a room of {dims} m')


def _draw_turns(config, random):
    """Draw when one talks: (n, 2), seconds."""
    turns, now = [], random.uniform(0, config.pause[1])
    while now < config.seconds:
        stop = min(now + random.uniform(*config.turn), config.seconds)
        turns.append((now, stop))
        now = stop + random.uniform(*config.pause)
    return np.array(turns)


def _say(turns, utterances, seconds, rate, random):
    """Fill turns with utterances of one level: (T,), float32."""
    said = np.zeros(round(seconds * rate), np.float32)
    for begin, end in turns:
        at, stop = round(begin * rate), round(end * rate)
        while at < stop:
            words = utterances[random.integers(len(utterances))]
            words = words[:stop - at] / np.sqrt(np.mean(words ** 2) + 1e-12)
            said[at:at + len(words)] = words
            at += len(words) + round(_GAP * rate)
    return said


def _heard(config, rooms, places, said, departure, speed, rate):
    """Let words (T,) be said on a walk over places (N, 3) and be heard: (M, T)."""
    n_samples = len(said)
    n_response = longest_response(config.rooms, rate)
    time = torch.arange(n_samples, dtype=torch.float64) / rate
    step = np.linalg.norm(places[-1] - places[0]) / max(len(places) - 1, 1)
    # At which place the talker is, counted in places.
    where = ((time - departure) * speed / step).clamp(0, len(places) - 1) if step else 0 * time
    heard = torch.zeros(rooms.mic_positions.shape[1], n_samples + n_response)
    for number, place in enumerate(places):
        weight = (1 - (where - number).abs()).clamp(min=0)
        here = weight.nonzero()[:, 0]
        if not len(here):
            continue
        first, last = int(here[0]), int(here[-1]) + 1
        words = torch.from_numpy(said[first:last]) * weight[first:last].float()
        if not words.any():
            continue
        n_fft = 8 * next_fast_len(-(-(len(words) + n_response) // 8))
        room = Rooms(rooms.dims, rooms.mic_positions,
                     torch.as_tensor(place, dtype=torch.float32)[None], rooms.absorption)
        spectrum = room_spectra(room, config.rooms.max_order, n_fft, rate)[0]
        wet = torch.fft.irfft(spectrum * torch.fft.rfft(words, n_fft), n_fft)
        end = min(first + n_fft, heard.shape[1])
        heard[:, first:end] += wet[:, :end - first]
    return heard[:, :n_samples]
