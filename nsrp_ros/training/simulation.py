"""
A batched image-source simulator in torch: rooms made while training, on a CPU or a GPU.

Each image n of the talker (image_sources.py) sends an impulse that arrives at the microphone m
after |p_n - m| / c, with an amplitude of gain_n(k) / |p_n - m| in octave band k. The images'
spectra are not summed one by one: impulses.py transforms them all at once, on a coarser grid for
the lower bands. The band filters of zero phase overlap in raised cosines and add up to one, as
pyroomacoustics has them (J. Antoni, "Orthogonal-like fractional-octave-band filters", 2010).

Shapes: B rooms, M microphones, I images, K = 6 bands, N points of the convolution, F = N / 2 + 1
bins, T samples of a window. A talker has unit gain at one metre.

What it costs: a room of order 17 has I = 7,175 images; with six microphones and four points to an
impulse that is 1.0 million scattered additions, FFTs of 5 N points a microphone, and in all about
9 MB of memory and 30 MB of traffic: bandwidth would allow 100,000 rooms a second on an H100.
"""

from functools import lru_cache
import math

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.training.image_sources import count_images
from nsrp_ros.training.image_sources import image_sources
from nsrp_ros.training.impulses import kernel_spectrum
from nsrp_ros.training.impulses import OVERSAMPLING
from nsrp_ros.training.impulses import spread
from nsrp_ros.training.rooms import BANDS
from nsrp_ros.training.rooms import draw_rooms
from nsrp_ros.training.scenes import Scenes
from scipy.fft import next_fast_len
import torch
from torch.nn.functional import pad

HIGH_PASS = 10.0
"""Hertz. All images are positive, which piles up a sound pressure at rest that no real room has;
a high-pass filter of zero phase takes it away, the same as pyroomacoustics' own."""


def simulate(config, n_mics, n_scenes, speech_bank, generator, device='cpu', max_bytes=2 ** 31):
    """
    Simulate scenes: windows of 0.5 s, cut from running speech in rooms that still ring.

    Parameters
    ----------
    config : RoomConfig
        The distribution of rooms.
    n_mics, n_scenes : int
        M and B.
    speech_bank : SpeechBank
        What is said, and at which sample rate.
    generator : torch.Generator
        On any device.
    device : str or torch.device
        Where the scenes are made and stay.
    max_bytes : int
        About how much memory may be taken at once.

    Returns
    -------
    Scenes
        float32 tensors on the device.

    """
    rooms, speech = draw_scenes(config, n_mics, n_scenes, speech_bank, generator, device)
    signals = hear(config, rooms, speech, speech_bank.sample_rate, max_bytes)
    return Scenes(add_sensor_noise(signals, config.snr_db, generator), rooms.mic_positions,
                  rooms.source_position, rooms.dims, speech_bank.sample_rate)


def draw_scenes(config, n_mics, n_scenes, speech_bank, generator, device='cpu'):
    """
    Draw rooms and what is said in them; arguments as for `simulate`.

    Returns
    -------
    tuple of Rooms and torch.Tensor
        The rooms, and the speech of their windows with as much before it as can still ring:
        (B, S).

    """
    rooms = draw_rooms(config, n_mics, n_scenes, generator, device)
    rate = speech_bank.sample_rate
    n_speech = longest_response(config, rate) + window_length(rate)
    return rooms, speech_bank.draw(n_scenes, n_speech, generator, device)


def window_length(sample_rate):
    """Return the samples T of an analysis window."""
    return round(WindowConfig().length * sample_rate)


def longest_response(config, sample_rate):
    """Return how many samples it may take the sound of the furthest image to arrive."""
    diagonal = math.dist(config.max_dims, (0, 0, 0))
    reach = config.max_order * max(config.max_dims) + diagonal  # metres
    return math.ceil(reach / SPEED_OF_SOUND * sample_rate)


def hear(config, rooms, speech, sample_rate, max_bytes=2 ** 31):
    """
    Compute what the microphones hear in the last 0.5 s, without noise.

    Parameters
    ----------
    config : RoomConfig
        Says how many reflections count.
    rooms : Rooms
        B rooms.
    speech : torch.Tensor
        Shape (B, S), on the same device.
    sample_rate : int
        Hertz.
    max_bytes : int
        About how much memory may be taken at once.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32.

    """
    n_window, n_speech = window_length(sample_rate), speech.shape[1]
    # A circular convolution as long as the speech leaves the window, which comes last, untouched;
    # a multiple of 8 suits the coarse grids.
    n_fft = 8 * next_fast_len(-(-n_speech // 8))
    n_chunk = max(1, max_bytes // _bytes_per_room(
        config.max_order, rooms.mic_positions.shape[1], n_fft))
    heard = []
    for at in range(0, len(rooms), n_chunk):
        part = slice(at, at + n_chunk)
        said = torch.fft.rfft(pad(speech[part], (n_fft - n_speech, 0)))[:, None]
        spectra = room_spectra(rooms[part], config.max_order, n_fft, sample_rate)
        heard.append(torch.fft.irfft(spectra * said, n_fft)[..., -n_window:])
    return torch.cat(heard)


def room_spectra(rooms, max_order, n_fft, sample_rate):
    """
    Compute the transfer functions from the talker to the microphones.

    Parameters
    ----------
    rooms : Rooms
        B rooms on any device.
    max_order : int
        Most reflections of an image.
    n_fft : int
        N, a multiple of 8 and longer than any response.
    sample_rate : int
        Hertz, 16000 or more.

    Returns
    -------
    torch.Tensor
        Shape (B, M, F), complex64.

    """
    gains, distances = image_sources(rooms, max_order)  # (B, K, I), (B, M, I)
    # A microphone within a millimetre of the talker would hear an infinite sound.
    inverse = 1 / distances.clamp(min=1e-3)[:, :, None]
    total = torch.zeros(*distances.shape[:2], n_fft // 2 + 1, dtype=torch.complex64,
                        device=distances.device)
    for bands, rate, filters in _band_filters(n_fft, sample_rate, distances.device):
        grids = spread(gains[:, None, bands] * inverse, distances * (rate / SPEED_OF_SOUND),
                       n_fft * rate // sample_rate)  # (B, M, bands, G)
        n_bins = filters.shape[1]
        spectra = torch.fft.rfft(grids)[..., :n_bins]
        total[..., :n_bins] += spectra.mul_(filters).sum(dim=2)
    return total


def add_sensor_noise(signals, snr_db, generator):
    """Add white noise of one level to all microphones (B, M, T) of a scene; see RoomConfig."""
    # In double precision the sum does not depend on its order, nor the scene on the threads.
    power = signals.square().mean(dim=(1, 2), keepdim=True, dtype=torch.float64)
    noise = torch.randn(signals.shape, generator=generator, device=generator.device)
    return signals + (power * 10 ** (-snr_db / 10)).sqrt().float() * noise.to(signals.device)


def _bytes_per_room(max_order, n_mics, n_fft):
    """Estimate the memory that a room takes in `room_spectra`, in bytes."""
    n_images = count_images(max_order)
    # The largest group has four bands: amplitudes, their weighted copy, grids, their spectra.
    floats_per_mic = (2 * 4 + 12) * n_images + 6 * n_fft
    return 4 * (n_mics * floats_per_mic + 4 * n_images * len(BANDS))


@lru_cache(maxsize=8)
def _band_filters(n_fft, sample_rate, device):
    """
    Sample the octave filters, over the spectrum of the kernel that spreads impulses.

    Returns
    -------
    list of (slice, int, torch.Tensor)
        Neighbouring bands that share a grid, the grid's rate in hertz, and their filters
        (bands, bins) as far as any of them reaches.

    """
    frequency = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)
    # A band takes over from the one below between that one's centre and 0.91 of its own.
    centres = torch.tensor(BANDS[1:], dtype=torch.float64)[:, None]
    x = (frequency / centres - 0.5 ** 0.5) / (0.5 * (2 ** 0.5 - 1))
    rise = 0.5 * (1 + torch.sin(math.pi / 2 * x.clamp(-1, 1)))  # (K - 1, F)
    ends = torch.ones_like(frequency)[None]
    filters = torch.cat([ends, rise]) - torch.cat([rise, 0 * ends])
    # A Butterworth filter of order 2, forwards and backwards.
    filters /= 1 + (HIGH_PASS / frequency.clamp(min=1e-3)) ** 4

    groups = []
    rates = [_grid_rate(float(frequency[row > 0][-1]), sample_rate) for row in filters]
    for rate in sorted(set(rates)):
        bands = slice(rates.index(rate), rates.index(rate) + rates.count(rate))
        n_bins = int((filters[bands] > 0).any(dim=0).nonzero().max()) + 1
        shared = filters[bands, :n_bins] / kernel_spectrum(frequency[:n_bins] / rate)
        groups.append((bands, rate, shared.to(device, torch.complex64)))
    return groups


def _grid_rate(highest, sample_rate):
    """Choose half, once or twice the sample rate, fine enough for a highest frequency."""
    return next(rate for rate in (sample_rate // 2, sample_rate, 2 * sample_rate)
                if rate >= OVERSAMPLING * highest)
