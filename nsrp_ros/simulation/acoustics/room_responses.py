"""
What microphones hear: responses of shoebox rooms in torch, batched, on a CPU or a GPU.

Each image n of the talker (image_sources.py) sends an impulse that arrives at the microphone m
after |p_n - m| / c, with an amplitude of gain_n(k) / |p_n - m| in octave band k;
propagation_paths.py has more to say of rooms that are not ideal. The images' spectra are not
summed one by one: nonuniform_fft.py transforms them all at once, on a coarser grid for the lower
bands.

Shapes: B rooms, M microphones, I images, K = 6 bands, N points of the convolution, F = N / 2 + 1
bins, T samples of a window. A talker has unit gain at one metre.

What it costs: a room of order 17 has I = 7,175 images; with six microphones and four points to an
impulse that is 1.0 million scattered additions, FFTs of 5 N points a microphone, and in all about
9 MB of memory and 30 MB of traffic: bandwidth would allow 100,000 rooms a second on an H100.
"""

from functools import lru_cache
from functools import partial

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.image_sources import count_images
from nsrp_ros.simulation.acoustics.image_sources import image_sources
from nsrp_ros.simulation.acoustics.nonuniform_fft import kernel_spectrum
from nsrp_ros.simulation.acoustics.nonuniform_fft import OVERSAMPLING
from nsrp_ros.simulation.acoustics.nonuniform_fft import spread
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.octave_bands import octave_filters
from nsrp_ros.simulation.acoustics.propagation_paths import real_paths
from scipy.fft import next_fast_len
import torch
from torch.nn.functional import pad

HIGH_PASS = 10.0
"""Hertz. All images are positive, which piles up a sound pressure at rest that no real room has;
a high-pass filter of zero phase takes it away, the same as pyroomacoustics' own."""


def window_length(sample_rate):
    """Return the samples T of an analysis window."""
    return round(WindowConfig().length * sample_rate)


def hear(config, rooms, speech, sample_rate, max_bytes=2 ** 31, acoustics=None,
         generator=None):
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
    acoustics : Acoustics, optional
        What the rooms have beyond walls, on the same device; left out, they are ideal.
    generator : torch.Generator, optional
        On any device; only for acoustics that wander or have tails, which also depend on
        `max_bytes` then.

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
        config.max_order, rooms.mic_positions.shape[1], n_fft, acoustics is not None))
    heard = []
    for at in range(0, len(rooms), n_chunk):
        part = slice(at, at + n_chunk)
        said = torch.fft.rfft(pad(speech[part], (n_fft - n_speech, 0)))[:, None]
        beyond = None if acoustics is None else acoustics[part]
        spectra = room_spectra(rooms[part], config.max_order, n_fft, sample_rate, beyond,
                               generator)
        heard.append(torch.fft.irfft(spectra * said, n_fft)[..., -n_window:])
    return torch.cat(heard)


def room_spectra(rooms, max_order, n_fft, sample_rate, acoustics=None, generator=None):
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
    acoustics : Acoustics, optional
        What the rooms have beyond walls.
    generator : torch.Generator, optional
        See `hear`.

    Returns
    -------
    torch.Tensor
        Shape (B, M, F), complex64.

    """
    if acoustics is None:
        travelled, amplitudes = _ideal_paths(rooms, max_order)
        tail = None
    else:
        normal = partial(_normal, generator, rooms.dims.device)
        travelled, amplitudes, tail = real_paths(rooms, acoustics, max_order, normal)
    total = torch.zeros(*travelled.shape[:2], n_fft // 2 + 1, dtype=torch.complex64,
                        device=travelled.device)
    for bands, rate, filters in _band_filters(n_fft, sample_rate, travelled.device):
        grids = spread(amplitudes(bands), travelled * (rate / SPEED_OF_SOUND),
                       n_fft * rate // sample_rate)  # (B, M, bands, G)
        if tail is not None:
            tail.add_to(grids, bands, rate, normal)
        n_bins = filters.shape[1]
        spectra = torch.fft.rfft(grids)[..., :n_bins]
        total[..., :n_bins] += spectra.mul_(filters).sum(dim=2)
    return total


def _ideal_paths(rooms, max_order):
    """Follow the sound in a room that has nothing but walls; see `real_paths`."""
    gains, distances = image_sources(rooms, max_order)  # (B, K, I), (B, M, I)
    # A microphone within a millimetre of the talker would hear an infinite sound.
    inverse = 1 / distances.clamp(min=1e-3)[:, :, None]
    return distances, lambda bands: gains[:, None, bands] * inverse


def _normal(generator, device, *shape):
    """Draw normal float32 numbers where the generator is, and bring them to the device."""
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


def _bytes_per_room(max_order, n_mics, n_fft, real=False):
    """Estimate the memory that a room takes in `room_spectra`, in bytes."""
    n_images = count_images(max_order)
    # The largest group has four bands: amplitudes, their weighted copy, grids, their spectra.
    floats_per_mic = (2 * 4 + 12) * n_images + 6 * n_fft
    if real:  # vectors and their changes, patterns, and the noise of the tail
        floats_per_mic += (12 + 2 * 4) * n_images + 3 * n_fft
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
    filters = octave_filters(frequency)
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
                if rate >= OVERSAMPLING * highest - 1)  # it may be rounded up
