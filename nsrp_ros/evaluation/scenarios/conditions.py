"""
Conditions of the robustness tests: what is varied, in which steps, in which rooms.

A family changes one thing. The base of a family is either the paper's ideal rooms (`hard`, white
noise at 30 dB) or `real` ones; all conditions of a family have the same rooms, microphones,
talkers and speech (see paired_scenes.py).
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from functools import partial

from nsrp_ros.evaluation.scenarios.paired_scenes import FAULT_DB
from nsrp_ros.evaluation.scenarios.paired_scenes import simulate_scenes
from nsrp_ros.evaluation.scenarios.paired_scenes import simulate_walking
from nsrp_ros.evaluation.scenarios.paired_scenes import with_faulty_microphone
from nsrp_ros.evaluation.scenarios.paired_scenes import without_last_microphone
from nsrp_ros.evaluation.scenarios.paired_scenes import wrong_room_dims
from nsrp_ros.evaluation.scenarios.polygonal_rooms import simulate_polygonal
from nsrp_ros.simulation.acoustics.late_reverberation import TailConfig
from nsrp_ros.simulation.acoustics.scattering_occlusion import FurnitureConfig
from nsrp_ros.simulation.acoustics.wall_absorption import WallConfig
from nsrp_ros.simulation.devices.errors import DeviceConfig
from nsrp_ros.simulation.noise import NoiseConfig
from nsrp_ros.simulation.presets import REAL
from nsrp_ros.simulation.realistic_rooms import RealConfig
from nsrp_ros.simulation.scenes import Scenes
from nsrp_ros.simulation.shoebox_rooms import PRESETS as IDEAL_PRESETS
from nsrp_ros.simulation.speech.bank import SpeechBank

BASES = {'hard': RealConfig(room=IDEAL_PRESETS['hard']), 'real': REAL}
SNRS = (-5, 0, 5, 10, 15, 20, 25, 30)
"""Decibels."""
SINCE_ALIGNED = 10.0
"""Seconds for which clocks have drifted apart in the family `drift_accumulated`."""
STRONG_FURNITURE = FurnitureConfig(wander=0.2, gain_wander_db=4.0, occluded=0.5,
                                   occlusion_db=20.0)
"""Twice the usual scattering; every other direct path is occluded, by up to 20 dB at 4 kHz."""
_WHITE = NoiseConfig(sensor_snr_db=(30.0, 30.0), sensor_colour=(0.0, 0.0), sensor_spread_db=0.0,
                     babble=0.0, hum=0.0)
_EPSILON = 1e-9  # parts per million: an exact clock whose drift is drawn like the others


@dataclass(frozen=True)
class Condition:
    """One row of a table: a label, its value on the axis, and a function that makes its scenes."""

    label: str
    value: float
    make: Callable[[int, int, SpeechBank, int], Scenes]
    """Takes (M, B, speech bank, seed), returns `Scenes` of NumPy arrays."""


@dataclass(frozen=True)
class Family:
    """One table and one picture."""

    name: str
    title: str
    axis: str
    """What the values are, with their unit; empty where they only count the labels."""
    note: str
    """A description of the scenes."""
    conditions: tuple[Condition, ...]
    logarithmic: bool = False


def families(base: str = 'hard') -> dict[str, Family]:
    """
    Return all families.

    Parameters
    ----------
    base : str
        One of `BASES`: the distribution of the scenes apart from the condition.

    Returns
    -------
    dict of str to Family
        By name.

    """
    return {family.name: family for family in (
        *_noise_families(BASES[base]), *_clock_families(BASES[base]),
        *_fault_families(BASES[base]), *_room_families(BASES[base]))}


def _steps(values: Sequence[float], unit: str,
           configure: Callable[[float], RealConfig]) -> tuple[Condition, ...]:
    """Make conditions of numbers; `configure` takes a number, returns a configuration."""
    return tuple(
        Condition(f'{value:g} {unit}', value, partial(simulate_scenes, configure(value)))
        for value in values)


def _noise_families(base: RealConfig) -> Iterator[Family]:
    """Yield the families of noise."""
    def white_noise(snr_db: float) -> RealConfig:
        if base.noise is None:  # at its own ratio, exactly the scenes of the base
            return replace(base, room=replace(base.room, snr_db=float(snr_db)))
        return replace(base, noise=replace(_WHITE, sensor_snr_db=(snr_db, snr_db)))

    def babble(snr_db: float) -> RealConfig:
        return replace(base, noise=replace(_WHITE, babble=1.0, babble_snr_db=(snr_db, snr_db)))

    yield Family('snr', 'White noise', 'signal-to-noise ratio (dB)',
                 'White noise of equal sensors, against the mean power over the microphones.',
                 _steps(SNRS, 'dB', white_noise))
    yield Family('babble', 'Babble', 'talker to babble (dB)',
                 'Three other talkers, of the test voice: in half of the scenes at places in the '
                 'room, in half all around (a diffuse field). White noise at 30 dB.',
                 _steps(SNRS, 'dB', babble))


def _clock_families(base: RealConfig) -> Iterator[Family]:
    """Yield the families of latencies and clocks."""
    devices = base.devices or DeviceConfig()

    def with_latency(milliseconds: float) -> RealConfig:
        return replace(base, devices=replace(devices, late_scenes=1.0, late=1e-3 * milliseconds))

    def with_drift(ppm: float) -> RealConfig:
        return replace(base, devices=replace(devices, drift_ppm=max(ppm, _EPSILON)))

    def with_accumulated_drift(ppm: float) -> RealConfig:
        # Clocks of -ppm to ppm differ by up to twice as much.
        latency = 2e-6 * ppm * SINCE_ALIGNED
        return replace(base, devices=replace(
            devices, late_scenes=1.0, late=latency, drift_ppm=max(ppm, _EPSILON)))

    ppms = (0, 10, 30, 100)
    yield Family('latency', 'Device latencies', 'longest latency (ms)',
                 'Every device has a constant latency, uniform up to the longest.',
                 _steps((0, 0.1, 0.3, 0.5, 1, 2), 'ms', with_latency))
    yield Family('drift', 'Clock drift within a window', 'largest drift (ppm)',
                 'Every clock is fast or slow by up to the largest drift and right in mid-window, '
                 'as it is where streams are kept aligned.', _steps(ppms, 'ppm', with_drift))
    yield Family('drift_accumulated', f'Clock drift, {SINCE_ALIGNED:g} s after the clocks agreed',
                 'largest drift (ppm)',
                 'Clocks as before, whose streams were aligned once and never again: each has the '
                 f'latency accumulated over {SINCE_ALIGNED:g} s (100 ppm: up to 2 ms between '
                 'two), and drifts on.', _steps(ppms, 'ppm', with_accumulated_drift))


def _fault_families(base: RealConfig) -> Iterator[Family]:
    """Yield the families of wrongly reported geometry and of broken microphones."""
    devices = base.devices or DeviceConfig()

    def misplaced(centimetres: float) -> RealConfig:
        return replace(base, devices=replace(devices, position_error=0.01 * centimetres))

    def modified(label: str, value: float, modify: Callable[[Scenes], Scenes]) -> Condition:
        return Condition(label, value, partial(_simulate_modified, base, modify))

    yield Family('positions', 'Position errors of the microphones', 'error (cm rms)',
                 'Reported positions have a normal error in three dimensions.',
                 _steps((0, 2, 5, 10, 20), 'cm', misplaced))
    yield Family('faults', 'A broken microphone', '',
                 'The last microphone is taken away; or is deaf (attenuated by 30 dB, above noise '
                 'of its own); or dead (only its noise, or digital zero) and still used.',
                 (Condition('none', 0, partial(simulate_scenes, base)),
                  modified('taken away', 1, without_last_microphone),
                  modified('deaf', 2, partial(with_faulty_microphone,
                                              gain=10 ** (-FAULT_DB / 20), noisy=True)),
                  modified('dead, hisses', 3,
                           partial(with_faulty_microphone, gain=0.0, noisy=True)),
                  modified('dead, zeros', 4,
                           partial(with_faulty_microphone, gain=0.0, noisy=False))))
    yield Family('dimensions', 'Wrong room dimensions', 'error (%)',
                 'Each side is reported too long or too short by this much, at random; the walls '
                 'at 0 are in the right place, and talkers may be outside the reported room.',
                 tuple(modified(f'{percent} %', percent,
                                partial(wrong_room_dims, share=percent / 100))
                       for percent in (0, 5, 10)))


def _simulate_modified(base: RealConfig, modify: Callable[[Scenes], Scenes], n_mics: int,
                       n_scenes: int, bank: SpeechBank, seed: int) -> Scenes:
    """Simulate scenes of the base, and modify them."""
    return modify(simulate_scenes(base, n_mics, n_scenes, bank, seed))


def _room_families(base: RealConfig) -> Iterator[Family]:
    """Yield the families of rooms and talkers."""
    def with_rt60(seconds: float) -> RealConfig:
        return replace(base, walls=WallConfig(share=1.0, rt60=(seconds, seconds),
                                              band_spread=1.0), tail=base.tail or TailConfig())

    def furnished(config: FurnitureConfig) -> Callable[[int, int, SpeechBank, int], Scenes]:
        return partial(simulate_scenes, replace(base, furniture=config))

    yield Family('rt60', 'Reverberation time', 'RT60 asked for (s)',
                 "Unequal walls whose mean absorption gives the time by Eyring's formula, equal "
                 'in all bands, and a diffuse late tail; 0.1 s is less than the walls of large '
                 'rooms can reach.',
                 _steps((0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5), 's', with_rt60), logarithmic=True)
    yield Family('walking', 'A walking talker', 'speed (m/s)',
                 'In a straight line, simulated every 3 cm of the way; the true position is that '
                 'in mid-window. White noise at 30 dB, perfect devices.',
                 tuple(Condition(f'{speed:g} m/s', speed, partial(simulate_walking, base, speed))
                       for speed in (0, 0.5, 1, 1.5, 2)))
    yield Family('furniture', 'Furniture', '',
                 'Scattering and occlusion: image sources displaced by up to 10 cm a reflection, '
                 'a quarter of the direct paths occluded by up to 12 dB (on); 20 cm, half of '
                 'them, 20 dB (strong).',
                 (Condition('off', 0, furnished(replace(FurnitureConfig(), wander=0.0,
                                                        gain_wander_db=0.0, occlusion_db=0.0))),
                  Condition('on', 1, furnished(FurnitureConfig())),
                  Condition('strong', 2, furnished(STRONG_FURNITURE))))
    yield Family('shape', 'Rooms that are not boxes', '',
                 'pyroomacoustics, image sources of order 6 and ray tracing; the bounding box is '
                 'reported. Slanted: no two walls at right angles. L: a corner of 0.3 to 0.5 of '
                 'both sides is missing, and may hide the talker. Same devices and walls in each '
                 "(always the paper's walls, white noise at 30 dB).",
                 tuple(Condition(label, k,
                                 partial(simulate_polygonal, shape, IDEAL_PRESETS['hard']))
                       for k, (label, shape) in enumerate((
                           ('box', 'box'), ('slanted walls', 'slanted'), ('L', 'l_shape')))))
