"""
A batched image-source simulator in torch: rooms made while training, on a CPU or a GPU.

    J. Allen, D. Berkley, "Image method for efficiently simulating small-room acoustics", 1979.

Each image n of the source sends an impulse that arrives after |p_n - m| / c with the amplitude

    a_n(k) / |p_n - m|,  a_n(k) = product over its wall hits of sqrt(1 - absorption(wall, k)),

in octave band k. The images' spectra are not summed one by one: every impulse is spread on a grid
of twice the sample rate by a short kernel, each band's grid is transformed at once, and the
kernel's own spectrum is divided out (a non-uniform Fourier transform of type 1), which is exact to
about 1e-3 at every frequency and any delay. The band filters are raised cosines in octaves that
add up to one, with zero phase, as pyroomacoustics has them.

Shapes: B rooms, M microphones, I images, K = 6 bands, N points of the convolution, F = N / 2 + 1
bins. A talker has unit gain at one metre.

What it costs: B M I K W scattered additions (W = 4 taps; 1.0 million a room of order 17 with six
microphones), and 2 N K points of FFT a microphone; about 15 MB of memory and 40 MB of traffic a
room, so that an H100's memory allows tens of thousands of rooms a second.
"""

from functools import lru_cache
import math

from scipy.fft import next_fast_len
import torch

from nsrp_ros.core.config import WindowConfig
from nsrp_ros.core.geometry import SPEED_OF_SOUND
from nsrp_ros.training.rooms import BANDS
from nsrp_ros.training.rooms import draw_rooms
from nsrp_ros.training.scenes import Scenes

HIGH_PASS = 10.0
"""Hertz. All images are positive, which piles up a sound pressure at rest that no real room has;
a high-pass filter of zero phase takes it away, the same as pyroomacoustics' own."""

_FILTER_REACH = 0.016  # seconds, of the octave filters to either side
_TAPS = 4
_OVERSAMPLING = 2
# The kernel exp(b (sqrt(1 - z^2) - 1)), and its shape for these taps (Barnett et al. 2019).
_SHAPE = 2.30 * _TAPS


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
        The rooms, and as much speech before their windows as they can ring: (B, N).

    """
    rooms = draw_rooms(config, n_mics, n_scenes, generator, device)
    n_fft = convolution_length(config, speech_bank.sample_rate)
    return rooms, speech_bank.draw(n_scenes, n_fft, generator, device)


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
        Shape (B, N), on the same device.
    sample_rate : int
        Hertz.
    max_bytes : int
        About how much memory may be taken at once.

    Returns
    -------
    torch.Tensor
        Shape (B, M, T), float32.

    """
    n_window, n_fft = window_length(sample_rate), speech.shape[1]
    n_mics = rooms.mic_positions.shape[1]
    n_chunk = max(1, int(max_bytes // _bytes_per_room(config.max_order, n_mics, n_fft)))
    return torch.cat([
        convolve(room_spectra(rooms[part], config.max_order, n_fft, sample_rate), speech[part],
                 n_window)
        for part in (slice(at, at + n_chunk) for at in range(0, len(rooms), n_chunk))])


def window_length(sample_rate):
    """Return the samples T of an analysis window."""
    return round(WindowConfig().length * sample_rate)


def convolution_length(config, sample_rate):
    """
    Count the samples N of speech that a window needs: itself and all that still rings.

    A circular convolution of N points then leaves the window, which comes last, untouched.
    """
    diagonal = math.dist(config.max_dims, (0, 0, 0))
    reach = config.max_order * max(config.max_dims) + diagonal  # metres to the furthest image
    n_fft = next_fast_len(math.ceil(reach / SPEED_OF_SOUND * sample_rate)
                          + window_length(sample_rate) + _TAPS, real=True)
    return n_fft if n_fft % 2 == 0 else next_fast_len(n_fft + 1, real=True)


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
        N, even; responses longer than N samples would wrap around.
    sample_rate : int
        Hertz.

    Returns
    -------
    torch.Tensor
        Shape (B, M, F), complex64.

    """
    device = rooms.dims.device
    images = _image_indices(max_order, device)  # (3, I), each in 0 .. 2 max_order
    axis = torch.arange(3, device=device)[:, None]
    gains = _reflection_gains(rooms.absorption, max_order)  # (B, K, 3, 2 max_order + 1)
    gains = gains[:, :, axis, images].prod(dim=2)  # (B, K, I)
    offsets = _image_coordinates(rooms, max_order)  # (B, 3, 2 max_order + 1)
    squares = (offsets[:, None] - rooms.mic_positions[..., None]) ** 2  # (B, M, 3, ...)
    distances = squares[:, :, axis, images].sum(dim=2).sqrt()  # (B, M, I)

    # A microphone within a millimetre of the talker would hear an infinite sound.
    amplitudes = gains[:, None] / distances.clamp(min=1e-3)[:, :, None]  # (B, M, K, I)
    grids = _spread(amplitudes, distances * (_OVERSAMPLING * sample_rate / SPEED_OF_SOUND),
                    _OVERSAMPLING * n_fft)  # (B, M, K, 2 N)
    spectra = torch.fft.rfft(grids)[..., :n_fft // 2 + 1]
    # Out of place the product would double the largest array here.
    return spectra.mul_(_band_filters(n_fft, sample_rate, device)).sum(dim=2)


def convolve(spectra, speech, n_window):
    """
    Let speech sound in rooms.

    Parameters
    ----------
    spectra : torch.Tensor
        Shape (B, M, F), from `room_spectra`.
    speech : torch.Tensor
        Shape (B, N), running speech.
    n_window : int
        Samples wanted: the last ones, which no wrapped-around sound reaches.

    Returns
    -------
    torch.Tensor
        Shape (B, M, n_window), what the microphones hear.

    """
    heard = torch.fft.irfft(spectra * torch.fft.rfft(speech)[:, None], speech.shape[-1])
    return heard[..., -n_window:]


def add_sensor_noise(signals, snr_db, generator):
    """Add white noise of one level to all microphones (B, M, T) of a scene; see RoomConfig."""
    power = signals.square().mean(dim=(1, 2), keepdim=True)
    noise = torch.randn(signals.shape, generator=generator, device=generator.device)
    return signals + (power * 10 ** (-snr_db / 10)).sqrt() * noise.to(signals.device)


def _bytes_per_room(max_order, n_mics, n_fft):
    """Estimate the memory that a room takes in `room_spectra`, in bytes."""
    n_images = (2 * max_order + 1) * (2 * max_order ** 2 + 2 * max_order + 3) // 3
    floats_per_mic = 2 * n_images * len(BANDS) + 8 * n_images + 4 * n_fft * len(BANDS)
    return 4 * (n_mics * floats_per_mic + 4 * n_images * len(BANDS))


@lru_cache(maxsize=8)
def _image_indices(max_order, device):
    """List all (i, j, k) with |i| + |j| + |k| <= max_order as (3, I), counted from 0."""
    one = torch.arange(-max_order, max_order + 1, device=device)
    every = torch.cartesian_prod(one, one, one)
    return (every[every.abs().sum(dim=1) <= max_order].T + max_order).contiguous()


def _reflection_gains(absorption, max_order):
    """
    Multiply wall reflections along each axis: (B, 3, 2, K) to (B, K, 3, 2 max_order + 1).

    The image n > 0 has hit the far wall (n + 1) // 2 times and the near one n // 2 times; for
    n < 0 it is the other way round.
    """
    n = torch.arange(-max_order, max_order + 1, device=absorption.device)
    more, less = (n.abs() + 1) // 2, n.abs() // 2
    near, far = torch.where(n < 0, more, less), torch.where(n > 0, more, less)
    reflection = (1 - absorption).sqrt().permute(0, 3, 1, 2)[..., None]  # (B, K, 3, 2, 1)
    return reflection[..., 0, :] ** near * reflection[..., 1, :] ** far


def _image_coordinates(rooms, max_order):
    """Mirror the source along each axis: (B, 3, 2 max_order + 1), metres."""
    n = torch.arange(-max_order, max_order + 1, device=rooms.dims.device)
    size, source = rooms.dims[..., None], rooms.source_position[..., None]
    return n * size + torch.where(n % 2 == 0, source, size - source)


def _spread(amplitudes, positions, n_grid):
    """
    Spread impulses on grids by the kernel.

    Parameters
    ----------
    amplitudes : torch.Tensor
        Shape (B, M, K, I).
    positions : torch.Tensor
        Shape (B, M, I), in grid points; they wrap around.
    n_grid : int
        Points G of a grid.

    Returns
    -------
    torch.Tensor
        Shape (B, M, K, G).

    """
    grids = amplitudes.new_zeros(*amplitudes.shape[:3], n_grid)
    first = (positions - _TAPS / 2).ceil()
    z = (first - positions) * (2 / _TAPS)  # in [-1, 1): where the first tap stands in the kernel
    first = first.to(torch.int64)
    for tap in range(_TAPS):
        weight = torch.exp(_SHAPE * ((1 - (z + tap * 2 / _TAPS) ** 2).clamp(min=0).sqrt() - 1))
        index = ((first + tap) % n_grid)[:, :, None].expand_as(amplitudes)
        grids.scatter_add_(3, index, amplitudes * weight[:, :, None])
    return grids


@lru_cache(maxsize=8)
def _band_filters(n_fft, sample_rate, device):
    """Evaluate the octave filters, without the kernel's spectrum: (K, F), float32."""
    # Designed on a coarse grid, the filters ring for 16 ms to either side and no longer.
    n_design = 2 * round(_FILTER_REACH * sample_rate)
    octave = torch.log2(_frequencies(n_design, sample_rate).clamp(min=1e-3) / BANDS[0])
    octave = octave.clamp(0, len(BANDS) - 1)  # the outer bands reach to zero and to the end
    below = octave.floor()
    # Within an octave the cosine runs linearly in frequency, as pyroomacoustics' filters do.
    rise = 0.5 * (1 + torch.cos(2 * math.pi * 2 ** (octave - below - 1)))
    band = torch.arange(len(BANDS))[:, None]
    ideal = torch.where(below == band, 1 - rise, 0) + torch.where(below == band - 1, rise, 0)
    short = torch.fft.irfft(ideal, n_design).roll(n_design // 2, dims=1)
    padded = torch.nn.functional.pad(short, (0, n_fft - n_design)).roll(-n_design // 2, dims=1)
    filters = torch.fft.rfft(padded).real
    frequency = _frequencies(n_fft, sample_rate)
    # A Butterworth filter of order 2, forwards and backwards.
    filters /= 1 + (HIGH_PASS / frequency.clamp(min=1e-3)) ** 4
    kernel = _kernel_spectrum(frequency / (_OVERSAMPLING * sample_rate))
    return (filters / kernel).float().to(device)


def _frequencies(n_fft, sample_rate):
    return torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)


def _kernel_spectrum(cycles_per_point):
    """Integrate the kernel's Fourier transform (F,) numerically; it is smooth and short."""
    n = 500
    z = (torch.arange(n, dtype=torch.float64) + 0.5) * (2 / n) - 1
    kernel = torch.exp(_SHAPE * ((1 - z ** 2).sqrt() - 1))
    phase = 2 * math.pi * cycles_per_point[:, None] * (z * _TAPS / 2)
    return (torch.cos(phase) @ kernel) * (_TAPS / n)
