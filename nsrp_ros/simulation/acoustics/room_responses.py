"""
Room responses in torch, batched, and the microphone signals they give.

Each image n of the talker (image_sources.py) sends an impulse that arrives at the microphone m
after |p_n - m| / c, with an amplitude of gain_n(k) / |p_n - m| in octave band k;
propagation_paths.py adds the effects of realistic rooms. The images' spectra are not summed one
by one: nonuniform_fft.py transforms them all at once, on a coarser grid for the lower bands.

Shapes: B rooms, M microphones, I images, K = 6 bands, N points of the convolution, F = N / 2 + 1
bins, T samples of a window. A talker has unit gain at one metre.

Cost: a room of order 17 has I = 7,175 images; with six microphones and four points per impulse
that is 1.0 million scattered additions, FFTs of 5 N points per microphone, and in all about 9 MB
of memory and 30 MB of traffic: bandwidth would allow 100,000 rooms a second on an H100.
"""

from functools import lru_cache
from functools import partial

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.simulation.acoustics.image_sources import count_images
from nsrp_ros.simulation.acoustics.image_sources import image_sources
from nsrp_ros.simulation.acoustics.image_sources import ImageSourceConfig
from nsrp_ros.simulation.acoustics.image_sources import seen_from_above
from nsrp_ros.simulation.acoustics.nonuniform_fft import kernel_spectrum
from nsrp_ros.simulation.acoustics.nonuniform_fft import OVERSAMPLING
from nsrp_ros.simulation.acoustics.nonuniform_fft import spread
from nsrp_ros.simulation.acoustics.octave_bands import BANDS
from nsrp_ros.simulation.acoustics.octave_bands import octave_filters
from nsrp_ros.simulation.acoustics.polygon_visibility import AudibleImages
from nsrp_ros.simulation.acoustics.propagation_paths import Acoustics
from nsrp_ros.simulation.acoustics.propagation_paths import Amplitudes
from nsrp_ros.simulation.acoustics.propagation_paths import trace_paths
from nsrp_ros.simulation.shoebox_rooms import Rooms
from scipy.fft import next_fast_len
import torch
from torch.nn.functional import pad

HIGH_PASS = 10.0
"""Hertz. All images are positive, which adds up to a static pressure that no real room has; a
zero-phase high-pass filter removes it, the same as pyroomacoustics' own."""


def window_length(sample_rate: int) -> int:
    """Return the number of samples T of an analysis window."""
    return round(WindowConfig().length * sample_rate)


def render_microphones(config: ImageSourceConfig, rooms: Rooms, speech: torch.Tensor,
                       sample_rate: int, max_bytes: int = 2 ** 31,
                       acoustics: Acoustics | None = None,
                       generator: torch.Generator | None = None) -> torch.Tensor:
    """
    Render the microphone signals of the last 0.5 s, without noise.

    Parameters
    ----------
    config : RoomConfig or RealConfig
        Of it, `max_order` counts: the highest reflection order.
    rooms : Rooms
        B rooms.
    speech : torch.Tensor
        Shape (B, S), on the same device.
    sample_rate : int
        Hertz.
    max_bytes : int
        About how much memory may be used at once.
    acoustics : Acoustics, optional
        Effects beyond walls, on the same device; left out, the rooms are ideal.
    generator : torch.Generator, optional
        On any device; only for acoustics with jitter or late tails, which also depend on
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
        config.max_order, rooms, n_fft, acoustics is not None))
    rendered = []
    seen = seen_from_above(rooms, config.max_order)
    for at in range(0, len(rooms), n_chunk):
        part = slice(at, at + n_chunk)
        dry = torch.fft.rfft(pad(speech[part], (n_fft - n_speech, 0)))[:, None]
        spectra = room_spectra(rooms[part], config.max_order, n_fft, sample_rate,
                               None if acoustics is None else acoustics[part], generator,
                               None if seen is None else seen[part])
        rendered.append(torch.fft.irfft(spectra * dry, n_fft)[..., -n_window:])
    return torch.cat(rendered)


def room_spectra(rooms: Rooms, max_order: int, n_fft: int, sample_rate: int,
                 acoustics: Acoustics | None = None,
                 generator: torch.Generator | None = None,
                 seen: AudibleImages | None = None) -> torch.Tensor:
    """
    Compute the transfer functions from the talker to the microphones.

    Parameters
    ----------
    rooms : Rooms
        B rooms on any device.
    max_order : int
        Highest reflection order of an image source.
    n_fft : int
        N, a multiple of 8 and longer than any response.
    sample_rate : int
        Hertz, 16000 or more.
    acoustics : Acoustics, optional
        Effects beyond walls.
    generator : torch.Generator, optional
        See `render_microphones`.
    seen : AudibleImages, optional
        As for `image_geometry`.

    Returns
    -------
    torch.Tensor
        Shape (B, M, F), complex64.

    """
    normal = partial(_normal, generator, rooms.dims.device)
    if acoustics is None:
        travelled, amplitudes = _ideal_paths(rooms, max_order, seen)
        tail = None
    else:
        travelled, amplitudes, tail = trace_paths(rooms, acoustics, max_order, normal, seen)
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


def _ideal_paths(rooms: Rooms, max_order: int,
                 seen: AudibleImages | None) -> tuple[torch.Tensor, Amplitudes]:
    """Compute the propagation paths in a room that has nothing but walls; see `trace_paths`."""
    gains, distances = image_sources(rooms, max_order, seen)  # (B, K, I), (B, M, I)
    # Within a millimetre of the talker the amplitude would become infinite.
    inverse = 1 / distances.clamp(min=1e-3)[:, :, None]
    if rooms.outline is not None:  # silent images have no distance
        distances = distances.where(distances.isfinite(), 0)
    return distances, lambda bands: gains[:, None, bands] * inverse


def _normal(generator: torch.Generator | None, device: torch.device,
            *shape: int) -> torch.Tensor:
    """Draw normal float32 numbers on the generator's device, and move them to another."""
    if generator is None:
        raise ValueError('acoustics with jitter or late tails need a generator')
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


def _bytes_per_room(max_order: int, rooms: Rooms, n_fft: int, has_acoustics: bool) -> int:
    """Estimate the memory of `room_spectra` per room, in bytes."""
    n_mics = rooms.mic_positions.shape[1]
    n_corners = 0 if rooms.outline is None else rooms.outline.shape[1]
    n_images = count_images(max_order, n_corners)
    # The largest group has four bands: amplitudes, their weighted copy, grids, their spectra.
    floats_per_mic = (2 * 4 + 12) * n_images + 6 * n_fft
    if has_acoustics:  # vectors and their jitter, patterns, and the noise of the tail
        floats_per_mic += (12 + 2 * 4) * n_images + 3 * n_fft
    floats_per_image = 4 * len(BANDS) + (36 if n_corners else 0)  # matrices of mirrored axes
    return 4 * (n_mics * floats_per_mic + floats_per_image * n_images)


@lru_cache(maxsize=8)
def _band_filters(n_fft: int, sample_rate: int,
                  device: torch.device) -> list[tuple[slice, int, torch.Tensor]]:
    """
    Sample the octave filters, divided by the spectrum of the kernel that spreads impulses.

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


def _grid_rate(highest: float, sample_rate: int) -> int:
    """Choose half, once or twice the sample rate, enough for a highest frequency in hertz."""
    return next(rate for rate in (sample_rate // 2, sample_rate, 2 * sample_rate)
                if rate >= OVERSAMPLING * highest - 1)  # it may be rounded up
